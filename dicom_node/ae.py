"""Application entities as values: how an AE title looks and how much one peer may take; nothing here is looked up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# PS3.5 6.2, VR AE: at most 16 characters of the default repertoire, no backslash, no control character,
# leading and trailing spaces without meaning.
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
# PS3.5 9.1. Deliberately lax about leading zeros, which real senders produce; never used as a path, and ".." is none.
_UID = re.compile(r"[0-9][0-9.]{0,63}")

# PS3.7 D.3.3.2; a UUID-derived UID (PS3.5 B.2), so that no registration root tells who runs the gateway.
IMPLEMENTATION_CLASS_UID = "2.25.219693280609456303794618245465290783672"
IMPLEMENTATION_VERSION_NAME = "CONSILIUM_1"


def is_ae_title(text: str) -> bool:
    """Whether `text` may stand as an AE title (PS3.5 6.2): 1 to 16 characters, not only spaces."""
    return bool(_AE_TITLE.fullmatch(text)) and bool(text.strip())


def is_uid(text: str) -> bool:
    """Whether `text` is built like a UID: digits and dots, a digit first, 1 to 64 characters."""
    return bool(_UID.fullmatch(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the node allows everybody; what one peer may do comes from `Receiver.admit`.

    Times run only while the node waits for the peer: its own slowness is never held against a sender.

    Parameters
    ----------
    handshake_s
        From connection to the end of a TLS handshake, where one is demanded.
    artim_s
        From connection (or the handshake's end) to a whole A-ASSOCIATE-RQ, and for the rest of any PDU begun (PS3.8 9.1.5).
    idle_s
        Between two PDUs of an association; slow modalities pause, so at least 60.
    min_bytes_per_s
        Pace of a P-DATA PDU and of a whole object below which the sender is cut off.
    max_pdu_bytes
        Largest P-DATA PDU that we read; this is what we advertise (PS3.8 D.1).
    max_request_bytes, max_request_items
        Size of an A-ASSOCIATE-RQ and the number of its items and sub-items.
    max_command_bytes, max_fragments
        Size of one command set, and how many fragments (or empty fragments in a row) may carry it.
    max_instance_bytes, drain_bytes
        Size of one object, and how much of a refused one is read on for the sake of an exact status.
    max_pending, max_pending_per_address
        Connections that are not yet an association: beyond it the oldest is dropped, never the newcomer.
    max_associations, max_associations_per_address
        Established associations; beyond it A-ASSOCIATE-RJ (2,3,2), so that the sender tries again.
    user_identity
        "ignore": identity is not looked at and not answered (PS3.7 D.3.3.7); "refuse": reject who sends one.
    """

    handshake_s: float = 5.0
    artim_s: float = 15.0
    idle_s: float = 120.0
    min_bytes_per_s: int = 8192
    max_pdu_bytes: int = 131072
    max_request_bytes: int = 131072
    max_request_items: int = 8192
    max_command_bytes: int = 16384
    max_fragments: int = 1024
    max_instance_bytes: int = 16 << 30
    drain_bytes: int = 1 << 30
    max_pending: int = 256
    max_pending_per_address: int = 20
    max_associations: int = 128
    max_associations_per_address: int = 64
    user_identity: Literal["ignore", "refuse"] = "refuse"
