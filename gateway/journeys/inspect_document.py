"""Establishing what an uploaded file is: DICOM goes the instances' way, an archive is opened, a document is owed a clean copy."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import IO, cast

from dicom_node.errors import DicomNodeError
from dicom_node.head import read_head
from dicom_node.part10 import looks_like_dicom, open_part10
from dicom_node.receiver import ReceivedInstance
from dicom_node.status import is_kept
from dicom_node.streams import Replayed
from gateway.domain.archive import ArchiveEntry, ArchiveRefusedError, open_entry, read_directory
from gateway.domain.case import Case
from gateway.domain.document import Document
from gateway.domain.finding import Finding
from gateway.domain.ids import new_id
from gateway.domain.people import HOUSE, Actor
from gateway.domain.policy import Policy
from gateway.journeys import sandboxed
from gateway.journeys.assemble_document import HashingStream, assemble
from gateway.journeys.deidentify_document import LIMIT_BYTES, original_ref
from gateway.journeys.receive_instance import receive_instance
from gateway.ports import Clock, Records, Sandbox, Scanner
from storage import SealedReader, SealedStore

_PEEK = 4096
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"#!", b"\xcf\xfa\xed\xfe")
_PROGRAM_NAMES = (
    ".exe",
    ".dll",
    ".inf",
    ".bat",
    ".cmd",
    ".com",
    ".msi",
    ".js",
    ".vbs",
    ".jar",
    ".scr",
    ".lnk",
    ".app",
)
# What computers add to archives of their own accord: no document of anybody's.
_LITTER = frozenset({"DICOMDIR", ".DS_STORE", "THUMBS.DB", "DESKTOP.INI"})
_ZIP = "application/zip"


def inspect_document(
    document_id: str,
    *,
    records: Records,
    store: SealedStore,
    sandbox: Sandbox,
    scanner: Scanner,
    clock: Clock,
    policy: Policy,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Inspect one received file. Running it again after a crash adds nothing twice."""
    with records.view() as view:
        document = view.documents.get(document_id)
        case = view.cases.get(document.case_id)
        key = view.key(document.holder, "originals")
    if document.state != "received":
        return
    inspection = _Inspection(records, store, sandbox, clock, policy, case, beat)
    document = assemble(document, records=records, store=store, by=HOUSE)
    beat()
    with store.open(original_ref(document), key=key, kind="original") as reader:
        scan = scanner.scan(_blocks(reader))
    if scan.verdict == "found":
        inspection.hold(
            document,
            "malware",
            "The scanner found malware in this file; nothing of it is used.",
            scan=scan.what,
        )
        return
    with store.open(original_ref(document), key=key, kind="original") as reader:
        inspection.sort(document, reader, scanned=scan.verdict)


class _Inspection:
    """What the steps of one inspection share."""

    def __init__(
        self,
        records: Records,
        store: SealedStore,
        sandbox: Sandbox,
        clock: Clock,
        policy: Policy,
        case: Case,
        beat: Callable[[], None],
    ) -> None:
        self._records, self._store, self._sandbox = records, store, sandbox
        self._clock, self._policy, self._case, self._beat = clock, policy, case, beat

    def sort(self, document: Document, reader: SealedReader, *, scanned: str) -> None:
        """Send a file the way that its content, not its name, tells."""
        first = reader.read(_PEEK)
        reader.seek(0)
        if looks_like_dicom(first):
            self._one_instance(document, reader, scanned)
        elif first.startswith(b"PK\x03\x04"):
            self._archive_or_office(document, reader, scanned)
        elif first.startswith(_PROGRAMS):
            self._done(document, "ignored", note="program", scanned=scanned)
        elif document.size_bytes > LIMIT_BYTES:
            self.hold(
                document,
                "too_large",
                "The file is neither DICOM nor an archive and is too large to be cleaned.",
            )
        else:
            media_type = sandboxed.kind_of(self._sandbox, reader.read())
            self._owe_copy(replace(document, media_type=media_type), scanned)

    def _one_instance(self, document: Document, reader: SealedReader, scanned: str) -> None:
        if self._keep_instance(_as_stream(_blocks(reader)), document):
            self._done(document, "dicom", note="1 instance", scanned=scanned)
        else:
            self.hold(
                document, "unreadable_dicom", "The file looks like DICOM, but it cannot be read as such."
            )

    def _archive_or_office(self, document: Document, reader: SealedReader, scanned: str) -> None:
        file = cast("IO[bytes]", reader)
        try:
            entries = [e for e in read_directory(file).entries if not e.is_directory]
        except ArchiveRefusedError as refused:
            self.hold(document, "archive_refused", f"The archive was not opened: {refused.reason}")
            return
        if any(e.name in {"[Content_Types].xml", "mimetype"} for e in entries):
            reader.seek(0)
            media_type = (
                sandboxed.kind_of(self._sandbox, reader.read())
                if document.size_bytes <= LIMIT_BYTES
                else _ZIP
            )
            self._owe_copy(replace(document, media_type=media_type), scanned)
            return
        tally = {"instances": 0, "documents": 0, "left": 0}
        for number, entry in enumerate(entries):
            self._beat()
            try:
                tally[self._take_entry(document, file, entry, number)] += 1
            except ArchiveRefusedError as refused:
                self.hold(
                    document,
                    "archive_refused",
                    f"A file in the archive could not be unpacked: {refused.reason}",
                )
                return
        note = (
            f"{tally['instances']} instances, {tally['documents']} documents, {tally['left']} files left out"
        )
        self._done(document, "unpacked", note=note, scanned=scanned)

    def _take_entry(self, parent: Document, file: IO[bytes], entry: ArchiveEntry, number: int) -> str:
        """Take one member by its content; programs, directories of discs and the like are left out by name."""
        base = entry.name.rsplit("/", 1)[-1]
        blocks = open_entry(file, entry)
        first = b""
        for block in blocks:
            first += block
            if len(first) >= _PEEK:
                break
        whole: Iterator[bytes] = chain([first], blocks)
        if (
            not first
            or base.upper() in _LITTER
            or entry.name.startswith("__MACOSX/")
            or base.lower().endswith(_PROGRAM_NAMES)
            or first.startswith(_PROGRAMS)
        ):
            return "left"
        if looks_like_dicom(first):
            if self._keep_instance(_as_stream(whole), parent):
                return "instances"
            whole = open_entry(file, entry)
        self._child(parent, base, whole, number)
        return "documents"

    def _child(self, parent: Document, name: str, blocks: Iterator[bytes], number: int) -> None:
        """Seal a member of an archive as a document of its own; its id follows from its place, so a second run finds it."""
        child_id = hashlib.sha256(f"{parent.id}/{number}".encode()).hexdigest()[:32]
        with self._records.view() as view:
            if view.documents.first(id=child_id):
                return
            key = view.key(parent.holder, "originals")
        stream = HashingStream(blocks)
        ref = self._store.seal(stream, key=key, kind="original", limit_bytes=self._policy.file_limit_bytes)
        media_type = "application/octet-stream"
        if ref.size_bytes <= LIMIT_BYTES:
            with self._store.open(ref, key=key, kind="original") as reader:
                media_type = sandboxed.kind_of(self._sandbox, reader.read())
        child = Document(
            id=child_id,
            case_id=parent.case_id,
            holder=parent.holder,
            parent_id=parent.id,
            link_id=parent.link_id,
            category=parent.category,
            name=name,
            media_type=media_type,
            object_id=ref.object_id,
            size_bytes=ref.size_bytes,
            digest=ref.digest,
            generation=ref.generation,
            sha256=stream.sha256.hexdigest(),
            received_at=parent.received_at,
        )
        with self._records.change(by=HOUSE) as change:
            change.documents.get(parent.id)  # the case may have been forgotten meanwhile
            change.documents.add(child)
            change.owe("deidentify_document", child.id, due_at=self._clock.now(), case_id=child.case_id)
            change.note(
                "document_received",
                case_id=child.case_id,
                subject=child.id,
                bytes=child.size_bytes,
                parent=parent.id,
            )

    def _keep_instance(self, stream: io.RawIOBase, document: Document) -> bool:
        """Take a Part 10 file the way of the instances: two doors, one corridor."""
        source = Actor(kind="patient", id=document.link_id or "desk")
        try:
            meta, data_set = open_part10(stream)
            head, consumed = read_head(data_set, meta.transfer_syntax_uid)
            arrival = ReceivedInstance(
                sop_class_uid=meta.sop_class_uid or head.sop_class_uid,
                sop_instance_uid=meta.sop_instance_uid or head.sop_instance_uid,
                transfer_syntax_uid=meta.transfer_syntax_uid,
                calling_ae="",
                called_ae="",
                address="",
                association_id=document.id,
                head=head,
                stream=Replayed(consumed, data_set),
            )
            outcome = receive_instance(
                arrival,
                source=source,
                records=self._records,
                store=self._store,
                clock=self._clock,
                policy=self._policy,
                case=self._case,
            )
        except (DicomNodeError, ValueError):
            return False
        return is_kept(outcome.status)

    def _owe_copy(self, document: Document, scanned: str) -> None:
        with self._records.change(by=HOUSE) as change:
            change.documents.set(document.id, media_type=document.media_type)
            change.owe("deidentify_document", document.id, due_at=self._clock.now(), case_id=document.case_id)
            change.note(
                "document_inspected",
                case_id=document.case_id,
                subject=document.id,
                type=document.media_type,
                scan=scanned,
            )

    def _done(self, document: Document, state: str, *, note: str, scanned: str) -> None:
        with self._records.change(by=HOUSE) as change:
            change.documents.set(document.id, state=state, note=note)
            change.note(
                "document_inspected",
                case_id=document.case_id,
                subject=document.id,
                state=state,
                found=note,
                scan=scanned,
            )

    def hold(self, document: Document, code: str, reason: str, **details: str) -> None:
        """Hold a file with its reason: the coordinator leaves it out, or asks the sender for another form."""
        with self._records.change(by=HOUSE) as change:
            change.documents.set(document.id, state="quarantined", note=code)
            change.findings.add(
                Finding(
                    id=new_id(),
                    case_id=document.case_id,
                    subject_kind="document",
                    subject_id=document.id,
                    code=code,
                    reason=reason[:500],
                    found_at=self._clock.now(),
                )
            )
            change.note(
                "quarantined",
                case_id=document.case_id,
                subject=document.id,
                outcome="held",
                code=code,
                **details,
            )


def _blocks(reader: SealedReader) -> Iterator[bytes]:
    while block := reader.read(1 << 20):
        yield block


def _as_stream(blocks: Iterator[bytes]) -> io.RawIOBase:
    return HashingStream(blocks)
