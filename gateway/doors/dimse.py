"""The door for PACS: implements the node's ``Receiver`` with the journeys, and words their refusals as DIMSE statuses."""

from __future__ import annotations

import structlog

from dicom_node import status
from dicom_node.errors import AssociationOver
from dicom_node.receiver import (
    TEMPORARY_CONGESTION,
    Admitted,
    AssociationAttempt,
    AssociationEnd,
    CommitmentRequest,
    CommitmentResult,
    ReceivedInstance,
    Refused,
    StoreOutcome,
)
from gateway.domain.errors import ConsiliumError
from gateway.domain.people import HOUSE, Actor
from gateway.doors.peer_book import PeerBook
from gateway.doors.troubles import Troubles
from gateway.journeys.check_room import room_for
from gateway.journeys.commit_storage import ask_commitment
from gateway.journeys.know_peer import note_association, note_refusal
from gateway.journeys.place_study import PlaceMemo
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.refuse_instance import refusal_of
from gateway.journeys.report_commitment import claim_report, settle_report
from gateway.ports import House
from storage import StorageError

log = structlog.get_logger()


class DimseDoor:
    """Implements ``dicom_node.receiver.Receiver``; called from one thread per association."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._book = PeerBook(house)
        self._troubles = Troubles(house, "dicom")
        self._memo = PlaceMemo()

    def admit(self, attempt: AssociationAttempt) -> Admitted | Refused:
        """Decide by the peers' rows as they are now; a change ends established associations within a second."""
        answer = self._book.admit(attempt)
        if isinstance(answer, Admitted) and answer.may_store and (lack := self._house.room.lack()):
            result, source, reason = (
                TEMPORARY_CONGESTION  # D13: whoever is not known is told no more than always
            )
            return Refused(result=result, source=source, reason=reason, why=str(lack))
        return answer

    def receive(self, instance: ReceivedInstance) -> StoreOutcome:
        """Keep one instance, or say why not: in the status, in the comment, and in the audit."""
        house = self._house
        source = Actor(kind="peer", id=instance.calling_ae.strip(), address=instance.address)

        def keep(arrival: ReceivedInstance) -> StoreOutcome:
            with self._troubles.told(), room_for(room=house.room):
                return receive_instance(
                    arrival,
                    source=source,
                    records=house.records,
                    store=house.store,
                    clock=house.clock,
                    policy=house.policy,
                    memo=self._memo,
                )

        try:
            outcome = self._book.metered(instance, keep)
        except AssociationOver:
            raise
        except (ConsiliumError, StorageError) as error:
            outcome = refusal_of(error)
            log.warning("instance_refused", association=instance.association_id, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001  # the boundary: whatever it is, the sender must keep its copy and the audit must know
            outcome = refusal_of(error)
            log.error("instance_failed", association=instance.association_id, error=type(error).__name__)
        if not status.is_kept(outcome.status):
            self._note_refusal(instance, outcome)
        return outcome

    def commit(self, request: CommitmentRequest) -> StoreOutcome:
        """Take on a storage commitment; what is wrong on our side is told as such, and the sender asks again."""
        source = Actor(kind="peer", id=request.calling_ae.strip(), address=request.address)
        try:
            return ask_commitment(
                request, source=source, records=self._house.records, clock=self._house.clock
            )
        except (ConsiliumError, StorageError) as error:
            log.warning("commitment_refused", association=request.association_id, error=type(error).__name__)
            return StoreOutcome(status=status.RESOURCE_LIMITATION, comment="Not taken on, ask again later")

    def report_due(self, attempt: AssociationAttempt) -> CommitmentResult | None:
        """Claim the report that this association may make."""
        return claim_report(
            attempt.calling_ae.strip(),
            attempt.association_id,
            address=attempt.address,
            records=self._house.records,
            clock=self._house.clock,
        )

    def reported(self, result_id: str, *, status: int | None, why: str = "") -> None:
        """Keep what the peer answered to a report."""
        settle_report(
            result_id,
            status=status,
            why=why,
            by=HOUSE,
            records=self._house.records,
            clock=self._house.clock,
        )

    def refused(self, attempt: AssociationAttempt, outcome: StoreOutcome) -> None:
        """Tell the audit what the node refused before it asked here."""
        self._note_refusal(attempt, outcome)

    def ended(self, end: AssociationEnd) -> None:
        """Tell the audit of refusals and broken associations."""
        try:
            note_association(end, records=self._house.records)
        except ConsiliumError as error:
            log.error(
                "association_end_not_audited", association=end.association_id, error=type(error).__name__
            )

    def _note_refusal(self, of: ReceivedInstance | AssociationAttempt, outcome: StoreOutcome) -> None:
        try:
            note_refusal(
                association_id=of.association_id,
                calling_ae=of.calling_ae,
                called_ae=of.called_ae,
                address=of.address,
                status=outcome.status,
                why=outcome.comment,
                records=self._house.records,
            )
        except ConsiliumError as error:
            log.error("refusal_not_audited", association=of.association_id, error=type(error).__name__)
