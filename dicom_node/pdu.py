"""PDU types and the small PDUs as bytes (PS3.8 9.3), encoded by pynetdicom's codecs; no socket is touched."""

from __future__ import annotations

import struct

from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP, A_RELEASE_RQ

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 0x04, 0x05, 0x06, 0x07
KNOWN = frozenset(range(0x01, 0x08))
FIXED_LENGTH = 4  # variable field of every PDU but RQ, AC and P-DATA

# A-ABORT: (source, reason). Service-user has no reason (PS3.8 9.3.8).
SERVICE_USER = (0, 0)
UNRECOGNISED_PDU = (2, 1)
UNEXPECTED_PDU = (2, 2)
INVALID_PARAMETER = (2, 6)

NAMES = {
    ASSOCIATE_RQ: "A-ASSOCIATE-RQ",
    ASSOCIATE_AC: "A-ASSOCIATE-AC",
    ASSOCIATE_RJ: "A-ASSOCIATE-RJ",
    P_DATA: "P-DATA-TF",
    RELEASE_RQ: "A-RELEASE-RQ",
    RELEASE_RP: "A-RELEASE-RP",
    ABORT: "A-ABORT",
}


def name(pdu_type: int) -> str:
    """The standard's word for a PDU type."""
    return NAMES.get(pdu_type, f"PDU type {pdu_type:02X}")


def abort(source: int = 0, reason: int = 0) -> bytes:
    """A-ABORT."""
    pdu = A_ABORT_RQ()
    pdu.source, pdu.reason_diagnostic = source, reason
    return bytes(pdu.encode())


def reject(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ."""
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = result, source, reason
    return bytes(pdu.encode())


RELEASE_REQUEST: bytes = bytes(A_RELEASE_RQ().encode())
RELEASE_REPLY: bytes = bytes(A_RELEASE_RP().encode())


def p_data(context_id: int, control: int, fragment: bytes) -> bytes:
    """One P-DATA-TF PDU with one presentation data value (PS3.8 9.3.5, Annex E.2)."""
    return p_data_header(context_id, control, len(fragment)) + fragment


def p_data_header(context_id: int, control: int, fragment_bytes: int) -> bytes:
    """What stands in front of the fragment of such a PDU."""
    return struct.pack(">BBIIBB", P_DATA, 0, fragment_bytes + 6, fragment_bytes + 2, context_id, control)
