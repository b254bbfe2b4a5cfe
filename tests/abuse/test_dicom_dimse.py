"""Messages that make no sense (PS3.7; docs/security.md, N14): an abort, or an exact status, and the audit is told."""

from __future__ import annotations

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
    running,
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
}


@pytest.mark.parametrize("name", DIMSE_ABUSE)
def test_a_message_that_makes_no_sense_is_aborted_and_told(name):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(DIMSE_ABUSE[name])
        assert peer.read()[0] == ABORT
        end = receiver.wait_for_end()
        assert (end.how, end.instances_kept) == ("malformed", 0)
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
