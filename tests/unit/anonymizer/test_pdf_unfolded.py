"""What a PDF's streams unfold to is measured before a reader unfolds them."""

from __future__ import annotations

import base64
import os
import time
import tracemalloc
import zlib

import pytest

from anonymizer.documents import QuarantinedDocument, deidentify_document, pdf_unfolded
from anonymizer.documents.pdf_unfolded import refuse_bombs
from anonymizer.documents.values import NotCleanable
from anonymizer.known import Known

MOST = 4 << 20


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_unfolded, "MOST_BYTES", MOST)


def stream(data: bytes) -> bytes:
    return b"%PDF-1.7\n1 0 obj <</Filter/FlateDecode>>\nstream\r\n" + data + b"\nendstream endobj\n"


def byte_by_byte(data: bytes) -> bytes:
    """Packed so that the first piece unfolds to a single byte."""
    packer = zlib.compressobj(0)
    return (
        packer.compress(data[:1])
        + packer.flush(zlib.Z_FULL_FLUSH)
        + packer.compress(data[1:])
        + packer.flush()
    )


OVER = zlib.compress(bytes(MOST + 1), 9)
BOMBS = {
    "plain": OVER,
    "twice": zlib.compress(OVER),
    "three times": zlib.compress(zlib.compress(OVER)),
    "as letters": base64.a85encode(OVER) + b"~>",
    "as letters with a mark": base64.a85encode(OVER, adobe=True),
    "as hexadecimals": OVER.hex().encode("ascii") + b">",
    "behind an empty line": b"\r\n" + OVER,
    "twice, byte by byte": byte_by_byte(OVER),
    "cut short": zlib.compress(bytes(2 * MOST), 9)[:-20],
}


@pytest.mark.parametrize("packed", BOMBS.values(), ids=BOMBS)
def test_a_stream_that_unfolds_without_end_is_refused_without_unfolding_it_whole(packed: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(NotCleanable, match="too_large"):
        refuse_bombs(stream(packed))
    assert tracemalloc.get_traced_memory()[1] < 12 << 20
    tracemalloc.stop()
    made = deidentify_document(
        stream(packed), media_type="application/pdf", known=Known(), pseudonyms_shift_days=1
    )
    assert isinstance(made, QuarantinedDocument)
    assert (made.code, made.reason.endswith(".")) == ("too_large", True)


@pytest.mark.parametrize(
    "content",
    [
        stream(zlib.compress(bytes(MOST))),
        stream(zlib.compress(os.urandom(1 << 16), 0)) * 20,
        stream(zlib.compress(zlib.compress(b"twice packed"))) * 2000,
        stream(b"\x78\x9cno packing at all"),
        stream(OVER[2:]),
        stream(base64.a85encode(zlib.compress(b"a small one" * 20)) + b"~>"),
        b"stream\n",
        b"",
    ],
)
def test_what_stays_within_the_limit_passes(content: bytes) -> None:
    refuse_bombs(content)


@pytest.mark.parametrize(
    "unit", [b"stream\n\x78\x01\x00\xff\xff\x00\x00" + b"A" * 50, b"stream\n" + b"!" * 100 + b"\n"]
)
def test_streams_that_each_swallow_the_rest_of_the_file_cost_no_time(unit: bytes) -> None:
    started = time.process_time()
    with pytest.raises(NotCleanable, match="too_large"):
        refuse_bombs(unit * 100_000 + b"~>")
    assert time.process_time() - started < 5
