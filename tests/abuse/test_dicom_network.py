"""Threats to the DICOM port (docs/security.md, #29 #30 N3-N14, D14): one test each, over raw sockets."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.ae import Limits
from dicom_node.node import DicomNode
from dicom_node.receiver import Admitted, StoreOutcome
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    KeepingReceiver,
    RawPeer,
    associate_rq,
    command,
    context,
    contexts_of,
    data_set,
    echo_command,
    explicit,
    only,
    p_data,
    pdu,
    pdv,
    running,
    timed_echo,
)

pytestmark = pytest.mark.abuse

ABORT, REJECT = 0x07, 0x03


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- crowds (#29, #30, N4) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"", b"\1", b"\1\0\0\0", associate_rq()[:60], b"\x16\x03\x01"])
def test_ten_connections_that_say_almost_nothing_stop_nobody(first):
    with running(KeepingReceiver()) as port, contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(RawPeer(port)).send(first)
        assert timed_echo(port) < 1


def test_hundreds_of_silent_connections_stop_nobody_even_from_their_own_address():
    with running(KeepingReceiver()) as port, contextlib.ExitStack() as stack:
        slowest = 0.0
        for n in range(400):
            with contextlib.suppress(OSError):
                stack.enter_context(RawPeer(port, "127.0.0.2")).send(b"\1" * (n % 3))
            if n % 80 == 79:
                slowest = max(slowest, timed_echo(port), timed_echo(port, "127.0.0.2"))
        assert slowest < 1


def test_a_hostile_connection_costs_little_memory():
    with running(KeepingReceiver(), max_pending_per_address=250) as port, contextlib.ExitStack() as stack:
        timed_echo(port)
        before = resident_bytes()
        for _ in range(200):
            peer = stack.enter_context(RawPeer(port))
            peer.send(b"\1\0\0\1\0\0" + b"x" * 100)  # announces 64 KiB
        time.sleep(0.5)
        assert (resident_bytes() - before) / 200 < 256 * 1024


def test_too_many_associations_are_rejected_as_transient():
    with running(KeepingReceiver(), max_associations=3) as port, contextlib.ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(RawPeer(port)).associate()[0] == 2
        with RawPeer(port) as peer:
            assert peer.associate() == (REJECT, b"\0\2\3\2")
        stack.close()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:  # places are free again
            with RawPeer(port) as peer:
                if peer.associate()[0] == 2:
                    return
        pytest.fail("no place became free")


def test_one_peer_cannot_take_every_place():
    receiver = KeepingReceiver(
        admitted=lambda a: Admitted(
            may_store=True, may_echo=True, max_associations=2 if a.calling_ae == "GREEDY" else None
        )
    )
    with running(receiver) as port, contextlib.ExitStack() as stack:
        answers = [stack.enter_context(RawPeer(port)).associate(calling="GREEDY") for _ in range(3)]
        assert [kind for kind, _ in answers] == [2, 2, REJECT]
        assert stack.enter_context(RawPeer(port)).associate(calling="MODEST")[0] == 2


# --- deadlines (N5) -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"\1", associate_rq()[:-1]])
def test_artim_cuts_a_connection_that_asks_for_nothing(sent):
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1) as port, RawPeer(port) as peer:
        started = time.monotonic()
        peer.send(sent)
        assert peer.read() is None
        assert time.monotonic() - started < 2.5
        assert receiver.wait_for_end().how == "timeout"


def test_artim_is_absolute_for_one_byte_at_a_time():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1) as port, RawPeer(port) as peer:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in associate_rq():
                peer.send(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - started < 3
        assert receiver.wait_for_end().how == "timeout"


def test_artim_runs_in_the_middle_of_a_pdu_of_an_object():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1, min_bytes_per_s=1 << 20) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, bytes(5000))[:4000])
        started = time.monotonic()
        assert peer.read() == (ABORT, b"\0\0\2\0")
        assert time.monotonic() - started < 3
        assert receiver.wait_for_end().how == "timeout"
        assert receiver.kept == []


def test_an_object_that_drips_is_cut_by_its_pace():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1, idle_s=0.5, min_bytes_per_s=100_000) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set()[:600]))
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 6:
                peer.send(p_data(1, 0, b"\0\0"))  # every PDU is whole and on time
                time.sleep(0.1)
        assert time.monotonic() - started < 4
        assert receiver.wait_for_end().how == "timeout"


def test_a_command_that_drips_is_cut():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=1) as port, RawPeer(port) as peer:
        peer.associate()
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in command():
                peer.send(p_data(1, 1, bytes([byte])))
                time.sleep(0.1)
        assert time.monotonic() - began < 4
        assert receiver.wait_for_end().how == "timeout"


def test_an_idle_association_is_aborted_and_its_place_freed():
    receiver = KeepingReceiver()
    with running(receiver, idle_s=1) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.echo() == 0
        assert peer.read() == (ABORT, b"\0\0\2\0")
        assert receiver.wait_for_end().how == "timeout"


def test_a_pause_between_objects_is_allowed():
    with running(KeepingReceiver(), idle_s=3, artim_s=0.5) as port, RawPeer(port) as peer:
        peer.associate()
        time.sleep(1.5)
        assert peer.echo() == 0


# --- sizes (N6, N7) -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0xFFFFFFF0, 131073])
def test_a_declared_length_fills_no_memory(length):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        gc.collect()
        before = resident_bytes()
        peer.send(struct.pack(">BxI", 1, length))
        sent = 0
        with contextlib.suppress(OSError):
            for _ in range(3000):
                peer.send(bytes(65536))
                sent += 65536
        assert resident_bytes() - before < 4 << 20
        assert sent < 64 << 20
        assert receiver.wait_for_end().how == "malformed"


def test_an_oversized_p_data_is_aborted_with_reason_6():
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(struct.pack(">BxI", 4, 131073) + bytes(1000))
        assert peer.read() == (ABORT, b"\0\0\2\6")
        assert receiver.wait_for_end().how == "malformed"


def test_p_data_without_end_stops_at_the_cap_of_the_instance():
    receiver = KeepingReceiver(reads="into")
    with running(receiver, max_instance_bytes=1 << 20, drain_bytes=1 << 20) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set()))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 << 20:
                peer.send(p_data(1, 0, bytes(16000)))
                sent += 16000
        assert sent < 32 << 20  # what the sockets' buffers hold on top
        assert receiver.wait_for_end().why.startswith("the instance is larger")
        assert receiver.kept == []


def test_a_peers_own_cap_is_answered_with_a700_and_the_association_lives():
    admitted = Admitted(may_store=True, may_echo=True, max_instance_bytes=100_000)
    receiver = KeepingReceiver(admitted=admitted)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set(pixels=bytes(300_000))) == (
            0xA700,
            "Object is larger than the 100000 bytes allowed",
        )
        assert peer.store()[0] == 0
    assert receiver.thrown_away == 1


def test_a_gigabyte_passes_in_constant_memory():
    class Counting(KeepingReceiver):
        def receive(self, instance):
            buffer, total = bytearray(1 << 20), 0
            while size := instance.stream.readinto(buffer):
                total += size
            self.kept.append(total)
            return StoreOutcome(status=0)

    receiver = Counting()
    chunk = p_data(1, 0, bytes(131066))
    head = data_set()[:-1012] + b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", 8200 * 131066)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store()[0] == 0
        gc.collect()
        before = highest = resident_bytes()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, head))
        for n in range(8200):
            peer.send(chunk)
            if n % 512 == 0:
                highest = max(highest, resident_bytes())
        peer.send(p_data(1, 2, b""))
        assert peer.status()[0] == 0
        assert highest - before < 30 << 20
    assert receiver.kept[1] == len(head) + 8200 * 131066
    assert receiver.kept[1] > 1 << 30


# --- rejections (N3) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ({"calling": "STRANGER"}, b"\0\1\1\3"),
        ({"called": "OTHER"}, b"\0\1\1\7"),
        ({"calling": " "}, b"\0\1\1\3"),
        ({"version": 2}, b"\0\1\2\2"),
        ({"application": "1.2.3"}, b"\0\1\1\2"),
    ],
)
def test_a_rejection_names_its_exact_reason(how, body):
    receiver = KeepingReceiver(admitted=only())
    with running(receiver) as port, RawPeer(port) as peer:
        assert peer.associate(**how) == (REJECT, body)
        end = receiver.wait_for_end()
        assert (end.how, end.address) == ("refused", "127.0.0.1")


def test_a_receiver_that_cannot_decide_is_congestion():
    with running(KeepingReceiver(admitted=RuntimeError("database is down"))) as port, RawPeer(port) as peer:
        assert peer.associate() == (REJECT, b"\0\2\3\1")


def test_128_contexts_and_all_of_them_usable():
    proposed = [context(2 * n + 1, CT if n % 2 else VERIFICATION, EXPLICIT, IMPLICIT) for n in range(128)]
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        kind, body = peer.associate(*proposed)
        assert kind == 2
        assert len(contexts_of(body)) == 128
        assert peer.store(number=255)[0] == 0
        assert peer.echo(number=253) == 0


# --- the state machine (N11, N14) -----------------------------------------------------------------------------------

EVENTS = {
    1: associate_rq(),
    2: pdu(2, associate_rq()[6:]),
    3: pdu(3, b"\0\1\1\1"),
    4: p_data(3, 3, echo_command()),
    5: pdu(5, bytes(4)),
    6: pdu(6, bytes(4)),
    7: pdu(7, bytes(4)),
    8: pdu(0x42, bytes(4)),
    "garbage": b"\xff" * 64,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
}
# PS3.8 Table 9-10. Sta2: AE-6, AA-1, AA-2. Sta6: DT-2, AR-2 + AR-4, AA-8 (unexpected 2, unrecognised 1), AA-3.
STA2 = {
    1: 2,
    2: ABORT,
    3: ABORT,
    4: ABORT,
    5: ABORT,
    6: ABORT,
    7: None,
    8: ABORT,
    "garbage": ABORT,
    "http": ABORT,
    "ssh": ABORT,
}
STA6 = {
    1: (ABORT, 2),
    2: (ABORT, 2),
    3: (ABORT, 2),
    4: (4, None),
    5: (6, None),
    6: (ABORT, 2),
    7: (None, None),
    8: (ABORT, 1),
    "garbage": (ABORT, 1),
    "http": (ABORT, 1),
    "ssh": (ABORT, 1),
}
# Sta13: AA-7 for a request (unexpected) and for what is no PDU (unrecognised), AA-2 or AA-6 for the others.
STA13 = dict.fromkeys(EVENTS) | {1: (ABORT, b"\0\0\2\2")}
STA13 |= dict.fromkeys([8, "garbage", "http", "ssh"], (ABORT, b"\0\0\2\1"))


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_while_awaiting_an_association(event):
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.send(EVENTS[event])
        answer = peer.read()
        assert (answer and answer[0]) == STA2[event]
        assert timed_echo(port) < 1


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_on_an_association(event):
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(EVENTS[event])
        answer = peer.read()
        kind, reason = STA6[event]
        assert (answer and answer[0]) == kind
        if reason is not None:
            assert answer[1] == bytes([0, 0, 2, reason])
        assert timed_echo(port) < 1


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_after_release(event):
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.release()[0] == 6
        peer.send(EVENTS[event])
        peer.sock.shutdown(socket.SHUT_WR)
        answer = peer.read()
        assert answer == STA13[event]
        assert timed_echo(port) < 1


DIMSE_ABUSE = {
    "unknown command": p_data(1, 3, command(**{"0100": 0x7777})),
    "a response": p_data(1, 3, command(**{"0100": 0x8001, "0120": 1, "0900": 0})),
    "no command field": p_data(1, 3, command(**{"0100": None})),
    "no message id": p_data(3, 3, echo_command()[:-10]),
    "context never proposed": p_data(99, 3, command()),
    "C-STORE without a data set": p_data(1, 3, command(**{"0800": 0x0101})),
    "C-ECHO with a data set": p_data(3, 3, command(**{"0100": 0x30, "0002": VERIFICATION}))
    + p_data(3, 2, b"ab"),
    "a command inside an object": p_data(1, 3, command())
    + p_data(1, 0, data_set())
    + p_data(1, 3, command()),
    "pixel data first": p_data(1, 2, data_set()),
}


@pytest.mark.parametrize("name", DIMSE_ABUSE)
def test_a_message_that_makes_no_sense_is_aborted_and_told(name):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(DIMSE_ABUSE[name])
        assert peer.read()[0] == ABORT
        end = receiver.wait_for_end()
        assert (end.how, end.instances_kept) == ("malformed", 0)
        assert receiver.kept == []


def test_a_service_that_we_do_not_perform_is_answered():
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command(**{"0100": 0x20})) + p_data(1, 2, b"identifier"))
        assert peer.status()[0] == 0x0211
        peer.send(p_data(1, 3, command(**{"0100": 0x0FFF, "0110": None, "0120": 7, "0800": 0x0101})))
        assert peer.echo() == 0


def test_a_rejected_context_cannot_be_used():
    receiver = KeepingReceiver(admitted=Admitted(may_store=False, may_echo=True))
    with running(receiver) as port, RawPeer(port) as peer:
        _, body = peer.associate()
        assert contexts_of(body)[1][0] == 1
        peer.send(p_data(1, 3, command()))
        assert peer.read()[0] == ABORT


def test_answers_fit_the_smallest_pdu_of_the_peer():
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        peer.associate(max_length=64)
        peer.send(p_data(1, 3, command()) + p_data(1, 2, data_set()))
        peer.sock.settimeout(5)
        sizes, last = [], False
        while not last:
            kind, body = peer.read()
            assert kind == 4
            sizes.append(len(body))
            last = bool(body[5] & 2)
        assert max(sizes) <= 64
        assert len(sizes) > 1


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(["raw", "pdu", "pdv", "store"]), st.integers(0, 9), st.binary(max_size=80)),
        max_size=6,
    )
)
def test_garbage_is_never_kept_and_never_hurts(fuzz_node, parts):
    port, receiver = fuzz_node
    before = len(receiver.kept)
    with RawPeer(port) as peer, contextlib.suppress(OSError):
        for kind, number, data in parts:
            if kind == "raw":
                peer.send(data)
            elif kind == "pdu":
                peer.send(associate_rq() if number == 1 else pdu(number, data))
            elif kind == "pdv":
                peer.send(pdu(4, pdv(number, number & 3, data)))
            else:
                peer.send(p_data(1, 3, command()[: -1 - number] + data) + p_data(1, 2, data))
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.read() is not None:
            pass
    assert len(receiver.kept) == before
    assert timed_echo(port) < 1


@pytest.fixture(scope="module")
def fuzz_node():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=2) as port:
        yield port, receiver


# --- objects (D4, day-one 12) ---------------------------------------------------------------------------------------

MISMATCHES = {
    "other instance": (
        data_set(sop_instance="1.2.9"),
        {},
        0xA900,
        "SOP Instance UID in data set differs from command",
    ),
    "other class": (
        data_set(sop_class="1.2.840.10008.5.1.4.1.1.4"),
        {},
        0xA900,
        "SOP Class UID in data set differs from command",
    ),
    "class of another context": (
        data_set(),
        {"0002": "1.2.840.10008.5.1.4.1.1.4"},
        0x0122,
        "SOP Class UID is not that of the presentation context",
    ),
    "no study": (data_set(study=""), {}, 0xC000, "Study Instance UID is missing in the data set"),
    "no series": (data_set(series=""), {}, 0xC000, "Series Instance UID is missing in the data set"),
    "path as study": (data_set(study="../../etc"), {}, 0xC000, "Study Instance UID is not a valid UID"),
    "path as instance": (
        data_set(sop_instance="../../../x"),
        {"1000": "../../../x"},
        0x0117,
        "Affected SOP Instance UID is not a valid UID",
    ),
    "no instance": (data_set(), {"1000": ""}, 0x0117, "Affected SOP Instance UID is not a valid UID"),
    "long instance": (
        data_set(),
        {"1000": "1." * 33},
        0x0117,
        "Affected SOP Instance UID is not a valid UID",
    ),
    "text": (b"this is no data set at all, sorry", {}, 0xC000, None),
    "empty": (b"", {}, 0xC000, "SOP Class UID is missing in the data set"),
    "a file": (bytes(128) + b"DICM" + bytes(400), {}, 0xC000, None),
    "cut off": (data_set()[:40], {}, 0xC000, None),
    "a bomb": (
        explicit(0x00080005, "CS", "") + b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" * 900,
        {},
        0xC000,
        None,
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_an_object_that_does_not_fit_gets_its_exact_status(name):
    data, changes, status, comment = MISMATCHES[name]
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        found = peer.store(data, **changes)
        assert found[0] == status, found
        assert len(found[1]) <= 64
        if comment:
            assert found[1] == comment
        assert receiver.kept == []
        assert peer.store() == (0, "")  # the association lives
    assert receiver.wait_for_end().instances_kept == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, "no space for Åkesson"), 0xA700),
        (MemoryError(), 0xA700),
        (ValueError("bad value: Åkesson 19121212-1212"), 0xC001),
        (KeyError("19121212-1212"), 0xC001),
    ],
)
@pytest.mark.parametrize("reads", ["all", "some"])
def test_a_receiver_that_fails_gives_a_status_and_no_residue(error, status, reads, capfd, caplog):
    receiver = KeepingReceiver(raises=error, reads=reads)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        found = peer.store(data_set(pixels=bytes(400_000)))
        assert found[0] == status
        receiver.raises, receiver.reads = None, "all"
        assert peer.store()[0] == 0
    said = found[1] + "".join(capfd.readouterr()) + caplog.text
    assert "kesson" not in said
    assert "19121212" not in said


@pytest.mark.parametrize("reads", ["none", "some"])
def test_success_without_having_read_the_object_is_not_passed_on(reads):
    receiver = KeepingReceiver(reads=reads)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set(pixels=bytes(400_000)))[0] == 0xC000
        assert peer.echo() == 0


def test_a_refusal_may_leave_the_object_unread():
    receiver = KeepingReceiver(
        reads="none", answer=StoreOutcome(status=0x0124, comment="Peer may not store to this case")
    )
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set(pixels=bytes(400_000))) == (0x0124, "Peer may not store to this case")
        assert peer.echo() == 0


def test_a_comment_never_passes_64_characters_nor_the_default_repertoire():
    receiver = KeepingReceiver(answer=StoreOutcome(status=0xA700, comment="å\\\n" + "x" * 100))
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store()[1] == "???" + "x" * 61


# --- ends in the middle (day-one 17) --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "cable", "reset", "release"])
def test_an_object_cut_in_the_middle_is_thrown_away_and_earlier_ones_stay(how):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store()[0] == 0
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set(pixels=bytes(60_000))))
        if how == "abort":
            peer.send(pdu(7, bytes(4)))
        elif how == "release":
            peer.send(pdu(5, bytes(4)))
            assert peer.read()[0] == ABORT
        else:
            if how == "reset":
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sock.close()
        end = receiver.wait_for_end()
        expected = {"abort": "aborted", "cable": "lost", "reset": "lost", "release": "malformed"}
        assert (end.how, end.instances_kept) == (expected[how], 1)
        assert receiver.thrown_away == 1
        assert len(receiver.kept) == 1
        assert timed_echo(port) < 1


def test_a_receiver_that_swallows_the_interruption_cannot_make_it_success():
    class Swallowing(KeepingReceiver):
        def receive(self, instance):
            with contextlib.suppress(Exception):
                while instance.stream.read(1000):
                    pass
            return StoreOutcome(status=0)

    receiver = Swallowing()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set()))
        peer.sock.close()
        assert receiver.wait_for_end().instances_kept == 0


# --- stopping (D14) -------------------------------------------------------------------------------------------------


def started(receiver, **limits):
    node = DicomNode(receiver=receiver, host="127.0.0.1", port=0, limits=Limits(**limits))
    return node, node.start()[1]


def test_stopping_aborts_idle_peers_within_two_seconds():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(port)) for _ in range(5)]
        for peer in peers:
            peer.associate()
        silent = stack.enter_context(RawPeer(port))
        began = time.monotonic()
        node.stop(timeout_s=30)
        assert time.monotonic() - began < 2
        assert [peer.read()[0] for peer in peers] == [ABORT] * 5
        assert silent.read() is None
    with pytest.raises(OSError):
        RawPeer(port)


def test_stopping_lets_the_current_instance_finish():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    data = data_set(pixels=bytes(200_000))
    with RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data[:100_000]))
        stopping = threading.Thread(target=node.stop, kwargs={"timeout_s": 10})
        stopping.start()
        time.sleep(1)
        peer.send(p_data(1, 2, data[100_000:]))
        assert peer.status()[0] == 0
        assert peer.read()[0] == ABORT
        stopping.join(5)
        assert not stopping.is_alive()
    assert [held for _, held in receiver.kept] == [data]


def test_stopping_aborts_what_does_not_finish_in_time():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    with RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set(pixels=bytes(9000))))
        began = time.monotonic()
        node.stop(timeout_s=1)
        assert time.monotonic() - began < 3
        assert peer.read()[0] == ABORT
    assert receiver.thrown_away == 1
    assert receiver.wait_for_end().how == "aborted"


def test_a_stopped_node_leaves_its_port_free():
    receiver = KeepingReceiver()
    node, port = started(receiver)
    node.stop(timeout_s=1)
    node.stop(timeout_s=1)
    again = DicomNode(receiver=receiver, host="127.0.0.1", port=port)
    again.start()
    assert timed_echo(port) < 1
    again.stop(timeout_s=1)


def test_no_thread_and_no_descriptor_is_left_behind():
    receiver = KeepingReceiver()
    gc.collect()
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    with running(receiver) as port:
        for n in range(30):
            with RawPeer(port) as peer:
                peer.associate()
                if n % 3:
                    peer.send(p_data(1, 3, command()) + b"\xff" * n)
        receiver.wait_for_end(30)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and threading.active_count() > threads:
        time.sleep(0.05)
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 1
