"""De-identifies a folder into another: two passes over all files, in parallel, with a report; it asks nobody and keeps no key.

Pass 1 gathers what the files themselves say of the patient; pass 2 cleans every file with all that is known, verifies the
copy by other code and only then keeps it. What is quarantined is listed and not written. Names in the output folder are
numbers, since the names of files name patients.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from anonymizer.forgetting import forgetting_afterwards
from anonymizer.known import Known
from anonymizer.offline.cleaning import Errand, Made, Plan, begin, clean, crashed
from anonymizer.offline.compare import Comparison, page
from anonymizer.offline.gathering import DICOM, Gathered, gather
from anonymizer.offline.journal import NAME, Journal
from anonymizer.offline.media import write_dicomdir
from anonymizer.offline.report import FileReport, FolderError, FolderReport, Progress, told
from anonymizer.parallel import over
from anonymizer.pixels.masks import MaskRule
from anonymizer.profile import Profile, load_profile
from anonymizer.pseudonyms import Pseudonyms, folded_name

KEY_BYTES = 32
#: Pictures in the comparison besides those that a human must look at.
PICTURED = 24


@forgetting_afterwards()
def deidentify_folder(
    in_dir: Path,
    out_dir: Path,
    *,
    known: Known,
    profile_name: str = "mdt-default",
    key: bytes | None = None,
    masks: tuple[MaskRule, ...] = (),
    media: bool = False,
    compare: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    workers: int = 0,
    apart: bool = True,
) -> FolderReport:
    """De-identify every file below ``in_dir`` into ``out_dir``.

    Parameters
    ----------
    key
        The case's pseudonym key (at least 32 bytes), for the same pseudonyms in every run; without one a key is drawn and
        forgotten when the run is finished, and nothing leads back.
    masks
        Reviewed rules for the pictures of a device.
    media
        Give images the names that a DICOMDIR may hold, and write one.
    compare
        Where a page with before and after is written. It shows what was taken out.
    resume
        Go on where an interrupted run into ``out_dir`` ended.
    progress
        Told (files done, files in all); a file counts once in each of the two passes.
    workers
        Processes at once; 0 means one a core.
    apart
        False works in this process: no crash is outlived, and nothing limits what a file may take.
    """
    profile = load_profile(profile_name)
    if profile.identified:
        raise FolderError("The profile named de-identifies nothing: choose another.")
    journal = Journal(out_dir)
    paths = _paths(in_dir, out_dir, resume=resume and journal.unfinished)
    if compare is not None and out_dir.resolve() in compare.resolve().parents:
        raise FolderError("The comparison shows the patient's data: write it outside the output folder.")
    workers = workers or os.cpu_count() or 1
    key = journal.key(key, secrets.token_bytes(KEY_BYTES))
    Pseudonyms(key)  # a short key is told before any work
    total = 2 * len(paths)
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if progress:
            progress(ticks, total)

    gathered = over(
        [str(path) for path in paths],
        gather,
        lambda _: Gathered("", failed="crashed"),
        workers,
        lambda _: tick(),
        size_of=_size,
        apart=apart,
    )
    plan = Plan(
        known=_all_known(known, gathered),
        uids=frozenset().union(*(one.uids for one in gathered)),
        profile_name=profile_name,
        key=key,
        out_dir=str(out_dir),
        masks=masks,
        media=media,
        compare=compare is not None,
    )
    rows = list(_settled_early(in_dir, paths, gathered, profile, plan))
    remembered = journal.done(_digest(plan, profile, paths, rows))
    made: dict[str, Made] = {row.input: Made(report=row) for row in rows if isinstance(row, FileReport)}
    waiting = []
    for errand in (row for row in rows if isinstance(row, Errand)):
        if errand.relative in remembered and not plan.compare:
            kept = remembered[errand.relative]
            made[errand.relative] = Made(report=FileReport.from_json(kept["report"]), index=kept["index"])
        else:
            waiting.append(errand)
    for _ in made:
        tick()

    def done(one: Made) -> None:
        journal.add({"report": one.report.to_json(), "index": dict(one.index) if one.index else None})
        tick()

    for one in over(
        _pictured(waiting),
        clean,
        crashed,
        workers,
        done,
        begin=(begin, plan),
        size_of=lambda errand: _size(errand.path),
        apart=apart,
    ):
        made[one.report.input] = one
    order = [made[str(path.relative_to(in_dir))] for path in paths]
    report = FolderReport(
        profile=profile.name,
        edition=profile.edition,
        profile_digest=profile.digest,
        files=tuple(one.report for one in order),
        patients=_patients(gathered),
    )
    if media:
        write_dicomdir(out_dir, [(one.report.output, one.index) for one in order if one.index])
    if compare is not None:
        _write_comparison(compare, report, order)
    journal.finish({file.output for file in report.files})
    return report


# -- the folders --------------------------------------------------------------------------------------------------
def _paths(in_dir: Path, out_dir: Path, *, resume: bool) -> list[Path]:
    if not in_dir.is_dir():
        raise FolderError("The input folder does not exist.")
    inside, outside = in_dir.resolve(), out_dir.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise FolderError("The output folder must not lie in the input folder, nor the other way.")
    if out_dir.exists() and not resume and (not out_dir.is_dir() or any(out_dir.iterdir())):
        unfinished = (out_dir / NAME).is_dir()
        raise FolderError(
            "The output folder holds an unfinished run: go on with --resume."
            if unfinished
            else "The output folder is not empty."
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    for folder, folders, names in os.walk(in_dir, followlinks=False):
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        found += [Path(folder, name) for name in sorted([*names, *links])]
    return found


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)  # noqa: PTH202 - a plain string is what crosses to the worker
    except OSError:
        return 0  # what cannot be read is told by who reads it


def _all_known(known: Known, gathered: list[Gathered]) -> Known:
    for one in dict.fromkeys(row.known for row in gathered if row.known):
        known = known.merged(one)
    return known


def _digest(plan: Plan, profile: Profile, paths: Sequence[Path], rows: Sequence[FileReport | Errand]) -> str:
    """A digest over everything that decides the copies of a run."""
    facts = [
        json.dumps(plan.known.to_json(), sort_keys=True),
        *sorted(plan.uids),
        profile.digest,
        hashlib.sha256(plan.key).hexdigest(),
        json.dumps([rule.to_json() for rule in plan.masks]),
        str(plan.media),
        _program(),
        *(f"{row.relative} {row.name}" for row in rows if isinstance(row, Errand)),
        *(f"{path} {path.lstat().st_size} {path.lstat().st_mtime_ns}" for path in paths),
    ]
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _program() -> str:
    """What tells this code from another version of it: names, sizes and times of its files."""
    here = Path(__file__).parents[1]
    facts = [
        f"{path.relative_to(here)} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in sorted(here.rglob("*.py"))
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _settled_early(
    in_dir: Path, paths: list[Path], gathered: list[Gathered], profile: Profile, plan: Plan
) -> Iterator[FileReport | Errand]:
    """What needs no cleaning is told at once; the rest is numbered in the folder's order."""
    numbers: Counter[str] = Counter()
    for path, one in zip(paths, gathered, strict=True):
        relative = str(path.relative_to(in_dir))
        folder = "images" if one.kind == DICOM else "documents"
        if one.ignored:
            yield told(relative, one.kind, one.ignored, status="ignored")
        elif one.failed:
            yield told(relative, one.kind, one.failed)
        elif profile.name == "strict" and folder == "documents":
            yield told(relative, one.kind, "strict")
        else:
            numbers[folder] += 1
            number = f"{numbers[folder]:06d}"
            name = f"IMAGES/IM{number}" if plan.media and folder == "images" else f"{folder}/{number}"
            yield Errand(path=str(path), relative=relative, kind=one.kind, name=name)


def _pictured(errands: list[Errand]) -> list[Errand]:
    """Mark some images, evenly spread, whose pictures the comparison shows in any case."""
    images = [index for index, errand in enumerate(errands) if errand.kind == DICOM]
    many = min(PICTURED, len(images))
    chosen = {images[len(images) * place // many] for place in range(many)}
    return [
        replace(errand, pictured=True) if index in chosen else errand for index, errand in enumerate(errands)
    ]


def _patients(gathered: list[Gathered]) -> int:
    """How many people the images name as their patient: values that stand in one image belong together."""
    groups: list[set[str]] = []
    for values in {
        frozenset(
            [folded_name(f"{name.family} {name.given}") for name in one.known.names]
            + [identity.value for identity in one.known.identifiers if identity.type == "patient id"]
        )
        for one in gathered
        if one.kind == DICOM
    }:
        joined = set(values)
        apart = []
        for group in groups:
            if group & joined:
                joined |= group
            else:
                apart.append(group)
        groups = [*apart, joined] if joined else apart
    return len(groups)


def _write_comparison(path: Path, report: FolderReport, made: Sequence[Made]) -> None:
    comparisons: list[tuple[str, Comparison]] = [
        (f"{one.report.input} → {one.report.output or 'not written'}", one.comparison)
        for one in made
        if one.comparison
    ]
    try:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(page(report, comparisons), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise FolderError("The comparison cannot be written there.") from error
