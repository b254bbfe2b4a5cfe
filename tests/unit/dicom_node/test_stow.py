"""Multipart bodies as streams, and STOW-RS in values: what is taken, what is refused, how it is answered."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UID

from dicom_node import status, stow
from dicom_node.contexts import TRANSFER_SYNTAXES
from dicom_node.errors import AssociationOver, InstanceTooLarge, PeerLost, ProtocolViolation
from dicom_node.multipart import (
    BodyLimits,
    MediaTypeError,
    MultipartBody,
    PartStream,
    boundary_of,
    media_type,
)
from dicom_node.part10 import file_meta_bytes
from dicom_node.receiver import Admitted
from dicom_node.stow import Failure, Kept, OpenedInstance, StoreAnswer
from tests import factories
from tests.factories import traced
from tests.unit.dicom_node.peers import CT, EXPLICIT, IMPLICIT, data_set

BOUNDARY = b"a-boundary"
HEAD = b"Content-Type: application/dicom\r\n"


def body_of(*contents, boundary=BOUNDARY, head=HEAD, preamble=b"", epilogue=b""):
    parts = [b"--" + boundary + b"\r\n" + head + b"\r\n" + one + b"\r\n" for one in contents]
    return preamble + b"".join(parts) + b"--" + boundary + b"--" + epilogue


def pieces_of(body, *sizes):
    """Cut a body into pieces of these sizes, the last one again and again."""
    found, at, turn = [], 0, 0
    while at < len(body):
        size = sizes[min(turn, len(sizes) - 1)] if sizes else len(body)
        found.append(body[at : at + size])
        at, turn = at + size, turn + 1
    return found


def source_of(pieces):
    left = iter(pieces)
    return lambda: next(left, b"")


def contents(pieces, boundary=BOUNDARY, **limits):
    body = MultipartBody(source_of(pieces), boundary=boundary, limits=BodyLimits(**limits))
    found = []
    while (part := body.next_part()) is not None:
        found.append(part.content.read())
    body.skip_epilogue()
    return found


# bodies as streams

TRICKY = (
    b"",
    b"\r\n",
    b"--a-boundary",
    b"\r\n--a-boundar",
    b"\r\r\n--a-bound\r\n--\r\n",
    b"\r\n-\r\n--a-\r\n--a-boundarx\r\n--",
    b"\n--a-boundary--\n",
    b"x" * 100,
)


def test_every_split_of_a_body_gives_the_same_parts():
    whole = body_of(*TRICKY[3:], preamble=b"hello\r\n", epilogue=b"\r\nbye")
    for at in range(1, len(whole)):
        assert contents([whole[:at], whole[at:]]) == list(TRICKY[3:]), at


def test_a_body_may_come_byte_by_byte():
    whole = body_of(*TRICKY[3:])
    assert contents(pieces_of(whole, 1)) == list(TRICKY[3:])


def test_the_first_delimiter_may_stand_at_the_start_or_behind_a_preamble():
    assert contents([body_of(b"one")]) == [b"one"]
    assert contents([body_of(b"one", preamble=b"\r\n")]) == [b"one"]
    assert contents([body_of(b"one", preamble=b"This is MIME.\r\n--not it\r\n")]) == [b"one"]


def test_empty_parts_and_parts_without_headers_are_parts():
    assert contents([body_of(b"", b"", head=b"")]) == [b"", b""]
    assert contents([body_of(b"one", head=b"")]) == [b"one"]
    assert contents([b"--a-boundary--"]) == []


def test_spaces_may_stand_behind_a_delimiter_and_nothing_else():
    assert contents([body_of(b"one").replace(b"y\r\n", b"y \t \r\n")]) == [b"one"]
    for odd in (b"y!\r\n", b"y-\r\n", b"y\n", b"y" + b" " * 300 + b"\r\n"):
        with pytest.raises(ProtocolViolation):
            contents([body_of(b"one").replace(b"y\r\n", odd)])


def test_a_delimiter_shared_with_the_blank_line_is_refused_for_readers_differ_over_it():
    with pytest.raises(ProtocolViolation, match="blank line"):
        contents([b"--a-boundary\r\nA: b\r\n\r\n--a-boundary\r\n\r\nx\r\n--a-boundary--"])


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(
        st.lists(st.sampled_from([*TRICKY[1:], b"\r", b"-", b"\n", b"\0"]), max_size=6), max_size=5
    ),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20),
    reads=st.lists(st.integers(1, 50), min_size=1, max_size=10),
)
def test_what_was_put_in_comes_out_however_it_is_cut_and_read(parts, sizes, reads):
    wanted = [b"".join(p) for p in parts]
    wanted = [one for one in wanted if b"--a-boundary" not in b"\r\n" + one]
    body = MultipartBody(source_of(pieces_of(body_of(*wanted), *sizes)), boundary=BOUNDARY)
    found = []
    while (part := body.next_part()) is not None:
        got, turn = b"", 0
        while piece := part.content.read(reads[turn % len(reads)]):
            got, turn = got + piece, turn + 1
        assert part.content.received_bytes == len(got)
        found.append(got)
    assert found == wanted


@settings(max_examples=300, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(
            [
                b"--a-boundary",
                b"\r\n",
                b"--",
                b"--a-boundary--",
                b"A: b",
                b"\r\n\r\n",
                b"\r",
                b"\n",
                b"\0x",
                b" ",
            ]
        ),
        max_size=30,
    ),
    size=st.integers(1, 9),
)
def test_any_body_is_read_or_refused_and_nothing_else(words, size):
    try:
        found = contents(pieces_of(b"".join(words), size))
    except ProtocolViolation:
        return
    assert all(b"\r\n--a-boundary" not in one for one in found)


def test_a_body_that_ends_early_is_never_taken_as_whole():
    whole = body_of(b"one", b"two")
    for end in range(len(whole)):
        with pytest.raises(ProtocolViolation):
            contents([whole[:end]])


def test_what_the_source_raises_passes_through_and_stays():
    def broken():
        raise PeerLost

    body = MultipartBody(source_of_then([b"--a-boundary\r\n\r\nsome bytes of it"], broken), boundary=BOUNDARY)
    part = body.next_part()
    with pytest.raises(PeerLost):
        part.content.read()
    assert isinstance(part.content.broken, PeerLost)
    with pytest.raises(PeerLost):
        part.content.read(1)
    with pytest.raises(PeerLost):
        body.next_part()


def source_of_then(pieces, end):
    left = iter(pieces)

    def take():
        piece = next(left, None)
        return end() if piece is None else piece

    return take


@pytest.mark.parametrize(
    ("limits", "body"),
    [
        ({"max_parts": 2}, body_of(b"1", b"2", b"3")),
        ({"max_head_bytes": 100}, body_of(b"1", head=b"A: " + b"b" * 200 + b"\r\n")),
        ({"max_head_bytes": 100}, b"--a-boundary\r\nA: " + b"b" * 500),
        ({"max_head_lines": 3}, body_of(b"1", head=b"".join(b"A%d: b\r\n" % n for n in range(4)))),
        ({"max_preamble_bytes": 100}, body_of(b"1", preamble=b"x" * 200 + b"\r\n")),
        ({"max_preamble_bytes": 100}, b"\r" * 300),
        ({"max_epilogue_bytes": 100}, body_of(b"1", epilogue=b"x" * 200)),
        ({}, body_of(b"1", head=b"A: b\r\n folded\r\n")),
        ({}, body_of(b"1", head=b"A : b\r\n")),
        ({}, body_of(b"1", head=b"A\r\n")),
        ({}, body_of(b"1", head=b": b\r\n")),
        ({}, body_of(b"1", head=b"A: b\nB: c\r\n")),
        ({}, body_of(b"1", head=b"A: \0\r\n")),
        ({}, body_of(b"1", head=b"A: b\r\na: c\r\n")),
        ({}, b"--a-boundary\r\nA: b\r\n--a-boundary\r\n\r\nx\r\n--a-boundary--"),
        ({}, b"--a-boundary\n\nx\n--a-boundary--"),
        ({}, b""),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_is_too_much_or_not_well_formed_is_refused(limits, body, size):
    with pytest.raises(ProtocolViolation):
        contents(pieces_of(body, size), **limits)


def test_a_delimiter_that_looks_like_a_header_is_none():
    body = b"--a:b\r\nA: b\r\n--a:b\r\n\r\nx\r\n--a:b--"
    with pytest.raises(ProtocolViolation, match="delimiter"):
        contents([body], boundary=b"a:b")


def test_a_part_that_was_not_read_is_passed_over():
    body = MultipartBody(source_of(pieces_of(body_of(b"1" * 1000, b"22"), 10)), boundary=BOUNDARY)
    body.next_part()
    second = body.next_part()
    second.content.read(1)
    assert body.next_part() is None
    assert body.next_part() is None
    assert body.parts == 2


def test_a_part_over_its_cap_is_refused_and_the_next_one_is_read():
    body = MultipartBody(source_of(pieces_of(body_of(b"1" * 1000, b"22"), 100)), boundary=BOUNDARY)
    first = body.next_part().content
    first.cap_bytes = 500
    with pytest.raises(InstanceTooLarge):
        first.read()
    with pytest.raises(InstanceTooLarge):
        first.read(1)
    assert first.received_bytes <= 1000
    assert body.next_part().content.read() == b"22"


def test_a_cap_of_exactly_the_size_is_no_cap():
    body = MultipartBody(source_of([body_of(b"1" * 500)]), boundary=BOUNDARY)
    part = body.next_part().content
    part.cap_bytes = 500
    assert part.read() == b"1" * 500


def test_headers_are_told_by_lower_case_names():
    head = b"Content-Type:  application/dicom \r\nX-Odd: \xe5\r\n"
    part = MultipartBody(source_of([body_of(b"1", head=head)]), boundary=BOUNDARY).next_part()
    assert part.headers == {"content-type": "application/dicom", "x-odd": "å"}


def test_memory_stays_the_same_however_large_a_part_is():
    block = bytes(1 << 16)
    size = 64 << 20

    def source():
        yield b"--a-boundary\r\n\r\n"
        for _ in range(size // len(block)):
            yield block
        yield b"\r\n--a-boundary--"

    with traced() as peak:
        pieces = source()
        body = MultipartBody(lambda: next(pieces, b""), boundary=BOUNDARY)
        part, buffer, got = body.next_part(), bytearray(1 << 16), 0
        while count := part.content.readinto(buffer):
            got += count
        assert body.next_part() is None
    assert got == size
    assert peak() < 2 << 20


# media types


def test_parameters_may_be_quoted_or_bare():
    wanted = {"type": "application/dicom", "boundary": "a b=c"}
    for text in (
        'multipart/related; type="application/dicom"; boundary="a b=c"',
        'Multipart/Related;TYPE=application/dicom;Boundary="a b=c"',
        'multipart/related ;type="application/dicom" ; boundary="a\\ b=c";',
    ):
        kind = media_type(text)
        assert (kind.name, dict(kind.parameters)) == ("multipart/related", wanted)


@pytest.mark.parametrize(
    "text",
    ["", "multipart", "multipart/", "/related", "multi part/related", "a/b; c", "a/b; c=", 'a/b; c="d', "a/b; c=1; C=2",
     'a/b; c="d"e=f', "a/b; =c", 'a/b; c="\0"', "a/b c/d"],
)  # fmt: skip
def test_a_type_that_two_readers_could_read_differently_is_refused(text):
    with pytest.raises(MediaTypeError):
        media_type(text)


@pytest.mark.parametrize(
    "text", ["multipart/related", 'a/b; boundary=""', "a/b; boundary=" + "x" * 129, 'a/b; boundary="x "']
)
def test_a_boundary_has_1_to_128_signs(text):
    with pytest.raises(MediaTypeError):
        boundary_of(media_type(text))


def test_boundaries_of_real_senders_are_taken():
    for text in ("----WebKitFormBoundary7MA4YWxk", "1c5a:9=?'()+_,-./", "x" * 73, "{4f3a}"):
        assert boundary_of(media_type(f'a/b; boundary="{text}"')) == text.encode()


def test_only_bodies_of_dicom_objects_are_taken():
    taken = 'multipart/related; type="application/dicom"; boundary=x'
    assert stow.payload_of(taken).name == "multipart/related"
    assert stow.payload_of("multipart/related; boundary=x").name == "multipart/related"
    assert stow.payload_of('multipart/related; type="application/dicom; transfer-syntax=1.2"; boundary=x')
    assert (
        stow.payload_of("application/dicom; transfer-syntax=1.2.840.10008.1.2.1").name == "application/dicom"
    )
    for other in (
        "application/dicom+json",
        "application/dicom+xml",
        "application/octet-stream",
        "text/plain",
    ):
        assert stow.payload_of(f'multipart/related; type="{other}"; boundary=x') is None
        assert stow.payload_of(other) is None
    assert stow.payload_of("multipart/form-data; boundary=x") is None


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", stow.DICOM_JSON),
        ("*/*", stow.DICOM_JSON),
        ("application/*", stow.DICOM_JSON),
        ("application/dicom+json", stow.DICOM_JSON),
        ("application/json", stow.JSON),
        ("application/dicom+xml", stow.DICOM_XML),
        ("application/dicom+json;q=0.1, application/dicom+xml", stow.DICOM_XML),
        ("application/dicom+xml;q=0.1, */*;q=0.5", stow.DICOM_JSON),
        ('multipart/related; type="application/dicom+xml"', stow.DICOM_XML),
        ("text/html, application/dicom+json;q=0.9", stow.DICOM_JSON),
        ("text/html", None),
        ("application/dicom+json;q=0", None),
        ("application/dicom+json;q=x", None),
        ("application/dicom+json;q=nan", None),
        (",,;", None),
    ],
)
def test_the_answer_is_of_the_type_that_was_asked_for(accept, answer):
    assert stow.answer_type(accept) == answer


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "image/jpeg"},
        {"content-type": "multipart/related; boundary=x"},
        {"content-type": "application/dicom+json"},
        {"content-type": "nonsense"},
        {"content-transfer-encoding": "base64"},
        {"content-transfer-encoding": "quoted-printable"},
        {"content-encoding": "gzip"},
    ],
)
def test_a_part_is_one_object_and_not_encoded(headers):
    assert stow.refused_part(headers).reason == status.CANNOT_UNDERSTAND
    assert not stow.refused_part(headers).is_named


def test_a_part_may_say_what_it_is_or_leave_it_out():
    for headers in (
        {},
        {"content-type": "application/dicom"},
        {"content-type": "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50"},
        {"content-transfer-encoding": "Binary", "content-encoding": "identity", "content-length": "5"},
    ):
        assert stow.refused_part(headers) is None


# objects

ANYBODY = Admitted(may_store=True, may_echo=True)


def part10(*, meta_class=CT, meta_instance="1.2.3.4", syntax=EXPLICIT, **values):
    meta = file_meta_bytes(
        sop_class_uid=meta_class, sop_instance_uid=meta_instance, transfer_syntax_uid=syntax
    )
    return meta + data_set(**{"sop_instance": meta_instance, **values})


def opened(content, *, peer=ANYBODY, study_uid=""):
    return stow.open_instance(io.BytesIO(content), peer=peer, study_uid=study_uid)


def test_an_object_is_opened_and_its_data_set_is_whole():
    content = factories.ct_instance(1)
    found = opened(content)
    assert isinstance(found, OpenedInstance)
    assert content.endswith(found.data_set.read())
    assert found.head.sop_instance_uid == found.meta.sop_instance_uid


def reason(found):
    assert isinstance(found, Failure)
    assert found.comment == status.comment(found.comment)
    return found.reason


def test_what_does_not_fit_is_refused_with_its_reason():
    content = factories.ct_instance(1)
    meta = opened(content).meta
    study = opened(content).head.study_instance_uid
    assert reason(opened(b"no DICOM at all, but long enough to be looked at" * 10)) == 0xC000
    assert reason(opened(b"")) == 0xC000
    assert reason(opened(content, study_uid="1.2.3")) == 0xA901
    assert isinstance(opened(content, study_uid=study), OpenedInstance)
    only_mr = Admitted(may_store=True, may_echo=True, sop_classes=frozenset({"1.2.840.10008.5.1.4.1.1.4"}))
    assert reason(opened(content, peer=only_mr)) == 0x0122
    only_implicit = Admitted(may_store=True, may_echo=True, transfer_syntaxes=frozenset({IMPLICIT}))
    assert reason(opened(content, peer=only_implicit)) == 0xC122
    by_reference = "1.2.840.10008.1.2.4.94"  # not known here, whatever a peer's row says
    lax = Admitted(may_store=True, may_echo=True, transfer_syntaxes=frozenset({by_reference}))
    assert reason(opened(part10(syntax=by_reference), peer=lax)) == 0xC122
    refused = opened(content, study_uid="1.2.3")
    assert (refused.sop_class_uid, refused.sop_instance_uid) == (meta.sop_class_uid, meta.sop_instance_uid)
    assert refused.is_named


def test_the_object_must_be_the_one_that_its_file_meta_names():
    assert reason(opened(part10(meta_class="1.2.840.10008.5.1.4.1.1.4"))) == 0xA900
    assert reason(opened(part10(sop_instance="1.2.3.5"))) == 0xA900
    assert reason(opened(part10(meta_class="1.2.840.10008.1.1"))) == 0x0122
    assert reason(opened(part10(syntax="1.2.840.10008.1.2.4.94"))) == 0xC122
    assert "1.2.840.10008.1.2.4.94" not in TRANSFER_SYNTAXES


def test_private_classes_are_taken_where_the_peer_may():
    private = "1.3.12.2.1107.5.9.1"
    content = part10(meta_class=private, sop_class=private)
    assert isinstance(opened(content), OpenedInstance)
    without = Admitted(may_store=True, may_echo=True, private_sop_classes=False)
    assert reason(opened(content, peer=without)) == 0x0122


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 1500))
def test_any_bytes_are_opened_or_refused(garbage, at):
    content = factories.ct_instance(1)
    found = opened(content[:at] + garbage + content[at + len(garbage) :])
    assert isinstance(found, Failure | OpenedInstance)
    if isinstance(found, Failure) and found.is_named:
        assert re.fullmatch(r"[0-9.]+", found.sop_class_uid + found.sop_instance_uid)


# answers

KEPT = Kept(sop_class_uid=CT, sop_instance_uid="1.2.3")
WARNED = Kept(sop_class_uid=CT, sop_instance_uid="1.2.4", warning=0xB007)
FAILED = Failure(reason=0xA900, comment="", sop_class_uid=CT, sop_instance_uid="1.2.5")
UNNAMED = Failure(reason=0xC000, comment="")
LARGE, FULL, DOWN = (
    Failure(reason=0xA700, comment="", cause=cause) for cause in ("too_large", "full", "down")
)


@pytest.mark.parametrize(
    ("kept", "failures", "code"),
    [
        ([KEPT], [], 200),
        ([KEPT, WARNED], [], 202),
        ([KEPT], [FAILED], 202),
        ([KEPT], [FULL], 202),
        ([], [FAILED], 409),
        ([], [FAILED, UNNAMED], 409),
        ([], [LARGE, LARGE], 413),
        ([], [FULL], 507),
        ([], [DOWN], 503),
        ([], [DOWN, FULL], 409),
        ([], [FAILED, FULL], 409),
        ([], [], 400),
    ],
)
def test_the_status_tells_whether_all_some_or_nothing_was_kept(kept, failures, code):
    assert StoreAnswer(kept=kept, failures=failures).status == code


def test_the_answer_lists_every_instance_as_dicom_reads_it():
    answer = StoreAnswer(kept=[KEPT, WARNED], failures=[FAILED, UNNAMED, UNNAMED])
    module = json.loads(stow.encoded(stow.response_module(answer), stow.DICOM_JSON))
    read = Dataset.from_json(module)
    assert "RetrieveURL" in read
    assert not read.RetrieveURL
    assert [
        (one.ReferencedSOPInstanceUID, one.get("WarningReason")) for one in read.ReferencedSOPSequence
    ] == [
        (UID("1.2.3"), None),
        (UID("1.2.4"), 0xB007),
    ]
    assert all("RetrieveURL" in one and not one.RetrieveURL for one in read.ReferencedSOPSequence)
    (failed,) = read.FailedSOPSequence
    assert (failed.ReferencedSOPClassUID, failed.ReferencedSOPInstanceUID, failed.FailureReason) == (
        CT,
        "1.2.5",
        0xA900,
    )
    assert [one.FailureReason for one in read.OtherFailuresSequence] == [0xC000, 0xC000]


def test_sequences_without_items_are_left_out():
    assert set(stow.response_module(StoreAnswer(kept=[KEPT]))) == {"00081190", "00081199"}
    assert set(stow.response_module(StoreAnswer(failures=[FAILED]))) == {"00081190", "00081198"}
    assert set(stow.response_module(StoreAnswer(failures=[UNNAMED]))) == {"00081190", "0008119A"}


def test_the_native_model_says_the_same():
    answer = StoreAnswer(kept=[KEPT], failures=[FAILED, UNNAMED])
    module = stow.response_module(answer)
    root = ET.fromstring(stow.encoded(module, stow.DICOM_XML))  # noqa: S314 - our own words
    space = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
    assert root.tag == f"{space}NativeDicomModel"
    assert root.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"

    def as_json(parent):
        found = {}
        for one in parent.findall(f"{space}DicomAttribute"):
            values = [as_json(item) for item in one.findall(f"{space}Item")]
            texts = [value.text for value in one.findall(f"{space}Value")]
            values += [int(text) for text in texts] if one.get("vr") == "US" else texts
            found[one.get("tag")] = {"vr": one.get("vr"), **({"Value": values} if values else {})}
            assert Dataset().add_new(int(one.get("tag"), 16), one.get("vr"), None) is None
        return found

    assert as_json(root) == module
    assert [one.get("keyword") for one in root] == [
        "RetrieveURL", "FailedSOPSequence", "ReferencedSOPSequence", "OtherFailuresSequence",
    ]  # fmt: skip


def test_uids_that_are_none_cannot_get_into_an_answer():
    hostile = Failure(reason=0xC000, comment="", sop_class_uid='"><x', sop_instance_uid="1.2")
    assert not hostile.is_named
    module = stow.response_module(StoreAnswer(failures=[hostile]))
    assert b"<x" not in stow.encoded(module, stow.DICOM_XML)


def test_a_stream_of_one_part_keeps_to_the_contract_of_readable_streams():
    left = [b"abc", b"defgh"]

    def some(target):
        if not left:
            return 0
        piece, rest = left[0][: len(target)], left[0][len(target) :]
        target[: len(piece)] = piece
        left[:1] = [rest] if rest else []
        return len(piece)

    stream = PartStream(some)
    assert stream.read(5) == b"abcde"  # fills up
    assert not stream.ended
    assert stream.read() == b"fgh"
    assert stream.ended
    assert stream.read(1) == b""
    assert issubclass(InstanceTooLarge, AssociationOver)
