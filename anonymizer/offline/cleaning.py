"""Pass 2 of a folder: cleans one file with all that is known, verifies the copy by other code, and only then keeps it.

It runs in the workers of `parallel.over`: one plan a process, one errand a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from anonymizer.documents import QuarantinedDocument, deidentify_document, verify_document
from anonymizer.documents.check_words import UNREAD
from anonymizer.engine import Quarantined, deidentify_instance
from anonymizer.known import Known
from anonymizer.mapped import blocks
from anonymizer.offline.compare import Comparison, compare_document, compare_instance
from anonymizer.offline.gathering import DICOM, MAPPED_BYTES, forget, read
from anonymizer.offline.report import FileReport, FolderError, told
from anonymizer.pixels.masks import MaskRule
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.verify import Leak, verify_instance, verify_text

Piece = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every worker of pass 2 needs to know."""

    known: Known
    uids: frozenset[str]
    profile_name: str
    key: bytes
    out_dir: str
    masks: tuple[MaskRule, ...] = ()
    media: bool = False
    compare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One file of pass 2: where it lies, and what its copy will be called, without its ending."""

    path: str
    relative: str
    kind: str
    name: str
    pictured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of one file; ``index`` is what a DICOMDIR says of it, ``comparison`` only for who asked."""

    report: FileReport
    index: Mapping[str, str] | None = None
    comparison: Comparison | None = None


_PLAN: tuple[Plan, Pseudonyms] | None = None


def begin(plan: Plan) -> None:
    """Keep the plan, and what its key makes, for this process."""
    global _PLAN  # noqa: PLW0603 - a worker process holds one plan, set once by the pool's initializer
    _PLAN = plan, Pseudonyms(plan.key)


def end() -> None:
    """Drop the plan, the key with it, and the last file's bytes: in a process that lives on."""
    global _PLAN  # noqa: PLW0603 - as in `begin`
    _PLAN = None
    forget()


def crashed(errand: Errand) -> Made:
    """Answer for a file that killed its process."""
    return Made(report=told(errand.relative, errand.kind, "crashed"))


def clean(errand: Errand) -> Made:
    """Clean, verify and write one file."""
    if _PLAN is None:
        raise FolderError
    try:
        return _clean(errand, *_PLAN)
    except FolderError:
        raise
    except MemoryError:
        return Made(report=told(errand.relative, errand.kind, "too_large"))
    except Exception:  # noqa: BLE001 - one file must not end the run, and its words must not be quoted
        return crashed(errand)


def _clean(errand: Errand, plan: Plan, pseudonyms: Pseudonyms) -> Made:
    content = read(errand.path)
    if isinstance(content, str):
        return Made(report=told(errand.relative, errand.kind, content))
    if errand.kind == DICOM:
        return _instance(content, errand, plan, pseudonyms)
    return _document(bytes(content), errand, plan, pseudonyms)


def _instance(content: Piece, errand: Errand, plan: Plan, pseudonyms: Pseudonyms) -> Made:
    made = deidentify_instance(
        content,
        profile=load_profile(plan.profile_name),
        pseudonyms=pseudonyms,
        known=plan.known,
        masks=plan.masks,
    )
    if isinstance(made, Quarantined):
        return Made(
            report=FileReport(input=errand.relative, kind=errand.kind, code=made.code, reason=made.reason)
        )
    name = errand.name if plan.media else f"{errand.name}.dcm"
    with _half_written(made.pieces, name, plan) as (half, digest):
        leaks = _read_again(half, plan)
        if leaks:
            return Made(report=_leaking(errand, leaks))
        _keep(half, name, plan)
    report = FileReport(
        input=errand.relative,
        output=name,
        kind=errand.kind,
        status="deidentified",
        sha256=digest,
        counts=dict(made.report.counts),
        look=tuple(look.reason for look in made.look),
    )
    index = made.index | {"TransferSyntaxUID": made.transfer_syntax} if plan.media else None
    comparison = None
    if plan.compare and len(content) <= MAPPED_BYTES:
        comparison = compare_instance(
            bytes(content), made.content, pictured=errand.pictured or bool(made.look)
        )
    return Made(report=report, index=index, comparison=comparison)


def _read_again(half: Path, plan: Plan) -> tuple[Leak, ...]:
    """Verify the bytes as they lie on the disk."""
    with _writing():
        stream = half.open("rb")
    with stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            return verify_instance(view, known=plan.known, original_uids=plan.uids)
        finally:
            view.release()


def _document(content: bytes, errand: Errand, plan: Plan, pseudonyms: Pseudonyms) -> Made:
    made = deidentify_document(
        content,
        media_type=errand.kind,
        known=plan.known,
        pseudonyms_shift_days=pseudonyms.shift_days,
    )
    if isinstance(made, QuarantinedDocument):
        return Made(
            report=FileReport(input=errand.relative, kind=errand.kind, code=made.code, reason=made.reason)
        )
    places = verify_document(made.content, media_type=made.media_type, known=plan.known)
    leaks = verify_text(made.text, plan.known)
    if places or leaks:
        found = [place for place in places if not place.endswith(UNREAD)] + [leak.place for leak in leaks]
        code = "leak" if found else "not_read_again"
        return Made(report=told(errand.relative, errand.kind, code, place=(found or places)[0]))
    name = f"{errand.name}{made.extension}"
    with _half_written((made.content,), name, plan) as (half, digest):
        _keep(half, name, plan)
    report = FileReport(
        input=errand.relative,
        output=name,
        kind=errand.kind,
        status="deidentified",
        sha256=digest,
        counts=dict(made.report.counts),
        look=made.look,
    )
    comparison = (
        compare_document(content, errand.kind, made.content, made.media_type) if plan.compare else None
    )
    return Made(report=report, comparison=comparison)


def _leaking(errand: Errand, leaks: tuple[Leak, ...]) -> FileReport:
    return told(errand.relative, errand.kind, "leak", place=f"{leaks[0].kind} at {leaks[0].place}")


# -- a copy stands whole under its name, or not at all ------------------------------------------------------------
@contextlib.contextmanager
def _half_written(pieces: Iterable[Piece], name: str, plan: Plan) -> Iterator[tuple[Path, str]]:
    """Write the pieces under a name of their own; what is not kept is gone afterwards."""
    half = Path(plan.out_dir, f"{name}.part")
    digest = hashlib.sha256()
    try:
        with _writing():
            half.parent.mkdir(parents=True, exist_ok=True)
            with half.open("wb") as stream:
                for piece in pieces:
                    for _, block in blocks(piece):
                        digest.update(block)
                        stream.write(block)
        yield half, digest.hexdigest()
    finally:
        with contextlib.suppress(OSError):
            half.unlink()


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Only around what touches the output folder: readers raise OSError of a file's content, which ends no run."""
    try:
        yield
    except OSError as error:
        raise FolderError("The output folder cannot be written to.") from error


def _keep(half: Path, name: str, plan: Plan) -> None:
    with _writing():
        half.replace(Path(plan.out_dir, name))
