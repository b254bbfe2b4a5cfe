"""Places inside a data set as readable text: `RequestAttributesSequence[0]/StudyDescription`, `0019{GEMS_ACQU_01}9e`.

A step is a keyword, eight hex digits, or group{creator}element for a private element (PS3.5 7.8.1), with the item of a
sequence in brackets. `put` makes what is missing on the way; `get` answers None when a step is not there.
"""

import re
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

STEP = re.compile(r"^(?P<key>.+?)(?:\[(?P<item>\d+)\])?$")
PRIVATE = re.compile(r"^(?P<group>[0-9a-f]{4})\{(?P<creator>[^}]+)\}(?P<element>[0-9a-f]{2})$")
AMBIGUOUS = {"US or SS": "US", "OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "US"}


def steps(place: str) -> list[tuple[str, int | None]]:
    found = []
    for part in place.split("/"):
        match = STEP.match(part)
        assert match, place
        found.append((match["key"], None if match["item"] is None else int(match["item"])))
    return found


def tag_of(key: str) -> int:
    tag = tag_for_keyword(key)
    return int(key, 16) if tag is None else tag


def _element(dataset: Dataset, key: str) -> DataElement | None:
    private = PRIVATE.match(key)
    if private:
        try:
            block = dataset.private_block(int(private["group"], 16), private["creator"])
        except KeyError:
            return None
        tag = block.get_tag(int(private["element"], 16))
    else:
        tag = Tag(tag_of(key))
    return dataset.get(tag, None)


def get(dataset: Dataset, place: str) -> DataElement | None:
    """The element at `place`, or None; a step through a sequence that is not there is None, too."""
    here: Any = dataset
    *way, (last, _) = steps(place)
    for key, item in way:
        element = _element(here, key)
        if element is None or element.VR != "SQ" or item is None or item >= len(element.value):
            return None
        here = element.value[item]
    return _element(here, last)


def put(dataset: Dataset, place: str, value: Any, vr: str = "") -> DataElement:
    """Write `value` at `place`, with the sequences and empty items on the way made where they are missing."""
    here = dataset
    *way, (last, _) = steps(place)
    for key, item in way:
        element = _element(here, key)
        if element is None:
            _add(here, key, "SQ", Sequence())
            element = _element(here, key)
        assert element is not None
        assert item is not None, place
        while len(element.value) <= item:
            element.value.append(Dataset())
        here = element.value[item]
    _add(here, last, vr, value)
    added = _element(here, last)
    assert added is not None
    return added


def _add(dataset: Dataset, key: str, vr: str, value: Any) -> None:
    private = PRIVATE.match(key)
    if private:
        block = dataset.private_block(int(private["group"], 16), private["creator"], create=True)
        if block.get_tag(int(private["element"], 16)) in dataset:
            del dataset[block.get_tag(int(private["element"], 16))]
        at = int(private["element"], 16)
        if vr == "UN":
            dataset[block.get_tag(at)] = _unknown(block.get_tag(at), value)
        else:
            block.add_new(at, vr, value)
        return
    tag = Tag(tag_of(key))
    told = vr or dictionary_VR(tag)
    if vr == "UN":
        dataset[tag] = _unknown(tag, value)
        return
    dataset[tag] = DataElement(tag, AMBIGUOUS.get(told, told), value)


def _unknown(tag: Any, value: bytes) -> DataElement:
    """An element that stays UN, though the dictionary knows better."""
    before = config.replace_un_with_known_vr
    config.replace_un_with_known_vr = False
    try:
        return DataElement(tag, "UN", value)
    finally:
        config.replace_un_with_known_vr = before
