"""Sealed objects in an S3 bucket: whole or not at all when `publish` returns, under random keys that nobody else chooses.

``<prefix>objects/<id>`` holds an object; ``<prefix>probe/`` holds what `probe` tries the server with. The row is the
authority: a key without a row is an orphan, whatever the server says of it (docs/decisions/0043).
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from storage.objects.ids import ID_PATTERN, checked_id
from storage.objects.retrying import patiently
from storage.objects.s3_address import S3Address, S3Credentials
from storage.objects.s3_errors import S3RefusalError, while_reading, while_writing
from storage.objects.s3_probe import examine
from storage.objects.s3_reading import S3Object
from storage.objects.s3_uploading import Upload
from storage.objects.s3_wire import PART_BYTES, Parcel, Patience, Wire
from storage.room import Room

STALE_S = 86_400.0  # sealing takes half a day at most (`SealTooSlowError`), so who is older has no writer


class S3Objects:
    """`Objects` in one bucket, shared by any number of processes and computers; safe over `fork`.

    Memory: at most one part (16 MiB) for each object on its way in, 4 MiB for each one open. No error ends writing by this
    process: the network heals.
    """

    def __init__(
        self,
        address: S3Address,
        credentials: S3Credentials,
        *,
        patience: Patience | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._wire = Wire(address, credentials, patience or Patience())
        self._part_bytes = part_bytes
        self._conditional: bool | None = None
        self.remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"S3Objects({self._wire.address.endpoint}/{self._wire.address.bucket})"

    def publish(self, object_id: str, pieces: Iterable[memoryview | bytes]) -> int:
        upload = Upload(
            self._wire,
            self._key(object_id),
            object_id,
            part_bytes=self._part_bytes,
            is_conditional=self._heeds_conditions(),
        )
        try:
            for piece in pieces:  # the sender's own errors rise here and pass through
                upload.add(piece)
            upload.finish()
        except BaseException:
            upload.drop()
            raise
        return upload.size_bytes

    def open(self, object_id: str) -> S3Object:
        return S3Object(self._wire, self._key(object_id), object_id)

    def remove(self, object_id: str) -> None:
        key = self._key(object_id)
        try:
            patiently(lambda: self._wire.delete(key))
        except S3RefusalError as refusal:
            raise while_writing(refusal, object_id) from refusal

    def ids(self) -> Iterator[str]:
        """Ids in order, page by page; a page that fails is asked for again, after the last id that came."""
        prefix, last, failures = self._key_prefix, "", 0
        while True:
            try:
                for key, _ in self._wire.keys(prefix, after=last):
                    last, failures = key, 0
                    if ID_PATTERN.fullmatch(key.removeprefix(prefix)):
                        yield key.removeprefix(prefix)
            except S3RefusalError as refusal:
                failures += 1
                if refusal.kind != "outage" or failures > 3:
                    raise while_reading(refusal, "the list of objects") from refusal
            else:
                return

    def room(self) -> Room | None:
        """No S3 server says how much it could still take; it refuses what does not fit."""
        return None

    def probe(self) -> None:
        """Try with a few small objects what publishing needs; refuse what is wrong, remark what can be lived with.

        `remarks` tells afterwards what the server lacks. See `storage.objects.s3_probe`.

        Raises
        ------
        VolumeUnfitError
            The server does not do what is named.
        StoreDeniedError, StoreOutageError
            It refuses us or does not answer.
        """
        try:
            found = examine(self._wire, f"{self._wire.address.prefix}probe/{secrets.token_hex(16)}")
        except S3RefusalError as refusal:
            raise while_writing(refusal, "probe") from refusal
        self._conditional, self.remarks = found.heeds_conditions, found.remarks

    def sweep_drafts(self, *, older_s: float = STALE_S) -> int:
        """Abort uploads that nobody completes any more, with all their parts; return how many.

        Which of them a living process works on cannot be asked, so only those older than a day are touched. Repeating is
        harmless.

        Raises
        ------
        StoreDeniedError, StoreOutageError
            The server could not be asked.
        """
        before, swept = datetime.now(UTC) - timedelta(seconds=older_s), 0
        try:
            for prefix in (self._key_prefix, self._probe_prefix):
                for upload in list(self._wire.uploads(prefix)):
                    if upload.begun_at <= before:
                        with suppress(S3RefusalError):  # another sweep was first
                            self._wire.abort(upload.key, upload.upload_id)
                            swept += 1
            for key, modified in list(self._wire.keys(self._probe_prefix)):
                if modified is not None and modified <= before:
                    self._wire.delete(key)
        except S3RefusalError as refusal:
            raise while_writing(refusal, "sweep of stale uploads") from refusal
        return swept

    @property
    def _key_prefix(self) -> str:
        return f"{self._wire.address.prefix}objects/"

    @property
    def _probe_prefix(self) -> str:
        return f"{self._wire.address.prefix}probe/"

    def _key(self, object_id: str) -> str:
        return self._key_prefix + checked_id(object_id)

    def _heeds_conditions(self) -> bool:
        """Whether a taken key is refused by the server; asked once in each process, by writing one probe twice."""
        if self._conditional is None:
            key, body = f"{self._probe_prefix}{secrets.token_hex(16)}", Parcel()
            body += b"probe"
            try:
                self._conditional = _refuses_second(self._wire, key, body)
            except S3RefusalError as refusal:
                raise while_writing(refusal, "probe") from refusal
        return self._conditional


def _refuses_second(wire: Wire, key: str, body: Parcel) -> bool:
    try:
        wire.put(key, body, ticket="first")
        try:
            wire.put(key, body, ticket="second")
        except S3RefusalError as refusal:
            if refusal.kind == "taken":
                return True
            raise
        return False
    finally:
        with suppress(S3RefusalError):
            wire.delete(key)
