"""Verifying the audit trail from its first event to its signed heads, and signing a head now and then."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass

from gateway.domain.audit import AuditEvent, Checkpoint, Flaw, flaws, public_key, read_checkpoint
from gateway.domain.errors import UnavailableError
from gateway.domain.people import HOUSE, Actor
from gateway.journeys.lookup import house_secret
from gateway.ports import Records, Witness
from storage import SealedStore

_LABEL = b"audit-checkpoint"
_SIGNED = "audit_signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """What a verification found: how many events and checkpoints it read, and every flaw."""

    events: int
    head: str
    checkpoints: int
    flaws: tuple[Flaw, ...]
    public_key: str


def verify_audit(
    *, by: Actor, records: Records, store: SealedStore, witness: Witness, origin: str
) -> AuditVerdict:
    """Recompute the whole chain and hold it against the witnessed heads, which a cut or a rollback cannot match."""
    notes = witness.notes()
    with records.view() as view:
        seed = house_secret(view, store, _LABEL)
        head_seq, head_hash = view.head()
        checkpoints = [read_checkpoint(note, public=public_key(seed)) for note in notes]
        wanted = {c.size: c.hash for c in checkpoints if c is not None}
        seen: dict[int, str] = {}
        signed: set[int] = set()

        def watched(event: AuditEvent) -> AuditEvent:
            if event.kind == _SIGNED:
                signed.add(int(event.details.get("size", 0)))
            if event.seq in wanted:
                seen[event.seq] = event.hash
            return event

        found = list(flaws((watched(e) for e in view.events()), head_seq=head_seq, head_hash=head_hash))
    for number, checkpoint in enumerate(checkpoints, 1):
        if checkpoint is None or checkpoint.origin != origin:
            found.append(
                Flaw(
                    seq=0, kind="unsigned", what=f"checkpoint {number} does not carry this house's signature"
                )
            )
        elif checkpoint.size > head_seq:
            found.append(
                Flaw(
                    seq=head_seq,
                    kind="cut",
                    what=f"a checkpoint saw event {checkpoint.size}, the trail ends at {head_seq}",
                )
            )
        elif checkpoint.size and seen.get(checkpoint.size) != checkpoint.hash:
            found.append(
                Flaw(
                    seq=checkpoint.size,
                    kind="forked",
                    what=f"event {checkpoint.size} is not the one that was witnessed",
                )
            )
    found += [
        Flaw(
            seq=size,
            kind="unwitnessed",
            what=f"the signed head of event {size} is not with the witness any more",
        )
        for size in sorted(signed - set(wanted))
    ]
    # a trail that is damaged may not take the event; its flaws are told all the same
    with suppress(UnavailableError) if found else nullcontext(), records.change(by=by) as change:
        change.note("audit_verified", outcome="flawed" if found else "ok", events=head_seq, flaws=len(found))
    key = public_key(seed).public_bytes_raw().hex()
    return AuditVerdict(
        events=head_seq, head=head_hash, checkpoints=len(notes), flaws=tuple(found), public_key=key
    )


def checkpoint_audit(
    *, records: Records, store: SealedStore, witness: Witness, origin: str
) -> Checkpoint | None:
    """Sign the head, hand it to the witness and tell the trail so; nothing is done where nothing else has happened since.

    The event makes a note that is taken away from the witness a flaw like any other.
    """
    with records.view() as view:
        seed = house_secret(view, store, _LABEL)
        size, head = view.head()
        newest = next(view.events(after=size - 1, limit=1), None) if size else None
    if newest is None or newest.kind == _SIGNED:
        return None
    checkpoint = Checkpoint(origin=origin, size=size, hash=head)
    witness.publish(checkpoint.signed(seed))
    with records.change(by=HOUSE) as change:
        change.note(_SIGNED, size=size)
    return checkpoint
