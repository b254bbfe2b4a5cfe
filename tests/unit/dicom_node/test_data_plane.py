"""P-DATA to messages, over a socket pair."""

import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.ae import Limits
from dicom_node.data_plane import DataPlane
from dicom_node.errors import (
    AssociationOver,
    InstanceTooLarge,
    PeerAborted,
    PeerLost,
    PeerReleased,
    ProtocolViolation,
)
from dicom_node.wire import Wire
from tests.unit.dicom_node.peers import command, p_data, pdu, pdv


class TcpPair:
    """Two connected TCP sockets: a Wire sets TCP options."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.peer = socket.create_connection(server.getsockname())
            self.ours, _ = server.accept()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()
        self.ours.close()


def messages(data, *, limits=None, read=8192, close=True, into=False):
    """[(command bytes' message id, data set)] of what was sent, or the exception that ended it."""
    with TcpPair() as pair:

        def send():
            try:
                pair.peer.sendall(data)
                if close:
                    pair.peer.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        threading.Thread(target=send, daemon=True).start()
        plane = DataPlane(Wire(pair.ours), limits or Limits())
        found = []
        try:
            while True:
                message = plane.next_message()
                held = None
                if message.data_set is not None:
                    held = b""
                    if into:
                        buffer = bytearray(read)
                        while size := message.data_set.readinto(buffer):
                            held += buffer[:size]
                    else:
                        while piece := message.data_set.read(read):
                            held += piece
                found.append((message.context_id, message.command.number(0x0110), held))
        except AssociationOver as over:
            return found, over


DATA = bytes(range(256)) * 40


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(0, 3000), max_size=12),
    st.lists(st.integers(1, 60), max_size=6),
    st.integers(1, 20000),
    st.booleans(),
    st.booleans(),
)
def test_any_splitting_yields_the_same_object(data_cuts, command_cuts, read, one_pdu, into):
    encoded = command()
    pieces = []
    for data, cuts, bit in ((encoded, command_cuts, 1), (DATA, data_cuts, 0)):
        at = 0
        for cut in cuts:
            pieces.append(pdv(5, bit, data[at : at + cut]))
            at = min(at + cut, len(data))
        pieces.append(pdv(5, bit | 2, data[at:]))
    sent = pdu(4, b"".join(pieces)) if one_pdu else b"".join(pdu(4, piece) for piece in pieces)
    found, over = messages(sent * 2, read=read, into=into)
    assert found == [(5, 7, DATA)] * 2
    assert isinstance(over, PeerLost)


def test_objects_follow_each_other_without_a_seam():
    one = p_data(1, 3, command()) + p_data(1, 0, DATA) + p_data(1, 2, b"")
    echo = p_data(3, 3, command(**{"0800": 0x0101}))
    found, _ = messages(one + echo + one)
    assert [(number, held) for number, _, held in found] == [(1, DATA), (3, None), (1, DATA)]


VIOLATIONS = {
    "P-DATA of no length": pdu(4, b""),
    "PDV longer than its PDU": pdu(4, b"\0\0\0\xff\1\3ab"),
    "PDV of length 0": pdu(4, b"\0\0\0\0\1\3ab"),
    "PDV of length 1": pdu(4, b"\0\0\0\1\1\3"),
    "a rest of 3 bytes": pdu(4, pdv(1, 1, b"") + b"abc"),
    "declared 4 GiB": b"\4\0\xff\xff\xff\xf0" + bytes(100),
    "a data set first": p_data(1, 2, DATA),
    "a command inside a data set": p_data(1, 3, command()) + p_data(1, 0, DATA) + p_data(1, 3, command()),
    "a data set in another context": p_data(1, 3, command()) + p_data(3, 2, DATA),
    "a command in two contexts": p_data(1, 1, command()[:20]) + p_data(3, 3, command()[20:]),
    "a command of 20 KiB": p_data(1, 1, bytes(20000)),
    "a command that never ends": b"".join(p_data(1, 1, b"") for _ in range(1100)),
    "empty fragments without end": p_data(1, 3, command()) + b"".join(p_data(1, 0, b"") for _ in range(1100)),
    "garbage as command": p_data(1, 3, b"\xff" * 40),
    "release inside an object": p_data(1, 3, command()) + p_data(1, 0, DATA) + pdu(5, bytes(4)),
    "A-ASSOCIATE-RQ on an association": pdu(1, bytes(70)),
    "A-ASSOCIATE-AC": pdu(2, bytes(70)),
    "A-ASSOCIATE-RJ": pdu(3, bytes(4)),
    "A-RELEASE-RP": pdu(6, bytes(4)),
    "unknown PDU": pdu(0x42, bytes(4)),
    "long A-RELEASE-RQ": pdu(5, bytes(40)),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_named(name):
    _, over = messages(VIOLATIONS[name], close=False)
    assert isinstance(over, ProtocolViolation), over


@pytest.mark.parametrize(("name", "reason"), [("unknown PDU", 1), ("A-RELEASE-RP", 2), ("declared 4 GiB", 6)])
def test_a_violation_carries_the_reason_of_the_abort(name, reason):
    _, over = messages(VIOLATIONS[name], close=False)
    assert (over.source, over.reason) == (2, reason)


def test_release_and_abort_are_told_apart():
    assert isinstance(messages(pdu(5, bytes(4)))[1], PeerReleased)
    assert isinstance(messages(pdu(7, b"\0\0\2\5"))[1], PeerAborted)
    assert isinstance(
        messages(p_data(1, 3, command()) + p_data(1, 0, DATA) + pdu(7, bytes(4)))[1], PeerAborted
    )


def test_an_object_past_its_cap_ends_the_stream():
    _, over = messages(
        p_data(1, 3, command()) + p_data(1, 0, DATA) * 9, limits=Limits(max_instance_bytes=20000)
    )
    assert isinstance(over, InstanceTooLarge)


@pytest.mark.parametrize("into", [False, True])
@pytest.mark.parametrize(("cap", "fits"), [(len(DATA), True), (len(DATA) - 1, False), (1, False)])
def test_the_cap_is_exact_to_the_byte(cap, fits, into):
    sent = p_data(1, 3, command()) + p_data(1, 2, DATA)
    found, over = messages(sent, limits=Limits(max_instance_bytes=cap), into=into, read=1 << 20)
    assert isinstance(over, InstanceTooLarge) is not fits
    assert [held for _, _, held in found] == ([DATA] if fits else [])


def test_a_broken_stream_stays_broken():
    with TcpPair() as pair:
        pair.peer.sendall(p_data(1, 3, command()) + p_data(1, 0, DATA))
        pair.peer.close()
        message = DataPlane(Wire(pair.ours), Limits()).next_message()
        for _ in range(2):
            with pytest.raises(PeerLost):
                message.data_set.read()
        with pytest.raises(PeerLost):
            message.data_set.drain(1 << 30)


def test_time_that_we_take_is_not_held_against_the_sender():
    with TcpPair() as pair:
        pair.peer.sendall(p_data(1, 3, command()) + p_data(1, 2, DATA))
        wire = Wire(pair.ours)
        message = DataPlane(wire, Limits(artim_s=0.2)).next_message()
        threading.Event().wait(0.6)  # a slow disk
        assert message.data_set.read() == DATA
        assert wire.waited_s < 0.2
