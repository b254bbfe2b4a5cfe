"""What every implementation of the records port promises, tried on SQLite and on PostgreSQL."""

import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError

from gateway.domain.audit import flaws
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.people import HOUSE
from gateway.domain.upload import Challenge, Link
from gateway.journeys import open_case as way
from gateway.journeys.prove_identity import make_link, open_link, send_code, verify_code
from gateway.records import UnauditedChangeError
from gateway.records.tables import KINDS, audit_event, case_key
from storage import SealBrokenError
from tests.fakes.journey_house import DESK


def _together(count, what):
    """Run ``what(number)`` in that many threads at once; return results and exceptions in no order."""
    start, results = threading.Barrier(count), []

    def run(number):
        start.wait(60)
        try:
            results.append(what(number))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == count
    return results


def _intact(house):
    with house.records.view() as view:
        seq, head = view.head()
        return list(flaws(view.events(), head_seq=seq, head_hash=head)) == []


def _owe(house, subject="s1", kind="settle_study", in_s=0.0, case_id=None):
    with house.records.change(by=HOUSE) as change:
        job_id = change.owe(
            kind, subject, due_at=house.clock.now() + timedelta(seconds=in_s), case_id=case_id
        )
        change.note("study_settled", subject=subject)
    return job_id


def _claim(house, owner="w", job_id=None):
    return house.jobs.claim_job(now=house.clock.now(), owner=owner, lease_s=30, job_id=job_id)


def test_a_change_without_an_event_commits_nothing_no_row_no_job_no_key_and_rings_no_bell(house):
    case = house.case()
    before = (house.events(), house.rows("jobs"), list(house.bell.rung))
    with pytest.raises(UnauditedChangeError), house.records.change(by=HOUSE) as change:  # noqa: PT012 - the block is the change
        change.cases.put(replace(case, questions="changed"))
        change.owe("settle_study", "s", due_at=house.clock.now())
        change.add_key(house.store.new_key(holder="h", purpose="originals"), case_id=None)
    assert (house.events(), house.rows("jobs"), house.bell.rung) == before
    assert house.rows("cases") == [case]
    with pytest.raises(NotFoundError), house.records.view() as view:
        view.key("h", "originals")


def test_an_exception_takes_back_everything_and_the_audit_with_it(house):
    case = house.case()
    before = house.events()
    with pytest.raises(ZeroDivisionError), house.records.change(by=HOUSE) as change:  # noqa: PT012 - the block is the change
        change.cases.put(replace(case, questions="changed"))
        change.owe("settle_study", "s", due_at=house.clock.now())
        change.note("case_read", case_id=case.id)
        raise ZeroDivisionError
    assert house.events() == before
    assert house.rows("cases") == [case]
    assert house.rows("jobs") == []
    assert _intact(house)


def test_an_event_of_an_unknown_kind_is_a_mistake_of_ours(house):
    with pytest.raises(KeyError, match="EVENT_KINDS"), house.records.change(by=HOUSE) as change:
        change.note("something_happened")


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_the_database_itself_refuses_to_touch_the_audit_trail(house, verb):
    house.case()
    before = house.events()
    statement = update(audit_event).values(outcome="x") if verb == "update" else delete(audit_event)
    with pytest.raises(DBAPIError, match="append-only"), house.records._write.begin() as connection:
        connection.execute(statement)
    assert house.events() == before


def test_a_sealed_value_opens_in_its_own_row_and_column_only(house):
    one, two = house.case(1), house.case(2)
    table = KINDS["cases"].table
    with house.records._write.begin() as connection:
        rows = {row.id: row for row in connection.execute(table.select())}
        connection.execute(table.update().where(table.c.id == one.id).values(patient=rows[two.id].patient))
        connection.execute(table.update().where(table.c.id == two.id).values(questions=rows[two.id].harvest))
    for case in (one, two):
        with pytest.raises(SealBrokenError), house.records.view() as view:
            view.cases.get(case.id)


def test_the_key_of_one_case_does_not_open_another_even_when_its_row_is_swapped_in(house):
    one, two = house.case(1), house.case(2)
    with house.records._write.begin() as connection:
        rows = connection.execute(case_key.select().where(case_key.c.purpose == "originals")).all()
        blobs = {row.holder: row.blob for row in rows}
        connection.execute(
            case_key.update().where(case_key.c.holder == one.id, case_key.c.purpose == "originals")
            .values(blob=blobs[two.id])
        )  # fmt: skip
    house.records._ring.forget(one.id)
    with pytest.raises(Exception, match=r"(?i)key"), house.records.view() as view:
        view.cases.get(one.id)


def test_rows_come_back_as_they_were_put(house):
    case = house.case()
    paused = way.pause_clock(
        ref=case.ref, reason="väntar på Märta", by=DESK, **house.ports("records", "clock")
    )
    assert house.rows("cases") == [paused]
    assert house.rows("cases")[0].opened_at.tzinfo is not None


def test_chosen_columns_are_read_without_any_key(house):
    one, two = house.case(1), house.case(2)
    with house.records._write.begin() as connection:
        connection.execute(delete(case_key).where(case_key.c.holder == one.id))
    house.records._ring.forget(one.id)
    with house.records.view() as view:
        assert view.cases.pick(("ref", "opened_at"), order="-ref") == sorted(
            [(case.ref, case.opened_at) for case in (one, two)], reverse=True
        )
        assert view.cases.pick(["state"], id=one.id) == [(one.state,)]
        assert view.cases.pick(["id"], ref=[one.ref, "no"], limit=1) == [(one.id,)]
        assert view.cases.pick(["id"], ref=()) == view.cases.pick(["id"], ref="no") == []


def test_a_second_row_of_one_name_is_a_conflict_and_a_missing_one_is_not_found(house):
    case = house.case()
    with pytest.raises(ConflictError), house.records.change(by=HOUSE) as change:
        change.cases.add(case)
    with pytest.raises(ConflictError), house.records.change(by=HOUSE) as change:
        change.add_key(house.store.new_key(holder=case.id, purpose="originals"), case_id=case.id)
    for wrong in (lambda c: c.cases.get("no"), lambda c: c.jobs.set("no", state="done")):
        with pytest.raises(NotFoundError), house.records.change(by=HOUSE) as change:
            wrong(change)


def test_sealed_columns_can_be_neither_searched_nor_set_alone_and_nothing_is_removed_unasked(house):
    case = house.case()
    for wrong in (
        lambda c: c.cases.find(patient="x"),
        lambda c: c.cases.set(case.id, questions="x"),
        lambda c: c.cases.pick(("id", "questions")),
        lambda c: c.cases.remove(),
    ):
        with pytest.raises(TypeError), house.records.change(by=HOUSE) as change:
            wrong(change)


def test_parallel_changes_of_one_row_lose_nothing_and_keep_one_chain(house):
    case = house.case()

    def add(number):
        for _ in range(10):
            with house.records.change(by=HOUSE) as change:
                now = change.cases.get(case.id)
                change.cases.put(replace(now, questions=now.questions + "x"))
                change.note("case_moved", case_id=case.id)

    assert _together(6, add) == [None] * 6
    assert len(house.rows("cases")[0].questions) == 60
    assert _intact(house)


def test_a_counter_below_a_limit_is_exact_under_fifty_threads(house):
    now = house.clock.now()
    case = house.case()
    link = Link(id="l" * 32, case_id=case.id, holder=case.id, token_hash="t", created_at=now, expires_at=now)
    challenge = Challenge(
        id="c" * 32, link_id=link.id, pre_session_id="p", code_hash="h", sent_at=now, expires_at=now
    )
    with house.records.change(by=HOUSE) as change:
        change.links.add(link)
        change.challenges.add(challenge)
        change.note("link_made")

    def bump(number):
        with house.records.change(by=HOUSE) as change:
            change.note("code_refused")
            return change.challenges.bump(challenge.id, "tries", below=5)

    assert Counter(_together(50, bump)) == {True: 5, False: 45}
    assert house.rows("challenges")[0].tries == 5


def test_a_counter_moves_forward_once_and_a_replay_is_seen(house):
    case = house.case()
    now = house.clock.now()
    link = Link(id="l" * 32, case_id=case.id, holder=case.id, token_hash="t", created_at=now, expires_at=now)
    with house.records.change(by=HOUSE) as change:
        change.links.add(link)
        change.note("link_made")

    def advance(to):
        with house.records.change(by=HOUSE) as change:
            change.note("code_refused")
            return change.links.advance(link.id, "fails", to=to)

    assert Counter(_together(8, lambda n: advance(7))) == {True: 1, False: 7}
    assert [advance(6), advance(7), advance(8)] == [False, False, True]


def test_two_hundred_right_codes_at_once_open_exactly_one_session(house):
    house.case()
    case = house.rows("cases")[0]
    craft = house.ports("records", "store", "clock", "random", "policy")
    _, url = make_link(ref=case.ref, by=DESK, **house.ports("records", "clock", "random", "policy"))
    pre = open_link(
        url.rsplit("#", 1)[1], address="", **house.ports("records", "clock", "random", "policy")
    ).token
    send_code(pre, address="", texter=house.texter, **craft)
    code = next(word for word in house.texter.sent[-1]["text"].replace(".", " ").split() if word.isdigit())
    tokens = [
        t for t in _together(200, lambda n: verify_code(pre, code, address="", **craft)) if isinstance(t, str)
    ]
    assert len(tokens) == 1
    assert sum(s.kind == "patient" for s in house.rows("sessions")) == 1
    assert len(house.events("patient_signed_in")) == 1


def test_work_owed_twice_is_one_row_whose_time_and_case_move(house):
    first = _owe(house, in_s=60)
    assert _owe(house, in_s=5, case_id="c1") == first
    (job,) = house.rows("jobs")
    assert job.due_at == house.clock.now() + timedelta(seconds=5)
    assert job.case_id == "c1"
    assert house.bell.rung == []
    assert _owe(house) == first
    assert house.bell.rung == [first]


def test_work_owed_again_while_it_runs_is_a_row_of_its_own_that_waits_for_the_first(house):
    first = _owe(house)
    assert _claim(house).id == first
    second = _owe(house)
    assert second != first
    assert _claim(house) is None
    assert _claim(house, job_id=second) is None
    assert house.jobs.finish_job(first, owner="w", now=house.clock.now())
    assert _claim(house).id == second


def test_two_rows_for_one_subject_never_run_at_once(house):
    first = _owe(house)
    _claim(house)
    second = _owe(house)
    house.jobs.fail_job(first, owner="w", now=house.clock.now(), error="E", retry_at=house.clock.now())
    assert {j.state for j in house.rows("jobs")} == {"queued"}
    taken = [job.id for job in _together(8, lambda n: _claim(house, owner=f"w{n}")) if job is not None]
    assert len(taken) == 1
    assert taken[0] in {first, second}


def test_every_job_is_claimed_by_exactly_one_of_eight_workers(house):
    jobs = {_owe(house, subject=f"s{n}") for n in range(40)}

    def drain(number):
        mine = []
        misses = 0
        while misses < 3:
            job = _claim(house, owner=f"w{number}")
            if job is None:
                misses += 1
            else:
                mine.append(job.id)
        return mine

    claimed = [job_id for mine in _together(8, drain) for job_id in mine]
    assert sorted(claimed) == sorted(jobs)


def test_a_lapsed_lease_is_claimed_again_and_the_first_owner_is_told(house):
    job_id = _owe(house)
    assert _claim(house, owner="first").attempts == 1
    assert _claim(house, owner="second") is None
    assert house.jobs.due_jobs(now=house.clock.now()) == []
    house.clock.forward(seconds=31)
    assert house.jobs.due_jobs(now=house.clock.now()) == [job_id]
    again = _claim(house, owner="second")
    assert (again.id, again.attempts) == (job_id, 2)
    now = house.clock.now()
    assert not house.jobs.renew_lease(job_id, owner="first", now=now, lease_s=30)
    assert not house.jobs.finish_job(job_id, owner="first", now=now)
    assert house.jobs.renew_lease(job_id, owner="second", now=now, lease_s=30)
    assert house.jobs.finish_job(job_id, owner="second", now=now)
    assert _claim(house) is None


def test_a_job_that_failed_for_good_stands_in_the_audit_and_one_that_was_taken_over_does_not_fail(house):
    job_id = _owe(house)
    _claim(house, owner="first")
    house.clock.forward(seconds=31)
    _claim(house, owner="second")
    house.jobs.fail_job(job_id, owner="first", now=house.clock.now(), error="E", retry_at=None)
    assert house.rows("jobs")[0].state == "running"
    house.jobs.fail_job(job_id, owner="second", now=house.clock.now(), error="E", retry_at=None)
    assert house.rows("jobs")[0].state == "failed"
    assert [e.outcome for e in house.events("job_failed")] == ["superseded", "failed"]


def test_the_next_due_job_is_told_and_work_that_is_not_due_is_not_given(house):
    assert house.jobs.next_due() is None
    _owe(house, subject="later", in_s=60)
    _owe(house, subject="sooner", in_s=20)
    assert house.jobs.next_due() == house.clock.now() + timedelta(seconds=20)
    assert _claim(house) is None


def test_a_duty_is_given_to_one_caller_a_period(house):
    def claim(number):
        return house.jobs.claim_duty("sweep", now=house.clock.now(), every_s=60)

    assert Counter(_together(8, claim)) == {True: 1, False: 7}
    house.clock.forward(seconds=59)
    assert not claim(0)
    house.clock.forward(seconds=1)
    assert Counter(_together(8, claim)) == {True: 1, False: 7}


def test_keys_of_a_case_are_destroyed_with_those_it_adopted_and_no_others(house):
    one, two = house.case(1), house.case(2)
    with house.records.change(by=HOUSE) as change:
        change.add_key(house.store.new_key(holder="study", purpose="originals"), case_id=None)
        change.adopt_keys("study", case_id=one.id)
        change.note("study_matched")
    with house.records.change(by=HOUSE) as change:
        assert change.destroy_keys(one.id) == 3
        change.note("case_forgotten")
    for holder in (one.id, "study"):
        with pytest.raises(NotFoundError), house.records.view() as view:
            view.key(holder, "originals")
    with house.records.view() as view:
        assert view.cases.get(two.id) == two
        with suppress(NotFoundError):
            view.cases.get(one.id)
            raise AssertionError("a forgotten case was opened")


def test_a_reading_goes_on_while_a_change_is_open_and_sees_none_of_it(house):
    case = house.case()
    with house.records.change(by=HOUSE) as change:
        change.cases.set(case.id, state="complete")
        change.note("case_moved", case_id=case.id)
        with house.records.view() as view:
            assert view.cases.get(case.id).state == "collecting"
    assert house.rows("cases")[0].state == "complete"


def test_a_reading_engine_cannot_be_in_the_way_of_a_change(house):
    case = house.case()
    with house.records.view() as view:
        view.cases.get(case.id)
        with house.records.change(by=HOUSE) as change:
            change.cases.set(case.id, state="complete")
            change.note("case_moved", case_id=case.id)
        assert view.cases.get(case.id).state == "collecting"  # one consistent reading


def test_a_database_that_does_not_answer_is_told_as_unavailable_without_a_value(house):
    from gateway.domain.errors import UnavailableError

    with house.records._write.begin() as connection:
        connection.execute(text("DROP TABLE case_key"))
        connection.execute(text("DROP TABLE finding"))
    with pytest.raises(UnavailableError) as caught, house.records.view() as view:
        view.findings.find(case_id="Hemlig Person")
    assert "Hemlig" not in str(caught.value)
