"""The doorbell over a real Redis: only a job's id travels, a dead broker is nobody's error, a killed worker loses nothing."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import redis

from gateway.adapters.clock import SystemClock
from gateway.adapters.doorbell_celery import QUEUE, RING_TASK, CeleryDoorbell, broker_url, celery_connection
from gateway.domain.people import HOUSE
from gateway.doors.jobs.schedule import Scheduler
from gateway.records import JobRows, SqlRecords, open_engines
from gateway.records.schema import make_schema
from storage import MemoryKeys, MemoryObjects, SealedStore

STORE = SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="t")

pytestmark = pytest.mark.functional

WORKER = """
import os, sys, time
from pathlib import Path
from gateway.adapters import kernel
from gateway.adapters.clock import SystemClock
from gateway.adapters.doorbell_celery import RING_TASK, celery_connection
from gateway.doors.jobs.celery_app import serve
from gateway.doors.jobs.runner import Runner
from gateway.records import JobRows, open_engines

database, url, log, pause_s = sys.argv[1:]

def settle(job):
    with open(log, "a") as file:
        file.write(f"begin {job.subject_id} {os.getpid()}\\n")
    time.sleep(float(pause_s))
    with open(log, "a") as file:
        file.write(f"end {job.subject_id} {os.getpid()}\\n")

def make_runner():
    write, read = open_engines(database)
    jobs = JobRows(write=write, read=read, records=None)
    return Runner(jobs=jobs, handlers={"settle_study": settle}, clock=SystemClock(), owner=str(os.getpid()),
                  lease_s=2, renew_every_s=0.5)

parent = os.getpid()
sys.exit(serve(
    celery_connection(url), task_name=RING_TASK, make_runner=make_runner, concurrency=2,
    in_each_child=lambda: kernel.die_with_parent(parent), on_ready=lambda: print("ready", flush=True),
))
"""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: `make test` installs it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        assert soon(lambda: answers(port))
        yield f"celery+redis://127.0.0.1:{port}/0"
        server.terminate()


class Desk:
    def __init__(self, folder, url):
        self.log = folder / "log"
        self.log.touch()
        self.database = f"sqlite:///{folder / 'records.db'}"
        write, read = open_engines(self.database)
        make_schema(write)
        self.clock = SystemClock()
        self.doorbell = CeleryDoorbell(url)
        self.records = SqlRecords(
            write=write, read=read, store=STORE, clock=self.clock, doorbell=self.doorbell
        )
        self.jobs = JobRows(write=write, read=read, records=self.records)
        self.url = url
        self.workers = []

    def start_worker(self, pause_s=0.0):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, self.database, self.url, str(self.log), str(pause_s)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.workers.append(worker)
        assert worker.stdout.readline() == "ready\n"
        return worker

    def owe(self, subject):
        with self.records.change(by=HOUSE) as change:
            change.owe("settle_study", subject, due_at=self.clock.now())
            change.note("study_settled", subject=subject)

    def lines(self, word):
        return [line.split()[1:] for line in self.log.read_text().splitlines() if line.startswith(word)]

    def close(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()
            worker.stdout.close()
        self.doorbell.close()
        self.records.close()


@pytest.fixture
def desk(tmp_path, redis_url):
    desk = Desk(tmp_path, redis_url)
    yield desk
    desk.close()


def test_a_ring_runs_the_job_in_a_worker_that_stops_when_asked(desk):
    worker = desk.start_worker()
    for subject in ("s1", "s2", "s3"):
        desk.owe(subject)
    assert soon(lambda: len(desk.lines("end")) == 3)
    worker.terminate()
    assert worker.wait(20) == 0
    with desk.records.view() as view:
        assert view.jobs.count(state="done") == 3


def test_a_worker_killed_in_the_middle_loses_nothing(desk):
    worker = desk.start_worker(pause_s=30)
    desk.owe("s1")
    assert soon(lambda: desk.lines("begin"))
    child = int(desk.lines("begin")[0][1])
    worker.kill()
    worker.wait()
    assert soon(lambda: gone(child))
    desk.start_worker()
    scheduler = Scheduler(jobs=desk.jobs, doorbell=desk.doorbell, clock=desk.clock, duties=())

    def done():
        scheduler.look()
        time.sleep(0.1)
        return desk.lines("end")

    assert soon(done)
    assert len(desk.lines("begin")) == 2
    assert len(desk.lines("end")) == 1


def test_only_the_job_id_travels(redis_url):
    doorbell = CeleryDoorbell(redis_url)
    doorbell.ring("0123abcd")
    doorbell.close()
    with redis.Redis.from_url(redis_url.removeprefix("celery+")) as client:
        message = json.loads(client.lpop(QUEUE))
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == RING_TASK
    assert message["headers"]["argsrepr"] in {None, "['0123abcd']", '["0123abcd"]'}
    assert json.loads(base64.b64decode(message["body"]))[0] == ["0123abcd"]


@pytest.mark.abuse
def test_a_forged_task_runs_nothing(desk):
    worker = desk.start_worker()
    app = celery_connection(desk.url)
    for forged in (["../../etc/passwd"], [{"a": 1}], ["x" * 1000], ["0" * 32]):
        app.send_task(RING_TASK, args=forged, queue=QUEUE)
    app.send_task("os.system", args=["true"], queue=QUEUE)
    app.send_task(RING_TASK, args=["0" * 32], queue=QUEUE, serializer="pickle")
    app.close()
    desk.owe("s1")
    assert soon(lambda: desk.lines("end"))
    assert [subject for subject, _pid in desk.lines("begin")] == ["s1"]
    assert worker.poll() is None


@pytest.mark.parametrize("scheme", ["celery+redis", "celery+amqp"])
def test_a_dead_broker_is_a_line_in_the_log(scheme):
    doorbell = CeleryDoorbell(f"{scheme}://127.0.0.1:9/0")
    slowest = 0.0
    for _ in range(50):
        begun = time.monotonic()
        doorbell.ring("0123abcd")
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 0.1
    begun = time.monotonic()
    doorbell.close(timeout_s=10)
    assert time.monotonic() - begun < 8
    assert not doorbell._sender.is_alive()


def test_an_unknown_carrier_is_refused_by_name():
    assert broker_url("celery+rediss://host/0") == "rediss://host/0"
    with pytest.raises(ValueError, match=r"celery\+redis://"):
        broker_url("celery+filesystem://")


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def gone(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return True
    return False


def soon(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False
