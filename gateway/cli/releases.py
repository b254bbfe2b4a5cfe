"""``consilium release`` and ``consilium finding``: building, approving and exporting packages, and judging what holds them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import deliveries
from gateway.cli.console import emit, progress, table
from gateway.cli.frame import house_of, operator
from gateway.domain.errors import InvalidError, NotFoundError, UnavailableError
from gateway.domain.finding import Verdict
from gateway.journeys.judge_finding import judge_finding, preview_finding, reconsider_finding
from gateway.journeys.lookup import case_by_ref
from gateway.journeys.open_release import Package, export_release
from gateway.journeys.release_case import approve_release, build_release, grant_release, withdraw_release
from gateway.journeys.try_again import try_again
from gateway.ports import Records

app = typer.Typer(help="Releases: build, approve, export, send, withdraw.", no_args_is_help=True)
finding_app = typer.Typer(help="Findings: what a human must judge before a release.", no_args_is_help=True)
Ref = Annotated[str, typer.Argument(metavar="REF", help="The case's reference.")]
Number = Annotated[int | None, typer.Option(help="Which version; the newest by default.")]
_MIB = 1 << 20


@app.command("build")
def build(ctx: typer.Context, ref: Ref) -> None:
    """Build the next version from everything that is cleared; refuses while anything is unfinished or held."""
    with house_of(ctx) as parts, progress("building the release") as move:
        house = parts.house
        release = build_release(
            ref=ref,
            by=operator(),
            records=house.records,
            store=house.store,
            sandbox=house.sandbox,
            clock=house.clock,
            beat=lambda: move(1),
        )
    emit(
        ctx,
        data={
            "id": release.id,
            "number": release.number,
            "state": release.state,
            "digest": release.manifest_digest,
            **release.totals,
        },
        human=f"release [bold]{release.number}[/] built: {release.totals['instances']} images, {release.totals['documents']} documents, "
        f"digest {release.manifest_digest[:16]}…; next: [cyan]consilium release approve {ref}[/]",
    )


@app.command("approve")
def approve(
    ctx: typer.Context,
    ref: Ref,
    reviewer: Annotated[
        list[str] | None, typer.Option(help="Grant it to this reviewer (e-mail address); may be repeated.")
    ] = None,
    digest: Annotated[str, typer.Option(help="Approve only if the release is still exactly this one.")] = "",
    number: Number = None,
) -> None:
    """Approve a built release and grant it."""
    with house_of(ctx) as parts:
        house = parts.house
        release, grants = approve_release(
            ref=ref,
            by=operator(),
            records=house.records,
            store=house.store,
            clock=house.clock,
            policy=house.policy,
            reviewers=reviewer or (),
            number=number,
            digest=digest,
        )
        hint = "" if grants else "; nobody holds a right to it yet: [cyan]consilium release grant[/]"
        emit(
            ctx,
            data={
                "id": release.id,
                "number": release.number,
                "state": release.state,
                "digest": release.manifest_digest,
                "grants": len(grants),
            },
            human=f"release [bold]{release.number}[/] approved and granted to {len(grants)} reviewers{hint}",
        )


@app.command("grant")
def grant(
    ctx: typer.Context,
    ref: Ref,
    reviewer: Annotated[str, typer.Option(help="The reviewer's e-mail address.")],
    number: Number = None,
) -> None:
    """Give one more reviewer the right to open an approved release."""
    with house_of(ctx) as parts:
        house = parts.house
        given = grant_release(
            release_id=_release_id(house.records, ref, number, "approved"),
            email=reviewer,
            by=operator(),
            records=house.records,
            store=house.store,
            clock=house.clock,
            policy=house.policy,
        )
        emit(ctx, data={"id": given.id, "until": given.until}, human=f"granted until {given.until:%Y-%m-%d}")


@app.command("withdraw")
def withdraw(ctx: typer.Context, ref: Ref, number: Number = None) -> None:
    """Take an approved release back: nobody can open it any more."""
    with house_of(ctx) as parts:
        house = parts.house
        release_id = _release_id(house.records, ref, number, "approved")
        withdraw_release(release_id=release_id, by=operator(), records=house.records, clock=house.clock)
        emit(ctx, data={"id": release_id, "state": "withdrawn"}, human="withdrawn")


@app.command("export")
def export(
    ctx: typer.Context,
    ref: Ref,
    to: Annotated[
        Path,
        typer.Option(metavar="FILE.zip", help="Where the package is written; never over an existing file."),
    ],
    number: Number = None,
) -> None:
    """Write an approved release as a package to a file; the access stands in the audit."""
    with house_of(ctx) as parts:
        house = parts.house
        if to.exists():
            raise InvalidError(f"{to} exists already", next_step="Choose another name, or remove it first.")
        package = export_release(
            ref=ref, number=number, by=operator(), records=house.records, store=house.store
        )
        with progress("writing the package (MiB)", total=package.total_bytes // _MIB + 1) as move:
            _write(package, to, move)
        emit(
            ctx,
            data={
                "file": str(to),
                "bytes": package.total_bytes,
                "files": len(package.manifest.entries),
                "digest": package.manifest.digest(),
            },
            human=f"{to}: {len(package.manifest.entries)} files, {package.total_bytes} bytes",
        )


deliveries.register(app)


@finding_app.command("list")
def list_(ctx: typer.Context, ref: Ref) -> None:
    """List the findings of a case."""
    with house_of(ctx) as parts, parts.house.records.view() as view:
        case = case_by_ref(view, ref)
        found = [f for f in view.findings.find(case_id=case.id, order="found_at") if f.state != "obsolete"]
        emit(
            ctx,
            data=[
                {
                    "id": f.id,
                    "state": f.state,
                    "code": f.code,
                    "reason": f.reason,
                    "place": f.place,
                    "can_keep": f.can_keep,
                    "subject": f.subject_id,
                }
                for f in found
            ],
            human=table(
                "finding", "state", "code", "why", rows=[(f.id, f.state, f.code, f.reason) for f in found]
            ),
        )


@finding_app.command("judge")
def judge(
    ctx: typer.Context,
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Its id; the beginning is enough.")],
    verdict: Annotated[
        Verdict, typer.Argument(help="keep: release the de-identified copy · exclude: leave it out.")
    ],
) -> None:
    """Judge a finding after looking at its copy."""
    with house_of(ctx) as parts:
        house = parts.house
        judged = judge_finding(
            _finding_id(house.records, finding),
            verdict,
            by=operator(),
            records=house.records,
            clock=house.clock,
        )
        emit(ctx, data={"id": judged.id, "state": judged.state}, human=f"{judged.state}")


@finding_app.command("reconsider")
def reconsider(ctx: typer.Context, finding: Annotated[str, typer.Argument(metavar="FINDING")]) -> None:
    """Take a verdict back."""
    with house_of(ctx) as parts:
        again = reconsider_finding(
            _finding_id(parts.house.records, finding), by=operator(), records=parts.house.records
        )
        emit(ctx, data={"id": again.id, "state": again.state}, human="open again")


@finding_app.command("retry")
def retry(ctx: typer.Context, finding: Annotated[str, typer.Argument(metavar="FINDING")]) -> None:
    """Have what is held cleaned once more: after a rule, an update or restored bytes."""
    with house_of(ctx) as parts:
        house = parts.house
        found = try_again(
            _finding_id(house.records, finding), by=operator(), records=house.records, clock=house.clock
        )
        emit(ctx, data={"id": found.id, "subject": found.subject_id}, human="it is cleaned once more")


@finding_app.command("look")
def look(
    ctx: typer.Context,
    finding: Annotated[str, typer.Argument(metavar="FINDING")],
    to: Annotated[
        Path, typer.Option(metavar="FILE.png", help="Where the picture of the de-identified copy is written.")
    ],
    page: Annotated[int, typer.Option(help="Page or frame, from 0.")] = 0,
) -> None:
    """Write a picture of the de-identified copy that a finding is about."""
    with house_of(ctx) as parts:
        house = parts.house
        picture = preview_finding(
            _finding_id(house.records, finding),
            number=page,
            by=operator(),
            records=house.records,
            store=house.store,
            sandbox=house.sandbox,
        )
        if to.exists():
            raise InvalidError(f"{to} exists already", next_step="Choose another name, or remove it first.")
        if picture is None:
            raise NotFoundError("there is no copy to look at", next_step="Only «exclude» is possible.")
        to.write_bytes(picture)
        emit(ctx, data={"file": str(to), "bytes": len(picture)}, human=f"{to}")


def _write(package: Package, to: Path, move: object) -> None:
    """Write beside the target and rename when whole and flushed: no half package ever has the name."""
    handle, temporary = tempfile.mkstemp(dir=to.absolute().parent, prefix=".consilium-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            done = 0
            for block in package.read():
                file.write(block)
                before, done = done, done + len(block)
                move(done // _MIB - before // _MIB)  # type: ignore[operator]  # the progress bar's mover
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, to)
    except OSError as error:
        raise UnavailableError(
            f"the package could not be written ({error.strerror})", next_step="Check room and rights there."
        ) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _release_id(records: Records, ref: str, number: int | None, state: str) -> str:
    with records.view() as view:
        case = case_by_ref(view, ref)
        wanted = {"number": number} if number else {}
        release = view.releases.first(case_id=case.id, state=state, order="-number", **wanted)
    if release is None:
        raise NotFoundError(f"case {case.ref} has no such release that is {state}")
    return release.id


def _finding_id(records: Records, start: str) -> str:
    with records.view() as view:
        fits = [f.id for f in view.findings.find() if f.id.startswith(start)]
    if len(fits) != 1:
        raise NotFoundError(
            f"{len(fits)} findings begin with {start[:32]}",
            next_step="`consilium finding list REF` shows them.",
        )
    return fits[0]
