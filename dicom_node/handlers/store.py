"""C-STORE (PS3.7 9.1.1, PS3.4 Annex B): checks what the command claims against the data set, then asks the receiver.

Every outcome leaves the stream at the end of its object, so that the next message can be read; where that cannot be, the
association ends.
"""

from __future__ import annotations

from collections.abc import Callable

from dicom_node import contexts, status
from dicom_node.ae import is_uid
from dicom_node.command import AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID
from dicom_node.data_plane import DataSetStream, Message
from dicom_node.errors import AssociationOver, HeadError, InstanceTooLarge, ProtocolViolation
from dicom_node.failures import log, note
from dicom_node.handlers.refused import tell_refusal
from dicom_node.head import Head, read_head
from dicom_node.negotiation import ContextAnswer
from dicom_node.receiver import Admitted, AssociationAttempt, ReceivedInstance, Receiver, StoreOutcome
from dicom_node.streams import Replayed


def store(
    message: Message,
    context: ContextAnswer,
    *,
    receiver: Receiver,
    attempt: AssociationAttempt,
    peer: Admitted,
    drain_bytes: int,
) -> StoreOutcome:
    """Perform one C-STORE; raises `AssociationOver` when no answer is possible any more."""
    data_set = message.data_set
    if data_set is None:
        raise ProtocolViolation("C-STORE-RQ without a data set", source=0, reason=0)
    if peer.max_instance_bytes is not None:
        data_set.cap_bytes = min(data_set.cap_bytes, peer.max_instance_bytes)
    cap_bytes = data_set.cap_bytes
    answers: list[StoreOutcome] = []  # of the receiver itself, which tells its own audit

    def ask(instance: ReceivedInstance) -> StoreOutcome:
        answers.append(receiver.receive(instance))
        return answers[0]

    try:
        outcome = _decide(message, context, data_set, ask=ask, attempt=attempt)
    except InstanceTooLarge:
        outcome = _too_large(cap_bytes)
    if data_set.broken is not None and not isinstance(data_set.broken, InstanceTooLarge):
        raise data_set.broken  # whatever the receiver made of it, the object is not complete
    if data_set.broken is not None:
        outcome = _too_large(cap_bytes)
    if not data_set.ended and status.is_kept(outcome.status) and _more_follows(data_set):
        log.error("receiver_did_not_read_to_the_end", association=attempt.association_id)
        outcome = StoreOutcome(status=status.CANNOT_UNDERSTAND, comment="Processing failure at the receiver")
    data_set.drain(drain_bytes)
    if not answers or outcome is not answers[0]:
        tell_refusal(receiver, attempt, outcome)
    return StoreOutcome(status=outcome.status, comment=status.comment(outcome.comment))


def _too_large(cap_bytes: int) -> StoreOutcome:
    return StoreOutcome(
        status=status.OUT_OF_RESOURCES, comment=f"Object is larger than the {cap_bytes} bytes allowed"
    )


def _more_follows(data_set: DataSetStream) -> bool:
    """A reader that stops exactly at the last byte has read everything, though it has not seen the end."""
    return bool(data_set.read(1))


def _decide(
    message: Message,
    context: ContextAnswer,
    data_set: DataSetStream,
    *,
    ask: Callable[[ReceivedInstance], StoreOutcome],
    attempt: AssociationAttempt,
) -> StoreOutcome:
    """Numbered as a reviewer ticks them off."""
    sop_class_uid = message.command.text(AFFECTED_SOP_CLASS_UID)
    sop_instance_uid = message.command.text(AFFECTED_SOP_INSTANCE_UID)
    # (1) The command fits its presentation context.
    if context.abstract_syntax == contexts.VERIFICATION or sop_class_uid != context.abstract_syntax:
        return StoreOutcome(
            status=status.SOP_CLASS_NOT_SUPPORTED,
            comment="SOP Class UID is not that of the presentation context",
        )
    # (2) The instance has a name.
    if not is_uid(sop_instance_uid):
        return StoreOutcome(
            status=status.INVALID_SOP_INSTANCE, comment="Affected SOP Instance UID is not a valid UID"
        )
    # (3) The data set can be read as far as needed, and is the one that the command speaks of (PS3.4 B.2.3).
    try:
        head, taken = read_head(data_set, context.transfer_syntax)
    except HeadError as exc:
        return StoreOutcome(
            status=status.CANNOT_UNDERSTAND, comment=status.comment(f"Data set unreadable: {exc}")
        )
    refused = _mismatch(head, sop_class_uid, sop_instance_uid)
    if refused is not None:
        return refused
    # (4) Whoever keeps objects decides, and returns only when it is kept.
    instance = ReceivedInstance(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=context.transfer_syntax,
        calling_ae=attempt.calling_ae,
        called_ae=attempt.called_ae,
        address=attempt.address,
        association_id=attempt.association_id,
        head=head,
        stream=Replayed(taken, data_set),
    )
    return _guarded(lambda: ask(instance), attempt)


def _mismatch(head: Head, sop_class_uid: str, sop_instance_uid: str) -> StoreOutcome | None:
    named = (
        ("SOP Class UID", head.sop_class_uid),
        ("SOP Instance UID", head.sop_instance_uid),
        ("Study Instance UID", head.study_instance_uid),
        ("Series Instance UID", head.series_instance_uid),
    )
    for name, uid in named:
        if not uid:
            return StoreOutcome(status=status.CANNOT_UNDERSTAND, comment=f"{name} is missing in the data set")
    if head.sop_class_uid != sop_class_uid:
        return StoreOutcome(
            status=status.DATA_SET_DOES_NOT_MATCH, comment="SOP Class UID in data set differs from command"
        )
    if head.sop_instance_uid != sop_instance_uid:
        return StoreOutcome(
            status=status.DATA_SET_DOES_NOT_MATCH, comment="SOP Instance UID in data set differs from command"
        )
    for name, uid in named:
        if not is_uid(uid):
            return StoreOutcome(status=status.CANNOT_UNDERSTAND, comment=f"{name} is not a valid UID")
    return None


def _guarded(receive: Callable[[], StoreOutcome], attempt: AssociationAttempt) -> StoreOutcome:
    """What a receiver raises becomes a status; its text may hold anything and goes nowhere."""
    try:
        return receive()
    except AssociationOver:
        raise
    except (OSError, MemoryError) as exc:
        note("receiver_failed", exc, association=attempt.association_id)
        return StoreOutcome(
            status=status.OUT_OF_RESOURCES, comment="Storage is unavailable, send again later"
        )
    except Exception as exc:  # noqa: BLE001 - the peer must get an answer, and others their association
        note("receiver_failed", exc, association=attempt.association_id)
        return StoreOutcome(status=status.CANNOT_UNDERSTAND + 1, comment="Processing failure at the receiver")
