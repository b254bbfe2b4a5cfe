"""``consilium peer``: who may send and who is sent to; what each may do, and whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.console import REFUSED, emit, table
from gateway.cli.frame import house_of, operator, read_text
from gateway.cli.peer_words import (
    as_json,
    file_rows,
    list_rows,
    say_echo,
    say_peer,
    say_pin,
    say_sheet,
    sheet_json,
    write_text,
)
from gateway.cli.run_parts import node_addresses
from gateway.cli.supervisor import running_parts
from gateway.compose import Parts
from gateway.domain.amount import bytes_of, number_of
from gateway.domain.errors import InvalidError
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.journeys.echo_peer import echo_peer
from gateway.journeys.know_peer import (
    add_peer,
    change_peer,
    disable_peer,
    enable_peer,
    give_token,
    pin_certificate,
    remove_peer,
    take_token,
    unpin_certificate,
)
from gateway.journeys.peer_sheet import peer_sheet
from gateway.journeys.read_certificate import HOW_TO_GIVE
from gateway.journeys.show_peer import pins_of, show_peer, show_peers

app = typer.Typer(help="Peers: the PACS that may send, and that are sent to.", no_args_is_help=True)

Title = Annotated[str, typer.Argument(metavar="AET", help="The peer's AE title, as it calls itself.")]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host", metavar="CIDR", help="Where it may call from; may be repeated. Default: this computer."
    ),
]
Called = Annotated[
    list[str] | None,
    typer.Option(
        "--called", metavar="AET", help="The AE titles it may call; default: ours and those of cases."
    ),
]
Certificates = Annotated[
    list[Path] | None,
    typer.Option("--certificate", metavar="FILE", help="A certificate that it may show (PEM)."),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name", help="A name that its authority's certificate carries: DNS:pacs.example or URI:urn:…"
    ),
]
Echo = Annotated[bool | None, typer.Option("--echo/--no-echo", help="C-ECHO.")]
Store = Annotated[bool | None, typer.Option("--store/--no-store", help="C-STORE and STOW-RS.")]
Commit = Annotated[bool | None, typer.Option("--commit/--no-commit", help="Storage commitment.")]
Receive = Annotated[bool | None, typer.Option("--receive/--no-receive", help="Releases may be sent to it.")]
SopClasses = Annotated[
    list[str] | None, typer.Option("--sop-class", metavar="UID", help="Only these SOP classes.")
]
Syntaxes = Annotated[
    list[str] | None, typer.Option("--transfer-syntax", metavar="UID", help="Only these transfer syntaxes.")
]
MostAssociations = Annotated[
    str | None, typer.Option("--max-associations", metavar="N", help="At once; none for the house's limit.")
]
MostObject = Annotated[
    str | None, typer.Option("--max-object", metavar="8GiB", help="Per object; none for the house's limit.")
]
PerDay = Annotated[
    str | None, typer.Option("--per-day", metavar="50GiB", help="Per 24 hours; none for no limit.")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="HOST:PORT", help="Where it listens, for C-ECHO, reports and releases."
    ),
]
Tls = Annotated[bool | None, typer.Option("--tls/--no-tls", help="Whether we call it by TLS.")]
Description = Annotated[str | None, typer.Option("--description", help="Whose it is.")]

Again = Annotated[bool, typer.Option("--again", help="It is the hospital that had this AE title before.")]


@app.command("add")
def add(
    ctx: typer.Context,
    ae_title: Title,
    host: Hosts = None,
    called: Called = None,
    certificate: Certificates = None,
    name: Names = None,
    echo: Echo = None,
    store: Store = None,
    commit: Commit = None,
    receive: Receive = None,
    sop_class: SopClasses = None,
    transfer_syntax: Syntaxes = None,
    max_associations: MostAssociations = None,
    max_object: MostObject = None,
    per_day: PerDay = None,
    address: Address = None,
    tls: Tls = None,
    description: Description = None,
    again: Again = False,
) -> None:
    """Let a PACS send; it counts from its next association on."""
    with house_of(ctx) as parts:
        given = _given(
            host, called, certificate, name, echo, store, commit, receive, sop_class, transfer_syntax,
            max_associations, max_object, per_day, address, tls, description,
        )  # fmt: skip
        given = {"hosts": [], **given}
        peer = add_peer(ae_title=ae_title, by=operator(), again=again, **_ports(parts), **given)
        where = ", ".join(peer.hosts) or "this computer only"
        emit(ctx, data=as_json(peer), human=f"{peer.ae_title} may send from {where}{_proof(peer)}")


@app.command("change")
def change(
    ctx: typer.Context,
    ae_title: Title,
    host: Hosts = None,
    called: Called = None,
    certificate: Certificates = None,
    name: Names = None,
    echo: Echo = None,
    store: Store = None,
    commit: Commit = None,
    receive: Receive = None,
    sop_class: SopClasses = None,
    transfer_syntax: Syntaxes = None,
    max_associations: MostAssociations = None,
    max_object: MostObject = None,
    per_day: PerDay = None,
    address: Address = None,
    tls: Tls = None,
    description: Description = None,
) -> None:
    """Change what is given and nothing else; an empty text ("") clears a list. It counts within a second."""
    with house_of(ctx) as parts:
        given = _given(
            host, called, certificate, name, echo, store, commit, receive, sop_class, transfer_syntax,
            max_associations, max_object, per_day, address, tls, description,
        )  # fmt: skip
        if not given:
            raise InvalidError("nothing to change was given", next_step="See `consilium peer change --help`.")
        peer = change_peer(ae_title=ae_title, changes=given, by=operator(), **_ports(parts))
        emit(ctx, data=as_json(peer), human=f"{peer.ae_title}: changed {', '.join(sorted(given))}")


@app.command("show")
def show(ctx: typer.Context, ae_title: Title) -> None:
    """Show everything about a peer: rights, certificates and their ends, last association, the last 24 hours."""
    with house_of(ctx) as parts:
        file, ends, _ = show_peer(ae_title=ae_title, **_ports(parts))
        emit(ctx, data=file_rows(file, ends), human=lambda console: say_peer(file, ends, console))


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List the peers."""
    with house_of(ctx) as parts:
        files = show_peers(**_ports(parts))
        heads = ("AE title", "from", "proof", "may", "last seen", "24 h", "whose")
        emit(ctx, data=[file_rows(file, None) for file in files], human=table(*heads, rows=list_rows(files)))


@app.command("remove")
def remove(ctx: typer.Context, ae_title: Title) -> None:
    """Forget a peer; what it sent stays. `disable` can be undone."""
    with house_of(ctx) as parts:
        remove_peer(ae_title=ae_title, by=operator(), records=parts.house.records)
        emit(ctx, data={"removed": ae_title}, human=f"{ae_title} may not send any more")


@app.command("disable")
def disable(ctx: typer.Context, ae_title: Title) -> None:
    """Shut a peer out within a second; its row is kept, and `enable` lets it in again."""
    with house_of(ctx) as parts:
        peer = disable_peer(ae_title=ae_title, by=operator(), **_ports(parts))
        emit(ctx, data=as_json(peer), human=f"{peer.ae_title} is shut out; undo: consilium peer enable")


@app.command("enable")
def enable(ctx: typer.Context, ae_title: Title) -> None:
    """Let a peer in again."""
    with house_of(ctx) as parts:
        peer = enable_peer(ae_title=ae_title, by=operator(), **_ports(parts))
        emit(ctx, data=as_json(peer), human=f"{peer.ae_title} may come again")


@app.command("echo")
def echo_(ctx: typer.Context, ae_title: Title) -> None:
    """Call a peer now with C-ECHO, and show how far it came; exit code 1 when it does not answer."""
    with house_of(ctx) as parts:
        house = parts.house
        found = echo_peer(
            ae_title=ae_title, by=operator(), records=house.records, policy=house.policy, rules=house.calls
        )
        emit(ctx, data=found, human=lambda console: say_echo(ae_title.strip(), found, console))
    if not found.reached:
        raise typer.Exit(REFUSED)


@app.command("pin")
def pin(
    ctx: typer.Context,
    ae_title: Title,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A certificate (PEM).")] = None,
    only: Annotated[bool, typer.Option("--only", help="Let all others go.")] = False,
    remove: Annotated[str, typer.Option(metavar="SPKI", help="Take away the pin whose SPKI begins so.")] = "",
) -> None:
    """Let a peer show one more certificate, or take one away: with two of them it can change keys without a gap."""
    with house_of(ctx) as parts:
        ports: dict[str, Any] = {"ae_title": ae_title, "by": operator(), **_ports(parts)}
        if (file is None) == (not remove):
            raise InvalidError(
                "give a certificate, or --remove SPKI", next_step="See `consilium peer pin --help`."
            )
        if file is not None:
            peer = pin_certificate(pem=_certificate(file), only=only, **ports)
        else:
            peer = unpin_certificate(spki=remove, **ports)
        pins = pins_of(peer.certificates, now=parts.house.clock.now())
        human = "\n".join(say_pin(one) for one in pins) or f"{peer.ae_title} has no certificate any more"
        emit(ctx, data=pins, human=human)


@app.command("token")
def token(
    ctx: typer.Context,
    ae_title: Title,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the token away: no STOW-RS any more.")
    ] = False,
) -> None:
    """Make a peer's bearer token for STOW-RS (256 bits); it is shown this once, and the one before counts no more."""
    with house_of(ctx) as parts:
        house = parts.house
        if remove:
            take_token(ae_title=ae_title, by=operator(), records=house.records)
            emit(ctx, data={"ae_title": ae_title}, human=f"{ae_title} may not come by STOW-RS any more")
            return
        made = give_token(ae_title=ae_title, by=operator(), records=house.records, random=house.random)
        emit(
            ctx,
            data={"ae_title": ae_title, "token": made},
            human=f"{made}\nIt is shown this once. Authorization: Bearer …",
        )


@app.command("sheet")
def sheet(
    ctx: typer.Context,
    ae_title: Title,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one page for paper (A4).")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="sv or en; default: the exchange's.")] = "",
) -> None:
    """Show what a peer's engineer needs to connect, from the running configuration; --html makes it printable."""
    with house_of(ctx) as parts:
        house, settings = parts.house, parts.settings
        if language not in {"", "sv", "en"}:
            raise InvalidError(f"there is no language {language[:10]}", next_step="Choose sv or en.")
        found = peer_sheet(
            ae_title=ae_title,
            policy=_as_it_runs(parts),
            rules=house.calls,
            **_ports(parts),
        )
        if html is not None:
            from gateway.doors.desk.sheet_file import sheet_html  # the doors are loaded by who needs them

            page = sheet_html(
                found,
                language=language or settings.language,
                timezone=settings.timezone,
                public_url=settings.url,
            )
            write_text(html, page)
        emit(ctx, data=sheet_json(found), human=lambda console: say_sheet(found, html, console))


def _as_it_runs(parts: Parts) -> Policy:
    """Return the policy with the addresses that the running node has told, where one runs: options and port 0 win."""
    told = running_parts(parts.settings.home).get("parts")
    node = told.get("dicom") if isinstance(told, dict) else None
    if not isinstance(node, dict) or not node.get("address"):
        return parts.house.policy
    at = node_addresses(str(node["address"]))
    return replace(parts.house.policy, dicom_at=at.get("dicom", ""), dicom_tls_at=at.get("dicom_tls", ""))


def _certificate(path: Path) -> str:
    return read_text(path, what="the certificate", next_step=HOW_TO_GIVE)


# The fields of a peer in the order of the options above.
_FIELDS = (
    "hosts", "called", "certificates", "names", "may_echo", "may_store", "may_commit", "may_receive",
    "sop_classes", "transfer_syntaxes", "max_associations", "max_instance_bytes", "day_bytes", "address",
    "calls_by_tls", "description",
)  # fmt: skip
_READ: dict[str, Callable[[Any], Any]] = {
    "certificates": lambda files: [_certificate(path) for path in files if str(path) != "."],
    "max_associations": number_of,
    "max_instance_bytes": bytes_of,
    "day_bytes": bytes_of,
    "address": str.strip,
}


def _given(*values: Any) -> dict[str, Any]:
    """Return what was given, as fields of a peer."""
    found = {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}
    return {name: _READ[name](value) if name in _READ else value for name, value in found.items()}


def _ports(parts: Parts) -> dict[str, Any]:
    return {"records": parts.house.records, "clock": parts.house.clock}


def _proof(peer: Peer) -> str:
    if not peer.is_bound:
        return ", without a certificate"
    return f", by TLS with {len(peer.certificates)} certificates and {len(peer.names)} names"
