"""What our refusals mean to the engineer at the other end, as tables beside the codes themselves; nothing is decided here.

Rejections are those of PS3.8 Table 9-21 that this node sends, statuses those of C-STORE and C-ECHO (PS3.7 Annex C, PS3.4
B.2.3). The onboarding sheet and the conformance statement print them; those of storage commitment stand in the latter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dicom_node import status
from dicom_node.receiver import (
    CALLED_AE_NOT_RECOGNISED,
    CALLING_AE_NOT_RECOGNISED,
    LOCAL_LIMIT_EXCEEDED,
    TEMPORARY_CONGESTION,
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The standard's name for a code, why we send it, and what helps."""

    name: str
    why: str
    helps: str


# Result, source, reason of A-ASSOCIATE-RJ.
REJECTIONS: Final[dict[tuple[int, int, int], Meaning]] = {
    CALLING_AE_NOT_RECOGNISED: Meaning(
        "calling AE title not recognized",
        "Title, address and certificate must all be the ones that we know.",
        "Compare all three with this sheet, then call us.",
    ),
    CALLED_AE_NOT_RECOGNISED: Meaning(
        "called AE title not recognized",
        "The called title is neither ours nor that of an open case.",
        "Call our AE title, or the case's as it stands on its referral.",
    ),
    LOCAL_LIMIT_EXCEEDED: Meaning(
        "local limit exceeded",
        "Too many associations at once; it is transient.",
        "Try again, or open fewer at once.",
    ),
    TEMPORARY_CONGESTION: Meaning(
        "temporary congestion",
        "Our records do not answer for a moment; it is transient.",
        "Try again in a minute.",
    ),
    (1, 1, 1): Meaning(
        "no reason given",
        "User identity negotiation is not taken here.",
        "Switch it off: the certificate identifies you.",
    ),
    (1, 1, 2): Meaning(
        "application context name not supported",
        "The application context is not DICOM's.",
        "Update the sending software.",
    ),
    (1, 2, 2): Meaning(
        "protocol version not supported",
        "Only version 1 of the upper layer exists.",
        "Update the sending software.",
    ),
}

STATUSES: Final[dict[int, Meaning]] = {
    status.SUCCESS: Meaning(
        "Success", "The object is sealed, written to disk and recorded.", "Nothing: it cannot be lost."
    ),
    status.OUT_OF_RESOURCES: Meaning(
        "Refused: Out of Resources",
        "No room, the object is too large, or the quota for 24 hours is used up; the comment says which.",
        "Send again later; if it is too large, ask us for more.",
    ),
    status.DATA_SET_DOES_NOT_MATCH: Meaning(
        "Error: Data Set does not match SOP Class",
        "The object's own SOP class or instance UID is not the one announced.",
        "Export the object again.",
    ),
    status.CANNOT_UNDERSTAND: Meaning(
        "Error: Cannot understand",
        "Study, Series or SOP UID is missing or malformed, or the data set cannot be read.",
        "Mend the object at its source and send it again.",
    ),
    status.INVALID_SOP_INSTANCE: Meaning(
        "Invalid SOP Instance", "The SOP Instance UID is no valid UID.", "Mend the object at its source."
    ),
    status.SOP_CLASS_NOT_SUPPORTED: Meaning(
        "SOP Class not supported",
        "The object is not of the SOP class of its presentation context.",
        "Propose the object's own SOP class.",
    ),
    status.NOT_AUTHORISED: Meaning(
        "Not authorized",
        "You may not store here, or the called title's case takes no studies any more.",
        "Ask the coordinator of the case.",
    ),
    status.UNRECOGNISED_OPERATION: Meaning(
        "Unrecognized Operation",
        "We perform C-ECHO, C-STORE and storage commitment, and answer no queries.",
        "Switch query and retrieve off for this destination.",
    ),
}
