"""What changes that share a commit promise each other, tried on SQLite and on PostgreSQL."""

import threading
import time

import pytest

from gateway.domain.errors import ConflictError, UnavailableError
from gateway.records import UnauditedChangeError, group, turn
from tests.fakes.callers import PATIENCE_S, Caller, ended, is_intact, next_gets_in, queued, subjects


@pytest.fixture(autouse=True)
def time_to_join(monkeypatch):
    """A slow computer must not end a group before the next caller is there."""
    monkeypatch.setattr(group, "MOST_S", 600)


def test_a_change_that_another_joins_returns_only_when_both_are_durable(house):
    first, second = Caller(house, "a", stays=True), Caller(house, "b", stays=True)
    queued(house, first, second)
    first.may_go.set()
    assert second.is_in.wait(PATIENCE_S)
    assert second.seen == {"a", "b"}
    assert second.before == first.before + 1
    first.join(0.2)
    assert first.result is None
    assert subjects(house) == set()
    assert house.bell.rung == []
    assert ended(first, second) == ["durable"] * 2
    assert subjects(house) == {"a", "b"}
    assert len(house.bell.rung) == 2
    assert is_intact(house)


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("how", ["error", "unaudited", "twice"])
def test_a_failing_member_takes_back_its_own_rows_and_nobody_elses(house, failing, how):
    case = house.case()

    def fail(change):
        if how == "twice":
            change.cases.add(case)
        elif how == "error":
            raise ZeroDivisionError

    callers = [
        Caller(house, name, stays=True, body=fail if n == failing else lambda c: None, notes=n != failing)
        for n, name in enumerate("abc")
    ]
    queued(house, *callers)
    results = ended(*callers)
    expected = {"error": ZeroDivisionError, "unaudited": UnauditedChangeError, "twice": ConflictError}[how]
    assert results.pop(failing) is expected
    assert results == ["durable"] * 2
    assert subjects(house) == set("abc") - {"abc"[failing]}
    assert len(house.events("study_settled")) == 2
    assert is_intact(house)


def test_when_the_commit_fails_it_fails_for_all_and_the_next_change_is_whole(house, monkeypatch):
    driver = house.records._write.dialect.loaded_dbapi

    def lost(*_):
        raise driver.OperationalError("disk full, near «Hemlig Person»")

    callers = [Caller(house, name, stays=True) for name in "abc"]
    queued(house, *callers)
    with monkeypatch.context() as patch:
        patch.setattr(house.records._craft.trail, "move", lost)
        assert ended(*callers) == [UnavailableError] * 3
    assert all("Hemlig" not in str(caller.result) for caller in callers)
    assert subjects(house) == set()
    assert house.bell.rung == []
    (after,) = (Caller(house, "d"),)
    after.start()
    assert ended(after) == ["durable"]
    assert subjects(house) == {"d"}
    assert is_intact(house)


def test_when_the_transaction_is_lost_in_a_joiner_those_before_it_are_told(house):
    def lose(change):
        change._connection.rollback()
        raise ZeroDivisionError

    callers = [Caller(house, "a", stays=True), Caller(house, "b", stays=True, body=lose), Caller(house, "c")]
    queued(house, *callers)
    assert ended(*callers) == [UnavailableError, ZeroDivisionError, "durable"]
    assert subjects(house) == {"c"}
    assert is_intact(house)


def test_a_group_ends_when_it_is_full_so_that_nobody_waits_for_ever(house, monkeypatch):
    monkeypatch.setattr(group, "MOST_MEMBERS", 2)
    callers = [Caller(house, name, stays=True) for name in "abc"]
    queued(house, *callers)
    callers[0].may_go.set()
    callers[1].may_go.set()
    assert callers[2].is_in.wait(PATIENCE_S)
    callers[0].join(PATIENCE_S)
    assert callers[0].result == "durable"
    assert subjects(house) == {"a", "b"}
    assert ended(*callers) == ["durable"] * 3


def test_a_claim_of_work_waits_for_the_commit_and_does_not_join_it(house):
    first, third = Caller(house, "a", stays=True), Caller(house, "c")
    queued(house, first)
    claimed = []
    claim = threading.Thread(
        target=lambda: claimed.append(house.jobs.claim_job(now=house.clock.now(), owner="w", lease_s=30))
    )
    claim.start()
    if house.records._write.dialect.name == "sqlite":
        while not house.records._writer._turn._waiting:
            time.sleep(0.001)
    third.start()
    assert ended(first) == ["durable"]
    claim.join(PATIENCE_S)
    assert ended(third) == ["durable"]
    if house.records._write.dialect.name == "sqlite":
        assert claimed[0].subject_id == "a"
    assert is_intact(house)


def test_a_transaction_is_begun_once(house, monkeypatch):
    writer, told, lease = house.records._writer, [], group.lease

    def watched(engine):
        pooled = lease(engine)
        if writer._is_sqlite:
            pooled.driver_connection.set_trace_callback(told.append)
        else:
            pooled.driver_connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        return pooled

    writer.close()
    with monkeypatch.context() as patch:
        patch.setattr(group, "lease", watched)
        next_gets_in(house, "a")
    begun = [line for line in told if line.startswith("BEGIN") or "already" in line]
    assert begun == (["BEGIN IMMEDIATE"] if writer._is_sqlite else [])
    if writer._is_sqlite:
        assert sum(line.startswith(("BEGIN", "COMMIT", "PRAGMA", "UPDATE audit_head")) for line in told) == 3


def test_who_waits_for_its_turn_too_long_gives_up_and_leaves_the_queue(house, monkeypatch):
    first, second, third = Caller(house, "a", stays=True), Caller(house, "b"), Caller(house, "c")
    queued(house, first)
    with monkeypatch.context() as patch:
        patch.setattr(turn, "PATIENCE_S", 0.05)
        second.start()
        second.join(PATIENCE_S)
    assert type(second.result) is UnavailableError
    assert not house.records._writer._turn._waiting
    third.start()
    assert ended(first, third) == ["durable"] * 2
    assert subjects(house) == {"a", "c"}
    next_gets_in(house, "d")


def test_who_waits_for_the_commit_too_long_gives_up_for_all_and_who_comes_then_begins_anew(
    house, monkeypatch
):
    first, second, third = Caller(house, "a", stays=True), Caller(house, "b", stays=True), Caller(house, "c")
    queued(house, first, second, third)
    with monkeypatch.context() as patch:
        patch.setattr(turn, "PATIENCE_S", 0.05)
        first.may_go.set()
        first.join(PATIENCE_S)
    assert type(first.result) is UnavailableError
    assert ended(first, second, third) == [UnavailableError, UnavailableError, "durable"]
    assert subjects(house) == {"c"}
    next_gets_in(house, "d")


def test_a_claim_that_waits_for_its_turn_too_long_gives_up(house, monkeypatch):
    if not house.records._writer._is_sqlite:
        pytest.skip("PostgreSQL has many writers: a claim waits for no turn of ours")
    first = Caller(house, "a", stays=True)
    queued(house, first)
    with monkeypatch.context() as patch:
        patch.setattr(turn, "PATIENCE_S", 0.05)
        with pytest.raises(UnavailableError, match="turn"):
            house.jobs.claim_job(now=house.clock.now(), owner="w", lease_s=30)
    assert ended(first) == ["durable"]
    assert house.jobs.claim_job(now=house.clock.now(), owner="w", lease_s=30).subject_id == "a"
