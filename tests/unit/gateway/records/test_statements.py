"""The texts that go to the driver: only the schema's names stand in them, and every value is bound."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from gateway.records.statements import Statements
from gateway.records.tables import KINDS

DIALECTS = [sqlite.dialect(paramstyle="qmark"), postgresql.dialect(paramstyle="format")]


@pytest.fixture(params=DIALECTS, ids=["sqlite", "postgresql"])
def jobs(request):
    return Statements(KINDS["jobs"].table, request.param)


@pytest.mark.parametrize("name", ["no", 'id" OR 1=1 --', "state, owner"])
def test_what_is_no_column_never_comes_into_a_text(jobs, name):
    for use in (
        lambda: jobs.matching({name: "x"}),
        lambda: jobs.setting({name: "x"}),
        lambda: jobs.ordered(name, None),
        lambda: jobs.selecting([name]),
    ):
        with pytest.raises(KeyError):
            use()
    with pytest.raises(ValueError, match="invalid literal"):
        jobs.ordered("id", "1; DROP TABLE job")


def test_every_value_is_bound(jobs):
    hostile = "x' OR '1'='1"
    text, values = jobs.matching({"state": hostile, "kind": [hostile, "b"], "case_id": None, "owner": ()})
    mark = jobs.mark
    assert text == f' WHERE "state" = {mark} AND "kind" IN ({mark}, {mark}) AND "case_id" IS NULL AND 1 = 0'
    assert values == [hostile, hostile, "b"]
    assert jobs.setting({"error": hostile}) == (f'SET "error" = {mark}', [hostile])


def test_a_column_that_is_a_word_of_sql_is_quoted():
    asked = Statements(KINDS["asked_instances"].table, DIALECTS[0])
    assert '"references"' in asked.select
    assert asked.insert.count("?") == len(asked.names)


def test_a_time_is_kept_in_utc_to_the_microsecond_as_sqlalchemy_writes_it():
    jobs = Statements(KINDS["jobs"].table, DIALECTS[0])
    there = datetime(2026, 11, 22, 10, 30, 0, 7, tzinfo=timezone(timedelta(hours=1)))
    kept = jobs.bound("due_at", there)
    assert kept == "2026-11-22 09:30:00.000007"
    assert jobs.values(["due_at"], [kept]) == {"due_at": there.astimezone(UTC)}
    assert jobs.bound("finished_at", None) is None
