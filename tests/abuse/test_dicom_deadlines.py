"""Slowness at the DICOM port (docs/security.md, N5): whoever drips is cut, whoever pauses is not."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from tests.unit.dicom_node.peers import (
    KeepingReceiver,
    RawPeer,
    associate_rq,
    command,
    data_set,
    p_data,
    running,
)

pytestmark = pytest.mark.abuse

ABORT = 0x07


@pytest.mark.parametrize("sent", [b"", b"\1", associate_rq()[:-1]])
def test_artim_cuts_a_connection_that_asks_for_nothing(sent):
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1) as port, RawPeer(port) as peer:
        started = time.monotonic()
        peer.send(sent)
        assert peer.read() is None
        assert time.monotonic() - started < 2.5
        assert receiver.wait_for_end().how == "timeout"


def test_artim_is_absolute_for_one_byte_at_a_time():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1) as port, RawPeer(port) as peer:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in associate_rq():
                peer.send(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - started < 3
        assert receiver.wait_for_end().how == "timeout"


def test_artim_runs_in_the_middle_of_a_pdu_of_an_object():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1, min_bytes_per_s=1 << 20) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, bytes(5000))[:4000])
        started = time.monotonic()
        assert peer.read() == (ABORT, b"\0\0\2\0")
        assert time.monotonic() - started < 3
        assert receiver.wait_for_end().how == "timeout"
        assert receiver.kept == []


def test_an_object_that_drips_is_cut_by_its_pace():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1, idle_s=0.5, min_bytes_per_s=100_000) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set()[:600]))
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 6:
                peer.send(p_data(1, 0, b"\0\0"))  # every PDU is whole and on time
                time.sleep(0.1)
        assert time.monotonic() - started < 4
        assert receiver.wait_for_end().how == "timeout"


def test_a_command_that_drips_is_cut():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1) as port, RawPeer(port) as peer:
        peer.associate()
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in command():
                peer.send(p_data(1, 1, bytes([byte])))
                time.sleep(0.1)
        assert time.monotonic() - began < 4
        assert receiver.wait_for_end().how == "timeout"


def test_an_idle_association_is_aborted_and_its_place_freed():
    receiver = KeepingReceiver()
    with running(receiver, idle_s=1) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.echo() == 0
        assert peer.read() == (ABORT, b"\0\0\2\0")
        assert receiver.wait_for_end().how == "timeout"


def test_a_pause_between_objects_is_allowed():
    with running(KeepingReceiver(), idle_s=3, artim_s=0.5) as port, RawPeer(port) as peer:
        peer.associate()
        time.sleep(1.5)
        assert peer.echo() == 0


SLOW = {
    "nothing": [b""],
    "one byte": [b"\1"],
    "half a request": [associate_rq()[:100]],
    "a byte each tenth of a second": [bytes([byte]) for byte in associate_rq()[:80]],
}


@pytest.mark.parametrize("name", SLOW)
def test_n5_whoever_is_no_association_in_time_is_cut_within_a_second_of_artim(name):
    receiver = KeepingReceiver()
    with running(receiver, artim_s=2) as port, RawPeer(port) as peer:
        began = time.monotonic()
        speaking = threading.Thread(target=drip, args=(peer, SLOW[name]), daemon=True)
        speaking.start()
        assert peer.read() is None
        assert 1.9 < time.monotonic() - began <= 2 + 1
        assert receiver.wait_for_end().how == "timeout"
        speaking.join(10)


def drip(peer, pieces):
    with contextlib.suppress(OSError):
        for piece in pieces:
            peer.send(piece)
            time.sleep(0.1)


@pytest.mark.parametrize("sent", [6, 12, 500])
def test_n5_half_a_pdu_of_an_object_is_cut_within_a_second_of_its_time(sent):
    """ARTIM and the slowest pace for the PDU that was announced, and not a second more."""
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1, min_bytes_per_s=8192) as port, RawPeer(port) as peer:
        peer.associate()
        whole = p_data(1, 0, bytes(8180))
        peer.send(p_data(1, 3, command()) + whole[:sent])
        began = time.monotonic()
        assert peer.read() == (ABORT, b"\0\0\2\0")
        assert 1.5 < time.monotonic() - began < 1 + 1 + 1
    assert receiver.wait_for_end().how == "timeout"
