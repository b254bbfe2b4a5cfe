"""Reads the headers of tus 1.0.0 (tus.io/protocols/resumable-upload): each is right to the letter, or refused; no body here."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass

from starlette.datastructures import Headers

from gateway.doors.http import Refused, plain
from gateway.doors.patient.words import CATEGORIES

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,expiration"
CHECKSUM_ALGORITHMS = "sha256"
PATCH_TYPE = "application/offset+octet-stream"
MAX_METADATA = 4096
MAX_NAME = 400
_METADATA_KEYS = frozenset({"filename", "filetype", "category"})
_MEDIA_TYPE = re.compile(r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$")
_NUMBER = re.compile(r"^(0|[1-9][0-9]{0,15})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a creation announces."""

    name: str
    category: str
    media_type: str
    size_bytes: int


def need_version(headers: Headers) -> None:
    """Another version, or none, is answered 412 with ours (core protocol, Tus-Resumable)."""
    if headers.get("tus-resumable") != VERSION:
        raise Refused(plain(412, code="tus_version", headers={"Tus-Version": VERSION}))


def number(headers: Headers, name: str) -> int:
    """Return a non-negative integer header; absent, signed, padded or repeated is refused."""
    values = headers.getlist(name)
    if len(values) != 1 or _NUMBER.fullmatch(values[0]) is None:
        raise Refused(plain(400, code="header", header=name))
    return int(values[0])


def announced(headers: Headers) -> Announced:
    """Read the head of a creation. No deferred length, no concatenation, no body (creation extension alone)."""
    for name in ("upload-defer-length", "upload-concat"):
        if name in headers:
            raise Refused(plain(400, code="extension", header=name))
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise Refused(plain(400, code="creation_body"))
    size_bytes = number(headers, "Upload-Length")
    if size_bytes == 0:
        raise Refused(plain(400, code="empty"))
    values = metadata(headers.getlist("upload-metadata"))
    category = values.get("category", "other")
    if category not in CATEGORIES:
        raise Refused(plain(400, code="category"))
    media_type = values.get("filetype", "").strip().lower()
    return Announced(
        name=shown_name(values.get("filename", "")),
        category=category,
        media_type=media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream",
        size_bytes=size_bytes,
    )


def metadata(lines: list[str]) -> dict[str, str]:
    """Decode Upload-Metadata: at most 4 KB, keys unique and known, values strict base64 of UTF-8."""
    if len(lines) > 1 or sum(map(len, lines)) > MAX_METADATA:
        raise Refused(plain(400, code="metadata"))
    found: dict[str, str] = {}
    for pair in filter(None, (one.strip() for one in ",".join(lines).split(","))):
        key, _, value = pair.partition(" ")
        if key not in _METADATA_KEYS or key in found:
            raise Refused(plain(400, code="metadata"))
        try:
            found[key] = base64.b64decode(value, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise Refused(plain(400, code="metadata")) from None
    return found


def as_metadata(*, name: str, category: str, media_type: str) -> str:
    """Encode what is kept, for HEAD (creation extension: a server says again what it was told)."""
    pairs = (("filename", name), ("filetype", media_type), ("category", category))
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs)


def checksum(headers: Headers) -> bytes | None:
    """Return the announced SHA-256 of this request's body, or None where none is announced (checksum extension)."""
    values = headers.getlist("upload-checksum")
    if not values:
        return None
    algorithm, _, encoded = values[0].partition(" ")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(values) > 1 or algorithm != "sha256" or len(digest) != 32:
        raise Refused(plain(400, code="checksum_header"))
    return digest


def shown_name(name: str) -> str:
    """Return a file's name as it is kept: a folder's parts joined by «›», so that it can never be a path (F15).

    Control, direction and private-use signs are left out; what is too long is cut in the middle, keeping the ending.
    """
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    steps = [step.strip() for step in name.split("/")]
    name = "›".join(step for step in steps if step not in {"", ".", ".."})
    name = "".join(
        s for s in name if unicodedata.category(s) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    ).strip()
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME // 2]}…{name[-MAX_NAME // 2 + 1 :]}"
    return name or "file"
