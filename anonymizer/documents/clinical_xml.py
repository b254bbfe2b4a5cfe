"""Reads what is clinical of a clinical document (CDA): title, times, sex and the narrative; its header's persons are not read.

References
----------
HL7 CDA Release 2, sections 4.2 (header), 4.3.5 (narrative block).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from anonymizer.documents.blocks import Script
from anonymizer.documents.packed import attribute, local, parsed
from anonymizer.documents.values import NotCleanable

HL7 = "urn:hl7-org:v3"
CDA_KIND = "application/hl7-cda+xml"
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)")


def is_clinical(root: Any) -> bool:
    return bool(root.tag == f"{{{HL7}}}ClinicalDocument")


def read_clinical(content: bytes) -> tuple[Script, bytes]:
    """The blocks of a CDA, and the document packed in it when its body is no XML (b"" if none). Raises `NotCleanable`."""
    root = parsed(content)
    if not is_clinical(root):
        raise NotCleanable("markup")
    script = Script()
    for child in root:
        if local(child) == "title":
            script.add(_flat(child), "heading", level=1)
    facts = [
        ("Date", _day(root, "effectiveTime")),
        ("Sex", _sex(root)),
        ("Kind", attribute_of(root, "code", "displayName")),
    ]
    script.add_table([[name, told] for name, told in facts if told])
    packed = b""
    for body in root.iter():
        if local(body) == "nonXMLBody":
            packed = _packed(body)
        elif local(body) == "section" and local(body.getparent().getparent()) != "section":
            _section(body, script, 2)
    return script, packed


def attribute_of(parent: Any, child: str, name: str) -> str:
    """An attribute of the first child of a name; "" when there is none."""
    for one in parent:
        if local(one) == child:
            return attribute(one, name)
    return ""


def _day(root: Any, child: str) -> str:
    match = _TIME.match(attribute_of(root, child, "value"))
    return "-".join(match.groups()) if match else ""


def _sex(root: Any) -> str:
    for one in root.iter():
        if local(one) == "administrativeGenderCode":
            return attribute(one, "displayName") or attribute(one, "code")
    return ""


def _packed(body: Any) -> bytes:
    for text in body:
        if local(text) == "text" and attribute(text, "representation") == "B64":
            try:
                return base64.b64decode((text.text or "").encode("ascii", "replace"))
            except (binascii.Error, ValueError) as error:
                raise NotCleanable("unreadable") from error
    return b""


def _section(section: Any, script: Script, level: int) -> None:
    narrated = False
    for child in section:
        name = local(child)
        if name == "title":
            script.add(_flat(child), "heading", level=min(level, 6))
        elif name == "text":
            before = len(script.blocks)
            _narrative(child, script)
            narrated = len(script.blocks) > before
        elif name == "component":
            for inner in child:
                _section(inner, script, level + 1)
        elif name == "entry" and not narrated:
            _entry(child, script)


def _entry(entry: Any, script: Script) -> None:
    """What a coded entry says, where no narrative says it."""
    for one in entry.iter():
        if local(one) not in ("observation", "act", "procedure", "substanceAdministration"):
            continue
        told = attribute_of(one, "code", "displayName") or attribute_of(one, "code", "code")
        values = [
            attribute(value, "displayName")
            or f"{attribute(value, 'value')} {attribute(value, 'unit')}".strip()
            or _flat(value)
            for value in one
            if local(value) == "value"
        ]
        script.add(" ".join(part for part in (told, *values) if part), "item", mark="\u2022")


def _narrative(parent: Any, script: Script) -> None:
    line: list[str] = [parent.text or ""]
    for child in parent:
        name = local(child)
        if name in ("paragraph", "list", "table", "item", "caption", "renderMultiMedia"):
            script.add(_spaced("".join(line)))
            line = []
            _narrative_block(child, name, script)
        elif name == "br":
            line.append("\n")
        else:
            line.append(_flat(child))
        line.append(child.tail or "")
    script.add(_spaced("".join(line)))


def _narrative_block(child: Any, name: str, script: Script) -> None:
    if name == "list":
        ordered = attribute(child, "listType") == "ordered"
        for number, item in enumerate((one for one in child if local(one) == "item"), start=1):
            script.add(_flat(item), "item", mark=f"{number}." if ordered else "\u2022")
    elif name == "table":
        rows = [
            [_flat(cell) for cell in row if local(cell) in ("td", "th")]
            for row in child.iter()
            if local(row) == "tr"
        ]
        script.add_table(rows, head=any(local(part) == "thead" for part in child))
    elif name == "renderMultiMedia":
        script.left_out = True
    elif any(local(one) in ("list", "table", "paragraph") for one in child):
        _narrative(child, script)
    else:
        script.add(_flat(child))


def _flat(element: Any) -> str:
    parts = [element.text or ""]
    for child in element:
        parts += ["\n" if local(child) == "br" else _flat(child), child.tail or ""]
    return _spaced("".join(parts))


def _spaced(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.split("\n")) if text.strip() else ""
