"""``consilium case`` and ``consilium study``: opening, showing and moving cases, links for patients, the inbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cli.console import emit, table
from gateway.cli.frame import house_of, operator, read_text
from gateway.domain.case import Opinion
from gateway.domain.errors import InvalidError, UnreadableError
from gateway.journeys import open_case as way
from gateway.journeys.answer_case import deliver_answer
from gateway.journeys.lookup import UNREADABLE
from gateway.journeys.match_study import assign_study, suggestions, unassign_study
from gateway.journeys.prove_identity import make_link, revoke_links
from gateway.journeys.show_case import CaseFile, list_cases, show_case

app = typer.Typer(help="Cases: open, show, move, link.", no_args_is_help=True)
study_app = typer.Typer(help="Studies that wait for a case.", no_args_is_help=True)
Ref = Annotated[str, typer.Argument(metavar="REF", help="The case's reference, such as C-7QK2M9XF.")]


@app.command("open")
def open_(
    ctx: typer.Context,
    opinion: Annotated[
        Opinion, typer.Option(help="written: documents, 10 days · mdt: with images, 15 days.")
    ],
    patient: Annotated[
        Path,
        typer.Option(
            metavar="FILE.json",
            help="Who the patient is (docs/spec/known-identifiers.md); - is standard input.",
        ),
    ],
    language: Annotated[str, typer.Option(help="The patient's language: sv or en.")] = "sv",
    questions: Annotated[str, typer.Option(help="The questions to be answered.")] = "",
    profile: Annotated[str, typer.Option(help="The de-identification profile.")] = "mdt-default",
) -> None:
    """Open a case for a patient; prints its reference, which is also the AE title that hospitals send to."""
    with house_of(ctx) as parts:
        house = parts.house
        try:
            who = json.loads(read_text(patient, what="the patient's file"))
        except json.JSONDecodeError as error:
            raise InvalidError(
                f"{patient} is no JSON (line {error.lineno})", next_step="See docs/spec/known-identifiers.md."
            ) from error
        case = way.open_case(
            opinion=opinion,
            patient=who,
            by=operator(),
            records=house.records,
            store=house.store,
            clock=house.clock,
            random=house.random,
            language=language,
            questions=questions,
            profile=profile,
        )
        emit(
            ctx,
            data={"ref": case.ref, "ae_title": case.ref, "state": case.state, "opinion": case.opinion},
            human=f"opened [bold]{case.ref}[/] ({case.opinion}) — hospitals send images to AE title [bold]{case.ref}[/]; "
            f"next: [cyan]consilium case link {case.ref}[/] for the patient",
        )


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List all cases, newest first."""
    with house_of(ctx) as parts:
        house = parts.house
        files, unreadable = list_cases(records=house.records, clock=house.clock, policy=house.policy)
        rows: list[tuple[object, ...]] = [
            (
                f.case.ref,
                f.case.opinion,
                f.case.state,
                _due(f),
                f.counts["instances_received"],
                len(f.documents),
                _open(f),
            )
            for f in files
        ]
        rows += [(one.ref, one.opinion, one.state, UNREADABLE, "?", "?", "?") for one in unreadable]
        emit(
            ctx,
            data=[f.to_json() for f in files]
            + [_unreadable(ref=one.ref, opinion=one.opinion, state=one.state) for one in unreadable],
            human=_listed(
                table("case", "opinion", "state", "answer due", "images", "documents", "findings", rows=rows),
                unreadable,
            ),
        )


@app.command("show")
def show(ctx: typer.Context, ref: Ref) -> None:
    """Show one case: its state, what has arrived, what is held, what was released."""
    with house_of(ctx) as parts:
        house = parts.house
        found = show_case(
            ref=ref, by=operator(), records=house.records, clock=house.clock, policy=house.policy
        )
        emit(ctx, data=found.to_json(), human=lambda console: _print(found, console))


@app.command("link")
def link(
    ctx: typer.Context,
    ref: Ref,
    phone: Annotated[
        str, typer.Option(help="Where the one-time code goes, if not to the patient's first number.")
    ] = "",
) -> None:
    """Make a fresh link for the patient; the one before it stops counting."""
    with house_of(ctx) as parts:
        house = parts.house
        made, url = make_link(
            ref=ref,
            by=operator(),
            records=house.records,
            clock=house.clock,
            random=house.random,
            policy=house.policy,
            phone=phone,
        )
        emit(
            ctx,
            data={"url": url, "expires_at": made.expires_at},
            human=f"{url}\n[dim]valid until {made.expires_at:%Y-%m-%d}; shown this once; the code goes by text message[/]",
        )


@app.command("unlink")
def unlink(ctx: typer.Context, ref: Ref) -> None:
    """Switch off every link and session of the case's patient."""
    with house_of(ctx) as parts:
        count = revoke_links(ref=ref, by=operator(), records=parts.house.records, clock=parts.house.clock)
        emit(ctx, data={"revoked": count}, human=f"{count} links switched off")


@app.command("complete")
def complete(ctx: typer.Context, ref: Ref) -> None:
    """Declare the documentation complete: the clock starts."""
    _moved(ctx, way.complete_case, ref)


@app.command("reopen")
def reopen(ctx: typer.Context, ref: Ref) -> None:
    """Undo «complete»: collect again."""
    _moved(ctx, way.reopen_case, ref)


@app.command("close")
def close(ctx: typer.Context, ref: Ref) -> None:
    """Close a case whose answer was delivered."""
    _moved(ctx, way.close_case, ref)


@app.command("pause")
def pause(
    ctx: typer.Context, ref: Ref, reason: Annotated[str, typer.Option(help="What the exchange waits for.")]
) -> None:
    """Stop the clock while the exchange waits for the patient."""
    _moved(ctx, way.pause_clock, ref, reason=reason)


@app.command("resume")
def resume(ctx: typer.Context, ref: Ref) -> None:
    """Let the clock run again."""
    _moved(ctx, way.resume_clock, ref)


@app.command("deliver")
def deliver(ctx: typer.Context, ref: Ref) -> None:
    """Make the signed answer readable for the patient and send her a fresh link."""
    with house_of(ctx) as parts:
        house = parts.house
        answer = deliver_answer(
            ref=ref,
            by=operator(),
            records=house.records,
            clock=house.clock,
            random=house.random,
            mailer=house.mailer,
            policy=house.policy,
        )
        emit(
            ctx,
            data={"version": answer.version, "delivered_at": answer.delivered_at},
            human=f"answer {answer.version} delivered",
        )


@study_app.command("inbox")
def inbox(ctx: typer.Context) -> None:
    """List studies that fit no case, with the cases that they fit best."""
    with house_of(ctx) as parts, parts.house.records.view() as view:
        rows: list[tuple[object, ...]] = []
        data: list[dict[str, Any]] = []
        waiting, unreadable = view.studies.find_readable(case_id=None, order="received_at")
        for study in waiting:
            best = [
                {"ref": case.ref, "score": m.score, "reasons": list(m.reasons)}
                for case, m in suggestions(view, study)
            ]
            data.append(
                {
                    "id": study.id,
                    "sender": study.sender,
                    "instances": study.instances,
                    "state": study.state,
                    "suggestions": best,
                }
            )
            told = ", ".join(f"{b['ref']} ({b['score']})" for b in best) or "none"
            rows.append((study.id, study.sender, study.instances, study.state, told))
        for study_id in unreadable:
            data.append(_unreadable(id=study_id))
            rows.append((study_id, "?", "?", "?", UNREADABLE))
        shown = table("study", "sender", "images", "state", "suggestions", rows=rows)
        emit(ctx, data=data, human=_listed(shown, unreadable))


@study_app.command("assign")
def assign(ctx: typer.Context, study_id: Annotated[str, typer.Argument(metavar="STUDY")], ref: Ref) -> None:
    """Match a study of the inbox with a case."""
    with house_of(ctx) as parts:
        house = parts.house
        study = assign_study(
            study_id=study_id, ref=ref, by=operator(), records=house.records, clock=house.clock
        )
        emit(
            ctx,
            data={"id": study.id, "instances": study.instances},
            human=f"{study.instances} images now belong to {ref}",
        )


@study_app.command("unassign")
def unassign(ctx: typer.Context, study_id: Annotated[str, typer.Argument(metavar="STUDY")]) -> None:
    """Take a study back to the inbox."""
    with house_of(ctx) as parts:
        study = unassign_study(
            study_id=study_id,
            by=operator(),
            records=parts.house.records,
            store=parts.house.store,
            clock=parts.house.clock,
        )
        emit(ctx, data={"id": study.id}, human="back in the inbox")


def _moved(ctx: typer.Context, journey: Any, ref: str, **more: str) -> None:
    with house_of(ctx) as parts:
        case = journey(ref=ref, by=operator(), records=parts.house.records, clock=parts.house.clock, **more)
        emit(ctx, data={"ref": case.ref, "state": case.state}, human=f"{case.ref} is now «{case.state}»")


def _unreadable(**known: str) -> dict[str, str]:
    return {**known, "unreadable": UNREADABLE, "next_step": UnreadableError.next_step}


def _listed(shown: Table, unreadable: Sized) -> Callable[[Console], None]:
    def say(console: Console) -> None:
        console.print(shown)
        if unreadable:
            console.print(f"[yellow]{len(unreadable)} {UNREADABLE}[/] — {escape(UnreadableError.next_step)}")

    return say


def _due(found: CaseFile) -> str:
    if found.paused_for:
        return f"paused: {found.paused_for}"
    return f"{found.due_at:%Y-%m-%d}" if found.due_at else "not started"


def _open(found: CaseFile) -> int:
    return sum(f.state == "open" for f in found.findings)


def _print(found: CaseFile, console: Console) -> None:
    case, counts = found.case, found.counts
    console.print(
        f"[bold]{case.ref}[/]  {case.opinion}  [cyan]{case.state}[/]  answer due: {escape(_due(found))}"
    )
    console.print(
        f"images: {counts['instances_received']} received, {counts['instances_deidentified']} de-identified, "
        f"{counts['instances_quarantined']} held, {counts['instances_waiting']} in work, {counts['instances_excluded']} left out"
    )
    if found.hold:
        console.print(
            f"[bold yellow]legal hold[/] since {found.hold.at:%Y-%m-%d}: nobody forgets this case — {escape(found.hold.reason)}"
        )
    items = ", ".join(f"{item}: {state}" for item, state in case.checklist.items())
    console.print(f"checklist: {escape(items)}")
    if found.documents:
        rows = [(d.id[:8], d.category, d.media_type, d.size_bytes, d.state, d.note) for d in found.documents]
        console.print(table("document", "category", "type", "bytes", "state", "note", rows=rows))
    if found.findings:
        held = [
            (f.id[:12], f"{f.subject_kind} {f.subject_id[:8]}", f.state, f.code, f.reason)
            for f in found.findings
        ]
        console.print(table("finding", "about", "state", "code", "why", rows=held))
    if found.releases:
        versions = [
            (r.number, r.state, r.totals.get("files", 0), r.manifest_digest[:16]) for r in found.releases
        ]
        console.print(table("release", "state", "files", "digest", rows=versions))
    if found.working or found.failed:
        console.print(f"{found.working} jobs at work, {found.failed} failed")
