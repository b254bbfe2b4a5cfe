"""Reads the words that can be seen in a picture, in this process; it judges none of them and touches no file but the packs.

Tesseract runs through its library: no second process, no temporary file, one thread, so that it works in the sandbox. A
reader is kept per process and set of languages; a forked child shares its parent's packs.

References
----------
tesseract(1), "TSV" output and page segmentation modes 6 and 11; decision 0061.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from anonymizer.errors import AnonymizerError

# The library's OpenMP reads this when it is loaded: threads would not survive a fork, nor the sandbox's filter.
os.environ["OMP_THREAD_LIMIT"] = "1"

#: Packs that are no language: orientation and equations.
_NOT_LANGUAGES = frozenset({"osd", "equ"})
#: Packs of Latin letters. Without one of them nothing is read: another pack makes other letters of a name, in silence.
_LATIN = frozenset({"afr", "aze", "bos", "bre", "cat", "ceb", "ces", "cos", "cym", "dan", "deu", "eng", "enm", "epo", "est", "eus", "fao", "fil", "fin", "fra", "frm", "fry", "gla", "gle", "glg", "hat", "hrv", "hun", "ind", "isl", "ita", "ita_old", "jav", "lat", "lav", "lit", "ltz", "mlt", "mri", "msa", "nld", "nor", "oci", "pol", "por", "que", "ron", "slk", "slv", "spa", "spa_old", "sqi", "srp_latn", "sun", "swa", "swe", "ton", "tur", "uzb", "vie", "yor"})  # fmt: skip
#: Read when the caller names no language: Latin letters with and without marks. Others cost time on every picture.
COMMON = ("eng", "swe")
_LAYOUTS = {"page": 3, "block": 6, "line": 7, "sparse": 11}
_SCREEN_DPI = 150
_MOST_SIDE = 32_000
Layout = Literal["page", "block", "line", "sparse"]


class OcrMissingError(AnonymizerError):
    """Text in pictures cannot be read on this computer: install tesseract's language packs (doctor tells which are there)."""


class OcrTimeError(AnonymizerError):
    """Reading the words of a picture took longer than it may: have a human look at the picture."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as read: its box in pixels of the picture, the line it stands in, confidence from 0 to 100."""

    text: str
    confidence: float
    left: int
    top: int
    width: int
    height: int
    line: int


@lru_cache(maxsize=1)
def folders() -> tuple[Path, ...]:
    """Where packs may lie, in the order in which they are looked for; remembered, since a sandbox cannot look again."""
    named = os.environ.get("TESSDATA_PREFIX")
    places = [Path(named), Path(named) / "tessdata"] if named else []
    places += sorted(Path("/usr/share/tesseract-ocr").glob("*/tessdata"), reverse=True)
    places += [Path("/usr/share/tessdata"), Path("/usr/local/share/tessdata")]
    return tuple(place for place in places if _has_packs(place))


def _has_packs(folder: Path) -> bool:
    """Only such a folder is opened to a sandbox, wherever the environment points."""
    try:
        return any(folder.glob("*.traineddata"))
    except OSError:
        return False


@lru_cache(maxsize=1)
def _packs() -> tuple[str, tuple[str, ...]]:
    for folder in folders():
        try:
            names = sorted(path.stem for path in folder.glob("*.traineddata"))
        except OSError:
            continue
        if found := tuple(name for name in names if name not in _NOT_LANGUAGES):
            return str(folder), found
    return "", ()


def languages() -> tuple[str, ...]:
    """The language packs of this computer by tesseract's codes ("swe"), sorted; () where Latin letters cannot be read."""
    try:
        import tesserocr  # noqa: F401 - a platform without the library has no OCR, whatever packs lie there
    except ImportError:
        return ()
    found = _packs()[1]
    return found if _LATIN.intersection(found) else ()


def forget() -> None:
    """Drop readers and what is known of packs: for tests, and after packs were installed."""
    folders.cache_clear()
    _packs.cache_clear()
    with _LOCK:
        _READERS.clear()


_LOCK = threading.Lock()
_READERS: dict[tuple[str, ...], Any] = {}
_MESSAGES = {"debug_file": "/dev/null"}


def say_to_stderr() -> None:
    """Let the library's messages go to standard error: where no file may be opened it writes through a null pointer and dies."""
    _MESSAGES["debug_file"] = ""


def _reader(wanted: tuple[str, ...]) -> Any:
    """The reader for these languages; the caller holds the lock."""
    present = languages()
    if not _LATIN.intersection(present):
        raise OcrMissingError(OcrMissingError.__doc__)
    chosen = (
        tuple(name for name in wanted if name in present)
        or tuple(name for name in COMMON if name in present)
        or tuple(name for name in present if name in _LATIN)[:1]
    )
    if chosen not in _READERS:
        import tesserocr

        folder = _packs()[0]
        try:
            reader = tesserocr.PyTessBaseAPI(path=folder, lang="+".join(chosen), oem=tesserocr.OEM.LSTM_ONLY)
        except RuntimeError:
            raise OcrMissingError(OcrMissingError.__doc__) from None
        # Dictionaries bend names into words; a known identifier must be read as it is written.
        for name in ("load_system_dawg", "load_freq_dawg"):
            reader.SetVariable(name, "0")
        reader.SetVariable("debug_file", _MESSAGES["debug_file"])
        reader.SetVariable("tessedit_do_invert", "0")  # the caller shows both polarities
        _READERS[chosen] = reader
    return _READERS[chosen]


def read_words(
    picture: NDArray[np.uint8],
    *,
    layout: Layout = "page",
    only: tuple[str, ...] = (),
    limit_s: float = 0.0,
) -> tuple[Word, ...]:
    """The words of a picture in reading order.

    Parameters
    ----------
    picture
        uint8, (rows, columns) grey or (rows, columns, 3) RGB. Boxes are in its pixels.
    layout
        "page": paragraphs and columns; "block": lines of one block; "line": one line; "sparse": words anywhere.
    only
        Tesseract codes; () reads `COMMON`. Packs that are not there are left out.
    limit_s
        Time for the recognition; 0 for none.

    Raises
    ------
    OcrMissingError
        There is no pack, or no library.
    OcrTimeError
        ``limit_s`` ran out.
    """
    shown = np.ascontiguousarray(picture, dtype=np.uint8)
    rows, columns = shown.shape[:2]
    if min(rows, columns) < 3 or max(rows, columns) > _MOST_SIDE:
        return ()
    samples = 1 if shown.ndim == 2 else shown.shape[2]
    with _LOCK:
        reader = _reader(only)
        reader.SetPageSegMode(_LAYOUTS[layout])
        reader.SetImageBytes(shown.tobytes(), columns, rows, samples, columns * samples)
        reader.SetSourceResolution(_SCREEN_DPI)
        try:
            whole = reader.Recognize(int(limit_s * 1000))
            table = reader.GetTSVText(0) if whole else ""
        finally:
            reader.Clear()
    if not whole:
        raise OcrTimeError(OcrTimeError.__doc__)
    return tuple(_words(table))


def _words(table: str) -> list[Word]:
    """Rows of level 5 (words) of Tesseract's table; a line is known by its block, paragraph and line numbers."""
    lines: dict[tuple[str, ...], int] = {}
    words = []
    for row in table.splitlines():
        cells = row.split("\t")
        if len(cells) < 12 or cells[0] != "5" or not cells[11].strip():
            continue
        line = lines.setdefault(tuple(cells[1:5]), len(lines))
        left, top, width, height = map(int, cells[6:10])
        words.append(Word("\t".join(cells[11:]).strip(), float(cells[10]), left, top, width, height, line))
    return words
