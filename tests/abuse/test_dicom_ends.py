"""How associations end (docs/security.md, D14 N7; day-one row 17): cut objects leave nothing, a stopping node keeps its word."""

from __future__ import annotations

import contextlib
import gc
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from dicom_node.ae import Limits
from dicom_node.node import DicomNode, Listening
from dicom_node.receiver import StoreOutcome
from tests.unit.dicom_node.peers import (
    KeepingReceiver,
    RawPeer,
    command,
    data_set,
    p_data,
    pdu,
    running,
    timed_echo,
)

pytestmark = pytest.mark.abuse

ABORT = 0x07


@pytest.mark.parametrize("how", ["abort", "cable", "reset", "release"])
def test_an_object_cut_in_the_middle_is_thrown_away_and_earlier_ones_stay(how):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store()[0] == 0
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set(pixels=bytes(60_000))))
        if how == "abort":
            peer.send(pdu(7, bytes(4)))
        elif how == "release":
            peer.send(pdu(5, bytes(4)))
            assert peer.read()[0] == ABORT
        else:
            if how == "reset":
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sock.close()
        end = receiver.wait_for_end()
        expected = {"abort": "aborted", "cable": "lost", "reset": "lost", "release": "malformed"}
        assert (end.how, end.instances_kept) == (expected[how], 1)
        assert receiver.thrown_away == 1
        assert len(receiver.kept) == 1
        assert timed_echo(port) < 1


def test_a_receiver_that_swallows_the_interruption_cannot_make_it_success():
    class Swallowing(KeepingReceiver):
        def receive(self, instance):
            with contextlib.suppress(Exception):
                while instance.stream.read(1000):
                    pass
            return StoreOutcome(status=0)

    receiver = Swallowing()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set()))
        peer.sock.close()
        assert receiver.wait_for_end().instances_kept == 0


# --- stopping (D14) ----------------------------------------------------------------------------------------------------


def started(receiver, **limits):
    listening = Listening(host="127.0.0.1", port=0)
    node = DicomNode(receiver=receiver, listeners=[listening], limits=Limits(**limits))
    return node, node.start()[0][1]


def test_stopping_aborts_idle_peers_within_two_seconds():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(port)) for _ in range(5)]
        for peer in peers:
            peer.associate()
        silent = stack.enter_context(RawPeer(port))
        began = time.monotonic()
        node.stop(timeout_s=30)
        assert time.monotonic() - began < 2
        assert [peer.read()[0] for peer in peers] == [ABORT] * 5
        assert silent.read() is None
    with pytest.raises(OSError):
        RawPeer(port)


def test_stopping_lets_the_current_instance_finish():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    data = data_set(pixels=bytes(200_000))
    with RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data[:100_000]))
        stopping = threading.Thread(target=node.stop, kwargs={"timeout_s": 10})
        stopping.start()
        time.sleep(1)
        peer.send(p_data(1, 2, data[100_000:]))
        assert peer.status()[0] == 0
        assert peer.read()[0] == ABORT
        stopping.join(5)
        assert not stopping.is_alive()
    assert [held for _, held in receiver.kept] == [data]


def test_stopping_aborts_what_does_not_finish_in_time():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    with RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set(pixels=bytes(9000))))
        began = time.monotonic()
        node.stop(timeout_s=1)
        assert time.monotonic() - began < 3
        assert peer.read()[0] == ABORT
    assert receiver.thrown_away == 1
    assert receiver.wait_for_end().how == "aborted"


def test_a_stopped_node_leaves_its_port_free():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    node.stop(timeout_s=1)
    node.stop(timeout_s=1)
    again = DicomNode(receiver=receiver, listeners=[Listening(host="127.0.0.1", port=port)])
    again.start()
    assert timed_echo(port) < 1
    again.stop(timeout_s=1)


def running_threads():
    """Of the operating system: those that Python's `threading` does not know count too."""
    return len(list(Path("/proc/self/task").iterdir()))


def test_no_thread_and_no_descriptor_is_left_behind():
    receiver = KeepingReceiver()
    gc.collect()
    threads, files = running_threads(), len(list(Path("/proc/self/fd").iterdir()))
    with running(receiver) as port:
        for n in range(30):
            with RawPeer(port) as peer:
                peer.associate()
                if n % 3:
                    peer.send(p_data(1, 3, command()) + b"\xff" * n)
        receiver.wait_for_end(30)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and running_threads() > threads:
        time.sleep(0.05)
    assert running_threads() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 1
