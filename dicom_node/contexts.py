"""What may be negotiated: the storage SOP classes and transfer syntaxes, as tables; no association in it.

SOP classes come from the dictionaries of pydicom and pynetdicom, retired ones included (PS3.4 B.5, B.6).
Transfer syntaxes are all those under which a data set with its content can be sent (PS3.5 Annex A, PS3.6 A):
stored as received, never transcoded.
"""

from __future__ import annotations

from typing import Literal

from pydicom._uid_dict import UID_dictionary
from pynetdicom.sop_class import _STORAGE_CLASSES

from dicom_node.ae import is_uid

Encoding = Literal["implicit", "explicit", "big", "deflated"]

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
PAPYRUS_IMPLICIT = "1.2.840.10008.1.20"
GE_PRIVATE_IMPLICIT = (
    "1.2.840.113619.5.2"  # implicit little endian, pixels big endian: a data set like others
)

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."  # PS3.6 A: objects of the composite IODs are registered here

# Named "… Storage" in PS3.6, and yet not objects that C-STORE carries.
_NOT_STORED = frozenset(
    {
        "1.2.840.10008.1.3.10",  # Media Storage Directory: files only (PS3.4 B.5)
        "1.2.840.10008.1.20.1",  # Storage Commitment: a service, not an object
        "1.2.840.10008.1.20.2",
    }
)
# Nothing of the object travels with these: pixel data behind a URL, or no data set at all.
_WITHOUT_CONTENT = frozenset(
    {
        "1.2.840.10008.1.2.4.94",  # JPIP Referenced
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.204",  # JPIP HTJ2K Referenced
        "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.6.1",  # RFC 2557 MIME encapsulation
        "1.2.840.10008.1.2.6.2",  # XML encoding
    }
)


def _dictionary(kind: str) -> dict[str, str]:
    return {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == kind}


KNOWN_SOP_CLASSES = _dictionary("SOP Class")

STORAGE_SOP_CLASSES: frozenset[str] = (
    frozenset(str(uid) for uid in _STORAGE_CLASSES.values())
    | frozenset(uid for uid, name in KNOWN_SOP_CLASSES.items() if "Storage" in name)
    # Retired before PS3.6 printed their names again: XA biplane and ultrasound leftovers.
    | {"1.2.840.10008.5.1.4.1.1.12.77", "1.2.840.10008.5.1.4.1.1.40"}
) - _NOT_STORED

TRANSFER_SYNTAXES: frozenset[str] = (
    frozenset(_dictionary("Transfer Syntax"))
    # JPEG XL and single-frame deflate (PS3.5 A.4.11, A.4.13), should the dictionary be older than they are.
    | {f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112)}
    | {"1.2.840.10008.1.2.8.1", GE_PRIVATE_IMPLICIT}
) - _WITHOUT_CONTENT

_ENCODINGS: dict[str, Encoding] = {
    IMPLICIT_LITTLE: "implicit",
    PAPYRUS_IMPLICIT: "implicit",
    GE_PRIVATE_IMPLICIT: "implicit",
    EXPLICIT_BIG: "big",
    DEFLATED_LITTLE: "deflated",
    "1.2.840.10008.1.2.4.95": "deflated",
    "1.2.840.10008.1.2.4.205": "deflated",
}


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """How the elements of a data set are written; every encapsulated syntax is explicit little endian (A.4)."""
    return _ENCODINGS.get(transfer_syntax_uid, "explicit")


def is_standard_storage(sop_class_uid: str) -> bool:
    """A storage SOP class of PS3.4: one that we know, or one registered beside them since we were built."""
    if sop_class_uid in STORAGE_SOP_CLASSES:
        return True
    if not is_uid(sop_class_uid):
        return False
    return sop_class_uid.startswith(_STORAGE_ROOT) and sop_class_uid not in KNOWN_SOP_CLASSES


def is_private(sop_class_uid: str) -> bool:
    """A SOP class of a vendor: any well-formed UID outside the standard's root."""
    return is_uid(sop_class_uid) and not sop_class_uid.startswith(_STANDARD_ROOT)
