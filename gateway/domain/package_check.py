"""Checking a downloaded package against its own certificate and manifest, offline: digests, sizes, nothing missing, nothing added."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.domain.errors import InvalidError

CERTIFICATE, MANIFEST = "CERTIFICATE.json", "MANIFEST.json"
FORM = "consilium-deidentification-1"
_MOST_LIST_BYTES = 256 << 20
_BLOCK = 1 << 20
# What damaged bytes make the reader of archives raise; RuntimeError (and NotImplementedError) for members under a password.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found: ``flaws`` are (file, what is wrong); without one, every byte is what was certified."""

    case: str
    release: int
    files: int
    size_bytes: int
    certificate_sha256: str
    flaws: tuple[tuple[str, str], ...]

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.flaws


def check_package(
    path: Path, *, certificate_sha256: str = "", beat: Callable[[int], None] = lambda _bytes: None
) -> Checked:
    """Read a package whole and compare it.

    (1) It is a ZIP with one file of each name; (2) certificate and manifest are read, and the digest of the first is the one
    that the manifest, and whoever asked, names; (3) every file has the digest and size of both lists; (4) no file is
    missing, none is there that no list names.

    Raises
    ------
    InvalidError
        It is no package of ours, or its lists cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _check(archive, certificate_sha256.lower(), beat)
    except (*_UNREADABLE, OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidError(
            f"{path.name} cannot be read as a package of this exchange",
            next_step="Download it again; an older package has no certificate of this form.",
        ) from error


def _check(archive: zipfile.ZipFile, wanted: str, beat: Callable[[int], None]) -> Checked:
    flaws: list[tuple[str, str]] = []
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():  # (1)
        if info.filename in members:
            flaws.append((info.filename, "is there twice"))
        members[info.filename] = info
    certificate, own_digest = _listing(archive, CERTIFICATE)  # (2)
    manifest, _ = _listing(archive, MANIFEST)
    if certificate["certificate"] != FORM:
        raise ValueError(certificate["certificate"])
    if wanted and wanted != own_digest:
        flaws.append((CERTIFICATE, "is not the certificate with the digest that was given"))
    if (certificate["case"], certificate["release"]) != (manifest["case"], manifest["release"]):
        flaws.append((CERTIFICATE, "is of another release than the manifest"))
    certified = {file["name"]: (file["sha256"], file["size"]) for file in certificate["files"]}
    listed = {file["name"]: (file["sha256"], file["size"]) for file in manifest["files"]}
    flaws += [(name, "is missing") for name in sorted((certified.keys() | listed.keys()) - members.keys())]
    for name, info in members.items():  # (3) (4)
        if name == MANIFEST:
            continue
        found = _digest(archive, info, beat)
        for book, entries in (("certificate", certified), ("manifest", listed)):
            if book == "certificate" and name == CERTIFICATE:
                continue
            if name not in entries:
                flaws.append((name, f"is not in the {book}"))
            elif entries[name] != found:
                flaws.append((name, f"is not what the {book} says"))
    return Checked(
        case=str(certificate["case"]),
        release=int(certificate["release"]),
        files=len(members),
        size_bytes=sum(info.file_size for info in members.values()),
        certificate_sha256=own_digest,
        flaws=tuple(flaws),
    )


def _listing(archive: zipfile.ZipFile, name: str) -> tuple[dict[str, Any], str]:
    info = archive.getinfo(name)
    if info.file_size > _MOST_LIST_BYTES:
        raise ValueError(name)
    with archive.open(info) as file:
        content = file.read(_MOST_LIST_BYTES)
    return json.loads(content), hashlib.sha256(content).hexdigest()


def _digest(archive: zipfile.ZipFile, info: zipfile.ZipInfo, beat: Callable[[int], None]) -> tuple[str, int]:
    """Return digest and size; bytes that do not even agree with the archive's own checksum have none."""
    state, size = hashlib.sha256(), 0
    try:
        with archive.open(info) as file:
            while block := file.read(_BLOCK):
                state.update(block)
                size += len(block)
                beat(len(block))
    except _UNREADABLE:
        return "", size
    return state.hexdigest(), size
