"""The part of `compose` that is about a bucket: who enters it, by the settings, and whether it can be trusted with anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.domain.errors import InvalidError, UnavailableError
from gateway.settings import Settings
from storage import StorageError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gateway.compose import Parts
    from storage.objects.s3 import S3Objects


def s3_objects(settings: Settings) -> S3Objects | None:
    """Return the bucket in which the objects are, where they are in one; nothing is asked of the server yet.

    Raises
    ------
    InvalidError
        The address or the access key cannot be used.
    """
    if not settings.objects.startswith("s3+"):
        return None
    from storage.objects.s3 import S3Objects
    from storage.objects.s3_address import S3Address, S3Credentials, read_credential

    def of(given: SecretStr, file: str) -> str:
        return given.get_secret_value() or (read_credential(Path(file).expanduser()) if file else "")

    try:
        credentials = S3Credentials(
            access_key=of(settings.s3_access_key, settings.s3_access_key_file),
            secret_key=of(settings.s3_secret_key, settings.s3_secret_key_file),
        )
        return S3Objects(S3Address.parse(settings.objects), credentials)
    except StorageError as error:
        raise InvalidError(
            str(error),
            next_step="Correct CONSILIUM_OBJECTS, CONSILIUM_S3_ACCESS_KEY and CONSILIUM_S3_SECRET_KEY (or the files …_FILE).",
        ) from error


def self_test(parts: Parts) -> None:
    """Try the store with throw-away data, and clear up what dead uploads left: once, before anything is taken in (D15).

    Raises
    ------
    UnavailableError
        It does not do what is named; nothing may be entrusted to it.
    """
    try:
        parts.house.store.probe()
        if (objects := s3_objects(parts.settings)) is not None:
            objects.sweep_drafts()
    except StorageError as error:
        raise UnavailableError(str(error), next_step="Mend what it names, then start again.") from error
