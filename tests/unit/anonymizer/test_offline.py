"""A folder in, a folder and a report out: nothing that identifies, nothing lost without a reason."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from anonymizer.errors import ProfileError, PseudonymKeyError
from anonymizer.known import Known
from anonymizer.offline import FolderError, FolderReport, deidentify_folder
from tests.unit.anonymizer import planted

KEY = b"k" * 32
ROOT = "1.2.826.0.1.3680043.10.999"


def slice_of(number: int, *, name: str = "Ottosdotter^Sigrun", comment: str = "") -> bytes:
    data = Dataset()
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = f"{ROOT}.3.{number}"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    data.FrameOfReferenceUID = f"{ROOT}.9"
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = (
        name,
        "QX-778812",
        "19610704",
        "F",
    )
    data.StudyDate, data.StudyTime, data.ContentDate, data.ContentTime = (
        "20240312",
        "101500",
        "20240313",
        "101501",
    )
    data.AccessionNumber, data.StudyID, data.ReferringPhysicianName = "ACC5512345", "1", "Blenkinsop^Rupert"
    data.Modality, data.Manufacturer, data.SeriesNumber, data.InstanceNumber = "CT", "Maker", 1, number
    data.StudyDescription = comment or "CT buk"
    data.ImageType, data.PatientPosition, data.PositionReferenceIndicator = (
        ["ORIGINAL", "PRIMARY", "AXIAL"],
        "HFS",
        "",
    )
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness, data.KVP, data.AcquisitionNumber = [1, 1], 1, 120, 1
    data.RescaleIntercept, data.RescaleSlope = 0, 1
    data.SamplesPerPixel, data.PhotometricInterpretation, data.Rows, data.Columns = 1, "MONOCHROME2", 4, 4
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = bytes(32)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "in" / "Sigrun Ottosdotter"
    (source / "sub").mkdir(parents=True)
    for number in (1, 2, 3):
        (source / "sub" / f"ottosdotter{number}").write_bytes(
            slice_of(number, comment="CT buk Ottosdotter 610704")
        )
    (source / "brev.txt").write_bytes(
        "Patient: Ottosdotter S., ACC5512345. CT 12 mars 2024: lesion 12 mm.".encode("latin-1")
    )
    (source / "remiss.pdf").write_bytes(planted.plain_pdf())
    (source / "foto.jpg").write_bytes(planted.photograph())
    (source / "brev.docx").write_bytes(b"PK\x03\x04" + bytes(40))
    (source / "viewer.exe").write_bytes(b"MZ" + bytes(40))
    (source / "tom").write_bytes(b"")
    (source / "sub" / "trasig.dcm").write_bytes(slice_of(4)[:400])
    return tmp_path / "in"


def run(folder: Path, out: Path, *, apart: bool = False, workers: int = 1, **more: object) -> FolderReport:
    more |= {"workers": workers, "apart": apart}
    return deidentify_folder(folder, out, known=planted.KNOWN, profile_name="mdt-default", key=KEY, **more)  # type: ignore[arg-type]


def test_a_folder_is_cleaned_by_what_its_own_files_say(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ticks: list[tuple[int, int]] = []
    report = run(folder, out, progress=lambda done, total: ticks.append((done, total)))
    assert report.totals == {"files": 10, "deidentified": 6, "quarantined": 2, "ignored": 2, "to_look_at": 1}
    assert ticks == [(done, 20) for done in range(1, 21)]
    written = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert sorted(written) == sorted(file.output for file in report.files if file.output)
    for name, content in written.items():
        assert not any(part in name.casefold() for part in ("otto", "sigrun", "brev"))
        for secret in (
            "Ottosdotter",
            "OTTOSDOTTER",
            "Sigrun",
            "QX-778812",
            "ACC5512345",
            "Blenkinsop",
            "610704",
            f"{ROOT}.3",
            *planted.PLANTED,
        ):
            for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
                assert secret.encode(encoding) not in content, (name, secret)
    text = next(content for name, content in written.items() if name.endswith(".txt")).decode()
    assert text.startswith("Patient: [name], [number]. CT ")
    assert "12 mars 2024" not in text
    assert text.endswith(": lesion 12 mm.")


def test_pseudonyms_and_intervals_hold_over_the_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, out)
    slices = [pydicom.dcmread(path) for path in sorted((out / "images").iterdir())]
    assert len({one.StudyInstanceUID for one in slices}) == 1
    assert len({one.SOPInstanceUID for one in slices}) == 3
    assert len({one.PatientID for one in slices}) == 1
    assert {int(one.ContentDate) - int(one.StudyDate) for one in slices} <= {1, 70, 71, 72, 73, 8870}
    assert {one.StudyDescription.replace("[number]", "[date]") for one in slices} == {"CT buk [name] [date]"}


def test_two_processes_write_what_one_writes(folder: Path, tmp_path: Path) -> None:
    one, two = run(folder, tmp_path / "one"), run(folder, tmp_path / "two", apart=True, workers=2)
    assert one == two
    for file in one.files:
        if file.output:
            assert (tmp_path / "one" / file.output).read_bytes() == (
                tmp_path / "two" / file.output
            ).read_bytes()


def test_every_file_is_told_with_its_reason_and_no_value(folder: Path, tmp_path: Path) -> None:
    report = run(folder, tmp_path / "out").to_json()
    by_name = {Path(file["input"]).name: file for file in report["files"]}
    assert by_name["brev.docx"]["status"] == "quarantined"
    assert by_name["trasig.dcm"]["status"] == "quarantined"
    assert by_name["viewer.exe"]["status"] == by_name["tom"]["status"] == "ignored"
    assert by_name["foto.jpg"]["look"]
    assert all(file["reason"] for file in report["files"] if file["status"] != "deidentified")
    assert all(bool(file["output"]) == (file["status"] == "deidentified") for file in report["files"])
    without_paths = json.dumps(
        {**report, "files": [{**file, "input": ""} for file in report["files"]]}, ensure_ascii=False
    )
    assert not any(part in without_paths for part in ("Otto", "Sigrun", "QX-", *planted.PLANTED))


def test_a_copy_that_still_identifies_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "anonymizer.offline.cleaning.verify_document", lambda *_args, **_more: ("page 1: text",)
    )
    report = run(folder, tmp_path / "out")
    assert not (tmp_path / "out" / "documents").exists()
    (told,) = {file.reason for file in report.files if file.code == "leak"}
    assert "page 1: text" in told


def test_strict_takes_no_documents(folder: Path, tmp_path: Path) -> None:
    report = deidentify_folder(
        folder, tmp_path / "out", known=Known(), profile_name="strict", key=KEY, apart=False
    )
    assert {file.code for file in report.files if file.kind == "text/plain"} == {"strict"}


def test_wrong_folders_profiles_and_keys_are_told(folder: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x")
    for source, out in (
        (tmp_path / "none", tmp_path / "o"),
        (folder, folder / "out"),
        (folder, folder.parent),
        (folder, full),
    ):
        with pytest.raises(FolderError):
            run(source, out)
    with pytest.raises(FolderError):
        deidentify_folder(
            folder, tmp_path / "o", known=Known(), profile_name="identified", key=KEY, apart=False
        )
    with pytest.raises(ProfileError):
        deidentify_folder(folder, tmp_path / "o", known=Known(), profile_name="none", key=KEY, apart=False)
    with pytest.raises(PseudonymKeyError):
        deidentify_folder(
            folder, tmp_path / "o", known=Known(), profile_name="mdt-default", key=b"short", apart=False
        )


def test_without_a_key_nothing_leads_back(folder: Path, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        deidentify_folder(
            folder, tmp_path / name, known=Known(), profile_name="mdt-default", key=None, apart=False
        )
        made.append(pydicom.dcmread(tmp_path / name / "images" / "000001.dcm").StudyInstanceUID)
    assert made[0] != made[1]
