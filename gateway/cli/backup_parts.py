"""What the commands of a backup are wired from, where no house is composed yet; they say nothing themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from gateway.compose import compose
from gateway.domain.backup import Database, Facts
from gateway.domain.backup_ports import Snapshots
from gateway.journeys.restore_house import OpenHouse
from gateway.journeys.verify_backup import CheckSnapshot
from gateway.ports import Records, Witness
from gateway.records.snapshot import check_snapshot, snapshots_of
from gateway.settings import Settings
from storage import Readable, SealedStore


def snapshots_at(url: str) -> Snapshots:
    """Return what takes and puts back snapshots of the records at this address."""
    return snapshots_of(url)


def is_set_up(settings: Settings) -> bool:
    """Tell whether this home has records already; asking must not make any."""
    return bool(settings.records) or (settings.home / "records" / "records.db").exists()


def keyed(settings: Settings, keys: str, *, objects: Path | None = None) -> Settings:
    """Return the settings with other keys and, to look into a repository alone, its objects as the store's."""
    update: dict[str, object] = {}
    if keys:
        update["keys"] = (
            keys if ":" in keys.split("/", 1)[0] else f"file:{Path(keys).expanduser().absolute()}"
        )
    if objects is not None:
        update["objects"] = f"disk:{objects}"
    return settings.model_copy(update=update)


def checker(home: Path) -> CheckSnapshot:
    """Return what looks through a snapshot; its draft lies in the home, where a start sweeps it, else in the system's folder."""

    def check(database: Database, stream: Readable) -> Facts | None:
        folder = next((one for one in (home / "records", home) if one.is_dir()), None)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".look-") as private:
            return check_snapshot(database, stream, folder=Path(private))

    return check


def opening(settings: Settings) -> OpenHouse:
    """Return what opens the house that is being restored, past the mark that keeps everybody else out."""
    return partial(_open, settings)


@contextmanager
def _open(settings: Settings) -> Iterator[tuple[Records, SealedStore, Witness]]:
    parts = compose(settings, is_restoring=True)
    try:
        yield parts.house.records, parts.house.store, parts.house.witness
    finally:
        parts.close()
