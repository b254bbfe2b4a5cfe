from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_files

from anonymizer.engine import Deidentified, deidentify_instance
from anonymizer.harvest import harvest_instance, harvest_uids
from anonymizer.known import Known
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.verify import verify_instance
from tests.unit.anonymizer import made

FILES = [Path(name) for name in sorted(get_testdata_files()) if Path(name).is_file()]
#: Real objects named after nobody: words such as "Test" are their harvest, found by chance in noise.
NOT_OBJECTS = {"not_dicom", "dicomdir", "damaged"}
#: Its codestream has no header that any decoder reads, and its class may show writing.
NO_PICTURE = "JPEG2000-embedded-sequence-delimiter.dcm"


@cache
def both(path: Path, profile: str = "mdt-default"):
    content = path.read_bytes()
    return content, deidentify_instance(
        content, profile=load_profile(profile), pseudonyms=Pseudonyms(made.KEY), known=Known()
    )


def test_every_public_file_is_cleaned_or_refused_with_a_reason():
    verdicts = Counter()
    for path in FILES:
        _, result = both(path)
        if path.name != NO_PICTURE or isinstance(result, Deidentified):
            verdicts["clean" if isinstance(result, Deidentified) else result.code] += 1
        else:
            assert result.code == "pixels_unreadable"
    assert verdicts["clean"] >= 140
    assert set(verdicts) <= NOT_OBJECTS | {"clean"}


@pytest.mark.parametrize("profile", ["mdt-default", "strict"])
def test_every_copy_reads_back_and_a_second_pass_changes_nothing(profile):
    for path in FILES:
        _, result = both(path, profile)
        if isinstance(result, Deidentified):
            dcmread(io.BytesIO(result.content)).walk(lambda _, element: element.value)
            again = made.deidentified(result.content, profile, known=Known())
            assert again.content == result.content, path.name


def test_pixels_come_through_untouched():
    compared = 0
    for path in FILES:
        content, result = both(path)
        if not isinstance(result, Deidentified):
            continue
        old, new = dcmread(io.BytesIO(content), force=True), dcmread(io.BytesIO(result.content))
        if "PixelData" not in old or old.file_meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2.2":
            continue
        if result.report.counts.get("C", 0) and "(7FE0,0010)" in {
            entry.place for entry in result.report.entries
        }:
            continue
        assert new.PixelData == old.PixelData, path.name
        compared += 1
    assert compared > 50


def test_no_original_uid_is_left_in_any_copy():
    uids = frozenset().union(*(harvest_uids(path.read_bytes()) for path in FILES))
    assert len(uids) > 200
    for path in FILES:
        _, result = both(path)
        if isinstance(result, Deidentified):
            assert verify_instance(result.content, known=Known(), original_uids=uids) == (), path.name


def test_each_object_cleaned_with_its_own_harvest_verifies():
    short = {
        "image_dfl.dcm",
        "examples_rgb_color.dcm",
        "examples_palette.dcm",
    }  # "name" of seven equal letters, of digits
    for path in FILES:
        content = path.read_bytes()
        known = harvest_instance(content)
        result = deidentify_instance(
            content, profile=load_profile("mdt-default"), pseudonyms=Pseudonyms(made.KEY), known=known
        )
        if isinstance(result, Deidentified) and path.name not in short:
            assert verify_instance(result.content, known=known, original_uids=harvest_uids(content)) == (), (
                path.name
            )


@pytest.mark.functional
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("profile", ["mdt-default", "strict"])
def test_no_copy_has_a_new_error_of_its_iod(profile, tmp_path):
    makers = (
        made.planted_ct,
        made.mr,
        made.pet,
        made.report,
        made.structure_set,
        made.us,
        made.presentation,
        made.scanned,
    )
    cleaned = {path.name: both(path, profile) for path in FILES if "TINY_ALPHA" not in path.parts}
    del cleaned["image_dfl.dcm"]  # dciodvfy cannot read the original
    for make in makers:
        content = made.encoded(make())
        cleaned[make.__name__] = content, made.deidentified(content, profile)
    for name, (content, result) in cleaned.items():
        # Without its class in the data set nothing can be said of an original's IOD.
        if isinstance(result, Deidentified) and "SOPClassUID" in dcmread(io.BytesIO(content), force=True):
            new = iod_errors(result.content, tmp_path) - iod_errors(content, tmp_path)
            assert not new, (name, new)


def iod_errors(content: bytes, tmp_path: Path) -> Counter[str]:
    path = tmp_path / "object.dcm"
    path.write_bytes(content)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False).stderr.decode("latin-1")
    lines = (line for line in said.splitlines() if line.startswith("Error"))
    return Counter(re.sub(r"= *<.*|\[\d+\]|UID [\d.]+|<[^>]*>", "", line).strip() for line in lines)
