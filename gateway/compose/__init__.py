"""The one place where adapters are chosen, by the scheme of a URL, and wired into a house; nothing else reads the settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from gateway.adapters.backup_home import refuse_half_restored
from gateway.adapters.clock import SystemClock
from gateway.adapters.doorbell_celery import CeleryDoorbell
from gateway.adapters.doorbell_local import LocalDoorbell
from gateway.adapters.mail_file import FileMailer
from gateway.adapters.register_file import FileRegister
from gateway.adapters.room_gauge import VolumeGauge, volume_gauge
from gateway.adapters.sandbox import ForkingSandbox
from gateway.adapters.scan_none import NoScanner
from gateway.adapters.text_file import FileTexter
from gateway.adapters.witness_file import FileWitness
from gateway.compose.keys import Ask, open_master_keys, refuse_keys
from gateway.compose.s3 import s3_objects
from gateway.domain.addresses import is_loopback
from gateway.domain.calls import CallRules
from gateway.domain.errors import InvalidError, UnavailableError
from gateway.domain.room import ballast_bytes
from gateway.journeys.set_up_house import set_up_house
from gateway.ports import Doorbell, House
from gateway.records import JobRows, SqlRecords, open_engines
from gateway.records.object_ids import BatchedIds
from gateway.records.schema import has_sealed, make_schema
from gateway.records.snapshot_drafts import sweep_drafts
from gateway.records.store_identity import know_store, known_store, named_objects
from gateway.settings import Settings, host_and_port
from storage import (
    DiskObjects,
    KeyProvider,
    MasterKeys,
    Objects,
    SealedStore,
    StorageError,
    VolumeAwayError,
    new_object_id,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A composed house and what only its owner touches."""

    house: House
    settings: Settings
    doorbell: Doorbell
    records: SqlRecords
    sandbox: ForkingSandbox
    gauge: VolumeGauge
    masters: MasterKeys
    ending: ExitStack = field(default_factory=ExitStack)  # what doors have to say before the records close

    def close(self) -> None:
        """Give back connections and children."""
        self.ending.close()
        self.sandbox.close()
        self.records.close()


def compose(
    settings: Settings,
    *,
    sandbox_workers: int | None = None,
    is_restoring: bool = False,
    ask_passphrase: Ask | None = None,
) -> Parts:
    """Build a house from its settings; an empty home is set up on the way (private folders, key, tables)."""
    refuse_unsafe(settings)
    home = settings.home
    _make_home(home)
    if not is_restoring:
        refuse_half_restored(home)
    clock = SystemClock()
    doorbell = _doorbell(settings)
    write, read = open_engines(records_url(settings))
    make_schema(write)
    _sweep(home, write)
    object_ids = BatchedIds(write, clock)
    keys = open_master_keys(settings, has_sealed=has_sealed(read), ask=ask_passphrase)
    on_disk = partial(_objects_on_disk, write=write, read=read, is_restoring=is_restoring)
    store = _store(settings, keys=keys, new_id=object_ids, on_disk=on_disk)
    room = volume_gauge(
        objects=store.room,
        records=records_url(settings),
        witness=settings.witness.removeprefix("file:") or str(home / "audit" / "checkpoints"),
        rules=settings.room_rules(),
        ballast=partial(ballast_bytes, is_trial=settings.mode != "production") if settings.ballast else None,
        mark=home / "room.mark",
    )
    records = SqlRecords(
        write=write,
        read=read,
        store=store,
        clock=clock,
        doorbell=doorbell,
        on_full=room.give_up_ballast,
    )
    masters = MasterKeys(keys, tenant=settings.tenant)
    refuse_keys(records, masters)
    sandbox = ForkingSandbox(workers=sandbox_workers or settings.workers)
    house = House(
        records=records,
        jobs=JobRows(write=write, read=read, records=records),
        store=store,
        clock=clock,
        random=os.urandom,
        texter=_file(settings.texter, home / "outbox" / "texts.jsonl", FileTexter, "texter"),
        mailer=_file(settings.mailer, home / "outbox" / "mail.jsonl", FileMailer, "mailer"),
        scanner=_scanner(settings),
        sandbox=sandbox,
        witness=_file(settings.witness, home / "audit" / "checkpoints", FileWitness, "witness"),
        register=FileRegister(home / "audit" / "forgotten.jsonl"),
        policy=settings.policy(),
        calls=_call_rules(settings),
        room=room,
    )
    set_up_house(records=records, store=store)
    records.watch_forgotten()
    parts = Parts(
        house=house, settings=settings, doorbell=doorbell, records=records, sandbox=sandbox, gauge=room,
        masters=masters,
    )  # fmt: skip
    parts.ending.callback(object_ids.give_back)
    return parts


def _sweep(home: Path, engine: Engine) -> None:
    """Remove what a killed backup left: a whole copy of the records, with keys of cases that were forgotten since."""
    beside = {Path(engine.url.database or "").parent} if engine.dialect.name == "sqlite" else set()
    for folder in {home, home / "records"} | beside:
        sweep_drafts(folder)


def records_url(settings: Settings) -> str:
    """Return where the records are: the home's own file, or the server that was named."""
    return settings.records or f"sqlite:///{settings.home / 'records' / 'records.db'}"


def refuse_unsafe(settings: Settings) -> None:
    """Refuse by name what must not leave this computer unprotected; in production also what is meant for trials."""
    dicom = host_and_port(settings.dicom, what="--dicom")[0] if settings.dicom else "localhost"
    if not is_loopback(dicom) and not settings.plain_dicom_elsewhere:
        raise InvalidError(
            f"DICOM without TLS is for this computer alone, and {dicom} is not",
            next_step="Listen by TLS (--dicom-tls HOST:2762), or set CONSILIUM_PLAIN_DICOM_ELSEWHERE=true if the network itself is protected.",
        )
    http = host_and_port(settings.http, what="--http")[0]
    to_a_proxy = settings.trusted_proxies and settings.url.startswith("https://")
    if not (is_loopback(http) or to_a_proxy or settings.plain_http_elsewhere):
        raise InvalidError(
            f"HTTP without TLS is for this computer alone, and {http} is not",
            next_step="Put a TLS proxy before it, and name it where it is another computer (CONSILIUM_PUBLIC_URL=https://… and"
            " CONSILIUM_TRUSTED_PROXIES), or set CONSILIUM_PLAIN_HTTP_ELSEWHERE=true if the network itself is protected.",
        )
    if settings.mode != "production":
        return
    for name in ("texter", "mailer", "scanner"):
        value = str(getattr(settings, name))
        if value.startswith(("file:", "none:")):
            raise InvalidError(
                f"CONSILIUM_{name.upper()}={value} is for trials, and this version has no adapter for a real service yet",
                next_step="Run it as a trial (CONSILIUM_MODE=trial), with generated patients only.",
            )
    if not settings.url.startswith("https://"):
        raise InvalidError(
            "production needs TLS", next_step="Set CONSILIUM_PUBLIC_URL=https://… and put a proxy before it."
        )


def _make_home(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = home.stat().st_mode & 0o077
    if mode:
        raise InvalidError(f"others than its owner can look into {home}", next_step=f"Run: chmod 700 {home}")


def store_to_restore(settings: Settings) -> SealedStore:
    """Open the store of a home without records: its keys must be there already."""
    _make_home(settings.home)
    return _store(settings, keys=open_master_keys(settings, has_sealed=True), new_id=new_object_id)


def _objects_on_disk(root: Path, *, write: Engine, read: Engine, is_restoring: bool) -> DiskObjects:
    """Open the objects on the volume that the records know, and on no other; make both known to each other once (0055).

    A home that is being restored gets an identity of its own: the records that were put back know that of the old one. A home
    from before identities gets one where most of the objects lie that its rows name.
    """
    if not is_restoring and (known := known_store(read)):
        return DiskObjects(root, identity=known)
    if not is_restoring and (named := named_objects(read)):
        there = sum((root / id_[:2] / id_).exists() for id_ in named)
        if 2 * there <= len(named):
            raise VolumeAwayError(f"of {len(named)} objects that the records name, {there} are in {root}")
    objects = DiskObjects(root)
    ours = objects.settle()
    if (known := know_store(write, ours, is_restoring=is_restoring)) != ours:
        raise VolumeAwayError(f"another store, {ours}, is at {root}, and the records know {known}")
    return objects


def _store(
    settings: Settings,
    *,
    keys: KeyProvider,
    new_id: Callable[[], str],
    on_disk: Callable[[Path], DiskObjects] = DiskObjects,
) -> SealedStore:
    if settings.objects and not settings.objects.startswith(("disk:", "s3+")):
        raise InvalidError(
            "CONSILIUM_OBJECTS has no adapter of that kind",  # not quoted: a secret may stand in it
            next_step="Write disk:/absolute/path or s3+https://host/bucket.",
        )
    objects: Objects | None = s3_objects(settings)
    try:
        if objects is None:
            path = Path(settings.objects.removeprefix("disk:") or settings.home)
            objects = on_disk(path / "objects")
        return SealedStore(objects=objects, keys=keys, tenant=settings.tenant, new_id=new_id)
    except VolumeAwayError as error:
        raise UnavailableError(
            str(error),
            next_step="Mount the volume of the objects (CONSILIUM_OBJECTS), then start again; docs/operations.md, «The volume of the objects».",
        ) from error
    except StorageError as error:
        raise UnavailableError(str(error)) from error


def _doorbell(settings: Settings) -> Doorbell:
    if settings.doorbell == "local:":
        return LocalDoorbell(settings.home)
    if settings.doorbell.startswith("celery+"):
        return CeleryDoorbell(settings.doorbell)
    raise InvalidError(
        f"CONSILIUM_DOORBELL={settings.doorbell} has no adapter",
        next_step="Write local:, celery+redis://… or celery+amqp://…",
    )


def _scanner(settings: Settings) -> NoScanner:
    if settings.scanner != "none:":
        raise InvalidError(f"CONSILIUM_SCANNER={settings.scanner} has no adapter", next_step="Write none:")
    return NoScanner()


def _file(url: str, usual: Path, adapter: Any, name: str) -> Any:
    if not url.startswith("file:"):
        raise InvalidError(
            f"CONSILIUM_{name.upper()}={url} has no adapter", next_step="Write file: or file:/absolute/path."
        )
    return adapter(Path(url.removeprefix("file:") or usual))


def _call_rules(settings: Settings) -> CallRules:
    files = settings.tls_files
    has_own = settings.dicom_tls or files.certificate.exists()
    return CallRules(
        certificate=files.certificate if has_own else None,
        key=files.key if has_own else None,
        authorities=files.authorities,
        revoked=files.revoked,
        lists_expected=files.lists_expected,
        lists_mark=files.lists_mark,
        profile=settings.dicom_tls_profile,
        plain_elsewhere=settings.plain_dicom_elsewhere,
    )
