"""Mutated conversations over TCP against a whole node: many at once, left open, each closed by the node in time."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from dicom_node.ae import Limits
from dicom_node.node import DicomNode, Listening
from tests.fuzz.arena import Finding, Keeper
from tests.unit.dicom_node.peers import RawPeer, timed_echo

ARTIM_S, IDLE_S = 1.0, 1.0
MAX_PDU_BYTES, MIN_BYTES_PER_S = 16384, 8192
# Idle before a PDU, ARTIM and the slowest pace inside it, ARTIM to linger, half a second of grain at each, and patience.
LONGEST_S = IDLE_S + 2 * ARTIM_S + MAX_PDU_BYTES / MIN_BYTES_PER_S + 4.0
MOST_OPEN = 60


class Lanes:
    """A running node and the conversations that are open towards it."""

    def __init__(self) -> None:
        self._node = DicomNode(
            receiver=Keeper(),
            listeners=[Listening(host="127.0.0.1", port=0)],
            limits=Limits(
                artim_s=ARTIM_S,
                idle_s=IDLE_S,
                max_pdu_bytes=MAX_PDU_BYTES,
                min_bytes_per_s=MIN_BYTES_PER_S,
                max_pending_per_address=MOST_OPEN * 2,
            ),
        )
        self._open: deque[tuple[float, int, socket.socket]] = deque()
        self.slowest_echo_s = 0.0
        self.finished = 0

    def __enter__(self) -> Self:
        _, self.port = self._node.start()[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, _, sock in self._open:
            sock.close()
        self._node.stop(timeout_s=2)

    def begin(self, number: int, pieces: Sequence[bytes]) -> None:
        """Say everything and leave the connection open."""
        if len(self._open) >= MOST_OPEN:
            self.collect(at_least_one=True)
        peer = RawPeer(self.port, "127.0.0.2")
        with contextlib.suppress(OSError):
            peer.send(b"".join(pieces))
        self._open.append((time.monotonic(), number, peer.sock))

    def collect(self, *, at_least_one: bool = False) -> None:
        """Look at those whose time is over: the node must have closed them."""
        while self._open and (at_least_one or time.monotonic() - self._open[0][0] > LONGEST_S):
            at_least_one = False
            began, number, sock = self._open.popleft()
            with sock:
                sock.settimeout(max(0.05, began + LONGEST_S - time.monotonic()))
                try:
                    with contextlib.suppress(ConnectionError):
                        while sock.recv(65536):
                            pass
                except TimeoutError:
                    raise Finding(f"input {number} is still open after {LONGEST_S} s") from None
            self.finished += 1

    def echo(self) -> None:
        """A legitimate peer from another address is served."""
        self.slowest_echo_s = max(self.slowest_echo_s, timed_echo(self.port))
        if self.slowest_echo_s > 1:
            raise Finding(f"a C-ECHO took {self.slowest_echo_s:.2f} s")

    def empty(self) -> None:
        """Wait for all of them; afterwards the node holds no connection."""
        while self._open:
            self.collect(at_least_one=True)
        deadline = time.monotonic() + LONGEST_S
        while self._node.counts() != (0, 0):
            if time.monotonic() > deadline:
                raise Finding(f"the node holds {self._node.counts()} connections of nobody")
            time.sleep(0.05)
