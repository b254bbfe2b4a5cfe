"""Which content items of a structured report name somebody; findings, measurements and references are left alone.

References
----------
PS3.3 C.17.3 (SR document content), PS3.16 TID 1001-1010 (observation context).
"""

from __future__ import annotations

import re
from functools import lru_cache

from anonymizer.attribute_types import load_table
from anonymizer.charset import Charset
from anonymizer.elements import DataSet

CONCEPT_NAME, CODE_VALUE, SCHEME, MEANING = 0x0040A043, 0x00080100, 0x00080102, 0x00080104
TEXT_VALUE, DATE_VALUE, DATETIME_VALUE, TIME_VALUE = 0x0040A160, 0x0040A121, 0x0040A120, 0x0040A122
PERSON_NAME, UID_VALUE, CODE_SEQUENCE, NUMERIC_VALUE = 0x0040A123, 0x0040A124, 0x0040A168, 0x0040A30A
#: What a content item holds besides its concept: an action code per attribute, over the profile's table.
PLAIN_ITEM = {
    TEXT_VALUE: "C",
    DATE_VALUE: "S",
    DATETIME_VALUE: "S",
    TIME_VALUE: "N",
    PERSON_NAME: "P",
    UID_VALUE: "U",
}
NAMING_ITEM = PLAIN_ITEM | {TEXT_VALUE: "I"}
BIRTH_ITEM = PLAIN_ITEM | {TEXT_VALUE: "D", DATE_VALUE: "D", DATETIME_VALUE: "D"}


def item_actions(item: DataSet, charset: Charset, *, dates_kept: bool) -> dict[int, str] | None:
    """The actions for one content item, or None when the data set is no content item."""
    if not item.items(CONCEPT_NAME):
        return None
    handling = _handling(item, charset)
    actions = NAMING_ITEM if handling == "identifier" else BIRTH_ITEM if handling == "birth" else PLAIN_ITEM
    if not dates_kept:
        actions = actions | {DATE_VALUE: "D", DATETIME_VALUE: "D", TIME_VALUE: "D"}
    return actions


def is_age(item: DataSet, charset: Charset) -> bool:
    """Whether the item measures the age of the patient."""
    return _handling(item, charset) == "age"


def names_somebody(item: DataSet, charset: Charset) -> bool:
    """Whether the item's value is an identifier of a person or place."""
    return _handling(item, charset) == "identifier"


def names_patient(item: DataSet, charset: Charset) -> bool:
    """Whether a PNAME item names the subject herself (DCM 121029)."""
    concept = item.items(CONCEPT_NAME)
    return bool(concept) and _text(concept[0], CODE_VALUE, charset) == "121029"


def _handling(item: DataSet, charset: Charset) -> str:
    concept = item.items(CONCEPT_NAME)
    if not concept:
        return ""
    return concept_handling(*(_text(concept[0], tag, charset) for tag in (SCHEME, CODE_VALUE, MEANING)))


@lru_cache(maxsize=4096)
def concept_handling(scheme: str, code: str, meaning: str) -> str:
    """What a concept's value is ("identifier", "birth", "age" or ""), by its code or else by its words."""
    table = load_table("sr_concepts.json")
    for row in table["rows"]:
        if row["scheme"] == scheme and row["code"] == code:
            handling = str(row["handling"])
            return "birth" if handling == "remove_date" else handling
    words = meaning.casefold()
    if re.search(table["birth_labels"], words):
        return "birth"
    if re.search(table["age_labels"], words):
        return "age"
    return "identifier" if any(re.search(label, words) for label in table["labels"]) else ""


def _text(dataset: DataSet, tag: int, charset: Charset) -> str:
    element = dataset.get(tag)
    if element is None or element.items is not None:
        return ""
    return charset.decode(bytes(element.value), element.vr)[0].strip(" \0")
