"""Valid conversations and data sets, written by hand as bytes: what the fuzzer begins with, and nothing mutated yet."""

from __future__ import annotations

import contextlib
import ssl
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    associate_rq,
    command,
    context,
    data_set,
    echo_command,
    element,
    explicit,
    item,
    p_data,
    pdu,
    pdv,
)

BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
RELEASE, RELEASED, ABORT = pdu(5, bytes(4)), pdu(6, bytes(4)), pdu(7, bytes(4))
# What a person would recognise in a log or in an answer; every data set here carries it.
CANARY = "kesson"

Conversation = tuple[bytes, ...]
"""What one side says, one PDU each."""


def implicit(tag: int, value: str | bytes) -> bytes:
    raw = value.encode("latin-1") if isinstance(value, str) else value
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(raw)) + raw


def big(tag: int, vr: str, value: str | bytes) -> bytes:
    raw = value.encode("latin-1") if isinstance(value, str) else value
    if vr in ("OW", "SQ", "UN"):
        return struct.pack(">HH2sxxI", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw
    return struct.pack(">HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw


_VALUES = (
    (0x00080005, "CS", "ISO_IR 100"),
    (0x00080016, "UI", CT + "\0" * (len(CT) % 2)),
    (0x00080018, "UI", "1.2.3.4.5\0"),
    (0x00100010, "PN", "Åkesson^Örjan "),
    (0x00100020, "LO", "19121212-1212 "),
    (0x0020000D, "UI", "1.2.3\0"),
    (0x0020000E, "UI", "1.2.3.4\0"),
)


def _sequence() -> bytes:
    """Sequences of defined and undefined length in one another, and UN of undefined length (implicit inside)."""
    end_item, end = b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
    open_item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    inner = (
        b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff"
        + open_item
        + explicit(0x00081155, "UI", "1.2")
        + end_item
        + end
    )
    unknown = (
        b"\x09\0\x10\x10UN\0\0\xff\xff\xff\xff" + open_item + implicit(0x00091011, b"ab") + end_item + end
    )
    return inner + unknown


@lru_cache
def data_sets() -> tuple[tuple[str, bytes], ...]:
    """Transfer syntax and data set."""
    plain = data_set()
    head, tail = plain.index(b"\x08\0\x60\0CS"), plain[plain.index(b"\x08\0\x60\0CS") :]
    packer = zlib.compressobj(9, wbits=-15)
    encapsulated = plain[: plain.index(b"\xe0\x7f\x10\0")] + (
        b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0"
        b"\xfe\xff\x00\xe0\x10\0\0\0" + bytes(16) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    charset = [explicit(0x00080005, "CS", "ISO 2022 IR 6\\ISO 2022 IR 87")]
    japanese = b"".join(charset) + plain[plain.index(b"\x08\0\x16\0") :].replace(
        "Åkesson^Örjan".encode("latin-1"), b"kesson^\x1b$B;3ED"
    )
    return (
        (EXPLICIT, plain),
        (EXPLICIT, plain[:head] + _sequence() + tail),
        (EXPLICIT, japanese),
        (
            IMPLICIT,
            b"".join(implicit(tag, value) for tag, _, value in _VALUES) + implicit(0x7FE00010, bytes(64)),
        ),
        (BIG, b"".join(big(*row) for row in _VALUES) + big(0x7FE00010, "OW", bytes(64))),
        (DEFLATED, packer.compress(plain) + packer.flush()),
        ("1.2.840.10008.1.2.4.50", encapsulated),
    )


@lru_cache
def files() -> tuple[bytes, ...]:
    """Part 10 files."""
    found = []
    for syntax, content in data_sets():
        meta = explicit(0x00020002, "UI", CT) + explicit(0x00020003, "UI", "1.2.3.4.5")
        meta += explicit(0x00020010, "UI", syntax)
        length = explicit(0x00020000, "UL", struct.pack("<I", len(meta)))
        found.append(bytes(128) + b"DICM" + length + meta + content)
    return tuple(found)


def _store(number: int, content: bytes, *, step: int = 400, **changes: object) -> Conversation:
    parts = [content[at : at + step] for at in range(0, len(content), step)]
    last = len(parts) - 1
    return (
        p_data(number, 3, command(**changes)),
        *(p_data(number, 2 if n == last else 0, part) for n, part in enumerate(parts)),
    )


ECHO = p_data(3, 3, echo_command())


COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


def _commitment(encode: Callable[..., bytes], *references: tuple[str, str]) -> bytes:
    """Action Information of a storage commitment (PS3.4 J.3.2)."""
    items = b""
    for sop_class, sop_instance in references:
        inner = encode(0x00081150, "UI", sop_class) + encode(0x00081155, "UI", sop_instance)
        items += b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
    return encode(0x00081195, "UI", "1.2.3.77") + encode(0x00081199, "SQ", items)


def _implicitly(tag: int, _: str, value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return implicit(tag, raw + b"\0" * (len(raw) % 2))


def _action(**changes: object) -> bytes:
    values: dict[str, object] = {
        "0002": None, "0003": COMMITMENT, "0100": 0x0130, "0700": None, "1000": None, "1001": COMMITMENT_INSTANCE,
        "1008": 1,
    }  # fmt: skip
    return command(**(values | changes))


_REPORTED: dict[str, object] = {
    "0002": COMMITMENT, "0100": 0x8100, "0110": None, "0120": 1, "0700": None, "0800": 0x0101, "0900": 0,
    "1000": COMMITMENT_INSTANCE, "1002": 1,
}  # fmt: skip


def _commitments() -> tuple[Conversation, ...]:
    found = []
    for syntax, encode in ((EXPLICIT, explicit), (IMPLICIT, _implicitly)):
        opened = associate_rq(context(1, COMMITMENT, syntax), context(3, VERIFICATION, IMPLICIT))
        asked = _commitment(
            encode, (CT, "1.2.3.4.5"), (CT, "1.2.3.4.6"), ("1.2.840.10008.5.1.4.1.1.4", "1.2.9")
        )
        begun = (opened, p_data(1, 3, _action()), p_data(1, 0, asked[:90]), p_data(1, 2, asked[90:]))
        found += [(*begun, ECHO, RELEASE), (*begun, p_data(1, 3, command(**_REPORTED)), ECHO, RELEASE)]
    return tuple(found)


@lru_cache
def to_acceptor() -> tuple[Conversation, ...]:
    """What a requestor says to our acceptor."""
    plain = data_sets()[0][1]
    everything = associate_rq(
        context(1, CT, EXPLICIT, IMPLICIT),
        context(3, VERIFICATION, IMPLICIT),
        context(5, "1.2.3.999.1", EXPLICIT),
        context(7, CT, "1.2.840.10008.1.2.4.50"),
        extra=(
            item(0x53, struct.pack(">HH", 3, 3)),
            item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\1\0"),
            item(0x55, b"FUZZ_1"),
            item(0x56, struct.pack(">H", len(CT)) + CT.encode() + b"\1\1"),
            item(
                0x57,
                struct.pack(">H", len(CT))
                + CT.encode()
                + struct.pack(">H", 17)
                + b"1.2.840.10008.4.2"
                + b"\0\0",
            ),
            item(0x58, b"\1\0" + struct.pack(">H", 4) + b"user" + b"\0\0"),
        ),
    )
    syntaxes = [
        (
            associate_rq(context(1, CT, syntax), context(3, VERIFICATION, IMPLICIT)),
            *_store(1, content),
            ECHO,
            RELEASE,
        )
        for syntax, content in data_sets()
    ]
    together = pdu(4, pdv(3, 3, echo_command()) + pdv(3, 3, echo_command(2)))
    split = tuple(p_data(3, 3 if n == 2 else 1, echo_command()[n * 26 : n * 26 + 26]) for n in range(3))
    return (
        (associate_rq(), ECHO, RELEASE),
        (everything, *_store(1, plain), ECHO, *_store(1, plain, **{"0110": 8}), RELEASE),
        (everything, together, *split, RELEASE),
        (associate_rq(), *_store(1, plain, step=77), RELEASE),
        (associate_rq(max_length=64), *_store(1, plain), ABORT),
        (associate_rq(), p_data(1, 3, command(**{"0100": 0x20})), p_data(1, 2, b"identifier"), ECHO, RELEASE),
        (
            associate_rq(),
            p_data(1, 3, command(**{"0100": 0x0FFF, "0110": None, "0120": 7, "0800": 0x0101})),
            ECHO,
        ),
        (associate_rq(calling="STRANGER"), ECHO),
        *syntaxes,
        *_commitments(),
    )


def _answered(message_id: int, **changes: object) -> bytes:
    values: dict[str, object] = {
        "0002": VERIFICATION, "0100": 0x8030, "0110": None, "0120": message_id, "0700": None,
        "0800": 0x0101, "0900": 0, "1000": None,
    }  # fmt: skip
    return command(**(values | changes))


def associate_ac(*transfers: str) -> bytes:
    """Accept as many contexts, each in its transfer syntax."""
    body = struct.pack(">HH", 1, 0) + b"CONSILIUM".ljust(16) + b"MODALITY".ljust(16) + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for n, transfer in enumerate(transfers):
        body += item(0x21, bytes([2 * n + 1, 0, 0, 0]) + item(0x40, transfer.encode()))
    inner = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4") + item(0x55, b"FUZZ_1")
    return pdu(2, body + item(0x50, inner))


@lru_cache
def to_requestor() -> tuple[Conversation, ...]:
    """What an acceptor answers to our requestor, which asks for one C-ECHO or stores two objects."""
    stored = {"0002": CT, "0100": 0x8001, "1000": "1.2.3.4.5"}
    refused = {**stored, "0900": 0xA700, "0902": "store is full"}
    return (
        (associate_ac(IMPLICIT), p_data(1, 3, _answered(1)), RELEASED),
        (
            associate_ac(IMPLICIT),
            p_data(1, 3, _answered(1, **stored)),
            p_data(1, 3, _answered(2, **refused)),
            RELEASED,
        ),
        (
            associate_ac(IMPLICIT, EXPLICIT),
            p_data(1, 1, _answered(1)[:30]),
            p_data(1, 3, _answered(1)[30:]),
            RELEASED,
        ),
        (pdu(3, b"\0\1\1\3"),),
        (associate_ac(IMPLICIT), RELEASE),
        (associate_ac(IMPLICIT), ABORT),
        (associate_ac(), RELEASED),
        (
            associate_ac(IMPLICIT),
            p_data(1, 3, _answered(1, **{"0800": 1})),
            p_data(1, 2, element(0x0900, 1)),
            RELEASED,
        ),
    )


@lru_cache
def to_tls() -> tuple[Conversation, ...]:
    """First flights: of TLS 1.3 and 1.2 clients, in one record and in many, and what comes where they should."""
    found = []
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.minimum_version = client.maximum_version = version
        outgoing = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
        hello = outgoing.read()
        parts = [hello[5:][at : at + 60] for at in range(0, len(hello) - 5, 60)]
        found += [(hello,), tuple(hello[:3] + struct.pack(">H", len(part)) + part for part in parts)]
    return (
        *found,
        (found[0][0], b"\x15\3\3\0\2\2\x28"),
        (found[0][0], associate_rq()),
        (associate_rq(), ECHO),
    )
