"""``consilium audit`` and ``consilium job``: the trail that verifies, and the work that is owed."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.console import REFUSED, emit, table
from gateway.cli.frame import house_of, operator
from gateway.domain.audit import EVENT_KINDS
from gateway.journeys.lookup import case_row
from gateway.journeys.retry_job import retry_job
from gateway.journeys.verify_audit import checkpoint_audit, verify_audit

app = typer.Typer(help="The audit trail.", no_args_is_help=True)
job_app = typer.Typer(help="Work that is owed.", no_args_is_help=True)


@app.command("verify")
def verify(ctx: typer.Context) -> None:
    """Recompute the whole chain and hold it against the witnessed heads; exit code 1 if anything is not as it was."""
    with house_of(ctx) as parts:
        house = parts.house
        verdict = verify_audit(
            by=operator(),
            records=house.records,
            store=house.store,
            witness=house.witness,
            origin=house.policy.tenant,
        )
        sound = not verdict.flaws
        data = {
            "ok": sound,
            "events": verdict.events,
            "head": verdict.head,
            "checkpoints": verdict.checkpoints,
            "public_key": verdict.public_key,
            "flaws": [{"seq": f.seq, "kind": f.kind, "what": f.what} for f in verdict.flaws],
        }
        if sound:
            told = f"[green]verified[/]: {verdict.events} events, {verdict.checkpoints} signed heads, head {verdict.head[:16]}…"
        else:
            told = "\n".join(
                [
                    f"[bold red]{len(verdict.flaws)} flaws[/]",
                    *(f"  {f.kind}: {f.what}" for f in verdict.flaws[:50]),
                ]
            )
        emit(ctx, data=data, human=told)
    if not sound:
        raise typer.Exit(REFUSED)


@app.command("list")
def list_(
    ctx: typer.Context,
    case: Annotated[str, typer.Option(metavar="REF", help="Only this case.")] = "",
    after: Annotated[int, typer.Option(help="Only events after this number.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 200,
) -> None:
    """List events in plain words; the reading is an event itself."""
    with house_of(ctx) as parts, parts.house.records.change(by=operator()) as change:
        case_id = case_row(change, case).id if case else None
        change.note("audit_read", case_id=case_id or "", after=after)
        events = list(change.events(case_id=case_id, after=after, limit=limit))
        data = [
            {
                "seq": e.seq,
                "at": e.at,
                "kind": e.kind,
                "actor": e.actor,
                "address": e.address,
                "case": e.case_id,
                "subject": e.subject,
                "outcome": e.outcome,
                **e.details,
            }
            for e in events
        ]
        rows = [
            (
                e.seq,
                f"{e.at:%Y-%m-%d %H:%M:%S}",
                e.actor,
                e.address,
                EVENT_KINDS[e.kind][0],
                e.outcome,
                e.details.get("why", ""),
            )
            for e in events
        ]
        emit(
            ctx,
            data=data,
            human=table("#", "when (UTC)", "who", "from", "what", "outcome", "why", rows=rows),
        )


@app.command("checkpoint")
def checkpoint(ctx: typer.Context) -> None:
    """Sign the trail's head now and hand it to the witness."""
    with house_of(ctx) as parts:
        house = parts.house
        made = checkpoint_audit(
            records=house.records, store=house.store, witness=house.witness, origin=house.policy.tenant
        )
        emit(
            ctx,
            data={"size": made.size if made else None},
            human=f"signed at event {made.size}" if made else "nothing new to sign",
        )


@job_app.command("list")
def job_list(
    ctx: typer.Context, done: Annotated[bool, typer.Option("--done", help="Finished ones too.")] = False
) -> None:
    """List work that is owed, at work or failed."""
    with house_of(ctx) as parts, parts.house.records.view() as view:
        states = ("queued", "running", "failed", "done") if done else ("queued", "running", "failed")
        jobs = view.jobs.find(state=states, order="due_at")
        data = [
            {
                "id": j.id,
                "kind": j.kind,
                "state": j.state,
                "attempts": j.attempts,
                "due_at": j.due_at,
                "error": j.error,
            }
            for j in jobs
        ]
        rows = [(j.id, j.kind, j.state, j.attempts, f"{j.due_at:%H:%M:%S}", j.error) for j in jobs]
        emit(
            ctx, data=data, human=table("job", "what", "state", "tries", "due (UTC)", "last error", rows=rows)
        )


@job_app.command("retry")
def job_retry(ctx: typer.Context, job_id: Annotated[str, typer.Argument(metavar="JOB")]) -> None:
    """Start a failed job again."""
    with house_of(ctx) as parts:
        house = parts.house
        fresh = retry_job(job_id, by=operator(), records=house.records, clock=house.clock)
        emit(ctx, data={"id": fresh, "state": "queued"}, human="queued again")
