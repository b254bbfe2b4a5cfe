"""No copy has an error of its IOD that the original had not, by dciodvfy: objects that hold all that each IOD asks for."""

import sys
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from anonymizer import walk
from anonymizer.attribute_types import iod_of, load_table, types_for
from anonymizer.elements import PIXEL_TAGS, DataSet, Element
from anonymizer.engine import Deidentified, deidentify_instance
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.tables.retired import SUCCESSORS
from anonymizer.writer import write_part10
from tests.factories import iod_errors
from tests.unit.anonymizer import made
from tests.unit.anonymizer.test_types import filled, filled_item, required_in

pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(not iod_errors.available(), reason="dicom3tools is not installed"),
]
#: Of each IOD the class that has been in the standard the longest: dciodvfy knows not all of the newer ones.
SOP_CLASSES = {
    iod_of(uid): uid
    for uid in reversed(load_table("iod_types.json")["sop_classes"])
    if uid not in SUCCESSORS and not iod_of(uid).startswith(("encapsulated-", "basic-directory"))
}
IODS = sorted(SOP_CLASSES)
PART = 11


def whole_object(uid: str) -> bytes:
    """Every attribute that the IOD types, with items in its sequences and in theirs."""
    types = types_for(uid)
    dataset = DataSet()
    for tag in types.tags() - PIXEL_TAGS - {0x00080005}:
        if tag >= 0x00080008:
            dataset.put(filled(tag))
    for outer in [element for element in dataset if element.items is not None]:
        item = filled_item(required_in(types.items_of(outer.tag)))
        for inner in [element for element in item if element.items is not None]:
            items = [filled_item(required_in(types.items_of(inner.tag)))]
            item.put(Element(inner.tag, "SQ", items=items))
        dataset.put(Element(outer.tag, "SQ", items=[item]))
    dataset.put(Element(0x00080016, "UI", uid.encode()))
    dataset.put(Element(0x00080018, "UI", b"1.2.777.1"))
    return b"".join(write_part10(dataset, transfer_syntax="1.2.840.10008.1.2.1"))


def pairs_of(iods, profile, folder):
    for iod in iods:
        content = whole_object(SOP_CLASSES[iod])
        result = deidentify_instance(
            content, profile=load_profile(profile), pseudonyms=Pseudonyms(made.KEY), known=made.KNOWN
        )
        assert isinstance(result, Deidentified), (iod, result)
        (folder / f"{iod}.dcm").write_bytes(content)
        (folder / f"{iod}.copy").write_bytes(result.content)
        yield folder / f"{iod}.dcm", folder / f"{iod}.copy"


@pytest.mark.parametrize("profile", ["mdt-default", "strict"])
@pytest.mark.parametrize("part", range(0, len(IODS), PART))
def test_no_copy_of_a_whole_object_has_a_new_error(part, profile, tmp_path):
    assert iod_errors.new_errors(pairs_of(IODS[part : part + PART], profile, tmp_path)) == {}


def test_a_type_that_is_not_heeded_is_noticed(monkeypatch, tmp_path):
    """The tool itself: with every code settled as for type 3 the same objects are in error."""
    honest = walk.resolve
    monkeypatch.setattr(sys.modules["anonymizer.walk"], "resolve", lambda action, _: honest(action, "3"))
    found = iod_errors.new_errors(pairs_of(["ct-image", "rt-plan", "comprehensive-sr"], "strict", tmp_path))
    assert set(found) == {"ct-image.copy", "rt-plan.copy", "comprehensive-sr.copy"}
    assert any("Missing attribute for Type 2" in line for line in found["ct-image.copy"])


def test_an_original_that_cannot_be_read_is_held_against_its_re_encoding(tmp_path):
    """A deflated one: every error that dciodvfy finds in its copy would be new."""
    (tmp_path / "original.dcm").write_bytes(Path(get_testdata_file("image_dfl.dcm")).read_bytes())
    result = deidentify_instance(
        (tmp_path / "original.dcm").read_bytes(),
        profile=load_profile("mdt-default"),
        pseudonyms=Pseudonyms(made.KEY),
        known=made.KNOWN,
    )
    assert isinstance(result, Deidentified)
    (tmp_path / "copy").write_bytes(result.content)
    assert iod_errors.errors(tmp_path / "copy") - iod_errors.errors(tmp_path / "original.dcm")
    assert iod_errors.new_errors([(tmp_path / "original.dcm", tmp_path / "copy")]) == {}


def test_most_iods_are_known_to_the_tool(tmp_path):
    """What it does not know it cannot judge; the types of those are shown by the unit tests alone."""
    known = [
        original.stem
        for original, _ in pairs_of(IODS[::4], "mdt-default", tmp_path)
        if "Error - Information Object Not found" not in iod_errors.errors(original)
    ]
    assert len(known) > len(IODS[::4]) // 2
