"""pydicom's own test objects as a case without plants: whatever comes in comes out, or is held with a reason."""

import contextlib
import io
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pydicom.data
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.corpus.people import name_parts

# Not people: what these objects call their patient is a word that stays elsewhere for good reasons.
NOBODY = {"", "anonymized", "anonymous", "test", "phantom", "lossy"}


def _files() -> list[Path]:
    root = Path(pydicom.data.__file__).parent
    found = [p for folder in ("test_files", "charset_files") for p in sorted((root / folder).glob("*.dcm"))]
    assert len(found) > 60
    return found


def _checks(name: str, ds: Dataset) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def check(kind: str, category: str, place: str, **more: Any) -> None:
        found.append({"file": name, "kind": kind, "category": category, "place": place, **more})

    people = [
        p
        for p in name_parts(str(ds.get("PatientName", "") or ""))
        if len(p) > 3 and p.casefold() not in NOBODY
    ]
    if people:
        check("gone", "foreign", "PatientName", forms=people)
    number = str(ds.get("PatientID", "") or "")
    if len(number) > 3 and number.casefold() not in NOBODY:
        check("gone", "foreign", "PatientID", forms=[number])
    for place in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        value = str(ds.get(place, "") or "")
        if value:
            check("mapped", "foreign_uids", place, value=value, resolves=False)
    for place in ("Modality", "Manufacturer", "Rows", "BitsStored"):
        if place in ds and ds[place].value not in (None, ""):
            check("kept", "foreign_kept", place)
    if "PixelData" in ds:
        check("pixels_same", "foreign_pixels", "")
    return found


def write_foreign(folder: Path) -> int:
    """Write the case; its key tells only what every object has. Returns how many objects."""
    (folder / "objects").mkdir(parents=True)
    checks: list[dict[str, Any]] = []
    files = _files()
    for path in files:
        shutil.copyfile(path, folder / "objects" / path.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(Exception):  # what pydicom itself cannot read has no checks of its own
                checks += _checks(path.name, dcmread(io.BytesIO(path.read_bytes()), force=True))
    (folder / "KNOWN.json").write_text("{}", encoding="utf-8")
    key = {"case": "pydicom", "secrets": [], "uids": [], "checks": checks}
    (folder / "key.json").write_text(json.dumps(key, ensure_ascii=False), encoding="utf-8")
    return len(files)
