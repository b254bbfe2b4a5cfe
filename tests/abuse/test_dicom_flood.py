"""Crowds at the DICOM port (docs/security.md, #29 #30 N4 N10): many connections, little said, nobody else stopped."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from dicom_node.receiver import Admitted
from tests.unit.dicom_node.peers import (
    KeepingReceiver,
    RawPeer,
    associate_rq,
    running,
    timed_echo,
)

pytestmark = pytest.mark.abuse

REJECT = 0x03


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("first", [b"", b"\1", b"\1\0\0\0", associate_rq()[:60], b"\x16\x03\x01"])
def test_ten_connections_that_say_almost_nothing_stop_nobody(first):
    with running(KeepingReceiver()) as port, contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(RawPeer(port)).send(first)
        assert timed_echo(port) < 1


def test_hundreds_of_silent_connections_stop_nobody_even_from_their_own_address():
    with running(KeepingReceiver()) as port, contextlib.ExitStack() as stack:
        slowest = 0.0
        for n in range(400):
            with contextlib.suppress(OSError):
                stack.enter_context(RawPeer(port, "127.0.0.2")).send(b"\1" * (n % 3))
            if n % 80 == 79:
                slowest = max(slowest, timed_echo(port), timed_echo(port, "127.0.0.2"))
        assert slowest < 1


def test_a_hostile_connection_costs_little_memory():
    with running(KeepingReceiver(), max_pending_per_address=250) as port, contextlib.ExitStack() as stack:
        timed_echo(port)
        before = resident_bytes()
        for _ in range(200):
            peer = stack.enter_context(RawPeer(port))
            peer.send(b"\1\0\0\1\0\0" + b"x" * 100)  # announces 64 KiB
        time.sleep(0.5)
        assert (resident_bytes() - before) / 200 < 256 * 1024


def test_too_many_associations_are_rejected_as_transient():
    with running(KeepingReceiver(), max_associations=3) as port, contextlib.ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(RawPeer(port)).associate()[0] == 2
        with RawPeer(port) as peer:
            assert peer.associate() == (REJECT, b"\0\2\3\2")
        stack.close()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:  # places are free again
            with RawPeer(port) as peer:
                if peer.associate()[0] == 2:
                    return
        pytest.fail("no place became free")


def test_one_peer_cannot_take_every_place():
    receiver = KeepingReceiver(
        admitted=lambda a: Admitted(
            may_store=True, may_echo=True, max_associations=2 if a.calling_ae == "GREEDY" else None
        )
    )
    with running(receiver) as port, contextlib.ExitStack() as stack:
        answers = [stack.enter_context(RawPeer(port)).associate(calling="GREEDY") for _ in range(3)]
        assert [kind for kind, _ in answers] == [2, 2, REJECT]
        assert stack.enter_context(RawPeer(port)).associate(calling="MODEST")[0] == 2
