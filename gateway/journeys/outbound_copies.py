"""The copies of a release as instances to send: opened one by one as their turn comes, verified as they are read; nobody is called here."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence

from dicom_node.part10 import open_part10
from dicom_node.scu import OutboundInstance
from gateway.domain.errors import ConflictError
from gateway.domain.release import Manifest, ManifestEntry
from gateway.journeys.make_copy import COPY_KIND
from gateway.ports import Records
from storage import SealBrokenError, SealedReader, SealedStore, WrappedKey

_ROWS = 500


def outbound_copies(
    manifest: Manifest,
    *,
    done: Sequence[str],
    key: WrappedKey,
    records: Records,
    store: SealedStore,
    beat: Callable[[], None],
) -> Iterator[tuple[str, OutboundInstance]]:
    """Yield copy ids and instances of a manifest in the package's order, without those that are done already.

    Only what the manifest names, and of it only instances: documents and the package's own files are no objects of
    C-STORE. Their UIDs come from the copies' rows, a few hundred at a time.
    """
    skip = set(done)
    entries = [e for e in manifest.entries if e.kind == "instance" and e.content.copy_id not in skip]
    for at in range(0, len(entries), _ROWS):
        beat()
        some = entries[at : at + _ROWS]
        with records.view() as view:
            rows = {copy.id: copy.index for copy in view.copies.find(id=[e.content.copy_id for e in some])}
        for entry in some:
            index = rows.get(entry.content.copy_id, {})
            yield entry.content.copy_id, _instance(entry, index, key=key, store=store)


def _instance(
    entry: ManifestEntry, index: dict[str, object], *, key: WrappedKey, store: SealedStore
) -> OutboundInstance:
    sop_class, sop_instance, syntax = (
        str(index.get(name, "")) for name in ("SOPClassUID", "SOPInstanceUID", "TransferSyntaxUID")
    )

    def opened() -> _CopyStream:
        reader = store.open(entry.content.ref, key=key, kind=COPY_KIND)
        try:
            return _CopyStream(reader, entry, (sop_class, sop_instance, syntax))
        except BaseException:
            reader.close()
            raise

    return OutboundInstance(
        sop_class_uid=sop_class, sop_instance_uid=sop_instance, transfer_syntax_uid=syntax, open=opened
    )


class _CopyStream:
    """The data set of one copy, behind its File Meta; its end is told only when it was the one that was approved.

    Each segment was verified before a byte of it comes out; at the end the whole file must have the manifest's digest.
    A receiver that never sees the last fragment keeps nothing.
    """

    def __init__(self, reader: SealedReader, entry: ManifestEntry, named: tuple[str, str, str]) -> None:
        self._whole = _Digested(reader, entry.sha256)
        meta, self._data_set = open_part10(self._whole)
        if (meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid) != named:
            raise ConflictError("the copy is not the object that its row names")

    def read(self, size: int = -1, /) -> bytes:
        return self._data_set.read(size)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        return self._data_set.readinto(buffer)

    def close(self) -> None:
        self._whole.close()


class _Digested:
    """A sealed file that will not end with another digest than the approved one."""

    def __init__(self, reader: SealedReader, sha256: str) -> None:
        self._reader = reader
        self._expected = sha256
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._reader.read(size)
        self._digest.update(data)
        if not data or size < 0:
            self._compare()
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        view = memoryview(buffer).cast("B")
        got = self._reader.readinto(view)
        self._digest.update(view[:got])
        if not got and len(view):
            self._compare()
        return got

    def close(self) -> None:
        self._reader.close()

    def _compare(self) -> None:
        if not hmac.compare_digest(self._digest.hexdigest(), self._expected):
            raise SealBrokenError("the copy is not the one that was approved")
