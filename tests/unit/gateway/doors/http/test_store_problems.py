"""What visitors are told when the store fails: no room is one thing, a failure another, and reading is not saving."""

from __future__ import annotations

import pytest

from gateway.domain.errors import UnavailableError
from gateway.doors.http.problems import OF_RECORDS, problem_of, problem_of_store
from gateway.doors.machine.transaction import _refusal
from gateway.records.transaction import unanswered
from storage import (
    ObjectMissingError,
    StoreFullError,
    StoreLowError,
    StoreOutageError,
    VolumeFailedError,
)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreFullError(), 507, "store_full"),
        (StoreLowError(), 507, "store_low"),
        (VolumeFailedError(), 503, "store_failed"),
        (StoreOutageError(), 503, "store_failed"),
    ],
)
def test_only_want_of_room_is_told_as_want_of_room(error, status, code):
    problem = problem_of_store(error)
    assert (problem.status, problem.code) == (status, code)
    assert ("room" in problem.title) == (status == 507)


def test_stow_tells_a_failed_volume_as_a_failure_and_a_full_one_as_full():
    assert _refusal(VolumeFailedError())[1] == "down"
    assert _refusal(StoreFullError())[1] == "full"


def test_who_reads_is_not_told_that_nothing_was_kept():
    assert "kept" not in problem_of_store(StoreOutageError(), is_reading=True).step.replace(
        "What is kept is safe", ""
    )
    assert "safe" in problem_of_store(VolumeFailedError(), is_reading=True).step
    assert "safe" not in problem_of_store(ObjectMissingError(), is_reading=True).step


def test_what_the_records_say_is_a_sentence_that_has_its_swedish():
    for name in ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_READ", ""):
        failed = RuntimeError("a name in it")
        failed.sqlite_errorname = name  # type: ignore[attr-defined]  # as the driver's errors have it
        told = problem_of(unanswered(failed, is_outage=True))
        assert told.detail in OF_RECORDS
        assert told.step in OF_RECORDS
    assert problem_of(UnavailableError("no (2 of 3)")).detail == "no (2 of 3)"
