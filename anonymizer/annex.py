"""The annex that a privacy officer signs: what a profile does, attribute by attribute and in sentences; it decides nothing.

References
----------
PS3.15 Table E.1-1a (action codes); PS3.2 N.11.2.6 (how a conformance statement tells them); PS3.16 CID 7050.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import DicomDictionary

from anonymizer import annex_words as words
from anonymizer.attribute_types import load_table
from anonymizer.elements import NUMBER_VRS, STREAM_VRS, TEXT_VRS, is_private, newer_attributes, spell
from anonymizer.profile import METHOD_CODES, TABLES, Profile, Rule, table_digests

PRIVATE = "PRIVATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One row: the attribute, its action code, which kind of fate that is, and which source says so."""

    tag: str
    name: str
    vr: str
    action: str
    kind: str
    words: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeGroup:
    """The private elements of one creator that are kept, as they are printed, and the lists that say so."""

    creator: str
    elements: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Annex:
    """The whole annex; ``tables`` gives name, edition and SHA-256 of every file of rules and words."""

    profile: str
    summary: str
    digest: str
    options: tuple[tuple[str, str], ...]
    tables: tuple[tuple[str, str, str], ...]
    rows: tuple[Described, ...]
    private: tuple[SafeGroup, ...]
    concepts: tuple[tuple[str, str, str], ...]
    rules: tuple[tuple[str, tuple[str, ...]], ...]
    limits: tuple[str, ...]


def annex(profile: Profile) -> Annex:
    """Everything that the profile says; the same bytes of rules give the same annex."""
    names = () if profile.identified else ("basic", *sorted(profile.options))
    return Annex(
        profile=profile.name,
        summary=profile.summary,
        digest=profile.digest,
        options=tuple(sorted(METHOD_CODES[name] for name in names)),
        tables=tuple(_tables()),
        rows=tuple(describe(profile)),
        private=tuple(safe_groups(profile)),
        concepts=tuple(naming_concepts(profile)),
        rules=words.rules(profile),
        limits=words.limits(profile),
    )


def describe(profile: Profile) -> Iterator[Described]:
    """What the profile does, tag by tag: every attribute of the data dictionary, the masks, the private rule."""
    for tag, (name, vr) in sorted(_attributes().items()):
        rule = _rule(profile, tag, vr)
        effect = "K" if profile.identified else effect_of(rule.action, vr)
        kind = words.KINDS[effect]
        told = words.IDENTIFIED if profile.identified else words.told(rule, effect, vr, tag)
        if effect in {"Z", "Z/D"} and (tag in words.STAND_INS or vr == "PN"):
            kind = "replaced"
        if tag == PRIVATE and rule.action == "C":
            kind, told = "removed", words.PRIVATE_KEPT
        yield Described(
            tag=tag if "X" in tag or tag == PRIVATE else spell(int(tag, 16)),
            name=name,
            vr=vr,
            action=rule.action,
            kind=kind,
            words=told,
            source=rule.source,
        )


def _attributes() -> dict[str, tuple[str, str]]:
    """Name and VR by tag (8 digits, a mask, or PRIVATE)."""
    found = {f"{tag:08X}": (str(entry[2]), str(entry[0])) for tag, entry in DicomDictionary.items()}
    found |= {f"{tag:08X}": (name, vr) for tag, (vr, _, name) in newer_attributes().items()}
    found |= {row["tag"]: (row["name"], row["vr"]) for row in load_table("annex_e.json")["rows"]}
    return {
        tag: (name, vr.split(" or ")[0])
        for tag, (name, vr) in found.items()
        if tag == PRIVATE or "X" in tag or not is_private(int(tag, 16))
    }


def _rule(profile: Profile, tag: str, vr: str) -> Rule:
    if profile.identified:
        return Rule(action="K", source="profile")
    if tag == PRIVATE:
        kept = "retain_safe_private" in profile.options
        return Rule(action="C" if kept else "X", source="Table E.1-1 and the safe lists")
    if "X" in tag:
        return Rule(action="X", source="Table E.1-1 (50xx, 60xx)", forced=True)
    return profile.rule(int(tag, 16), vr)


def effect_of(action: str, vr: str) -> str:
    """What "clean" and "keep" come to for a kind of value (`actions.Actor` does it): every other action is itself."""
    if vr == "SQ" and action in {"C", "K", "Q", "X/Z/U*"}:
        return "Q"
    if action not in {"C", "K"}:
        return action
    if vr in TEXT_VRS:
        return "C"
    if vr in {"CS", "DS", "IS", "TM", "AS"}:
        return "N"
    if vr in {"DA", "DT"}:
        return "K" if action == "K" else "S"
    if vr in {"PN", "UI"}:
        return {"PN": "P", "UI": "U" if action == "C" else "T"}[vr]
    return "K" if vr in NUMBER_VRS or (action == "K" and vr in STREAM_VRS) else "X"


def safe_groups(profile: Profile) -> Iterator[SafeGroup]:
    """The private elements that the profile keeps, by creator."""
    if profile.identified or "retain_safe_private" not in profile.options:
        return
    found: dict[str, dict[str, str]] = {}
    sources: dict[str, set[str]] = {}
    for name in ("safe_private_vendor.json", "safe_private.json"):
        table = load_table(name)
        for row in table["rows"]:
            if effect_of("C", row["vr"]) == "X":
                continue  # bytes that cannot be read cannot be cleaned
            place = f"({row['group']},xx{row['element']})"
            found.setdefault(row["creator"], {})[place] = f"{place} {row['vr']} {row['meaning']}".strip()
            sources.setdefault(row["creator"], set()).add(table["edition"].split(":")[0].split(" (")[0])
    for creator in sorted(found):
        elements = tuple(found[creator][place] for place in sorted(found[creator]))
        yield SafeGroup(creator=creator, elements=elements, source="; ".join(sorted(sources[creator])))


def naming_concepts(profile: Profile) -> Iterator[tuple[str, str, str]]:
    """Concepts of structured reports whose value names somebody or something: scheme, code, meaning."""
    if not profile.identified:
        for row in load_table("sr_concepts.json")["rows"]:
            if row["handling"] == "identifier":
                yield row["scheme"], row["code"], row["meaning"]


def _tables() -> Iterator[tuple[str, str, str]]:
    for path, digest in table_digests().items():
        name = path.partition("/")[2]
        edition = str(load_table(name).get("edition", "")) if name in TABLES else "word list"
        yield path, edition, digest


def difference(one: Annex, other: Annex) -> Iterator[tuple[Described, Described]]:
    """The rows on which two profiles do not agree."""
    there = {row.tag: row for row in other.rows}
    for row in one.rows:
        if row.words != there[row.tag].words:
            yield row, there[row.tag]
