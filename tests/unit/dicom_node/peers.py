"""Peers for the tests of the node: a receiver that keeps everything in memory, and a client that speaks raw PDUs."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from dicom_node.ae import Limits
from dicom_node.errors import AssociationOver
from dicom_node.node import DicomNode, Listening
from dicom_node.receiver import Admitted, Refused, StoreOutcome

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

CALLING, CALLED = "MODALITY", "CONSILIUM"


class KeepingReceiver:
    """Keeps complete data sets; `answer` and `raises` make it refuse or fail, `reads` how it reads."""

    def __init__(self, *, admitted=None, answer=None, raises=None, reads="all", read_bytes=65536):
        self.admitted = admitted or Admitted(may_store=True, may_echo=True)
        self.answer = answer
        self.raises = raises
        self.reads = reads
        self.read_bytes = read_bytes
        self.kept = []  # (ReceivedInstance, bytes)
        self.attempts = []
        self.ends = []
        self.refusals = []  # (AssociationAttempt, StoreOutcome) that the node decided by itself
        self.asked = []  # CommitmentRequest
        self.thrown_away = 0
        self.changed = threading.Condition()

    def admit(self, attempt):
        self.attempts.append(attempt)
        if isinstance(self.admitted, Exception):
            raise self.admitted
        if callable(self.admitted):
            return self.admitted(attempt)
        return self.admitted

    def receive(self, instance):
        if self.reads == "none":
            return self.answer or StoreOutcome(status=0)
        if self.reads == "some":
            instance.stream.read(10)
            if self.raises is not None:
                raise self.raises
            return self.answer or StoreOutcome(status=0)
        held = bytearray()
        try:
            if self.reads == "into":
                buffer = bytearray(self.read_bytes)
                while size := instance.stream.readinto(buffer):
                    held += buffer[:size]
            else:
                while piece := instance.stream.read(self.read_bytes):
                    held += piece
        except AssociationOver:
            self.thrown_away += 1
            raise
        if self.raises is not None:
            raise self.raises
        with self.changed:
            self.kept.append((instance, bytes(held)))
            self.changed.notify_all()
        return self.answer or StoreOutcome(status=0)

    def refused(self, attempt, outcome):
        self.refusals.append((attempt, outcome))

    def commit(self, request):
        self.asked.append(request)
        return StoreOutcome(status=0)

    def report_due(self, attempt):
        return None

    def reported(self, result_id, *, status, why=""):
        pass

    def ended(self, end):
        with self.changed:
            self.ends.append(end)
            self.changed.notify_all()

    def wait_for_end(self, count=1, timeout=5.0):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.ends) >= count, timeout), self.ends
            return self.ends[count - 1]


def only(calling=CALLING, called=CALLED):
    """The peer policy of a careful site."""

    def decide(attempt):
        if attempt.calling_ae != calling:
            return Refused(result=1, source=1, reason=3, why="unknown peer")
        if attempt.called_ae != called:
            return Refused(result=1, source=1, reason=7, why="not our AE title")
        return Admitted(may_store=True, may_echo=True)

    return decide


@contextlib.contextmanager
def running(receiver, *, tls=None, **limits):
    """A node on a free port; yields the port."""
    listening = Listening(host="127.0.0.1", port=0, tls=tls)
    node = DicomNode(receiver=receiver, listeners=[listening], limits=Limits(**limits))
    ((_, port),) = node.start()
    try:
        yield port
    finally:
        node.stop(timeout_s=3)


# --- bytes by hand, so that the code under test is not its own oracle ---------------------------------------------


def item(kind, body):
    return struct.pack(">BxH", kind, len(body)) + body


def pdu(kind, body):
    return struct.pack(">BxI", kind, len(body)) + body


def context(number, abstract, *transfers):
    inner = item(0x30, abstract.encode()) + b"".join(item(0x40, t.encode()) for t in transfers)
    return item(0x20, bytes([number, 0, 0, 0]) + inner)


def user_information(*extra, max_length=16384):
    inner = item(0x51, struct.pack(">I", max_length)) + item(0x52, b"1.2.3.4") + b"".join(extra)
    return item(0x50, inner)


def associate_rq(
    *contexts,
    calling=CALLING,
    called=CALLED,
    extra=(),
    max_length=16384,
    version=1,
    application="1.2.840.10008.3.1.1.1",
):
    contexts = contexts or (context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT))
    body = struct.pack(">HH", version, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += item(0x10, application.encode()) + b"".join(contexts)
    return pdu(0x01, body + user_information(*extra, max_length=max_length))


def pdv(number, control, data):
    return struct.pack(">IBB", len(data) + 2, number, control) + data


def p_data(number, control, data):
    return pdu(0x04, pdv(number, control, data))


def element(number, value):
    if isinstance(value, int):
        value = struct.pack("<H", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def command(**changes):
    values = {"0002": CT, "0100": 1, "0110": 7, "0700": 0, "0800": 1, "1000": "1.2.3.4.5"}
    values |= changes
    body = b"".join(element(int(k, 16), v) for k, v in sorted(values.items()) if v is not None)
    return element(0, struct.pack("<I", len(body))) + body


def echo_command(message_id=1):
    return command(
        **{"0002": VERIFICATION, "0100": 0x30, "0110": message_id, "0700": None, "0800": 0x0101, "1000": None}
    )


def explicit(tag, vr, value):
    value = value.encode() if isinstance(value, str) else value
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UT"):
        return head + struct.pack("<xxI", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def data_set(
    *, sop_class=CT, sop_instance="1.2.3.4.5", study="1.2.3", series="1.2.3.4", pixels=b"\1\2" * 500, **more
):
    """Explicit VR little endian, with a generated person."""
    parts = [
        explicit(0x00080005, "CS", "ISO_IR 100"),
        explicit(0x00080016, "UI", sop_class),
        explicit(0x00080018, "UI", sop_instance),
        explicit(0x00080060, "CS", "CT"),
        explicit(0x00100010, "PN", "Åkesson^Örjan".encode("latin-1")),
        explicit(0x00100020, "LO", "19121212-1212"),
        explicit(0x0020000D, "UI", study),
        explicit(0x0020000E, "UI", series),
        explicit(0x00200013, "IS", "4"),
        explicit(0x7FE00010, "OW", pixels),
    ]
    return b"".join(parts)


class RawPeer:
    """A TCP client that sends what it is told and reads whole PDUs."""

    def __init__(self, port, source=None):
        self.sock = socket.create_connection(
            ("127.0.0.1", port), timeout=10, source_address=(source, 0) if source else None
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def associate(self, *contexts, **how):
        self.send(associate_rq(*contexts, **how))
        return self.read()

    def _exactly(self, size):
        held = b""
        while len(held) < size:
            piece = self.sock.recv(size - len(held))
            if not piece:
                raise EOFError
            held += piece
        return held

    def read(self):
        """(type, body) of the next PDU, None when the connection ends instead."""
        try:
            kind, length = struct.unpack(">BxI", self._exactly(6))
            return kind, self._exactly(length)
        except (EOFError, ConnectionError):
            return None

    def response(self):
        """The elements of the next DIMSE response."""
        encoded = b""
        while True:
            kind, body = self.read()
            assert kind == 0x04, (kind, body)
            while body:
                size, _, control = struct.unpack_from(">IBB", body)
                encoded += body[6 : 4 + size]
                body = body[4 + size :]
            if control & 2:
                break
        found, at = {}, 0
        while at < len(encoded):
            _, number, length = struct.unpack_from("<HHI", encoded, at)
            found[number] = encoded[at + 8 : at + 8 + length]
            at += 8 + length
        return found

    def status(self):
        """(status, Error Comment) of the next DIMSE response."""
        found = self.response()
        return struct.unpack("<H", found[0x0900])[0], found.get(0x0902, b"").decode().strip()

    def store(self, data=None, *, number=1, step=16000, **changes):
        data = data_set() if data is None else data
        self.send(p_data(number, 3, command(**changes)))
        for at in range(0, len(data) or 1, step):
            self.send(p_data(number, 2 if at + step >= len(data) else 0, data[at : at + step]))
        return self.status()

    def echo(self, number=3):
        self.send(p_data(number, 3, echo_command()))
        return self.status()[0]

    def release(self):
        self.send(pdu(0x05, bytes(4)))
        return self.read()


def contexts_of(body):
    """{context: (result, transfer syntax)} of an A-ASSOCIATE-AC."""
    found, at = {}, 68
    while at < len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        if kind == 0x21:
            inner = body[at + 4 : at + 4 + length]
            found[inner[0]] = (inner[2], inner[8:].decode().strip("\0"))
        at += 4 + length
    return found


def timed_echo(port, source=None):
    """Seconds that a whole C-ECHO takes, from connection to answer."""
    started = time.monotonic()
    with RawPeer(port, source) as peer:
        assert peer.associate()[0] == 0x02
        assert peer.echo() == 0
    return time.monotonic() - started
