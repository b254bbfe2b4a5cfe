"""Mutations of a conversation: each takes PDUs and chance, and returns other PDUs; the same chance gives the same bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from tests.unit.dicom_node.peers import pdv

MOST_BYTES = 60_000  # what a socket pair holds without a reader
_LENGTHS = (0, 1, 2, 3, 5, 6, 7, 0x7F, 0xFF, 0x3FFF, 0x4001, 0x7FFF, 0xFFFE, 0xFFFF, 0x20001)
_HUGE = (0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
_BYTES = (0x00, 0x01, 0x02, 0x07, 0x10, 0x20, 0x7F, 0x80, 0xFE, 0xFF)

Pieces = list[bytes]
Mutation = Callable[[Pieces, random.Random, Sequence[Sequence[bytes]]], None]


def _pick(pieces: Pieces, chance: random.Random) -> tuple[int, bytearray]:
    at = chance.randrange(len(pieces))
    return at, bytearray(pieces[at] or b"\0")


def flip_bits(pieces: Pieces, chance: random.Random, _: object) -> None:
    at, piece = _pick(pieces, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        piece[chance.randrange(len(piece))] ^= 1 << chance.randrange(8)
    pieces[at] = bytes(piece)


def set_byte(pieces: Pieces, chance: random.Random, _: object) -> None:
    at, piece = _pick(pieces, chance)
    piece[chance.randrange(len(piece))] = chance.choice(_BYTES)
    pieces[at] = bytes(piece)


def set_pdu_length(pieces: Pieces, chance: random.Random, _: object) -> None:
    at, piece = _pick(pieces, chance)
    if len(piece) >= 6:
        near = (max(0, len(piece) - 6 + chance.randint(-3, 3)),)
        struct.pack_into(">I", piece, 2, chance.choice(_LENGTHS + _HUGE + near))
    pieces[at] = bytes(piece)


def set_value_length(pieces: Pieces, chance: random.Random, _: object) -> None:
    """Of a presentation data value, or of any field that looks like one."""
    at, piece = _pick(pieces, chance)
    if len(piece) >= 12:
        where = 6 if chance.random() < 0.5 else chance.randrange(len(piece) - 4)
        struct.pack_into(">I", piece, where, chance.choice(_LENGTHS + _HUGE))
    pieces[at] = bytes(piece)


def set_short_length(pieces: Pieces, chance: random.Random, _: object) -> None:
    """Items of an association request carry 16 bits, elements of a command set 32 little endian ones."""
    at, piece = _pick(pieces, chance)
    if len(piece) >= 12:
        where = chance.randrange(len(piece) - 4)
        form = chance.choice((">H", "<H", "<I"))
        struct.pack_into(
            form, piece, where, chance.choice(_LENGTHS) & (0xFFFF if form != "<I" else 0xFFFFFFFF)
        )
    pieces[at] = bytes(piece)


def truncate(pieces: Pieces, chance: random.Random, _: object) -> None:
    """The connection ends here."""
    at, piece = _pick(pieces, chance)
    pieces[at:] = [bytes(piece[: chance.randrange(len(piece))])]


def cut_inside(pieces: Pieces, chance: random.Random, _: object) -> None:
    at, piece = _pick(pieces, chance)
    start = chance.randrange(len(piece))
    del piece[start : start + chance.choice((1, 1, 2, 4, 16, 200))]
    pieces[at] = bytes(piece)


def repeat_inside(pieces: Pieces, chance: random.Random, _: object) -> None:
    at, piece = _pick(pieces, chance)
    start = chance.randrange(len(piece))
    some = piece[start : start + chance.choice((1, 2, 4, 16, 64))]
    piece[start:start] = some * chance.choice((1, 1, 2, 50))
    pieces[at] = bytes(piece)


def garbage(pieces: Pieces, chance: random.Random, _: object) -> None:
    pieces.insert(chance.randrange(len(pieces) + 1), chance.randbytes(chance.choice((1, 3, 6, 10, 64, 2000))))


def other_type(pieces: Pieces, chance: random.Random, _: object) -> None:
    at, piece = _pick(pieces, chance)
    piece[0] = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 0x16, 0x47, 0xFF))
    pieces[at] = bytes(piece)


def drop(pieces: Pieces, chance: random.Random, _: object) -> None:
    if len(pieces) > 1:
        del pieces[chance.randrange(len(pieces))]


def duplicate(pieces: Pieces, chance: random.Random, _: object) -> None:
    at = chance.randrange(len(pieces))
    pieces[at:at] = [pieces[at]] * chance.choice((1, 1, 1, 2, 20))


def swap(pieces: Pieces, chance: random.Random, _: object) -> None:
    one, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
    pieces[one], pieces[other] = pieces[other], pieces[one]


def splice(pieces: Pieces, chance: random.Random, others: Sequence[Sequence[bytes]]) -> None:
    """Go on with another conversation, from anywhere in it."""
    other = chance.choice(others)
    at = chance.randrange(len(pieces) + 1)
    pieces[at:] = other[chance.randrange(len(other)) :]


def insert_other(pieces: Pieces, chance: random.Random, others: Sequence[Sequence[bytes]]) -> None:
    pieces.insert(chance.randrange(len(pieces) + 1), chance.choice(chance.choice(others)))


def other_control(pieces: Pieces, chance: random.Random, _: object) -> None:
    """Context identifier or message control header of a P-DATA."""
    at, piece = _pick(pieces, chance)
    if len(piece) >= 12 and piece[0] == 4:
        piece[10 + chance.randrange(2)] = chance.choice((0, 1, 2, 3, 4, 5, 7, 99, 0x80, 0xFF))
    pieces[at] = bytes(piece)


def fragment(pieces: Pieces, chance: random.Random, _: object) -> None:
    """The same value in many presentation data values, some of them empty; valid, and odd."""
    at, piece = _pick(pieces, chance)
    if len(piece) < 13 or piece[0] != 4:
        return
    number, control, value = piece[10], piece[11], bytes(piece[12:])
    values, start = [], 0
    while start < len(value) and len(values) < 60:
        size = chance.choice((0, 1, 1, 2, 3, 7, 31))
        values.append(pdv(number, control & 1, value[start : start + size]))
        start += size
    values.append(pdv(number, control, value[start:]))
    if chance.random() < 0.5:
        body = b"".join(values)
        pieces[at] = struct.pack(">BxI", 4, len(body)) + body
    else:
        pieces[at : at + 1] = [struct.pack(">BxI", 4, len(one)) + one for one in values]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_bits, flip_bits, set_byte, set_pdu_length, set_value_length, set_short_length, truncate, cut_inside,
    repeat_inside, garbage, other_type, drop, duplicate, swap, splice, insert_other, other_control, fragment,
)  # fmt: skip


def mutated(start: Sequence[bytes], others: Sequence[Sequence[bytes]], chance: random.Random) -> Pieces:
    """Between one and four mutations of `start`; never more than a socket pair holds."""
    pieces = list(start)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        if pieces:
            chance.choice(MUTATIONS)(pieces, chance, others)
    total = 0
    for n, piece in enumerate(pieces):
        total += len(piece)
        if total > MOST_BYTES:
            return pieces[:n]
    return pieces
