"""What one file does to its process, or the disk to the copies: a run goes on, or says why it cannot."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import time
from multiprocessing.util import Finalize
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from anonymizer.known import Known
from anonymizer.offline import FolderError, FolderReport, cleaning, deidentify_folder
from anonymizer.offline.gathering import read
from anonymizer.parallel import MIB, Limits, WorkersError, limits_for, over
from anonymizer.pixels.masks import MaskRule
from tests.unit.anonymizer.test_offline import slice_of


class Deadly(MaskRule):
    """A rule that kills its process at the second image, with a copy half written; ``software`` names the output folder."""

    def matches(self, dataset: Any) -> bool:
        if dataset.number(0x00200013) == 2:
            half = Path(self.software, "images", "000002.dcm.part")
            half.parent.mkdir(exist_ok=True)
            half.write_bytes(b"Ottosdotter")
            os.kill(os.getpid(), signal.SIGSEGV)
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    for number in (1, 2, 3):
        (source / f"{number}.dcm").write_bytes(slice_of(number))
    return source


def run(folder: Path, out: Path, **more: Any) -> FolderReport:
    return deidentify_folder(folder, out, known=Known(), **more)


# -- a process that dies ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", [1, 2])
def test_a_native_crash_in_a_small_folder_costs_one_file_and_leaves_no_half_copy(
    folder: Path, tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "out"
    fatal = Deadly(software=str(out), rows=4, columns=4, rectangles=((0, 0, 1, 1),), verdict="mask")
    report = run(folder, out, masks=(fatal,), workers=workers)
    assert [(file.status, file.code) for file in report.files] == [
        ("deidentified", ""),
        ("quarantined", "crashed"),
        ("deidentified", ""),
    ]
    assert report.files[1].reason
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert left == ["images/000001.dcm", "images/000003.dcm"]


@pytest.mark.parametrize("errands", [[3], [0, 3, 1], list(range(12))])
@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_dies_is_known_and_the_others_answer(errands: list[int], workers: int) -> None:
    told: list[int] = []
    results = over(errands, _die_on_three, lambda number: -number, workers, told.append)
    assert results == [-3 if number == 3 else number for number in errands]
    assert sorted(told) == sorted(results)


def test_who_died_beside_others_is_tried_again_alone(tmp_path: Path) -> None:
    trace = tmp_path / "once"
    assert over([str(trace)], _die_once, lambda _: "crashed", 2, lambda _: None) == ["done"]


def test_what_work_raises_ends_the_run_and_its_workers() -> None:
    with pytest.raises(FolderError, match="no such thing"):
        over([1, 2, 3], _refuse, lambda _: None, 2, lambda _: None)


# -- a process that dies before it has an errand ------------------------------------------------------------------
class Fatal:
    """A plan too long for a pipe's buffer that kills who unpacks it: each time, or once where ``trace`` is a path."""

    def __init__(self, trace: str = "") -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (self.trace, bytes(4 * MIB))


def _unpacked(trace: str, _: bytes) -> str:
    if not trace or not Path(trace).exists():
        if trace:
            Path(trace).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return trace


def _begin(_: Any) -> None:
    """Begin without anything to prepare: the plan itself is what kills."""


class Early:
    """Comes first in the plan, so that the pipe is still full when its reader dies."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, ("", b"")


@pytest.mark.parametrize("plan", [Fatal(), (Early(), bytes(4 * MIB))], ids=["read", "unread"])
def test_workers_that_cannot_begin_end_the_run_with_a_sentence(plan: Any) -> None:
    blamed: list[int] = []
    with pytest.raises(WorkersError, match="memory"):
        over([1, 2], abs, blamed.append, 2, lambda _: None, begin=(_begin, plan))
    assert not blamed


def test_a_worker_that_died_over_its_beginning_costs_no_file(tmp_path: Path) -> None:
    begin = (_begin, Fatal(str(tmp_path / "once")))
    assert over([1, 2, 3], abs, lambda _: -1, 2, lambda _: None, begin=begin) == [1, 2, 3]
    assert (tmp_path / "once").exists()


@pytest.mark.parametrize(("kind", "raised"), [("FolderError", FolderError), ("MemoryError", WorkersError)])
def test_a_beginning_that_fails_ends_the_run_without_a_word_of_its_own(
    capfd: pytest.CaptureFixture[str], kind: str, raised: type[Exception]
) -> None:
    with pytest.raises(raised):
        over([1, 2], abs, lambda _: -1, 2, lambda _: None, begin=(_fail, kind))
    assert "Traceback" not in capfd.readouterr().err


def _fail(kind: str) -> None:
    raise FolderError("no plan") if kind == "FolderError" else MemoryError


# -- an answer that nobody can read -------------------------------------------------------------------------------
class Unreadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return _unreadable, ()


def _unreadable() -> None:
    raise ZeroDivisionError


def _odd(number: int) -> Any:
    return {1: Unreadable(), 2: lambda: None}.get(number, number)


def test_an_answer_that_cannot_be_sent_or_read_costs_one_errand(capfd: pytest.CaptureFixture[str]) -> None:
    assert over([0, 1, 2, 3], _odd, lambda _: "crashed", 2, lambda _: None) == [0, "crashed", "crashed", 3]
    assert "Traceback" not in capfd.readouterr().err


def test_a_worker_that_is_done_ends_by_itself(tmp_path: Path) -> None:
    assert over([str(tmp_path)], _leave_at_the_end, lambda _: "crashed", 1, lambda _: None) == ["done"]
    assert (tmp_path / "left").exists()


def _leave_at_the_end(folder: str) -> str:
    Finalize(None, Path(folder, "left").touch, exitpriority=1)
    return "done"


def test_workers_do_not_load_the_program_that_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, trace = tmp_path / "program.py", tmp_path / "loaded"
    program.write_text(f"open({str(trace)!r}, 'w')")
    called = ModuleType("__main__")
    called.__file__ = str(program)
    monkeypatch.setitem(sys.modules, "__main__", called)
    assert over([0], _die_on_three, lambda _: -1, 1, lambda _: None) == [0]
    assert sys.modules["__main__"] is called
    assert not trace.exists()


def _die_on_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number


def _die_once(trace: str) -> str:
    if not Path(trace).exists():
        Path(trace).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def _refuse(number: int) -> int:
    if number == 2:
        raise FolderError("no such thing")
    return number


# -- a file that takes too much -----------------------------------------------------------------------------------
def test_memory_is_bounded_and_grows_with_the_file() -> None:
    small = Limits(memory_bytes=1024 * MIB)
    arguments: dict[str, Any] = {"limits": small, "size_of": lambda size: size * MIB}
    assert over([0], _take, lambda _: "crashed", 1, lambda _: None, **arguments) == ["refused"]
    assert over([400], _take, lambda _: "crashed", 1, lambda _: None, **arguments) == ["taken"]


def test_the_bound_stays_below_what_the_computer_has() -> None:
    assert limits_for(1).memory_bytes >= limits_for(64).memory_bytes >= 1536 * MIB
    assert limits_for(1).memory_for(0) <= 3072 * MIB


def _take(_: int) -> str:
    try:
        np.ones(2048 * MIB, np.uint8)
    except MemoryError:
        return "refused"
    return "taken"


def test_an_image_that_unfolds_without_end_is_held_and_the_others_are_made(
    folder: Path, tmp_path: Path
) -> None:
    bomb = pydicom.dcmread(folder / "2.dcm")
    bomb.Modality, bomb.SOPClassUID = "OT", "1.2.840.10008.5.1.4.1.1.7"
    bomb.file_meta.MediaStorageSOPClassUID = bomb.SOPClassUID
    bomb.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    bomb.Rows = bomb.Columns = (
        10_900  # just within what one frame may have, and gigabytes for who looks for strokes
    )
    bomb.BitsAllocated = bomb.BitsStored = 8
    bomb.HighBit = 7
    drawn = io.BytesIO()
    Image.new("L", (10_900, 10_900)).save(drawn, "JPEG")
    bomb.PixelData = pydicom.encaps.encapsulate([drawn.getvalue()])
    bomb["PixelData"].VR = "OB"
    bomb.save_as(folder / "2.dcm")
    report = run(folder, tmp_path / "out", workers=1)
    assert [file.status for file in report.files] == ["deidentified", "quarantined", "deidentified"]
    assert report.files[1].reason


def test_an_errand_that_never_ends_is_ended() -> None:
    begun = time.monotonic()
    limits = Limits(cpu_s=0.3)
    assert over([1], _spin, lambda _: "crashed", 1, lambda _: None, limits=limits) == ["crashed"]
    assert time.monotonic() - begun < 60


def test_an_errand_that_waits_without_end_is_ended() -> None:
    begun = time.monotonic()
    limits = Limits(cpu_s=0.5, cpu_s_per_mib=0)
    assert over([1, 0], _sleep, lambda _: "crashed", 1, lambda _: None, limits=limits) == ["crashed", "done"]
    assert time.monotonic() - begun < 60


def _sleep(number: int) -> str:
    time.sleep(600 * number)
    return "done"


def _spin(_: int) -> str:
    while True:
        pass


@pytest.mark.parametrize("told", [-1, 1])
def test_a_file_that_is_still_being_copied_is_told_and_not_cut(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    real, growing = os.path.getsize, str(folder / "2.dcm")
    monkeypatch.setattr(os.path, "getsize", lambda path: real(path) + told * (str(path) == growing))
    report = run(folder, tmp_path / "out", apart=False)
    assert [(file.status, file.code) for file in report.files] == [
        ("deidentified", ""),
        ("quarantined", "unreadable"),
        ("deidentified", ""),
    ]


def test_a_file_of_the_size_told_is_read_whole(tmp_path: Path) -> None:
    for size in (0, 1, 70_000):
        (tmp_path / "file").write_bytes(bytes(range(1, 256)) * (size // 255) + b"x" * (size % 255))
        assert read(str(tmp_path / "file")) == (tmp_path / "file").read_bytes()


# -- the disk -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("apart", [True, False])
def test_a_full_disk_ends_the_run_with_its_reason(folder: Path, tmp_path: Path, apart: bool) -> None:
    out = tmp_path / "out"

    def fill(done: int, total: int) -> None:
        if done == 4:  # the first copy is made: the second will find no room
            (out / "images" / "000003.dcm.part").symlink_to("/dev/full")

    with pytest.raises(FolderError, match="cannot be written") as told:
        run(folder, out, progress=fill, workers=1, apart=apart)
    if not apart:
        assert isinstance(told.value.__cause__, OSError)
        assert told.value.__cause__.errno == errno.ENOSPC


def test_a_folder_that_takes_no_copies_ends_the_run_with_its_reason(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def block(done: int, total: int) -> None:
        if done == 1:
            (out / "images").write_text("a file where a folder should be")

    with pytest.raises(FolderError, match="cannot be written"):
        run(folder, out, progress=block, workers=1)


def test_an_error_of_a_reader_holds_its_file_and_blames_no_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cleaning.verify_instance  # type: ignore[attr-defined]  # the name that the module calls

    def read(content: bytes, **more: Any) -> Any:
        if pydicom.dcmread(io.BytesIO(content)).InstanceNumber == 2:
            Image.open(io.BytesIO(content))  # an OSError, as Pillow and pydicom raise them of what they read
        return real(content, **more)

    monkeypatch.setattr(cleaning, "verify_instance", read)
    report = run(folder, tmp_path / "out", apart=False)
    assert [(file.status, file.code) for file in report.files] == [
        ("deidentified", ""),
        ("quarantined", "crashed"),
        ("deidentified", ""),
    ]
    assert not list((tmp_path / "out").rglob("*.part"))
