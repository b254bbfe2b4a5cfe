"""What ``consilium doctor`` can ask without keys and records: the home, the computer, certificates, and what runs."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from functools import partial

import pysqlite3

from anonymizer.ocr import languages
from gateway.adapters.clock import SystemClock
from gateway.cli.certificate import certificate_health, lists_health
from gateway.cli.console import refused_by_storage
from gateway.cli.run_parts import node_addresses
from gateway.cli.supervisor import running_parts
from gateway.domain.errors import ConsiliumError
from gateway.settings import Settings, host_and_port
from storage import StorageError, StoreKeyError, swap_in_clear

_LOW_BYTES = 2 << 30
_FULL_BYTES = 64 << 20
Check = tuple[str, str, str]  # what, how it is (ok, warning, wrong), what to know or do


def without_house(settings: Settings, error: ConsiliumError | StorageError) -> list[Check]:
    """Ask what needs neither keys nor records: one part that is out must not hide how the others are."""
    spoken = refused_by_storage(error) if isinstance(error, StorageError) else error
    cause = error.__cause__ if isinstance(error, ConsiliumError) else error
    what = "keys" if isinstance(cause, StoreKeyError) or "key" in str(error) else "house"
    now = SystemClock().now()
    return [
        *home(settings),
        (what, "wrong", f"{spoken} — {spoken.next_step}"),
        (
            "not asked",
            "warning",
            "store, records, sandbox, jobs and backups can be asked when that is mended",
        ),
        swap(),
        *certificate(settings, now),
        *revocation_lists(settings, now),
        *running(settings),
    ]


def home(settings: Settings) -> list[Check]:
    free = shutil.disk_usage(settings.home).free
    room = "ok" if free > _LOW_BYTES else "warning" if free > _FULL_BYTES else "wrong"
    checks = [
        ("home", "ok", f"{settings.home}, mode {settings.mode}"),
        ("room", room, f"{size(free)} free on the home's volume"),
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


def swap() -> Check:
    areas = swap_in_clear()
    if areas is None:
        return "swap", "warning", "nobody can tell here whether memory may be swapped out in clear"
    if areas:
        told = f"keys may reach {', '.join(areas)}: set MemorySwapMax=0 for the service, or encrypt the swap"
        return "swap", "warning", told
    return "swap", "ok", "no memory of ours is written to a disk in clear"


def text_in_pictures() -> Check:
    """Which languages of words burned into pictures can be read here; without any, risky pictures wait for a human."""
    if found := languages():
        return "text in pictures", "ok", f"read in {', '.join(found)}"
    told = "pictures at risk will be held — Install tesseract's language packs (tesseract-ocr-eng, tesseract-ocr-swe)."
    return "text in pictures", "warning", told


def certificate(settings: Settings, now: datetime) -> list[Check]:
    """The node's certificate, where it speaks TLS or has one: as wrong when it has ended, as warning 30 days before."""
    files = settings.tls_files
    if not (settings.dicom_tls or files.certificate.exists()):
        return []
    try:
        state, told = certificate_health(files, now)
    except ConsiliumError as error:
        state, told = "wrong", f"{error} — {error.next_step}"
    return [("certificate", state, told)]


def revocation_lists(settings: Settings, now: datetime) -> list[Check]:
    """The revocation lists, where there are any or should be: their loss shuts peers out, for good reason."""
    try:
        found = lists_health(settings.tls_files, now)
    except ConsiliumError as error:
        found = "wrong", f"{error} — {error.next_step}"
    return [("revocation lists", *found)] if found else []


def running(settings: Settings) -> list[Check]:
    status = running_parts(settings.home)
    if not status:
        return [("exchange", "warning", "not running on this home; start it with `consilium up`")]
    told = status.get("parts", {})
    checks = [("exchange", "ok", f"running: {', '.join(told) if isinstance(told, dict) else 'yes'}")]
    addresses = (
        {name: part.get("address", "") for name, part in told.items()} if isinstance(told, dict) else {}
    )
    if web := addresses.get("web"):
        checks.append(tried("web", lambda: _web(web)))
    checks += [
        tried("dicom by TLS" if name == "dicom_tls" else "dicom", partial(_dicom, at))
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


def tried(what: str, check: Callable[[], str | None], *, else_state: str = "wrong") -> Check:
    try:
        return what, "ok", check() or ""
    except ConsiliumError as error:
        return what, else_state, f"{error} — {error.next_step}"
    except (StorageError, OSError, urllib.error.URLError, ValueError) as error:
        return what, else_state, str(error)


def size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GiB" if size_bytes >= 1 << 30 else f"{size_bytes >> 20} MiB"
