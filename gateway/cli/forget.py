"""``consilium case forget``, ``hold``, ``unhold``, ``certificate``, ``forget-again``: the end of a case, and what keeps it from ending."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import cases, trail
from gateway.cli.console import REFUSED, emit, progress, spoken_errors, table
from gateway.cli.frame import house_of, operator, read_text
from gateway.compose import Parts
from gateway.domain.errors import InvalidError
from gateway.domain.forgetting import GROUNDS, USUAL_GROUND
from gateway.journeys.certify_forgetting import (
    Certificate,
    check_certificate,
    check_with_house,
    give_certificate,
    list_forgotten,
)
from gateway.journeys.forget_again import forget_again
from gateway.journeys.forget_case import forget_case
from gateway.journeys.hold_case import hold_case, unhold_case

Ref = Annotated[str, typer.Argument(metavar="REF", help="The case's reference, such as C-7QK2M9XF.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the certificate is written.")]
Reason = Annotated[str, typer.Option(help="Who asked for it, a file number; sealed with the case.")]


def forget(
    ctx: typer.Context,
    ref: Ref,
    confirm: Annotated[str, typer.Option(help="The reference once more.")] = "",
    ground: Annotated[str, typer.Option(help=f"Why: {', '.join(GROUNDS)}.")] = USUAL_GROUND,
    out: Out = None,
) -> None:
    """Destroy a case's keys, rows and bytes, and give the certificate. It cannot be undone."""
    _refuse_taken(ctx, out)
    with house_of(ctx) as parts:
        house = parts.house
        kept = forget_case(
            ref=ref, confirm=confirm, by=operator(), records=house.records, store=house.store, ground=ground
        )
        given = _given(parts, kept.ref)
        _write(out, given)
        left = f", {len(kept.left)} more are removed in the background" if kept.left else ""
        emit(
            ctx,
            data={
                "ref": kept.ref,
                "keys": kept.keys,
                "rows": kept.rows,
                "objects": kept.objects,
                "objects_left": len(kept.left),
                "event": given.body["event"],
                "certificate": str(out) if out else None,
            },
            human=f"forgotten: {kept.keys} keys destroyed, {kept.objects - len(kept.left)} objects removed{left}; "
            f"the certificate: [cyan]consilium case certificate {kept.ref}[/]",
        )


def hold(ctx: typer.Context, ref: Ref, reason: Reason) -> None:
    """Place a legal hold: nobody forgets the case while it stands."""
    with house_of(ctx) as parts:
        made = hold_case(ref=ref, reason=reason, by=operator(), records=parts.house.records)
        emit(
            ctx,
            data={"hold": made.id, "at": made.at},
            human=f"{ref} is under a legal hold: nobody forgets it",
        )


def unhold(ctx: typer.Context, ref: Ref, reason: Reason) -> None:
    """End the legal hold on a case."""
    with house_of(ctx) as parts:
        made = unhold_case(ref=ref, reason=reason, by=operator(), records=parts.house.records)
        emit(ctx, data={"hold": made.id, "ended_at": made.ended_at}, human=f"the hold on {ref} is ended")


def certificate(ctx: typer.Context, ref: Ref, out: Out = None) -> None:
    """Give the signed certificate of a forgotten case, as often as it is asked for."""
    _refuse_taken(ctx, out)
    with house_of(ctx) as parts:
        given = _given(parts, ref)
        _write(out, given)
        emit(ctx, data=_told(given), human=_facts(given) + (f"\nwritten to {out}" if out else ""))


def forgotten(ctx: typer.Context) -> None:
    """List what was forgotten: references, times and counts."""
    with house_of(ctx) as parts:
        found = list_forgotten(records=parts.house.records)
        rows = [(f.ref, f"{f.at:%Y-%m-%d %H:%M}", f.by, f.ground, f.objects, len(f.left)) for f in found]
        emit(
            ctx,
            data=[
                {
                    "ref": f.ref,
                    "case_id": f.id,
                    "at": f.at,
                    "by": f.by,
                    "ground": f.ground,
                    "keys": f.keys,
                    "rows": f.rows,
                    "objects": f.objects,
                    "objects_left": len(f.left),
                }
                for f in found
            ],
            human=table("case", "when (UTC)", "by", "ground", "objects", "left", rows=rows),
        )


def again(
    ctx: typer.Context,
    register_file: Annotated[
        Path | None,
        typer.Option("--register", metavar="FILE", help="audit/forgotten.jsonl of the home, if not this."),
    ] = None,
) -> None:
    """Forget again, after a restore, what the register says was forgotten: before any part is started.

    What was put under a legal hold since stays whole, and the exit code is 1.
    """
    with house_of(ctx) as parts:
        house = parts.house
        lines = (
            house.register.lines()
            if register_file is None
            else read_text(register_file, what="the register").split("\n")
        )
        with progress("forgetting again", total=len([line for line in lines if line])) as move:
            done = forget_again(lines, by=operator(), records=house.records, store=house.store, progress=move)
        told = (
            f"{done.holders} holders are forgotten; of them were back: {done.cases} cases, {done.studies} studies "
            f"elsewhere, {done.keys} keys, {done.objects} objects"
        )
        for ref in done.held:
            told += (
                f"\n[bold red]under a legal hold since[/]: {ref} stays; after `case unhold` run this again"
            )
        emit(ctx, data=done, human=told)
    if done.held:
        raise typer.Exit(REFUSED)


def check(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate; - is standard input.")],
    key: Annotated[
        str, typer.Option(metavar="HEX", help="The house's public key: checks without any house.")
    ] = "",
) -> None:
    """Check a certificate of forgetting: with a public key offline, or with this house's key and its trail."""
    with spoken_errors(ctx):
        text = read_text(file, what="the certificate")
        if key:
            found = check_certificate(text, key=key)
        else:
            with house_of(ctx) as parts:
                found = check_with_house(text, records=parts.house.records, store=parts.house.store)
        trail = "" if key else ", and the trail here tells of it"
        emit(
            ctx,
            data={"ok": True, "public_key": found.public_key, "certificate": found.body},
            human=f"[green]the signature holds[/]{trail}\n{_facts(found)}",
        )


def _given(parts: Parts, ref: str) -> Certificate:
    house = parts.house
    return give_certificate(
        ref,
        by=operator(),
        records=house.records,
        store=house.store,
        register=house.register,
        policy=house.policy,
    )


def _told(given: Certificate) -> dict[str, object]:
    return {"certificate": given.body, "public_key": given.public_key, "text": given.text}


def _facts(given: Certificate) -> str:
    body = given.body
    erased = body["erased"]
    return (
        f"[bold]{body['case']}[/] forgotten {body['forgotten_at'][:16]} (UTC) by {body['by']}: {body['ground']}\n"
        f"{erased['keys']} keys, {erased['rows']} rows, {erased['objects']} objects; event {body['event']['seq']} of the trail"
    )


def _refuse_taken(ctx: typer.Context, out: Path | None) -> None:
    """Before anything is destroyed."""
    with spoken_errors(ctx):
        if out is not None and (out.exists() or not out.parent.is_dir()):
            raise InvalidError(
                f"{out} is there already, or its folder is not",
                next_step="Name a new file in a folder that exists.",
            )


def _write(out: Path | None, given: Certificate) -> None:
    if out is None:
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(given.text + "\n")
    except OSError as error:
        raise InvalidError(
            f"{out} cannot be written ({error.strerror})",
            next_step=f"The case is forgotten. Run `consilium case certificate {given.body['case']} --out FILE`.",
        ) from error


for _command, _name in (
    (forget, "forget"),
    (hold, "hold"),
    (unhold, "unhold"),
    (certificate, "certificate"),
    (forgotten, "forgotten"),
    (again, "forget-again"),
):
    cases.app.command(_name)(_command)
trail.app.command("check-certificate")(check)
