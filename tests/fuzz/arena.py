"""Where one mutated input meets our code, and the oracle that judges what comes of it.

Conversations run over a socket pair in the calling thread: the peer has said everything and closed its side before ours
begins to read, so nothing waits, and a hang is a defect. What waits for deadlines runs over TCP, in `lanes`.
"""

from __future__ import annotations

import contextlib
import io
import random
import signal
import socket
import struct
import tempfile
import time
import warnings
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Self

import structlog

import dicom_node.requestor
from dicom_node.ae import Limits
from dicom_node.errors import HeadError, NotDicomError
from dicom_node.head import read_head
from dicom_node.part10 import open_part10
from dicom_node.receiver import (
    Admitted,
    AssociationAttempt,
    AssociationEnd,
    CommitmentRequest,
    CommitmentResult,
    ReceivedInstance,
    Refused,
    StoreOutcome,
)
from dicom_node.requestor import Call
from dicom_node.scp import Association
from dicom_node.scu import OutboundInstance, echo, send
from dicom_node.tls import Identity, ServerTls, Trust
from dicom_node.tls_wire import TlsWire
from dicom_node.wire import Wire
from tests.fakes.certificates import Authority
from tests.fuzz.conversations import CANARY, data_sets
from tests.unit.dicom_node.peers import CT, EXPLICIT

LONGEST_S = 5  # of processor, for one conversation that never has to wait
HEAD_CAP_BYTES = 1 << 20
ENDINGS = ("released", "aborted", "lost", "refused", "timeout", "malformed")


class Finding(AssertionError):  # noqa: N818 - it is what the campaign finds
    """What must not be: the campaign prints it with the number that brings it back."""


class Hung(BaseException):
    """Raised into a conversation that does not end; a BaseException, so that nothing on its way swallows it."""


class PairSocket(socket.socket):
    """One end of a socket pair that takes the options of TCP without having them."""

    def setsockopt(self, level: int, *rest: Any) -> None:
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *rest)


def pair() -> tuple[PairSocket, socket.socket]:
    ours, theirs = socket.socketpair()
    return PairSocket(ours.family, ours.type, ours.proto, fileno=ours.detach()), theirs


def _hung(_number: int, frame: FrameType | None) -> NoReturn:
    raise Hung(f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "somewhere")


@contextlib.contextmanager
def deadline() -> Iterator[None]:
    """Make a conversation that goes round and round a finding; main thread only.

    Processor time is what is counted: a busy machine is no finding, and the wall clock's alarm belongs to pytest. One
    that waits, though its peer has gone, is seen by the time it took.
    """
    before = signal.signal(signal.SIGPROF, _hung)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    began = time.monotonic()
    try:
        yield
    except Hung as exc:
        raise Finding(f"does not end: {exc}") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    if time.monotonic() - began > 4 * LONGEST_S:
        raise Finding(f"took {time.monotonic() - began:.0f} s")


@dataclass(slots=True)
class Gate:
    """Limits of one association: none."""

    ends: list[AssociationEnd] = field(default_factory=list)
    stopping: bool = False
    established: bool = False

    def establish(self, association: Association, most: int | None) -> bool:
        self.established = True
        return True

    def leave(self, association: Association) -> None:
        pass

    def report(self, end: AssociationEnd) -> None:
        self.ends.append(end)


@dataclass(slots=True)
class Keeper:
    """Reads as `how` says and counts what it called kept."""

    how: str = "read"
    kept: list[tuple[str, bytes]] = field(default_factory=list)
    asked: CommitmentResult | None = None

    def admit(self, attempt: AssociationAttempt) -> Admitted | Refused:
        if attempt.calling_ae == "STRANGER":
            return Refused(result=1, source=1, reason=3, why="unknown peer")
        return Admitted(may_store=True, may_echo=True, may_commit=True)

    def receive(self, instance: ReceivedInstance) -> StoreOutcome:
        if self.how == "refuse":
            return StoreOutcome(status=0xA700, comment="store is full")
        if self.how == "raise":
            instance.stream.read(5)
            raise OSError(28, CANARY)
        held = bytearray()
        if self.how == "into":
            buffer = bytearray(997)
            while size := instance.stream.readinto(buffer):
                held += buffer[:size]
        else:
            while piece := instance.stream.read(1000):
                held += piece
        self.kept.append((instance.sop_instance_uid, bytes(held)))
        return StoreOutcome(status=0)

    def commit(self, request: CommitmentRequest) -> StoreOutcome:
        if len(set(request.references)) != len(request.references):
            raise Finding("a reference stands twice")
        self.asked = CommitmentResult(
            id="1",
            transaction_uid=request.transaction_uid,
            committed=tuple(request.references),
            failed=(),
        )
        return StoreOutcome(status=0)

    def report_due(self, attempt: AssociationAttempt) -> CommitmentResult | None:
        due, self.asked = self.asked, None
        return due

    def reported(self, result_id: str, *, status: int | None, why: str = "") -> None:
        _no_person_in(why)

    def refused(self, attempt: AssociationAttempt, outcome: StoreOutcome) -> None:
        _no_person_in(outcome.comment)

    def ended(self, end: AssociationEnd) -> None:
        pass


class Arena:
    """Runs inputs; every method raises `Finding`, or what escaped; a warning counts, for it would quote the peer."""

    def __init__(self) -> None:
        self.logged: list[MutableMapping[str, Any]] = []

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        authority = Authority(Path(self._folder.name))
        own = authority.issue("node", sans=("localhost",))
        trust = Trust(
            version="1",
            identity=Identity(certificate=own.cert_path, key=own.key_path),
            authorities_pem=authority.pem,
        )
        self._tls = ServerTls(_Trusting(trust))
        self._configured = structlog.get_config()
        self._warnings = warnings.catch_warnings(action="error")
        self._warnings.__enter__()
        structlog.configure(processors=[self._hear], cache_logger_on_first_use=False)
        return self

    def __exit__(self, *_: object) -> None:
        structlog.configure(**self._configured)
        self._warnings.__exit__()
        self._folder.cleanup()

    def _hear(self, _logger: Any, _name: str, line: MutableMapping[str, Any]) -> NoReturn:
        self.logged.append(line)
        raise structlog.DropEvent

    def accept(
        self, pieces: Sequence[bytes], chance: random.Random, *, limits: Limits | None = None
    ) -> Keeper:
        """Our acceptor against a requestor that says `pieces`."""
        keeper = Keeper(how=chance.choice(("read", "read", "into", "refuse", "raise")))
        gate = Gate()
        ours, theirs = pair()
        with theirs, deadline():
            _say(theirs, pieces)
            association = Association(
                Wire(ours),
                address="127.0.0.2",
                port=104,
                receiver=keeper,
                gate=gate,
                limits=limits or Limits(),
            )
            association.run()
            said = _heard(theirs)
        expected = {"receiver_failed"} if keeper.how == "raise" else set()
        self._nothing_is_left(expected)
        if len(gate.ends) != 1 or gate.ends[0].how not in ENDINGS:
            raise Finding(f"told {len(gate.ends)} ends")
        _no_person_in(gate.ends[0].why)
        _speaks_dicom(said, kept=len(keeper.kept), end=gate.ends[0])
        return keeper

    def shake_hands(self, pieces: Sequence[bytes]) -> None:
        """Our TLS listener against a client whose first flight is `pieces`: nobody comes in without a certificate."""
        keeper, gate = Keeper(), Gate()
        ours, theirs = pair()
        with theirs, deadline():
            _say(theirs, pieces)
            wire = TlsWire(ours, self._tls)
            association = Association(
                wire, address="127.0.0.2", port=2762, receiver=keeper, gate=gate, limits=Limits()
            )
            association.run()
            _heard(theirs)
        self._nothing_is_left(set())
        if len(gate.ends) != 1 or gate.ends[0].how not in ENDINGS or gate.ends[0].how == "released":
            raise Finding(f"told {[end.how for end in gate.ends]}")
        if keeper.kept or gate.established:
            raise Finding("somebody came in without a certificate")
        _no_person_in(gate.ends[0].why)

    def request(self, pieces: Sequence[bytes], chance: random.Random) -> None:
        """Our requestor against an acceptor that answers `pieces`, whatever it is asked."""
        call = Call(
            host="peer", port=104, called_ae="PACS", calling_ae="CONSILIUM", timeout_s=1, response_timeout_s=1
        )
        opened: list[socket.socket] = []

        def connect(*_: object, **__: object) -> PairSocket:
            ours, theirs = pair()
            opened.append(theirs)
            _say(theirs, pieces)
            return ours

        real, dicom_node.requestor.dial = dicom_node.requestor.dial, connect
        try:
            with deadline():
                if chance.random() < 0.5:
                    found = echo(call)
                    told = found.why
                else:
                    outcomes = list(send(call, [_outbound(), _outbound()]))
                    if len(outcomes) != 2:
                        raise Finding(f"{len(outcomes)} outcomes for two objects")
                    told = " ".join(outcome.why for outcome in outcomes)
        finally:
            dicom_node.requestor.dial = real
            for theirs in opened:
                theirs.close()
        if len(opened) > 4:
            raise Finding(f"{len(opened)} connections for two objects")
        _no_person_in(told)
        self._nothing_is_left(set())

    def head(self, content: bytes, syntax: str) -> None:
        """The reader of first attributes: gives back what it took, or says why not."""
        stream = _Counting(content)
        with deadline():
            try:
                head, taken = read_head(stream, syntax)
            except HeadError as exc:
                _no_person_in(str(exc))
            else:
                if taken != content[: len(taken)]:
                    raise Finding("what was taken is not what was there")
                _no_person_in(repr(head))
        if stream.given > HEAD_CAP_BYTES + 65536:
            raise Finding(f"took {stream.given} bytes")
        self._nothing_is_left(set())

    def file(self, content: bytes) -> None:
        """The reader of Part 10 files."""
        with deadline():
            try:
                _, stream = open_part10(io.BytesIO(content))
                while stream.read(65536):
                    pass
            except NotDicomError as exc:
                _no_person_in(str(exc))
        self._nothing_is_left(set())

    def _nothing_is_left(self, expected: set[str]) -> None:
        logged = [line for line in self.logged if line["event"] not in expected]
        for line in self.logged:
            _no_person_in(repr(line))
        self.logged.clear()
        if logged:
            raise Finding(f"logged {logged[0]}")


class _Trusting:
    def __init__(self, trust: Trust) -> None:
        self._trust = trust

    def trust(self) -> Trust:
        return self._trust


class _Counting(io.BytesIO):
    given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.given += len(piece)
        return piece


def _outbound() -> OutboundInstance:
    return OutboundInstance(
        sop_class_uid=CT,
        sop_instance_uid="1.2.3.4.5",
        transfer_syntax_uid=EXPLICIT,
        open=lambda: io.BytesIO(data_sets()[0][1]),
    )


def _say(sock: socket.socket, pieces: Sequence[bytes]) -> None:
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        sock.sendall(b"".join(pieces))
    sock.shutdown(socket.SHUT_WR)


def _heard(sock: socket.socket) -> bytes:
    said = b""
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while piece := sock.recv(65536):
            said += piece
    return said


def _no_person_in(text: str) -> None:
    if CANARY in text or "19121212" in text:
        raise Finding(f"a person stands in what was told: {text[:80]!r}")


def _speaks_dicom(said: bytes, *, kept: int, end: AssociationEnd) -> None:
    """What the acceptor said is PDUs in an order that PS3.8 allows, and calls kept exactly what was kept."""
    kinds, successes, at, answer = [], 0, 0, b""
    while at < len(said):
        if len(said) - at < 6:
            raise Finding("ends inside a PDU")
        kind, length = struct.unpack_from(">BxI", said, at)
        body = said[at + 6 : at + 6 + length]
        if len(body) != length:
            raise Finding("ends inside a PDU")
        at += 6 + length
        kinds.append(kind)
        if kind == 4:
            answer += body[6:]
            if body[5] & 2:
                successes += _is_stored(answer)
                answer = b""
    order = bytes(kinds)
    stripped = order.lstrip(b"\2") if order[:1] == b"\2" else order
    body_kinds = stripped.replace(b"\4", b"") if order[:1] == b"\2" else stripped
    if body_kinds not in {b"", b"\3", b"\6", b"\7", b"\3\7", b"\6\7"} or order.count(b"\2") > 1:
        raise Finding(f"says PDUs {order.hex()}")
    if successes != kept or end.instances_kept != kept:
        raise Finding(f"{kept} kept, {successes} answered, {end.instances_kept} told")


def _is_stored(encoded: bytes) -> bool:
    """Whether a response is C-STORE's and a success; with an Error Comment that fits (PS3.7 C.4: LO, 64 characters)."""
    found, at = {}, 0
    while at < len(encoded):
        group, number, length = struct.unpack_from("<HHI", encoded, at)
        found[number] = encoded[at + 8 : at + 8 + length]
        at += 8 + length
        if group:
            raise Finding("a response with elements outside group 0000")
    if len(found.get(0x0902, b"")) > 64:
        raise Finding("an Error Comment of more than 64 characters")
    status = struct.unpack("<H", found[0x0900])[0]
    return found[0x0100] == b"\1\x80" and status == 0
