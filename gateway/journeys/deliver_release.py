"""Sending a release to a peer by C-STORE: allowed anew before each association and twice a second, written down as it goes.

The promise «only what is approved leaves» is kept three times: (1) `ask_delivery` takes an approved release only; (2) what is
sent comes from its manifest, whose digest is the approval's, and copies are verified as they are read; (3) `_Watch` asks
the records again while bytes flow, and ends the association when the answer has changed.

A worker that is killed leaves its outcomes in the row: the next one sends what is not kept there. Between two writes an
instance can be kept by the peer and not be written yet; it is sent once more then, under the same UID.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import Final

from dicom_node.receiver import PeerCertificate
from dicom_node.scu import Patience, SendOutcome, send
from gateway.domain.calls import CallRules
from gateway.domain.delivery import (
    BY_HUMAN,
    DAY_OVER,
    KEPT,
    NO_ANSWER,
    NO_CONTEXT,
    SOME_REFUSED,
    UNREADABLE,
    Delivery,
    is_final,
    wait_after,
)
from gateway.domain.errors import ConflictError, ConsiliumError
from gateway.domain.ids import new_id
from gateway.domain.peer import Peer
from gateway.domain.people import HOUSE
from gateway.domain.policy import Policy
from gateway.journeys.admit_peer import proof_of
from gateway.journeys.ask_delivery import JOB, objection
from gateway.journeys.call_peer import call_of
from gateway.journeys.end_delivery import end_delivery
from gateway.journeys.open_release import read_manifest
from gateway.journeys.outbound_copies import outbound_copies
from gateway.ports import Change, Clock, Records
from storage import ObjectMissingError, SealBrokenError, SealedStore, StorageError

WATCH_EVERY_S: Final = 0.5
WRITE_EVERY_S: Final = 2.0
WRITE_EVERY: Final = 500
# One worker is never held for longer than this by one delivery: intake and de-identification have their turn.
SLICE_S: Final = 60.0
PATIENCE: Final = Patience(setbacks=3, wait_s=1.0, most_wait_s=8.0)
# Where a peer is called, and by what it proves itself.
_WHERE: Final = ("address", "calls_by_tls", "certificates", "names")
_NO_STATUS: Final = {"not_accepted": NO_CONTEXT, "unreadable": UNREADABLE, "unanswered": NO_ANSWER}


class _HaltedError(Exception):
    """Nothing more may be sent; the message is why, and empty when the delivery is not this worker's any more."""


class _MovedError(Exception):
    """The peer is reached or proven otherwise than when this call was made ready."""


def deliver_release(
    delivery_id: str,
    *,
    records: Records,
    store: SealedStore,
    clock: Clock,
    policy: Policy,
    calls: CallRules,
    patience: Patience = PATIENCE,
    slice_s: float = SLICE_S,
) -> None:
    """Send what the peer has not kept yet, and owe the rest to a later job."""
    delivery = _begin(delivery_id, records=records, clock=clock)
    if delivery is None:
        return
    book = _Book(delivery, records=records, clock=clock)
    try:
        _send(delivery, book, store=store, policy=policy, calls=calls, patience=patience, slice_s=slice_s)
    except _HaltedError as halted:
        book.halt(str(halted))
        return
    except _MovedError:
        book.is_cut_off = True  # the next slice calls it as it is now
    except (ConflictError, SealBrokenError, ObjectMissingError) as error:
        book.refused = str(error)  # what is not as it was approved is not sent, today or tomorrow
    except (ConsiliumError, StorageError) as error:
        book.setback = str(error)  # ours to mend: nothing was refused, so it is tried again
    book.close()


def _begin(delivery_id: str, *, records: Records, clock: Clock) -> Delivery | None:
    """Take the delivery over, if it is still allowed; a run before this one can write nothing more."""
    with records.view() as view:
        delivery = view.deliveries.first(id=delivery_id)
    if delivery is None or not delivery.is_open:
        return None
    with records.change(by=HOUSE) as change:
        delivery = change.deliveries.get(delivery_id)
        if why := objection(change, delivery):
            end_delivery(change, delivery, state="stopped", why=why, now=clock.now())
            return None
        peer = change.peers.get(delivery.peer)
        delivery = replace(delivery, state="sending", run=new_id(), next_at=None)
        change.deliveries.set(delivery.id, state="sending", run=delivery.run, next_at=None)
        change.note(
            "delivery_progressed",
            case_id=delivery.case_id,
            subject=delivery.id,
            outcome="begun",
            peer=delivery.peer,
            kept=delivery.sent,
            left=delivery.total - delivery.sent,
            at=peer.address,
            proof=proof_of(peer) if peer.calls_by_tls else "none",
        )
    return delivery


def _send(
    delivery: Delivery,
    book: _Book,
    *,
    store: SealedStore,
    policy: Policy,
    calls: CallRules,
    patience: Patience,
    slice_s: float,
) -> None:
    records = book.records
    with records.view() as view:
        release = view.releases.get(delivery.release_id)
        peer = view.peers.get(delivery.peer)
        key = view.key(release.holder, "releases")
    watch = _Watch(delivery, peer, records=records)
    call = call_of(peer, policy=policy, rules=calls, on_proven=book.proven)
    manifest = read_manifest(release, records=records, store=store)
    done = [copy for copy, outcome in delivery.outcomes.items() if is_final(outcome[0])]
    copies = list(outbound_copies(manifest, done=done, key=key, records=records, store=store, beat=watch))
    until = time.monotonic() + slice_s
    with closing(send(call, [item for _, item in copies], patience=patience, beat=watch)) as outcomes:
        for (copy_id, _), outcome in zip(copies, outcomes, strict=False):
            book.take(copy_id, outcome)
            if time.monotonic() > until:
                book.is_cut_off = True
                return


class _Watch:
    """Asks the records whether this may still go on, and there; twice a second is often enough, and cheap."""

    def __init__(self, delivery: Delivery, peer: Peer, *, records: Records) -> None:
        self._delivery, self._records = delivery, records
        self._where = tuple(getattr(peer, name) for name in _WHERE)
        self._next = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        with self._records.view() as view:
            rows = view.deliveries.pick(("state", "run"), id=self._delivery.id)
            why = objection(view, self._delivery) if rows else ""
            where = view.peers.pick(_WHERE, ae_title=self._delivery.peer)
        if not rows or rows[0][1] != self._delivery.run:
            raise _HaltedError(BY_HUMAN if rows and rows[0][0] == "stopped" else "")
        if why:
            raise _HaltedError(why)
        if tuple(where[0]) != self._where:
            raise _MovedError
        self._next = now + WATCH_EVERY_S


class _Book:
    """The outcomes of one run: gathered, written every two seconds, and drawn up at its end."""

    def __init__(self, delivery: Delivery, *, records: Records, clock: Clock) -> None:
        self.records = records
        self.is_cut_off = False
        self.refused = ""  # why calling again cannot help
        self._delivery, self._clock = delivery, clock
        self._fresh: dict[str, list[str]] = {}
        self.setback = ""  # why the last try came to nothing
        self._certificate = ""
        self._unwritten = 0
        self._kept_here = 0
        self._written_at = time.monotonic()

    def proven(self, shown: PeerCertificate) -> None:
        """Note the certificate by which the peer takes what follows."""
        self._certificate = shown.spki_sha256[:16]

    def take(self, copy_id: str, outcome: SendOutcome) -> None:
        """Note one outcome, and write when it is time."""
        status = _NO_STATUS.get(outcome.how) or f"{outcome.status or 0:04X}"
        self._fresh[copy_id] = [status, outcome.why[:200]]  # a peer's comment may name a patient
        self._kept_here += status in KEPT
        if outcome.why:
            self.setback = outcome.why
        if outcome.how == "unanswered" and outcome.lasting:
            self.refused = outcome.why
        self._unwritten += 1
        if self._unwritten >= WRITE_EVERY or time.monotonic() - self._written_at > WRITE_EVERY_S:
            self._write()

    def close(self) -> None:
        """The run came to its end: all kept, to be gone on with later, or incomplete."""
        if self._unwritten:
            self._write()
        now = self._clock.now()
        tries = 0 if self._kept_here else self._delivery.tries + 1
        due_at = now if self.is_cut_off else now + wait_after(tries)
        with self.records.change(by=HOUSE) as change:
            row = change.deliveries.first(id=self._delivery.id)
            if row is None or not self._is_mine(row):
                self._note(change, "superseded", kept=self._kept_here)
                return
            is_over = due_at > row.give_up_at
            if row.sent >= row.total:
                end_delivery(change, row, state="sent", why="", now=self._clock.now())
            elif self.refused or is_over or row.sent + row.failed >= row.total:
                why = self.refused or (DAY_OVER if is_over else SOME_REFUSED)
                end_delivery(change, row, state="incomplete", why=why, now=self._clock.now())
            else:
                error = "" if self.is_cut_off else self.setback[:200]
                change.deliveries.set(
                    row.id, state="queued", run="", tries=tries, next_at=due_at, error=error
                )
                change.owe(JOB, row.id, due_at=due_at, case_id=row.case_id)
                outcome = "cut_off" if self.is_cut_off else "not_yet"
                self._note(change, outcome, kept=self._kept_here, left=row.total - row.sent)

    def halt(self, why: str) -> None:
        """Nothing more may be sent: tell what was, and end the delivery unless somebody else has."""
        if self._unwritten:
            self._write()
        with self.records.change(by=HOUSE) as change:
            row = change.deliveries.first(id=self._delivery.id)
            if row is not None and self._is_mine(row):
                end_delivery(change, row, state="stopped", why=why, now=self._clock.now())
            else:
                self._note(change, "aborted", kept=self._kept_here)

    def _write(self) -> None:
        """Tell the audit and the row. What the peer kept is written even when the delivery is not ours any more."""
        with self.records.change(by=HOUSE) as change:
            row = change.deliveries.first(id=self._delivery.id)
            proof = {"certificate": self._certificate} if self._certificate else {}
            self._note(change, "ok", instances=self._unwritten, kept=self._kept_here, **proof)
            if row is not None:
                mine = self._is_mine(row)
                outcomes = row.outcomes | {
                    copy: outcome for copy, outcome in self._fresh.items() if mine or outcome[0] in KEPT
                }
                statuses = [outcome[0] for outcome in outcomes.values()]
                sent = sum(status in KEPT for status in statuses)
                change.deliveries.set(
                    row.id,
                    outcomes=outcomes,
                    sent=sent,
                    warned=sent - statuses.count("0000"),
                    failed=sum(is_final(status) for status in statuses) - sent,
                )
        self._fresh.clear()
        self._unwritten = 0
        self._written_at = time.monotonic()

    def _is_mine(self, row: Delivery) -> bool:
        return row.state == "sending" and row.run == self._delivery.run

    def _note(self, change: Change, outcome: str, **details: str | int) -> None:
        change.note(
            "delivery_progressed",
            case_id=self._delivery.case_id,
            subject=self._delivery.id,
            outcome=outcome,
            peer=self._delivery.peer,
            **details,
        )
