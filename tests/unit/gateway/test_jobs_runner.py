"""Job rows are claimed once, kept alive, tried again and taken over; the journeys here only count."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.doorbell_local import LocalBell, LocalDoorbell
from gateway.domain.errors import ConsiliumError, InvalidError, NotFoundError, UnavailableError
from gateway.domain.job import MAX_ATTEMPTS
from gateway.domain.people import HOUSE
from gateway.doors.jobs.local import LocalWorkers
from gateway.doors.jobs.runner import PATIENT_ATTEMPTS, Runner
from gateway.doors.jobs.schedule import RING_AGAIN_AFTER_S, Duty, Scheduler
from gateway.records import JobRows, SqlRecords, open_engines
from gateway.records.schema import make_schema
from storage import (
    KeyFileError,
    KeyServiceError,
    KeyUnconfirmedError,
    MemoryKeys,
    MemoryObjects,
    SealedStore,
    StoreOutageError,
)

STORE = SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="t")


class HandClock:
    def __init__(self):
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self):
        return self.time

    def pass_s(self, seconds):
        self.time += timedelta(seconds=seconds)


class CountingDoorbell:
    def __init__(self):
        self.rung = []

    def ring(self, job_id):
        self.rung.append(job_id)


class Desk:
    """Real job rows in a SQLite file."""

    def __init__(self, folder, clock, doorbell=None):
        self.clock = clock
        write, read = open_engines(f"sqlite:///{folder / 'records.db'}")
        make_schema(write)
        self.records = SqlRecords(
            write=write, read=read, store=STORE, clock=clock, doorbell=doorbell or CountingDoorbell()
        )
        self.jobs = JobRows(write=write, read=read, records=self.records)

    def owe(self, subject="s1", kind="settle_study", in_s=0):
        with self.records.change(by=HOUSE) as change:
            job_id = change.owe(kind, subject, due_at=self.clock.now() + timedelta(seconds=in_s))
            change.note("study_settled", subject=subject)
        return job_id

    def job(self, job_id):
        with self.records.view() as view:
            return view.jobs.get(job_id)

    def runner(self, handler, **settings):
        settings = {"owner": "w1", "jitter": lambda: 0.0, "renew_every_s": 60.0} | settings
        return Runner(jobs=self.jobs, handlers={"settle_study": handler}, clock=self.clock, **settings)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def desk(tmp_path, clock):
    desk = Desk(tmp_path, clock)
    yield desk
    desk.records.close()


def raising(error):
    def handler(job):
        raise error

    return handler


def test_a_due_job_is_done_once(desk):
    seen = []
    job_id = desk.owe()
    with desk.runner(seen.append) as runner:
        assert runner.run_job()
        assert not runner.run_job()
        assert not runner.run_job(job_id)
    assert [job.subject_id for job in seen] == ["s1"]
    assert desk.job(job_id).state == "done"


def test_a_job_is_not_done_before_its_time(desk, clock):
    desk.owe(in_s=30)
    with desk.runner(lambda job: None) as runner:
        assert not runner.run_job()
        clock.pass_s(31)
        assert runner.run_job()


def test_a_failure_is_tried_again_later_and_told_by_kind_only(desk, clock):
    job_id = desk.owe()
    with desk.runner(raising(RuntimeError("Anna Andersson"))) as runner:
        runner.run_job()
        job = desk.job(job_id)
        assert (job.state, job.error, job.due_at - clock.now()) == (
            "queued",
            "RuntimeError",
            timedelta(seconds=2),
        )
        clock.pass_s(2)
        runner.run_job()
        assert desk.job(job_id).due_at - clock.now() == timedelta(seconds=4)


def test_a_job_that_keeps_failing_ends_as_failed(desk, clock):
    job_id = desk.owe()
    with desk.runner(raising(RuntimeError())) as runner:
        for _ in range(MAX_ATTEMPTS):
            assert runner.run_job()
            clock.pass_s(600)
        assert not runner.run_job()
    job = desk.job(job_id)
    assert (job.state, job.attempts) == ("failed", MAX_ATTEMPTS)


def test_an_outage_is_waited_out(desk, clock):
    outage = [UnavailableError()] * (3 * MAX_ATTEMPTS)
    job_id = desk.owe()

    def handler(job):
        if outage:
            raise outage.pop()

    with desk.runner(handler) as runner:
        while outage:
            assert runner.run_job()
            clock.pass_s(300)
        assert runner.run_job()
    assert desk.job(job_id).state == "done"
    assert PATIENT_ATTEMPTS * 300 > 24 * 3600


@pytest.mark.parametrize(
    "error",
    [
        KeyServiceError("Vault is sealed"),
        KeyUnconfirmedError("the records do not answer"),
        KeyFileError("the folder of keys is not mounted"),
        StoreOutageError("no answer"),
    ],
)
def test_an_outage_of_the_key_service_or_the_store_is_waited_out_for_hours(desk, clock, error):
    job_id, outage = desk.owe(), [error] * 60

    def handler(job):
        if outage:
            raise outage.pop()

    with desk.runner(handler) as runner:
        while outage:
            assert runner.run_job()
            clock.pass_s(300)
        assert runner.run_job()
    assert desk.job(job_id).state == "done"


@pytest.mark.parametrize("error", [NotFoundError(), InvalidError()])
def test_what_cannot_succeed_is_not_tried_again(desk, error):
    job_id = desk.owe()
    with desk.runner(raising(error)) as runner:
        runner.run_job()
    assert desk.job(job_id).state == "failed"


def test_a_job_that_takes_its_worker_with_it_is_given_up(desk, clock):
    job_id = desk.owe()
    for _ in range(MAX_ATTEMPTS):
        assert desk.jobs.claim_job(now=clock.now(), owner="dead", lease_s=30)
        clock.pass_s(31)
    ran = []
    with desk.runner(ran.append) as runner:
        assert runner.run_job()
    assert not ran
    assert (desk.job(job_id).state, desk.job(job_id).error) == ("failed", "WorkerDied")


def test_the_lease_of_a_dead_worker_lapses_and_its_job_is_taken_over(desk, clock):
    job_id = desk.owe()
    assert desk.jobs.claim_job(now=clock.now(), owner="dead", lease_s=30)
    ran = []
    with desk.runner(ran.append) as runner:
        assert not runner.run_job()
        clock.pass_s(31)
        assert runner.run_job()
    assert len(ran) == 1
    assert desk.job(job_id).state == "done"


def test_a_long_job_keeps_its_lease(tmp_path):
    desk = Desk(tmp_path, SystemClock())
    desk.owe()
    begun, go_on = threading.Event(), threading.Event()

    def slow(job):
        begun.set()
        go_on.wait(10)

    with desk.runner(slow, lease_s=0.6, renew_every_s=0.1) as runner:
        thread = threading.Thread(target=runner.run_job)
        thread.start()
        begun.wait(10)
        time.sleep(1.5)
        assert desk.jobs.claim_job(now=desk.clock.now(), owner="other", lease_s=30) is None
        go_on.set()
        thread.join()
    desk.records.close()


def test_a_worker_whose_lease_was_lost_changes_nothing_more(desk, clock):
    job_id = desk.owe()

    def robbed(job):
        clock.pass_s(31)
        assert desk.jobs.claim_job(now=clock.now(), owner="other", lease_s=30)

    with desk.runner(robbed) as runner:
        runner.run_job()
    assert (desk.job(job_id).state, desk.job(job_id).owner) == ("running", "other")


def test_many_threads_do_each_job_once(tmp_path):
    desk = Desk(tmp_path, SystemClock())
    done, lock = Counter(), threading.Lock()

    def handler(job):
        with lock:
            done[job.subject_id] += 1

    subjects = [f"s{number}" for number in range(40)]
    stop = threading.Event()
    with LocalBell(tmp_path) as bell, desk.runner(handler) as runner:
        workers = LocalWorkers(runner=runner, jobs=desk.jobs, clock=desk.clock, bell=bell, count=4)
        thread = threading.Thread(target=workers.run, args=(stop,))
        thread.start()
        for subject in subjects:
            LocalDoorbell(tmp_path).ring(desk.owe(subject))
        assert soon(lambda: sum(done.values()) == 40)
        stop.set()
        thread.join(10)
    assert done == Counter(subjects)
    desk.records.close()


def test_a_worker_that_has_to_stop_gives_back_what_it_cannot_finish(tmp_path):
    desk = Desk(tmp_path, SystemClock())
    job_id = desk.owe()
    begun, stop, never = threading.Event(), threading.Event(), threading.Event()

    def slow(job):
        begun.set()
        never.wait(20)

    with LocalBell(tmp_path) as bell, desk.runner(slow) as runner:
        workers = LocalWorkers(runner=runner, jobs=desk.jobs, clock=desk.clock, bell=bell, count=1)
        thread = threading.Thread(target=workers.run, args=(stop,), kwargs={"grace_s": 0.2})
        thread.start()
        begun.wait(10)
        stop.set()
        thread.join(10)
        assert (desk.job(job_id).state, desk.job(job_id).error) == ("queued", "Stopped")
        never.set()
    desk.records.close()


def test_workers_outlive_records_that_do_not_answer(tmp_path, clock):
    class Broken:
        calls = 0

        def claim_job(self, **_):
            Broken.calls += 1
            raise OSError

    runner = Runner(jobs=Broken(), handlers={}, clock=clock, owner="w")
    stop = threading.Event()
    with LocalBell(tmp_path) as bell, runner:
        workers = LocalWorkers(runner=runner, jobs=Broken(), clock=clock, bell=bell, count=1)
        thread = threading.Thread(target=workers.run, args=(stop,))
        thread.start()
        for _ in range(3):
            LocalDoorbell(tmp_path).ring("a")
        assert soon(lambda: Broken.calls > 1)
        stop.set()
        thread.join(10)


def test_overdue_jobs_are_rung_and_not_rung_to_death(desk, clock):
    doorbell = CountingDoorbell()
    scheduler = Scheduler(jobs=desk.jobs, doorbell=doorbell, clock=clock, duties=())
    job_id = desk.owe(in_s=10)
    scheduler.look()
    assert doorbell.rung == []
    clock.pass_s(11)
    scheduler.look()
    scheduler.look()
    assert doorbell.rung == [job_id]
    clock.pass_s(RING_AGAIN_AFTER_S + 1)
    scheduler.look()
    assert doorbell.rung == [job_id, job_id]


def test_a_clock_that_is_put_back_stops_no_duty_and_no_bell(desk, clock):
    done, doorbell = [], CountingDoorbell()
    duties = (Duty(name="register", every_s=60, perform=lambda: done.append(clock.now())),)
    scheduler = Scheduler(jobs=desk.jobs, doorbell=doorbell, clock=clock, duties=duties)
    job_id = desk.owe()
    clock.pass_s(365 * 86_400)
    scheduler.look()
    clock.pass_s(-364 * 86_400)
    scheduler.look()
    scheduler.look()
    assert len(done) == 2
    assert doorbell.rung == [job_id, job_id]


def test_a_duty_is_done_once_per_period_by_one_of_many(desk, clock):
    done = []

    def schedulers():
        return [
            Scheduler(
                jobs=desk.jobs,
                doorbell=CountingDoorbell(),
                clock=clock,
                duties=(Duty(name="sweep", every_s=60, perform=lambda: done.append(clock.now())),),
            )
            for _ in range(3)
        ]

    for scheduler in schedulers():
        scheduler.look()
    assert len(done) == 1
    clock.pass_s(61)
    for scheduler in schedulers():
        scheduler.look()
    assert len(done) == 2


def test_a_duty_that_fails_stops_no_other(desk, clock):
    done = []
    duties = (
        Duty(name="broken", every_s=60, perform=lambda: raising(ConsiliumError())(None)),
        Duty(name="sound", every_s=60, perform=lambda: done.append(1)),
    )
    Scheduler(jobs=desk.jobs, doorbell=CountingDoorbell(), clock=clock, duties=duties).look()
    assert done == [1]


def soon(condition, seconds=15.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False
