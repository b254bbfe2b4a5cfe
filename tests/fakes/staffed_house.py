"""A house on a temporary disk with real records and sealed objects, a clock that stands, and people who sign in."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyotp
from argon2 import PasswordHasher

from gateway.adapters.register_file import FileRegister
from gateway.domain.case import Case
from gateway.domain.document import Document
from gateway.domain.ids import new_id
from gateway.domain.people import Actor, Person, Role
from gateway.domain.policy import Policy
from gateway.domain.release import Release
from gateway.domain.study import Instance, Study
from gateway.journeys.lookup import originals_key
from gateway.journeys.make_copy import known_of, record_copy
from gateway.journeys.open_case import open_case
from gateway.journeys.release_case import approve_release, build_release
from gateway.journeys.sandboxed import Cleaned, Held
from gateway.journeys.set_up_house import set_up_house
from gateway.journeys.sign_in import add_person, sign_in
from gateway.ports import House, SandboxFailed, SandboxResult, Scan
from gateway.records import JobRows, SqlRecords, open_engines
from gateway.records.schema import make_schema
from storage import create_key_file, open_disk_store

OPERATOR = Actor(kind="operator", id="test")
PASSWORD = "a sentence that is a good password"
_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CT = "1.2.840.10008.5.1.4.1.1.2"
PATIENT: dict[str, Any] = {
    "names": [{"family": "Vinterqvist", "given": "Alfhilda"}],
    "identifiers": [{"type": "personnummer", "issuer": "Skatteverket", "value": "19670725-9989"}],
    "birth_date": "1967-07-25",
    "sex": "F",
    "addresses": [
        {"street": "Gäddviksbacken 39B", "postal_code": "995 95", "city": "Ödeshammar", "country": "SE"}
    ],
    "phones": ["+46 70 174 06 47"],
    "emails": ["alfhilda.vinterqvist@example.org"],
    "relatives": [{"names": [{"family": "Vinterqvist", "given": "Tölvina"}], "relation": "daughter"}],
    "physicians": [
        {"names": [{"family": "Kråkmoström", "given": "Gölinna"}], "institution": "Märstaviks klinik"}
    ],
}


class StandingClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime | None = None) -> None:
        self.at = now or datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def forward(self, **amount: float) -> None:
        self.at += timedelta(**amount)


class KeptMessages:
    """Mailer and texter in one: keeps what was sent."""

    name = "kept"

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []

    def send(self, **message: str) -> None:
        self.sent.append(message)


class _Bell:
    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, job_id: str) -> None:
        self.rung.append(job_id)


class _Scanner:
    name = "none"

    def scan(self, chunks: Any) -> Scan:
        return Scan(verdict="unscanned")


class _Witness:
    def __init__(self) -> None:
        self.kept: list[str] = []

    def publish(self, note: str) -> None:
        self.kept.append(note)

    def notes(self) -> list[str]:
        return list(self.kept)


class PaintingSandbox:
    """Answers verification with «nothing left» and previews with a small picture of ``pages`` pages."""

    def __init__(self) -> None:
        self.pages = 3
        self.leaks: list[str] = []

    def run(self, task: str, payload: Any, options: Mapping[str, Any]) -> SandboxResult | SandboxFailed:
        if task in {"verify_instance", "verify_document"}:
            return SandboxResult(meta={"leaks": self.leaks}, content=b"")
        if task in {"render_preview", "preview_document"}:
            if options["number"] >= self.pages:
                return SandboxFailed(code="unreadable", reason="no such page")
            return SandboxResult(meta={}, content=png(240, 180, seed=int(options["number"])))
        return SandboxFailed(code="unknown_task", reason=task)

    def describe(self) -> dict[str, Any]:
        return {}


def png(width: int, height: int, *, seed: int = 0) -> bytes:
    """A grey picture with rings, made by hand."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        rows += bytes(
            min(255, ((x - width // 2) ** 2 + (y - height // 2) ** 2) // (24 + 12 * seed) % 200 + 20)
            for x in range(width)
        )

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(rows)))
        + chunk(b"IEND", b"")
    )


@dataclass
class StaffedHouse:
    """The house and what tests do with it."""

    house: House
    records: SqlRecords
    clock: Any
    mail: KeptMessages
    bell: _Bell
    sandbox: PaintingSandbox
    people: dict[str, Person] = field(default_factory=dict)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, role: Role, email: str) -> Person:
        with patch(
            "gateway.journeys.sign_in._HASHER", _QUICK
        ):  # what is hashed cheaply is verified cheaply too
            enrolled = add_person(
                role=role,
                email=email,
                by=OPERATOR,
                records=self.house.records,
                store=self.house.store,
                clock=self.house.clock,
                random=self.house.random,
                password=PASSWORD,
            )
        self.people[email] = enrolled.person
        return enrolled.person

    def token(self, email: str) -> str:
        """Sign somebody in without a browser; the clock moves on, since a code counts once."""
        self.clock.forward(seconds=60)
        house, person = self.house, self.people[email]
        token, _ = sign_in(
            email=email,
            password=PASSWORD,
            code=self.code(email),
            roles=(person.role,),
            address="127.0.0.1",
            records=house.records,
            store=house.store,
            clock=house.clock,
            random=house.random,
            policy=house.policy,
        )
        return token

    def code(self, email: str) -> str:
        return pyotp.TOTP(self.people[email].totp_seed).at(int(self.clock.now().timestamp()))

    def open(self, **more: Any) -> Case:
        return open_case(
            **{"opinion": "mdt", "patient": PATIENT, "questions": "Is surgery possible?", **more},
            by=OPERATOR,
            records=self.house.records,
            store=self.house.store,
            clock=self.house.clock,
            random=self.house.random,
        )

    def study(
        self,
        case: Case | None,
        *,
        slices: int = 4,
        look_at: int = 0,
        clean: bool = True,
        sender: str = "peer:RADIOLOGY1",
        head: dict[str, str] | None = None,
        number: int = 1,
        own_key: bool = False,
    ) -> Study:
        """Add a study with copies; the last ``look_at`` slices are held for a look. Without a case it waits in the inbox."""
        house, now = self.house, self.clock.now()
        study_id = new_id()
        holder = study_id if case is None or own_key else case.id
        told = {"modality": "CT", "study_date": "20260512", **(head or {})}
        if holder == study_id:
            key = house.store.new_key(holder=study_id, purpose="originals")
            with house.records.change(by=OPERATOR) as change:
                change.add_key(key, case_id=case.id if case else None)
                change.note("study_settled", subject=study_id)
        study = Study(
            id=study_id,
            case_id=case.id if case else None,
            holder=holder,
            sender=sender,
            study_key=new_id(),
            state="settled",
            received_at=now,
            last_at=now,
            instances=slices,
            match={"score": 100, "reasons": ["called_ae"]} if case else {},
            head=told,
        )
        rows = []
        for index in range(slices):
            ref = house.store.seal(
                io.BytesIO(b"original %d" % index), key=originals_key(house.records, holder), kind="original"
            )
            rows.append(
                Instance(
                    id=new_id(),
                    study_id=study_id,
                    case_id=study.case_id,
                    holder=holder,
                    sop_key=new_id(),
                    sop_class_uid=CT,
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    object_id=ref.object_id,
                    size_bytes=ref.size_bytes,
                    digest=ref.digest,
                    received_at=now,
                )
            )
        with house.records.change(by=Actor(kind="peer", id="RADIOLOGY1")) as change:
            change.studies.add(study)
            for row in rows:
                change.instances.add(row)
                change.note("instance_kept", case_id=study.case_id or "", subject=row.id)
        for index, row in enumerate(rows if case is not None and clean else []):
            held = index >= slices - look_at
            self.copy(
                case,  # type: ignore[arg-type]  # there is one
                "instance",
                row.id,
                content=b"DICM" + bytes([index % 256, number]) * 500,
                index=_ct_index(number, index),
                look=(("burned_in", "The sender states that text is burned into the picture.", ""),)
                if held
                else (),
            )
        return study

    def document(
        self,
        case: Case,
        name: str,
        *,
        category: str = "doctors_notes",
        look: tuple[tuple[str, str, str], ...] = (),
        held: Held | None = None,
    ) -> Document:
        house = self.house
        ref = house.store.seal(
            io.BytesIO(b"the original"), key=originals_key(house.records, case.id), kind="original"
        )
        document = Document(
            id=new_id(),
            case_id=case.id,
            holder=case.id,
            category=category,
            name=name,
            media_type="application/pdf",
            object_id=ref.object_id,
            size_bytes=184_320,
            digest=ref.digest,
            received_at=self.clock.now(),
        )
        with house.records.change(by=Actor(kind="patient", id="link")) as change:
            change.documents.add(document)
            change.note("document_received", case_id=case.id, subject=document.id)
        self.copy(
            case,
            "document",
            document.id,
            content=b"%PDF-1.7 " + name.encode() * 40,
            index={},
            media_type="application/pdf",
            look=look,
            held=held,
        )
        return document

    def copy(
        self,
        case: Case,
        kind: Any,
        subject_id: str,
        *,
        content: bytes,
        index: dict[str, Any],
        media_type: str = "application/dicom",
        look: tuple[tuple[str, str, str], ...] = (),
        held: Held | None = None,
    ) -> None:
        self.made[subject_id] = {
            "kind": kind,
            "content": content,
            "index": index,
            "media_type": media_type,
            "look": look,
            "held": held,
        }
        record_copy(
            held
            or Cleaned(
                content=content,
                index={**index, "report": {"profile": "mdt-default", "counts": {"X": 12, "U": 5, "K": 40}}},
                look=look,
            ),
            case=case,
            known=known_of(case),
            subject_kind=kind,
            subject_id=subject_id,
            media_type=media_type,
            original_uids=(),
            records=self.house.records,
            store=self.house.store,
            sandbox=self.house.sandbox,
            now=self.clock.now(),
        )

    def release(self, case: Case, *reviewers: str) -> Release:
        house = self.house
        build_release(
            ref=case.ref,
            by=OPERATOR,
            records=house.records,
            store=house.store,
            sandbox=house.sandbox,
            clock=house.clock,
        )
        release, _ = approve_release(
            ref=case.ref,
            by=OPERATOR,
            records=house.records,
            store=house.store,
            clock=house.clock,
            policy=house.policy,
            reviewers=reviewers,
        )
        return release

    def kinds(self, **where: Any) -> list[str]:
        """The kinds of all events so far."""
        with self.house.records.view() as view:
            return [event.kind for event in view.events(**where)]

    def clean_again(self, case: Case) -> None:
        """Make the copies that are owed once more: what the worker does after a study was taken out of the case."""
        with self.house.records.view() as view:
            waiting = [row.id for row in view.instances.find(case_id=case.id, state="received")]
            waiting += [row.id for row in view.documents.find(case_id=case.id, state="received")]
        for subject_id in waiting:
            self.copy(case, subject_id=subject_id, **self.made[subject_id])

    def drain(self) -> int:
        """Finish every job that is due without doing anything: here the work is done by the test itself."""
        count = 0
        while job := self.house.jobs.claim_job(now=self.clock.now(), owner="test", lease_s=60):
            self.house.jobs.finish_job(job.id, owner="test", now=self.clock.now())
            count += 1
        return count

    def close(self) -> None:
        self.records.close()


class PresentHouse:
    """Stands for whichever house is present, so that a door (and its compiled pages) is made once for many houses."""

    house: House | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.house, name)


def _ct_index(number: int, index: int) -> dict[str, Any]:
    study, series = f"2.25.{7000 + number}", f"2.25.{8000 + number}"
    instance = f"2.25.{90000 + number * 100 + index}"
    return {
        "PatientName": "PSEUDONYM",
        "PatientID": "P-1",
        "StudyDate": "20260301",
        "StudyTime": "101500",
        "StudyDescription": "Thorax",
        "StudyInstanceUID": study,
        "StudyID": "1",
        "Modality": "CT",
        "SeriesInstanceUID": series,
        "SeriesNumber": "2",
        "InstanceNumber": str(index + 1),
        "NumberOfFrames": "3",
        "SOPClassUID": CT,
        "SOPInstanceUID": instance,
        "TransferSyntaxUID": "1.2.840.10008.1.2.1",
    }


def make_house(home: Path, *, clock: Any = None, public_url: str = "http://127.0.0.1:8080") -> StaffedHouse:
    """Set up a house in an empty folder."""
    home.chmod(0o700)
    create_key_file(home / "key.json")
    store = open_disk_store(home / "store", home / "key.json", tenant="consilium")
    clock = clock or StandingClock()
    bell, mail, sandbox = _Bell(), KeptMessages(), PaintingSandbox()
    write, read = open_engines(f"sqlite:///{home / 'records.db'}")
    make_schema(write)
    records = SqlRecords(write=write, read=read, store=store, clock=clock, doorbell=bell)
    set_up_house(records=records, store=store)
    house = House(
        records=records,
        jobs=JobRows(write=write, read=read, records=records),
        store=store,
        clock=clock,
        random=os.urandom,
        texter=mail,
        mailer=mail,
        scanner=_Scanner(),
        sandbox=sandbox,
        witness=_Witness(),
        register=FileRegister(home / "forgotten.jsonl"),
        policy=Policy(public_url=public_url),
    )
    return StaffedHouse(house=house, records=records, clock=clock, mail=mail, bell=bell, sandbox=sandbox)
