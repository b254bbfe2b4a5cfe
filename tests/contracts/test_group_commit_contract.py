"""What changes that share a commit promise each other, tried on SQLite and on PostgreSQL."""

import threading
import time

import pytest

from gateway.domain.audit import flaws
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.people import HOUSE
from gateway.records import UnauditedChangeError, group

PATIENCE_S = 20


@pytest.fixture(autouse=True)
def time_to_join(monkeypatch):
    """A slow computer must not end a group before the next caller is there."""
    monkeypatch.setattr(group, "MOST_S", 600)


class Caller(threading.Thread):
    """Makes one change in a thread of its own: says when it is in, and stays in until it is let go."""

    def __init__(self, house, name, *, stays=False, body=lambda change: None, notes=True):
        super().__init__(daemon=True)
        self.house, self.subject, self.body, self.notes = house, name, body, notes
        self.is_in, self.may_go = threading.Event(), threading.Event()
        self.result = None
        if not stays:
            self.may_go.set()

    def run(self):
        try:
            with self.house.records.change(by=HOUSE) as change:
                self.before = change.head()[0]
                change.owe("settle_study", self.subject, due_at=self.house.clock.now())
                self.seen = {subject for (subject,) in change.jobs.pick(["subject_id"])}
                self.is_in.set()
                assert self.may_go.wait(PATIENCE_S)
                self.body(change)
                if self.notes:
                    change.note("study_settled", subject=self.subject)
            self.result = "durable"
        except Exception as error:
            self.result = error


def _queued(house, *callers):
    """Start them one after another, each once the one before is in or waits for its turn."""
    turn = house.records._writer._turn
    callers[0].start()
    assert callers[0].is_in.wait(PATIENCE_S)
    for number, caller in enumerate(callers[1:], start=1):
        caller.start()
        until = time.monotonic() + PATIENCE_S
        while len(turn._waiting) < number:
            assert time.monotonic() < until
            time.sleep(0.001)


def _ended(*callers):
    for caller in callers:
        caller.may_go.set()
    for caller in callers:
        caller.join(PATIENCE_S)
    return [c.result if isinstance(c.result, str) else type(c.result) for c in callers]


def _intact(house):
    with house.records.view() as view:
        seq, head = view.head()
        return list(flaws(view.events(), head_seq=seq, head_hash=head)) == []


def _subjects(house):
    return {job.subject_id for job in house.rows("jobs")}


def test_a_change_that_another_joins_returns_only_when_both_are_durable(house):
    first, second = Caller(house, "a", stays=True), Caller(house, "b", stays=True)
    _queued(house, first, second)
    first.may_go.set()
    assert second.is_in.wait(PATIENCE_S)
    assert second.seen == {"a", "b"}
    assert second.before == first.before + 1
    first.join(0.2)
    assert first.result is None
    assert _subjects(house) == set()
    assert house.bell.rung == []
    assert _ended(first, second) == ["durable"] * 2
    assert _subjects(house) == {"a", "b"}
    assert len(house.bell.rung) == 2
    assert _intact(house)


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
    _queued(house, *callers)
    results = _ended(*callers)
    expected = {"error": ZeroDivisionError, "unaudited": UnauditedChangeError, "twice": ConflictError}[how]
    assert results.pop(failing) is expected
    assert results == ["durable"] * 2
    assert _subjects(house) == set("abc") - {"abc"[failing]}
    assert len(house.events("study_settled")) == 2
    assert _intact(house)


def test_when_the_commit_fails_it_fails_for_all_and_the_next_change_is_whole(house, monkeypatch):
    driver = house.records._write.dialect.loaded_dbapi

    def lost(*_):
        raise driver.OperationalError("disk full, near «Hemlig Person»")

    callers = [Caller(house, name, stays=True) for name in "abc"]
    _queued(house, *callers)
    with monkeypatch.context() as patch:
        patch.setattr(house.records._craft.trail, "move", lost)
        assert _ended(*callers) == [UnavailableError] * 3
    assert all("Hemlig" not in str(caller.result) for caller in callers)
    assert _subjects(house) == set()
    assert house.bell.rung == []
    (after,) = (Caller(house, "d"),)
    after.start()
    assert _ended(after) == ["durable"]
    assert _subjects(house) == {"d"}
    assert _intact(house)


def test_when_the_transaction_is_lost_in_a_joiner_those_before_it_are_told(house):
    def lose(change):
        change._connection.rollback()
        raise ZeroDivisionError

    callers = [Caller(house, "a", stays=True), Caller(house, "b", stays=True, body=lose), Caller(house, "c")]
    _queued(house, *callers)
    assert _ended(*callers) == [UnavailableError, ZeroDivisionError, "durable"]
    assert _subjects(house) == {"c"}
    assert _intact(house)


def test_a_group_ends_when_it_is_full_so_that_nobody_waits_for_ever(house, monkeypatch):
    monkeypatch.setattr(group, "MOST_MEMBERS", 2)
    callers = [Caller(house, name, stays=True) for name in "abc"]
    _queued(house, *callers)
    callers[0].may_go.set()
    callers[1].may_go.set()
    assert callers[2].is_in.wait(PATIENCE_S)
    callers[0].join(PATIENCE_S)
    assert callers[0].result == "durable"
    assert _subjects(house) == {"a", "b"}
    assert _ended(*callers) == ["durable"] * 3


def test_a_claim_of_work_waits_for_the_commit_and_does_not_join_it(house):
    first, third = Caller(house, "a", stays=True), Caller(house, "c")
    _queued(house, first)
    claimed = []
    claim = threading.Thread(
        target=lambda: claimed.append(house.jobs.claim_job(now=house.clock.now(), owner="w", lease_s=30))
    )
    claim.start()
    if house.records._write.dialect.name == "sqlite":
        while not house.records._writer._turn._waiting:
            time.sleep(0.001)
    third.start()
    assert _ended(first) == ["durable"]
    claim.join(PATIENCE_S)
    assert _ended(third) == ["durable"]
    if house.records._write.dialect.name == "sqlite":
        assert claimed[0].subject_id == "a"
    assert _intact(house)
