"""One Store Transaction, part by part, in a thread of its own: the same corridor as every other instance, and no HTTP in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import structlog

from dicom_node import status, stow
from dicom_node.errors import AssociationOver, InstanceTooLarge, PeerLost
from dicom_node.multipart import MultipartBody, Part, PartStream
from dicom_node.receiver import AssociationEnd, HowItEnded, ReceivedInstance, StoreOutcome
from dicom_node.stow import Cause, Failure, Kept, OpenedInstance, StoreAnswer
from gateway.domain.errors import (
    ConsiliumError,
    NotFoundError,
    TooManyError,
    UnavailableError,
    UnknownCaseError,
)
from gateway.domain.people import Actor
from gateway.doors.machine.pipe import BodyPipe, NoLongerAdmitted
from gateway.doors.peer_book import PeerBook
from gateway.doors.troubles import Troubles
from gateway.journeys.admit_sender import Sender
from gateway.journeys.check_room import room_for
from gateway.journeys.know_peer import note_association, note_refusal
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.refuse_instance import refusal_of
from gateway.ports import House
from storage import StorageError, StoreFullError, TooLargeError

log = structlog.get_logger(__name__)

STOW = "STOW-RS: "  # so begins every reason in the audit that this door writes of a request
DRAIN_BYTES = 64 << 20
MOST_UNNAMED_NOTED = 100
_CAUSES: tuple[tuple[type[Exception], Cause], ...] = (
    (TooLargeError, "too_large"),
    (InstanceTooLarge, "too_large"),
    (StoreFullError, "full"),
    (TooManyError, "full"),  # the peer's own quota
    (StorageError, "down"),
    (UnavailableError, "down"),
    (UnknownCaseError, ""),
    (NotFoundError, "down"),  # ours to find
    (Exception, ""),
)


class StoreTransaction:
    """Keeps what comes through ``pipe`` and gathers the answer; `run` is called once, by one thread.

    Parameters
    ----------
    boundary
        Of a multipart body; None where the body is a single object.
    book
        Meters what the peer may send in a day.
    troubles
        Hears of what the store refuses.
    study_uid
        The study that the address names; empty where it names none.
    """

    def __init__(
        self,
        house: House,
        sender: Sender,
        pipe: BodyPipe,
        *,
        book: PeerBook,
        troubles: Troubles,
        address: str,
        request_id: str,
        boundary: bytes | None,
        study_uid: str,
    ) -> None:
        self.answer = StoreAnswer()
        self.over: AssociationOver | None = None
        self._house, self._sender, self._pipe, self._book = house, sender, pipe, book
        self._source = Actor(kind="peer", id=sender.ae_title, address=address)
        self._troubles = troubles
        self._request_id, self._boundary, self._study_uid = request_id, boundary, study_uid
        self._unnamed = 0

    def run(self) -> None:
        """Take every part; afterwards ``over`` says why the body was not read to its end, or is None."""
        try:
            for part in self._parts():
                self._take(part)
        except AssociationOver as over:
            self.over = over
            if not isinstance(over, PeerLost | NoLongerAdmitted):
                with suppress(AssociationOver):  # so that the sender gets to read the answer
                    self._pipe.drain(DRAIN_BYTES)
        finally:
            self._note_end()

    def _parts(self) -> Iterator[Part]:
        if self._boundary is None:
            yield Part(headers={}, content=PartStream(self._pipe.readinto))
            return
        body = MultipartBody(self._pipe.take, boundary=self._boundary)
        while (part := body.next_part()) is not None:
            yield part
        body.skip_epilogue()

    def _take(self, part: Part) -> None:
        content = part.content
        content.cap_bytes = self._sender.may.max_instance_bytes
        result = stow.refused_part(part.headers) or self._keep(content)
        if content.broken is not None and not isinstance(content.broken, InstanceTooLarge):
            raise content.broken  # whatever was made of it, the object is not whole
        if isinstance(result, Kept):
            self.answer.kept.append(result)
            return
        self.answer.failures.append(result)
        self._note_refusal(result)
        content.drain()

    def _keep(self, content: PartStream) -> Kept | Failure:
        """Let one object go the way of all instances, and word what became of it."""
        opened: OpenedInstance | None = None
        try:
            found = stow.open_instance(content, peer=self._sender.may, study_uid=self._study_uid)
            if isinstance(found, Failure):
                return found
            opened = found
            outcome = self._book.metered(self._arrival(opened), self._receive)
            cause: Cause = ""
        except (ConsiliumError, StorageError, InstanceTooLarge) as error:
            outcome, cause = _refusal(error)
            log.warning("instance_refused", association=self._request_id, error=type(error).__name__)
        except AssociationOver:
            raise
        except Exception as error:  # noqa: BLE001  # the boundary: whatever it is, the sender must keep its copy and the audit must know
            outcome, cause = _refusal(error)
            log.error("instance_failed", association=self._request_id, error=type(error).__name__)
        sop_class_uid = opened.meta.sop_class_uid if opened else ""
        sop_instance_uid = opened.meta.sop_instance_uid if opened else ""
        if status.is_kept(outcome.status):
            return Kept(
                sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid, warning=outcome.status
            )
        return Failure(
            reason=outcome.status,
            comment=outcome.comment,
            cause=cause,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
        )

    def _receive(self, arrival: ReceivedInstance) -> StoreOutcome:
        house = self._house
        with self._troubles.told(), room_for(room=house.room):
            return receive_instance(
                arrival,
                source=self._source,
                records=house.records,
                store=house.store,
                clock=house.clock,
                policy=house.policy,
            )

    def _arrival(self, opened: OpenedInstance) -> ReceivedInstance:
        return ReceivedInstance(
            sop_class_uid=opened.meta.sop_class_uid,
            sop_instance_uid=opened.meta.sop_instance_uid,
            transfer_syntax_uid=opened.meta.transfer_syntax_uid,
            calling_ae=self._sender.ae_title,
            called_ae=self._sender.called,
            address=self._source.address,
            association_id=self._request_id,
            head=opened.head,
            stream=opened.data_set,
        )

    def _note_refusal(self, failure: Failure) -> None:
        """Tell the audit; of parts that are no objects at all, the first ones only, and the sum at the end."""
        if not failure.is_named:
            self._unnamed += 1
            if self._unnamed > MOST_UNNAMED_NOTED:
                return
        try:
            note_refusal(
                association_id=self._request_id,
                calling_ae=self._sender.ae_title,
                called_ae=self._sender.called,
                address=self._source.address,
                status=failure.reason,
                why=failure.comment,
                records=self._house.records,
            )
        except ConsiliumError as error:
            log.error("refusal_not_audited", association=self._request_id, error=type(error).__name__)

    def _note_end(self) -> None:
        refused = len(self.answer.failures)
        why = f"{refused} refused; {self.over}" if self.over else f"{refused} refused"
        end = AssociationEnd(
            association_id=self._request_id,
            calling_ae=self._sender.ae_title,
            called_ae=self._sender.called,
            address=self._source.address,
            how=cast("HowItEnded", self.over.how) if self.over else "released",
            instances_kept=len(self.answer.kept),
            why=STOW + why,
        )
        try:
            note_association(end, records=self._house.records)
        except ConsiliumError as error:
            log.error("association_end_not_audited", association=self._request_id, error=type(error).__name__)


def _refusal(error: Exception) -> tuple[StoreOutcome, Cause]:
    cause = next(cause for kind, cause in _CAUSES if isinstance(error, kind))
    return refusal_of(TooLargeError() if cause == "too_large" else error), cause
