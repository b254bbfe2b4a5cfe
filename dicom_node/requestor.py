"""One association seen from the requestor: propose, request, release; what is sent and why is not known here.

    Sta5   awaiting the answer    `_read_answer`   a deadline for the whole PDU
    Sta6   data transfer          `perform`        patience for one response, a pace for one object
    Sta7   awaiting the release   `_release`       P-DATA is passed over (AR-6), a collision is answered (AR-8, AR-9)
    Sta13  awaiting the close     `_linger`        bounded in time and bytes

PS3.8 9.2, 9.3.2 and Table 9-10. Unlike pynetdicom's SCU it streams: an object is never whole in memory and never a
plaintext file, and it is sent byte for byte in the transfer syntax that it has.
"""

from __future__ import annotations

import contextlib
import ssl
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from dicom_node import command as dimse
from dicom_node import pdu, status
from dicom_node.ae import Limits
from dicom_node.association_offer import Answer, encode_offer, read_answer, rejection
from dicom_node.association_request import MAX_CONTEXTS
from dicom_node.data_plane import DataPlane, Message
from dicom_node.dial import Call, Steps, dial, tls_words
from dicom_node.errors import (
    AssociationOver,
    PeerAborted,
    PeerLost,
    PeerReleased,
    PeerTooSlow,
    PeerUnreachable,
    ProtocolViolation,
)
from dicom_node.fragments import Fragmenter
from dicom_node.streams import Source
from dicom_node.wire import Wire

__all__ = ["Answer", "Call", "OutboundAssociation"]

_PDU_HEADER = struct.Struct(">BxI")
_MAX_SEND_BYTES = 262144
_LEAST_PDU_BYTES = 128  # a peer that wants less would have an object sent in a million pieces
_MOST_UNASKED = 16  # requests of the peer's own while we wait for one answer
_UNASKED_BYTES = 1 << 20
_LINGER_S = 1.0
_LINGER_BYTES = 1 << 20


def _nothing() -> None:
    """Default of `OutboundAssociation.beat`."""


class OutboundAssociation:
    """An association that we opened; use it as a context manager, in one thread.

    Parameters
    ----------
    proposals
        SOP class and transfer syntax, at most 128 pairs, each proposed in a context of its own: the answer then tells
        for every pair whether it may be sent as it is.
    roles
        SOP class to the roles (SCU, SCP) that we propose for ourselves (PS3.7 D.3.3.4); what the peer made of it stands
        in ``answer.roles``, and no entry there means that we are SCU only.
    beat
        Called before each piece that is sent and at least twice a second while we wait. What it raises breaks the
        association off and passes through.

    Raises
    ------
    PeerUnreachable
        On entering: which step failed, in words. ``steps`` tells of the ones before it.
    """

    def __init__(
        self,
        call: Call,
        proposals: Sequence[tuple[str, str]],
        *,
        roles: Mapping[str, tuple[bool, bool]] | None = None,
        beat: Callable[[], None] = _nothing,
    ) -> None:
        if not 0 < len(proposals) <= MAX_CONTEXTS:
            raise ValueError("between 1 and 128 presentation contexts can be proposed")
        self._call = call
        self._proposals = {2 * i + 1: pair for i, pair in enumerate(proposals)}
        self._roles = dict(roles or {})
        self._beat = beat
        self._limits = Limits(artim_s=call.timeout_s, idle_s=call.response_timeout_s)
        self._message_id = 0
        self._over: AssociationOver | None = None
        self.steps = Steps()
        self.usable = True
        self.answer = Answer()

    def __enter__(self) -> Self:
        self._wire = Wire(dial(self._call, self.steps))
        self._wire.on_wait = self._beat
        try:
            with self.steps.step("association") as told:
                self._negotiate()
                told.extend([self._call.called_ae, self.answer.implementation_version])
        except BaseException:
            self._wire.close()
            raise
        self._fragmenter = Fragmenter(min(self.answer.max_pdu_bytes or _MAX_SEND_BYTES, _MAX_SEND_BYTES))
        self._plane = DataPlane(self._wire, self._limits)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._wire.on_wait = _nothing
        with contextlib.suppress(AssociationOver):
            if self.usable and kind in (
                None,
                GeneratorExit,
                PeerUnreachable,
            ):  # found wanting, or enough: no failure
                self._release()
            elif last_words := _last_words(self._over):
                self._wire.send(last_words, patience_s=1.0)
                self._linger()
        self._wire.close()

    def perform(
        self, pair: tuple[str, str], elements: Mapping[int, int | str], data_set: Source | None
    ) -> dimse.Command:
        """Send one request, and its data set if it has one; wait for the response.

        Raises
        ------
        AssociationOver
            No answer will come. What `data_set` or `beat` raises passes through; the association must then be left.
        """
        self.usable = False  # until the response is here: what stops in between cannot be taken up again
        context_id = self.answer.contexts[pair]
        self._message_id = self._message_id % 0xFFFF + 1
        command = dimse.encode(
            {
                dimse.AFFECTED_SOP_CLASS_UID: pair[0],
                dimse.MESSAGE_ID: self._message_id,
                dimse.COMMAND_DATA_SET_TYPE: dimse.NO_DATA_SET if data_set is None else 0x0001,
                **elements,
            }
        )
        try:
            self._send_message(context_id, command, data_set)
            response = self._response()
        except AssociationOver as over:
            self._over = over
            raise
        self.usable = True
        return response

    def _send_message(self, context_id: int, command: bytes, data_set: Source | None) -> None:
        sent, sending_s = 0, 0.0
        for piece in self._fragmenter.pieces(context_id, command, data_set):
            self._beat()
            started = time.monotonic()
            try:
                self._wire.send(piece, patience_s=self._call.response_timeout_s)
            except PeerLost as lost:
                raise self._why_lost(lost) from lost
            sent, sending_s = sent + len(piece), sending_s + time.monotonic() - started
            allowed_s = self._call.response_timeout_s + sent / self._limits.min_bytes_per_s
            if sending_s > allowed_s:
                raise PeerTooSlow("the peer reads the object more slowly than the pace allows")

    def _why_lost(self, lost: PeerLost) -> AssociationOver:
        """A peer that aborts while we send says so before it closes: its words may be here already."""
        self._wire.on_wait = _nothing
        try:
            self._plane.next_message()
        except (PeerAborted, PeerReleased) as over:
            return over
        except AssociationOver:
            pass
        return lost

    def _response(self) -> dimse.Command:
        """Wait for the answer to the last request; what the peer asks meanwhile is refused, not performed."""
        until = self._wire.waited_s + self._call.response_timeout_s
        for _ in range(_MOST_UNASKED):
            message = self._plane.next_message()
            if message.data_set is not None:
                message.data_set.drain(_UNASKED_BYTES)
            field = message.command.number(dimse.COMMAND_FIELD)
            if field & 0x8000:
                if message.command.number(dimse.MESSAGE_ID_RESPONDED) != self._message_id:
                    raise ProtocolViolation("the response belongs to another message", source=0, reason=0)
                return message.command
            if field != dimse.C_CANCEL_RQ:
                self._refuse(message)
            if self._wire.waited_s > until:
                raise PeerTooSlow("the peer asks, and does not answer")
        raise ProtocolViolation("the peer asks, and does not answer", source=0, reason=0)

    def _refuse(self, message: Message) -> None:
        if message.context_id not in self.answer.contexts.values():
            raise ProtocolViolation(f"context {message.context_id} was not accepted", source=0, reason=0)
        refused = dimse.response(
            message.command, status=status.UNRECOGNISED_OPERATION, comment="No requests are taken here"
        )
        self._send_message(message.context_id, refused, None)

    # --- Sta5 ------------------------------------------------------------------------------------------------------

    def _negotiate(self) -> None:
        try:
            offer = encode_offer(
                self._call, self._proposals, self._roles, max_pdu_bytes=self._limits.max_pdu_bytes
            )
            self._wire.send(offer, patience_s=self._call.timeout_s)
            self._read_answer()
        except ProtocolViolation as over:
            with contextlib.suppress(AssociationOver):
                self._wire.send(_last_words(over), patience_s=1.0)
                self._linger()
            raise PeerUnreachable(f"no association with {self._call.called_ae}: {over}") from over
        except AssociationOver as over:
            raise PeerUnreachable(
                f"no association with {self._call.called_ae}: {self._why_none(over)}"
            ) from over
        if 0 < self.answer.max_pdu_bytes < _LEAST_PDU_BYTES:
            raise PeerUnreachable(f"the peer takes PDUs of {self.answer.max_pdu_bytes} bytes only")

    def _why_none(self, over: AssociationOver) -> str:
        """By TLS 1.3 a peer that does not want our certificate says so after the handshake, behind what we sent."""
        cause = over.__cause__
        if self._call.tls is not None and isinstance(over, PeerLost):
            try:
                self._wire.read_exactly(1, until=self._wire.waited_s + _LINGER_S)
            except AssociationOver as later:
                cause = later.__cause__ if isinstance(later.__cause__, ssl.SSLError) else cause
            why = tls_words(cause)
            return f"TLS failed: {why or 'the peer closed the connection, it may not accept our certificate'}"
        if isinstance(over, PeerLost):
            return f"{over}: the peer may speak TLS only, or not take calls from here"
        return str(over)

    def _read_answer(self) -> None:
        wire = self._wire
        until = wire.waited_s + self._call.timeout_s
        kind, length = _PDU_HEADER.unpack(wire.read_exactly(6, until=until))
        if kind in (pdu.ASSOCIATE_RJ, pdu.ABORT):
            if length != pdu.FIXED_LENGTH:
                raise ProtocolViolation(f"{pdu.name(kind)} of {length} bytes")
            body = bytes(wire.read_exactly(length, until=until))
            if kind == pdu.ASSOCIATE_RJ:
                raise rejection(body, self._call)
            raise PeerAborted(f"A-ABORT from the peer, source {body[2]}, reason {body[3]}")
        if kind != pdu.ASSOCIATE_AC:  # AA-8
            reason = pdu.UNEXPECTED_PDU if kind in pdu.KNOWN else pdu.UNRECOGNISED_PDU
            raise ProtocolViolation(f"{pdu.name(kind)} where an answer must stand", reason=reason[1])
        if length > self._limits.max_request_bytes:
            raise ProtocolViolation(f"A-ASSOCIATE-AC of {length} bytes")
        body = bytes(wire.read_exactly(length, until=until))
        self.answer = read_answer(body, self._proposals, max_items=self._limits.max_request_items)

    # --- Sta7 and Sta13 ----------------------------------------------------------------------------------------------

    def _release(self) -> None:
        """AR-1, then what Table 9-10 says for Sta7; however much the peer talks, it ends within the deadline."""
        wire = self._wire
        wire.send(pdu.RELEASE_REQUEST, patience_s=self._call.timeout_s)
        until, most = wire.waited_s + self._call.timeout_s, wire.received_bytes + _LINGER_BYTES
        collided = False
        while wire.received_bytes < most:
            kind, length = _PDU_HEADER.unpack(wire.read_exactly(6, until=until))
            fixed = kind in (pdu.RELEASE_RP, pdu.RELEASE_RQ, pdu.ABORT)
            if (fixed and length != pdu.FIXED_LENGTH) or (kind == pdu.RELEASE_RQ and collided):
                return self._abort(pdu.INVALID_PARAMETER if not collided else pdu.UNEXPECTED_PDU)
            if kind not in pdu.KNOWN:
                return self._abort(pdu.UNRECOGNISED_PDU)
            if not fixed and (kind != pdu.P_DATA or collided):
                return self._abort(pdu.UNEXPECTED_PDU)
            while length and wire.received_bytes < most:
                length -= wire.skip_some(length, until=until)
            if kind == pdu.RELEASE_RQ:  # both asked at once: AR-8 and AR-9, then Sta11
                collided = True
                wire.send(pdu.RELEASE_REPLY, patience_s=self._call.timeout_s)
            elif fixed:
                return None  # AR-3, AA-3
        return self._abort(pdu.UNEXPECTED_PDU)

    def _abort(self, words: tuple[int, int]) -> None:
        self._wire.send(pdu.abort(*words), patience_s=1.0)
        self._linger()

    def _linger(self) -> None:
        """Closing first would reset the connection and with it our last words; so let the peer close."""
        wire = self._wire
        until, most = wire.waited_s + _LINGER_S, wire.received_bytes + _LINGER_BYTES
        while wire.received_bytes < most:
            wire.skip_some(_LINGER_BYTES, until=until)


def _last_words(over: AssociationOver | None) -> bytes:
    """What the peer hears when we leave it in Sta6 (AA-1, AA-8, AR-4); an abort or a lost connection needs no word."""
    if isinstance(over, PeerReleased):
        return pdu.RELEASE_REPLY
    if isinstance(over, PeerAborted | PeerLost):
        return b""
    if isinstance(over, ProtocolViolation):
        return pdu.abort(over.source, over.reason)
    return pdu.abort(*pdu.SERVICE_USER)
