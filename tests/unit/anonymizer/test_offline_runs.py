"""A run that is interrupted goes on, a run can be compared and put on a disc, and a key joins runs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
from pathlib import Path

import pydicom
import pytest

from anonymizer.known import Known
from anonymizer.offline import FolderError, FolderReport, cleaning, deidentify_folder, journal
from tests.unit.anonymizer.test_offline import KEY, slice_of

NAME = "Ottosdotter^Sigrun"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(1, 7):
        (source / f"{number}.dcm").write_bytes(slice_of(number, comment="CT buk Ottosdotter"))
    (source / "tom").write_bytes(b"")
    return source


def run(folder: Path, out: Path, **more: object) -> FolderReport:
    return deidentify_folder(folder, out, known=Known(), apart=False, **more)  # type: ignore[arg-type]


def interrupt(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    real = cleaning.deidentify_instance
    count = 0

    def stop(*args: object, **more: object) -> object:
        nonlocal count
        count += 1
        if count > after:
            raise KeyboardInterrupt
        return real(*args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(cleaning, "deidentify_instance", stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder, out)


def copies(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_an_interrupted_run_goes_on_with_the_same_pseudonyms(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    interrupt(folder, out, monkeypatch, after=3)
    before = {name: content for name, content in copies(out).items() if name.endswith(".dcm")}
    assert len(before) == 3
    assert (out / journal.NAME).stat().st_mode & 0o077 == 0
    seen: list[str] = []
    real = cleaning.deidentify_instance
    monkeypatch.setattr(
        cleaning, "deidentify_instance", lambda *a, **k: (seen.append("again"), real(*a, **k))[1]
    )
    report = run(folder, out, resume=True)
    assert len(seen) == 3
    assert report.totals["deidentified"] == 6
    after = copies(out)
    assert sorted(after) == [f"images/{number:06d}.dcm" for number in range(1, 7)]
    assert all(after[name] == content for name, content in before.items())
    slices = [pydicom.dcmread(out / name) for name in after]
    assert len({one.StudyInstanceUID for one in slices}) == len({one.PatientID for one in slices}) == 1
    assert all(
        hashlib.sha256(after[file.output]).hexdigest() == file.sha256 for file in report.files if file.output
    )


def test_an_unfinished_run_is_not_begun_anew_by_mistake(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(folder, tmp_path / "out", monkeypatch, after=1)
    with pytest.raises(FolderError, match="--resume"):
        run(folder, tmp_path / "out")


@pytest.mark.parametrize("change", ["spoil a copy", "lose a copy", "another original"])
def test_what_no_longer_holds_is_made_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    out = tmp_path / "out"
    interrupt(folder, out, monkeypatch, after=4)
    if change == "spoil a copy":
        (out / "images/000002.dcm").write_bytes(b"Ottosdotter")
    elif change == "lose a copy":
        (out / "images/000002.dcm").unlink()
    else:
        (folder / "2.dcm").write_bytes(slice_of(99, name="Nilsdotter^Vega", comment="CT Nilsdotter"))
    (out / "notes.txt").write_text("somebody's own")
    run(folder, out, resume=True)
    made = copies(out)
    assert made.pop("notes.txt") == b"somebody's own"
    assert sorted(made) == [f"images/{number:06d}.dcm" for number in range(1, 7)]
    for content in made.values():
        assert b"tosdotter" not in content
        assert b"Nilsdotter" not in content
        pydicom.dcmread(io.BytesIO(content))


def test_a_finished_run_leaves_no_key_behind(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out")
    assert not (tmp_path / "out" / journal.NAME).exists()


def test_a_key_gives_late_files_the_same_pseudonyms(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "one", key=KEY)
    late = tmp_path / "late"
    late.mkdir()
    (late / "7").write_bytes(slice_of(7))
    run(late, tmp_path / "two", key=KEY)
    first, second = (pydicom.dcmread(tmp_path / name / "images/000001.dcm") for name in ("one", "two"))
    assert (first.StudyInstanceUID, first.PatientID, first.StudyDate, first.FrameOfReferenceUID) == (
        second.StudyInstanceUID, second.PatientID, second.StudyDate, second.FrameOfReferenceUID,
    )  # fmt: skip
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_the_comparison_shows_what_went_and_lies_outside_the_copies(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    run(folder, tmp_path / "out", compare=page)
    text = page.read_text(encoding="utf-8")
    assert "<del>Ottosdotter</del>" in text
    assert "PatientName" in text
    assert text.count("data:image/png") == 12
    assert "<script" not in text
    assert page.stat().st_mode & 0o077 == 0
    with pytest.raises(FolderError):
        run(folder, tmp_path / "other", compare=tmp_path / "other" / "c.html")


def test_media_get_a_directory_that_others_can_read(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = run(folder, out, media=True)
    assert min(file.output for file in report.files if file.output) == "IMAGES/IM000001"
    directory = pydicom.dcmread(out / "DICOMDIR")
    listed = [
        "/".join(record.ReferencedFileID)
        for record in directory.DirectoryRecordSequence
        if "ReferencedFileID" in record
    ]
    assert sorted(listed) == [f"IMAGES/IM{number:06d}" for number in range(1, 7)]
    told = subprocess.run(
        ["dcmdump", "-q", str(out / "DICOMDIR")], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Ottosdotter" not in told.stdout


def test_several_patients_in_one_folder_are_told(folder: Path, tmp_path: Path) -> None:
    assert run(folder, tmp_path / "one").patients == 1
    other = pydicom.dcmread(folder / "6.dcm")
    other.PatientName, other.PatientID = "Nilsdotter^Vega", "ZZ-112233"
    other.save_as(folder / "6.dcm")
    report = run(folder, tmp_path / "two")
    assert report.patients == 2
    assert json.loads(json.dumps(report.to_json()))["patients_named"] == 2


@pytest.mark.parametrize(
    ("places", "code", "said"),
    [
        (("page 3: not read again",), "not_read_again", "(page 3: not read again)"),
        (("page 3: not read again", "page 4: text"), "leak", "(page 4: text)"),
    ],
)
def test_a_document_that_was_not_read_again_is_held_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[str, ...], code: str, said: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "letter.txt").write_text("CT buk visar en lesion i levern.")
    monkeypatch.setattr(cleaning, "verify_document", lambda *_, **__: places)
    (row,) = run(tmp_path / "in", tmp_path / "out").files
    assert (row.status, row.code) == ("quarantined", code)
    assert said in row.reason
    assert not any(path.suffix == ".txt" for path in (tmp_path / "out").rglob("*"))


def test_links_pipes_and_odd_names_are_told_and_end_nothing(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "away").symlink_to(tmp_path)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff\xfename.dcm")).write_bytes(slice_of(8))
    (folder / "a\nb.dcm").write_bytes(slice_of(9))
    report = run(folder, tmp_path / "out", compare=tmp_path / "c.html")
    assert report.totals == {
        "files": 12, "deidentified": 8, "quarantined": 0, "ignored": 4, "to_look_at": 0,
    }  # fmt: skip
    assert [file.input for file in report.files if file.code == "not_a_file"] == ["away", "dangling", "pipe"]
    json.loads(json.dumps(report.to_json()))
    assert "\\udcff" in (tmp_path / "c.html").read_text(encoding="utf-8")
