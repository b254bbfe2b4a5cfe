"""Composing a case package: the members' names and order, and the files that the package adds of its own; it reads and writes nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from anonymizer.dicomdir import DirectoryEntry, build_dicomdir
from gateway.domain.case import Case
from gateway.domain.release import Copy
from gateway.journeys.certify_package import NAME, NOBODY, PRINTED, File, Judged, certificate
from gateway.journeys.print_certificate import print_certificate

DICOM = "application/dicom"
_EXTENSIONS = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tif",
    "text/plain": ".txt",
}
# What the house itself puts beside a copy's own attributes.
_OURS = frozenset({"known", "media_type", "sha256", "TransferSyntaxUID", "SOPClassUID"})
_TERM = 2
# Attributes of a form in which equal digits are chance; their values were checked with the copy (ending -> form).
_FORMS = {
    "UID": re.compile(r"(2\.25|1\.2\.840\.10008)\.[0-9.]+"),
    "Date": re.compile(r"[0-9]{8}"),
    "Time": re.compile(r"[0-9]{2,14}(\.[0-9]{1,6})?([+-][0-9]{4})?"),
    **dict.fromkeys(
        ("SeriesNumber", "InstanceNumber", "Rows", "Columns", "NumberOfFrames"),
        re.compile(r"[+-]?[0-9]{1,12}"),
    ),
}
_README = """\
Case {ref}, release {number}

This package holds de-identified copies for a second opinion. It is not meant for diagnosis on an uncalibrated screen.

DICOM/         images and reports as DICOM files; open DICOMDIR with any DICOM viewer
DOCUMENTS/     the patient's documents
MANIFEST.json  every file with its size and SHA-256
CERTIFICATE.json  how each file was de-identified (PS3.15 Annex E), that it was read again, and its SHA-256
CERTIFICATE.html  the same for people, on one page

{instances} DICOM objects, {documents} documents.
To check the files:  jq -r '.files[] | "\\(.sha256)  \\(.name)"' MANIFEST.json | sha256sum --check
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A verified copy that goes into the package."""

    copy: Copy
    kind: str
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file of the package: a copy that is sealed already, or bytes that the package itself adds."""

    name: str
    kind: str
    media_type: str
    copy: Copy | None = None
    content: bytes = b""


def compose_package(
    members: Sequence[Member], *, case: Case, number: int, made_at: datetime, judged: Judged = NOBODY
) -> list[Piece]:
    """Return the files of the package in their order: its own first, then DICOM, then documents.

    The certificate lists every file but itself and the manifest; the manifest lists the certificate.
    """
    images = _dicom_pieces([m for m in members if m.kind == "instance"])
    papers = _document_pieces([m for m in members if m.kind == "document"])
    own: list[Piece] = []
    if images:
        own.append(_own("DICOMDIR", build_dicomdir([_directory_entry(p) for p in images]), media_type=DICOM))
    readme = _README.format(ref=case.ref, number=number, instances=len(images), documents=len(papers))
    own.append(_own("README.txt", readme.encode()))

    def certify() -> dict[str, Any]:
        told = [_certified(piece) for piece in [*own, *images, *papers]]
        return certificate(told, case=case, number=number, made_at=made_at, judged=judged)

    own.append(_own(PRINTED, print_certificate(certify()), media_type="text/html"))
    own.append(_own(NAME, _json(certify())))
    listing = {
        "case": case.ref,
        "release": number,
        "made_at": made_at.isoformat(timespec="seconds"),
        "profile": case.profile,
        "files": [_listed(p) for p in [*own, *images, *papers]],
    }
    return [_own("MANIFEST.json", _json(listing)), *own, *images, *papers]


def varying_words(member: Member) -> list[str]:
    """Return what the package's own files take over from a copy: the words of its index, which DICOMDIR repeats.

    Not among them: keyed UIDs, digests, counts, times and shifted dates, terms of two letters, and the names of our own
    actions in the report. A value that has not the form of its kind counts as words.
    """
    if member.kind != "instance":
        return []
    words = {
        value: None
        for name, value in member.copy.index.items()
        if isinstance(value, str) and name not in _OURS and len(value) > _TERM and not _has_form(name, value)
    }
    return list(words)


def _has_form(name: str, value: str) -> bool:
    return any(name.endswith(ending) and form.fullmatch(value) for ending, form in _FORMS.items())


def _dicom_pieces(members: Sequence[Member]) -> list[Piece]:
    """Name instances by study and series in the order in which they came, eight signs a part (PS3.10 8.2)."""
    studies: dict[str, dict[str, list[Member]]] = {}
    for member in members:
        index = member.copy.index
        series = studies.setdefault(str(index["StudyInstanceUID"]), {})
        series.setdefault(str(index["SeriesInstanceUID"]), []).append(member)
    pieces = []
    for s, series in enumerate(studies.values(), 1):
        for e, instances in enumerate(series.values(), 1):
            for i, member in enumerate(sorted(instances, key=_instance_number), 1):
                name = f"DICOM/ST{s:06d}/SE{e:06d}/IM{i:06d}"
                pieces.append(Piece(name=name, kind="instance", media_type=DICOM, copy=member.copy))
    return pieces


def _document_pieces(members: Sequence[Member]) -> list[Piece]:
    pieces = []
    for number, member in enumerate(members, 1):
        media_type = str(member.copy.index["media_type"])
        extension = _EXTENSIONS.get(media_type, ".bin")
        name = f"DOCUMENTS/{number:03d}-{member.category.replace('_', '-')}{extension}"
        pieces.append(Piece(name=name, kind="document", media_type=media_type, copy=member.copy))
    return pieces


def _instance_number(member: Member) -> tuple[int, str]:
    value = str(member.copy.index.get("InstanceNumber", "")).strip()
    return (int(value) if value.lstrip("-").isdigit() else 0, member.copy.id)


def _directory_entry(piece: Piece) -> DirectoryEntry:
    index: dict[str, Any] = piece.copy.index if piece.copy else {}
    plain = {name: value for name, value in index.items() if isinstance(value, str)}
    return DirectoryEntry(
        path=tuple(piece.name.split("/")), transfer_syntax=plain["TransferSyntaxUID"], index=plain
    )


def _certified(piece: Piece) -> File:
    listed = _listed(piece)
    return File(
        name=piece.name,
        kind=piece.kind,
        media_type=piece.media_type,
        size_bytes=listed["size"],
        sha256=listed["sha256"],
        copy=piece.copy,
    )


def _listed(piece: Piece) -> dict[str, Any]:
    if piece.copy is not None:
        return {
            "name": piece.name,
            "size": piece.copy.size_bytes,
            "sha256": piece.copy.index["sha256"],
            "type": piece.media_type,
        }
    digest = hashlib.sha256(piece.content).hexdigest()
    return {"name": piece.name, "size": len(piece.content), "sha256": digest, "type": piece.media_type}


def _own(name: str, content: bytes, *, media_type: str = "text/plain") -> Piece:
    return Piece(name=name, kind="own", media_type=media_type, content=content)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
