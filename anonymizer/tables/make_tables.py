"""Makes the tables of this folder from published copies of the standard; it is run by hand and never imported by the house.

    python -m anonymizer.tables.make_tables --part15 part15.xml --vendor-private tcia_private_tags.csv --types

`part15.xml` is the DocBook source of PS3.15 as NEMA publishes it for each edition; the edition is read from it. The
types are those of the `highdicom` package, which the developers' environment holds. Only what is named is made.

References
----------
PS3.15 Annex E (Tables E.1-1, E.3.4-1, E.3.10-1); PS3.3 Annex A (IODs) and C (modules).
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pydicom.datadict import DicomDictionary, keyword_dict

from anonymizer.tables.retired import SUCCESSORS

HERE = Path(__file__).parent
DOCBOOK = "{http://docbook.org/ns/docbook}"
TYPES_EDITION = (
    "PS3.3 as carried by highdicom 0.28.2 (modules, functional group macros and types of attributes)"
)
VENDOR_EDITION = (
    "TCIA private tag knowledge base, February 2024: kept or shifted, numeric, coded or temporal only"
)
# The columns of the three tables by the words of their heads, so that a column that moved is noticed.
OPTIONS = {
    "Rtn. Safe Priv. Opt.": "retain_safe_private",
    "Rtn. UIDs Opt.": "retain_uids",
    "Rtn. Dev. Id. Opt.": "retain_device",
    "Rtn. Inst. Id. Opt.": "retain_institution",
    "Rtn. Pat. Chars. Opt.": "retain_patient_characteristics",
    "Rtn. Long. Full Dates Opt.": "retain_full_dates",
    "Rtn. Long. Modif. Dates Opt.": "retain_modified_dates",
    "Clean Desc. Opt.": "clean_descriptors",
    "Clean Struct. Cont. Opt.": "clean_structured_content",
    "Clean Graph. Opt.": "clean_graphics",
}
CODES = frozenset({"D", "Z", "X", "K", "C", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"})
FEWEST = {"E.1-1": 600, "E.3.4-1": 150, "E.3.10-1": 80}


class Part15:
    """The tables of one edition of PS3.15, each row a mapping from the head of a column to its cell."""

    def __init__(self, path: Path) -> None:
        root = ET.parse(path).getroot()  # noqa: S314 - the standard's own file, chosen by the developer who runs this
        subtitle = words(root.find(f"{DOCBOOK}subtitle"))
        self.edition = " ".join(subtitle.split()[1:3])
        self._tables = {table.get("label", ""): table for table in root.iter(f"{DOCBOOK}table")}

    def rows(self, label: str) -> list[dict[str, str]]:
        """The body of a table; raises ValueError when it is not shaped as these tables are."""
        table = self._tables[label]
        lines = [[words(cell) for cell in line] for line in table.iter(f"{DOCBOOK}tr")]
        head = [re.sub(r" \(from\s*\)$", "", cell) for cell in lines[0]]
        body = lines[1:]
        if len(body) < FEWEST[label] or any(len(line) != len(head) for line in body):
            raise ValueError(f"Table {label} is not shaped as expected.")
        return [dict(zip(head, line, strict=True)) for line in body]


def words(element: ET.Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).replace("\u200b", "").split())


def options(row: dict[str, str]) -> dict[str, str]:
    found = {name: row[head] for head, name in OPTIONS.items() if row.get(head)}
    for code in (row["Basic Prof."], *found.values()):
        if code not in CODES:
            raise ValueError(f"{code!r} is no action of Table E.1-1a")
    return found


def annex_e(part: Part15, newer: dict[str, str]) -> dict[str, Any]:
    """Table E.1-1 whole; the VR is the data dictionary's."""
    rows = []
    for row in part.rows("E.1-1"):
        tag = re.sub(r"[(),\s]", "", row["Tag"]).upper()
        tag = tag if re.fullmatch(r"[0-9A-FX]{8}", tag) else "PRIVATE"
        vr = "UN"
        if "X" not in tag and tag != "PRIVATE":
            vr = newer.get(tag) or str(DicomDictionary.get(int(tag, 16), ("UN",))[0])
        rows.append({
            "tag": tag,
            "name": row["Attribute Name"],
            "vr": vr.split(" or ", maxsplit=1)[0],
            "retired": row["Retd."] == "Y",
            "standard_iod": row["In Std. Comp. IOD"] == "Y",
            "basic": row["Basic Prof."],
            "options": options(row),
        })  # fmt: skip
    rows.sort(key=lambda row: str(row["tag"]))
    return {
        "edition": f"{part.edition} Table E.1-1 ({len(rows)} rows)",
        "columns": sorted(OPTIONS.values()),
        "rows": rows,
    }


def content_items(part: Part15) -> dict[str, Any]:
    """Table E.3.4-1: what each option does to the value of a content item, by its concept and value type."""
    rows = [
        {
            "scheme": row["Coding Scheme Designator"].split(" ", maxsplit=1)[0],
            "code": row["Code Value"],
            "type": row["Value Type"],
            "meaning": row["Code Meaning"],
            "basic": row["Basic Prof."],
            "options": options(row),
        }
        for row in part.rows("E.3.4-1")
    ]
    rows.sort(key=lambda row: (row["scheme"], row["code"], row["type"]))
    return {"edition": f"{part.edition} Table E.3.4-1 ({len(rows)} rows)", "rows": rows}


def safe_private(part: Part15) -> dict[str, Any]:
    """Table E.3.10-1; a row without a VR cannot be judged and is left out, "OW/OB" is OW."""
    rows = []
    for row in part.rows("E.3.10-1"):
        group, element = row["Data Element"].strip("()").split(",")
        if not row["VR"]:
            continue
        rows.append({
            "creator": row["Private Creator"],
            "group": group.upper(),
            "element": element[-2:].upper(),
            "vr": row["VR"].split("/", maxsplit=1)[0],
            "meaning": re.split(r" - |; | \(", row["Meaning"], maxsplit=1)[0][:60],
        })  # fmt: skip
    rows.sort(key=lambda row: (row["creator"], row["group"], row["element"]))
    return {"edition": f"{part.edition} Table E.3.10-1 ({len(rows)} rows with a VR)", "rows": rows}


# The first of these wins where the knowledge base has met an element in several representations.
VENDOR_VRS = ("DT", "DA", "TM", "FD", "FL", "DS", "IS", "US", "SS", "UL", "SL", "CS")
VENDOR_TIMES = frozenset({"DT", "DA", "TM"})
VENDOR_SIGNATURE = re.compile(r"\(([0-9a-fA-F]{4}),([^,]+?),([0-9a-fA-F]{2})\)")
VENDOR_DOUBTFUL = re.compile(
    r"\b(id|ident\w*|patient|serial|exam|study|uid|phone|birth|name|site|unknown)\b", re.IGNORECASE
)
VENDOR_DATED = re.compile(r"\b(date|datetime|time ?stamp|timestamp)\b", re.IGNORECASE)
VENDOR_WORDS = re.compile(r"_|(?<=[a-z])(?=[A-Z])")  # frame_id and FrameID hide the word ID


def vendor_private(path: Path) -> dict[str, Any]:
    """Of the knowledge base what it keeps, or shifts if it is a date, at the top level, with a meaning that is no identity."""
    kept: dict[tuple[str, str, str], dict[str, str]] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            signature = VENDOR_SIGNATURE.fullmatch(row["element_sig_pattern"].replace('"', ""))
            vr, meaning = row["vr"], row["tag_name"]
            plain = VENDOR_WORDS.sub(" ", meaning)
            if signature is None or vr not in VENDOR_VRS or VENDOR_DOUBTFUL.search(plain):
                continue
            wanted = {"k", "o"} if vr in VENDOR_TIMES else {"k"}
            if (row["private_disposition"] or "").strip().lower() not in wanted:
                continue
            group, creator, element = signature[1].upper(), signature[2], signature[3].upper()
            if creator.startswith("Unnamed") or (vr not in VENDOR_TIMES and VENDOR_DATED.search(plain)):
                continue
            key = (creator, group, element)
            if key in kept and VENDOR_VRS.index(kept[key]["vr"]) <= VENDOR_VRS.index(vr):
                continue
            kept[key] = {"creator": creator, "group": group, "element": element, "vr": vr, "meaning": meaning}
    return {"edition": VENDOR_EDITION, "rows": [kept[key] for key in sorted(kept)]}


RANK = {"1": 4, "1C": 3, "2": 2, "2C": 1}


def iod_types(
    sops: dict[str, str], iods: dict[str, Any], modules: dict[str, Any], newer: dict[str, int]
) -> dict[str, Any]:
    """Types per module, of its own attributes ("") and of the items of each of its sequences; type 3 is left out.

    Within one module the strictest type of all paths to a (sequence, attribute) wins. Equal sets of types are held once.
    """
    known = {**SUCCESSORS, **sops}
    wanted = set(known.values())
    shapes: dict[str, int] = {}
    made: dict[str, dict[str, int]] = {}
    for name in sorted({part["key"] for iod in wanted for part in iods[iod]} & set(modules)):
        levels: dict[str, dict[str, str]] = {}
        for attribute in modules[name]:
            tag, type_ = tag_of(attribute["keyword"], newer), attribute["type"]
            parent = tag_of(attribute["path"][-1], newer) if attribute["path"] else ""
            if tag is None or parent is None or type_ not in RANK:
                continue
            level = levels.setdefault(parent, {})
            if RANK[type_] > RANK.get(level.get(tag, "3"), 0):
                level[tag] = type_
        made[name] = {
            parent: shapes.setdefault(by_type(level), len(shapes)) for parent, level in sorted(levels.items())
        }
    return {
        "edition": TYPES_EDITION,
        "sop_classes": dict(sorted(known.items())),
        "iods": {
            iod: sorted(part["key"] for part in iods[iod] if made.get(part["key"])) for iod in sorted(wanted)
        },
        "modules": {name: levels for name, levels in made.items() if levels},
        "shapes": list(shapes),
    }


def tag_of(keyword: str, newer: dict[str, int]) -> str | None:
    tag = keyword_dict.get(keyword) or newer.get(keyword)
    return None if tag is None else f"{tag:08X}"


def by_type(types: dict[str, str]) -> str:
    """Tags gathered behind their type: ``1 00080018 00080020,2 00100010``."""
    gathered: dict[str, list[str]] = {}
    for tag, type_ in sorted(types.items()):
        gathered.setdefault(type_, []).append(tag)
    return ",".join(" ".join([type_, *tags]) for type_, tags in sorted(gathered.items()))


def write(name: str, table: dict[str, Any], folder: Path) -> None:
    """One row per line, so that a new edition reads as a difference."""
    parts = []
    for key, value in table.items():
        if isinstance(value, list) and key != "columns":
            parts.append(f"{json.dumps(key)}: [\n" + lines(value) + "\n]")
        elif isinstance(value, dict):
            body = ",\n".join(
                f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()
            )
            parts.append(f"{json.dumps(key)}: {{\n{body}\n}}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    (folder / name).write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def lines(rows: Iterable[Any]) -> str:
    return ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part15", type=Path, help="PS3.15 as DocBook (part15.xml)")
    parser.add_argument("--vendor-private", type=Path, help="TCIA's private tag knowledge base as CSV")
    parser.add_argument("--types", action="store_true", help="types of attributes from the highdicom package")
    parser.add_argument("--into", type=Path, default=HERE, help="where the tables are written")
    given = parser.parse_args(arguments)
    newer = json.loads((HERE / "newer_attributes.json").read_text(encoding="utf-8"))["rows"]
    if given.part15:
        part = Part15(given.part15)
        write("annex_e.json", annex_e(part, {row["tag"]: row["vr"] for row in newer}), given.into)
        write("sr_content.json", content_items(part), given.into)
        write("safe_private.json", safe_private(part), given.into)
    if given.vendor_private:
        write("safe_private_vendor.json", vendor_private(given.vendor_private), given.into)
    if given.types:
        source = resources.files("highdicom") / "_standard"
        names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
        maps = [json.loads(source.joinpath(f"{name}.json").read_text(encoding="utf-8")) for name in names]
        sops, iods, modules = maps
        types = iod_types(sops, iods, modules, {row["keyword"]: int(row["tag"], 16) for row in newer})
        write("iod_types.json", types, given.into)


if __name__ == "__main__":
    main()
