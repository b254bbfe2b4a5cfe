"""The part of `compose` that is about master keys: where they are, by the settings, and what is done for them by the clock."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.clock import SystemClock
from gateway.adapters.doorbell_local import LocalDoorbell
from gateway.domain.epoch import OtherKeysError
from gateway.domain.errors import InvalidError, UnavailableError
from gateway.journeys.compare_keys import refuse_other_keys
from gateway.journeys.destroy_epochs import keep_epochs
from gateway.ports import Records
from gateway.records import SqlRecords, open_engines
from gateway.settings import Settings
from storage import (
    KeyFile,
    KeyProvider,
    KeyServiceError,
    MasterKeys,
    MemoryKeys,
    MemoryObjects,
    SealedStore,
    StorageError,
    create_key_file,
    open_keys,
)
from storage.keys.secret_files import read_secret

if TYPE_CHECKING:
    from gateway.compose import Parts
    from gateway.doors.jobs.schedule import Duty

KEEP_EPOCHS_EVERY_S = 900.0
Ask = Callable[[], bytes]


def key_address(settings: Settings) -> str:
    """Return where the master keys are: the home's own file, or what was named."""
    return settings.keys or f"file:{settings.home / 'keys' / 'master.json'}"


def key_file(settings: Settings) -> Path | None:
    """Return the file of master keys; None where they are in a key service."""
    address = key_address(settings)
    return Path(address.removeprefix("file:")) if address.startswith("file:") else None


def passphrase_of(settings: Settings, ask: Ask | None = None) -> Ask | None:
    """Return what gives the passphrase: the file that is named, systemd's credential, or else who is asked."""
    named = settings.keys_passphrase_file
    folder = _credentials()
    if not named and folder is not None and (usual := folder / "consilium-keys-passphrase").exists():
        named = str(usual)
    if not named:
        return ask
    return partial(read_secret, Path(named).expanduser(), what="the passphrase file")


def open_master_keys(settings: Settings, *, has_sealed: bool, ask: Ask | None = None) -> KeyProvider:
    """Open the master keys of a home; a new one is given its first. Where anything is sealed already, a missing key is a loss, not a beginning."""
    passphrase = passphrase_of(settings, ask)
    path = key_file(settings)
    if path is not None and not path.exists():
        if has_sealed:
            raise UnavailableError(
                f"the key file {path} is gone",
                next_step="Bring it back: `consilium key restore --from SEALED SHARE SHARE`, or from another backup;"
                " without it nothing can be read.",
            )
        protects = passphrase_of(
            settings
        )  # a terminal is asked for a passphrase that is there, never for a new one
        with suppress(StorageError):  # another process of this home was first
            create_key_file(path, passphrase=protects)
    try:
        return open_keys(
            key_address(settings),
            passphrase=passphrase,
            credentials=_credentials(),
            may_begin=not has_sealed,
            folder=settings.home / "keys",
        )
    except ValueError as error:  # the address is not quoted: a secret may stand in it
        raise InvalidError(f"CONSILIUM_KEYS: {error}", next_step="Correct CONSILIUM_KEYS.") from error
    except KeyServiceError as error:
        raise UnavailableError(
            f"the master keys cannot be reached: {error.detail}", next_step="Mend that, then start again."
        ) from error
    except StorageError as error:
        raise UnavailableError(str(error)) from error


def refuse_keys(records: Records, masters: MasterKeys) -> None:
    """Refuse to compose a house with keys of before or of another making; an outage is said as at the opening."""
    try:
        refuse_other_keys(records=records, masters=masters)
    except KeyServiceError as error:
        raise UnavailableError(
            f"the master keys cannot be reached: {error.detail}", next_step="Mend that, then start again."
        ) from error
    except StorageError as error:
        raise UnavailableError(str(error)) from error


def refuse_restored_keys(file: KeyFile, *, url: str, settings: Settings) -> bool:
    """Hold keys that are to be put back against the records at ``url``; False where there are none that know of versions.

    Nothing is made or upgraded on the way: an empty place may be about to take a backup of the data.

    Raises
    ------
    OtherKeysError
        The keys are not the newest that these records know, or others.
    """
    if url.startswith("sqlite:") and not Path(url.removeprefix("sqlite:///")).exists():
        return False
    write, read = open_engines(url)
    try:
        if not inspect(read).has_table("epoch"):
            return False
        keys = MemoryKeys(file)
        store = SealedStore(objects=MemoryObjects(), keys=keys, tenant=settings.tenant)
        records = SqlRecords(
            write=write, read=read, store=store, clock=SystemClock(), doorbell=LocalDoorbell(settings.home)
        )
        refuse_other_keys(
            records=records, masters=MasterKeys(keys, tenant=settings.tenant), pause=lambda _: None
        )
    except OtherKeysError:
        raise
    except (SQLAlchemyError, UnavailableError):  # the records are out: that must not keep the keys away
        return False
    finally:
        write.dispose()
        read.dispose()
    return True


def key_duty(parts: Parts) -> Duty:
    """Return what the scheduler does for the epochs of the master key."""
    from gateway.doors.jobs.background import InBackground
    from gateway.doors.jobs.schedule import Duty

    perform = partial(
        keep_epochs,
        records=parts.house.records,
        jobs=parts.house.jobs,
        masters=parts.masters,
        clock=parts.house.clock,
        epoch_days=parts.settings.key_epoch_days,
        backup_days=parts.settings.backup_days,
    )
    return Duty(name="keep_epochs", every_s=KEEP_EPOCHS_EVERY_S, perform=InBackground("keep_epochs", perform))


def _credentials() -> Path | None:
    """Return the folder of systemd's credentials for this service (systemd.exec(5), LoadCredential=)."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None
