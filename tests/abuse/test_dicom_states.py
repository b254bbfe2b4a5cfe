"""Every event in every state (PS3.8 Table 9-10; docs/security.md, N11) over real sockets, and the cells as data.

`CELLS` says by which action a cell must be answered, `OBSERVED` what a peer sees of that action. The two tables cover every
cell of pynetdicom's copy of Table 9-10, or `OURS` says which of our own doings the event is, and `NEVER` why we are never
in the state.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from dicom_node.requestor import Call
from dicom_node.scu import OutboundInstance, echo, send
from tests.fuzz.conversations import associate_ac, to_requestor
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    KeepingReceiver,
    RawPeer,
    associate_rq,
    data_set,
    echo_command,
    p_data,
    pdu,
    running,
    timed_echo,
)

pytestmark = pytest.mark.abuse

RELEASE_RQ, RELEASE_RP, ABORT = pdu(5, bytes(4)), pdu(6, bytes(4)), pdu(7, bytes(4))
REJECT = pdu(3, b"\0\1\1\3")
ACCEPT, ECHOED = to_requestor()[0][:2]

# Event 19 has many forms: a type that nobody knows, and known types that cannot be read.
UNKNOWN = {
    "type 42": pdu(0x42, bytes(4)),
    "type 00": pdu(0, bytes(4)),
    "ff": b"\xff" * 64,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
}
MALFORMED = {
    "long release": pdu(5, bytes(5)),
    "short abort": pdu(7, bytes(3)),
    "empty data": pdu(4, b""),
    "value past its data": pdu(4, b"\0\0\0\x09\3\3ab"),
    "huge data": b"\4\0\xff\xff\xff\xf0" + bytes(40),
}
PEER_SAYS = {
    3: ACCEPT,
    4: REJECT,
    6: associate_rq(),
    10: p_data(3, 3, echo_command()),
    12: RELEASE_RQ,
    13: RELEASE_RP,
    16: ABORT,
    17: None,  # closes
}

# The actions of PS3.8 9.2.3 for what a peer can cause, and silence (18) where we run a timer.
ABORTING = dict.fromkeys((3, 4, 6, 10, 12, 13, 19), "AA-8")
CELLS = {
    "Sta2": dict.fromkeys((3, 4, 10, 12, 13, 19), "AA-1") | {6: "AE-6", 16: "AA-2", 17: "AA-5", 18: "AA-2"},
    "Sta3": ABORTING | {16: "AA-3", 17: "AA-4"},
    "Sta5": ABORTING | {3: "AE-3", 4: "AE-4", 16: "AA-3", 17: "AA-4"},
    "Sta6": ABORTING | {10: "DT-2", 12: "AR-2", 16: "AA-3", 17: "AA-4"},
    "Sta7": ABORTING | {10: "AR-6", 12: "AR-8", 13: "AR-3", 16: "AA-3", 17: "AA-4"},
    "Sta11": ABORTING | {13: "AR-3", 16: "AA-3", 17: "AA-4"},
    "Sta13": dict.fromkeys((3, 4, 10, 12, 13), "AA-6")
    | {6: "AA-7", 16: "AA-2", 17: "AR-5", 18: "AA-2", 19: "AA-7"},
}
# Events that are our own doing: which code does it, so which tests see its action.
OURS = {
    1: "AE-1: `dicom_node.dial` connects; tests/functional/test_node_clients.py",
    2: "AE-2: the A-ASSOCIATE-RQ goes out as soon as the connection stands",
    5: "AE-5: `dicom_node.transport` accepts; every test here begins with it",
    7: "AE-7: the receiver admits; seen by every association",
    8: "AE-8: the receiver refuses; test_dicom_refusals.py",
    9: "DT-1, AR-7: we answer; AR-7 never, since nothing is outstanding when a release is asked",
    11: "AR-1: our requestor asks for release when it is done; our acceptor never does",
    14: "AR-4, AR-9: a release is answered at once, by AR-2 and AR-8 here",
    15: "AA-1, AA-2: stopping and giving up; test_dicom_ends.py",
}
NEVER = {
    "Sta4": "the connection does not stand yet, so no peer can speak; that it is refused: test_node_clients.py",
    "Sta8": "a release that is asked is answered in the same breath",
    "Sta9": "a collision is answered in the same breath, so we are in Sta11",
    "Sta10": "our acceptor never asks for release",
    "Sta12": "our acceptor never asks for release",
}
# Our acceptor does not read while its receiver thinks: what comes meanwhile is read when the answer is out, in Sta6. A
# peer cannot tell the difference to having sent it a moment later, and nothing is done that the receiver did not admit.
READ_LATER = {"Sta3": "Sta6"}


def reason_of(event, form=None):
    if event != 19:
        return 2  # unexpected PDU
    return 1 if form in UNKNOWN else 6


def observed(action, event, form=None):
    """What the peer sees: PDU types, and source and reason of an abort."""
    return {
        "AA-1": [(7, b"\0\0\0\0")],
        "AA-2": [],
        "AA-3": [],
        "AA-4": [],
        "AA-5": [],
        "AA-6": [],
        "AA-7": [(7, bytes([0, 0, 2, 1 if event == 19 else 2]))],
        "AA-8": [(7, bytes([0, 0, 2, reason_of(event, form)]))],
        "AE-3": [],
        "AE-4": [],
        "AE-6": [(2, None)],
        "AR-2": [(6, None)],
        "AR-3": [],
        "AR-5": [],
        "AR-6": [],
        "AR-8": [(6, None)],
        "DT-2": [(4, None)],
    }[action]


def same(found, expected):
    return [
        (kind, body if wanted is not None else None)
        for (kind, body), (_, wanted) in zip(found, expected, strict=False)
    ] == expected and len(found) == len(expected)


def rows(*states):
    """(state, event, form, bytes) for every cell of these states that a peer can cause."""
    found = []
    for state, event in [(name, event) for name in states for event in CELLS[name] if event != 18]:
        if event != 19:
            found.append(pytest.param(state, event, None, PEER_SAYS[event], id=f"{state}-{event}"))
            continue
        # Where no such PDU is welcome, or none is looked into, its type decides and not its length.
        forms = UNKNOWN | MALFORMED if state == "Sta6" else UNKNOWN
        found.extend(
            pytest.param(state, event, form, said, id=f"{state}-19-{form}") for form, said in forms.items()
        )
    return found


def test_the_tables_are_those_of_the_standard_and_leave_no_cell_out():
    standard = {
        (f"Sta{s}", e): TRANSITION_TABLE.get((f"Evt{e}", f"Sta{s}"))
        for s in range(1, 14)
        for e in range(1, 20)
    }
    assert len(standard) == 247
    for state, events in CELLS.items():
        for event, action in events.items():
            assert standard[state, event] == action, (state, event)
    for (state, event), action in standard.items():
        told = event in CELLS.get(state, {}) or event in OURS or state in NEVER
        assert told or action is None, f"{state} {event} {action} is tested nowhere"


# --- our acceptor ---------------------------------------------------------------------------------------------------


class Thinking(KeepingReceiver):
    """Takes its time to admit, so that the peer is in Sta3 for long enough to speak."""

    def __init__(self):
        super().__init__()
        self.asked, self.go_on = threading.Event(), threading.Event()

    def admit(self, attempt):
        self.asked.set()
        self.go_on.wait(5)
        return super().admit(attempt)


def everything(peer):
    """The PDUs that come until the connection ends, which must be soon."""
    found = []
    while (answer := peer.read()) is not None:
        found.append(answer)
        if answer[0] == 7:  # whoever was aborted closes; that we close on one who does not: test_silence_…
            hang_up(peer)
    return found


def hang_up(peer):
    with contextlib.suppress(OSError):  # it may have hung up first
        peer.sock.shutdown(socket.SHUT_WR)


def event_at(peer, said):
    if said is None:
        hang_up(peer)
        return
    peer.send(said)
    if said[:1] in (
        b"\x01",
        b"\x02",
        b"\x04",
    ):  # is welcome somewhere: an idle association would wait for more
        time.sleep(0.1)
        hang_up(peer)


@pytest.mark.parametrize(("state", "event", "form", "said"), rows("Sta2", "Sta6"))
def test_the_acceptor_awaiting_a_request_and_on_an_association(state, event, form, said):
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        if state == "Sta6":
            assert peer.associate()[0] == 2
        began = time.monotonic()
        event_at(peer, said)
        assert same(found := everything(peer), observed(CELLS[state][event], event, form)), found
        assert time.monotonic() - began < 4  # no hang: the peer is asked to close, and closed on
        assert receiver.wait_for_end().address == "127.0.0.1"
        assert timed_echo(port) < 1


@pytest.mark.parametrize(("state", "event", "form", "said"), rows("Sta3"))
def test_the_acceptor_while_its_receiver_thinks(state, event, form, said):
    receiver = Thinking()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.send(associate_rq())
        assert receiver.asked.wait(5)
        event_at(peer, said)
        receiver.go_on.set()
        action = CELLS[READ_LATER[state]][event]
        assert same(found := everything(peer), [(2, None), *observed(action, event, form)]), found
        assert timed_echo(port) < 1


@pytest.mark.parametrize("after", ["release", "rejection"])
@pytest.mark.parametrize(("state", "event", "form", "said"), rows("Sta13"))
def test_the_acceptor_awaiting_the_close(after, state, event, form, said):
    with running(KeepingReceiver()) as port, RawPeer(port) as peer:
        if after == "release":
            peer.associate()
            assert peer.release()[0] == 6
        else:
            assert peer.associate(version=2)[0] == 3
        event_at(peer, said)
        hang_up(peer)
        assert same(found := everything(peer), observed(CELLS[state][event], event, form)), found
        assert timed_echo(port) < 1


def test_silence_ends_by_artim_in_the_states_where_it_runs():
    """Event 18 in Sta2 (AA-2) and Sta13 (AA-2): closed, without a word; after a release and after an abort alike."""
    with running(KeepingReceiver(), artim_s=1) as port, contextlib.ExitStack() as stack:
        silent, released, aborted = (stack.enter_context(RawPeer(port)) for _ in range(3))
        released.associate()
        assert released.release()[0] == 6
        aborted.send(RELEASE_RQ)
        assert aborted.read()[0] == 7
        began = time.monotonic()
        assert silent.read() is released.read() is aborted.read() is None
        assert time.monotonic() - began < 2.5


# --- our requestor --------------------------------------------------------------------------------------------------


class Script:
    """An acceptor that takes one call and hands it to a test."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(10)
        self.call = Call(
            host="127.0.0.1", port=self._server.getsockname()[1], called_ae="PACS", calling_ae="CONSILIUM",
            timeout_s=2, response_timeout_s=2,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._server.close()

    def taken(self):
        """The call as a peer, its request read."""
        peer = RawPeer.__new__(RawPeer)
        peer.sock, _ = self._server.accept()
        peer.sock.settimeout(10)
        assert peer.read()[0] == 1
        return peer


def answering(script, steps, said, found):
    """Bring the requestor into a state, cause the event, and hear what it says until it closes."""
    with script.taken() as peer:
        for sends, expects in steps:
            peer.send(sends)
            assert peer.read()[0] == expects
        event_at(peer, said)
        found.extend(everything(peer))


# What the acceptor says, and the type of PDU that the requestor answers to it.
WAYS = {
    "Sta5": [],
    "Sta6": [(ACCEPT, 4)],
    "Sta7": [(ACCEPT, 4), (ECHOED, 5)],
    "Sta11": [(ACCEPT, 4), (ECHOED, 5), (RELEASE_RQ, 6)],
}


@pytest.mark.parametrize(("state", "event", "form", "said"), rows(*WAYS))
def test_the_requestor_in_every_state_that_it_can_be_in(state, event, form, said):
    if (state, event) == ("Sta6", 10):
        said = ECHOED
    found = []
    with Script() as script:
        peer = threading.Thread(target=answering, args=(script, WAYS[state], said, found))
        peer.start()
        began = time.monotonic()
        result = echo(script.call)
        assert time.monotonic() - began < 6
        peer.join(10)
        assert not peer.is_alive()
    expected = observed(CELLS[state][event], event, form)
    if CELLS[state][event] in ("AE-3", "DT-2"):  # goes on: asks, or asks for release
        expected = [({"AE-3": 4, "DT-2": 5}[CELLS[state][event]], None)]
    assert same(found, expected), found
    # What came before the event stands: an answer that was given is not taken back by what follows it.
    assert result.reached == (state in ("Sta7", "Sta11") or (state, event) == ("Sta6", 10))


def test_the_requestor_passes_over_data_while_it_releases():
    """AR-6 in Sta7: P-DATA of the peer is passed over, and the release still comes to its end."""
    found = []
    with Script() as script:
        peer = threading.Thread(
            target=answering,
            args=(script, WAYS["Sta7"], p_data(1, 3, echo_command()) * 3 + RELEASE_RP, found),
        )
        peer.start()
        assert echo(script.call).reached
        peer.join(10)
    assert found == []


def test_an_abort_in_the_middle_of_an_object_reaches_the_requestor_as_such():
    outcomes = []
    with Script() as script:

        def ask():
            pieces = io.BytesIO(data_set(pixels=bytes(30_000_000)))
            instance = OutboundInstance(
                sop_class_uid=CT,
                sop_instance_uid="1.2.3.4.5",
                transfer_syntax_uid=EXPLICIT,
                open=lambda: pieces,
            )
            outcomes.extend(send(script.call, [instance]))

        asking = threading.Thread(target=ask)
        asking.start()
        with script.taken() as peer:
            peer.send(associate_ac(EXPLICIT))
            assert peer.read()[0] == 4
            peer.send(ABORT)
        script.close()  # who calls again is refused
        asking.join(15)
        assert not asking.is_alive()
    assert [outcome.kept for outcome in outcomes] == [False]
