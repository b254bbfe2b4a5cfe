"""Showing what a release holds, for who approves it and for who reads it: series, documents, how it was de-identified."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from anonymizer.text import Scrubber
from gateway.domain.case import Case
from gateway.domain.errors import NotFoundError
from gateway.domain.release import Manifest, ManifestEntry, Release
from gateway.journeys.lookup import case_by_ref
from gateway.journeys.make_copy import COPY_KIND, known_of
from gateway.journeys.open_release import read_manifest
from gateway.ports import Records, View
from storage import SealedStore

_CERTIFICATE = "CERTIFICATE.json"
_CERTIFICATE_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLine:
    """One series: its folder in the package and what its first object says of itself after de-identification."""

    folder: str
    modality: str
    number: str
    study_date: str
    study_description: str
    instances: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """One file: ``number`` is its place in the manifest."""

    number: int
    name: str
    size_bytes: int
    sha256: str
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The sum of what was done to all files (PS3.15 Annex E): actions and how often, never a value."""

    profile: str
    standard: str
    files: int
    actions: dict[str, int] = field(default_factory=dict)
    sha256: str = ""
    edition: str = ""
    options: tuple[tuple[str, str], ...] = ()
    verified: int = 0
    masked_pictures: int = 0
    masked_places: int = 0
    judged: tuple[tuple[str, str, int], ...] = ()
    left_out: tuple[tuple[str, str, str, int], ...] = ()
    rules: tuple[tuple[str, str, str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a release holds, in the order of the package."""

    studies: tuple[tuple[SeriesLine, ...], ...]
    documents: tuple[FileLine, ...]
    own: tuple[FileLine, ...]
    instances: int
    size_bytes: int
    certificate: Certificate
    missing: tuple[str, ...]
    left_out: int


def show_release(
    *, ref: str, number: int, records: Records, store: SealedStore
) -> tuple[Case, Release, Manifest]:
    """Return a numbered release of a case with its manifest, whatever its state: for the desk."""
    with records.view() as view:
        case = case_by_ref(view, ref)
        release = view.releases.first(case_id=case.id, number=number)
    if release is None:
        raise NotFoundError(f"case {case.ref} has no release {number}", next_step="Go back to the case.")
    return case, release, read_manifest(release, records=records, store=store)


def contents_of(release: Release, manifest: Manifest, *, records: Records, store: SealedStore) -> Contents:
    """Describe the members of a manifest; one copy's index is opened for each series, no pixel of any."""
    numbered = list(enumerate(manifest.entries))
    with records.view() as view:
        case = view.cases.get(release.case_id)
        left_out = view.instances.count(case_id=case.id, state="excluded") + view.documents.count(
            case_id=case.id, state="excluded"
        )
        studies = _studies(view, [entry for _, entry in numbered if entry.kind == "instance"])
        documents = tuple(_line(view, number, e) for number, e in numbered if e.kind == "document")
        own = tuple(_line(view, number, e) for number, e in numbered if e.kind == "own")
    return Contents(
        studies=studies,
        documents=documents,
        own=own,
        instances=sum(e.kind == "instance" for e in manifest.entries),
        size_bytes=sum(e.size_bytes for e in manifest.entries),
        certificate=_certificate(manifest, release, records=records, store=store),
        missing=tuple(item for item, state in case.checklist.items() if state != "received"),
        left_out=left_out,
    )


def questions_of(case: Case) -> str:
    """Return the questions as a reviewer may read them: without what is known to identify the patient."""
    return Scrubber(known_of(case)).clean(case.questions).text if case.questions else ""


def read_entry(
    entry: ManifestEntry, start: int, length: int, *, release: Release, records: Records, store: SealedStore
) -> Iterator[bytes]:
    """Yield bytes of one member of a release. Who calls this has checked the right and noted the access."""
    with records.view() as view:
        key = view.key(release.holder, "releases")
    with store.open(entry.content.ref, key=key, kind=COPY_KIND) as reader:
        reader.seek(start)
        while length > 0 and (block := reader.read(min(length, 1 << 20))):
            length -= len(block)
            yield block


def _studies(view: View, entries: list[ManifestEntry]) -> tuple[tuple[SeriesLine, ...], ...]:
    series: dict[str, list[ManifestEntry]] = {}
    for entry in entries:
        series.setdefault(entry.name.rpartition("/")[0], []).append(entry)
    studies: dict[str, list[SeriesLine]] = {}
    for folder, members in series.items():
        told = _index(view, members[0])
        line = SeriesLine(
            folder=folder,
            modality=str(told.get("Modality", "")),
            number=str(told.get("SeriesNumber", "")),
            study_date=str(told.get("StudyDate", "")),
            study_description=str(told.get("StudyDescription", "")),
            instances=len(members),
            size_bytes=sum(m.size_bytes for m in members),
        )
        studies.setdefault(folder.rpartition("/")[0], []).append(line)
    return tuple(tuple(lines) for lines in studies.values())


def _line(view: View, number: int, entry: ManifestEntry) -> FileLine:
    media_type = str(_index(view, entry).get("media_type", "application/octet-stream"))
    return FileLine(
        number=number,
        name=entry.name,
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
        media_type=media_type,
    )


def _index(view: View, entry: ManifestEntry) -> dict[str, Any]:
    copy = view.copies.first(id=entry.content.copy_id)
    return copy.index if copy else {}


def _certificate(
    manifest: Manifest, release: Release, *, records: Records, store: SealedStore
) -> Certificate:
    entry = next((e for e in manifest.entries if e.name == _CERTIFICATE), None)
    if entry is None or entry.size_bytes > _CERTIFICATE_LIMIT:
        return Certificate(profile=manifest.profile, standard="", files=0)
    content = b"".join(read_entry(entry, 0, entry.size_bytes, release=release, records=records, store=store))
    told = json.loads(content)
    actions: Counter[str] = Counter()
    for file in told.get("files", []):
        counts = file.get("report", {}).get("counts", {})
        actions.update({str(name): n for name, n in counts.items() if isinstance(n, int)})
    tables = {str(table.get("name")): str(table.get("edition")) for table in told.get("tables", [])}
    pixels = told.get("pixels", {})
    return Certificate(
        profile=str(told.get("profile", "")),
        standard=str(told.get("standard", "")),
        files=len(told.get("files", [])),
        actions=dict(sorted(actions.items())),
        sha256=entry.sha256,
        edition=tables.get("annex_e.json", ""),
        options=_rows(told, "options", "code", "meaning"),
        verified=int(told.get("verification", {}).get("files", 0)),
        masked_pictures=int(pixels.get("masked_pictures", 0)),
        masked_places=int(pixels.get("masked_places", 0)),
        judged=_rows(told, "judged_by_humans", "role", "verdict", "count"),
        left_out=_rows(told, "left_out", "kind", "code", "reason", "count"),
        rules=_rows(told, "reviewed_rules", "id", "kind", "reach", "files"),
    )


def _rows(told: dict[str, Any], name: str, *columns: str) -> tuple[tuple[Any, ...], ...]:
    """Return a list of the certificate as rows; a certificate of before 0.4 has none."""
    return tuple(tuple(row[column] for column in columns) for row in told.get(name, []))
