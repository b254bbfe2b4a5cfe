"""Writes a clean copy of a clinical document (CDA) as CDA again: the same structure, codes and clinical words, and nobody's name.

It is made for documents that travel inside DICOM objects. A new tree is built from what is listed here; whatever is not
listed (extensions, comments, further participants) is not copied.

References
----------
HL7 CDA Release 2, sections 4.2 to 4.3; HL7 data types 2.2 (nullFlavor MSK: masked).
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from anonymizer.documents.attribute_forms import TIME, identifies, is_timed
from anonymizer.documents.blocks import Text
from anonymizer.documents.clinical_xml import HL7, is_clinical
from anonymizer.documents.flow import clean_blocks
from anonymizer.documents.judges import Judges
from anonymizer.documents.packed import local, parsed
from anonymizer.documents.values import DOCUMENT_LOOKS, DeidentifiedDocument, DocumentReport, NotCleanable

XSI = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE = f"{{{XSI}}}type"
MASKED = {"nullFlavor": "MSK"}
#: Values that say who or where somebody is: kept as elements, since many are required, and masked.
PERSONAL = frozenset({"id", "name", "addr", "telecom", "birthTime", "setId", "birthplace"})
#: Header participations beside the patient, author and custodian that the schema asks for; and what names people below.
DROPPED = frozenset({"dataEnterer", "informant", "informationRecipient", "legalAuthenticator", "authenticator", "participant", "inFulfillmentOf", "relatedDocument", "authorization", "performer", "subject", "guardian", "providerOrganization", "assignedAuthoringDevice", "responsibleParty", "encounterParticipant", "location", "signatureCode", "signatureText", "languageCommunication", "maritalStatusCode", "religiousAffiliationCode", "raceCode", "ethnicGroupCode", "versionNumber", "assignedCustodianAddr"})  # fmt: skip
#: Attributes that hold codes, numbers or references; each is still cleaned as a text.
ATTRIBUTES = frozenset({"classCode", "moodCode", "typeCode", "code", "codeSystem", "codeSystemName", "codeSystemVersion", "displayName", "value", "unit", "nullFlavor", "operator", "inversionInd", "negationInd", "contextControlCode", "contextConductionInd", "determinerCode", "independentInd", "institutionSpecified", "inclusive", "mediaType", "representation", "language", "styleCode", "colspan", "rowspan", "border", "width", "align", "valign", "listType", "partType", "use", "xmlns", "ID", "IDREF", "IDREFS", "referencedObject"})  # fmt: skip
_IDENTITY = frozenset({"ID", "IDREF", "IDREFS", "referencedObject"})
_TEMPLATES = frozenset({"templateId", "typeId"})
#: Where text between elements is layout, and never words.
_STRUCTURE = frozenset({"ClinicalDocument", "component", "structuredBody", "section"})
#: Whose name is no person's: drugs and devices.
_THINGS = frozenset({"manufacturedMaterial", "manufacturedLabeledDrug", "playingDevice"})


def clean_clinical(content: bytes, judges: Judges) -> DeidentifiedDocument:
    """A clean CDA XML. Raises `NotCleanable`; a body that is no XML is refused, its document must be cleaned by itself."""
    root = parsed(content)
    if not is_clinical(root):
        raise NotCleanable("markup")
    if any(local(one) == "nonXMLBody" for one in root.iter()):
        raise NotCleanable("packed")
    writer = _Copier(judges)
    made = writer.copy(root)
    etree.cleanup_namespaces(made)
    out = etree.tostring(made, xml_declaration=True, encoding="UTF-8")
    text = "\n".join(part for part in made.itertext() if part.strip())
    if judges.plain.known_left(text):
        raise NotCleanable("unlocated")
    return DeidentifiedDocument(
        content=out,
        media_type="text/xml",
        extension=".xml",
        text=text,
        pages=1,
        report=DocumentReport(
            methods=("header's persons masked", "text cleaned", "structure built anew"), counts=writer.counts
        ),
        look=tuple(
            DOCUMENT_LOOKS[look]
            for look, due in (("left_out", writer.left_out), ("unsure", bool(judges.plain.unsure(text))))
            if due
        ),
    )


class _Copier:
    def __init__(self, judges: Judges) -> None:
        self._judges = judges
        self._identities: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.left_out = False

    def copy(self, element: Any) -> Any:
        """The element's clean copy; None when it is not taken over."""
        name = local(element)
        if element.tag != f"{{{HL7}}}{name}" or name in DROPPED:
            return None
        parent = local(element.getparent()) if element.getparent() is not None else ""
        made = etree.Element(element.tag, nsmap={None: HL7, "xsi": XSI})
        if name in PERSONAL and not (name == "name" and parent in _THINGS):
            made.attrib.update(MASKED)
            return made
        if element.get("representation") == "B64":
            self.left_out = True
            made.attrib.update(MASKED)
            return made
        self._attributes(element, made, name)
        structure = name in _STRUCTURE
        made.text = None if structure else element.text
        for child in element:
            below = self.copy(child)
            if below is not None:
                below.tail = None if structure else child.tail
                made.append(below)
            elif child.tail and not structure:
                _append(made, child.tail)
        if parent in ("section", "ClinicalDocument") and name != "component":
            self._clean_texts(made)
        return made

    def _attributes(self, element: Any, made: Any, name: str) -> None:
        for key, value in element.attrib.items():
            if key == _TYPE:
                made.set(key, value if re.fullmatch(r"[\w:.\-]{1,40}", value) else "ST")
            elif key in _IDENTITY or (name == "reference" and key == "value"):
                made.set(key, self._identity(value))
            elif key in ATTRIBUTES or (name in _TEMPLATES and key in ("root", "extension")):
                kept = self._value(element, name, key, value)
                if kept:
                    made.set(key, kept)
                elif key in ("value", "code", "unit"):
                    made.attrib.update(MASKED)
        if element.get("unit") and not made.get("unit"):  # a number without its unit would be read as another
            made.attrib.pop("value", None)

    def _value(self, element: Any, name: str, key: str, value: str) -> str:
        """A code, number, time or text as it may leave; "" when it may not."""
        timed = is_timed(name, key, element.get(_TYPE, ""))
        time = TIME.fullmatch(value) if timed else None
        if time:
            moved = self._judges.scrubber.clean("-".join(time.groups()[:3])).text
            return moved.replace("-", "") + time[4] if re.fullmatch(r"\d{4}-\d\d-\d\d", moved) else ""
        if key == "displayName" or " " in value:
            value = self._text(value)
        system = element.get("codeSystem", "")
        held = identifies(key, value, timed=timed, system=system, judge=self._judges.plain)
        return "" if held else value

    def _identity(self, value: str) -> str:
        """Names of parts are given anew, and references to them follow."""
        names = [
            self._identities.setdefault(part.lstrip("#"), f"p{len(self._identities) + 1}")
            for part in value.split()
        ]
        return ("#" if value.startswith("#") else "") + " ".join(names)

    def _text(self, value: str) -> str:
        cleaned = self._judges.scrubber.clean(value)
        for kind, number in cleaned.kinds.items():
            self.counts[kind] = self.counts.get(kind, 0) + number
        return cleaned.text

    def _clean_texts(self, made: Any) -> None:
        """Clean all text of one part of a section together: markup may part a name, a label its value."""
        slots = [
            (node, place)
            for node in made.iter()
            for place in ("text", "tail")
            if node is not made or place == "text"
        ]
        texts = [getattr(node, place) or "" for node, place in slots]
        blocks = clean_blocks([Text(text) for text in texts], self._judges, self.counts)
        for (node, place), block in zip(slots, blocks, strict=True):
            setattr(node, place, block.text or None)  # type: ignore[union-attr]  # as many texts as were given


def _append(made: Any, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text
