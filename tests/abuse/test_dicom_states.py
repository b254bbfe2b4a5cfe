"""Every event in every state (PS3.8 Table 9-10; docs/security.md, N11 N14) over real sockets."""

from __future__ import annotations

import socket

import pytest

from dicom_node.receiver import Admitted
from tests.unit.dicom_node.peers import (
    VERIFICATION,
    KeepingReceiver,
    RawPeer,
    associate_rq,
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


EVENTS = {
    1: associate_rq(),
    2: pdu(2, associate_rq()[6:]),
    3: pdu(3, b"\0\1\1\1"),
    4: p_data(3, 3, echo_command()),
    5: pdu(5, bytes(4)),
    6: pdu(6, bytes(4)),
    7: pdu(7, bytes(4)),
    8: pdu(0x42, bytes(4)),
    "garbage": b"\xff" * 64,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
}
# PS3.8 Table 9-10. Sta2: AE-6, AA-1, AA-2. Sta6: DT-2, AR-2 + AR-4, AA-8 (unexpected 2, unrecognised 1), AA-3.
STA2 = {
    1: 2,
    2: ABORT,
    3: ABORT,
    4: ABORT,
    5: ABORT,
    6: ABORT,
    7: None,
    8: ABORT,
    "garbage": ABORT,
    "http": ABORT,
    "ssh": ABORT,
}
STA6 = {
    1: (ABORT, 2),
    2: (ABORT, 2),
    3: (ABORT, 2),
    4: (4, None),
    5: (6, None),
    6: (ABORT, 2),
    7: (None, None),
    8: (ABORT, 1),
    "garbage": (ABORT, 1),
    "http": (ABORT, 1),
    "ssh": (ABORT, 1),
}
# Sta13: AA-7 for a request (unexpected) and for what is no PDU (unrecognised), AA-2 or AA-6 for the others.
STA13 = dict.fromkeys(EVENTS) | {1: (ABORT, b"\0\0\2\2")}
STA13 |= dict.fromkeys([8, "garbage", "http", "ssh"], (ABORT, b"\0\0\2\1"))


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_while_awaiting_an_association(event):
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.send(EVENTS[event])
        answer = peer.read()
        assert (answer and answer[0]) == STA2[event]
        assert timed_echo(port) < 1


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_on_an_association(event):
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(EVENTS[event])
        answer = peer.read()
        kind, reason = STA6[event]
        assert (answer and answer[0]) == kind
        if reason is not None:
            assert answer[1] == bytes([0, 0, 2, reason])
        assert timed_echo(port) < 1


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_after_release(event):
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.release()[0] == 6
        peer.send(EVENTS[event])
        peer.sock.shutdown(socket.SHUT_WR)
        answer = peer.read()
        assert answer == STA13[event]
        assert timed_echo(port) < 1


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


def test_a_service_that_we_do_not_perform_is_answered():
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command(**{"0100": 0x20})) + p_data(1, 2, b"identifier"))
        assert peer.status()[0] == 0x0211
        peer.send(p_data(1, 3, command(**{"0100": 0x0FFF, "0110": None, "0120": 7, "0800": 0x0101})))
        assert peer.echo() == 0


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
