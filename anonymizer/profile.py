"""Profiles: which action PS3.15 Annex E and our own additions give to each attribute; it decides, `actions` acts.

References
----------
PS3.15 E.1-E.3; CID 7050. A decision comes from, in this order: the private rule, Table E.1-1 with the profile's
options, `extra_attributes.json`, and last the value representation. Every attribute gets one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import metadata, resources

from anonymizer.attribute_types import load_table
from anonymizer.elements import NUMBER_VRS, STREAM_VRS, TEXT_VRS, dictionary_vr
from anonymizer.errors import ProfileError, TableError

# PS3.16 CID 7050: option -> code value and meaning.
METHOD_CODES = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "retain_full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain_modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_device": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_institution": ("113112", "Retain Institution Identity Option"),
}
ACTION_WORDS = {
    "X": "removed",
    "Z": "emptied, or replaced by a keyed stand-in",
    "D": "replaced by a dummy value",
    "K": "kept",
    "C": "cleaned of identifying content",
    "U": "replaced by a keyed UID",
    "X/Z": "removed; emptied where the object must have it",
    "X/D": "removed; replaced where the object must have it",
    "X/Z/D": "removed; emptied or replaced where the object must have it",
    "Z/D": "emptied; replaced where the object must have a value",
    "X/Z/U*": "references kept, their UIDs replaced",
    "I": "replaced by a keyed stand-in",
    "T": "kept, unless it holds a known identifier",
    "S": "shifted by the case's secret number of days",
    "N": "kept if it has the form of its kind",
    "P": "person replaced by a keyed stand-in",
    "Q": "each item decided in turn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do with one attribute, and which source says so."""

    action: str
    source: str
    forced: bool = False  # removed whatever its Type: what would stay of it is the original


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A named set of options over the Basic Application Level Confidentiality Profile."""

    name: str
    summary: str
    options: frozenset[str] = field(default_factory=frozenset)
    identified: bool = False
    edition: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the profile, every table and word list, and the data dictionary: what a certificate names."""
        parts = [
            self.name,
            sorted(self.options),
            self.identified,
            table_digests(),
            metadata.version("pydicom"),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def rules(self) -> dict[int, Rule]:
        """Rules by tag for every attribute with a row of its own."""
        found = {}
        for row in load_table("extra_attributes.json")["rows"]:
            action = HANDLING[row["handling"]]
            if row["handling"] == "text" and "clean_descriptors" not in self.options:
                action = "X/Z/D"
            found[int(row["tag"], 16)] = Rule(
                action=action, source="house rule", forced=row["handling"] == "drop"
            )
        for row in load_table("annex_e.json")["rows"]:
            if row["tag"] == "PRIVATE" or "X" in row["tag"]:
                continue
            tag = int(row["tag"], 16)
            if tag not in found or not found[tag].forced:
                found[tag] = Rule(action=self._of_row(row), source="Table E.1-1")
        return found

    def _of_row(self, row: dict[str, object]) -> str:
        """The option's code if one of the profile's options has a say; C (clean) wins over K (keep)."""
        options = row["options"]
        codes = {code for name, code in options.items() if name in self.options}  # type: ignore[attr-defined]  # JSON
        if "C" in codes:
            return "C"
        if "K" in codes:
            return "K"
        return str(row["basic"])

    def rule(self, tag: int, vr: str) -> Rule:
        """The decision for a standard attribute; private ones are decided by `private.SafeList`."""
        found = self.rules.get(tag)
        return found or self._by_place(tag, vr)

    def _by_place(self, tag: int, vr: str) -> Rule:
        group = tag >> 16
        if tag & 0xFFFF == 0:
            return Rule(action="X", source="group length (PS3.5 7.2)", forced=True)
        if 0x5000 <= group <= 0x501E or 0x6000 <= group <= 0x601E:
            return Rule(action="X", source="Table E.1-1 (50xx, 60xx)", forced=True)
        if group in {0x0000, 0x0002, 0x0004} or group == 0xFFFE:
            return Rule(action="X", source="does not belong in a data set", forced=True)
        if not dictionary_vr(tag):
            return Rule(action="X", source="not in the data dictionary", forced=True)
        return self.by_vr(vr)

    def by_vr(self, vr: str) -> Rule:
        """The decision that the value representation alone gives."""
        action = VR_ACTIONS.get(vr, "X")
        if vr in {"DA", "DT", "TM"} and "retain_modified_dates" not in self.options:
            action = "K" if "retain_full_dates" in self.options else "X/Z/D"
        if vr in TEXT_VRS and "clean_descriptors" not in self.options:
            action = "X/Z/D"
        return Rule(action=action, source=f"value representation {vr}")


#: Every table of rules by file name; their digests, and the word lists', are part of a profile's own.
TABLES = tuple(
    sorted(
        file.name for file in resources.files("anonymizer.tables").iterdir() if file.name.endswith(".json")
    )
)
FOLDERS = ("tables", "words")


@lru_cache(maxsize=1)
def table_digests() -> dict[str, str]:
    """SHA-256 of every file of rules or words that a decision may depend on, by ``folder/name``."""
    found = {}
    try:
        for folder in FOLDERS:
            for file in resources.files(f"anonymizer.{folder}").iterdir():
                if file.name.endswith((".json", ".txt")):
                    found[f"{folder}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as damage:
        raise TableError(f"{TableError.__doc__}") from damage
    return dict(sorted(found.items()))


HANDLING = {
    "text": "C",
    "meaning": "C",
    "code": "T",
    "identifier": "I",
    "remove": "X",
    "drop": "X",
    "keep": "K",
    "keep_uid": "T",
}
VR_ACTIONS = (
    dict.fromkeys(TEXT_VRS, "C")
    | dict.fromkeys(NUMBER_VRS, "K")
    | {
        "SQ": "Q",
        "PN": "P",
        "UI": "U",
        "DA": "S",
        "DT": "S",
        "UR": "X",
        "AE": "X/Z/D",
        "OB": "X/Z/D",
        "UN": "X",
    }
    | dict.fromkeys(("CS", "DS", "IS", "TM", "AS"), "N")
    | dict.fromkeys(STREAM_VRS - {"OB"}, "K")
)

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="mdt-default",
            summary="For a second opinion: nothing that names the patient or those around her; dates shifted together, "
            "ages, sex, size and weight, clinical text, structured findings and safe private values kept.",
            options=frozenset({
                "clean_pixel_data", "clean_graphics", "clean_structured_content", "clean_descriptors",
                "retain_modified_dates", "retain_patient_characteristics", "retain_safe_private",
            }),
        ),
        Profile(
            name="strict",
            summary="The Basic Profile, and every text in a picture blanked: no free text, no dates, no private values, "
            "no patient characteristics.",
            options=frozenset({"clean_pixel_data"}),
        ),
        Profile(
            name="identified",
            summary="No de-identification: for reviewers who treat the patient, after the privacy officer's switch.",
            identified=True,
        ),
    )
}  # fmt: skip


@lru_cache(maxsize=8)
def load_profile(name: str) -> Profile:
    """One of `PROFILES`, its edition filled in."""
    profile = PROFILES.get(name)
    if profile is None:
        raise ProfileError(f"{ProfileError.__doc__} Known: {', '.join(PROFILES)}.")
    return Profile(
        name=profile.name,
        summary=profile.summary,
        options=profile.options,
        identified=profile.identified,
        edition=load_table("annex_e.json")["edition"],
    )
