"""Settling a finding of the store by a person: what was brought back is verified now, and an orphan removed on her word alone."""

from __future__ import annotations

from gateway.domain.errors import ConflictError, NotFoundError, UnavailableError
from gateway.domain.people import Actor
from gateway.domain.store_finding import StoreFinding
from gateway.journeys.keep_store_findings import close_batches, rows_of
from gateway.journeys.verify_store import look_at
from gateway.ports import Change, Clock, Records
from storage import SealedStore, StorageError, batch_of

_MOST_ID = 32


def finding_by(start: str, *, records: Records) -> StoreFinding:
    """Return the open finding whose id begins so; raises ``NotFoundError`` where none or several do."""
    with records.view() as view:
        fits = [one for (one,) in view.store_findings.pick(("id",), state="open") if one.startswith(start)]
        if start and len(fits) == 1:
            return view.store_findings.get(fits[0])
    raise NotFoundError(
        f"{len(fits) or 'no'} open findings begin with {start[:_MOST_ID]}", next_step="`consilium store show` lists them."
    )  # fmt: skip


def settle_store_finding(
    finding_id: str, *, by: Actor, records: Records, store: SealedStore, clock: Clock
) -> StoreFinding:
    """Verify the object of a finding now and close it if it is whole; raises ``ConflictError`` if it is not."""
    finding = _open(finding_id, records=records)
    if finding.kind == "orphan":
        raise ConflictError(
            "no row names this object, so there is nothing to hold it against",
            next_step=f"If it is nobody's: `consilium store settle {finding.id} --remove {finding.object_id}`.",
        )
    rows = rows_of([finding], records=records)
    losses = look_at(list(rows.values()), records=records, store=store)
    if losses:
        with records.change(by=by) as change:
            change.store_findings.set(finding.id, kind=losses[0].kind, last_seen_at=clock.now())
            change.note(
                "store_finding_settled",
                case_id=finding.case_id or "",
                subject=finding.id,
                outcome="refused",
                what=losses[0].kind,
            )
        raise ConflictError(
            f"object {finding.object_id} is still {losses[0].kind.replace('_', ' ')}",
            next_step="Bring it back from a backup (`consilium backup restore`), then settle it again.",
        )
    return _ended(finding, "whole" if rows else "unnamed", by=by, records=records, clock=clock)


def remove_orphan(
    finding_id: str, *, confirm: str, by: Actor, records: Records, store: SealedStore, clock: Clock
) -> StoreFinding:
    """Remove an object that no row names, for good. ``confirm`` must repeat the object's id."""
    finding = _open(finding_id, records=records)
    if finding.kind != "orphan":
        raise ConflictError(
            "a row names this object, so it is not removed",
            next_step=f"Bring it back from a backup, then `consilium store settle {finding.id}`.",
        )
    if confirm != finding.object_id:
        raise ConflictError(
            "removing an object cannot be undone",
            next_step=f"Repeat the object's id to confirm: --remove {finding.object_id}.",
        )
    ended = _ended(finding, "settled", by=by, records=records, clock=clock, is_removed=True)
    try:
        store.forget(finding.object_id)
    except StorageError as error:
        raise UnavailableError(
            f"the store removes nothing ({type(error).__name__})",
            next_step="Mend it; the next sweep shows the object again.",
        ) from error
    return ended


def _open(finding_id: str, *, records: Records) -> StoreFinding:
    with records.view() as view:
        finding = view.store_findings.get(finding_id)
    if finding.state != "open":
        raise ConflictError(
            "this finding has ended already", next_step="`consilium store show` lists open ones."
        )
    return finding


def _give_up(object_id: str, *, change: Change, clock: Clock) -> None:
    """See that no row names it, and that none will when this change is committed."""
    batch = change.object_batches.first(id=batch_of(object_id))
    if change.kept.naming([object_id]) or (batch is not None and not batch.is_over(clock.now())):
        raise ConflictError(
            "this object has a row by now, or may still get one", next_step="Run `consilium store sweep`."
        )
    close_batches(change, [batch] if batch is not None else [])


def _ended(
    finding: StoreFinding, state: str, *, by: Actor, records: Records, clock: Clock, is_removed: bool = False
) -> StoreFinding:
    with records.change(by=by) as change:
        if is_removed:
            _give_up(finding.object_id, change=change, clock=clock)
        if change.store_findings.get(finding.id).state != "open":
            raise ConflictError(
                "this finding has ended already", next_step="`consilium store show` lists open ones."
            )
        change.store_findings.set(finding.id, state=state, ended_at=clock.now())
        change.note(
            "store_finding_settled",
            case_id=finding.case_id or "",
            subject=finding.id,
            outcome=state,
            what=finding.kind,
            object=finding.object_id,
        )
        return change.store_findings.get(finding.id)
