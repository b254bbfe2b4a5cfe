"""The pure decision about an association: request and peer in, answer or exact refusal out; no socket, no clock.

PS3.8 9.3.3 and 9.3.4, PS3.7 D.3.3. The same request for the same peer always gets the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.config import IGNORE
from pydicom.uid import UID
from pynetdicom import pdu_items
from pynetdicom.pdu import A_ASSOCIATE_AC

from dicom_node import commitment, contexts
from dicom_node.ae import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Limits, is_ae_title
from dicom_node.association_request import AssociationRequest, ProposedContext
from dicom_node.receiver import CALLED_AE_NOT_RECOGNISED, CALLING_AE_NOT_RECOGNISED, Admitted, Refused

# Result of a presentation context (PS3.8 Table 9-18).
ACCEPTED, USER_REJECTION, ABSTRACT_NOT_SUPPORTED, TRANSFER_NOT_SUPPORTED = 0, 1, 3, 4

# Storage commitment carries small data sets of its own, never an object (PS3.5 10.1).
_PLAIN = frozenset({contexts.IMPLICIT_LITTLE, contexts.EXPLICIT_LITTLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextAnswer:
    """One presentation context as answered; ``transfer_syntax`` means something only when accepted."""

    context_id: int
    abstract_syntax: str
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The association stands: what to send, and the contexts by number."""

    answers: tuple[ContextAnswer, ...]
    contexts: dict[int, ContextAnswer]
    peer_max_pdu_bytes: int  # 0: no limit


def refusal(result: tuple[int, int, int], why: str) -> Refused:
    """An A-ASSOCIATE-RJ from one of the triples of `dicom_node.receiver`."""
    return Refused(result=result[0], source=result[1], reason=result[2], why=why)


def well_formed(request: AssociationRequest, limits: Limits) -> Refused | None:
    """What can be refused before anybody asks who it is."""
    if not request.protocol_version & 1:
        return refusal((1, 2, 2), "protocol version 1 is not offered")
    if request.application_context != contexts.APPLICATION_CONTEXT:
        return refusal((1, 1, 2), "the application context is not DICOM's")
    if not is_ae_title(request.calling_ae):
        return refusal(CALLING_AE_NOT_RECOGNISED, "the calling AE title is empty or malformed")
    if not is_ae_title(request.called_ae):
        return refusal(CALLED_AE_NOT_RECOGNISED, "the called AE title is empty or malformed")
    if request.identity_type is not None and limits.user_identity == "refuse":
        return refusal((1, 1, 1), "user identity negotiation is refused here")
    return None


def accept(request: AssociationRequest, peer: Admitted) -> Accepted:
    """Answer every proposed context for an admitted peer (PS3.8 9.3.3.2)."""
    answers = tuple(_answer(proposed, request, peer) for proposed in request.contexts)
    return Accepted(
        answers=answers,
        contexts={answer.context_id: answer for answer in answers if answer.result == ACCEPTED},
        peer_max_pdu_bytes=request.max_pdu_bytes,
    )


def _answer(proposed: ProposedContext, request: AssociationRequest, peer: Admitted) -> ContextAnswer:
    result, transfer_syntax = _abstract_result(proposed.abstract_syntax, request, peer), None
    if result == ACCEPTED:
        # The sender's own order decides: its first choice is what it holds, and nothing is transcoded here.
        known = _transfer_syntaxes(proposed.abstract_syntax, peer)
        transfer_syntax = next((syntax for syntax in proposed.transfer_syntaxes if syntax in known), None)
        if transfer_syntax is None:
            result = TRANSFER_NOT_SUPPORTED
    return ContextAnswer(
        context_id=proposed.context_id,
        abstract_syntax=proposed.abstract_syntax,
        result=result,
        # Not significant when refused, but must be there (PS3.8 9.3.3.2).
        transfer_syntax=transfer_syntax or contexts.IMPLICIT_LITTLE,
    )


def _transfer_syntaxes(uid: str, peer: Admitted) -> frozenset[str]:
    if uid == commitment.SOP_CLASS:
        return _PLAIN
    if uid == contexts.VERIFICATION or peer.transfer_syntaxes is None:
        return contexts.TRANSFER_SYNTAXES
    return contexts.TRANSFER_SYNTAXES & peer.transfer_syntaxes


def _abstract_result(uid: str, request: AssociationRequest, peer: Admitted) -> int:
    if uid == contexts.VERIFICATION:
        permitted = peer.may_echo
    elif uid == commitment.SOP_CLASS:
        permitted = peer.may_commit
    elif contexts.is_standard_storage(uid) or _declared_storage(uid, request):
        permitted = peer.may_store and (peer.sop_classes is None or uid in peer.sop_classes)
    elif contexts.is_private(uid):
        if not peer.private_sop_classes:
            return ABSTRACT_NOT_SUPPORTED
        permitted = peer.may_store and (peer.sop_classes is None or uid in peer.sop_classes)
    else:
        return ABSTRACT_NOT_SUPPORTED
    # The acceptor is SCP only: who insists on not being SCU has nothing to do here (PS3.7 D.3.3.4).
    scu, _ = request.roles.get(uid, (True, False))
    return ACCEPTED if permitted and scu else USER_REJECTION


def _declared_storage(uid: str, request: AssociationRequest) -> bool:
    """SOP Class Common Extended Negotiation tells that a class unknown to us is one of storage (D.3.3.6)."""
    declared = request.service_classes.get(uid) == contexts.STORAGE_SERVICE_CLASS
    return declared and uid not in contexts.KNOWN_SOP_CLASSES


def encode_accept(request: AssociationRequest, accepted: Accepted, limits: Limits) -> bytes:
    """The A-ASSOCIATE-AC, written by pynetdicom's codecs."""
    answer = A_ASSOCIATE_AC()
    answer.reserved_aet, answer.reserved_aec = "X", "X"
    application = pdu_items.ApplicationContextItem()
    application.application_context_name = contexts.APPLICATION_CONTEXT
    answer.variable_items = [application, *map(_context_item, accepted.answers)]
    answer.variable_items.append(_user_information(request, accepted, limits))
    encoded = bytearray(answer.encode())
    # "shall be sent with a value identical to the value received" (PS3.8 Table 9-17), whatever it was.
    encoded[10:74] = request.echoed
    return bytes(encoded)


def _context_item(answer: ContextAnswer) -> pdu_items.PresentationContextItemAC:
    item = pdu_items.PresentationContextItemAC()
    item.presentation_context_id = answer.context_id
    item.result_reason = answer.result
    syntax = pdu_items.TransferSyntaxSubItem()
    syntax.transfer_syntax_name = answer.transfer_syntax
    item.transfer_syntax_sub_item = [syntax]
    return item


def _user_information(
    request: AssociationRequest, accepted: Accepted, limits: Limits
) -> pdu_items.UserInformationItem:
    length = pdu_items.MaximumLengthSubItem()
    length.maximum_length_received = limits.max_pdu_bytes
    implementation = pdu_items.ImplementationClassUIDSubItem()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = pdu_items.ImplementationVersionNameSubItem()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    sub_items = [length, implementation]
    if request.async_ops:  # one operation at a time, said aloud (D.3.3.3)
        window = pdu_items.AsynchronousOperationsWindowSubItem()
        window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 1
        sub_items.append(window)
    answered = {answer.abstract_syntax for answer in accepted.contexts.values()}
    # A UID that pydicom dislikes gets no answer, which means the same (D.3.3.4): its codec would warn in the peer's words.
    for uid in sorted(uid for uid in answered & request.roles.keys() if UID(uid, IGNORE).is_valid):
        role = pdu_items.SCP_SCU_RoleSelectionSubItem()
        role.sop_class_uid, role.scu_role, role.scp_role = uid, 1, 0
        sub_items.append(role)
    sub_items.append(version)
    information = pdu_items.UserInformationItem()
    information.user_data = sub_items
    return information
