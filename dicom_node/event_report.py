"""N-EVENT-REPORT on an association that we open as SCP of storage commitment; who is told what is decided elsewhere.

PS3.4 J.3.3, PS3.7 10.1.1 and D.3.3.4: the requestor is SCP here, which role selection must say.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dicom_node import command as dimse
from dicom_node import commitment, contexts
from dicom_node.errors import AssociationOver, PeerUnreachable
from dicom_node.receiver import CommitmentResult
from dicom_node.requestor import Answer, Call, OutboundAssociation

_PAIRS = [(commitment.SOP_CLASS, syntax) for syntax in (contexts.EXPLICIT_LITTLE, contexts.IMPLICIT_LITTLE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What became of one result: the peer's status, or None and why there is none."""

    result_id: str
    status: int | None
    why: str = ""


def report(call: Call, results: Sequence[CommitmentResult]) -> Iterator[Reported]:
    """Report each result in turn and yield what the peer answered; raises nothing of the network's.

    A peer that accepts the context and says nothing of the role is told all the same: many a sender's listener does not
    know role selection, and one that minds will say so by its status.
    """
    left = list(results)
    try:
        with OutboundAssociation(call, _PAIRS, roles={commitment.SOP_CLASS: (False, True)}) as association:
            pair = _usable(association.answer)
            while left:
                yield _one(association, pair, left[0])
                del left[0]
    except (PeerUnreachable, AssociationOver) as exc:
        for result in left:
            yield Reported(result_id=result.id, status=None, why=str(exc))


def _usable(answer: Answer) -> tuple[str, str]:
    pair = next((pair for pair in _PAIRS if pair in answer.contexts), None)
    if pair is None:
        raise PeerUnreachable("the peer answers, but does not accept storage commitment")
    if not answer.roles.get(commitment.SOP_CLASS, (False, True))[1]:
        raise PeerUnreachable("the peer answers, but does not accept our role as SCP of storage commitment")
    return pair


def _one(association: OutboundAssociation, pair: tuple[str, str], result: CommitmentResult) -> Reported:
    response = association.perform(
        pair,
        {
            dimse.COMMAND_FIELD: dimse.N_EVENT_REPORT_RQ,
            dimse.AFFECTED_SOP_INSTANCE_UID: commitment.SOP_INSTANCE,
            dimse.EVENT_TYPE_ID: commitment.event_type(result),
        },
        io.BytesIO(commitment.encode_result(result, pair[1])),
    )
    return Reported(
        result_id=result.id,
        status=response.number(dimse.STATUS),
        why=response.text(dimse.ERROR_COMMENT),
    )
