"""One association seen from the acceptor: the upper layer's states from connection to close (PS3.8 9.2).

    Sta2  awaiting A-ASSOCIATE-RQ   `_negotiate`   ARTIM runs
    Sta3  awaiting our own answer   `_answer`      the receiver may look into its database
    Sta6  data transfer             `_converse`    idle timer, pace
    Sta8  release asked             `_over`        answered at once, nothing is ever outstanding here
    Sta13 awaiting the close        `_linger`      bounded in time and bytes

Every association has its own thread; what ends it is an `AssociationOver`, and `OVER` says what the peer then hears.
"""

from __future__ import annotations

import contextlib
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from dicom_node import command as dimse
from dicom_node import pdu, status
from dicom_node.ae import Limits
from dicom_node.association_request import AssociationRequest, read_request
from dicom_node.data_plane import DataPlane, Message
from dicom_node.errors import (
    AssociationOver,
    InstanceTooLarge,
    NodeStopping,
    PeerAborted,
    PeerLost,
    PeerReleased,
    PeerTooSlow,
    ProtocolViolation,
)
from dicom_node.failures import note
from dicom_node.handlers.commitment import Reporter, commit
from dicom_node.handlers.echo import echo
from dicom_node.handlers.refused import tell_refusal
from dicom_node.handlers.store import store
from dicom_node.negotiation import Accepted, accept, encode_accept, refusal, well_formed
from dicom_node.receiver import (
    LOCAL_LIMIT_EXCEEDED,
    TEMPORARY_CONGESTION,
    Admitted,
    AssociationAttempt,
    AssociationEnd,
    HowItEnded,
    PeerCertificate,
    Receiver,
    Refused,
    StoreOutcome,
)
from dicom_node.wire import Wire

_PDU_HEADER = struct.Struct(">BxI")
_LINGER_S = 3.0
_LINGER_BYTES = 1 << 20
_NOT_PERFORMED = StoreOutcome(
    status=status.UNRECOGNISED_OPERATION, comment="Only C-ECHO, C-STORE and N-ACTION are performed"
)


class Gate(Protocol):
    """The limits that associations share."""

    @property
    def stopping(self) -> bool:
        """The node is going down: finish the current instance, start no other."""
        ...

    def establish(self, association: Association, most: int | None) -> bool:
        """Count it as established, unless that would pass a limit; `most` holds for its calling AE, whatever its address."""
        ...

    def leave(self, association: Association) -> None:
        """It is no longer established; called once before the peer has closed."""
        ...

    def report(self, end: AssociationEnd) -> None:
        """Tell the receiver."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Established:
    """What Sta6 knows."""

    attempt: AssociationAttempt
    peer: Admitted
    accepted: Accepted
    reporter: Reporter


class Association:
    """One connection and what becomes of it; `run` is its thread's whole life."""

    def __init__(
        self, wire: Wire, *, address: str, port: int, receiver: Receiver, gate: Gate, limits: Limits
    ) -> None:
        self.id = uuid.uuid4().hex
        self.address = address
        self.port = port
        self.calling_ae = ""
        self.called_ae = ""
        self.still_admitted: Callable[[], bool] | None = None  # see `dicom_node.watch`
        self._wire = wire
        self._receiver = receiver
        self._gate = gate
        self._limits = limits
        self._is_established = False
        self._kept = 0
        self._severed: tuple[HowItEnded, str] | None = None

    # --- from any thread ---------------------------------------------------------------------------------------

    @property
    def has_spoken(self) -> bool:
        return self._wire.has_spoken

    def sever(self, how: HowItEnded, why: str, *, say_abort: bool = False) -> None:
        """End it from outside: dropped for a newer connection, or the node's patience at stopping is over."""
        self._severed = (how, why)
        self._wire.sever(pdu.abort(*pdu.SERVICE_USER) if say_abort else b"")

    # --- the association's own thread --------------------------------------------------------------------------

    def run(self) -> None:
        """From connection to close; raises nothing."""
        try:
            end = self._live()
            self._gate.leave(self)
            self._gate.report(end)
            # AA-2, AA-3: after the peer's abort, and after silence where an association must begin, nothing is said.
            at_once = {"aborted", "lost"} if self._is_established else {"aborted", "lost", "timeout"}
            if end.how not in at_once:
                self._linger(in_step=end.how in ("released", "refused"))
        except AssociationOver:
            pass  # while lingering: the peer is gone, as it should be
        except Exception as exc:  # noqa: BLE001 - the thread's last line of defence
            note("association_failed", exc, association=self.id)
        finally:
            self._wire.close()

    def _live(self) -> AssociationEnd:
        try:
            decision = self._negotiate()
            if isinstance(decision, Refused):
                self._say(pdu.reject(decision.result, decision.source, decision.reason))
                why = f"A-ASSOCIATE-RJ {decision.result},{decision.source},{decision.reason}: {decision.why}"
                return self._end("refused", why)
            self._converse(decision)
        except AssociationOver as over:
            return self._over(over)

    def _negotiate(self) -> Refused | _Established:
        """Sta2 to Sta6; a refusal has not been sent yet."""
        wire = self._wire
        certificate = wire.open(patience_s=self._limits.handshake_s)
        until = wire.waited_s + self._limits.artim_s
        kind, length = _PDU_HEADER.unpack(wire.read_exactly(6, until=until))
        if kind == pdu.ABORT:
            raise PeerAborted("A-ABORT before any association")
        if kind != pdu.ASSOCIATE_RQ:  # AA-1: port scanners, browsers, TLS on a plain port
            raise ProtocolViolation(f"{pdu.name(kind)} where A-ASSOCIATE-RQ must stand", source=0, reason=0)
        if length > self._limits.max_request_bytes:
            raise ProtocolViolation(f"A-ASSOCIATE-RQ of {length} bytes", source=0, reason=0)
        body = bytes(wire.read_exactly(length, until=until))
        request = read_request(body, max_items=self._limits.max_request_items)
        self.calling_ae, self.called_ae = request.calling_ae, request.called_ae
        return self._answer(request, certificate)

    def _answer(
        self, request: AssociationRequest, certificate: PeerCertificate | None
    ) -> Refused | _Established:
        """Sta3: form, then the receiver, then the limits; so that limits tell nothing to strangers."""
        refused = well_formed(request, self._limits)
        if refused is not None:
            return refused
        attempt = AssociationAttempt(
            calling_ae=request.calling_ae,
            called_ae=request.called_ae,
            address=self.address,
            port=self.port,
            association_id=self.id,
            implementation_uid=request.implementation_uid,
            implementation_version=request.implementation_version,
            certificate=certificate,
        )
        try:
            peer = self._receiver.admit(attempt)
        except Exception as exc:  # noqa: BLE001 - a database that is down is our congestion, not the peer's fault
            note("admit_failed", exc, association=self.id)
            return refusal(TEMPORARY_CONGESTION, "the receiver could not decide")
        if isinstance(peer, Refused):
            return peer
        self.still_admitted = peer.still_admitted
        if self._gate.stopping or not self._gate.establish(self, peer.max_associations):
            return refusal(LOCAL_LIMIT_EXCEEDED, "too many associations")
        self._is_established = True
        accepted = accept(request, peer)
        self._say(encode_accept(request, accepted, self._limits))
        reporter = Reporter(
            receiver=self._receiver,
            attempt=attempt,
            accepted=accepted,
            say=self._say,
            waited_s=lambda: self._wire.waited_s,
        )
        return _Established(attempt=attempt, peer=peer, accepted=accepted, reporter=reporter)

    def _converse(self, standing: _Established) -> NoReturn:
        """Sta6, until an `AssociationOver` ends it."""
        self._wire.grow(self._limits.max_pdu_bytes + 12)
        plane = DataPlane(self._wire, self._limits)

        def look_up() -> None:
            if self._gate.stopping and plane.between_messages:
                raise NodeStopping
            if plane.between_messages:
                standing.reporter.look()

        self._wire.on_wait = look_up
        try:
            while True:
                message = plane.next_message()
                outcome = self._perform(message, standing)
                if outcome is not None:
                    self._respond(message, outcome, standing.accepted.peer_max_pdu_bytes)
                if self._gate.stopping:
                    raise NodeStopping
        finally:
            standing.reporter.close()

    def _perform(self, message: Message, standing: _Established) -> StoreOutcome | None:
        context = standing.accepted.contexts.get(message.context_id)
        if context is None:
            raise ProtocolViolation(f"context {message.context_id} was not accepted", source=0, reason=0)
        field = message.command.number(dimse.COMMAND_FIELD)
        if field == dimse.N_EVENT_REPORT_RSP:
            standing.reporter.answered(message.command)
            if message.data_set is not None:  # Event Reply, of which PS3.4 J.3.3 knows none
                message.data_set.drain(_LINGER_BYTES)
            return None
        if field != dimse.C_CANCEL_RQ:
            message.command.number(dimse.MESSAGE_ID)  # what could never be answered is not begun
        if field == dimse.C_STORE_RQ:
            outcome = store(
                message,
                context,
                receiver=self._receiver,
                attempt=standing.attempt,
                peer=standing.peer,
                drain_bytes=self._limits.drain_bytes,
            )
            self._kept += status.is_kept(outcome.status)
            return outcome
        if field == dimse.C_ECHO_RQ:
            return tell_refusal(self._receiver, standing.attempt, echo(message, context))
        if field == dimse.N_ACTION_RQ:
            outcome = commit(message, context, receiver=self._receiver, attempt=standing.attempt)
            if outcome.status == status.SUCCESS:
                standing.reporter.asked()
            return outcome
        if field == dimse.C_CANCEL_RQ:
            return None  # nothing of ours can be cancelled (PS3.7 9.3.2.3)
        if field in dimse.OTHER_REQUESTS:
            if message.data_set is not None:
                message.data_set.drain(_LINGER_BYTES)
            return tell_refusal(self._receiver, standing.attempt, _NOT_PERFORMED)
        raise ProtocolViolation(f"command {field:04X}H is no request", source=0, reason=0)

    def _respond(self, message: Message, outcome: StoreOutcome, peer_max_pdu_bytes: int) -> None:
        encoded = dimse.response(message.command, status=outcome.status, comment=outcome.comment)
        most = peer_max_pdu_bytes or len(encoded) + 6
        step = max(1, most - 6)
        pieces = [encoded[at : at + step] for at in range(0, len(encoded), step)]
        last = len(pieces) - 1
        self._say(
            b"".join(pdu.p_data(message.context_id, 3 if i == last else 1, p) for i, p in enumerate(pieces))
        )

    def _say(self, data: bytes) -> None:
        self._wire.send(data, patience_s=self._limits.artim_s)

    def _over(self, over: AssociationOver) -> AssociationEnd:
        last_words = OVER.get(type(over), _no_words)(over)
        if not self._is_established and isinstance(over, PeerTooSlow):
            last_words = b""  # ARTIM expired in Sta2: AA-2, close without a word
        elif not self._is_established and isinstance(over, ProtocolViolation):
            last_words = pdu.abort(*pdu.SERVICE_USER)  # AA-1, whatever was wrong
        if last_words:
            with contextlib.suppress(AssociationOver):
                self._say(last_words)
        if self._severed is not None and not isinstance(over, PeerReleased):
            return self._end(*self._severed)
        return self._end(over.how, str(over))  # type: ignore[arg-type]  # how is one of HowItEnded by class

    def _end(self, how: HowItEnded, why: str) -> AssociationEnd:
        return AssociationEnd(
            association_id=self.id,
            calling_ae=self.calling_ae,
            called_ae=self.called_ae,
            address=self.address,
            how=how,
            instances_kept=self._kept,
            why=why,
        )

    def _linger(self, *, in_step: bool) -> None:
        """Sta13: closing first would reset the connection and with it our last words; so let the peer close.

        `in_step`: the next byte begins a PDU, so that AA-2, AA-6 and AA-7 can be told apart; after a violation nobody
        knows where one begins.
        """
        self._wire.on_wait = lambda: None
        until = self._wire.waited_s + min(self._limits.artim_s, _LINGER_S)
        most = self._wire.received_bytes + _LINGER_BYTES
        while in_step:
            kind, length = _PDU_HEADER.unpack(self._wire.read_exactly(6, until=until))
            if kind == pdu.ABORT:
                return
            if kind == pdu.ASSOCIATE_RQ or kind not in pdu.KNOWN:
                self._say(pdu.abort(*(pdu.UNEXPECTED_PDU if kind in pdu.KNOWN else pdu.UNRECOGNISED_PDU)))
                in_step = False
            while length and in_step and self._wire.received_bytes < most:
                length -= self._wire.skip_some(length, until=until)
            in_step = in_step and not length
        while self._wire.received_bytes < most:
            self._wire.skip_some(_LINGER_BYTES, until=until)


def _no_words(_over: AssociationOver) -> bytes:
    return b""


def _abort_as_told(over: AssociationOver) -> bytes:
    return pdu.abort(over.source, over.reason) if isinstance(over, ProtocolViolation) else b""


# What the peer hears when its association is over (PS3.8 Table 9-10: AA-1, AA-8, AR-4).
OVER: dict[type[AssociationOver], Callable[[AssociationOver], bytes]] = {
    PeerReleased: lambda _: pdu.RELEASE_REPLY,
    PeerAborted: _no_words,
    PeerLost: _no_words,
    PeerTooSlow: lambda _: pdu.abort(2, 0),
    ProtocolViolation: _abort_as_told,
    InstanceTooLarge: lambda _: pdu.abort(*pdu.SERVICE_USER),
    NodeStopping: lambda _: pdu.abort(*pdu.SERVICE_USER),
}
