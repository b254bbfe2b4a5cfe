"""Our own calls out: whatever a peer answers, in whatever state, there is the right abort, words for a person and an end."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node import command as dimse
from dicom_node.dial import Call
from dicom_node.errors import AssociationOver
from dicom_node.fragments import Fragmenter
from dicom_node.requestor import OutboundAssociation
from dicom_node.scu import OutboundInstance, Patience, echo, send
from dicom_node.tls import Identity, client_context
from tests.fakes.certificates import Authority, self_signed
from tests.unit.dicom_node.peers import (
    CALLED,
    CALLING,
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    RawPeer,
    command,
    data_set,
    echo_command,
    item,
    p_data,
    pdu,
)

RELEASE_RQ, RELEASE_RP, ABORT = pdu(0x05, bytes(4)), pdu(0x06, bytes(4)), pdu(0x07, b"\0\0\2\0")
PROVIDER = {"unexpected": b"\0\0\2\2", "unknown": b"\0\0\2\1", "invalid": b"\0\0\2\6", "user": b"\0\0\0\0"}
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"


class Accepted(RawPeer):
    """The acceptor's end, by hand."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(10)

    def ending(self, *, polite=True):
        """Everything that comes until the connection ends, as PDUs; a release is answered where that is polite."""
        found = []
        while (one := self.read()) is not None:
            found.append(one)
            if polite and one[0] == 0x05:
                self.send(RELEASE_RP)
        return found

    def message(self):
        """The bytes of the next command set."""
        kind, body = self.read()
        assert kind == 0x04
        return body


class Acceptor:
    """Plays one part per connection; what it raises is raised at the end of the test."""

    def __init__(self, *parts, wrap=None):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._parts, self._wrap = parts, wrap
        self.results, self.errors = [], []
        self._thread = threading.Thread(target=self._play, daemon=True)

    def _play(self):
        for part in self._parts:
            sock, _ = self._listening.accept()
            try:
                with Accepted(self._wrap(sock) if self._wrap else sock) as peer:
                    self.results.append(part(peer))
            except (OSError, EOFError):
                self.results.append(None)
            except AssertionError as error:
                self.errors.append(error)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(15)
        assert not self._thread.is_alive(), "the peer still waits"
        self._listening.close()
        if self.errors:
            raise self.errors[0]


def call(port, **changes):
    fixed = {"host": "127.0.0.1", "port": port, "called_ae": CALLED, "calling_ae": CALLING, "timeout_s": 1.0}
    return Call(**(fixed | {"response_timeout_s": 2.0} | changes))


def accept(*results, syntax=IMPLICIT, max_length=16384, extra=b""):
    """An A-ASSOCIATE-AC for contexts 1, 3, …"""
    body = struct.pack(">HH", 1, 0) + bytes(64) + item(0x10, b"1.2.840.10008.3.1.1.1")
    for at, result in enumerate(results or (0,)):
        body += item(0x21, bytes([2 * at + 1, 0, result, 0]) + item(0x40, syntax.encode()))
    inner = (
        item(0x51, struct.pack(">I", max_length)) + item(0x52, b"1.2.3.4") + extra + item(0x55, b"SCRIPTED")
    )
    return pdu(0x02, body + item(0x50, inner))


def response(message_id=1, status=0, field=0x8030, **more):
    values = {"0100": field, "0110": None, "0120": message_id, "0700": None, "0800": 0x0101, "0900": status}
    return p_data(1, 3, command(**(values | {"1000": None} | more)))


def after(first, *answers, ends=True):
    """Read the request, answer it, then read what comes until the end."""

    def part(peer):
        assert peer.read()[0] == 0x01
        peer.send(first)
        for answer in answers:
            assert peer.read()[0] == 0x04
            peer.send(answer)
        return peer.ending() if ends else None

    return part


# --- Sta5 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words", "abort"),
    [
        (pdu(0x01, bytes(80)), "A-ASSOCIATE-RQ where", "unexpected"),
        (p_data(1, 3, b"x"), "P-DATA-TF where", "unexpected"),
        (RELEASE_RQ, "A-RELEASE-RQ where", "unexpected"),
        (RELEASE_RP, "A-RELEASE-RP where", "unexpected"),
        (pdu(0x47, b"HTTP"), "PDU type 47 where", "unknown"),
        (b"SSH-2.0-OpenSSH_9\r\n", "PDU type 53 where", "unknown"),
        (pdu(0x02, b"short"), "too short", "invalid"),
        (pdu(0x02, bytes(68) + b"\x21\0\xff\xff"), "longer than its PDU", "invalid"),
        (struct.pack(">BxI", 2, 1 << 31), "2147483648 bytes", "invalid"),
        (pdu(0x03, b"\1\1"), "A-ASSOCIATE-RJ of 2 bytes", "invalid"),
        (pdu(0x07, bytes(5)), "A-ABORT of 5 bytes", "invalid"),
        (accept(syntax=EXPLICIT), "syntax that was not proposed", "invalid"),
        (ABORT, "A-ABORT from the peer", None),
        (b"\2", "connection", None),
    ],
)
def test_an_answer_that_is_none_is_aborted_and_named(answer, words, abort):
    def part(peer):
        assert peer.read()[0] == 0x01
        peer.send(answer)
        if abort is None:
            return None
        return peer.read()

    with Acceptor(part) as peer:
        started = time.monotonic()
        found = echo(call(peer.port))
        assert time.monotonic() - started < 3
    assert not found.reached
    assert words in found.why
    assert [step.name for step in found.steps] == ["name", "connection", "association"]
    assert [step.passed for step in found.steps] == [True, True, False]
    if abort is not None:
        assert peer.results == [(0x07, PROVIDER[abort])]


@pytest.mark.parametrize(
    ("rejection", "words", "lasting"),
    [
        (b"\0\1\1\7", "check the called AE title CONSILIUM", True),
        (b"\0\1\1\3", "have MODALITY added", True),
        (b"\0\1\1\1", "may not know", True),
        (b"\0\2\3\1", "temporary congestion", False),
        (b"\0\2\3\2", "too many associations", False),
        (b"\0\1\7\7", "(1,7,7)", True),
    ],
)
def test_a_rejection_says_what_to_mend(rejection, words, lasting):
    with Acceptor(after(pdu(0x03, rejection)), after(pdu(0x03, rejection))) as peer:
        assert words in echo(call(peer.port)).why
        (outcome,) = send(call(peer.port), [outbound(b"")], patience=Patience(setbacks=0))
    assert words in outcome.why
    assert outcome.lasting == lasting


def test_a_lasting_rejection_is_not_tried_again():
    with Acceptor(after(pdu(0x03, b"\0\1\1\7"))) as peer:
        started = time.monotonic()
        list(send(call(peer.port), [outbound(b"")], patience=Patience(setbacks=9, wait_s=5)))
        assert time.monotonic() - started < 2


def test_silence_and_dripping_end_at_the_deadline():
    def drip(peer):
        for _ in range(60):
            peer.send(b"\2")
            time.sleep(0.1)

    for part in (lambda peer: peer.ending(), drip):
        with Acceptor(part) as peer:
            started = time.monotonic()
            assert not echo(call(peer.port)).reached
            assert time.monotonic() - started < 4


def test_a_name_and_a_port_that_nobody_has_are_told_apart():
    unknown = echo(call(104, host="no-such-host.invalid"))
    assert "cannot be resolved" in unknown.why
    assert [step.name for step in unknown.steps] == ["name"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    refused = echo(call(port))
    assert "refused" in refused.why
    assert [step.name for step in refused.steps] == ["name", "connection"]


def test_an_echo_tells_each_step():
    with Acceptor(after(accept(), response())) as peer:
        found = echo(call(peer.port))
    assert found.reached
    assert [step.name for step in found.steps] == ["name", "connection", "association", "verification"]
    assert all(step.passed and step.took_s >= 0 for step in found.steps)
    assert found.implementation_version == "SCRIPTED"


def test_an_echo_without_verification_or_success_says_so():
    with Acceptor(after(accept(3)), after(accept(), response(status=0x0211))) as peer:
        assert "not Verification" in echo(call(peer.port)).why
        failed = echo(call(peer.port))
    assert failed.why == "status 0211H"
    assert failed.steps[-1].name == "verification"


# --- Sta6 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "abort"),
    [
        (pdu(0x01, bytes(80)), "unexpected"),
        (accept(), "unexpected"),
        (pdu(0x03, b"\0\1\1\7"), "unexpected"),
        (RELEASE_RP, "unexpected"),
        (pdu(0x99, b""), "unknown"),
        (pdu(0x04, b"\0\0\0\1"), "invalid"),
        (struct.pack(">BxI", 4, 0xFFFFFFFF), "invalid"),
        (pdu(0x05, bytes(9)), "invalid"),
        (response(message_id=7), "user"),
        (p_data(1, 2, b"a data set"), "user"),
        (p_data(9, 3, echo_command()), "user"),
        (p_data(1, 3, b"\1\0\0\1\xff\xff\xff\xff"), "user"),
        (response(status=None, **{"0900": None}), "user"),
    ],
)
def test_what_must_not_come_in_data_transfer_is_aborted(answer, abort):
    with Acceptor(after(accept(), answer)) as peer:
        started = time.monotonic()
        assert not echo(call(peer.port)).reached
        assert time.monotonic() - started < 4
    assert peer.results == [[(0x07, PROVIDER[abort])]]


def test_a_release_of_the_peer_s_is_answered():
    with Acceptor(after(accept(), RELEASE_RQ)) as peer:
        assert not echo(call(peer.port)).reached
    assert peer.results == [[(0x06, bytes(4))]]


def test_an_abort_of_the_peer_s_is_not_answered():
    with Acceptor(after(accept(), ABORT)) as peer:
        assert "A-ABORT from the peer" in echo(call(peer.port)).why
    assert peer.results == [[]]


def test_requests_of_the_peer_s_are_refused_and_waited_over():
    """Some peers ask for an echo, or cancel, while they owe an answer."""

    def part(peer):
        peer.read()
        peer.send(accept())
        peer.message()
        peer.send(p_data(1, 3, echo_command(message_id=77)))
        refused = peer.response()
        peer.send(p_data(1, 3, command(**{"0110": 78})) + p_data(1, 2, b"its data set"))
        peer.response()
        peer.send(p_data(1, 3, command(**{"0100": 0x0FFF, "0110": None, "0120": 1, "0800": 0x0101})))
        peer.send(response())
        return refused, peer.ending()

    with Acceptor(part) as peer:
        assert echo(call(peer.port)).reached
    refused, ending = peer.results[0]
    assert (refused[0x0900], refused[0x0120]) == (b"\x11\x02", struct.pack("<H", 77))
    assert [kind for kind, _ in ending] == [0x05]


def test_a_peer_that_only_asks_is_left():
    def part(peer):
        peer.read()
        peer.send(accept())
        peer.message()
        for number in range(1000):
            peer.send(p_data(1, 3, echo_command(message_id=number)))
        return peer.ending()

    with Acceptor(part) as peer:
        started = time.monotonic()
        assert not echo(call(peer.port)).reached
        assert time.monotonic() - started < 4


def test_a_response_with_a_data_set_leaves_the_association_usable():
    def part(peer):
        peer.read()
        peer.send(accept())
        for number in (1, 2):
            peer.message()
            peer.send(response(message_id=number, **{"0800": 1}) + p_data(1, 2, b"an event reply"))
        return peer.ending()

    pair = (VERIFICATION, IMPLICIT)
    with Acceptor(part) as peer, OutboundAssociation(call(peer.port), [pair]) as association:
        for _ in range(2):
            assert (
                association.perform(pair, {dimse.COMMAND_FIELD: dimse.C_ECHO_RQ}, None).number(dimse.STATUS)
                == 0
            )


def test_no_response_ends_at_its_own_deadline():
    with Acceptor(after(accept(), b"")) as peer:
        started = time.monotonic()
        found = echo(call(peer.port, response_timeout_s=1.0))
        assert 0.9 < time.monotonic() - started < 4
    assert "deadline" in found.why


# --- Sta7 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "then"),
    [
        ([RELEASE_RP], []),
        ([p_data(1, 3, echo_command()) * 3, RELEASE_RP], []),
        ([RELEASE_RQ, RELEASE_RP], [(0x06, bytes(4))]),
        ([RELEASE_RQ, RELEASE_RQ], [(0x06, bytes(4)), (0x07, PROVIDER["unexpected"])]),
        ([RELEASE_RQ, p_data(1, 3, b"x")], [(0x06, bytes(4)), (0x07, PROVIDER["unexpected"])]),
        ([accept()], [(0x07, PROVIDER["unexpected"])]),
        ([pdu(0x03, b"\0\1\1\1")], [(0x07, PROVIDER["unexpected"])]),
        ([pdu(0x77, b"")], [(0x07, PROVIDER["unknown"])]),
        ([pdu(0x06, bytes(8))], [(0x07, PROVIDER["invalid"])]),
        ([ABORT], []),
        ([], []),
    ],
)
def test_whatever_answers_our_release_it_ends(answers, then):
    def part(peer):
        peer.read()
        peer.send(accept())
        peer.message()
        peer.send(response())
        assert peer.read()[0] == 0x05
        for answer in answers:
            peer.send(answer)
        return peer.ending(polite=False)

    with Acceptor(part) as peer:
        started = time.monotonic()
        assert echo(call(peer.port)).reached
        assert time.monotonic() - started < 4
    assert peer.results == [then]


def test_endless_data_after_our_release_is_bounded():
    def part(peer):
        peer.read()
        peer.send(accept())
        peer.message()
        peer.send(response())
        peer.read()
        with contextlib.suppress(OSError):
            for _ in range(4000):
                peer.send(p_data(1, 0, bytes(16000)))

    with Acceptor(part) as peer:
        started = time.monotonic()
        echo(call(peer.port))
        assert time.monotonic() - started < 5


# --- negotiation -----------------------------------------------------------------------------------------------------


def test_roles_are_proposed_and_the_answer_is_read():
    uid = STORAGE_COMMITMENT.encode()
    granted = item(0x54, struct.pack(">H", len(uid)) + uid + b"\0\1")

    def part(peer):
        body = peer.read()[1]
        peer.send(accept(extra=granted))
        return body, peer.ending()

    pairs = [(STORAGE_COMMITMENT, IMPLICIT)]
    with Acceptor(part) as peer:
        wanted = {STORAGE_COMMITMENT: (False, True)}
        with OutboundAssociation(call(peer.port), pairs, roles=wanted) as association:
            assert association.answer.roles == wanted
    assert granted in peer.results[0][0]


@given(st.binary(max_size=300), st.sampled_from([0x21, 0x50, 0x10, 0x99]))
def test_no_items_of_an_answer_break_the_reader(junk, kind):
    from dicom_node.association_offer import read_answer

    with contextlib.suppress(AssociationOver):
        read_answer(bytes(68) + item(kind, junk), {1: (CT, EXPLICIT)}, max_items=100)


def test_a_peer_that_wants_its_objects_in_a_million_pieces_is_refused():
    with Acceptor(after(accept(max_length=7), ends=False)) as peer:
        assert "7 bytes only" in echo(call(peer.port)).why


# --- objects ---------------------------------------------------------------------------------------------------------


def outbound(data, uid="1.2.3.4.5"):
    return OutboundInstance(
        sop_class_uid=CT, sop_instance_uid=uid, transfer_syntax_uid=EXPLICIT, open=lambda: io.BytesIO(data)
    )


def stored(message_id=1, status=0):
    return response(message_id, status, field=0x8001)


@given(
    size=st.integers(0, 3000),
    command_size=st.integers(1, 400),
    max_pdu=st.integers(128, 900),
    reads=st.integers(1, 700),
)
def test_messages_are_cut_and_put_together_again(size, command_size, max_pdu, reads):
    class Short(io.BytesIO):
        def readinto(self, buffer):
            return super().readinto(memoryview(buffer)[:reads])

    content, order = bytes(i % 251 for i in range(size)), bytes(i % 250 for i in range(command_size))
    wire = b"".join(bytes(p) for p in Fragmenter(max_pdu).pieces(5, order, Short(content)))
    found = {1: b"", 0: b""}
    ended = {1: False, 0: False}
    while wire:
        kind, length = struct.unpack_from(">BxI", wire)
        assert kind == 4
        assert length <= max_pdu
        inner, number, control = struct.unpack_from(">IBB", wire, 6)
        assert (inner, number) == (length - 4, 5)
        assert not ended[control & 1]
        assert not ((control & 1) and found[0])
        found[control & 1] += wire[12 : 6 + length]
        ended[control & 1] = bool(control & 2)
        wire = wire[6 + length :]
    assert found == {1: order, 0: content}
    assert ended == {1: True, 0: True}


def test_fragments_fill_large_buffers_with_constant_memory():
    class Endless:
        left = 40 << 20

        def readinto(self, buffer):
            size = min(len(buffer), self.left)
            self.left -= size
            return size

        def read(self, size=-1):
            raise AssertionError("readinto is there")

    cutter = Fragmenter(16384)
    sizes = [len(piece) for piece in cutter.pieces(1, b"order", Endless())]
    assert max(sizes) <= 270_000
    assert min(sizes[:-1]) > 200_000


def storing(*statuses, last=None):
    """A part that answers each object with the next status, then plays `last`."""

    def part(peer):
        peer.read()
        peer.send(accept(syntax=EXPLICIT))
        for number, status in enumerate(statuses, 1):
            while peer.read()[1][5] != 2:
                pass
            peer.send(stored(number, status))
        if last is not None:
            last(peer)
        return peer.ending()

    return part


def test_the_row_of_setbacks_ends_and_the_rest_is_told():
    with Acceptor(storing(0, 0xA700), storing(0xA700), storing(0xA701)) as peer:
        items = [outbound(b"x" * 10, f"1.{n}") for n in range(4)]
        outcomes = list(send(call(peer.port), items, patience=Patience(setbacks=2, wait_s=0.01)))
    assert [o.status for o in outcomes] == [0, 0xA701, None, None]
    assert "out of resources" in outcomes[3].why
    assert not any(o.lasting for o in outcomes)


def test_without_patience_each_instance_has_its_answer_at_once():
    with Acceptor(storing(0xA700, 0, 0xB007)) as peer:
        outcomes = list(send(call(peer.port), [outbound(b"x", f"1.{n}") for n in range(3)]))
    assert [o.status for o in outcomes] == [0xA700, 0, 0xB007]
    assert [(o.kept, o.warned) for o in outcomes] == [(False, False), (True, False), (True, True)]


def test_one_instance_that_breaks_every_association_stands_back_for_the_others():
    breaking = storing(last=lambda peer: (peer.read(), peer.sock.close()))
    with Acceptor(breaking, breaking, storing(0, 0)) as peer:
        items = [outbound(b"x", f"1.{n}") for n in range(3)]
        outcomes = list(send(call(peer.port), items, patience=Patience(setbacks=5, wait_s=0.01)))
    assert [o.status for o in outcomes] == [None, 0, 0]
    assert outcomes[0].how == "unanswered"


def test_what_the_beat_raises_breaks_off_inside_an_object():
    class StopNowError(Exception):
        pass

    sent = [0]

    class Endless:
        def read(self, size=-1):
            sent[0] += size
            return bytes(size)

        def close(self):
            pass

    def beat():
        if sent[0] > 3_000_000:
            raise StopNowError

    def part(peer):
        peer.read()
        peer.send(accept(syntax=EXPLICIT, max_length=131072))
        kinds = [kind for kind, _ in peer.ending()]
        return kinds[-1]

    item_ = OutboundInstance(
        sop_class_uid=CT, sop_instance_uid="1.2", transfer_syntax_uid=EXPLICIT, open=Endless
    )
    with Acceptor(part) as peer, pytest.raises(StopNowError):
        list(send(call(peer.port), [item_], beat=beat))
    assert peer.results == [0x07]
    assert sent[0] < 5_000_000


def test_what_the_beat_raises_breaks_off_while_an_answer_is_waited_for():
    class StopNowError(Exception):
        pass

    began = time.monotonic()

    def beat():
        if time.monotonic() - began > 0.6:
            raise StopNowError

    with Acceptor(storing(last=lambda peer: None)) as peer:
        with pytest.raises(StopNowError):
            list(send(call(peer.port, response_timeout_s=60), [outbound(data_set())], beat=beat))
        assert time.monotonic() - began < 2.5


def test_leaving_early_releases_and_does_not_abort():
    with Acceptor(storing(0)) as peer:
        outcomes = send(call(peer.port), [outbound(b"x", f"1.{n}") for n in range(3)])
        assert next(outcomes).kept
        outcomes.close()
    assert [kind for kind, _ in peer.results[0]] == [0x05]


def test_a_peer_that_does_not_read_is_left():
    def part(peer):
        peer.read()
        peer.send(accept(syntax=EXPLICIT))
        time.sleep(2.5)

    with Acceptor(part) as peer:
        (outcome,) = send(call(peer.port, response_timeout_s=1.0), [outbound(bytes(30_000_000))])
    assert "does not read" in outcome.why


def test_an_abort_while_we_send_is_told_as_one():
    def part(peer):
        peer.read()
        peer.send(accept(syntax=EXPLICIT))
        peer.read()
        peer.send(ABORT)
        time.sleep(0.1)
        peer.sock.shutdown(socket.SHUT_RDWR)

    with Acceptor(part) as peer:
        (outcome,) = send(call(peer.port), [outbound(bytes(30_000_000))])
    assert outcome.status is None
    assert "A-ABORT" in outcome.why or "connection lost" in outcome.why


# --- TLS -------------------------------------------------------------------------------------------------------------


def listening(authority, issued, *, demand=True):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert_path, issued.key_path)
    if demand:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.path)
    return lambda sock: context.wrap_socket(sock, server_side=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(authority):
    return authority.issue("consilium")


def by_tls(port, authority, ours=None, **changes):
    identity = Identity(certificate=ours.cert_path, key=ours.key_path) if ours else None
    context = client_context(authorities_pem=authority.pem, pinned_pem=[], identity=identity)
    return call(port, tls=context, **changes)


def test_an_echo_by_tls_tells_version_and_suite(authority, ours):
    wrap = listening(authority, authority.issue("pacs"))
    with Acceptor(after(accept(), response()), wrap=wrap) as peer:
        found = echo(by_tls(peer.port, authority, ours))
    assert found.reached
    (step,) = [step for step in found.steps if step.name == "tls"]
    assert step.told.startswith("TLS 1.3, TLS_")
    assert "valid until" in step.told


def test_waiting_by_tls_keeps_its_deadlines(authority, ours):
    wrap = listening(authority, authority.issue("pacs"))
    with Acceptor(after(accept(), b""), wrap=wrap) as peer:
        started = time.monotonic()
        assert not echo(by_tls(peer.port, authority, ours, response_timeout_s=1.0)).reached
        assert time.monotonic() - started < 4


def test_large_objects_go_by_tls_whole(authority, ours):
    content = bytes(range(256)) * 20_000
    wrap = listening(authority, authority.issue("pacs"))
    got = bytearray()

    def part(peer):
        peer.read()
        peer.send(accept(syntax=EXPLICIT, max_length=131072))
        while True:
            _, body = peer.read()
            if not body[5] & 1:
                got.extend(body[6:])
            if body[5] == 2:
                break
        peer.send(stored())
        return peer.ending()

    with Acceptor(part, wrap=wrap) as peer:
        (outcome,) = send(by_tls(peer.port, authority, ours), [outbound(content)])
    assert outcome.kept
    assert bytes(got) == content


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("stranger", "not trusted"),
        ("expired", "expired"),
        ("another", "the certificate is not that of"),
        ("no certificate", "demands a certificate"),
        ("wrong certificate", "does not trust the authority of our certificate"),
        ("plain", "the peer closed the connection"),
    ],
)
def test_tls_that_fails_says_why(authority, ours, tmp_path, how, words):
    import datetime as dt

    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    shown = {
        "stranger": lambda: self_signed("stranger", tmp_path),
        "expired": lambda: authority.issue("old", not_before=past - dt.timedelta(days=2), not_after=past),
    }.get(how, lambda: authority.issue("pacs"))()
    mine = {
        "no certificate": None,
        "wrong certificate": Authority(tmp_path / "x", name="X").issue("consilium"),
    }
    changes = {"objection": lambda chain: "the certificate is not that of PACS"} if how == "another" else {}
    wrap = None if how == "plain" else listening(authority, shown)
    part = (lambda peer: peer.read()) if how != "plain" else (lambda peer: peer.sock.recv(100))
    with Acceptor(part, wrap=wrap) as peer:
        found = echo(by_tls(peer.port, authority, mine.get(how, ours), **changes))
    assert not found.reached
    assert "TLS failed" in found.why
    assert words in found.why


def test_a_silent_listener_holds_the_handshake_for_its_deadline_only(authority, ours):
    def drip(peer):
        for _ in range(30):
            peer.send(b"\x16")
            time.sleep(0.1)

    for part in (lambda peer: peer.ending(), drip):
        with Acceptor(part) as peer:
            started = time.monotonic()
            found = echo(by_tls(peer.port, authority, ours))
            assert time.monotonic() - started < 4
        assert "TLS failed" in found.why
        assert found.steps[-1].name == "tls"
