"""Messages that make no sense (PS3.7; docs/security.md, N14): an abort, or an exact status, and the audit is told."""

from __future__ import annotations

import socket

import pytest

from dicom_node.receiver import Admitted
from tests.unit.dicom_node.peers import (
    VERIFICATION,
    KeepingReceiver,
    RawPeer,
    command,
    contexts_of,
    data_set,
    echo_command,
    p_data,
    pdu,
    running,
    timed_echo,
)

pytestmark = pytest.mark.abuse

ABORT = 0x07


DIMSE_ABUSE = {
    "unknown command": p_data(1, 3, command(**{"0100": 0x7777})),
    "a response": p_data(1, 3, command(**{"0100": 0x8001, "0120": 1, "0900": 0})),
    "no command field": p_data(1, 3, command(**{"0100": None})),
    "no message id": p_data(3, 3, echo_command()[:-10]),
    "context never proposed": p_data(99, 3, command()),
    "C-STORE without a data set": p_data(1, 3, command(**{"0800": 0x0101})),
    "C-ECHO with a data set": p_data(3, 3, command(**{"0100": 0x30, "0002": VERIFICATION}))
    + p_data(3, 2, b"ab"),
    "a command inside an object": p_data(1, 3, command())
    + p_data(1, 0, data_set())
    + p_data(1, 3, command()),
    "pixel data first": p_data(1, 2, data_set()),
    "a data set where none was announced": p_data(3, 3, echo_command()) + p_data(3, 2, b"ab"),
    "a data set in another context": p_data(1, 3, command()) + p_data(3, 2, data_set()),
    "a command in two contexts": p_data(1, 1, command()[:40]) + p_data(3, 3, command()[40:]),
    "an empty command": p_data(1, 3, b""),
    "a command of another group": p_data(1, 3, b"\x08\0" + command()[2:]),
    "a command cut inside an element": p_data(1, 3, command()[:-3]),
    "a length beyond the command": p_data(1, 3, command(**{"1000": None}) + b"\0\0\0\x10\xff\xff\xff\x7f12"),
    "a release in the middle of a command": p_data(1, 1, command()[:40]) + pdu(5, bytes(4)),
    "a command of more than 16 KB": p_data(1, 1, command()[:-1] + bytes(16000)) + p_data(1, 3, bytes(1000)),
    "a command in 2,000 fragments": b"".join(p_data(1, 1, b"") for _ in range(2000)),
    "an object of empty fragments": p_data(1, 3, command())
    + b"".join(p_data(1, 0, b"") for _ in range(2000)),
}


@pytest.mark.parametrize("name", DIMSE_ABUSE)
def test_a_message_that_makes_no_sense_is_aborted_and_told(name):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(DIMSE_ABUSE[name])
        answers = everything(peer)
        assert answers[-1][0] == ABORT
        assert answers[-1][1][2] in (0, 2)  # of the service user, or of the provider with its reason
        end = receiver.wait_for_end()
        assert (end.how, end.instances_kept) == ("malformed", 0)
        assert (end.calling_ae, end.called_ae, end.address) == ("MODALITY", "CONSILIUM", "127.0.0.1")
        assert 10 < len(end.why) < 80  # an engineer reads it in the audit
        assert receiver.kept == []
        assert timed_echo(port) < 1


def everything(peer):
    """The PDUs that come up to an abort."""
    found = [peer.read()]
    while found[-1][0] != ABORT:
        found.append(peer.read())
    return found


def test_a_message_id_that_comes_twice_is_answered_twice():
    """N14: nothing is outstanding here while the next request is read, so a number that is used again is free again."""
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        one = p_data(1, 3, command()) + p_data(1, 2, data_set())
        peer.send(one + one + p_data(3, 3, echo_command(7)))
        answers = [peer.response() for _ in range(3)]
        assert [answer[0x0120] for answer in answers] == [b"\7\0"] * 3
        assert [answer[0x0900] for answer in answers] == [b"\0\0"] * 3
    assert len(receiver.kept) == 2


def test_a_command_after_release_is_not_performed():
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(pdu(5, bytes(4)) + p_data(1, 3, command()) + p_data(1, 2, data_set()))
        assert peer.read()[0] == 6
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.read() is None
        assert receiver.wait_for_end().how == "released"
    assert receiver.kept == []


def test_a_service_that_we_do_not_perform_is_answered_and_told():
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command(**{"0100": 0x20})) + p_data(1, 2, b"identifier"))
        assert peer.status()[0] == 0x0211
        peer.send(p_data(1, 3, command(**{"0100": 0x0FFF, "0110": None, "0120": 7, "0800": 0x0101})))
        assert peer.echo() == 0
    assert [told.status for _, told in receiver.refusals] == [0x0211]


def test_a_rejected_context_cannot_be_used():
    receiver = KeepingReceiver(admitted=Admitted(may_store=False, may_echo=True))
    with running(receiver) as port, RawPeer(port) as peer:
        _, body = peer.associate()
        assert contexts_of(body)[1][0] == 1
        peer.send(p_data(1, 3, command()))
        assert peer.read()[0] == ABORT


def test_answers_fit_the_smallest_pdu_of_the_peer():
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate(max_length=64)
        peer.send(p_data(1, 3, command()) + p_data(1, 2, data_set()))
        peer.sock.settimeout(5)
        sizes, last = [], False
        while not last:
            kind, body = peer.read()
            assert kind == 4
            sizes.append(len(body))
            last = bool(body[5] & 2)
        assert max(sizes) <= 64
        assert len(sizes) > 1
