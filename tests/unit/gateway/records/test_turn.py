"""The queue before the writing transaction: in order, handed on, and not stuck when a waiting thread is interrupted."""

import threading
import time

import pytest

from gateway.domain.errors import UnavailableError
from gateway.records import turn as turns
from gateway.records.turn import Seat, Turn


def _wait_until(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_threads_come_in_in_the_order_in_which_they_came(house):
    turn, order = Turn(), []
    turn.take(Seat(joins=None))

    def come(number):
        turn.take(Seat(joins=None))
        order.append(number)
        turn.leave()

    threads = [threading.Thread(target=come, args=(n,)) for n in range(10)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        _wait_until(lambda n=number: len(turn._waiting) == n)
    turn.leave()
    for thread in threads:
        thread.join(20)
    assert order == list(range(10))


def test_the_turn_is_handed_only_to_who_joins_the_same_owner():
    turn, mine, other = Turn(), object(), object()
    turn.take(Seat(joins=mine))
    assert not turn.leave_to_joiner(mine)
    for joins, goes in ((None, False), (other, False), (mine, True)):
        seat = Seat(joins=joins)
        waiter = threading.Thread(target=turn.take, args=(seat,))
        waiter.start()
        _wait_until(lambda: turn._waiting)
        assert turn.leave_to_joiner(mine) is goes
        if not goes:
            assert not seat.is_called
            turn.leave()
        waiter.join(20)
        assert seat.is_called


class Interrupted(Seat):
    """A signal ends the wait; with ``late``, after the turn has been handed over."""

    late = None

    def wait(self):
        if self.late is not None:
            self.late.leave()
        raise KeyboardInterrupt


def test_a_thread_whose_wait_was_interrupted_leaves_the_queue():
    turn, seat = Turn(), Interrupted(joins=None)
    turn.take(Seat(joins=None))
    with pytest.raises(KeyboardInterrupt):
        turn.take(seat)
    assert not seat.is_called
    assert not turn._waiting
    turn.leave()
    turn.take(Seat(joins=None))


def test_a_thread_that_was_interrupted_with_the_turn_in_hand_is_told_so():
    turn, seat = Turn(), Interrupted(joins=None)
    turn.take(Seat(joins=None))
    seat.late = turn
    with pytest.raises(KeyboardInterrupt):
        turn.take(seat)
    assert seat.is_called
    turn.leave()
    turn.take(Seat(joins=None))


def test_a_thread_whose_turn_does_not_come_leaves_the_queue_and_the_others_keep_their_places(monkeypatch):
    turn, order = Turn(), []
    turn.take(Seat(joins=None))

    def come(name):
        turn.take(Seat(joins=None))
        order.append(name)
        turn.leave()

    first = threading.Thread(target=come, args=("first",))
    first.start()
    _wait_until(lambda: len(turn._waiting) == 1)
    monkeypatch.setattr(turns, "PATIENCE_S", 0.02)
    seat = Seat(joins=None)
    with pytest.raises(UnavailableError, match="turn"):
        turn.take(seat)
    assert not seat.is_called
    monkeypatch.undo()
    last = threading.Thread(target=come, args=("last",))
    last.start()
    _wait_until(lambda: len(turn._waiting) == 2)
    turn.leave()
    first.join(20)
    last.join(20)
    assert order == ["first", "last"]
    assert not turn._is_taken


class CalledLate(Seat):
    """Its patience ends at the moment when the turn is handed over."""

    def __init__(self, turn):
        super().__init__(joins=None)
        self.turn = turn

    def wait(self):
        self.turn.leave()
        return False


def test_a_thread_that_is_called_as_its_patience_ends_has_the_turn():
    turn = Turn()
    turn.take(Seat(joins=None))
    seat = CalledLate(turn)
    turn.take(seat)
    assert seat.is_called
    assert turn._is_taken
    turn.leave()
    assert not turn._is_taken
