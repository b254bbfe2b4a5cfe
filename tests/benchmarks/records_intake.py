"""What the records cost for one instance of a known study, in microseconds of wall and CPU time; it judges nothing.

Run: ``python -m tests.benchmarks.records_intake [--count 400] [--threads 20] [--postgresql]``. The statements are those of
``gateway/journeys/receive_instance.py`` in its steady state, over a database on the temporary folder's disk.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.domain.study import Instance, Study
from tests.fakes import postgres_server
from tests.fakes.journey_house import JourneyHouse, open_house

PEER = Actor(kind="peer", id="PACS", address="127.0.0.1")
HEAD = {
    "sop_instance_uid": "1.2.3.4.5",
    "series_instance_uid": "1.2.3.4",
    "modality": "CT",
    "instance_number": "17",
}


class Watch:
    """Adds up wall time per named step."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = defaultdict(list)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent[name].append(time.perf_counter() - began)

    def report(self) -> None:
        for name, times in self.spent.items():
            times.sort()
            mean = 1e6 * sum(times) / len(times)
            print(f"  {name:<34}{mean:9.0f} us mean {1e6 * times[len(times) // 2]:9.0f} us median")


def begin_study(house: JourneyHouse, number: int) -> Study:
    """Make the study that the instances of one association belong to."""
    now, name = house.clock.now(), new_id()
    study = Study(
        id=name, case_id=None, holder=name, sender=f"peer:PACS{number}", study_key=new_id() * 2, received_at=now,
        last_at=now, head={"patient_name": "Prov^Eva", "study_date": "20260101", "modality": "CT"},
    )  # fmt: skip
    with house.records.change(by=PEER) as change:
        change.add_key(house.store.new_key(holder=name, purpose="originals"), case_id=None)
        change.studies.add(study)
        change.note("study_waits", subject=study.id, score=0)
    return study


def take_instance(house: JourneyHouse, study: Study, number: int, watch: Watch) -> None:
    """Ask and change what one C-STORE asks and changes."""
    with watch.step("view: the study, its key"), house.records.view() as view:
        view.studies.pick(("id", "holder", "case_id"), sender=study.sender, study_key=study.study_key)
        view.key(study.holder, "originals")
    now = house.clock.now()
    instance = Instance(
        id=new_id(), study_id=study.id, case_id=None, holder=study.holder, sop_key=f"{number:064}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2", transfer_syntax_uid="1.2.840.10008.1.2.1", object_id=new_id(),
        size_bytes=524288, digest=os.urandom(32), received_at=now, association_id=new_id(), head=HEAD,
    )  # fmt: skip
    with contextlib.ExitStack() as whole:
        whole.enter_context(watch.step("change: whole"))
        with contextlib.ExitStack() as end:
            with watch.step("change: wait for the turn, begin"):
                change = end.enter_context(house.records.change(by=PEER))
            with watch.step("change: pick the study"):
                ((_, _, count),) = change.studies.pick(("case_id", "state", "instances"), id=study.id)
            with watch.step("change: pick earlier instances"):
                change.instances.pick(
                    ("id", "digest"), study_id=study.id, sop_key=instance.sop_key, order="received_at"
                )
            with watch.step("change: add the instance"):
                change.instances.add(instance)
            with watch.step("change: note the event"):
                change.note(
                    "instance_kept",
                    subject=instance.id,
                    study=study.id,
                    sop_class=instance.sop_class_uid,
                    bytes=1,
                )
            with watch.step("change: set the study"):
                change.studies.set(study.id, state="receiving", last_at=now, instances=count + 1)
            closing = watch.step("change: append the event, commit")
            closing.__enter__()
        closing.__exit__(None, None, None)


def ask_the_rest(house: JourneyHouse, study: Study, watch: Watch) -> None:
    """Ask what other journeys ask of the same rows."""
    with house.records.view() as view:
        with watch.step("get a study, its head opened"):
            view.studies.get(study.id)
        with watch.step("count by state"):
            view.instances.count(study_id=study.id)
        with watch.step("find ten instances, heads opened"):
            view.instances.find(study_id=study.id, limit=10)
        with watch.step("pick two columns of a thousand"):
            view.instances.pick(
                ("id", "digest"), sop_key=[f"{n:064}" for n in range(1000)], study_id=study.id
            )
    with house.records.change(by=PEER) as change:
        change.note("study_settled", subject=study.id)
        with watch.step("owe a job"):
            change.owe("settle_study", study.id, due_at=house.clock.now() + timedelta(seconds=10))


def run(house: JourneyHouse, *, count: int, threads: int) -> None:
    """Take ``count`` instances, shared out to so many associations, and print what they cost."""
    studies = [begin_study(house, number) for number in range(threads)]
    for study in studies:
        for number in range(20):
            take_instance(house, study, 10**9 + number, Watch())
    watches = [Watch() for _ in studies]
    each = count // threads

    def associate(study: Study, watch: Watch) -> None:
        for number in range(each):
            with watch.step("one instance"):
                take_instance(house, study, number, watch)

    workers = [threading.Thread(target=associate, args=pair) for pair in zip(studies, watches, strict=True)]
    began, cpu = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    everything = Watch()
    for watch in watches:
        for name, times in watch.spent.items():
            everything.spent[name] += times
    done = each * threads
    print(
        f"{threads} associations: {1e6 * wall / done:.0f} us wall and {1e6 * cpu / done:.0f} us CPU an instance"
    )
    everything.report()
    times = everything.spent["one instance"]
    print(f"  one instance: p99 {1e3 * times[int(len(times) * 0.99)]:.1f} ms, worst {1e3 * times[-1]:.1f} ms")


def main() -> None:
    """Read the command line and run alone, then together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--threads", type=int, default=20)
    parser.add_argument("--postgresql", action="store_true")
    given: Any = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = ""
        if given.postgresql:
            programs = postgres_server.binaries()
            if programs is None:
                raise SystemExit(
                    f"PostgreSQL's server is not installed: apt-get install {postgres_server.PACKAGE}"
                )
            port = stack.enter_context(postgres_server.running(programs))
            url = f"postgresql://consilium@127.0.0.1:{port}/postgres"
        house = open_house(folder, url)
        stack.callback(house.close)
        for threads in (1, given.threads):
            run(house, count=given.count, threads=threads)
        rest, study = Watch(), begin_study(house, 10**6)
        for number in range(100):
            take_instance(house, study, number, Watch())
            ask_the_rest(house, study, rest)
        print("what else is asked:")
        rest.report()


if __name__ == "__main__":
    main()
