"""``consilium doctor``: asks every part how it is and says what is wrong and how to mend it."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pysqlite3
import typer

from gateway.cli.certificate import certificate_health, lists_health
from gateway.cli.console import REFUSED, emit, table
from gateway.cli.frame import house_of
from gateway.cli.keys import key_health
from gateway.cli.run_parts import node_addresses
from gateway.cli.supervisor import running_parts
from gateway.compose import Parts
from gateway.compose.s3 import s3_objects
from gateway.domain.errors import ConsiliumError
from gateway.journeys.show_peer import expiring_pins
from gateway.journeys.show_store import show_store
from gateway.settings import host_and_port
from storage import SealedRef, StorageError, swap_in_clear

_LOW_BYTES = 2 << 30
_SWEEP_LATE = timedelta(days=2)
_FULL_BYTES = 64 << 20
Check = tuple[str, str, str]  # what, how it is (ok, warning, wrong), what to know or do


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("doctor", help="Ask every part how it is; exit code 1 if anything is wrong.")(doctor)


def doctor(ctx: typer.Context) -> None:
    """Check the home, the keys, the store, the records, the sandbox and what runs."""
    with house_of(ctx) as parts:
        checks = [
            *_home(parts),
            *_room(parts),
            _swap(),
            *_craft(parts),
            *_certificate(parts),
            *_lists(parts),
            *_running(parts),
        ]
        rows = [(state, what, told) for what, state, told in checks]
        data = {
            "ok": all(state != "wrong" for _, state, _ in checks),
            "checks": [{"what": w, "state": s, "detail": t} for w, s, t in checks],
        }
        emit(ctx, data=data, human=table("", "part", "", rows=rows))
    if not data["ok"]:
        raise typer.Exit(REFUSED)


def _home(parts: Parts) -> list[Check]:
    settings = parts.settings
    free = shutil.disk_usage(settings.home).free
    room = "ok" if free > _LOW_BYTES else "warning" if free > _FULL_BYTES else "wrong"
    checks = [
        ("home", "ok", f"{settings.home}, mode {settings.mode}"),
        ("room", room, f"{free / (1 << 30):.1f} GiB free on the home's volume"),
        ("sqlite", "ok", f"{pysqlite3.sqlite_version}, WAL with full synchronisation"),
    ]
    trial = [
        n for n in ("texter", "mailer", "scanner") if getattr(settings, n).startswith(("file:", "none:"))
    ]
    if trial:
        checks.append(
            (
                "trial parts",
                "warning",
                f"{', '.join(trial)}: for trials only; production refuses them by name",
            )
        )
    return checks


def _room(parts: Parts) -> list[Check]:
    """What room each place has, how much of it is kept back, and whether the ballast is there."""
    checks: list[Check] = []
    for place, room, reserve, lack in parts.gauge.told():
        if lack is not None:
            told = (
                f"{lack}: nothing new is taken in. Make room (docs/operations.md); intake goes on by itself."
            )
            checks.append((f"room, {place}", "wrong", told))
        elif room is None:
            checks.append(
                (
                    f"room, {place}",
                    "ok",
                    "only the server itself can tell; when it refuses, senders are told to wait",
                )
            )
        else:
            told = f"{room.free_bytes / (1 << 30):.1f} GiB free, the last {reserve / (1 << 30):.2f} are kept back"
            checks.append((f"room, {place}", "ok" if room.free_bytes >= 2 * reserve else "warning", told))
    if missing := [str(one.path) for one in parts.gauge.ballasts if not one.is_whole]:
        told = f"not there: {', '.join(missing)}; the scheduler makes it when there is room"
        checks.append(("ballast", "warning", told))
    return checks


def _swap() -> Check:
    areas = swap_in_clear()
    if areas is None:
        return "swap", "warning", "nobody can tell here whether memory may be swapped out in clear"
    if areas:
        told = f"keys may reach {', '.join(areas)}: set MemorySwapMax=0 for the service, or encrypt the swap"
        return "swap", "warning", told
    return "swap", "ok", "no memory of ours is written to a disk in clear"


def _craft(parts: Parts) -> list[Check]:
    house = parts.house
    confinement: dict[str, Any] = {}

    def sandbox() -> str:
        confinement.update(house.sandbox.describe())
        missing = [k for k in ("network", "files", "system_calls") if not confinement.get(k)]
        if missing:
            raise ConsiliumError(f"without: {', '.join(missing)}", next_step="A newer kernel confines more.")
        return f"{confinement['network']}; {confinement['files']}; {confinement['system_calls']}"

    def failed_jobs() -> str:
        with house.records.view() as view:
            count = view.jobs.count(state="failed")
        if count:
            raise ConsiliumError(
                f"{count} jobs failed for good",
                next_step="See `consilium job list`, then `consilium job retry`.",
            )
        return "none failed"

    def store() -> str:
        house.store.probe()
        return "sealed, read and removed a probe"

    def records() -> str:
        with house.records.view() as view:
            events, cases = view.head()[0], view.cases.count()
        if not events:
            raise ConsiliumError("the audit trail is empty", next_step="Restore the records from a backup.")
        return f"{events} audit events, {cases} cases; `consilium audit verify` reads them all"

    return [
        _tried("store", store),
        *_bucket(parts),
        _tried("keys", lambda: _keys(parts)),
        _tried("master keys", lambda: key_health(parts), else_state="warning"),
        _tried("sealed objects", lambda: _newest_object(parts)),
        _truth(parts),
        _tried("records", records),
        _tried("sandbox", sandbox, else_state="warning"),
        _tried("jobs", failed_jobs, else_state="warning"),
        _tried("backups", lambda: _backups(parts), else_state="warning"),
        _tried("peers' certificates", lambda: _peers(parts), else_state="warning"),
    ]


def _bucket(parts: Parts) -> list[Check]:
    """What the S3 server of the objects lacks, shown by its effects; nothing where they are on a disk."""
    objects = s3_objects(parts.settings)
    if objects is None:
        return []

    def probe() -> str:
        objects.probe()
        return "it does all that is asked of it"

    check = _tried("objects in S3", probe)
    return [("objects in S3", "warning", f"the server {told}") for told in objects.remarks] or [check]


def _certificate(parts: Parts) -> list[Check]:
    """The node's certificate, where it speaks TLS or has one: as wrong when it has ended, as warning 30 days before."""
    settings = parts.settings
    files = settings.tls_files
    if not (settings.dicom_tls or files.certificate.exists()):
        return []
    try:
        state, told = certificate_health(files, parts.house.clock.now())
    except ConsiliumError as error:
        state, told = "wrong", f"{error} — {error.next_step}"
    return [("certificate", state, told)]


def _lists(parts: Parts) -> list[Check]:
    """The revocation lists, where there are any or should be: their loss shuts peers out, for good reason."""
    try:
        found = lists_health(parts.settings.tls_files, parts.house.clock.now())
    except ConsiliumError as error:
        found = "wrong", f"{error} — {error.next_step}"
    return [("revocation lists", *found)] if found else []


def _keys(parts: Parts) -> str:
    """Unwrap a key that is in use: a key file that is valid, but another house's, shows here."""
    house = parts.house
    with house.records.view() as view:
        house.store.derive(key=view.key("house", "records"), label=b"doctor")
        case = view.cases.first(order="-opened_at")
    return "the house's key opens" + (", the newest case's too" if case else "")


def _peers(parts: Parts) -> str:
    """Tell of peers whose last certificate ends within 30 days: with its end they cannot come any more (N2)."""
    house = parts.house
    ending = expiring_pins(records=house.records, clock=house.clock)
    if not ending:
        return "none ends within 30 days"
    told = ", ".join(
        f"{peer.ae_title} {'has expired' if pin.expiry == 'expired' else f'in {pin.days_left} days'}"
        for peer, pin in ending
    )
    raise ConsiliumError(
        f"certificates end: {told}",
        next_step="Ask for the next one and bind it: consilium peer pin AET FILE.",
    )


def _backups(parts: Parts) -> str:
    """Tell when the last backup was made and verified; a trial need not have any, but who began goes on."""
    now, warn_days = parts.house.clock.now(), parts.settings.backup_warn_days
    with parts.house.records.view() as view:
        last = view.backups.first(order="-made_at")
        known = view.backups.pick(("verified_at",), order="-verified_at")
    if last is None:
        if parts.settings.mode != "production":
            return "none was made yet; `consilium backup create --to DIR` makes one"
        raise ConsiliumError(
            "none was made yet", next_step="Run `consilium backup create --to DIR` every day."
        )
    hours = int((now - last.made_at).total_seconds() // 3600)
    verified = max((at for (at,) in known if at is not None), default=None)
    told = f"{last.id} in {last.place}, {hours} h ago; " + (
        f"verified last on {verified:%Y-%m-%d}" if verified else "none was verified yet"
    )
    if now - last.made_at > timedelta(days=warn_days):
        raise ConsiliumError(
            f"the last is {told}", next_step="Run `consilium backup create --to DIR` every day."
        )
    if last.missing:
        raise ConsiliumError(
            f"{told}; {last.missing} objects were lost before it",
            next_step="See `consilium store scrub` and earlier backups.",
        )
    return told


def _truth(parts: Parts) -> Check:
    """Tell what is known of rows and objects; wrong where something is lost, else a warning where nobody looks."""
    what, state = "rows and objects", show_store(records=parts.house.records)
    if state.lost:
        told = f"{state.lost} objects are lost or damaged — See `consilium store show`, and bring them back from a backup."
        return what, "wrong", told
    swept = f"{state.swept_at:%Y-%m-%d %H:%M}" if state.swept_at else "never"
    scrubbed = f"{state.scrubbed_at:%Y-%m-%d}" if state.scrubbed_at else "never"
    told = f"{state.objects} objects, none known lost; last sweep {swept}, last full scrub {scrubbed}"
    late = state.objects and (
        state.swept_at is None or parts.house.clock.now() - state.swept_at > _SWEEP_LATE
    )
    if late:
        return what, "warning", f"{told} — Does the scheduler run? `consilium store sweep` looks now."
    if state.orphans:
        return what, "warning", f"{told}; {state.orphans} are nobody's — See `consilium store show`."
    return what, "ok", told


def _newest_object(parts: Parts) -> str:
    """Open the newest received object and read it to its end."""
    house = parts.house
    with house.records.view() as view:
        newest = view.instances.first(order="-received_at")
        if newest is None:
            return "none yet"
        key = view.key(newest.holder, "originals")
    ref = SealedRef(
        object_id=newest.object_id,
        size_bytes=newest.size_bytes,
        digest=newest.digest,
        generation=newest.generation,
    )
    house.store.verify(ref, key=key, kind="original")
    return "the newest one opens and verifies"


def _running(parts: Parts) -> list[Check]:
    status = running_parts(parts.settings.home)
    if not status:
        return [("exchange", "warning", "not running on this home; start it with `consilium up`")]
    told = status.get("parts", {})
    checks = [("exchange", "ok", f"running: {', '.join(told) if isinstance(told, dict) else 'yes'}")]
    addresses = (
        {name: part.get("address", "") for name, part in told.items()} if isinstance(told, dict) else {}
    )
    if web := addresses.get("web"):
        checks.append(_tried("web", lambda: _web(web)))
    checks += [
        _tried("dicom by TLS" if name == "dicom_tls" else "dicom", partial(_dicom, at))
        for name, at in node_addresses(str(addresses.get("dicom", ""))).items()
    ]
    return checks


def _web(address: str) -> str:
    with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:  # noqa: S310  # our own loopback address
        return f"{address} answers {json.loads(answer.read())['status']}"


def _dicom(address: str) -> str:
    """Connect only: whether an AE title is admitted is the peers' affair, and tried with C-ECHO from there."""
    host, port = host_and_port(address, what="the node")
    with socket.create_connection((host, port), timeout=5):
        return f"{address} accepts connections"


def _tried(what: str, check: Callable[[], str | None], *, else_state: str = "wrong") -> Check:
    try:
        return what, "ok", check() or ""
    except ConsiliumError as error:
        return what, else_state, f"{error} — {error.next_step}"
    except (StorageError, OSError, urllib.error.URLError, ValueError) as error:
        return what, else_state, str(error)
