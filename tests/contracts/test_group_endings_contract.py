"""What changes are told when their shared transaction begins or ends badly, tried on SQLite and on PostgreSQL.

Nobody is told of success whose rows are not kept, nobody is refused for what comes after the commit, and the next gets in.
"""

import threading
from types import SimpleNamespace

import pytest

from gateway.domain.errors import NotFoundError, UnavailableError
from gateway.records import checkpoint, group
from tests.fakes.callers import Caller, ended, next_gets_in, queued, subjects
from tests.fakes.journey_house import Killed

BEFORE_THE_COMMIT = ("move", "commit", "answer", "giving_back_what_failed")
AFTER_THE_COMMIT = ("giving_back", "checkpointer")
KINDS = ["driver", MemoryError, RuntimeError, Killed]


@pytest.fixture(autouse=True)
def time_to_join(monkeypatch):
    """A slow computer must not end a group before the next caller is there."""
    monkeypatch.setattr(group, "MOST_S", 600)


def _raising(house, kind):
    driver = house.records._write.dialect.loaded_dbapi
    error = driver.OperationalError("no answer, near «Hemlig Person»") if kind == "driver" else kind()

    def fail(*_, **__):
        raise error

    return fail


class Failing:
    """The driver's connection of the open transaction, which fails where it is told to."""

    def __init__(self, connection, **failing):
        self._connection, self._failing = connection, failing

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *values):
        if sql.startswith("ROLLBACK TO") and "take_back" in self._failing:
            self._failing["take_back"]()
        return self._connection.execute(sql, *values)

    def commit(self):
        if "commit" in self._failing:
            self._failing["commit"]()
        self._connection.commit()
        if "answer" in self._failing:
            self._failing["answer"]()


def _fail_at(point, house, patch, fail):
    writer = house.records._writer
    if point == "move":
        patch.setattr(house.records._craft.trail, "move", fail)
    elif point == "giving_back":
        patch.setattr(group, "give_back", fail)
    elif point == "giving_back_what_failed":
        patch.setattr(house.records._craft.trail, "move", _raising(house, "driver"))
        patch.setattr(group, "give_back", fail)
    elif point == "checkpointer":
        lame = type("Lame", (threading.Thread,), {"start": fail})
        patch.setattr(checkpoint, "EVERY_COMMITS", 1)
        patch.setattr(checkpoint, "threading", SimpleNamespace(Thread=lame))
    else:
        writer._open.connection = Failing(writer._open.connection, **{point: fail})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", [*BEFORE_THE_COMMIT, *AFTER_THE_COMMIT])
def test_whatever_fails_at_the_end_nobody_is_told_what_is_not_so_and_the_next_gets_in(
    house, monkeypatch, point, kind
):
    for names in ("abc", "d", "ef"):
        callers = [Caller(house, name, stays=True) for name in names]
        queued(house, *callers)
        with monkeypatch.context() as patch:
            _fail_at(point, house, patch, _raising(house, kind))
            results = ended(*callers)
        kept = subjects(house)
        assert {caller.subject for caller in callers if caller.result == "durable"} <= kept
        *others, last = results
        if point in AFTER_THE_COMMIT:
            assert others == ["durable"] * len(others)
            assert last == "durable" or (kind is Killed and last is Killed)
            assert kept >= set(names)
        else:
            assert others == [UnavailableError] * len(others)
            assert last is (Killed if kind is Killed else UnavailableError)
            assert point == "answer" or not kept & set(names)
        assert all("Hemlig" not in str(caller.result) for caller in callers)
        next_gets_in(house, f"after {names}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_cannot_be_taken_back_takes_all_with_it(house, kind):
    def lose(change):
        writer = house.records._writer
        writer._open.connection = Failing(writer._open.connection, take_back=_raising(house, kind))
        raise ZeroDivisionError

    callers = [Caller(house, "a", stays=True), Caller(house, "b", stays=True, body=lose)]
    queued(house, *callers)
    told = Killed if kind is Killed else ZeroDivisionError
    assert ended(*callers) == [UnavailableError, told]
    assert subjects(house) == set()
    next_gets_in(house, "c")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["lease", "kept_apart", "take_turn"])
def test_whatever_fails_at_the_beginning_leaves_the_trail_whole_and_the_next_gets_in(
    house, monkeypatch, point, kind
):
    where = {
        "lease": (group, "lease"),
        "kept_apart": (house.records._writer, "_kept_apart"),
        "take_turn": (house.records._craft.trail, "take_turn"),
    }[point]
    house.records._writer.close()
    caller = Caller(house, "a")
    with monkeypatch.context() as patch:
        patch.setattr(*where, _raising(house, kind))
        caller.start()
        assert ended(caller) == [UnavailableError if kind == "driver" else kind]
    assert subjects(house) == set()
    next_gets_in(house, "b")


def test_a_checkpointer_that_could_not_begin_begins_with_the_next_need(house, monkeypatch):
    checkpointer = house.records._writer._checkpointer
    if checkpointer is None:
        pytest.skip("PostgreSQL brings its own log home")
    with monkeypatch.context() as patch:
        _fail_at("checkpointer", house, patch, _raising(house, RuntimeError))
        next_gets_in(house, "a")
        assert checkpointer._thread is None
    monkeypatch.setattr(checkpoint, "EVERY_COMMITS", 1)
    next_gets_in(house, "b")
    assert checkpointer._thread.is_alive()


def test_a_connection_is_kept_only_after_a_commit_that_succeeded(house, monkeypatch):
    writer = house.records._writer
    next_gets_in(house, "a")
    held = writer._held
    assert (held is not None) is writer._is_sqlite
    caller = Caller(house, "b", stays=True)
    queued(house, caller)
    with monkeypatch.context() as patch:
        _fail_at("move", house, patch, _raising(house, MemoryError))
        ended(caller)
    assert writer._held is None
    next_gets_in(house, "c")


def test_keys_whose_end_may_be_committed_are_remembered_no_longer(house, monkeypatch):
    case = house.case()
    with house.records.view() as view:
        view.key(case.id, "originals")

    def destroy(change):
        assert change.destroy_keys(case.id)

    caller = Caller(house, "a", stays=True, body=destroy)
    queued(house, caller)
    with monkeypatch.context() as patch:
        _fail_at("answer", house, patch, _raising(house, "driver"))
        assert ended(caller) == [UnavailableError]
    with pytest.raises(NotFoundError), house.records.view() as view:
        view.key(case.id, "originals")


def test_a_bell_that_breaks_refuses_nobody(house, monkeypatch):
    caller = Caller(house, "a")
    with monkeypatch.context() as patch:
        patch.setattr(house.bell, "ring", _raising(house, RuntimeError))
        caller.start()
        assert ended(caller) == ["durable"]
    assert subjects(house) == {"a"}
