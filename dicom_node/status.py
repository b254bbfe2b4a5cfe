"""The DIMSE statuses that this node answers, by name (PS3.7 Annex C, PS3.4 B.2.3), and nothing that decides."""

from __future__ import annotations

SUCCESS = 0x0000
INVALID_SOP_INSTANCE = 0x0117  # the UID breaks the rules of PS3.5 9.1
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

COMMENT_LIMIT = 64  # (0000,0902) Error Comment is LO

# Senders count only these as stored; a warning for something that may be dropped would be a lie.
_KEPT = frozenset({SUCCESS, 0xB000, 0xB006, 0xB007})


def is_kept(status: int) -> bool:
    """Whether a sender will treat the instance as stored after this status."""
    return status in _KEPT


def comment(text: str) -> str:
    """`text` as an Error Comment: printable ASCII, no backslash (it would split the value), 64 characters."""
    clean = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return clean[:COMMENT_LIMIT]
