"""DIMSE command sets as bytes and back (PS3.7 6.3, E.1): implicit VR little endian, group 0000, and no data set.

pynetdicom does the same through pydicom data sets at half a millisecond per C-STORE, more than the rest of a small
object costs; the tests hold both against each other. What a peer sends is read without recursion and in one pass.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from dicom_node.errors import ProtocolViolation

AFFECTED_SOP_CLASS_UID = 0x0002
REQUESTED_SOP_CLASS_UID = 0x0003
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED = 0x0120
PRIORITY = 0x0700
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000
REQUESTED_SOP_INSTANCE_UID = 0x1001
EVENT_TYPE_ID = 0x1002
ACTION_TYPE_ID = 0x1008

NO_DATA_SET = 0x0101
C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
C_CANCEL_RQ = 0x0FFF
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130
# Requests of PS3.7 that we know by name and do not perform: answered 0211, not aborted.
OTHER_REQUESTS = frozenset({0x0010, 0x0020, 0x0021, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150})

_UNSIGNED = frozenset(
    {
        COMMAND_FIELD,
        MESSAGE_ID,
        MESSAGE_ID_RESPONDED,
        PRIORITY,
        COMMAND_DATA_SET_TYPE,
        STATUS,
        EVENT_TYPE_ID,
        ACTION_TYPE_ID,
    }
)
_HEADER = struct.Struct("<HHI")
_U16 = struct.Struct("<H")


class Command:
    """A received command set."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[int, bytes]) -> None:
        self._values = values

    def number(self, element: int) -> int:
        """An unsigned 16-bit value; its absence is a protocol violation."""
        value = self._values.get(element, b"")
        if len(value) != 2:
            raise ProtocolViolation(
                f"command element 0000,{element:04X} is missing or malformed", source=0, reason=0
            )
        return int(_U16.unpack(value)[0])

    def has(self, element: int) -> bool:
        """Whether the element is there at all."""
        return element in self._values

    def text(self, element: int) -> str:
        """A UID or text without padding, empty when absent."""
        return self._values.get(element, b"").decode("ascii", "replace").strip(" \0")

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows (PS3.7 E.1: any value but 0101H)."""
        return self.number(COMMAND_DATA_SET_TYPE) != NO_DATA_SET


def decode(encoded: bytes | bytearray | memoryview) -> Command:
    """Read a command set.

    Raises
    ------
    ProtocolViolation
        Elements of other groups, lengths past the end, nothing at all.
    """
    values: dict[int, bytes] = {}
    at, end = 0, len(encoded)
    while at < end:
        if end - at < 8:
            raise ProtocolViolation("the command set ends inside an element", source=0, reason=0)
        group, element, length = _HEADER.unpack_from(encoded, at)
        at += 8
        if group or length > end - at:
            raise ProtocolViolation("the command set is malformed", source=0, reason=0)
        values[element] = bytes(encoded[at : at + length])
        at += length
    return Command(values)


def encode(elements: Mapping[int, int | str]) -> bytes:
    """Write a command set with its group length; numbers as US, texts as UI or LO."""
    body = bytearray()
    for element, value in sorted(elements.items()):
        if element in _UNSIGNED:
            body += _HEADER.pack(0, element, 2) + _U16.pack(value)
            continue
        raw = str(value).encode("ascii", "replace")
        if len(raw) % 2:
            raw += b" " if element == ERROR_COMMENT else b"\0"
        body += _HEADER.pack(0, element, len(raw)) + raw
    return _HEADER.pack(0, 0, 4) + struct.pack("<I", len(body)) + bytes(body)


def response(request: Command, *, status: int, comment: str = "") -> bytes:
    """The response to any C- or N-service request: same class and instance, no data set."""
    elements: dict[int, int | str] = {
        COMMAND_FIELD: request.number(COMMAND_FIELD) | 0x8000,
        MESSAGE_ID_RESPONDED: request.number(MESSAGE_ID),
        COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        STATUS: status,
    }
    # C-services name the affected, N-services the requested SOP class and instance; the answer names the affected.
    for element in (AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID):
        if text := request.text(element) or request.text(element + 1):
            elements[element] = text
    if request.number(COMMAND_FIELD) == N_ACTION_RQ and request.has(ACTION_TYPE_ID):
        elements[ACTION_TYPE_ID] = request.number(ACTION_TYPE_ID)
    if comment:
        elements[ERROR_COMMENT] = comment
    return encode(elements)
