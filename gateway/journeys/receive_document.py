"""Receiving a patient's file piece by piece: what is counted is sealed and durable, and nothing else is counted (tus 1.0.0)."""

from __future__ import annotations

import hashlib
import hmac
import io
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from gateway.domain.case import RECEIVING_STATES
from gateway.domain.checklist import CATEGORIES
from gateway.domain.document import Document
from gateway.domain.errors import (
    BusyError,
    ConflictError,
    ExpiredError,
    InvalidError,
    NotFoundError,
    TooLargeError,
)
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.upload import Part, Session, Upload
from gateway.journeys.assemble_document import PartChain
from gateway.journeys.lookup import originals_key
from gateway.journeys.open_case import mark_item
from gateway.ports import Change, Clock, Records
from storage import SealedStore, StorageError

NAME_LIMIT = 255
DIGEST_AT_ONCE_BYTES = 512 << 20
# What a browser says of a file stands unsealed, so it may be a type and nothing else (RFC 6838 4.2, shorter).
_MEDIA_TYPE = re.compile(r"^[a-z]{1,20}/[a-z0-9.+-]{1,100}$")


class OffsetError(ConflictError):
    """The piece does not begin where the last one ended."""

    next_step = "Ask for the offset and send from there."


class ChecksumError(InvalidError):
    """The piece is not what its checksum says; nothing of it was counted."""

    next_step = "Send the same piece again."


def _by(session: Session, address: str) -> Actor:
    return Actor(kind="patient", id=session.subject_id, address=address)


def create_upload(
    session: Session,
    *,
    name: str,
    size_bytes: int,
    category: str,
    media_type: str,
    address: str,
    records: Records,
    clock: Clock,
    policy: Policy,
) -> Upload:
    """Promise room for one file; over a quota it is refused before a byte is sent (F2)."""
    if category not in CATEGORIES:
        raise InvalidError("there is no such category", next_step=f"One of: {', '.join(CATEGORIES)}.")
    if not size_bytes > 0:
        raise InvalidError("an empty file holds nothing", next_step="Choose the file again.")
    if size_bytes > policy.file_limit_bytes:
        raise TooLargeError(f"one file may have {policy.file_limit_bytes} bytes")
    now = clock.now()
    with records.change(by=_by(session, address)) as change:
        case = change.cases.get(str(session.case_id))
        if case.state not in RECEIVING_STATES:
            raise ConflictError("the case takes no more files", next_step="Ask the coordinator.")
        mine = change.uploads.find(link_id=session.subject_id)
        if len(mine) >= policy.link_limit_files:
            raise TooLargeError(f"one link takes {policy.link_limit_files} files")
        if sum(u.size_bytes for u in mine if u.state != "abandoned") + size_bytes > policy.link_limit_bytes:
            raise TooLargeError(f"one link takes {policy.link_limit_bytes} bytes in all")
        upload = Upload(
            id=new_id(),
            case_id=case.id,
            holder=case.id,
            link_id=session.subject_id,
            category=category,
            name=_shortened(name),
            media_type=media_type if _MEDIA_TYPE.match(media_type) else "application/octet-stream",
            size_bytes=size_bytes,
            created_at=now,
            expires_at=now + policy.upload_valid,
        )
        change.uploads.add(upload)
        change.note("upload_begun", case_id=case.id, subject=upload.id, bytes=size_bytes, category=category)
    return upload


def find_upload(session: Session, upload_id: str, *, records: Records, clock: Clock) -> Upload:
    """Return an upload of this session's own link; another's does not exist for it, an old one is gone."""
    with records.view() as view:
        upload = view.uploads.first(id=upload_id, link_id=session.subject_id)
    if upload is None or upload.state == "abandoned":
        raise NotFoundError(f"there is no upload {upload_id[:32]}")
    if upload.state == "open" and clock.now() >= upload.expires_at:
        raise ExpiredError(
            f"upload {upload_id} was left too long", next_step="Send the file from the beginning."
        )
    return upload


def append_part(
    session: Session,
    upload_id: str,
    *,
    offset: int,
    chunk: bytes,
    sha256: bytes | None,
    address: str,
    records: Records,
    store: SealedStore,
    clock: Clock,
) -> int:
    """Seal one piece, then count it: the offset returned is durable. Two writers at one offset: one wins, one is told.

    The change that counts the last piece also makes the document and owes its inspection: whoever sees the offset at
    the end may rely on that.
    """
    upload = find_upload(session, upload_id, records=records, clock=clock)
    if upload.state != "open" or offset != upload.offset_bytes:
        raise OffsetError(f"upload {upload_id} stands at {upload.offset_bytes}")
    if offset + len(chunk) > upload.size_bytes:
        raise TooLargeError("the piece goes beyond the size that was announced")
    if sha256 is not None and not hmac.compare_digest(hashlib.sha256(chunk).digest(), sha256):
        raise ChecksumError
    if not chunk:
        return offset
    ref = store.seal(io.BytesIO(chunk), key=originals_key(records, upload.holder), kind="part")
    part = Part(
        id=new_id(),
        upload_id=upload_id,
        offset_bytes=offset,
        size_bytes=ref.size_bytes,
        object_id=ref.object_id,
        digest=ref.digest,
        generation=ref.generation,
    )
    try:
        with records.change(by=_by(session, address)) as change:
            if (
                change.uploads.get(upload_id).state != "open"
            ):  # finished or given up while the piece was sealed
                raise BusyError
            change.parts.add(part)
            after = offset + len(chunk)
            if not change.uploads.advance(upload_id, "offset_bytes", to=after):
                raise BusyError
            change.note(
                "part_kept", case_id=upload.case_id, subject=upload_id, offset=offset, bytes=len(chunk)
            )
            if after == upload.size_bytes:
                _receive(change, upload, clock.now())
    except ConflictError as error:
        store.forget(ref.object_id)
        raise BusyError from error
    return after


def _receive(change: Change, upload: Upload, now: datetime) -> None:
    document = Document(
        id=upload.id,
        case_id=upload.case_id,
        holder=upload.holder,
        link_id=upload.link_id,
        category=upload.category,
        name=upload.name,
        media_type=upload.media_type,
        object_id="",
        size_bytes=upload.size_bytes,
        digest=b"",
        received_at=now,
    )
    change.documents.add(document)
    change.uploads.set(upload.id, state="received")
    mark_item(change, change.cases.get(upload.case_id), upload.category)
    change.owe("inspect_document", document.id, due_at=now, case_id=upload.case_id)
    change.note("document_received", case_id=upload.case_id, subject=document.id, bytes=upload.size_bytes)


def finish_upload(
    session: Session, upload_id: str, *, address: str, records: Records, store: SealedStore, clock: Clock
) -> Document:
    """Return the document of a whole upload, with its digest for the receipt. May be called again.

    The digest is worked out from the sealed parts at once, except for files so large that the patient would wait for
    it, and where the inspection is ahead of us: theirs follows with the inspection.
    """
    upload = find_upload(session, upload_id, records=records, clock=clock)
    if upload.state != "received":
        raise ConflictError(f"{upload.size_bytes - upload.offset_bytes} bytes of the file are still missing")
    sha256 = ""
    if upload.size_bytes <= DIGEST_AT_ONCE_BYTES:
        with suppress(StorageError, ConflictError):
            sha256 = _sha256_of_parts(upload, records=records, store=store)
    with records.change(by=_by(session, address)) as change:
        document = change.documents.get(upload.id)
        if sha256 and not document.sha256:
            document = replace(document, sha256=sha256)
            change.documents.put(document)
        change.note("document_received", case_id=upload.case_id, subject=document.id, outcome="acknowledged")
    return document


def _sha256_of_parts(upload: Upload, *, records: Records, store: SealedStore) -> str:
    with records.view() as view:
        parts = view.parts.find(upload_id=upload.id, order="offset_bytes")
        if sum(part.size_bytes for part in parts) != upload.size_bytes:
            return ""
        key = view.key(upload.holder, "originals")
    digest = hashlib.sha256()
    for block in PartChain(store, key, parts).chunks():
        digest.update(block)
    return digest.hexdigest()


def abandon_upload(
    session: Session, upload_id: str, *, address: str, records: Records, store: SealedStore, clock: Clock
) -> None:
    """Give up a file that is not whole: its row and parts go, then the bytes."""
    upload = find_upload(session, upload_id, records=records, clock=clock)
    with records.change(by=_by(session, address)) as change:
        if change.uploads.get(upload_id).state == "received":
            raise ConflictError(
                "the file has arrived and cannot be given up",
                next_step="Ask the coordinator to leave it out.",
            )
        objects = [part.object_id for part in change.parts.find(upload_id=upload_id)]
        change.parts.remove(upload_id=upload_id)
        change.uploads.set(upload_id, state="abandoned")
        change.note("upload_abandoned", case_id=upload.case_id, subject=upload_id)
    for object_id in objects:
        store.forget(object_id)


def mark_missing(session: Session, item: str, *, address: str, records: Records) -> None:
    """Note that the patient does not have an item of the checklist; what has arrived stays arrived."""
    if item not in CATEGORIES:
        raise InvalidError("there is no such item")
    with records.change(by=_by(session, address)) as change:
        case = change.cases.get(str(session.case_id))
        state = "wanted" if case.checklist.get(item) == "not_available" else "not_available"
        if case.checklist.get(item) == "received":
            raise ConflictError("this item has arrived already")
        mark_item(change, case, item, state)


def _shortened(name: str) -> str:
    """Keep the last part of a file name that a person can read: no path, no control signs, 255 at most (F15)."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(
        c for c in last if c.isprintable() and c not in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"
    )[-NAME_LIMIT:]
