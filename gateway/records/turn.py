"""Whose turn it is to write: one thread of this process at a time, in the order in which they came, and none waits for ever."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from gateway.domain.errors import UnavailableError

# Longer than one statement of whoever has the turn may take (engine.BUSY_MS, STATEMENT_S) or a dead network goes unnoticed.
PATIENCE_S = 60.0


class Seat:
    """One waiting thread's place in the queue; ``joins`` is whose open transaction it could go on in."""

    __slots__ = ("_gate", "is_called", "joins")

    def __init__(self, *, joins: object | None) -> None:
        self.joins = joins
        self.is_called = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def call(self) -> None:
        """Let its thread go on."""
        self.is_called = True
        self._gate.release()

    def wait(self) -> bool:
        """Wait for the call; False when it does not come."""
        return self._gate.acquire(timeout=PATIENCE_S)


class Turn:
    """A queue for the one turn. A plain lock lets in whoever is quickest, and twenty associations starve one another."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[Seat] = deque()

    def take(self, seat: Seat) -> None:
        """Return when it is this seat's turn; raise ``UnavailableError`` when it does not come, and leave the queue.

        Where a signal ends the wait, ``seat.is_called`` tells whether the turn came.
        """
        with self._guard:
            if not self._is_taken:
                self._is_taken = seat.is_called = True
                return
            self._waiting.append(seat)
        try:
            came = seat.wait()
        except BaseException:
            self._has_left(seat)
            raise
        if not came and self._has_left(seat):
            raise UnavailableError(f"the turn to write did not come within {PATIENCE_S:g} s")

    def _has_left(self, seat: Seat) -> bool:
        """Take a seat out of the queue, unless it has been called in the meantime."""
        with self._guard:
            if seat.is_called:
                return False
            self._waiting.remove(seat)
            return True

    def leave(self) -> None:
        """Hand the turn to the next."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().call()
            else:
                self._is_taken = False

    def leave_to_joiner(self, owner: object) -> bool:
        """Hand the turn on if the next in the queue joins this owner's transaction; else keep it and return False."""
        with self._guard:
            if not self._waiting or self._waiting[0].joins is not owner:
                return False
            self._waiting.popleft().call()
            return True


_TURNS: WeakKeyDictionary[Engine, Turn] = WeakKeyDictionary()
_MAKING = threading.Lock()


def turn_of(engine: Engine) -> Turn:
    """Return the queue before this engine's writing transaction."""
    with _MAKING:
        return _TURNS.setdefault(engine, Turn())


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Wait for the turn where the database has one writer: SQLite's own busy handler naps up to 0.1 s, and is not fair."""
    if engine.dialect.name != "sqlite":
        yield
        return
    turn, seat = turn_of(engine), Seat(joins=None)
    try:
        turn.take(seat)
        yield
    finally:
        if seat.is_called:
            turn.leave()
