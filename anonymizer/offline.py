"""De-identifies a folder into another: two passes over all files, in parallel, with a report; it asks nobody and keeps no key.

Pass 1 harvests what the files themselves say of the patient; pass 2 cleans every file with all that is known, verifies the
copy by other code and only then writes it. What is quarantined is listed and not written. Names in the output folder are
numbers, since the names of files name patients.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anonymizer.documents import QuarantinedDocument, deidentify_document, kind_of, verify_document
from anonymizer.engine import Quarantined, deidentify_instance
from anonymizer.errors import AnonymizerError
from anonymizer.harvest import harvest_instance, harvest_uids
from anonymizer.known import Known
from anonymizer.parallel import over
from anonymizer.profile import Profile, load_profile
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.verify import verify_instance, verify_text

Progress = Callable[[int, int], None]
MAX_FILE_BYTES = 4 << 30
KEY_BYTES = 32
_DICOM = "application/dicom"
_DICOMDIR = b"1.2.840.10008.1.3.10"
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")

SENTENCES: Mapping[str, str] = {
    "dicomdir": "The table of contents of a disc: it lists files that now have other names, and is left out.",
    "program": "A program or its settings, as discs carry beside the pictures: left out.",
    "empty": "The file is empty: left out.",
    "leak": "The copy still held something that identifies ({place}), so it was not written. Have the file looked at.",
    "strict": "The strict profile takes no documents. Use mdt-default, or leave the document out.",
    "too_large": "The file is larger than can be handled at once. Have it looked at by the imaging engineer.",
    "unreadable": "The file could not be read from the disk. Copy it again.",
    "crashed": "The file broke the program that read it, so nothing of it was written. Have it looked at.",
}


class FolderError(AnonymizerError):
    """The folders cannot be used: name an existing input folder and an empty or new output folder outside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of one file; ``input`` is its path and may itself name the patient: the report stays in the house."""

    input: str
    output: str = ""
    kind: str = ""
    status: str = "quarantined"
    code: str = ""
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    look: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "input": self.input,
            "output": self.output or None,
            "kind": self.kind,
            "status": self.status,
            "code": self.code or None,
            "reason": self.reason or None,
            "counts": dict(sorted(self.counts.items())),
            "look": list(self.look),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderReport:
    """What became of a folder: a row per file, and the totals."""

    profile: str
    edition: str
    profile_digest: str
    files: tuple[FileReport, ...]

    @property
    def totals(self) -> dict[str, int]:
        totals = {
            "files": len(self.files),
            "deidentified": 0,
            "quarantined": 0,
            "ignored": 0,
            "to_look_at": 0,
        }
        for file in self.files:
            totals[file.status] += 1
            totals["to_look_at"] += bool(file.look and file.status == "deidentified")
        return totals

    def to_json(self) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        for file in self.files:
            counts.update(file.counts)
        return {
            "profile": self.profile,
            "edition": self.edition,
            "profile_digest": self.profile_digest,
            "totals": self.totals,
            "counts": dict(sorted(counts.items())),
            "files": [file.to_json() for file in self.files],
        }


@dataclass(frozen=True, slots=True)
class _Harvest:
    """What pass 1 found in one file."""

    kind: str
    known: Known = field(default_factory=Known)
    uids: frozenset[str] = frozenset()
    ignored: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What every worker of pass 2 needs to know."""

    known: Known
    uids: frozenset[str]
    profile_name: str
    key: bytes
    out_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errand:
    """One file of pass 2: where it lies, and what its copy will be called, without its ending."""

    path: str
    relative: str
    kind: str
    name: str


def deidentify_folder(
    in_dir: Path,
    out_dir: Path,
    *,
    known: Known,
    profile_name: str = "mdt-default",
    key: bytes | None = None,
    progress: Progress | None = None,
    workers: int = 0,
) -> FolderReport:
    """De-identify every file below ``in_dir`` into ``out_dir``.

    Parameters
    ----------
    key
        The case's pseudonym key (at least 32 bytes), for the same pseudonyms in every run; without one a key is drawn and
        forgotten, and nothing leads back.
    progress
        Told (files done, files in all); a file counts once in each of the two passes.
    workers
        Processes at once; 0 means one a core, 1 works in this process.
    """
    profile = load_profile(profile_name)
    if profile.identified:
        raise FolderError("The profile named de-identifies nothing: choose another.")
    paths = _paths(in_dir, out_dir)
    workers = workers or os.cpu_count() or 1
    key = key or secrets.token_bytes(KEY_BYTES)
    Pseudonyms(key)  # a short key is told before any work
    total = 2 * len(paths)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    errands = [str(path) for path in paths]
    harvests = over(errands, _harvest, lambda _: _Harvest("", failed="crashed"), workers, tick)
    plan = _Plan(
        known=_all_known(known, harvests),
        uids=frozenset().union(*(harvest.uids for harvest in harvests)),
        profile_name=profile_name,
        key=key,
        out_dir=str(out_dir),
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    rows = list(_settled_early(in_dir, paths, harvests, profile))
    waiting = [(index, row) for index, row in enumerate(rows) if isinstance(row, _Errand)]
    for _ in range(len(rows) - len(waiting)):
        tick()
    made = over([errand for _, errand in waiting], _clean, _crashed, workers, tick, begin=(_begin, plan))
    files: list[FileReport] = [row for row in rows if isinstance(row, FileReport)]
    files += made
    order = {str(path.relative_to(in_dir)): index for index, path in enumerate(paths)}
    files.sort(key=lambda file: order[file.input])
    return FolderReport(
        profile=profile.name, edition=profile.edition, profile_digest=profile.digest, files=tuple(files)
    )


# -- the folders --------------------------------------------------------------------------------------------------
def _paths(in_dir: Path, out_dir: Path) -> list[Path]:
    if not in_dir.is_dir():
        raise FolderError("The input folder does not exist.")
    inside, outside = in_dir.resolve(), out_dir.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise FolderError("The output folder must not lie in the input folder, nor the other way.")
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise FolderError("The output folder is not empty.")
    found: list[Path] = []
    for folder, folders, names in os.walk(in_dir, followlinks=False):
        folders.sort()
        found += [Path(folder, name) for name in sorted(names) if not Path(folder, name).is_symlink()]
    return [path for path in found if path.is_file()]


def _all_known(known: Known, harvests: list[_Harvest]) -> Known:
    for one in dict.fromkeys(harvest.known for harvest in harvests if harvest.known):
        known = known.merged(one)
    return known


def _settled_early(
    in_dir: Path, paths: list[Path], harvests: list[_Harvest], profile: Profile
) -> Iterator[FileReport | _Errand]:
    """What needs no cleaning is told at once; the rest is numbered in the folder's order."""
    numbers: Counter[str] = Counter()
    for path, harvest in zip(paths, harvests, strict=True):
        relative = str(path.relative_to(in_dir))
        folder = "images" if harvest.kind == _DICOM else "documents"
        if harvest.ignored:
            yield _told(relative, harvest.kind, harvest.ignored, status="ignored")
        elif harvest.failed:
            yield _told(relative, harvest.kind, harvest.failed)
        elif profile.name == "strict" and folder == "documents":
            yield _told(relative, harvest.kind, "strict")
        else:
            numbers[folder] += 1
            name = f"{folder}/{numbers[folder]:06d}"
            yield _Errand(path=str(path), relative=relative, kind=harvest.kind, name=name)


def _told(relative: str, kind: str, code: str, *, status: str = "quarantined", place: str = "") -> FileReport:
    return FileReport(
        input=relative, kind=kind, status=status, code=code, reason=SENTENCES[code].format(place=place)
    )


# -- pass 1 -------------------------------------------------------------------------------------------------------
def _harvest(path: str) -> _Harvest:
    content = _read(path)
    if isinstance(content, str):
        return _Harvest("", failed=content)
    if not content:
        return _Harvest("", ignored="empty")
    if content.startswith(_PROGRAMS):
        return _Harvest("application/octet-stream", ignored="program")
    if content[:9].lower() == b"[autorun]":
        return _Harvest("text/plain", ignored="program")
    kind = kind_of(content)
    if kind != _DICOM:
        return _Harvest(kind)
    directory = _DICOMDIR in content[128:512]
    return _Harvest(kind, harvest_instance(content), harvest_uids(content), "dicomdir" if directory else "")


def _read(path: str) -> bytes | str:
    try:
        if os.path.getsize(path) > MAX_FILE_BYTES:  # noqa: PTH202 - a plain string is what crosses to the worker
            return "too_large"
        return Path(path).read_bytes()
    except OSError:
        return "unreadable"


# -- pass 2 -------------------------------------------------------------------------------------------------------
_PLAN: _Plan | None = None


def _begin(plan: _Plan) -> None:
    global _PLAN  # noqa: PLW0603 - a worker process holds one plan, set once by the pool's initializer
    _PLAN = plan


def _crashed(errand: _Errand) -> FileReport:
    return _told(errand.relative, errand.kind, "crashed")


def _clean(errand: _Errand) -> FileReport:
    if _PLAN is None:
        raise FolderError
    content = _read(errand.path)
    if isinstance(content, str):
        return _told(errand.relative, errand.kind, content)
    if errand.kind == _DICOM:
        return _clean_instance(content, errand, _PLAN)
    return _clean_document(content, errand, _PLAN)


def _clean_instance(content: bytes, errand: _Errand, plan: _Plan) -> FileReport:
    pseudonyms = Pseudonyms(plan.key)
    made = deidentify_instance(
        content, profile=load_profile(plan.profile_name), pseudonyms=pseudonyms, known=plan.known
    )
    if isinstance(made, Quarantined):
        return FileReport(input=errand.relative, kind=errand.kind, code=made.code, reason=made.reason)
    output = made.content
    leaks = verify_instance(output, known=plan.known, original_uids=plan.uids)
    if leaks:
        return _told(errand.relative, errand.kind, "leak", place=f"{leaks[0].kind} at {leaks[0].place}")
    return _written(
        output,
        f"{errand.name}.dcm",
        errand,
        plan,
        counts=made.report.counts,
        look=tuple(look.reason for look in made.look),
    )


def _clean_document(content: bytes, errand: _Errand, plan: _Plan) -> FileReport:
    made = deidentify_document(
        content,
        media_type=errand.kind,
        known=plan.known,
        pseudonyms_shift_days=Pseudonyms(plan.key).shift_days,
    )
    if isinstance(made, QuarantinedDocument):
        return FileReport(input=errand.relative, kind=errand.kind, code=made.code, reason=made.reason)
    places = verify_document(made.content, media_type=made.media_type, known=plan.known)
    leaks = verify_text(made.text, plan.known)
    if places or leaks:
        return _told(errand.relative, errand.kind, "leak", place=places[0] if places else leaks[0].place)
    counts = made.report.counts
    return _written(
        made.content, f"{errand.name}{made.extension}", errand, plan, counts=counts, look=made.look
    )


def _written(
    output: bytes,
    name: str,
    errand: _Errand,
    plan: _Plan,
    *,
    counts: Mapping[str, int],
    look: tuple[str, ...],
) -> FileReport:
    """Write a verified copy: whole under its name or not at all."""
    target = Path(plan.out_dir, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f"{target.name}.part")
    try:
        half.write_bytes(output)
        half.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink()
        raise FolderError("The output folder cannot be written to.") from error
    return FileReport(
        input=errand.relative,
        output=name,
        kind=errand.kind,
        status="deidentified",
        counts=dict(counts),
        look=look,
    )
