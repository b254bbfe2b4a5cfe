"""Sizes at the DICOM port (docs/security.md, N6 N7 #30): nothing that a peer declares or repeats fills memory."""

from __future__ import annotations

import contextlib
import gc
import os
import struct
import time
from pathlib import Path

import pytest

from dicom_node.receiver import Admitted, StoreOutcome
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    KeepingReceiver,
    RawPeer,
    associate_rq,
    command,
    context,
    data_set,
    item,
    p_data,
    pdu,
    running,
    timed_echo,
)

pytestmark = pytest.mark.abuse

ABORT = 0x07


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0xFFFFFFF0, 131073])
def test_a_declared_length_fills_no_memory(length):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        gc.collect()
        before = resident_bytes()
        peer.send(struct.pack(">BxI", 1, length))
        sent = 0
        with contextlib.suppress(OSError):
            for _ in range(3000):
                peer.send(bytes(65536))
                sent += 65536
        assert resident_bytes() - before < 4 << 20
        assert sent < 64 << 20
        assert receiver.wait_for_end().how == "malformed"


def test_an_oversized_p_data_is_aborted_with_reason_6():
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(struct.pack(">BxI", 4, 131073) + bytes(1000))
        assert peer.read() == (ABORT, b"\0\0\2\6")
        assert receiver.wait_for_end().how == "malformed"


def test_p_data_without_end_stops_at_the_cap_of_the_instance():
    receiver = KeepingReceiver(reads="into")
    with running(receiver, max_instance_bytes=1 << 20, drain_bytes=1 << 20) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set()))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 << 20:
                peer.send(p_data(1, 0, bytes(16000)))
                sent += 16000
        assert sent < 32 << 20  # what the sockets' buffers hold on top
        assert receiver.wait_for_end().why.startswith("the instance is larger")
        assert receiver.kept == []


def test_a_peers_own_cap_is_answered_with_a700_and_the_association_lives():
    admitted = Admitted(may_store=True, may_echo=True, max_instance_bytes=100_000)
    receiver = KeepingReceiver(admitted=admitted)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set(pixels=bytes(300_000))) == (
            0xA700,
            "Object is larger than the 100000 bytes allowed",
        )
        assert peer.store()[0] == 0
    assert receiver.thrown_away == 1
    assert [told.status for _, told in receiver.refusals] == [0xA700]


def test_a_gigabyte_passes_in_constant_memory():
    class Counting(KeepingReceiver):
        def receive(self, instance):
            buffer, total = bytearray(1 << 20), 0
            while size := instance.stream.readinto(buffer):
                total += size
            self.kept.append(total)
            return StoreOutcome(status=0)

    receiver = Counting()
    chunk = p_data(1, 0, bytes(131066))
    head = data_set()[:-1012] + b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", 8200 * 131066)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store()[0] == 0
        gc.collect()
        before = highest = resident_bytes()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, head))
        for n in range(8200):
            peer.send(chunk)
            if n % 512 == 0:
                highest = max(highest, resident_bytes())
        peer.send(p_data(1, 2, b""))
        assert peer.status()[0] == 0
        assert highest - before < 30 << 20
    assert receiver.kept[1] == len(head) + 8200 * 131066
    assert receiver.kept[1] > 1 << 30


# --- the request (N6) -------------------------------------------------------------------------------------------------

MANY = [context(n % 256, CT, EXPLICIT) for n in range(1, 259, 2)]
IDENTITY = b"\2\0" + struct.pack(">H", 2000) + b"u" * 2000
REQUESTS = {
    "129 contexts": (associate_rq(*MANY), ABORT),
    "an even context": (associate_rq(context(2, CT, EXPLICIT)), ABORT),
    "no context": (associate_rq(item(0x99, b"")), ABORT),
    "a context without transfer syntax": (associate_rq(context(1, CT)), ABORT),
    "30,000 items": (pdu(1, associate_rq()[6:] + item(0x99, b"") * 30_000), ABORT),
    "8,400 transfer syntaxes": (associate_rq(context(1, CT, *["1.2"] * 8_400)), ABORT),
    "an identity of 4 KB and more": (
        associate_rq(extra=(item(0x58, IDENTITY + struct.pack(">H", 2200) + bytes(2200)),)),
        ABORT,
    ),
    "an identity of just less": (
        associate_rq(extra=(item(0x58, IDENTITY + struct.pack(">H", 2000) + bytes(2000)),)),
        3,
    ),
    "an item longer than its request": (pdu(1, associate_rq()[6:] + b"\x50\0\xff\xff"), ABORT),
    "128 contexts of one class": (associate_rq(*MANY[:128]), 2),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_within_bounds(name):
    said, answer = REQUESTS[name]
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        before = resident_bytes()
        began = time.monotonic()
        peer.send(said)
        kind, body = peer.read()
        assert kind == answer
        assert time.monotonic() - began < 1
        assert resident_bytes() - before < 4 << 20
        if kind == ABORT:
            assert body == bytes(4)  # AA-1
            assert receiver.wait_for_end().how == "malformed"
        assert timed_echo(port) < 1
