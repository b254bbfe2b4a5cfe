"""How ``consilium peer`` says what it knows: rows, sentences and JSON; nothing is decided or looked up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from dicom_node.scu import EchoResult
from gateway.domain.amount import said_bytes
from gateway.domain.audit import AuditEvent
from gateway.domain.errors import InvalidError
from gateway.domain.peer import Peer
from gateway.journeys.peer_sheet import PeerSheet
from gateway.journeys.show_peer import PeerFile, Pin

_RIGHTS = (("may_echo", "echo"), ("may_store", "store"), ("may_commit", "commit"), ("may_receive", "receive"))
_KINDS = {"association_ended": "association", "association_refused": "refusal"}
_STYLES = {
    "far": "",
    "soon": "yellow",
    "very_soon": "bold yellow",
    "tomorrow": "bold red",
    "expired": "bold red",
}
_STEPS = {
    "name": "name resolved",
    "connection": "connected (TCP)",
    "tls": "TLS",
    "association": "association",
    "verification": "C-ECHO",
}


def size(size_bytes: int | None) -> str:
    """«4.2 GiB»; none is the house's limit."""
    return "the house's limit" if size_bytes is None else said_bytes(size_bytes)


def as_json(peer: Peer) -> dict[str, Any]:
    """A peer without what nobody needs twice: the token's digest becomes a yes or no, certificates their number."""
    values = asdict(peer)
    values["has_token"] = bool(values.pop("token_hash"))
    return values


def file_rows(file: PeerFile, ends: Sequence[AuditEvent] | None) -> dict[str, Any]:
    """One peer as JSON, with what it did of late."""
    found = as_json(file.peer)
    found["certificates"] = [asdict(pin) for pin in file.pins]
    found |= {
        "state": "disabled" if file.peer.disabled_at else "admitted",
        "last_association": _end(file.last) if file.last else None,
        "instances_24h": file.instances,
        "bytes_24h": file.size_bytes,
    }
    if ends is not None:
        found["associations"] = [_end(event) for event in ends]
    return found


def list_rows(files: Iterable[PeerFile]) -> list[tuple[str, ...]]:
    """The columns of ``peer list``."""
    return [
        (
            file.peer.ae_title,
            ", ".join(file.peer.hosts) or "loopback",
            _proof(file),
            "disabled" if file.peer.disabled_at else _may(file.peer),
            f"{file.last.at:%Y-%m-%d %H:%M} {file.last.outcome}" if file.last else "never",
            f"{file.instances} objects, {size(file.size_bytes)}" if file.instances else "–",
            file.peer.description,
        )
        for file in files
    ]


def say_peer(file: PeerFile, ends: Sequence[AuditEvent], console: Console) -> None:
    """The page of ``peer show``."""
    peer = file.peer
    state = f" [bold red]disabled since {peer.disabled_at:%Y-%m-%d %H:%M}[/]" if peer.disabled_at else ""
    console.print(f"[bold]{escape(peer.ae_title)}[/]{state}  {escape(peer.description)}")
    facts = (
        ("may", _may(peer)),
        ("calls from", ", ".join(peer.hosts) or "this computer only"),
        ("may call", ", ".join(peer.called) or "our AE title and those of cases"),
        ("comes by", "TLS with its certificate" if peer.is_bound else "plain DICOM: nothing proves it but its address"),
        ("names", ", ".join(peer.names)),
        ("SOP classes", ", ".join(peer.sop_classes) or "all of storage"),
        ("transfer syntaxes", ", ".join(peer.transfer_syntaxes) or "all"),
        ("at once", str(peer.max_associations or "the house's limit")),
        ("per object", size(peer.max_instance_bytes)),
        ("per 24 hours", size(peer.day_bytes) if peer.day_bytes else "no limit"),
        ("listens at", f"{peer.address}{' by TLS' if peer.calls_by_tls else ''}" if peer.address else "not known"),
        ("STOW-RS", "has a token" if peer.token_hash else "no token"),
        ("last 24 hours", f"{file.instances} objects, {size(file.size_bytes)}"),
        ("since", f"{peer.created_at:%Y-%m-%d %H:%M}"),
    )  # fmt: skip
    for name, value in facts:
        if value:
            console.print(f"  {name:<18} {escape(value)}")
    for pin in file.pins:
        console.print(f"  {'certificate':<18} {say_pin(pin)}")
    for event in ends[:10]:
        end = _end(event)
        console.print(
            f"  {end['at']:%Y-%m-%d %H:%M:%S}  {escape(end['how']):<10} {end['kept']} kept  "
            f"{escape(end['address'])}  {escape(end['why'])}"
        )


def say_pin(pin: Pin) -> str:
    """A certificate in one line, with its end."""
    style = _STYLES[pin.expiry]
    told = (
        f"expired {-pin.days_left} days ago"
        if pin.expiry == "expired"
        else f"expires in {pin.days_left} days"
        if pin.days_left != 1
        else "expires in 1 day"
    )
    told = f"[{style}]{told}[/]" if style else told
    return f"{escape(pin.subject)}  SPKI {pin.spki_sha256[:16]}  {told} ({pin.not_after:%Y-%m-%d})"


def say_echo(ae_title: str, found: EchoResult, console: Console) -> None:
    """How far a C-ECHO came, step by step."""
    for step in found.steps:
        mark = "[green]✓[/]" if step.passed else "[bold red]✗[/]"
        told = escape(step.told)
        console.print(f"  {mark} {_STEPS[step.name]:<16} {step.took_s * 1000:7.1f} ms  {told}")
    if found.reached:
        who = " ".join(filter(None, (found.implementation_version, found.implementation_uid)))
        trip = (found.round_trip_s or 0.0) * 1000
        console.print(f"[bold green]{escape(ae_title)} answers[/] in {trip:.1f} ms ({escape(who)})")
    else:
        console.print(f"[bold red]{escape(ae_title)} does not answer[/]: {escape(found.why)}")


def sheet_json(found: PeerSheet) -> dict[str, Any]:
    """The sheet as JSON; the peer without its token's digest."""
    return {
        name: as_json(found.peer) if name == "peer" else getattr(found, name)
        for name in PeerSheet.__dataclass_fields__
    }


def say_sheet(found: PeerSheet, written: Path | None, console: Console) -> None:
    """The sheet in a few lines; the page has the rest."""
    if written is not None:
        console.print(f"written to {escape(str(written))}")
        return
    ports = [f"{p} ({n})" for p, n in ((found.tls_port, "TLS"), (found.plain_port, "plain")) if p]
    console.print(
        f"[bold]{escape(found.ae_title)}[/] at {escape(found.host)}, port {', '.join(ports) or 'none yet'}"
    )
    if found.own is not None:
        console.print(f"  our certificate    SHA-256 {found.own.fingerprint}")
    console.print(f"  {escape(found.peer.ae_title)} may {_may(found.peer)}")
    for line in found.tests:
        console.print(f"  {escape(line)}")
    for title, table_ in (("rejections", found.rejections), ("statuses", found.statuses)):
        console.print(f"[bold]{title}[/]")
        for code, meaning in table_.items():
            console.print(f"  {code:<9} {escape(meaning.why)} {escape(meaning.helps)}")
    console.print("For paper: consilium peer sheet AET --html FILE", style="dim")


def write_text(path: Path, text: str) -> None:
    """Write a file that was named on the command line."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidError(
            f"{path} cannot be written ({error.strerror})", next_step="Choose another file."
        ) from error


def _end(event: AuditEvent) -> dict[str, Any]:
    return {
        "at": event.at,
        "what": _KINDS[event.kind],
        "how": event.outcome,
        "address": event.address,
        "called": event.details.get("called", ""),
        "kept": event.details.get("kept", 0),
        "why": event.details.get("why", ""),
    }


def _may(peer: Peer) -> str:
    return ", ".join(word for name, word in _RIGHTS if getattr(peer, name)) or "nothing"


def _proof(file: PeerFile) -> str:
    end = file.next_end
    if end is not None:
        return f"certificate, {end.days_left} days left"
    return "name of an authority's certificate" if file.peer.names else "none (plain)"
