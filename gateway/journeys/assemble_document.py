"""Putting the sealed pieces of an upload together: read one after another, hashed, sealed as one object."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.domain.document import Document
from gateway.domain.errors import BusyError, ConflictError
from gateway.domain.people import Actor
from gateway.domain.upload import Part
from gateway.ports import Records
from storage import SealedRef, SealedStore, WrappedKey


@dataclass
class PartChain:
    """Reads the parts of an upload one after another, as one stream."""

    store: SealedStore
    key: WrappedKey
    parts: Sequence[Part]

    def chunks(self) -> Iterator[bytes]:
        expected = 0
        for part in self.parts:
            if part.offset_bytes != expected:
                raise ConflictError(f"upload {part.upload_id} has a hole at {expected}")
            ref = SealedRef(
                object_id=part.object_id,
                size_bytes=part.size_bytes,
                digest=part.digest,
                generation=part.generation,
            )
            with self.store.open(ref, key=self.key, kind="part") as reader:
                while block := reader.read(1 << 20):
                    yield block
            expected += part.size_bytes


class HashingStream(io.RawIOBase):
    """Chunks as a readable stream that keeps their SHA-256 and CRC-32 for a sealed receipt or manifest."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        while not self._rest:
            block = next(self._chunks, None)
            if block is None:
                return 0
            self.sha256.update(block)
            self._rest = memoryview(block)
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def assemble(document: Document, *, records: Records, store: SealedStore, by: Actor) -> Document:
    """Seal the parts of an upload as one object; the parts are forgotten when the object's row is committed."""
    if document.object_id:
        return document
    with records.view() as view:
        parts = view.parts.find(upload_id=document.id, order="offset_bytes")
        key = view.key(document.holder, "originals")
    stream = HashingStream(PartChain(store, key, parts).chunks())
    ref = store.seal(stream, key=key, kind="original")
    whole = replace(
        document,
        object_id=ref.object_id,
        size_bytes=ref.size_bytes,
        digest=ref.digest,
        generation=ref.generation,
        sha256=stream.sha256.hexdigest(),
    )
    if ref.size_bytes != document.size_bytes:  # another worker was first and has forgotten the parts
        store.forget(ref.object_id)
        raise BusyError
    with records.change(by=by) as change:
        if change.documents.get(document.id).object_id:
            raise BusyError
        change.documents.put(whole)
        change.parts.remove(upload_id=document.id)
        change.note(
            "document_inspected",
            case_id=document.case_id,
            subject=document.id,
            bytes=ref.size_bytes,
            parts=len(parts),
        )
    for part in parts:
        store.forget(part.object_id)
    return whole
