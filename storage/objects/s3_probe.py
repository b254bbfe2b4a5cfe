"""Tries an S3 server with throw-away objects before anything is entrusted to it: what must hold is refused by name, the rest remarked (D15).

Servers are known that accept a safety feature and ignore it, so each is shown by its effect, never by an answer alone.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass

from storage.errors import VolumeUnfitError
from storage.objects.s3_errors import S3RefusalError
from storage.objects.s3_wire import Parcel, Wire

NO_CONDITION = "ignores If-None-Match for whole objects: each publish looks first, which costs a request more"
NO_PART_CONDITION = "ignores If-None-Match when parts are completed: the key is looked at before and after"
NO_TICKET = "keeps no metadata: after a lost answer an object may stay as an orphan, for the scrub to find"
NO_UPLOADS = "does not list unfinished uploads: let a lifecycle rule of the bucket abort them after two days"
VERSIONS_UNTOLD = (
    "does not tell whether it keeps old versions (s3:GetBucketVersioning): see to it that it keeps none"
)
VERSIONS = (
    "keeps old versions: what is removed stays as ciphertext until a lifecycle rule of the bucket takes it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found; `remarks` are for the operator and stop nothing."""

    heeds_conditions: bool
    remarks: tuple[str, ...]


def examine(wire: Wire, key: str) -> Examined:
    """Try everything that the store relies on, under `key` and keys that begin with it, and clear up.

    Raises
    ------
    VolumeUnfitError
        Names what the server does wrong and the store cannot live with.
    S3RefusalError
        It refuses us or does not answer.
    """
    where = f"{wire.address.endpoint}/{wire.address.bucket}"
    _bucket(wire, key, where)
    remarks = {True: [VERSIONS], None: [VERSIONS_UNTOLD], False: []}[wire.keeps_versions()]
    try:
        heeds = _whole_object(wire, key, where, remarks)
        _missing_key(wire, f"{key}-none", where)
        _parts(wire, f"{key}-parts", where, remarks)
        _listing(wire, key, where)
        wire.delete(key)
        wire.delete(key)
        if wire.head(key) is not None:
            raise VolumeUnfitError(f"{where}: what was removed is still there")
        return Examined(heeds_conditions=heeds, remarks=tuple(remarks))
    finally:
        for left in (key, f"{key}-parts"):
            with suppress(S3RefusalError):
                wire.delete(left)


def _bucket(wire: Wire, key: str, where: str) -> None:
    """The bucket is there and may be listed: without s3:ListBucket a missing object looks like a forbidden one."""
    try:
        next(wire.keys(key), None)
    except S3RefusalError as refusal:
        if refusal.told == "NoSuchBucket":
            raise VolumeUnfitError(f"{where}: there is no such bucket; make it first") from refusal
        if refusal.told == "AccessDenied":
            raise VolumeUnfitError(
                f"{where} may not be listed; allow the access key s3:ListBucket"
            ) from refusal
        raise


def _whole_object(wire: Wire, key: str, where: str, remarks: list[str]) -> bool:
    """Put, read back, read a range, put again: the last must be refused, or is looked out for."""
    content = _parcel(secrets.token_bytes(4096))
    wire.put(key, content, ticket="first")
    if bytes(wire.get(key, 0, 4096)[0]) != bytes(content):
        raise VolumeUnfitError(f"{where} gives back other bytes than were written")
    try:
        part, total = wire.get(key, 1000, 24)
    except S3RefusalError as refusal:
        raise VolumeUnfitError(f"{where} cannot read ranges: {refusal.told}") from refusal
    if part != content[1000:1024] or total != 4096:
        raise VolumeUnfitError(f"{where} cannot read ranges: other bytes came than were asked for")
    head = wire.head(key)
    if head is None or head.size_bytes != 4096:
        raise VolumeUnfitError(f"{where} does not tell the length of an object (HEAD)")
    if head.ticket != "first":
        remarks.append(NO_TICKET)
    try:
        wire.put(key, content, ticket="second")
    except S3RefusalError as refusal:
        if refusal.kind != "taken":
            raise
        return True
    remarks.append(NO_CONDITION)
    return False


def _missing_key(wire: Wire, key: str, where: str) -> None:
    """A key that is not there must be said to be missing; «denied» would hide every loss, and success would invent one."""
    try:
        wire.get(key, 0, 1)
    except S3RefusalError as refusal:
        if refusal.kind == "missing":
            return
        if refusal.kind == "denied":
            raise VolumeUnfitError(
                f"{where} answers {refusal.told} for a key that is missing; allow the access key s3:ListBucket"
            ) from refusal
        raise
    raise VolumeUnfitError(f"{where} gives an object for a key that is missing")


def _parts(wire: Wire, key: str, where: str, remarks: list[str]) -> None:
    """Complete one upload, then another over it, then abort a third: it must leave nothing."""
    for ticket in ("first", "second"):
        upload_id = wire.begin(key, ticket=ticket)
        try:
            tag = wire.put_part(key, upload_id, 1, _parcel(ticket.encode()))
            wire.complete(key, upload_id, [tag])
            if ticket == "second":
                remarks.append(NO_PART_CONDITION)
        except S3RefusalError as refusal:
            with suppress(S3RefusalError):
                wire.abort(key, upload_id)
            if refusal.kind != "taken" or ticket == "first":
                raise
        if ticket == "first" and bytes(wire.get(key, 0, 100)[0]) != b"first":
            raise VolumeUnfitError(f"{where} does not put parts together")
    upload_id = wire.begin(key, ticket="third")
    wire.put_part(key, upload_id, 1, _parcel(b"third"))
    try:
        is_listed = any(one.upload_id == upload_id for one in wire.uploads(key))
    except S3RefusalError:
        is_listed = False
    wire.abort(key, upload_id)
    if not is_listed:
        remarks.append(NO_UPLOADS)
    elif any(one.upload_id == upload_id for one in wire.uploads(key)):
        raise VolumeUnfitError(f"{where} keeps the parts of an upload that was aborted")


def _listing(wire: Wire, key: str, where: str) -> None:
    if key not in {name for name, _ in wire.keys(key)}:
        raise VolumeUnfitError(f"{where} does not list an object that is there")


def _parcel(content: bytes) -> Parcel:
    parcel = Parcel()
    parcel += content
    return parcel
