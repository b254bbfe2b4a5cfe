"""``consilium person``: who may sign in, as coordinator, reviewer or privacy officer."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import segno
import typer
from rich.console import Console

from gateway.cli.console import emit, table
from gateway.cli.frame import house_of, operator
from gateway.domain.people import Role
from gateway.journeys.sign_in import Enrolment, add_person, disable_person, reset_person

person_app = typer.Typer(help="Staff: coordinators, reviewers, privacy officers.", no_args_is_help=True)


@person_app.command("add")
def person_add(
    ctx: typer.Context,
    role: Annotated[Role, typer.Option(help="What she does.")],
    email: Annotated[str, typer.Option(help="How she signs in.")],
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the password from standard input instead of making one."),
    ] = False,
) -> None:
    """Add a member of staff; the password and the code app's secret are shown this once."""
    with house_of(ctx) as parts:
        house = parts.house
        enrolment = add_person(
            role=role,
            email=email,
            by=operator(),
            records=house.records,
            store=house.store,
            clock=house.clock,
            random=house.random,
            password=sys.stdin.readline().rstrip("\n") if password_stdin else "",
        )
        _hand_over(ctx, enrolment)


@person_app.command("reset")
def person_reset(
    ctx: typer.Context,
    email: Annotated[str, typer.Option(help="Whose.")],
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the password from standard input instead of making one."),
    ] = False,
) -> None:
    """Give somebody a new password and code app, and let her in again; both are shown this once."""
    with house_of(ctx) as parts:
        house = parts.house
        enrolment = reset_person(
            email=email,
            by=operator(),
            records=house.records,
            store=house.store,
            clock=house.clock,
            random=house.random,
            password=sys.stdin.readline().rstrip("\n") if password_stdin else "",
        )
        _hand_over(ctx, enrolment)


@person_app.command("list")
def person_list(ctx: typer.Context) -> None:
    """List the staff."""
    with house_of(ctx) as parts, parts.house.records.view() as view:
        people = view.people.find(order="created_at")
        data = [
            {"id": p.id, "role": p.role, "email": p.email, "disabled": p.disabled_at is not None}
            for p in people
        ]
        rows = [(p.email, p.role, "disabled" if p.disabled_at else "") for p in people]
        emit(ctx, data=data, human=table("e-mail", "role", "", rows=rows))


@person_app.command("disable")
def person_disable(ctx: typer.Context, email: Annotated[str, typer.Option()]) -> None:
    """Shut somebody out at once."""
    with house_of(ctx) as parts:
        house = parts.house
        person = disable_person(
            email=email, by=operator(), records=house.records, store=house.store, clock=house.clock
        )
        emit(ctx, data={"id": person.id}, human="disabled; sessions ended")


def _hand_over(ctx: typer.Context, enrolment: Enrolment) -> None:
    person = enrolment.person
    data = {
        "id": person.id,
        "role": person.role,
        "email": person.email,
        "password": enrolment.password,
        "otpauth": enrolment.otpauth_uri,
        "totp_secret": person.totp_seed,
    }
    emit(ctx, data=data, human=lambda console: _welcome(enrolment, console))


def _welcome(enrolment: Enrolment, console: Console) -> None:
    console.print(f"[bold]{enrolment.person.email}[/] ({enrolment.person.role})")
    console.print(f"password  {enrolment.password}")
    console.print("scan this with a code app (TOTP); it is shown this once:")
    drawing = io.StringIO()
    segno.make(enrolment.otpauth_uri, error="l").terminal(drawing, compact=True)
    console.file.write(drawing.getvalue())
    console.print(enrolment.otpauth_uri, style="dim")
