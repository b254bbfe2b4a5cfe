"""Which packs of tesseract count: Latin letters are never read with another script's pack, and only packs' folders are opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anonymizer import ocr

PICTURE = np.full((40, 200), 255, np.uint8)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    ocr.forget()
    yield
    ocr.forget()


def only(monkeypatch: pytest.MonkeyPatch, *packs: str) -> None:
    monkeypatch.setattr(ocr, "_packs", lambda: ("", packs))


def test_without_a_latin_pack_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "ara", "rus")
    assert ocr.languages() == ()
    for wanted in ((), ("rus",), ("swe",)):
        with pytest.raises(ocr.OcrMissingError):
            ocr.read_words(PICTURE, only=wanted)


def test_another_latin_pack_is_taken_and_no_other_script(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Reader:
        def __init__(self, *, path: str, lang: str, oem: object) -> None:
            asked.append(lang)
            raise RuntimeError

    tesserocr = pytest.importorskip("tesserocr")
    monkeypatch.setattr(tesserocr, "PyTessBaseAPI", Reader)
    only(monkeypatch, "ara", "deu", "rus")
    for wanted in ((), ("pol",), ("rus", "eng")):
        with pytest.raises(ocr.OcrMissingError):
            ocr.read_words(PICTURE, only=wanted)
    assert asked == ["deu", "deu", "rus"]


def test_a_folder_counts_only_with_a_pack_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "letter.txt").write_text("of a patient")
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    assert tmp_path not in ocr.folders()
    assert tmp_path / "tessdata" not in ocr.folders()
    (tmp_path / "tessdata").mkdir()
    (tmp_path / "tessdata" / "swe.traineddata").write_bytes(b"")
    ocr.forget()
    assert ocr.folders()[0] == tmp_path / "tessdata"
    assert tmp_path not in ocr.folders()
