"""Storage commitment on an association that a peer opened: its N-ACTION taken on, our N-EVENT-REPORT made; nothing is verified here.

PS3.4 J.3, PS3.7 10.1.4 and 10.1.1. The report goes out on the same association only while the peer is silent: many a sender
takes whatever comes next for the response to its own request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dicom_node import command as dimse
from dicom_node import commitment, pdu, status
from dicom_node.command import Command
from dicom_node.data_plane import Message
from dicom_node.errors import ProtocolViolation
from dicom_node.failures import note
from dicom_node.handlers.refused import tell_refusal
from dicom_node.negotiation import Accepted, ContextAnswer
from dicom_node.receiver import AssociationAttempt, CommitmentRequest, Receiver, StoreOutcome

_ANSWER_S = 60.0  # how long a peer may take to answer a report before it is tried another way
_DRAIN_BYTES = 1 << 26


def commit(
    message: Message, context: ContextAnswer, *, receiver: Receiver, attempt: AssociationAttempt
) -> StoreOutcome:
    """Perform one N-ACTION; raises `AssociationOver` when no answer is possible any more."""
    asked = _question(message, context)
    if isinstance(asked, StoreOutcome):
        outcome = tell_refusal(receiver, attempt, asked)
    else:
        outcome = _ask(asked, receiver=receiver, attempt=attempt)
    if message.data_set is not None:
        message.data_set.drain(_DRAIN_BYTES)
    return StoreOutcome(status=outcome.status, comment=status.comment(outcome.comment))


def _question(message: Message, context: ContextAnswer) -> commitment.Asked | StoreOutcome:
    """What is asked, or why it is refused before anybody is asked."""
    command = message.command
    # (1) The one class, its one instance, its one action (PS3.4 J.3.2.1, J.3.5).
    if command.text(dimse.REQUESTED_SOP_CLASS_UID) != commitment.SOP_CLASS:
        return StoreOutcome(
            status=status.NO_SUCH_SOP_CLASS, comment="N-ACTION is performed for commitment only"
        )
    if context.abstract_syntax != commitment.SOP_CLASS:
        return StoreOutcome(
            status=status.NO_SUCH_SOP_CLASS, comment="N-ACTION outside a Storage Commitment context"
        )
    if command.text(dimse.REQUESTED_SOP_INSTANCE_UID) != commitment.SOP_INSTANCE:
        return StoreOutcome(
            status=status.NO_SUCH_INSTANCE, comment=f"The one instance is {commitment.SOP_INSTANCE}"
        )
    if not command.has(dimse.ACTION_TYPE_ID) or (
        command.number(dimse.ACTION_TYPE_ID) != commitment.REQUEST_COMMITMENT
    ):
        return StoreOutcome(status=status.NO_SUCH_ACTION, comment="The one Action Type ID is 1")
    # (2) The question can be read.
    if message.data_set is None:
        return StoreOutcome(status=status.INVALID_ARGUMENT, comment="Action Information is missing")
    return commitment.read_question(message.data_set, context.transfer_syntax)


def _ask(asked: commitment.Asked, *, receiver: Receiver, attempt: AssociationAttempt) -> StoreOutcome:
    """(3) Whoever keeps objects takes it on, and returns only when the question is kept."""
    request = CommitmentRequest(
        transaction_uid=asked.transaction_uid,
        references=asked.references,
        calling_ae=attempt.calling_ae,
        called_ae=attempt.called_ae,
        address=attempt.address,
        association_id=attempt.association_id,
    )
    try:
        return receiver.commit(request)
    except (OSError, MemoryError) as exc:
        note("receiver_failed", exc, association=attempt.association_id)
        return StoreOutcome(status=status.RESOURCE_LIMITATION, comment="Unavailable, ask again later")
    except Exception as exc:  # noqa: BLE001 - the peer must get an answer, and others their association
        note("receiver_failed", exc, association=attempt.association_id)
        return StoreOutcome(status=status.PROCESSING_FAILURE, comment="Processing failure at the receiver")


class Reporter:
    """Makes the reports of one association, one at a time; its methods raise only what ends the association."""

    def __init__(
        self,
        *,
        receiver: Receiver,
        attempt: AssociationAttempt,
        accepted: Accepted,
        say: Callable[[bytes], None],
        waited_s: Callable[[], float],
    ) -> None:
        self._receiver = receiver
        self._attempt = attempt
        self._say = say
        self._waited_s = waited_s
        self._most = accepted.peer_max_pdu_bytes
        contexts = (c for c in accepted.contexts.values() if c.abstract_syntax == commitment.SOP_CLASS)
        self._context = next(contexts, None)
        self._message_id = 0
        self._outstanding = ""
        self._until = 0.0
        self._given_up = set[int]()
        self._open = 0  # questions taken on here whose answer has not been reported here
        # What an earlier association asked may wait for this one: look once, then only when there is reason to.
        self._hopes = self._context is not None

    def asked(self) -> None:
        """A question was taken on here: its answer may come while this association is still open."""
        self._open += 1
        self._hopes = not self._given_up

    def look(self) -> None:
        """The peer is silent between two messages: report what there is to report."""
        if self._outstanding:
            if self._waited_s() > self._until:
                self._given_up.add(self._message_id)
                self._hopes = False  # it does not answer here; the receiver has other ways
                self._settle(None, f"no answer to N-EVENT-REPORT within {_ANSWER_S:.0f} s")
            return
        if not self._hopes or self._context is None:
            return
        try:
            result = self._receiver.report_due(self._attempt)
        except Exception as exc:  # noqa: BLE001 - a database that is down costs this look, not the association
            note("report_due_failed", exc, association=self._attempt.association_id)
            return
        if result is None:
            self._hopes = self._open > 0
            return
        self._outstanding = result.id
        self._until = self._waited_s() + _ANSWER_S
        self._message_id = self._message_id % 0xFFFF + 1
        command = dimse.encode(report_command(self._message_id, commitment.event_type(result)))
        data_set = commitment.encode_result(result, self._context.transfer_syntax)
        for piece in _fragments(self._context.context_id, command, data_set, self._most):
            self._say(piece)

    def answered(self, command: Command) -> None:
        """N-EVENT-REPORT-RSP."""
        message_id = command.number(dimse.MESSAGE_ID_RESPONDED)
        if message_id in self._given_up:
            return  # it came too late, and is being reported another way
        if not self._outstanding or message_id != self._message_id:
            raise ProtocolViolation("N-EVENT-REPORT-RSP to nothing that was asked", source=0, reason=0)
        code = command.number(dimse.STATUS)
        self._open = max(0, self._open - 1)
        if code != status.SUCCESS:
            self._hopes = False  # one refusal is enough here, the receiver has other ways
        self._settle(code, command.text(dimse.ERROR_COMMENT))

    def close(self) -> None:
        """The association is over."""
        if self._outstanding:
            self._settle(None, "the association ended before the answer")

    def _settle(self, code: int | None, why: str) -> None:
        result_id, self._outstanding = self._outstanding, ""
        try:
            self._receiver.reported(result_id, status=code, why=why)
        except Exception as exc:  # noqa: BLE001 - the claim lapses, and the result is reported once more
            note("reported_failed", exc, association=self._attempt.association_id)


def report_command(message_id: int, event_type: int) -> dict[int, int | str]:
    """The command set of an N-EVENT-REPORT-RQ (PS3.7 10.3.1)."""
    return {
        dimse.AFFECTED_SOP_CLASS_UID: commitment.SOP_CLASS,
        dimse.COMMAND_FIELD: dimse.N_EVENT_REPORT_RQ,
        dimse.MESSAGE_ID: message_id,
        dimse.COMMAND_DATA_SET_TYPE: 0x0001,
        dimse.AFFECTED_SOP_INSTANCE_UID: commitment.SOP_INSTANCE,
        dimse.EVENT_TYPE_ID: event_type,
    }


def _fragments(context_id: int, command: bytes, data_set: bytes, most: int) -> Iterator[bytes]:
    """A message as P-DATA-TF PDUs that the peer can take; `most` 0 means that it takes any."""
    step = max(1, min(most or 1 << 16, 1 << 16) - 6)
    for kind, content in ((1, command), (0, data_set)):
        for at in range(0, len(content), step):
            last = 2 if at + step >= len(content) else 0
            yield pdu.p_data(context_id, kind | last, content[at : at + step])
