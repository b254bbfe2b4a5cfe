"""The moves of a case, its clock and its checklist, tried on every pair and on made-up calendars."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import checklist
from gateway.domain.case import CASE_MOVES, OPEN_STATES, RECEIVING_STATES, STATES, Pause, moved
from gateway.domain.deadline import answer_due
from gateway.domain.errors import ImpossibleMoveError
from gateway.domain.ids import CASE_REF, new_case_ref, new_id, normal_case_ref
from gateway.domain.upload import CodePolicy

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
MOVES = sorted({move for _, move in CASE_MOVES})


@pytest.mark.parametrize(("state", "move"), sorted(CASE_MOVES))
def test_every_move_in_the_table_leads_where_it_says(state, move):
    assert moved(state, move) == CASE_MOVES[state, move]
    assert moved(state, move) in STATES


def test_every_pair_that_is_not_in_the_table_is_refused_and_says_what_can_be_done():
    refused = [pair for pair in product(STATES, MOVES) if pair not in CASE_MOVES]
    assert len(refused) == len(STATES) * len(MOVES) - len(CASE_MOVES)
    for state, move in refused:
        with pytest.raises(ImpossibleMoveError, match=f"«{state}» cannot «{move}»") as caught:
            moved(state, move)
        for able in (m for s, m in CASE_MOVES if s == state):
            assert able in caught.value.next_step


def test_a_case_takes_material_in_no_state_in_which_it_is_over():
    assert not {"declined", "answered", "delivered", "closed"} & set(RECEIVING_STATES)
    assert set(OPEN_STATES) < set(RECEIVING_STATES) <= set(STATES)


def _due(days=10, pauses=(), now=T0, holidays=(), started_at=T0):
    return answer_due(started_at=started_at, days=days, pauses=pauses, now=now, holidays=holidays)


def test_there_is_no_due_day_before_the_documentation_is_complete():
    assert _due(started_at=None).due_at is None


def test_a_pause_moves_the_day_by_its_own_length_and_a_running_one_by_what_has_passed():
    pause = Pause(since=T0 + timedelta(days=1), until=T0 + timedelta(days=3), reason="pathology")
    assert _due(pauses=[pause]).due_at == T0 + timedelta(days=12)
    running = Pause(since=T0 + timedelta(days=1), until=None, reason="pathology")
    due = _due(pauses=[running], now=T0 + timedelta(days=5))
    assert due.due_at == T0 + timedelta(days=14)
    assert due.paused_for == "pathology"


def test_a_pause_before_the_clock_started_counts_only_from_its_start():
    early = Pause(since=T0 - timedelta(days=9), until=T0 - timedelta(days=2), reason="x")
    across = Pause(since=T0 - timedelta(days=2), until=T0 + timedelta(days=1), reason="x")
    assert _due(pauses=[early]).due_at == T0 + timedelta(days=10)
    assert _due(pauses=[across]).due_at == T0 + timedelta(days=11)


def test_a_due_day_that_is_a_holiday_moves_to_the_next_that_is_none():
    holidays = [date(2026, 3, 12), date(2026, 3, 13), date(2026, 3, 14)]
    assert _due(holidays=holidays).due_at == datetime(2026, 3, 15, 9, tzinfo=UTC)


@given(
    gaps=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=8),
    days=st.sampled_from([10, 15]),
    closed=st.sets(st.integers(0, 60), max_size=20),
)
def test_the_day_is_never_early_never_a_holiday_and_never_later_than_it_must_be(gaps, days, closed):
    at, pauses = T0, []
    for wait, length in gaps:
        since = at + timedelta(seconds=wait)
        at = since + timedelta(seconds=length)
        pauses.append(Pause(since=since, until=at, reason="x"))
    holidays = {(T0 + timedelta(days=day)).date() for day in closed}
    due = _due(days=days, pauses=pauses, now=at, holidays=holidays).due_at
    plain = T0 + timedelta(days=days) + sum((p.until - p.since for p in pauses), timedelta())
    assert due >= plain
    assert due.date() not in holidays
    assert all((plain + timedelta(days=n)).date() in holidays for n in range((due - plain).days))


def test_a_fresh_checklist_wants_everything_and_ticking_leaves_the_old_one_alone():
    fresh = checklist.fresh("mdt")
    assert checklist.missing(fresh) == checklist.REQUIRED["mdt"]
    ticked = checklist.ticked(fresh, "imaging")
    assert fresh["imaging"] == "wanted"
    assert "imaging" not in checklist.missing(ticked)
    assert "pathology" in checklist.ticked(fresh, "pathology")
    assert "labs" not in checklist.missing(checklist.ticked(fresh, "labs", "not_available"))


@given(st.binary(min_size=5, max_size=5))
def test_a_reference_is_an_ae_title_and_is_found_however_it_is_typed(raw):
    ref = new_case_ref(lambda size: raw)
    assert CASE_REF.match(ref)
    assert len(ref) == 10
    tail = ref.removeprefix("C-")
    spoken = tail.replace("0", "o").replace("1", "l")
    for typed in (
        ref,
        f" {ref.lower()} ",
        tail,
        tail.lower(),
        f"C {tail}",
        f"c{tail}",
        f"C-{spoken}",
        f"C-{tail[:4]}-{tail[4:]}",
    ):
        assert normal_case_ref(typed) == ref, typed


def test_ids_say_nothing_and_do_not_repeat():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(i) == 32 and i.isalnum() and i == i.lower() for i in ids)


def test_the_wait_between_codes_doubles_from_thirty_seconds_to_an_hour():
    policy = CodePolicy()
    assert [policy.wait_s(n) for n in range(9)] == [0, 30, 60, 120, 240, 480, 960, 1920, 3600]
    assert all(policy.wait_s(n) == 3600 for n in (9, 20, 500))
