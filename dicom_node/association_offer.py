"""Our A-ASSOCIATE-RQ as bytes, and what a peer answered as a value; no socket is touched.

PS3.8 9.3.2 to 9.3.4, PS3.7 D.3.3. Written by pynetdicom's codecs, read with bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pynetdicom import pdu_items
from pynetdicom.pdu import A_ASSOCIATE_RQ

from dicom_node import contexts
from dicom_node.ae import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.association_request import FIXED_FIELD_BYTES, ItemBudget
from dicom_node.dial import Call
from dicom_node.errors import PeerRejected, ProtocolViolation
from dicom_node.negotiation import ACCEPTED

_CONTEXT, _USER_INFORMATION = 0x21, 0x50
_MAX_LENGTH, _IMPLEMENTATION_UID, _ROLE, _VERSION = 0x51, 0x52, 0x54, 0x55
_PERMANENT = 1

# Source and reason of PS3.8 Table 9-21, in words for the one who can mend it.
_REJECTIONS: dict[tuple[int, int], str] = {
    (1, 1): "the peer gives no reason: it may not know our address or AE title {calling}",
    (1, 2): "application context not supported: this is not a DICOM peer",
    (1, 3): "calling AE title not recognised: have {calling} added at the peer",
    (1, 7): "called AE title not recognised: check the called AE title {called}",
    (2, 1): "the peer gives no reason",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion at the peer",
    (3, 2): "local limit exceeded: the peer has too many associations",
}


@dataclass(slots=True)
class Answer:
    """What an A-ASSOCIATE-AC says."""

    contexts: dict[tuple[str, str], int] = field(default_factory=dict)
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    max_pdu_bytes: int = 0
    implementation_uid: str = ""
    implementation_version: str = ""


def encode_offer(
    call: Call,
    proposals: Mapping[int, tuple[str, str]],
    roles: Mapping[str, tuple[bool, bool]],
    *,
    max_pdu_bytes: int,
) -> bytes:
    """Write an A-ASSOCIATE-RQ: ``proposals`` are SOP class and transfer syntax by context number."""
    request = A_ASSOCIATE_RQ()
    request.called_ae_title, request.calling_ae_title = call.called_ae, call.calling_ae
    application = pdu_items.ApplicationContextItem()
    application.application_context_name = contexts.APPLICATION_CONTEXT
    length = pdu_items.MaximumLengthSubItem()
    length.maximum_length_received = max_pdu_bytes
    implementation = pdu_items.ImplementationClassUIDSubItem()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = pdu_items.ImplementationVersionNameSubItem()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    information = pdu_items.UserInformationItem()
    information.user_data = [length, implementation, *[_role(uid, *r) for uid, r in roles.items()], version]
    proposed = [_proposal(number, *pair) for number, pair in proposals.items()]
    request.variable_items = [application, *proposed, information]
    return bytes(request.encode())


def read_answer(body: bytes, proposals: Mapping[int, tuple[str, str]], *, max_items: int) -> Answer:
    """Read the variable field of an A-ASSOCIATE-AC; contexts that nobody proposed are passed over.

    Raises
    ------
    ProtocolViolation
        It cannot be read, or accepts another transfer syntax than the one that was proposed.
    """
    if len(body) < FIXED_FIELD_BYTES:
        raise ProtocolViolation("the A-ASSOCIATE-AC is too short")
    answer = Answer()
    budget = ItemBudget(max_items)
    for kind, item in budget.items(body[FIXED_FIELD_BYTES:]):
        if kind == _CONTEXT and len(item) >= 8 and item[6] == ACCEPTED and item[4] in proposals:
            pair = proposals[item[4]]
            if _transfer_syntax(item, budget) != pair[1]:
                raise ProtocolViolation(f"context {item[4]} was accepted with a syntax that was not proposed")
            answer.contexts[pair] = item[4]
        elif kind == _USER_INFORMATION:
            for sub_kind, sub_item in budget.items(item[4:]):
                _user_information(answer, sub_kind, sub_item[4:])
    return answer


def rejection(body: bytes, call: Call) -> PeerRejected:
    """What an A-ASSOCIATE-RJ says, in words; result 1 is permanent, 2 transient (PS3.8 9.3.4)."""
    result, source, reason = body[1], body[2], body[3]
    words = _REJECTIONS.get((source, reason), "for a reason that DICOM does not know")
    words = words.format(calling=call.calling_ae, called=call.called_ae)
    return PeerRejected(f"rejected ({result},{source},{reason}): {words}", lasting=result == _PERMANENT)


def _transfer_syntax(item: bytes, budget: ItemBudget) -> str:
    for _, sub_item in budget.items(item[8:]):
        return sub_item[4:].decode("ascii", "replace").strip(" \0")
    return ""


def _user_information(answer: Answer, kind: int, value: bytes) -> None:
    if kind == _MAX_LENGTH:
        answer.max_pdu_bytes = int.from_bytes(value[:4], "big")
    elif kind == _IMPLEMENTATION_UID:
        answer.implementation_uid = value[:64].decode("ascii", "replace").strip(" \0")
    elif kind == _VERSION:
        answer.implementation_version = value[:16].decode("ascii", "replace").strip(" \0")
    elif kind == _ROLE and len(value) >= 4:
        size = int.from_bytes(value[:2], "big")
        if len(value) == size + 4:
            uid = value[2 : 2 + size].decode("ascii", "replace").strip(" \0")
            answer.roles[uid] = (value[-2] == 1, value[-1] == 1)


def _proposal(number: int, abstract: str, transfer: str) -> pdu_items.PresentationContextItemRQ:
    item = pdu_items.PresentationContextItemRQ()
    item.presentation_context_id = number
    abstract_item = pdu_items.AbstractSyntaxSubItem()
    abstract_item.abstract_syntax_name = abstract
    transfer_item = pdu_items.TransferSyntaxSubItem()
    transfer_item.transfer_syntax_name = transfer
    item.abstract_transfer_syntax_sub_items = [abstract_item, transfer_item]
    return item


def _role(uid: str, scu: bool, scp: bool) -> pdu_items.SCP_SCU_RoleSelectionSubItem:
    item = pdu_items.SCP_SCU_RoleSelectionSubItem()
    item.sop_class_uid, item.scu_role, item.scp_role = uid, int(scu), int(scp)
    return item
