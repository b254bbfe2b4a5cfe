"""Makes the tables of this folder from published extracts of the standard; it is run by hand and never imported.

    python -m anonymizer.tables.make_tables --annex-e annexE_merged.json --safe-private safe_private_E3101.json \
        --vendor-private tcia_private_tags.csv --sop-iods sop_class_iod_map.json --iod-modules iod_module_map.json --module-attributes module_attribute_map.json

References
----------
PS3.15 Annex E (Table E.1-1, Table E.3.10-1); PS3.3 Annex A (IODs) and C (modules).
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from pathlib import Path
from typing import Any

from pydicom.datadict import DicomDictionary, keyword_dict

HERE = Path(__file__).parent
ANNEX_E_EDITION = "PS3.15 2024b Table E.1-1 (621 rows) with the rows that 2025b added (34)"
TYPES_EDITION = "PS3.3 as carried by highdicom 0.28 (module and attribute types)"
COLUMNS = {
    "rtnSafePrivOpt": "retain_safe_private",
    "rtnUIDsOpt": "retain_uids",
    "rtnDevIdOpt": "retain_device",
    "rtnInstIdOpt": "retain_institution",
    "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnLongFullDatesOpt": "retain_full_dates",
    "rtnLongModifDatesOpt": "retain_modified_dates",
    "cleanDescOpt": "clean_descriptors",
    "cleanStructContOpt": "clean_structured_content",
    "cleanGraphOpt": "clean_graphics",
}
PRIVATE_ROW = "GGGGEEEE-WHERE-GGGG-IS-ODD"

# Retired storage classes that PACS still hold: no IOD of today, the types of their successor apply.
RETIRED = {
    "1.2.840.10008.5.1.4.1.1.3": "ultrasound-multi-frame-image",
    "1.2.840.10008.5.1.4.1.1.5": "nuclear-medicine-image",
    "1.2.840.10008.5.1.4.1.1.6": "ultrasound-image",
    "1.2.840.10008.5.1.4.1.1.12.3": "x-ray-angiographic-image",
    "1.2.840.10008.5.1.4.1.1.77.1": "vl-photographic-image",
    "1.2.840.10008.5.1.4.1.1.77.2": "vl-photographic-image",
    "1.2.840.10008.5.1.4.1.1.88.1": "basic-text-sr",
    "1.2.840.10008.5.1.4.1.1.88.2": "basic-text-sr",
    "1.2.840.10008.5.1.4.1.1.88.3": "enhanced-sr",
    "1.2.840.10008.5.1.4.1.1.88.4": "comprehensive-sr",
    "1.2.840.10008.5.1.4.1.1.9.1": "general-ecg",
}

# What the 2025b rows lack in the extract at hand, filled by the rule that every older row of the same kind follows.
DATE_OPTIONS = {"retain_full_dates": "K", "retain_modified_dates": "C"}


def correct(row: dict[str, Any], *, newer: bool) -> dict[str, Any]:
    """Complete a 2025b row: dates get the date columns, UIDs and devices theirs (as all 2024b rows have)."""
    if newer and row["vr"] in {"DA", "DT", "TM"}:
        row["options"] = DATE_OPTIONS | row["options"]
    if newer and row["vr"] == "UI":
        row["options"] = {"retain_uids": "K"} | row["options"]
    if newer and row["tag"] in {"00181010", "00181011"}:
        row["options"] = {"retain_device": "K"} | row["options"]
    return row


def annex_e(source: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for tag, entry in source.items():
        newer = "2025b" in entry["src"]
        name = "PRIVATE" if tag == PRIVATE_ROW else tag
        vr = entry["vr"]
        if tag.isalnum() and "X" not in tag and tag != PRIVATE_ROW:
            vr = vr or DicomDictionary.get(int(tag, 16), ("UN",))[0]
        row = {
            "tag": name,
            "name": entry["name"],
            "vr": (vr or "UN").split(" or ")[0],
            "edition": "2025b" if newer else "2024b",
            "standard_iod": entry["std"] == "Y",
            "basic": entry["basic"],
            "options": {COLUMNS[key]: code for key, code in entry["opts"].items()},
        }
        rows.append(correct(row, newer=newer))
    rows.sort(key=lambda row: row["tag"])
    return {"edition": ANNEX_E_EDITION, "columns": sorted(COLUMNS.values()), "rows": rows}


def safe_private(source: list[dict[str, str]]) -> dict[str, Any]:
    rows = sorted(
        [
            {
                "creator": row["creator"],
                "group": row["group"].upper(),
                "element": row["elem"][-2:].upper(),
                "vr": row["vr"],
                "meaning": row["meaning"],
            }
            for row in source
        ],
        key=lambda row: (row["creator"], row["group"], row["element"]),
    )
    return {"edition": "PS3.15 Table E.3.10-1", "rows": rows}


VENDOR_VRS = frozenset(["DS", "IS", "FD", "FL", "US", "SS", "UL", "SL", "CS"])
VENDOR_SIGNATURE = re.compile(r"\(([0-9a-fA-F]{4}),([^,]+?),([0-9a-fA-F]{2})\)")
VENDOR_DOUBTFUL = re.compile(
    r"\b(id|ident\w*|patient|serial|date|exam|study|uid|phone|birth|name|site|unknown)\b", re.IGNORECASE
)


def vendor_private(path: str) -> dict[str, Any]:
    """Of the knowledge base only what it keeps, at the top level, numeric or coded, with a meaning that is no identity."""
    kept: dict[tuple[str, str, str], dict[str, str]] = {}
    with Path(path).open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            signature = VENDOR_SIGNATURE.fullmatch(row["element_sig_pattern"].replace('"', ""))
            if signature is None or (row["private_disposition"] or "").strip().lower() != "k":
                continue
            if row["vr"] not in VENDOR_VRS or VENDOR_DOUBTFUL.search(row["tag_name"]):
                continue
            group, creator, element = signature[1].upper(), signature[2], signature[3].upper()
            if creator.startswith("Unnamed"):
                continue
            kept[creator, group, element] = {
                "creator": creator,
                "group": group,
                "element": element,
                "vr": row["vr"],
                "meaning": row["tag_name"],
            }
    return {
        "edition": "TCIA private tag knowledge base, February 2024: kept, numeric or coded representations only",
        "rows": [kept[key] for key in sorted(kept)],
    }


def rank(type_: str) -> int:
    return {"1": 4, "1C": 3, "2": 2, "2C": 1}.get(type_, 0)


def iod_types(sops: dict[str, str], iods: dict[str, Any], modules: dict[str, Any]) -> dict[str, Any]:
    """Root types by module, nested types by (sequence, attribute); the strictest wins, type 3 is left out."""
    used = sorted({module["key"] for iod in iods.values() for module in iod} & set(modules))
    roots: dict[str, dict[str, str]] = {}
    nested: dict[str, dict[str, str]] = {}
    for module in used:
        root: dict[str, str] = {}
        for attribute in modules[module]:
            tag = keyword_dict.get(attribute["keyword"])
            if tag is None or not rank(attribute["type"]):
                continue
            if attribute["path"]:
                parent = keyword_dict.get(attribute["path"][-1])
                if parent is None:
                    continue
                target = nested.setdefault(f"{parent:08X}", {})
            else:
                target = root
            key = f"{tag:08X}"
            if rank(attribute["type"]) > rank(target.get(key, "3")):
                target[key] = attribute["type"]
        if root:
            roots[module] = root
    known = {**RETIRED, **sops}
    return {
        "edition": TYPES_EDITION,
        "sop_classes": dict(sorted(known.items())),
        "iods": {
            name: sorted(module["key"] for module in parts if module["key"] in roots)
            for name, parts in sorted(iods.items())
            if name in set(known.values())
        },
        "modules": {name: by_type(types) for name, types in sorted(roots.items())},
        "nested": {parent: by_type(types) for parent, types in sorted(nested.items())},
    }


def by_type(types: dict[str, str]) -> dict[str, str]:
    """Tags gathered under their type, as one string of 8-digit tags: the file stays a fifth of the size."""
    gathered: dict[str, list[str]] = {}
    for tag, type_ in sorted(types.items()):
        gathered.setdefault(type_, []).append(tag)
    return {type_: " ".join(tags) for type_, tags in sorted(gathered.items())}


def write(name: str, table: dict[str, Any]) -> None:
    """One row per line, so that a new edition reads as a difference."""
    lines = []
    for key, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in value)
            lines.append(f"{json.dumps(key)}: [\n{body}\n]")
        elif isinstance(value, dict):
            body = ",\n".join(
                f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()
            )
            lines.append(f"{json.dumps(key)}: {{\n{body}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("annex-e", "safe-private", "vendor-private", "sop-iods", "iod-modules", "module-attributes"):
        arguments.add_argument(f"--{name}", required=True)
    given = arguments.parse_args()
    write("annex_e.json", annex_e(read(given.annex_e)))
    write("safe_private.json", safe_private(read(given.safe_private)))
    write("safe_private_vendor.json", vendor_private(given.vendor_private))
    write(
        "iod_types.json",
        iod_types(read(given.sop_iods), read(given.iod_modules), read(given.module_attributes)),
    )


if __name__ == "__main__":
    main()
