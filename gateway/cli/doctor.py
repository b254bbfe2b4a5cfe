"""``consilium doctor``: asks every part how it is and says what is wrong and how to mend it."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pysqlite3
import typer

from gateway.cli.console import REFUSED, emit, table
from gateway.cli.frame import house_of
from gateway.cli.supervisor import running_parts
from gateway.compose import Parts
from gateway.domain.errors import ConsiliumError
from gateway.settings import host_and_port
from storage import StorageError

_LOW_BYTES = 2 << 30
Check = tuple[str, str, str]  # what, how it is (ok, warning, wrong), what to know or do


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("doctor", help="Ask every part how it is; exit code 1 if anything is wrong.")(doctor)


def doctor(ctx: typer.Context) -> None:
    """Check the home, the keys, the store, the records, the sandbox and what runs."""
    with house_of(ctx) as parts:
        checks = [*_home(parts), *_craft(parts), *_running(parts)]
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
    room = "ok" if free > _LOW_BYTES else "warning"
    checks = [
        ("home", "ok", f"{settings.home}, mode {settings.mode}"),
        ("room", room, f"{free // (1 << 30)} GiB free on the home's volume"),
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
            return f"{view.head()[0]} audit events"

    return [
        _tried("store and keys", store),
        _tried("records", records),
        _tried("sandbox", sandbox, else_state="warning"),
        _tried("jobs", failed_jobs, else_state="warning"),
    ]


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
    if dicom := addresses.get("dicom"):
        checks.append(_tried("dicom", lambda: _dicom(dicom)))
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
