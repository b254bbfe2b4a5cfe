"""The sealed store, which is all that the gateway sees of storage; it knows holders and kinds, not cases.

Bytes go in through `seal` and come out through `open`; between the two there is only ciphertext. Small values for
database columns go through `seal_value` and `open_value`.
"""

import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from storage.buffers import BufferPool
from storage.case_key import CASE_KEY_BYTES, DIGEST_BYTES, CaseKey
from storage.errors import KeyRefusedError, SealBrokenError, SealTooSlowError
from storage.format import MIN_SEGMENT_BYTES, FloeParameters, ObjectNames, key_context
from storage.key_cache import Guard, KeyCache, WrappedKey
from storage.keys.file import FileKeys
from storage.keys.port import KekRef, KeyProvider
from storage.objects.disk import DiskObjects
from storage.objects.ids import checked_id, new_object_id
from storage.objects.port import Cached, Objects
from storage.reader import SealedReader
from storage.room import Room
from storage.sealing import Readable, Sealing
from storage.values import open_value, seal_value

# Small enough that an object is sealed and written out while it is still coming, large enough that 4 GiB cost no more.
SEGMENT_BYTES = 1 << 18
# An id is young when its object appears: who clears away what nothing names goes by the age of the id (docs/decisions/0045).
SEAL_WITHIN_S = 12 * 3600
# A machine that sleeps ages what it seals: CLOCK_MONOTONIC stands still in suspend (clock_gettime(2)).
_SLEEPLESS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRef:
    """Names one sealed object; with the wrapped key and the kind it is enough to open it.

    Attributes
    ----------
    object_id
        32 random hexadecimal digits, chosen before encryption.
    size_bytes
        Length of the plaintext.
    digest
        Keyed digest of the plaintext, 32 bytes: equal for equal content under the same wrapped key's case key, and
        meaningless to whoever lacks that key.
    generation
        1, and one more each time the content is sealed anew.
    """

    object_id: str
    size_bytes: int
    digest: bytes
    generation: int

    def __post_init__(self) -> None:
        checked_id(self.object_id)
        if self.size_bytes < 0 or self.generation < 1 or len(self.digest) != DIGEST_BYTES:
            raise ValueError("no sealed object has such a reference")


class SealedStore:
    """Seals, opens and forgets; safe for use by many threads, and over `fork`."""

    def __init__(
        self,
        *,
        objects: Objects,
        keys: KeyProvider,
        tenant: str,
        segment_bytes: int = SEGMENT_BYTES,
        new_id: Callable[[], str] = new_object_id,
    ) -> None:
        if not tenant:
            raise ValueError("a store belongs to a named tenant")
        if segment_bytes < MIN_SEGMENT_BYTES:
            raise ValueError(f"a segment has at least {MIN_SEGMENT_BYTES} bytes")
        self._objects = objects
        self._keys = keys
        self._tenant = tenant
        self._parameters = FloeParameters(segment_bytes=segment_bytes)
        self._buffers = BufferPool(segment_bytes)
        self._new_id = new_id
        self._cache = KeyCache(self._unwrap)

    def new_key(self, *, holder: str, purpose: str) -> WrappedKey:
        """Make a random case key and return it wrapped; the caller keeps it in a row.

        Raises
        ------
        StoreKeyError
            The master key cannot be used.
        """
        if not holder or not purpose:
            raise ValueError("a key has a holder and a purpose")
        kek = self._keys.current()
        aad = self._key_context(holder, purpose, kek)
        blob = self._keys.wrap(os.urandom(CASE_KEY_BYTES), kek=kek, aad=aad)
        return WrappedKey(
            holder=holder, purpose=purpose, kek_id=kek.kek_id, kek_version=kek.kek_version, blob=blob
        )

    def seal(
        self,
        stream: Readable,
        *,
        key: WrappedKey,
        kind: str,
        limit_bytes: int | None = None,
        generation: int = 1,
    ) -> SealedRef:
        """Encrypt a stream as it is read; return only when the object cannot be lost (D1).

        Memory is constant. An error that the stream raises passes through, and nothing of the object is left.

        Raises
        ------
        TooLargeError
            The stream has more than `limit_bytes`.
        StoreFullError, VolumeFailedError
            Nothing was kept.
        SealTooSlowError
            The stream took longer than `SEAL_WITHIN_S`, sleep of the machine included; nothing was kept.
        StoreKeyError
            The wrapped key does not open.
        """
        began, object_id = time.clock_gettime(_SLEEPLESS), self._new_id()
        sealing = Sealing(
            stream,
            case_key=self._cache.get(key),
            context=self._names(key, object_id, kind, generation).context(self._parameters.suite),
            parameters=self._parameters,
            buffers=self._buffers,
            limit_bytes=limit_bytes,
            still_allowed=partial(self._cache.refuse_forgotten, key.holder),
        )
        with closing(sealing.pieces()) as pieces:
            self._objects.publish(object_id, pieces)
        if time.clock_gettime(_SLEEPLESS) - began > SEAL_WITHIN_S:
            self._objects.remove(object_id)
            raise SealTooSlowError(object_id)
        return SealedRef(
            object_id=object_id, size_bytes=sealing.size_bytes, digest=sealing.digest(), generation=generation
        )

    def open(self, ref: SealedRef, *, key: WrappedKey, kind: str) -> SealedReader:
        """Open an object for reading at any position; the length and the header are verified now, the rest as read.

        Raises
        ------
        ObjectMissingError, ObjectUnreadableError
            There is no such object, or the volume does not give it.
        SealBrokenError
            It is not the object that `ref`, `key` and `kind` name.
        """
        return self._open(ref, key=key, kind=kind, is_passing=False)

    def _open(self, ref: SealedRef, *, key: WrappedKey, kind: str, is_passing: bool) -> SealedReader:
        case_key = self._cache.get(key)
        stored = self._objects.open(ref.object_id)
        try:
            if is_passing and isinstance(stored, Cached):
                stored.pass_by()
            return SealedReader(
                stored,
                key=case_key.secret,
                names=self._names(key, ref.object_id, kind, ref.generation),
                size_bytes=ref.size_bytes,
                buffers=self._buffers,
                still_allowed=partial(self._cache.refuse_forgotten, key.holder),
            )
        except BaseException:
            stored.close()
            raise

    def verify(
        self, ref: SealedRef, *, key: WrappedKey, kind: str, pace: Callable[[int], None] | None = None
    ) -> None:
        """Read the whole object, its final segment included, and compare the digest; raise if anything is wrong.

        `pace` is called with the number of bytes each time some were read. It may wait, or raise to end the reading; and
        what is read under it alone is not left in the machine's memory.
        """
        digester = self._cache.get(key).digester()
        with self._open(ref, key=key, kind=kind, is_passing=pace is not None) as reader:
            whole = self._buffers.take()
            buffer = whole[: self._parameters.payload_bytes]  # a segment's, decrypted there without a copy
            try:
                while count := reader.readinto(buffer):  # reading to the end verifies the final segment too
                    digester.update(buffer[:count])
                    if pace is not None:
                        pace(count)
            finally:
                self._buffers.give(whole, wipe_bytes=min(ref.size_bytes, len(buffer)))
        if not hmac.compare_digest(digester.digest(), ref.digest):
            raise SealBrokenError(f"{ref.object_id}: the digest is another")

    @property
    def objects(self) -> Objects:
        """The place of the sealed bytes, for who copies or counts them as they are; nothing is opened there."""
        return self._objects

    def beside(self, objects: Objects) -> "SealedStore":
        """The same tenant and master keys over another place: a backup's."""
        return SealedStore(
            objects=objects,
            keys=self._keys,
            tenant=self._tenant,
            segment_bytes=self._parameters.segment_bytes,
        )

    def forget(self, object_id: str) -> None:
        """Remove an object; idempotent. Forget its key first: bytes without a key are already unreadable."""
        self._objects.remove(object_id)

    def object_ids(self) -> Iterator[str]:
        """Ids of all objects, in no order; one published or removed meanwhile may or may not appear.

        Raises
        ------
        ObjectUnreadableError
            The place could not list them all.
        """
        return self._objects.ids()

    def sealed_bytes(self, object_id: str) -> int:
        """How long an object is as it lies there, whoever's it is; raises as `open`."""
        with closing(self._objects.open(object_id)) as stored:
            return stored.size_bytes

    def forget_holder(self, holder: str) -> None:
        """Drop this process's unwrapped keys of one holder; every process is told to by its own guard (`heed`)."""
        self._cache.forget_holder(holder)

    def heed(self, guard: Guard) -> None:
        """Ask `guard` before each use of a key from now on, also for each segment of what is open already.

        It is called with the holder and whether its key was in hand, from any thread, and raises `KeyForgottenError`
        or `KeyUnconfirmedError`, which pass through.
        """
        self._cache.guard = guard

    def seal_value(self, value: bytes, *, key: WrappedKey, context: bytes) -> bytes:
        """Encrypt a small value for a database column; `context` names table, column and row, and must be repeated."""
        return seal_value(secret=self._cache.get(key).secret, value=value, context=context)

    def open_value(self, blob: bytes, *, key: WrappedKey, context: bytes) -> bytes:
        """Decrypt what `seal_value` returned.

        Raises
        ------
        SealBrokenError
            It was altered, or key or context is another's.
        """
        return open_value(secret=self._cache.get(key).secret, blob=blob, context=context)

    def derive(self, *, key: WrappedKey, label: bytes, length: int = 32) -> bytes:
        """Derive a key for another craft (pseudonyms, for one) from the case key; equal labels give equal keys."""
        return self._cache.get(key).derive(label, length)

    def room(self) -> Room | None:
        """Measure what room the objects have; None where only a refused write tells. Raises ``OSError``."""
        return self._objects.room()

    def probe(self) -> None:
        """Try volume, master key and cipher with throw-away data; raise what is wrong and how to mend it (D15)."""
        self._objects.probe()
        self._keys.probe()
        key = self.new_key(holder="probe", purpose="probe")
        try:
            blob = self.seal_value(b"probe", key=key, context=b"probe")
            if self.open_value(blob, key=key, context=b"probe") != b"probe":
                raise SealBrokenError("the self-test failed")
        finally:
            self.forget_holder("probe")

    def _unwrap(self, key: WrappedKey) -> CaseKey:
        kek = KekRef(kek_id=key.kek_id, kek_version=key.kek_version)
        secret = self._keys.unwrap(key.blob, kek=kek, aad=self._key_context(key.holder, key.purpose, kek))
        if len(secret) != CASE_KEY_BYTES:
            raise KeyRefusedError("a case key has 32 bytes")
        return CaseKey(secret)

    def _key_context(self, holder: str, purpose: str, kek: KekRef) -> bytes:
        return key_context(
            tenant=self._tenant,
            holder=holder,
            purpose=purpose,
            kek_id=kek.kek_id,
            kek_version=kek.kek_version,
        )

    def _names(self, key: WrappedKey, object_id: str, kind: str, generation: int) -> ObjectNames:
        if not kind:
            raise ValueError("a sealed object has a kind")
        return ObjectNames(
            tenant=self._tenant, holder=key.holder, object_id=object_id, kind=kind, generation=generation
        )


def open_disk_store(
    path: Path, key_file: Path, *, tenant: str, new_id: Callable[[], str] = new_object_id
) -> SealedStore:
    """Open the embedded default: objects under `path`, the master key in `key_file` (see `create_key_file`)."""
    return SealedStore(
        objects=DiskObjects(path / "objects"), keys=FileKeys(key_file), tenant=tenant, new_id=new_id
    )
