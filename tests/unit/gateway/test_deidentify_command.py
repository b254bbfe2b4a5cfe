"""What ``consilium deidentify`` says: what was held, what waits for a look, and the next step of each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import offline
from gateway.cli.main import command_line
from tests import factories

APP = command_line(["deidentify"])
RUN = CliRunner(env={"COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    (place / "1.dcm").write_bytes(factories.ct_instance())
    return place


def test_copies_to_look_at_and_files_that_were_held_are_named(folder: Path, tmp_path: Path) -> None:
    screen = factories.ct_instance(
        number=2, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT", ConversionType="SD"
    )
    (folder / "2.dcm").write_bytes(screen)
    (folder / "3.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    said = RUN.invoke(APP, ["deidentify", str(folder), str(tmp_path / "out"), "--workers", "1"])
    assert said.exit_code == 0, said.output
    assert "3 files: 2 de-identified (1 to be looked at), 1 held, 0 left out" in said.output
    assert "look at this copy before you pass it on" in said.output
    assert "images/000002.dcm" in said.output
    assert "Unpack it" in said.output


def test_an_empty_folder_and_missing_packs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.setattr(offline, "languages", tuple)
    said = RUN.invoke(APP, ["deidentify", str(tmp_path / "in"), str(tmp_path / "out")])
    assert said.exit_code == 0
    assert "holds no file" in said.output
    assert "tesseract-ocr-eng" in said.output


@pytest.mark.parametrize(
    ("known", "told"), [('{"names": ', "line 1, column"), ('{"nam": "Ek"}', 'the key "nam"')]
)
def test_a_wrong_file_of_known_identifiers_is_named_and_never_quoted(
    folder: Path, tmp_path: Path, known: str, told: str
) -> None:
    (tmp_path / "known.json").write_text(known)
    said = RUN.invoke(
        APP,
        ["--json", "deidentify", str(folder), str(tmp_path / "out"), "--known", str(tmp_path / "known.json")],
    )
    assert said.exit_code == 2
    error = json.loads(said.stdout)
    assert told in error["message"]
    assert error["message"].startswith("known.json")
    assert "known-identifiers.md" in error["next_step"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("profile", ["nonsense", "identified"])
def test_a_profile_that_is_none_or_does_nothing_is_refused_with_those_that_work(
    folder: Path, tmp_path: Path, profile: str
) -> None:
    said = RUN.invoke(APP, ["--json", "deidentify", str(folder), str(tmp_path / "out"), "--profile", profile])
    assert said.exit_code == 2
    assert json.loads(said.stdout)["next_step"] == "Choose mdt-default or strict."


def test_a_folder_that_is_not_empty_is_refused_with_what_to_name(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "there").touch()
    said = RUN.invoke(APP, ["--json", "deidentify", str(folder), str(out)])
    assert said.exit_code == 2
    assert "empty folder" in json.loads(said.stdout)["next_step"]
    assert [path.name for path in out.iterdir()] == ["there"]
