"""What the conformance statement must be told, and the few words that its chapters share; no chapter is written here."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom._uid_dict import UID_dictionary
from pynetdicom.sop_class import _STORAGE_CLASSES

from dicom_node.ae import Limits

YES, NO = "Y", "N"
_RETIRED = " (Retired)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentFacts:
    """What whoever keeps the objects does with a request for storage commitment; times in words."""

    missing_wait: str
    reports: str
    report_for: str
    failures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFacts:
    """How instances are sent to peers: tries in words, and what each status of a peer means to us."""

    tries: str
    statuses: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentificationFacts:
    """A profile by which what leaves is de-identified: code values and meanings of CID 7050."""

    name: str
    summary: str
    codes: tuple[tuple[str, str], ...]
    edition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the statement must be told because the node itself does not know it.

    Parameters
    ----------
    issued
        The date, or what stands for one.
    plain_address, tls_address
        ``HOST:PORT`` where the node listens; empty where it does not.
    tls_profile
        A name of `dicom_node.tls.PROFILES`.
    max_instance_bytes
        The largest object that is kept.
    case_titles
        How called AE titles look that name one case.
    refusals
        C-STORE status and Error Comment of whatever else stops an instance.
    settings
        Name, value and meaning of what an operator may set, and what a peer's row holds.
    web_base
        Address of the DICOMweb door; empty where there is none.
    """

    product: str
    version: str
    issued: str
    ae_title: str
    plain_address: str
    tls_address: str
    tls_profile: str
    max_instance_bytes: int
    case_titles: str
    refusals: tuple[tuple[int, str], ...]
    settings: tuple[tuple[str, str, str], ...]
    peer_settings: tuple[tuple[str, str, str], ...]
    commitment: CommitmentFacts
    delivery: DeliveryFacts
    deidentification: tuple[DeidentificationFacts, ...]
    character_sets: tuple[str, ...]
    web_base: str = ""
    limits: Limits = field(default_factory=Limits)


def uid_name(uid: str) -> str:
    """Return the name of PS3.6, or the keyword in words where the dictionary is older than the class."""
    if name := UID_dictionary.get(uid, ("",))[0].replace(_RETIRED, "").strip():
        return str(name)
    keyword = next((name for name, known in _STORAGE_CLASSES.items() if known == uid), "")
    return "".join(f" {sign}" if sign.isupper() else sign for sign in keyword).strip() or "(no name in PS3.6)"


def is_retired(uid: str) -> bool:
    """Tell whether PS3.6 has retired it."""
    entry = UID_dictionary.get(uid)
    return entry is not None and entry[3] == "Retired"


def size(count: int) -> str:
    """Write bytes for a reader."""
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << bits and count % (1 << bits) == 0:
            return f"{count >> bits} {unit}"
    return f"{count} bytes"


def in_order(uids: frozenset[str]) -> list[str]:
    """Sort UIDs by their components as numbers."""
    return sorted(uids, key=lambda uid: [int(part) for part in uid.split(".")])
