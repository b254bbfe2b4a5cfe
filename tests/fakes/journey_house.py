"""A house for journeys in process: real records and sealed objects in a folder, the real craft without its child processes.

Every port that a journey calls may be made to fail at a chosen call (``Trap``), which stands for a crash at that point.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dicom_node.head import read_head
from dicom_node.part10 import open_part10
from dicom_node.receiver import ReceivedInstance
from dicom_node.streams import Replayed
from gateway.adapters.sandbox_tasks import TASKS
from gateway.domain.case import Case
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.doors.jobs.registry import registry
from gateway.journeys.open_case import open_case
from gateway.journeys.set_up_house import set_up_house
from gateway.ports import House, SandboxFailed, SandboxResult, Scan
from gateway.records import JobRows, SqlRecords, open_engines
from gateway.records.object_ids import BatchedIds
from gateway.records.schema import make_schema
from storage import DiskObjects, FileKeys, KeyProvider, SealedStore, create_key_file
from tests import factories

DESK = Actor(kind="staff", id="coordinator")
PACS = Actor(kind="peer", id="PACS", address="127.0.0.1")


class HandClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def forward(self, **amount: float) -> None:
        self.at += timedelta(**amount)


class Bell:
    """Remembers what was rung."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, job_id: str) -> None:
        self.rung.append(job_id)


class Post:
    """Mailer and texter in one: keeps what was sent, or fails when told to."""

    name = "kept"

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.error: Exception | None = None

    def send(self, **message: str) -> None:
        if self.error:
            raise self.error
        self.sent.append(message)


class SayingScanner:
    """Says what it is told to say."""

    name = "saying"

    def __init__(self) -> None:
        self.verdict = Scan(verdict="clean")
        self.seen = 0

    def scan(self, chunks: Any) -> Scan:
        self.seen += sum(len(chunk) for chunk in chunks)
        return self.verdict


class NotesInMemory:
    """A witness that forgets at the end of the test."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def publish(self, note: str) -> None:
        self.kept.append(note)

    def notes(self) -> list[str]:
        return list(self.kept)


class LinesInMemory:
    """A register of what was forgotten that forgets at the end of the test."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def append(self, lines: Any) -> None:
        self.kept += lines

    def lines(self) -> list[str]:
        return list(self.kept)


class OpenSandbox:
    """Runs the real tasks in this process; what they raise is told as the child's death would be."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, task: str, payload: Any, options: Mapping[str, Any]) -> SandboxResult | SandboxFailed:
        self.ran.append(task)
        try:
            meta, content = TASKS[task](bytes(payload), options)
        except Exception:
            return SandboxFailed(code="crashed", reason="The file could not be read.")
        return SandboxResult(meta=meta, content=content)

    def describe(self) -> dict[str, Any]:
        return {}


class Killed(BaseException):
    """The process died here."""


class Trap:
    """Counts the calls at the ports and raises ``Killed`` at one of them; 0 only counts."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.calls = at, 0
        self._lock = threading.Lock()

    def step(self) -> None:
        with self._lock:
            self.calls += 1
            if self.calls == self.at:
                raise Killed


class TrappedRecords:
    """Dies before a change begins, or right after it has committed."""

    def __init__(self, records: SqlRecords, trap: Trap) -> None:
        self._records, self._trap = records, trap
        self.view = records.view

    @contextmanager
    def change(self, *, by: Actor) -> Iterator[Any]:
        self._trap.step()
        with self._records.change(by=by) as change:
            yield change
        self._trap.step()


class Trapped:
    """Dies before or after the named methods of another port."""

    def __init__(self, port: Any, trap: Trap, *names: str) -> None:
        self._port, self._trap, self._names = port, trap, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._names:
            return found

        def call(*args: Any, **values: Any) -> Any:
            self._trap.step()
            result = found(*args, **values)
            self._trap.step()
            return result

        return call


@dataclass
class JourneyHouse:
    """The ports by name, and the few steps that many tests begin with."""

    folder: Path
    records: SqlRecords
    jobs: JobRows
    store: SealedStore
    clock: HandClock
    bell: Bell
    ids: BatchedIds
    policy: Policy = field(default_factory=lambda: Policy(quiet_s=10))
    sandbox: OpenSandbox = field(default_factory=OpenSandbox)
    scanner: SayingScanner = field(default_factory=SayingScanner)
    witness: NotesInMemory = field(default_factory=NotesInMemory)
    register: LinesInMemory = field(default_factory=LinesInMemory)
    texter: Post = field(default_factory=Post)
    mailer: Post = field(default_factory=Post)
    random: Callable[[int], bytes] = os.urandom

    def ports(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}

    def as_house(self) -> House:
        names = "records jobs store clock random texter mailer scanner sandbox witness register policy"
        return House(**self.ports(*names.split()))

    def case(self, seed: int = 1, **values: Any) -> Case:
        fixed: dict[str, Any] = {"opinion": "mdt", "patient": factories.patient(seed)}
        return open_case(by=DESK, **self.ports("records", "store", "clock", "random"), **(fixed | values))

    def rows(self, kind: str, **where: Any) -> list[Any]:
        with self.records.view() as view:
            return getattr(view, kind).find(**where)

    def events(self, kind: str = "") -> list[Any]:
        with self.records.view() as view:
            return [e for e in view.events() if not kind or e.kind == kind]

    def objects(self) -> set[str]:
        return {p.name for p in (self.folder / "objects").rglob("*") if p.is_file() and len(p.name) >= 32}

    def work(self, *, rounds: int = 40) -> list[str]:
        """Do all jobs that are owed, time passing as needed; return the kinds in their order."""
        done: list[str] = []
        handlers = registry(self.as_house(), workers=1)
        for _ in range(rounds):
            job = self.jobs.claim_job(now=self.clock.now(), owner="test", lease_s=60)
            if job is None:
                due = self.jobs.next_due()
                if due is None:
                    return done
                self.clock.at = max(self.clock.at, due)
                continue
            handlers[job.kind](job)
            assert self.jobs.finish_job(job.id, owner="test", now=self.clock.now())
            done.append(job.kind)
        raise AssertionError("the work does not end")

    def close(self) -> None:
        self.ids.give_back()
        self.records.close()


def open_house(folder: Path, url: str = "", *, keys: KeyProvider | None = None) -> JourneyHouse:
    """Set up an empty home in a folder, or open the one that is there; its master keys are a file unless others are given."""
    if not (folder / "master.json").exists():
        create_key_file(folder / "master.json")
    write, read = open_engines(url or f"sqlite:///{folder / 'records.db'}")
    make_schema(write)
    clock, bell = HandClock(), Bell()
    ids = BatchedIds(write, clock)
    keys = keys or FileKeys(folder / "master.json")
    store = SealedStore(objects=DiskObjects(folder / "objects"), keys=keys, tenant="consilium", new_id=ids)
    records = SqlRecords(write=write, read=read, store=store, clock=clock, doorbell=bell)
    set_up_house(records=records, store=store)
    jobs = JobRows(write=write, read=read, records=records)
    return JourneyHouse(
        folder=folder, records=records, jobs=jobs, store=store, clock=clock, bell=bell, ids=ids
    )


def arrival(content: bytes, *, called_ae: str = "CONSILIUM", **values: Any) -> ReceivedInstance:
    """What the node would hand over for a Part 10 file."""
    meta, data_set = open_part10(io.BytesIO(content))
    head, consumed = read_head(data_set, meta.transfer_syntax_uid)
    made = ReceivedInstance(
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        calling_ae="PACS",
        called_ae=called_ae,
        address="127.0.0.1",
        association_id="a1",
        head=head,
        stream=Replayed(consumed, data_set),
    )
    return replace(made, **values)
