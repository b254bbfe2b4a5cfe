"""Reads a cleaned clinical document (CDA) again with another parser than its maker's, element by element.

References
----------
HL7 CDA Release 2, section 4.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from anonymizer.documents.attribute_forms import identifies, is_timed
from anonymizer.documents.judges import Judges

_SPACE = "{urn:hl7-org:v3}"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_OTHER_ATTRIBUTES = frozenset({_TYPE})
_NOBODY = frozenset({"id", "addr", "telecom", "birthTime"})
_DECLARED = re.compile(rb"<!|<\?(?!xml version='1\.0' encoding='UTF-8'\?>)")


def xml_places(output: bytes, judges: Judges) -> Iterator[str]:
    """Places in an XML document that leaves where something identifying, or something that ours never holds, was found."""
    if _DECLARED.search(
        output
    ):  # comments, instructions, a document type: ours has none, and no parser meets one
        yield "xml: a comment, an instruction or a document type"
        return
    try:
        root = ET.fromstring(output.decode("utf-8"))  # noqa: S314 - no document type is there, so no entities
    except (ET.ParseError, ValueError):
        yield "xml: cannot be read back"
        return
    if root.tag != f"{_SPACE}ClinicalDocument":
        yield "xml: not a clinical document"
    for number, element in enumerate(root.iter()):
        name = element.tag.removeprefix(_SPACE)
        if not element.tag.startswith(_SPACE):
            yield f"element {number}: an extension"
        if name in _NOBODY and (
            set(element.keys()) - {"nullFlavor"} or len(element) or (element.text or "").strip()
        ):
            yield f"element {number}: a value that says who or where"
        for key, value in element.items():
            if key.startswith("{") and key not in _OTHER_ATTRIBUTES:
                yield f"element {number}: a foreign attribute"
            timed = is_timed(name, key, element.get(_TYPE, ""))
            if identifies(key, value, timed=timed, system=element.get("codeSystem", ""), judge=judges.plain):
                yield f"element {number}: attribute"
    told = list(root.itertext())
    for joined in ("\n".join(told), "".join(told)):
        if judges.plain.known_left(joined):
            yield "text"
