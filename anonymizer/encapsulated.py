"""Cleans the document that a DICOM object carries, and puts it back; how a document is cleaned is `documents`' matter.

A PDF comes back as PDF. A CDA comes back as CDA when a clean XML is to be had, else as an Encapsulated PDF (the class says
so). Meshes are cleaned by `meshes`. What cannot be cleaned quarantines the whole object, with the document's own reason.

References
----------
PS3.3 A.45 (encapsulated document IODs), C.24.2 (Encapsulated Document module); PS3.15 Table E.1-1 (0042,0011).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from anonymizer import meshes
from anonymizer.attribute_types import iod_of
from anonymizer.cleaner import Cleaner
from anonymizer.elements import DataSet, Element
from anonymizer.errors import Unfit
from anonymizer.known import Known
from anonymizer.pixels import Look
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.reader import DAMAGED
from anonymizer.report import Notebook

SOP_CLASS, DOCUMENT, MIME, LENGTH, MIME_LIST = 0x00080016, 0x00420011, 0x00420012, 0x00420015, 0x00420014
HL7_ID, BURNED_IN = 0x0040E001, 0x00280301
PDF_CLASS, CDA_CLASS = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
#: What is declared as the kind of the document, by the object's IOD (PS3.3 A.45).
MEDIA_TYPES = {
    "encapsulated-pdf": "application/pdf",
    "encapsulated-cda": "text/XML",
    "encapsulated-stl": "model/stl",
    "encapsulated-obj": "model/obj",
    "encapsulated-mtl": "model/mtl",
}
MESHES = {"encapsulated-stl": meshes.clean_stl, "encapsulated-obj": meshes.clean_obj, "encapsulated-mtl": meshes.clean_mtl}  # fmt: skip
CODE = "encapsulated_document"
TAKE_OUT = (
    "A document is packed inside this object. Take it out and handle it as a document, or leave it out."
)
LEFT = "Something that identifies the patient was still found in the copy."


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A clean document on its way back into its object."""

    content: bytes
    media_type: str
    look: tuple[Look, ...]
    changed_class: bool

    def put_into(self, result: DataSet, source: DataSet, pseudonyms: Pseudonyms) -> None:
        """Set the document and what PS3.3 C.24.2 says of it in the object that leaves."""
        content = self.content + b"\0" * (len(self.content) & 1)
        result.put(Element(DOCUMENT, "OB", content))
        result.put(Element(MIME, "LO", self.media_type.encode("ascii")))
        result.put(Element(LENGTH, "UL", struct.pack("<L", len(self.content))))
        result.put(Element(BURNED_IN, "CS", b"NO"))
        named = source.ascii(HL7_ID)
        if self.changed_class:
            result.drop(HL7_ID)
            result.drop(MIME_LIST)
        elif named:  # an instance identifier is a UID, whose extension is the sender's own number
            result.put(Element(HL7_ID, "ST", pseudonyms.uid(named).encode("ascii")))


def is_packed(sop_class: str) -> bool:
    return iod_of(sop_class) in MEDIA_TYPES


def unpack(dataset: DataSet, *, known: Known, shift_days: int, cleaner: Cleaner, notes: Notebook) -> Packed:
    """Take the document out of ``dataset`` and clean it; the class follows what it has become.

    Raises `Unfit` with the document's own reason.
    """
    iod = iod_of(dataset.ascii(SOP_CLASS))
    content = _document(dataset)
    dataset.drop(DOCUMENT)
    if iod in MESHES:
        made = MESHES[iod](content, cleaner)
        if made is None:
            raise Unfit(CODE, DAMAGED)
        if made != content:
            notes.note("(0042,0011)", "C", "names and comments of the model")
        else:
            notes.kept()
        return Packed(content=made, media_type=MEDIA_TYPES[iod], look=(), changed_class=False)
    return _document_cleaned(dataset, content, iod, known, shift_days, notes)


def _document(dataset: DataSet) -> bytes:
    element = dataset.get(DOCUMENT)
    if element is None or element.items is not None or element.fragments is not None or not element.value:
        raise Unfit(CODE, DAMAGED)
    content = bytes(element.value)
    length = dataset.number(LENGTH)
    return content[:length] if 0 < length <= len(content) else content


def _document_cleaned(
    dataset: DataSet, content: bytes, iod: str, known: Known, shift_days: int, notes: Notebook
) -> Packed:
    # The readers of PDF and pictures are large: a run of slices never loads them.
    from anonymizer.documents import QuarantinedDocument, deidentify_document, verify_document

    made = deidentify_document(
        content, media_type=MEDIA_TYPES[iod].lower(), known=known, pseudonyms_shift_days=shift_days
    )
    if isinstance(made, QuarantinedDocument):
        raise Unfit(CODE, made.reason, made.code)
    clean, media_type = made.content, made.media_type
    if verify_document(clean, media_type=media_type, known=known):
        raise Unfit(CODE, LEFT)
    looks = tuple(Look("document_look", sentence) for sentence in made.look)
    if media_type in {"text/xml", "application/xml"} and iod == "encapsulated-cda":
        notes.note("(0042,0011)", "C", "the document was cleaned, as XML")
        return Packed(content=clean, media_type="text/XML", look=looks, changed_class=False)
    if media_type != "application/pdf":
        raise Unfit(CODE, TAKE_OUT)
    moved = iod != "encapsulated-pdf"
    words = "the document was cleaned and drawn anew as PDF" + (
        ", so the class is Encapsulated PDF" if moved else ""
    )
    notes.note("(0042,0011)", "C", words)
    if moved:
        dataset.put(Element(SOP_CLASS, "UI", PDF_CLASS.encode("ascii")))
    return Packed(content=clean, media_type=media_type, look=looks, changed_class=moved)
