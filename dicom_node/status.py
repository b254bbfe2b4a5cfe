"""The DIMSE statuses that this node answers, by name (PS3.7 Annex C, PS3.4 B.2.3, PS3.3 C.14.1.1), and nothing that decides."""

from __future__ import annotations

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
INVALID_SOP_INSTANCE = 0x0117  # the UID breaks the rules of PS3.5 9.1
NO_SUCH_SOP_CLASS = 0x0118
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
DUPLICATE_TRANSACTION = 0x0131  # PS3.3 C.14.1.1
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

COMMENT_LIMIT = 64  # (0000,0902) Error Comment is LO

# Senders count only these as stored; a warning for something that may be dropped would be a lie.
_KEPT = frozenset({SUCCESS, 0xB000, 0xB006, 0xB007})


def is_kept(status: int) -> bool:
    """Whether a sender will treat the instance as stored after this status."""
    return status in _KEPT


def is_busy(status: int) -> bool:
    """Whether the same object may be taken later: out of resources (PS3.4 B.2.3, A7xx)."""
    return status & 0xFF00 == OUT_OF_RESOURCES


def comment(text: str) -> str:
    """`text` as an Error Comment: printable ASCII, no backslash (it would split the value), 64 characters."""
    clean = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return clean[:COMMENT_LIMIT]
