"""An A-ASSOCIATE-RQ as a value, read with bounds; what to answer is decided elsewhere.

PS3.8 9.3.2, PS3.7 Annex D.3.3. Items that nobody knows are passed over as PS3.8 9.3.1 asks. pynetdicom's codecs are not
used for reading: pydicom warns of every UID that it dislikes, in words of the peer's choosing, and Python keeps each
such warning for ever. The secrets of a User Identity are not kept, only its type.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from dicom_node.errors import ProtocolViolation

# pynetdicom logs the values it refuses; ours is to say what happened, without values.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)

FIXED_FIELD_BYTES = 68  # protocol version to the last reserved byte
MAX_CONTEXTS = 128  # odd identifiers 1 to 255 (PS3.8 9.3.2.2)
MAX_IDENTITY_BYTES = 4096

_APPLICATION_CONTEXT, _CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_ABSTRACT, _TRANSFER = 0x30, 0x40
_MAX_LENGTH, _IMPLEMENTATION_UID, _ASYNC, _ROLE, _VERSION = 0x51, 0x52, 0x53, 0x54, 0x55
_COMMON_EXTENDED, _IDENTITY = 0x57, 0x58
_ITEM_HEADER = struct.Struct(">BxH")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedContext:
    """One presentation context as proposed."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class AssociationRequest:
    """What the requestor wants; AE titles without padding, everything as claimed."""

    protocol_version: int
    called_ae: str
    calling_ae: str
    echoed: bytes  # called, calling and reserved field, to be sent back as they came (PS3.8 9.3.3)
    application_context: str = ""
    contexts: list[ProposedContext] = field(default_factory=list)
    max_pdu_bytes: int = 0
    implementation_uid: str = ""
    implementation_version: str = ""
    async_ops: bool = False
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    service_classes: dict[str, str] = field(default_factory=dict)
    identity_type: int | None = None


class ItemBudget:
    """How many items may still be looked at: 128 KiB can hold 26,000 of them."""

    def __init__(self, items: int) -> None:
        self._left = items

    def items(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Item types and whole items."""
        at = 0
        while at < len(data):
            if len(data) - at < 4:
                raise ProtocolViolation("an association item is cut off")
            kind, length = _ITEM_HEADER.unpack_from(data, at)
            if length > len(data) - at - 4:
                raise ProtocolViolation("an association item is longer than its PDU")
            self._left -= 1
            if self._left < 0:
                raise ProtocolViolation("too many association items")
            yield kind, data[at : at + 4 + length]
            at += 4 + length


def _uid(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")


def _ae(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")


def read_request(body: bytes, *, max_items: int) -> AssociationRequest:
    """Read the variable field of an A-ASSOCIATE-RQ.

    Raises
    ------
    ProtocolViolation
        It cannot be read, or names a context twice.
    """
    if len(body) < FIXED_FIELD_BYTES:
        raise ProtocolViolation("the A-ASSOCIATE-RQ is too short")
    request = AssociationRequest(
        protocol_version=int.from_bytes(body[0:2], "big"),
        called_ae=_ae(body[4:20]),
        calling_ae=_ae(body[20:36]),
        echoed=body[4:68],
    )
    budget = ItemBudget(max_items)
    for kind, item in budget.items(body[FIXED_FIELD_BYTES:]):
        if kind == _APPLICATION_CONTEXT:
            request.application_context = _uid(item[4:])
        elif kind == _CONTEXT:
            request.contexts.append(_context(item, budget))
        elif kind == _USER_INFORMATION:
            for sub_kind, sub_item in budget.items(item[4:]):
                _user_information(request, sub_kind, sub_item)
    identifiers = [context.context_id for context in request.contexts]
    if len(set(identifiers)) != len(identifiers) or any(number % 2 == 0 for number in identifiers):
        raise ProtocolViolation("presentation context identifiers must be odd and unique")
    if not identifiers:
        raise ProtocolViolation("no presentation context is proposed")
    return request


def _context(item: bytes, budget: ItemBudget) -> ProposedContext:
    if len(item) < 8:
        raise ProtocolViolation("a presentation context is cut off")
    abstract, transfers = "", []
    for kind, sub_item in budget.items(item[8:]):
        if kind == _ABSTRACT:
            abstract = _uid(sub_item[4:])
        elif kind == _TRANSFER:
            transfers.append(_uid(sub_item[4:]))
    if not abstract or not transfers:
        raise ProtocolViolation("a presentation context lacks its syntaxes")
    return ProposedContext(context_id=item[4], abstract_syntax=abstract, transfer_syntaxes=tuple(transfers))


def _user_information(request: AssociationRequest, kind: int, item: bytes) -> None:
    if kind == _IMPLEMENTATION_UID:  # free text in the field: never a reason to refuse an association
        request.implementation_uid = _uid(item[4:68])
        return
    if kind == _VERSION:
        request.implementation_version = _uid(item[4:20])
        return
    if kind == _IDENTITY:
        if len(item) < 9 or len(item) > MAX_IDENTITY_BYTES:
            raise ProtocolViolation("the user identity item is malformed or too long")
        request.identity_type = item[4]
        return
    value = item[4:]
    if kind == _MAX_LENGTH:
        request.max_pdu_bytes = _number(value, 4)
    elif kind == _ASYNC:
        request.async_ops = True
    elif kind == _ROLE:
        uid, rest = _counted_uid(value)
        roles = _number(rest, 2)
        request.roles[uid] = (bool(roles >> 8), bool(roles & 0xFF))
    elif kind == _COMMON_EXTENDED:
        uid, rest = _counted_uid(value)
        request.service_classes[uid] = _counted_uid(rest)[0]
    # SOP class extended negotiation (D.3.3.5) is offered, never answered; the rest is unknown.


def _number(value: bytes, size: int) -> int:
    if len(value) != size:
        raise ProtocolViolation("a user information item has the wrong length")
    return int.from_bytes(value, "big")


def _counted_uid(value: bytes) -> tuple[str, bytes]:
    """A UID behind its length, and what follows it."""
    size = int.from_bytes(value[:2], "big")
    if len(value) < 2 + size:
        raise ProtocolViolation("a user information item ends inside a UID")
    return _uid(value[2 : 2 + size]), value[2 + size :]
