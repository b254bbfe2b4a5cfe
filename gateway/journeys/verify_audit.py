"""Verifying the audit trail from its first event to its signed heads, and signing a head now and then."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass

from gateway.domain.audit import AuditEvent, Checkpoint, Flaw, flaws, public_key, read_checkpoint
from gateway.domain.errors import UnavailableError
from gateway.domain.people import Actor
from gateway.journeys.lookup import house_secret
from gateway.ports import Records, Witness
from storage import SealedStore

_LABEL = b"audit-checkpoint"


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

        def watched(event: AuditEvent) -> AuditEvent:
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
    """Sign the head and hand it to the witness; nothing is done where the last note says the same."""
    with records.view() as view:
        seed = house_secret(view, store, _LABEL)
        size, head = view.head()
    checkpoint = Checkpoint(origin=origin, size=size, hash=head)
    notes = witness.notes()
    if size == 0 or (notes and read_checkpoint(notes[-1], public=public_key(seed)) == checkpoint):
        return None
    witness.publish(checkpoint.signed(seed))
    return checkpoint
