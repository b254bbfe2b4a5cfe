"""One association seen from the requestor: connect, propose, request, release; what is sent and why is not known here.

PS3.8 9.2 (Sta4 to Sta7), 9.3.2. Unlike pynetdicom's SCU it streams: an object is never whole in memory and never a
plaintext file, and it is sent byte for byte in the transfer syntax that it has.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from pynetdicom import pdu_items
from pynetdicom.pdu import A_ASSOCIATE_RJ, A_ASSOCIATE_RQ

from dicom_node import command as dimse
from dicom_node import contexts, pdu
from dicom_node.ae import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Limits
from dicom_node.association_request import FIXED_FIELD_BYTES, MAX_CONTEXTS, ItemBudget
from dicom_node.data_plane import DataPlane
from dicom_node.errors import AssociationOver, PeerReleased, PeerUnreachable, ProtocolViolation
from dicom_node.negotiation import ACCEPTED
from dicom_node.streams import Replayed, Source
from dicom_node.wire import Wire

_PDU_HEADER = struct.Struct(">BxI")
_HEADER_BYTES = 12  # PDU and presentation data value in front of a fragment
_MAX_SEND_BYTES = 262144
_COMMAND, _LAST = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Whom to call, as whom, and with how much patience."""

    host: str
    port: int
    called_ae: str
    calling_ae: str
    timeout_s: float = 10.0  # connection and each PDU begun
    response_timeout_s: float = 120.0  # a peer may store before it answers


@dataclass(slots=True)
class Answer:
    """What an A-ASSOCIATE-AC says."""

    contexts: dict[tuple[str, str], int] = field(default_factory=dict)
    max_pdu_bytes: int = 0
    implementation_uid: str = ""
    implementation_version: str = ""


class OutboundAssociation:
    """An association that we opened; use it as a context manager.

    Parameters
    ----------
    proposals
        SOP class and transfer syntax, at most 128 pairs, each proposed in a context of its own: the answer then tells
        for every pair whether it may be sent as it is.

    Raises
    ------
    PeerUnreachable
        On entering: no connection, a rejection (in words), an abort, or silence.
    """

    def __init__(self, call: Call, proposals: Sequence[tuple[str, str]]) -> None:
        if not 0 < len(proposals) <= MAX_CONTEXTS:
            raise ValueError("between 1 and 128 presentation contexts can be proposed")
        self._call = call
        self._proposals = {2 * i + 1: pair for i, pair in enumerate(proposals)}
        self._limits = Limits(artim_s=call.timeout_s, idle_s=call.response_timeout_s)
        self._message_id = 0
        self.usable = True
        self.answer = Answer()

    def __enter__(self) -> Self:
        try:
            sock = socket.create_connection((self._call.host, self._call.port), timeout=self._call.timeout_s)
        except OSError as exc:
            raise PeerUnreachable(f"no connection to {self._call.host}:{self._call.port}: {exc}") from exc
        self._wire = Wire(sock)
        try:
            self._wire.send(self._request(), patience_s=self._call.timeout_s)
            self._read_answer()
        except AssociationOver as exc:
            self._wire.close()
            raise PeerUnreachable(f"no association with {self._call.called_ae}: {exc}") from exc
        except PeerUnreachable:
            self._wire.close()
            raise
        self._plane = DataPlane(self._wire, self._limits)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with contextlib.suppress(AssociationOver):
            if kind is None and self.usable:
                self._release()
            else:
                self._wire.send(pdu.abort(*pdu.SERVICE_USER), patience_s=1.0)
        self._wire.close()

    def perform(
        self, pair: tuple[str, str], elements: Mapping[int, int | str], data_set: Source | None
    ) -> dimse.Command:
        """Send one request, and its data set if it has one; wait for the response.

        Raises
        ------
        AssociationOver
            No answer will come. What `data_set` raises passes through; the association must then be left.
        """
        self.usable = False  # until the response is here: what stops in between cannot be taken up again
        context_id = self.answer.contexts[pair]
        self._message_id = self._message_id % 0xFFFF + 1
        data_set_type = dimse.NO_DATA_SET if data_set is None else 0x0001
        encoded = dimse.encode(
            {
                dimse.AFFECTED_SOP_CLASS_UID: pair[0],
                dimse.MESSAGE_ID: self._message_id,
                dimse.COMMAND_DATA_SET_TYPE: data_set_type,
                **elements,
            }
        )
        step = self._fragment_bytes()
        for at in range(0, len(encoded), step):
            control = _COMMAND | (_LAST if at + step >= len(encoded) else 0)
            self._send(pdu.p_data(context_id, control, encoded[at : at + step]))
        if data_set is not None:
            self._send_data_set(context_id, data_set)
        response = self._plane.next_message().command
        if response.number(dimse.MESSAGE_ID_RESPONDED) != self._message_id:
            raise ProtocolViolation("the response belongs to another message", source=0, reason=0)
        self.usable = True
        return response

    def _fragment_bytes(self) -> int:
        most = self.answer.max_pdu_bytes or _MAX_SEND_BYTES
        return max(1, min(most, _MAX_SEND_BYTES) - 6)

    def _send(self, data: bytes | memoryview) -> None:
        self._wire.send(data, patience_s=self._call.response_timeout_s)

    def _send_data_set(self, context_id: int, data_set: Source) -> None:
        """Two buffers in turn: only the fragment behind tells whether this one is the last."""
        step = self._fragment_bytes()
        stream = Replayed(b"", data_set)
        current, behind = bytearray(_HEADER_BYTES + step), bytearray(_HEADER_BYTES + step)
        size = stream.readinto(memoryview(current)[_HEADER_BYTES:])
        while True:
            following = stream.readinto(memoryview(behind)[_HEADER_BYTES:]) if size == step else 0
            current[:_HEADER_BYTES] = pdu.p_data_header(context_id, 0 if following else _LAST, size)
            self._send(memoryview(current)[: _HEADER_BYTES + size])
            if not following:
                return
            current, behind, size = behind, current, following

    def _request(self) -> bytes:
        request = A_ASSOCIATE_RQ()
        request.called_ae_title, request.calling_ae_title = self._call.called_ae, self._call.calling_ae
        application = pdu_items.ApplicationContextItem()
        application.application_context_name = contexts.APPLICATION_CONTEXT
        length = pdu_items.MaximumLengthSubItem()
        length.maximum_length_received = self._limits.max_pdu_bytes
        implementation = pdu_items.ImplementationClassUIDSubItem()
        implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        version = pdu_items.ImplementationVersionNameSubItem()
        version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        information = pdu_items.UserInformationItem()
        information.user_data = [length, implementation, version]
        proposed = [_proposal(number, *pair) for number, pair in self._proposals.items()]
        request.variable_items = [application, *proposed, information]
        return bytes(request.encode())

    def _read_answer(self) -> None:
        wire = self._wire
        until = wire.waited_s + self._call.timeout_s
        kind, length = _PDU_HEADER.unpack(wire.read_exactly(6, until=until))
        if length > self._limits.max_request_bytes:
            raise PeerUnreachable(f"the peer answered with a {pdu.name(kind)} of {length} bytes")
        body = bytes(wire.read_exactly(length, until=until))
        if kind == pdu.ASSOCIATE_RJ:
            raise PeerUnreachable(_rejection(body))
        if kind != pdu.ASSOCIATE_AC:
            raise PeerUnreachable(f"the peer answered with {pdu.name(kind)}")
        budget = ItemBudget(self._limits.max_request_items)
        for item_kind, item in budget.items(body[FIXED_FIELD_BYTES:]):
            if item_kind == 0x21 and len(item) >= 8 and item[6] == ACCEPTED and item[4] in self._proposals:
                self.answer.contexts[self._proposals[item[4]]] = item[4]
            elif item_kind == 0x50:
                for sub_kind, sub_item in budget.items(item[4:]):
                    self._user_information(sub_kind, sub_item[4:])

    def _user_information(self, kind: int, value: bytes) -> None:
        if kind == 0x51:
            self.answer.max_pdu_bytes = int.from_bytes(value, "big")
        elif kind == 0x52:
            self.answer.implementation_uid = value.decode("ascii", "replace").strip(" \0")
        elif kind == 0x55:
            self.answer.implementation_version = value.decode("ascii", "replace").strip(" \0")

    def _release(self) -> None:
        self._wire.send(pdu.RELEASE_REQUEST, patience_s=self._call.timeout_s)
        wire = self._wire
        until = wire.waited_s + self._call.timeout_s
        kind, _ = _PDU_HEADER.unpack(wire.read_exactly(6, until=until))
        if kind == pdu.RELEASE_RQ:  # release collision: both asked at once (PS3.8 Sta9, AR-9)
            self._wire.send(pdu.RELEASE_REPLY, patience_s=self._call.timeout_s)
            raise PeerReleased


def _proposal(number: int, abstract: str, transfer: str) -> pdu_items.PresentationContextItemRQ:
    item = pdu_items.PresentationContextItemRQ()
    item.presentation_context_id = number
    abstract_item = pdu_items.AbstractSyntaxSubItem()
    abstract_item.abstract_syntax_name = abstract
    transfer_item = pdu_items.TransferSyntaxSubItem()
    transfer_item.transfer_syntax_name = transfer
    item.abstract_transfer_syntax_sub_items = [abstract_item, transfer_item]
    return item


def _rejection(body: bytes) -> str:
    rejected = A_ASSOCIATE_RJ()
    try:
        rejected.result, rejected.source, rejected.reason_diagnostic = body[1], body[2], body[3]
        return f"rejected ({body[1]},{body[2]},{body[3]}): {rejected.reason_str}"
    except (IndexError, ValueError, KeyError):
        return "rejected, without a valid reason"
