"""A house with something of every kind in it, its backup repository, and new homes to restore into."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.adapters.backup_home import FolderToRestore
from gateway.adapters.backup_repository import BackupDirectory
from gateway.domain.backup import Database, Facts
from gateway.journeys import answer_case, prove_identity, receive_document, release_case
from gateway.journeys.back_up_house import Made, back_up_house
from gateway.journeys.open_release import export_release
from gateway.journeys.prune_backups import Pruned, prune_backups
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.restore_house import RestoreReport, restore_house
from gateway.journeys.sign_in import add_person
from gateway.journeys.verify_audit import checkpoint_audit
from gateway.journeys.verify_backup import BackupVerdict, newest_backup, verify_backup
from gateway.records.snapshot import check_snapshot, snapshots_of
from gateway.records.tables import SCHEMA_VERSION
from storage import Readable, SealedStore, open_disk_store
from tests import factories
from tests.fakes.journey_house import DESK, PACS, JourneyHouse, NotesInMemory, arrival, open_house

TENANT = "consilium"
REVIEWER = "rut@example.org"
REPORT = {"question": "q", "findings": "f", "recommendation": "r", "confidence": "high"}


class BackedHouse:
    """The steps of an operator who backs up, in short."""

    def __init__(self, house: JourneyHouse, url: str, folder: Path) -> None:
        self.house, self.url = house, url or f"sqlite:///{house.folder / 'records.db'}"
        self.folder = folder
        self.place = BackupDirectory(folder / "repository", is_new=True)

    def fill(self) -> str:
        """Return the reference of a case taken to an answered release, there is another with half a file, and a study in the inbox."""
        house = self.house
        case = house.case(1)
        self.receive(case.ref, 1, 2)
        house.work()
        add_person(
            role="reviewer", email=REVIEWER, by=DESK, **house.ports("records", "store", "clock", "random")
        )
        release_case.build_release(
            ref=case.ref, by=DESK, **house.ports("records", "store", "sandbox", "clock")
        )
        release, _ = release_case.approve_release(
            ref=case.ref, by=DESK, reviewers=[REVIEWER], **house.ports("records", "store", "clock", "policy")
        )
        person = house.rows("people")[0].id
        ports = house.ports("records", "clock")
        answer_case.sign_answer(release.id, REPORT, person_id=person, address="", **ports)
        self.half_a_file(house.case(2, patient=factories.patient(2)).ref)
        self.receive("CONSILIUM", 7, seed=3)
        house.work()
        self.checkpoint()
        return case.ref

    def some(self) -> str:
        """Return the reference of a case with two images; nothing is made of them yet."""
        case = self.house.case(1)
        self.receive(case.ref, 1, 2)
        self.receive("CONSILIUM", 7, seed=3)
        self.checkpoint()
        return case.ref

    def receive(self, called_ae: str, *numbers: int, seed: int = 1) -> None:
        for number in numbers:
            receive_instance(
                arrival(factories.ct_instance(seed, number=number), called_ae=called_ae),
                source=PACS, **self.house.ports("records", "store", "clock", "policy"),
            )  # fmt: skip

    def half_a_file(self, ref: str) -> tuple[Any, str]:
        house = self.house
        ports = house.ports("records", "clock", "random", "policy")
        token = prove_identity.make_link(ref=ref, by=DESK, **ports)[1].rsplit("#", 1)[1]
        pre = prove_identity.open_link(token, address="", **ports).token
        prove_identity.send_code(pre, address="", store=house.store, texter=house.texter, **ports)
        code = "".join(c for c in house.texter.sent[-1]["text"].split(".")[0] if c.isdigit())
        token = prove_identity.verify_code(pre, code, address="", store=house.store, **ports)
        me = prove_identity.live_session(token, kind="patient", **house.ports("records", "clock", "policy"))
        upload = receive_document.create_upload(
            me, name="Brev.txt", size_bytes=20, category="doctors_notes", media_type="text/plain", address="",
            **house.ports("records", "clock", "policy"),
        ).id  # fmt: skip
        self.append(me, upload, 0, b"Bilder fran")
        return me, upload

    def append(self, me: Any, upload: str, offset: int, chunk: bytes) -> None:
        receive_document.append_part(
            me, upload, offset=offset, chunk=chunk, sha256=None, address="",
            **self.house.ports("records", "store", "clock"),
        )  # fmt: skip

    def checkpoint(self) -> None:
        checkpoint_audit(**self.house.ports("records", "store", "witness"), origin=TENANT)

    def create(self, **values: Any) -> Made:
        self.house.clock.forward(seconds=1)
        fixed: dict[str, Any] = {
            "by": DESK, "snapshots": snapshots_of(self.url), "place": self.place, "tenant": TENANT, "version": "0.3.0",
            **self.house.ports("records", "store", "witness", "register", "clock", "random"),
        }  # fmt: skip
        return back_up_house(**(fixed | values))

    def verify(self, backup_id: str = "", **values: Any) -> BackupVerdict:
        chosen = backup_id or newest_backup(place=self.place)
        fixed: dict[str, Any] = {"place": self.place, "store": self.house.store, "check": check}
        return verify_backup(backup_id=chosen, **(fixed | values))

    def prune(self, **values: Any) -> Pruned:
        fixed: dict[str, Any] = {"by": DESK, "place": self.place, "keep_days": 30}
        return prune_backups(**(fixed | self.house.ports("records", "store", "clock") | values))

    def new_home(self, url: str, name: str = "new") -> NewHouse:
        return NewHouse(self, self.folder / name, url)


class NewHouse:
    """An empty home with the master key in it."""

    def __init__(self, backed: BackedHouse, folder: Path, url: str) -> None:
        self.backed, self.folder = backed, folder
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(backed.house.folder / "master.json", folder / "master.json")
        self.url = url or f"sqlite:///{folder / 'records.db'}"
        self.witness = NotesInMemory()
        self.home = FolderToRestore(folder)

    @property
    def store(self) -> SealedStore:
        return open_disk_store(self.folder, self.folder / "master.json", tenant=TENANT)

    def open(self) -> JourneyHouse:
        house = open_house(self.folder, self.url)
        house.clock.at = self.backed.house.clock.at
        house.witness = self.witness
        return house

    def restore(self, backup_id: str = "", **values: Any) -> RestoreReport:
        fixed: dict[str, Any] = {
            "by": DESK, "place": self.backed.place, "home": self.home, "store": self.store, "check": check,
            "snapshots": snapshots_of(self.url), "open_house": self._opened, "clock": self.backed.house.clock,
            "tenant": TENANT, "schema_version": SCHEMA_VERSION, "register": (),
        }  # fmt: skip
        return restore_house(backup_id=backup_id, **(fixed | values))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        house = self.open()
        try:
            yield house.records, house.store, house.witness
        finally:
            house.close()


def check(database: Database, stream: Readable) -> Facts | None:
    with tempfile.TemporaryDirectory() as folder:
        return check_snapshot(database, stream, folder=Path(folder))


def package(house: JourneyHouse, ref: str) -> bytes:
    """Return the bytes of a case's newest release."""
    made = export_release(ref=ref, number=None, by=DESK, **house.ports("records", "store"))
    return b"".join(made.read())


def originals(house: JourneyHouse) -> dict[str, bytes]:
    """Return the plaintext of every object that a row names."""
    found: dict[str, bytes] = {}
    with house.records.view() as view:
        for kept in view.kept.page(limit=10_000):
            key = view.key(kept.holder, kept.naming.purpose)
            with house.store.open(kept.ref(), key=key, kind=kept.naming.kind) as reader:
                found[kept.object_id] = reader.read()
    return found


def every_byte(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(at % size)
        byte = file.read(1)[0]
        file.seek(at % size)
        file.write(bytes([byte ^ 0x10]))
