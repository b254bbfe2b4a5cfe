"""C-ECHO (PS3.7 9.1.5, PS3.4 Annex A): says that we are here, and nothing about who asks."""

from __future__ import annotations

from dicom_node import contexts, status
from dicom_node.data_plane import Message
from dicom_node.errors import ProtocolViolation
from dicom_node.negotiation import ContextAnswer
from dicom_node.receiver import StoreOutcome


def echo(message: Message, context: ContextAnswer) -> StoreOutcome:
    """Success on a Verification context."""
    if message.data_set is not None:
        raise ProtocolViolation("C-ECHO-RQ with a data set", source=0, reason=0)
    if context.abstract_syntax != contexts.VERIFICATION:
        return StoreOutcome(
            status=status.SOP_CLASS_NOT_SUPPORTED, comment="C-ECHO outside a Verification context"
        )
    return StoreOutcome(status=status.SUCCESS)
