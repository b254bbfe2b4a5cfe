"""Storage commitment at the node: what an N-ACTION may look like, what it is answered, and how the report goes out."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pynetdicom import AE, evt
from pynetdicom.dsutils import decode as decode_data_set

from dicom_node import command as dimse
from dicom_node import commitment, event_report
from dicom_node.commitment import MAX_REFERENCES, encode_result, read_question
from dicom_node.errors import PeerUnreachable
from dicom_node.handlers import commitment as handler
from dicom_node.receiver import Admitted, CommitmentResult, StoreOutcome
from dicom_node.requestor import Answer, Call
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    IMPLICIT,
    KeepingReceiver,
    RawPeer,
    command,
    context,
    contexts_of,
    item,
    p_data,
    running,
    timed_echo,
)

CLASS, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
COMMIT = Admitted(may_store=True, may_echo=True, may_commit=True)


# --- the question ------------------------------------------------------------------------------------------------------


def asked(pairs, transaction="1.2.3"):
    data_set = Dataset()
    data_set.TransactionUID = transaction
    data_set.StorageMediaFileSetID = "DISC"
    data_set.ReferencedSOPSequence = []
    for sop_class, uid in pairs:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sop_class, uid
        data_set.ReferencedSOPSequence.append(one)
    return data_set


def encoded(data_set, *, explicit, undefined=False):
    """As pydicom writes it: another's encoder."""
    if undefined:
        data_set["ReferencedSOPSequence"].is_undefined_length = True
        for one in data_set.ReferencedSOPSequence:
            one.is_undefined_length_sequence_item = True
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, not explicit
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def read(data, *, explicit=True):
    return read_question(io.BytesIO(data), EXPLICIT if explicit else IMPLICIT)


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_what_pydicom_writes_is_read(explicit, undefined):
    pairs = [(CT, f"1.2.3.{n}") for n in range(1, 40)]
    found = read(encoded(asked(pairs), explicit=explicit, undefined=undefined), explicit=explicit)
    assert (found.transaction_uid, found.references) == ("1.2.3", tuple(pairs))


def test_bytes_that_come_one_by_one_are_the_same_question():
    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(1)

    data = encoded(asked([(CT, "1.2.3.4")]), explicit=True)
    assert read_question(Slow(data), EXPLICIT) == read(data)


def test_a_pair_that_is_asked_twice_is_one():
    pairs = [(CT, "1.2.3.4"), (CT, "1.2.3.4"), ("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4")]
    assert read(encoded(asked(pairs), explicit=True)).references == (pairs[0], pairs[2])


def test_what_stands_around_the_wanted_attributes_is_passed_over():
    data_set = asked([(CT, "1.2.3.4")])
    data_set.ReferencedSOPSequence[0].add_new(0x00081199, "SQ", [asked([(CT, "9.9.9")])])
    data_set.add_new(0x00081115, "SQ", [asked([(CT, "8.8.8")], transaction="8.8")])
    data_set["ReferencedSeriesSequence"].is_undefined_length = True
    data_set.add_new(0x00091001, "UN", b"\xff" * 300)
    assert read(encoded(data_set, explicit=True)).references == ((CT, "1.2.3.4"),)


def test_a_uid_beside_the_items_belongs_to_none_of_them():
    data_set = asked([(CT, "1.2.3.4")])
    data_set.ReferencedSOPClassUID = CT
    del data_set.ReferencedSOPSequence[0].ReferencedSOPClassUID
    data_set.ReferencedSOPSequence[0].TransactionUID = "9.9"
    assert read(encoded(data_set, explicit=True)).status == 0x0115
    data_set.ReferencedSOPSequence[0].ReferencedSOPClassUID = CT
    assert read(encoded(data_set, explicit=True)).transaction_uid == "1.2.3"


def without(data_set, name):
    del data_set[name]
    return data_set


def with_uid(uid):
    data_set = asked([(CT, "1.2.3.4")])
    raw = encoded(data_set, explicit=False)
    return raw.replace(struct.pack("<I", 8) + b"1.2.3.4\0", struct.pack("<I", len(uid)) + uid)


QUESTIONS_THAT_ARE_NONE = {
    "nothing": (b"", 0x0115, "Transaction UID"),
    "no transaction UID": (encoded(without(asked([(CT, "1.2")]), "TransactionUID"), explicit=False), 0x0115, "Transaction UID"),
    "no sequence": (encoded(without(asked([]), "ReferencedSOPSequence"), explicit=False), 0x0115, "(0008,1199)"),
    "an empty sequence": (encoded(asked([]), explicit=False), 0x0115, "(0008,1199)"),
    "an item without its UID": (
        encoded(asked([(CT, "1.2")]), explicit=False).replace(struct.pack("<HH", 8, 0x1155), struct.pack("<HH", 8, 0x1156)),
        0x0115,
        "item 1",
    ),
    "a UID with letters": (with_uid(b"1.2.abc\0"), 0x0115, "00081155"),
    "an empty UID": (with_uid(b""), 0x0115, ""),
    "a UID of 10,000 bytes": (with_uid(b"1" * 10_000), 0x0115, ""),
    "cut off": (encoded(asked([(CT, "1.2.3.4")]), explicit=False)[:-3], 0x0115, "ends inside"),
    "an item of 4 GiB": (struct.pack("<HHI", 8, 0x1199, 0xFFFFFFF0) + bytes(100), 0x0115, ""),
    "an end of nothing": (struct.pack("<HHI", 0xFFFE, 0xE00D, 0), 0x0115, "delimiter"),
    "a sequence of no items": (struct.pack("<HHIHHI", 8, 0x1199, 0xFFFFFFFF, 8, 0x1150, 0), 0x0115, "no item"),
    "nested without end": (struct.pack("<HHIHHI", 8, 0x1115, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF) * 50_000, 0x0115, "nested"),
    "a value of 30 MiB": (struct.pack("<HHI", 9, 0x1001, 30 << 20) + bytes(30 << 20), 0x0213, "longer than"),
    "two million elements": (struct.pack("<HHI", 9, 0x1001, 0) * 2_000_000, 0x0213, "elements"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS_THAT_ARE_NONE)
def test_what_cannot_be_a_question_gets_its_exact_status(name):
    data, code, comment = QUESTIONS_THAT_ARE_NONE[name]
    outcome = read(data, explicit=False)
    assert isinstance(outcome, StoreOutcome)
    assert outcome.status == code
    assert comment in outcome.comment
    assert len(outcome.comment) <= 64


def test_ten_thousand_references_are_read_in_a_moment_and_a_hundred_thousand_are_the_most():
    pair = struct.pack("<HHI", 8, 0x1150, 26) + CT.encode() + b"\0" + struct.pack("<HHI", 8, 0x1155, 12)
    items = [
        struct.pack("<HHI", 0xFFFE, 0xE000, 54) + pair + b"1.2.%08d" % n for n in range(MAX_REFERENCES + 1)
    ]

    def question(count):
        body = b"".join(items[:count])
        return (
            struct.pack("<HHI", 8, 0x1195, 6) + b"1.2.3\0" + struct.pack("<HHI", 8, 0x1199, len(body)) + body
        )

    began = time.process_time()
    assert len(read(question(10_000), explicit=False).references) == 10_000
    assert time.process_time() - began < 1.0
    assert len(read(question(MAX_REFERENCES), explicit=False).references) == MAX_REFERENCES
    assert read(question(MAX_REFERENCES + 1), explicit=False).status == 0x0213


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=300), explicit=st.booleans())
def test_garbage_ends_with_a_status(data, explicit):
    outcome = read(data, explicit=explicit)
    assert isinstance(outcome, StoreOutcome) or outcome.references


@settings(max_examples=300, deadline=2000)
@given(
    at=st.integers(0, 400),
    patch=st.binary(min_size=1, max_size=6),
    explicit=st.booleans(),
    undefined=st.booleans(),
)
def test_a_question_with_bytes_changed_is_read_or_refused(at, patch, explicit, undefined):
    good = bytearray(
        encoded(asked([(CT, f"1.2.3.{n}") for n in range(5)]), explicit=explicit, undefined=undefined)
    )
    at %= len(good)
    good[at : at + len(patch)] = patch
    outcome = read(bytes(good), explicit=explicit)
    assert isinstance(outcome, StoreOutcome) or outcome.references


# --- the result --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("explicit", [True, False])
def test_what_is_written_is_read_by_pydicom(explicit):
    result = CommitmentResult(
        id="x",
        transaction_uid="1.2.3",
        committed=[[CT, "1.2.3.4"], [CT, "1.2.3.45"]],
        failed=[(CT, "1.2.3.6", 0x0112), (CT, "1.2.3.7", 0x0119)],
    )
    data = encode_result(result, EXPLICIT if explicit else IMPLICIT)
    found = decode_data_set(io.BytesIO(data), is_implicit_vr=not explicit, is_little_endian=True)
    assert found.TransactionUID == "1.2.3"
    assert [i.ReferencedSOPInstanceUID for i in found.ReferencedSOPSequence] == ["1.2.3.4", "1.2.3.45"]
    assert [(i.ReferencedSOPInstanceUID, i.FailureReason) for i in found.FailedSOPSequence] == [
        ("1.2.3.6", 0x0112),
        ("1.2.3.7", 0x0119),
    ]
    assert "RetrieveAETitle" not in found
    assert commitment.event_type(result) == 2
    assert [element.tag for element in found] == sorted(element.tag for element in found)


# --- on the wire -------------------------------------------------------------------------------------------------------


class CommittingReceiver(KeepingReceiver):
    """Takes on what it is asked, and gives out the results it is told to."""

    def __init__(self, *, taken=None, admitted=COMMIT):
        super().__init__(admitted=admitted)
        self.taken = taken or StoreOutcome(status=0)
        self.questions = []
        self.results = []
        self.answers = []
        self.looks = 0

    def commit(self, request):
        if isinstance(self.taken, Exception):
            raise self.taken
        self.questions.append(request)
        return self.taken

    def report_due(self, attempt):
        with self.changed:
            self.looks += 1
            self.changed.notify_all()
        return self.results.pop(0) if self.results else None

    def reported(self, result_id, *, status, why=""):
        with self.changed:
            self.answers.append((result_id, status, why))
            self.changed.notify_all()

    def wait_for_looks(self, count):
        with self.changed:
            return self.changed.wait_for(lambda: self.looks >= count, 20.0)

    def wait_for_answer(self, count=1):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.answers) >= count, 5.0), self.answers
            return self.answers[count - 1]


def n_action(**changes):
    values = {
        "0002": None, "0003": CLASS, "0100": 0x0130, "0110": 9, "0700": None, "0800": 1, "1000": None, "1001": INSTANCE, "1008": 1,
    }  # fmt: skip
    return command(**(values | changes))


def role(uid, scu, scp):
    raw = uid.encode()
    return item(0x54, struct.pack(">H", len(raw)) + raw + bytes([scu, scp]))


QUESTION = encoded(asked([(CT, "1.2.3.4")]), explicit=True)
RESULT = CommitmentResult(id="r1", transaction_uid="1.2.3", committed=[[CT, "1.2.3.4"]], failed=[])


class AskingPeer(RawPeer):
    def begin(self, *extra, syntaxes=(EXPLICIT,)):
        return self.associate(context(1, CLASS, *syntaxes), context(3, CT, EXPLICIT), extra=extra)

    def ask(self, data=QUESTION, *, number=1, **changes):
        self.send(p_data(number, 3, n_action(**changes)))
        if data is not None:
            for at in range(0, len(data) or 1, 16000):
                self.send(p_data(number, 2 if at + 16000 >= len(data) else 0, data[at : at + 16000]))
        return self.status()

    def report(self):
        """Elements of the next N-EVENT-REPORT-RQ, and its data set."""
        parts = {1: b"", 0: b""}
        while True:
            kind, body = self.read()
            assert kind == 0x04, (kind, body)
            parts[body[5] & 1] += body[6:]
            if body[5] == 2:
                break
        data_set = read_dataset(DicomBytesIO(parts[0]), False, True)
        raw = parts[1]
        found, at = {}, 0
        while at < len(raw):
            _, number, length = struct.unpack_from("<HHI", raw, at)
            found[number] = raw[at + 8 : at + 8 + length]
            at += 8 + length
        return found, data_set

    def answer(self, message_id=1, code=0):
        values = {
            "0002": CLASS, "0100": 0x8100, "0110": None, "0120": message_id, "0700": None, "0800": 0x0101, "0900": code, "1000": INSTANCE,
        }  # fmt: skip
        self.send(p_data(1, 3, command(**values)))


@pytest.fixture
def receiver():
    return CommittingReceiver()


def test_the_context_is_for_who_may_commit_and_in_plain_encodings_only():
    with running(CommittingReceiver()) as port, AskingPeer(port) as peer:
        _, body = peer.begin(syntaxes=("1.2.840.10008.1.2.4.50", IMPLICIT))
        assert contexts_of(body)[1] == (0, IMPLICIT)
    with running(CommittingReceiver()) as port, AskingPeer(port) as peer:
        _, body = peer.begin(syntaxes=("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.2"))
        assert contexts_of(body)[1][0] == 4
    nobody = Admitted(may_store=True, may_echo=True)
    with running(CommittingReceiver(admitted=nobody)) as port, AskingPeer(port) as peer:
        _, body = peer.begin()
        assert (contexts_of(body)[1][0], contexts_of(body)[3][0]) == (1, 0)


@pytest.mark.parametrize(
    ("proposed", "result", "answered"),
    [((1, 0), 0, (1, 0)), ((1, 1), 0, (1, 0)), ((0, 1), 1, None), ((0, 0), 1, None)],
)
def test_the_peer_is_scu_of_commitment_here_and_nothing_else(receiver, proposed, result, answered):
    with running(receiver) as port, AskingPeer(port) as peer:
        _, body = peer.begin(role(CLASS, *proposed))
        assert contexts_of(body)[1][0] == result
        sub_item = role(CLASS, *(answered or (1, 0)))
        assert (sub_item in body) == (answered is not None)


def test_only_the_transfer_syntaxes_of_the_peer_are_accepted():
    admitted = Admitted(
        may_store=True, may_echo=True, transfer_syntaxes=frozenset({"1.2.840.10008.1.2.4.70"})
    )
    with running(KeepingReceiver(admitted=admitted)) as port, RawPeer(port) as peer:
        _, body = peer.associate(
            context(1, CT, EXPLICIT, "1.2.840.10008.1.2.4.70"),
            context(3, CT, EXPLICIT),
            context(5, "1.2.840.10008.1.1", IMPLICIT),
        )
        assert contexts_of(body) == {1: (0, "1.2.840.10008.1.2.4.70"), 3: (4, IMPLICIT), 5: (0, IMPLICIT)}


def test_a_question_is_handed_over_whole_and_answered_with_what_the_receiver_says(receiver):
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        assert peer.ask() == (0, "")
    (question,) = receiver.questions
    assert (question.transaction_uid, list(question.references)) == ("1.2.3", [(CT, "1.2.3.4")])
    assert (question.calling_ae, question.called_ae, question.address) == (
        "MODALITY",
        "CONSILIUM",
        "127.0.0.1",
    )


def test_the_response_names_class_instance_and_action(receiver):
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        peer.send(p_data(1, 3, n_action()) + p_data(1, 2, QUESTION))
        found = peer.response()
    assert found[0x0100] == struct.pack("<H", 0x8130)
    assert found[0x0120] == struct.pack("<H", 9)
    assert found[0x0002].strip(b"\0") == CLASS.encode()
    assert found[0x1000].strip(b"\0") == INSTANCE.encode()
    assert found[0x1008] == struct.pack("<H", 1)


@pytest.mark.parametrize(
    ("changes", "data", "code"),
    [
        ({"0003": "1.2.3"}, QUESTION, 0x0118),
        ({"number": 3}, QUESTION, 0x0118),
        ({"1001": "1.2.3"}, QUESTION, 0x0112),
        ({"1008": 2}, QUESTION, 0x0123),
        ({"1008": None}, QUESTION, 0x0123),
        ({"0800": 0x0101}, None, 0x0115),
        ({}, b"", 0x0115),
        ({}, QUESTION[:-4], 0x0115),
        ({"1008": 3}, bytes(3 << 20), 0x0123),
    ],
)
def test_each_wrong_request_gets_its_status_and_the_association_goes_on(receiver, changes, data, code):
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        got, comment = peer.ask(data, **changes)
        assert got == code
        assert comment
        assert peer.ask() == (0, "")
    assert len(receiver.questions) == 1
    assert [outcome.status for _, outcome in receiver.refusals] == [code], "the audit has to know"


@pytest.mark.parametrize(
    ("raised", "code"), [(OSError("x"), 0x0213), (MemoryError(), 0x0213), (ValueError("secret"), 0x0110)]
)
def test_what_the_receiver_raises_is_a_status_without_its_text(raised, code):
    with running(CommittingReceiver(taken=raised)) as port, AskingPeer(port) as peer:
        peer.begin()
        got, comment = peer.ask()
    assert got == code
    assert "secret" not in comment


def test_the_report_comes_on_the_same_association_when_the_peer_is_silent(receiver):
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        peer.ask()
        receiver.results.append(RESULT)
        found, data_set = peer.report()
        assert struct.unpack("<H", found[0x1002]) == (1,)
        assert found[0x1000].strip(b"\0") == INSTANCE.encode()
        assert data_set.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
        peer.answer()
        assert receiver.wait_for_answer() == ("r1", 0, "")
        assert peer.release()[0] == 0x06


def test_objects_may_come_while_a_report_waits_for_its_answer(receiver):
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        peer.ask()
        receiver.results.append(RESULT)
        peer.report()
        assert peer.store(number=3)[0] == 0
        peer.answer()
        assert receiver.wait_for_answer() == ("r1", 0, "")


def test_a_report_fits_into_the_pdus_that_the_peer_takes(receiver):
    many = CommitmentResult(
        id="r1", transaction_uid="1.2.3", committed=[[CT, f"1.2.3.{n}"] for n in range(500)], failed=[]
    )
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.associate(context(1, CLASS, EXPLICIT), max_length=300)
        peer.ask()
        receiver.results.append(many)
        data = b""
        while True:
            _, body = peer.read()
            assert len(body) <= 300
            data += b"" if body[5] & 1 else body[6:]
            if body[5] == 2:
                break
        assert len(read_dataset(DicomBytesIO(data), False, True).ReferencedSOPSequence) == 500


def reporter_of(receiver, said, *, abstract_syntax=CLASS):
    """The reporter of one association, without the association: each silence is a call, and no clock is asked."""
    agreed = SimpleNamespace(abstract_syntax=abstract_syntax, transfer_syntax=EXPLICIT, context_id=1)
    return handler.Reporter(
        receiver=receiver,
        attempt=SimpleNamespace(association_id="a1"),
        accepted=SimpleNamespace(peer_max_pdu_bytes=0, contexts={1: agreed}),
        say=said.append,
        waited_s=lambda: 0.0,
    )


def test_without_a_question_the_receiver_is_asked_once_and_never_where_commitment_was_not_negotiated(
    receiver,
):
    storing = reporter_of(receiver, [], abstract_syntax=CT)
    for _ in range(5):
        storing.look()
    assert receiver.looks == 0
    reporter = reporter_of(receiver, [])
    for _ in range(5):
        reporter.look()
    assert receiver.looks == 1
    reporter.asked()
    for _ in range(5):
        reporter.look()
    assert receiver.looks == 6


def test_in_every_silence_the_receiver_of_a_question_is_asked_again(receiver):
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        peer.ask()
        assert receiver.wait_for_looks(4)


def test_a_refusal_is_told_and_not_tried_again_here(receiver):
    said = []
    reporter = reporter_of(receiver, said)
    reporter.asked()
    receiver.results += [RESULT, RESULT]
    reporter.look()
    assert said
    reporter.answered(Answered({dimse.MESSAGE_ID_RESPONDED: 1, dimse.STATUS: 0x0110}))
    assert receiver.wait_for_answer() == ("r1", 0x0110, "")
    told = len(said)
    for _ in range(5):
        reporter.look()
    assert (len(receiver.results), len(said)) == (1, told)


class Answered:
    """A command set as the reporter asks for it."""

    def __init__(self, numbers):
        self.numbers = numbers

    def number(self, tag):
        return self.numbers[tag]

    def text(self, tag):
        return ""


@pytest.mark.parametrize("how", ["release", "drop"])
def test_an_association_that_ends_before_the_answer_gives_the_report_back(receiver, how):
    with running(receiver) as port:
        with AskingPeer(port) as peer:
            peer.begin()
            peer.ask()
            receiver.results.append(RESULT)
            peer.report()
            if how == "release":
                peer.release()
        assert receiver.wait_for_answer() == ("r1", None, "the association ended before the answer")


def test_a_peer_that_never_answers_gives_the_report_back_and_may_go_on(receiver, monkeypatch):
    monkeypatch.setattr(handler, "_ANSWER_S", 0.6)
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        peer.ask()
        receiver.results.append(RESULT)
        peer.report()
        result_id, code, why = receiver.wait_for_answer()
        assert (result_id, code) == ("r1", None)
        assert "no answer" in why
        peer.answer()  # too late, and no offence
        assert peer.store(number=3)[0] == 0


def test_a_response_to_nothing_ends_the_association(receiver):
    with running(receiver) as port, AskingPeer(port) as peer:
        peer.begin()
        peer.answer(message_id=5)
        assert peer.read()[0] == 0x07
        assert receiver.wait_for_end().how == "malformed"


@settings(
    max_examples=60,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: QUESTION[:20] + b + QUESTION[20:]))
def test_garbage_on_the_wire_is_answered_and_the_thread_lives(garbage_port, data):
    with AskingPeer(garbage_port) as peer:
        peer.begin()
        code, _ = peer.ask(data)
        assert code in {0, 0x0115, 0x0213}
        assert peer.store(number=3)[0] == 0


@pytest.fixture(scope="module")
def garbage_port():
    with running(CommittingReceiver()) as port:
        yield port
        assert timed_echo(port) < 1


# --- our own call ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listener(*, scu_role=True, scp_role=True, offers=True, code=0, before=None):
    """A sender's own N-EVENT-REPORT SCP, as pynetdicom makes it."""
    told = []

    def handle(event):
        if before is not None:
            before(event)
        told.append((event.event_type, event.event_information, event.request.AffectedSOPInstanceUID))
        return code, None

    ae = AE("SENDER")
    ae.add_supported_context("1.2.840.10008.1.1")
    if offers:
        ae.add_supported_context(CLASS, [EXPLICIT, IMPLICIT], scu_role=scu_role, scp_role=scp_role)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, handle)])
    try:
        call = Call(
            host="127.0.0.1",
            port=server.socket.getsockname()[1],
            called_ae="SENDER",
            calling_ae="CONSILIUM",
            response_timeout_s=3,
        )
        yield call, told
    finally:
        server.shutdown()


FAILURES = CommitmentResult(id="r2", transaction_uid="1.2.4", committed=[], failed=[(CT, "1.2.3.6", 0x0112)])


def test_results_are_told_one_after_another_on_one_association():
    with listener() as (call, told):
        outcomes = list(event_report.report(call, [RESULT, FAILURES]))
    assert [(o.result_id, o.status) for o in outcomes] == [("r1", 0), ("r2", 0)]
    assert [(kind, uid) for kind, _, uid in told] == [(1, INSTANCE), (2, INSTANCE)]
    assert told[1][1].FailedSOPSequence[0].FailureReason == 0x0112
    assert "ReferencedSOPSequence" not in told[1][1]


def test_a_listener_that_knows_no_roles_is_told_all_the_same():
    with listener(scu_role=None, scp_role=None) as (call, told):
        (outcome,) = event_report.report(call, [RESULT])
    assert outcome.status == 0
    assert len(told) == 1


@pytest.mark.parametrize(
    ("how", "why"), [({"offers": False}, "does not accept"), ({"scp_role": False}, "does not accept")]
)
def test_a_listener_that_does_not_take_reports_gives_a_reason(how, why):
    with listener(**how) as (call, told):
        outcomes = list(event_report.report(call, [RESULT, FAILURES]))
    assert [o.status for o in outcomes] == [None, None]
    assert why in outcomes[0].why
    assert told == []


def test_a_role_that_is_refused_is_not_taken():
    pair = (CLASS, EXPLICIT)
    assert event_report._usable(Answer(contexts={pair: 1}, roles={CLASS: (False, True)})) == pair
    with pytest.raises(PeerUnreachable, match="role"):
        event_report._usable(Answer(contexts={pair: 1}, roles={CLASS: (True, False)}))


def test_a_status_of_the_peer_is_handed_on():
    with listener(code=0x0110) as (call, _):
        (outcome,) = event_report.report(call, [RESULT])
    assert outcome.status == 0x0110


def test_a_listener_that_goes_away_leaves_the_rest_untold():
    with listener(before=lambda event: event.assoc.abort()) as (call, _):
        outcomes = list(event_report.report(call, [RESULT, FAILURES]))
    assert [(o.result_id, o.status) for o in outcomes] == [("r1", None), ("r2", None)]
    assert all(o.why for o in outcomes)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    call = Call(host="127.0.0.1", port=port, called_ae="SENDER", calling_ae="CONSILIUM")
    (outcome,) = event_report.report(call, [RESULT])
    assert outcome.status is None
    assert "refused" in outcome.why
