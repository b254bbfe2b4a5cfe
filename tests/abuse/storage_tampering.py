"""Every way we know to alter a sealed object, its row or its key, as things to try; and what counts as accepted.

A thing to try is a name and a function that says whether it was accepted. Nothing is made before it is tried, so a run may
take some of them only.
"""

from __future__ import annotations

import io
import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from storage import MemoryKeys, MemoryObjects, SealBrokenError, SealedReader, SealedStore, StorageError
from storage.buffers import BufferPool
from storage.format import HEADER_BYTES, PARAMETERS, PREFIX_BYTES, FloeParameters, Layout, ObjectNames
from storage.objects.memory import MemoryObject

Try = tuple[str, Callable[[], bool]]
POOL = BufferPool(4096)
SMALL, PAYLOAD = 96, 64
LARGE = 1024
SEGMENT_PREFIX_BYTES = 16  # length and IV


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One sealed object with all that is needed to open it, so that each can be replaced by another's."""

    names: ObjectNames
    secret: bytes
    plain: bytes
    data: bytes
    segment_bytes: int

    @property
    def segments(self) -> list[bytes]:
        return [
            self.data[at : at + self.segment_bytes]
            for at in range(HEADER_BYTES, len(self.data), self.segment_bytes)
        ]


class Unseen(MemoryObject):
    """The bytes must be read, as from a disk; `MemoryObject` itself shows them, as S3's window does."""

    view = None  # so that it is no `Held`


class LeakError(AssertionError):
    """Bytes that did not verify came out; that is worse than an acceptance."""


def accepted(
    kept: Kept,
    *,
    data: bytes | None = None,
    names: ObjectNames | None = None,
    secret: bytes | None = None,
    size_bytes: int | None = None,
) -> bool:
    """Read the whole object in three ways; true if any of them goes through to the end.

    After each refusal, what is in the caller's buffer must be the true plaintext of the segments before it, then zeros (E2).
    """
    altered = kept.data if data is None else data
    size = len(kept.plain) if size_bytes is None else size_bytes
    for make, piece_bytes in ((MemoryObject, size + 1), (Unseen, size + 1), (Unseen, 50)):
        buffer = memoryview(bytearray(size + 1))
        done = 0
        try:
            with SealedReader(
                make(altered),
                key=secret or kept.secret,
                names=names or kept.names,
                size_bytes=size,
                buffers=POOL,
            ) as reader:
                try:
                    while count := reader.readinto(buffer[done : done + piece_bytes]):
                        done += count
                except SealBrokenError:
                    verified = reader.tell()
                    if bytes(buffer[:verified]) != kept.plain[:verified] or any(buffer[verified:]):
                        raise LeakError(kept.names.object_id) from None
                else:
                    return True
        except SealBrokenError:
            pass
    return False


def keep(size_bytes: int, *, segment_bytes: int = SMALL, **names: str | int) -> Kept:
    """Seal one object of random content as the store does."""
    objects = MemoryObjects()
    told = {"tenant": "north", "holder": "case-1", "kind": "original", "generation": 1} | names
    store = SealedStore(
        objects=objects, keys=MemoryKeys(), tenant=str(told["tenant"]), segment_bytes=segment_bytes
    )
    key = store.new_key(holder=str(told["holder"]), purpose="originals")
    return sealed_with(store, objects, key, size_bytes, told, segment_bytes)


def sealed_with(store, objects, key, size_bytes, told, segment_bytes=SMALL) -> Kept:
    plain = bytes(1 + byte % 255 for byte in os.urandom(size_bytes))  # no zeros: they stand for nothing
    ref = store.seal(io.BytesIO(plain), key=key, kind=told["kind"], generation=told["generation"])
    return Kept(
        names=ObjectNames(**{**told, "object_id": ref.object_id}),
        secret=store._cache.get(key).secret,
        plain=plain,
        data=objects.content[ref.object_id],
        segment_bytes=segment_bytes,
    )


def bits(sizes: tuple[int, ...] = (0, 1, 64, 201, 1000)) -> Iterator[Try]:
    """Each bit of header, lengths, IVs, ciphertext and tags, of small objects and of one with larger segments."""
    for kept in (*(keep(size) for size in sizes), keep(12_000, segment_bytes=LARGE)):
        for bit in range(len(kept.data) * 8):

            def flip(kept: Kept = kept, bit: int = bit) -> bool:
                altered = bytearray(kept.data)
                altered[bit // 8] ^= 1 << bit % 8
                return accepted(kept, data=bytes(altered))

            yield "bit", flip


def values() -> Iterator[Try]:
    """Each other value of each byte of the header and of what stands before a segment's ciphertext."""
    kept = keep(201)
    starts = range(HEADER_BYTES, len(kept.data), SMALL)
    places = [*range(HEADER_BYTES), *(s + n for s in starts for n in range(SEGMENT_PREFIX_BYTES))]
    for place, value in itertools.product(places, range(256)):
        if kept.data[place] != value:
            yield "value", partial(accepted, kept, data=put(kept.data, place, bytes([value])))


def lengths() -> Iterator[Try]:
    """Cut at every length, lengthened by bytes of every origin, and the row's size changed with and without that."""
    for kept in (keep(size) for size in (0, 1, 63, 64, 65, 192, 201, 520)):
        data, layout = kept.data, Layout(parameters=FloeParameters(segment_bytes=SMALL), size_bytes=0)
        for length in range(len(data)):
            yield "cut", partial(accepted, kept, data=data[:length])
        for count in range(1, 2 * SMALL + 2):
            for extra in (bytes(count), data[-count:], os.urandom(count)):
                yield "lengthened", partial(accepted, kept, data=data + extra)
        for size in range(len(kept.plain) + 3 * PAYLOAD):
            if size == len(kept.plain):
                continue
            fitting = replace(layout, size_bytes=size).sealed_bytes
            fitted = (data + os.urandom(max(0, fitting - len(data))))[:fitting]
            moved = data[: fitting - SMALL] + data[-SMALL:]
            yield "size", partial(accepted, kept, size_bytes=size)
            for what in (fitted, moved):
                yield "size and length", partial(accepted, kept, data=what, size_bytes=size)


def orders() -> Iterator[Try]:
    """Every order, repetition and omission of segments, up to one more than there are."""
    for kept in (keep(64), keep(150), keep(192), keep(201)):
        own = kept.segments
        for count in range(len(own) + 2):
            for order in itertools.product(range(len(own)), repeat=count):
                if order == tuple(range(len(own))):
                    continue

                def arranged(kept: Kept = kept, order: tuple[int, ...] = order) -> bool:
                    body = b"".join(kept.segments[n] for n in order)
                    size = len(body) - 32 * len(order)
                    return accepted(kept, data=kept.data[:HEADER_BYTES] + body) or (
                        size >= 0 and accepted(kept, data=kept.data[:HEADER_BYTES] + body, size_bytes=size)
                    )

                yield "order", arranged


def splices() -> Iterator[Try]:
    """Header and segments of one object mixed with another's: of the same key, the same case, another case."""
    ones = fifty(201)[:12]
    for one, other in itertools.permutations(ones, 2):
        pieces = [one.data[:HEADER_BYTES], *one.segments], [other.data[:HEADER_BYTES], *other.segments]
        for choice in itertools.product((0, 1), repeat=len(pieces[0])):
            if any(choice):
                mixed = b"".join(pieces[which][n] for n, which in enumerate(choice))
                yield "splice", partial(accepted, one, data=mixed)
    kept = keep(520)
    for one, other in itertools.permutations(range(len(kept.segments)), 2):
        for begin, end in ((0, 4), (0, 16), (4, 16), (16, 32), (16, 96), (80, 96)):
            at, source = (HEADER_BYTES + n * SMALL for n in (one, other))
            piece = kept.data[source + begin : source + end]
            changed = put(kept.data, at + begin, piece)[: len(kept.data)]
            if changed != kept.data:
                yield "splice", partial(accepted, kept, data=changed)


def fifty(size_bytes: int) -> list[Kept]:
    """Fifty objects of one size, over tenants, cases, purposes, kinds and generations."""
    found = []
    for tenant, case in itertools.product(("north", "south"), range(5)):
        objects = MemoryObjects()
        store = SealedStore(objects=objects, keys=MemoryKeys(), tenant=tenant, segment_bytes=SMALL)
        for purpose, kind, generation in (
            ("originals", "original", 1),
            ("originals", "original", 1),
            ("originals", "report", 1),
            ("originals", "original", 2),
            ("releases", "original", 1),
        ):
            key = store.new_key(holder=f"case-{case}", purpose=purpose)
            told = {"tenant": tenant, "holder": f"case-{case}", "kind": kind, "generation": generation}
            found.append(sealed_with(store, objects, key, size_bytes, told))
    return found


def swaps() -> Iterator[Try]:
    """Fifty times fifty: file, key, and each of the names, alone and all together, though the key is at hand."""
    for one, other in itertools.permutations(fifty(150), 2):
        yield "file", partial(accepted, one, data=other.data)
        yield "row", partial(accepted, one, names=other.names)
        yield "key", partial(accepted, one, secret=other.secret)
        yield "file and key", partial(accepted, one, data=other.data, secret=other.secret)
        yield "row and key", partial(accepted, one, names=other.names, secret=other.secret)
        for name in ("tenant", "holder", "object_id", "kind", "generation"):
            if getattr(one.names, name) != getattr(other.names, name):
                changed = replace(one.names, **{name: getattr(other.names, name)})
                yield f"{name} alone", partial(accepted, one, names=changed)


def headers() -> Iterator[Try]:
    """Versions, suites and parameters that the header may name, with the object made as long as they imply."""
    kept = keep(520)
    for version, suite in itertools.product(range(256), range(256)):
        if (version, suite) != (1, 1) and (version < 4 or suite < 4):
            changed = put(kept.data, PREFIX_BYTES - 2, bytes((version, suite)))
            yield "version and suite", partial(accepted, kept, data=changed)
    iv_and_tag = kept.data[PREFIX_BYTES + PARAMETERS.size : HEADER_BYTES]
    for aead, kdf, iv_bytes in itertools.product(range(6), range(6), (0, 12, 31, 32, 33, 64, 1 << 31)):
        if (aead, kdf, iv_bytes) != (0, 0, 32):
            changed = put(kept.data, PREFIX_BYTES, PARAMETERS.pack(aead, kdf, SMALL, iv_bytes))
            yield "parameters", partial(accepted, kept, data=changed)
    for length in (*range(33, 700), 1 << 12, 1 << 16, 1 << 20, 1 << 24, (1 << 24) + 1, (1 << 32) - 1):
        if length == SMALL:
            continue
        begin = kept.data[:PREFIX_BYTES] + PARAMETERS.pack(0, 0, length, 32) + iv_and_tag
        overhead = 32 * (len(kept.plain) // max(1, length - 32) + 1)
        body = (kept.data[HEADER_BYTES:] + bytes(4096))[: len(kept.plain) + overhead]
        yield "segment length", partial(accepted, kept, data=begin + body)


def mixtures(count: int = 20_000, *, seed: int = 4) -> Iterator[Try]:
    """One to four random edits of any kind at once, the same ones in every run."""
    chance = random.Random(seed)
    kepts = [keep(size) for size in (64, 201, 700)]
    for _ in range(count):
        kept, edits = chance.choice(kepts), [(chance.randrange(4), chance.random(), chance.randbytes(20))]
        edits += [
            (chance.randrange(4), chance.random(), chance.randbytes(9)) for _ in range(chance.randrange(4))
        ]

        def edited(kept: Kept = kept, edits: list[tuple[int, float, bytes]] = edits) -> bool:
            altered = bytearray(kept.data)
            for what, where, content in edits:
                at = int(where * (len(altered) + 1))
                if what == 0:
                    altered[at : at + len(content)] = content
                elif what == 1:
                    del altered[at : at + len(content)]
                elif what == 2:
                    altered[at:at] = content
                else:
                    altered[at : at + SMALL] = altered[: len(altered[at : at + SMALL])]
            return bytes(altered) != kept.data and accepted(kept, data=bytes(altered))

        yield "mixture", edited


def wrapped_keys() -> Iterator[Try]:
    """Wrapped keys swapped between fifty rows of one master key, their fields changed, their bits flipped."""
    keys = MemoryKeys()
    stores = [SealedStore(objects=MemoryObjects(), keys=keys, tenant=tenant) for tenant in ("north", "south")]
    rows = [
        (store, store.new_key(holder=f"case-{n}", purpose=purpose))
        for store in stores
        for n in range(13)
        for purpose in ("originals", "releases")
    ]

    def opens(store: SealedStore, key: object) -> bool:
        try:
            store.derive(key=key, label=b"x")
        except StorageError:
            return False
        return True

    for (store, one), (elsewhere, other) in itertools.permutations(rows, 2):
        yield "key blob", partial(opens, store, replace(one, blob=other.blob))
        yield "key holder", partial(opens, store, replace(one, holder="case-99"))
        if store is not elsewhere:
            yield "key tenant", partial(opens, elsewhere, one)
    for store, one in rows[:10]:
        for bit in range(len(one.blob) * 8):
            blob = put(one.blob, bit // 8, bytes([one.blob[bit // 8] ^ 1 << bit % 8]))
            yield "key bit", partial(opens, store, replace(one, blob=blob))
        for cut in range(len(one.blob)):
            yield "key cut", partial(opens, store, replace(one, blob=one.blob[:cut]))
        for changed in (
            {"purpose": "records"},
            {"kek_version": one.kek_version + 1},
            {"kek_id": one.kek_id + "x"},
        ):
            yield "key field", partial(opens, store, replace(one, **changed))


def put(data: bytes, at: int, content: bytes) -> bytes:
    return data[:at] + content + data[at + len(content) :]


WAYS: tuple[Callable[[], Iterator[Try]], ...] = (
    bits,
    values,
    lengths,
    orders,
    splices,
    swaps,
    headers,
    mixtures,
    wrapped_keys,
)
