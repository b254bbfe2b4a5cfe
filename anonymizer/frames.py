"""Takes what is no picture out of encoded frames: comments and application segments; it never decodes a pixel.

Kept are the segments a decoder needs: JFIF (without thumbnail), Adobe colour transform, the JPEG-LS colour transform.

References
----------
ITU-T T.81 Annex B (JPEG), T.87 (JPEG-LS), T.800 Annex A (JPEG 2000 codestream); PS3.5 A.4 and Annex B.
"""

from __future__ import annotations

import re
import struct
from itertools import pairwise

from anonymizer.elements import PIXEL_DATA, DataSet, Raw

JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 71))
JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 92, 93, 201, 202, 203))
RLE = "1.2.840.10008.1.2.5"
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_WORDS_AT_END = re.compile(rb"[\x20-\x7e\xc0-\xff]{4,}\0*$")
_AFTER_SCAN = {False: re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]"), True: re.compile(rb"\xff[\x80-\xfe]")}


class Cleaned:
    """New fragments (the first is the offset table) and how many segments went; ``frames`` maps to lengths."""

    def __init__(self, fragments: list[Raw], removed: int) -> None:
        self.fragments = fragments
        self.removed = removed


def strip_frames(
    fragments: list[Raw], syntax: str, frames: int, *, indexed: bool = False, cells: int = 0
) -> Cleaned | None:
    """Fragments without text-bearing segments, or None when nothing had to go (then they pass through untouched).

    ``indexed``: the object had an Extended Offset Table, which the new offset table replaces. ``cells``: pixels of a frame.
    """
    if syntax == RLE and len(fragments) == frames + 1:
        stripped = [strip_rle(part, cells) for part in fragments[1:]]
        if any(part is not None for part in stripped):
            kept = [old if new is None else new for old, new in zip(fragments[1:], stripped, strict=True)]
            return Cleaned([b"", *kept], sum(part is not None for part in stripped))
    if len(fragments) < 2 or syntax not in JPEG | JPEG_LS | JPEG_2000:
        return _with_plain_table(fragments)
    groups = frames_of(fragments, frames, syntax)
    removed = 0
    lengths: list[int] = []
    body: list[Raw] = []
    for group in groups:
        whole = group[0] if len(group) == 1 else b"".join(bytes(part) for part in group)
        clean, gone = strip_frame(whole, syntax)
        removed += gone
        if gone:
            body.append(clean)
            lengths.append(len(clean) + (len(clean) & 1) + 8)
        else:
            body.extend(group)
            lengths.append(sum(len(part) + (len(part) & 1) + 8 for part in group))
    if not removed:
        return _with_plain_table(fragments)
    return Cleaned([offset_table(lengths) if indexed or len(fragments[0]) else b"", *body], removed)


def _with_plain_table(fragments: list[Raw]) -> Cleaned | None:
    """A basic offset table that holds no offsets (PS3.5 A.4) is emptied: decoders do without it."""
    table = bytes(fragments[0]) if fragments else b""
    if not table:
        return None
    offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    total = sum(len(part) + (len(part) & 1) + 8 for part in fragments[1:])
    rising = all(left < right for left, right in pairwise(offsets))
    if len(table) % 4 == 0 and offsets[0] == 0 and rising and offsets[-1] < max(total, 1):
        return None
    return Cleaned([b"", *fragments[1:]], 1)


def offset_table(lengths: list[int]) -> bytes:
    offsets, at = [], 0
    for length in lengths:
        offsets.append(at)
        at += length
    return struct.pack(f"<{len(offsets)}L", *offsets) if at < 1 << 32 else b""


def frames_of(fragments: list[Raw], frames: int, syntax: str) -> list[list[Raw]]:
    """Fragments gathered into frames: by count, by the offset table, or by the start-of-image mark (PS3.5 A.4)."""
    rest = fragments[1:]
    if len(rest) == frames:
        return [[part] for part in rest]
    if frames <= 1:
        return [rest]
    start = b"\xff\x4f" if syntax in JPEG_2000 else b"\xff\xd8"
    groups: list[list[Raw]] = []
    for part in rest:
        if bytes(part[:2]) == start or not groups:
            groups.append([part])
        else:
            groups[-1].append(part)
    return groups


def trim_native(dataset: DataSet) -> int:
    """Cut words off that stand behind the last pixel of a native picture; returns how many bytes went.

    Padding of zeros stays, and so does what may be a whole frame that the sender did not count.
    """
    element = dataset.get(PIXEL_DATA)
    if element is None or element.fragments is not None or element.items is not None:
        return 0
    rows, columns, bits = (dataset.number(tag) for tag in (0x00280010, 0x00280011, 0x00280100))
    samples = max(dataset.number(0x00280002, 1), 1)
    halved = samples == 3 and dataset.ascii(0x00280004) in {"YBR_FULL_422", "YBR_PARTIAL_422"}
    frame_bits = rows * columns * bits * (2 if halved else samples)
    used = -(-frame_bits * max(dataset.number(0x00280008, 1), 1) // 8)
    used += used & 1
    extra = len(element.value) - used
    if not used or not 0 < extra < max(frame_bits // 8, 1) or not any(element.value[used:]):
        return 0
    element.value = element.value[:used]
    return extra


def strip_frame(frame: Raw, syntax: str) -> tuple[bytes, int]:
    """One frame without its comments; (b"", 0) when there was nothing to take."""
    data = frame if isinstance(frame, bytes) else bytes(frame)
    if syntax in JPEG_2000:
        return _strip_j2k(data)
    return _strip_jpeg(data, little_stuffing=syntax in JPEG_LS)


def strip_rle(frame: Raw, cells: int) -> bytes | None:
    """An RLE frame (PS3.5 Annex G) without what is no part of it, or None when it is clean.

    Looked at closely only when its end reads like words, or its unused offsets are not zero.
    """
    header = bytes(frame[:64])
    if len(header) < 64 or not cells:
        return None
    segments, *offsets = struct.unpack("<16L", header)
    wordy = _WORDS_AT_END.search(bytes(frame[-256:]))
    if not 1 <= segments <= 15 or not 64 <= offsets[segments - 1] <= len(frame):
        return None
    if not wordy and not any(offsets[segments:]):
        return None
    data = bytes(frame)
    at, left = offsets[segments - 1], cells
    while left > 0 and at < len(data):
        count = data[at]
        if count < 128:
            left -= count + 1
            at += count + 2
        elif count > 128:
            left -= 257 - count
            at += 2
        else:
            at += 1
    if left or at > len(data):
        return None
    clean = struct.pack("<16L", segments, *offsets[:segments], *[0] * (15 - segments)) + data[64:at]
    return None if clean == data[: len(clean)] and not data[len(clean) :].strip(b"\0") else clean


def _strip_jpeg(data: bytes, *, little_stuffing: bool) -> tuple[bytes, int]:
    """Walk the markers; scans are passed over by a search for the next marker that is not part of them."""
    if data[:2] != b"\xff\xd8":
        return b"", 0
    out = [data[:2]]
    at, removed, end = 2, 0, len(data)
    while at + 2 <= end:
        if data[at] != 0xFF:
            return (b"".join(out) + b"\xff\xd9", removed + 1) if len(out) > 1 else (b"", 0)
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            out.append(data[at : at + 2])
            tail = data[at + 2 :]
            return b"".join(out), removed + (1 if tail.strip(b"\0\xff") else 0)
        if marker in STANDALONE:
            out.append(data[at : at + 2])
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > end:
            return b"".join(out) + data[at:], removed
        segment = data[at : at + 2 + length]
        at += 2 + length
        kept = _kept_segment(marker, segment)
        removed += kept != segment
        out.append(kept)
        if marker == 0xDA:
            following = _AFTER_SCAN[little_stuffing].search(data, at)
            stop = following.start() if following else end
            out.append(data[at:stop])
            at = stop
    return b"".join(out), removed


def _kept_segment(marker: int, segment: bytes) -> bytes:
    """The segment as it may stay: empty for comments and application data without a decoder's use."""
    if marker == 0xFE:
        return b""
    if not 0xE0 <= marker <= 0xEF:
        return segment
    payload = segment[4:]
    if marker == 0xE0 and payload[:5] == b"JFIF\0" and len(payload) >= 14:
        plain = payload[:12] + b"\0\0"
        return segment if payload == plain else segment[:2] + (len(plain) + 2).to_bytes(2, "big") + plain
    if marker == 0xEE and payload[:5] == b"Adobe" and len(payload) == 12:
        return segment
    if marker == 0xE8 and payload[:4] == b"mrfx" and len(payload) == 5:
        return segment
    return b""


def _strip_j2k(data: bytes) -> tuple[bytes, int]:
    """The codestream without comments of its main and tile-part headers, cut at its end mark; out of its JP2 file."""
    stream = _codestream(data) if data[4:8] == b"jP  " else data
    boxed = stream is not data
    if stream[:2] != b"\xff\x4f":
        return b"", 0
    try:
        clean, removed, at = _j2k_header(stream, 0, b"\xff\x90")
    except ValueError:
        return b"", 0
    out = [clean]
    while (
        stream[at : at + 2] == b"\xff\x90"
    ):  # SOT: Lsot, Isot, Psot (length of the tile-part, 0: to the end), ...
        try:
            (length,) = struct.unpack_from(">L", stream, at + 6)
            end = at + length if length else _end_of(stream, at)
            header, gone, body = _j2k_header(stream[:end], at, b"\xff\x93")
        except (ValueError, struct.error):
            break
        if gone:
            whole = header + stream[body:end]
            out.append(whole[:6] + struct.pack(">L", len(whole) if length else 0) + whole[10:])
            removed += gone
        else:
            out.append(stream[at:end])
        at = end
    stop = _end_of(stream, at)
    out.append(stream[at:stop] + b"\xff\xd9" if stop < len(stream) else stream[at:])
    if stop < len(stream) and stream[stop + 2 :].strip(b"\0"):
        removed += 1
    return (b"".join(out), removed + boxed) if removed or boxed else (b"", 0)


def _end_of(stream: bytes, at: int) -> int:
    """Where the end mark stands; the length of the stream when there is none."""
    stop = stream.rfind(b"\xff\xd9", at)
    return stop if stop >= 0 else len(stream)


def _j2k_header(stream: bytes, at: int, until: bytes) -> tuple[bytes, int, int]:
    """Marker segments from ``at`` up to the mark ``until``: without comments, how many went, and where it stands."""
    first = at + 2 if until == b"\xff\x90" else at  # the main header opens with a mark that has no length
    out = [stream[at:first]]
    at, removed = first, 0
    while stream[at : at + 2] != until:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        if stream[at : at + 1] != b"\xff" or length < 2 or at + 2 + length > len(stream):
            raise ValueError
        if stream[at + 1] == 0x64:
            removed += 1
        else:
            out.append(stream[at : at + 2 + length])
        at += 2 + length
    return b"".join(out), removed, at


def _codestream(data: bytes) -> bytes:
    """The codestream inside a JP2 file (T.800 Annex I); its other boxes may hold XML, UUIDs and names."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        end = len(data) if length == 0 else at + length
        if kind == b"jp2c":
            return data[at + head : end]
        if end <= at:
            break
        at = end
    return b""
