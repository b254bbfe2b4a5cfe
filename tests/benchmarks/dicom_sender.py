"""A sender that costs almost nothing: PDUs made beforehand, one process per association, every answer timed; it judges nothing.

Run as ``python -m tests.benchmarks.dicom_sender`` with a JSON order on standard input; prints one JSON value. It imports
neither pydicom nor pynetdicom, so that what it measures is the server.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.dicom_part10 import (
    CT,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    command,
    huge_head,
    split_part10,
)

_MAX_PDU = 131072
_VERIFICATION = "1.2.840.10008.1.1"
_STORE_RQ = 0x0001


class Conversation:
    """One association as its requestor, without any patience for surprises: whatever is unexpected raises."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._socket = socket.create_connection((order["host"], order["port"]), timeout=120)
        if order.get("nodelay", True):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_associate_rq(order["calling"], order["called"]))
        kind, body = self._pdu()
        if kind != 0x02:
            raise RuntimeError(f"no association: PDU type {kind} {body[:4].hex()}")
        self.max_pdu = _max_pdu(body) or _MAX_PDU

    def built(self, uid: str, data_set: memoryview, message_id: int) -> bytes:
        """Return everything that one C-STORE sends."""
        step = min(self.max_pdu, _MAX_PDU) - 6
        pieces = [_p_data(1, 3, _store_rq(uid, message_id))]
        for at in range(0, len(data_set), step):
            last = at + step >= len(data_set)
            piece = data_set[at : at + step]
            pieces += [_p_data_header(1, 2 if last else 0, len(piece)), piece]
        return b"".join(pieces)

    def ask(self, message: bytes) -> int:
        """Send one message and return the status of the answer."""
        self._socket.sendall(message)
        return self.status()

    def send(self, data: bytes | memoryview) -> None:
        """Send a part of a message."""
        self._socket.sendall(data)

    def status(self) -> int:
        """Wait for the answer: a command set, in one or more PDUs."""
        answer = b""
        while True:
            kind, body = self._pdu()
            if kind != 0x04:
                raise RuntimeError(f"no answer: PDU type {kind} {body[:4].hex()}")
            at = 0
            while at < len(body):
                (length,) = struct.unpack_from(">I", body, at)
                control = body[at + 5]
                answer += body[at + 6 : at + 4 + length]
                at += 4 + length
            if control & 2:
                break
        at = 0
        while at < len(answer):
            group_element, length = struct.unpack_from("<II", answer, at)
            if group_element == 0x09000000:  # (0000,0900)
                return int(struct.unpack_from("<H", answer, at + 8)[0])
            at += 8 + length
        raise RuntimeError("an answer without a status")

    def release(self) -> None:
        """A-RELEASE and the end."""
        self._socket.sendall(struct.pack(">BxI4x", 0x05, 4))
        self._pdu()
        self._socket.close()

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._socket.recv(size)
            if not piece:
                raise RuntimeError("the server closed the connection")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _p_data_header(context_id: int, control: int, size: int) -> bytes:
    return struct.pack(">BxIIBB", 0x04, size + 6, size + 2, context_id, control)


def _p_data(context_id: int, control: int, fragment: bytes) -> bytes:
    return _p_data_header(context_id, control, len(fragment)) + fragment


def _store_rq(uid: str, message_id: int) -> bytes:
    return command({0x0002: CT, 0x0100: _STORE_RQ, 0x0110: message_id, 0x0700: 0, 0x0800: 1, 0x1000: uid})


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _associate_rq(calling: str, called: str) -> bytes:
    def context(number: int, abstract: str, transfer: str) -> bytes:
        return _item(
            0x20,
            struct.pack(">Bxxx", number) + _item(0x30, abstract.encode()) + _item(0x40, transfer.encode()),
        )

    user = _item(0x51, struct.pack(">I", _MAX_PDU)) + _item(0x52, b"2.25.1") + _item(0x55, b"BENCH")
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    body += context(1, CT, EXPLICIT_LITTLE) + context(3, _VERIFICATION, IMPLICIT_LITTLE) + _item(0x50, user)
    return struct.pack(">BxI", 0x01, len(body)) + body


def _max_pdu(accept: bytes) -> int:
    """Find the maximum length sub-item in the body of an A-ASSOCIATE-AC."""
    at = 68
    while at < len(accept):
        kind, length = struct.unpack_from(">BxH", accept, at)
        at += 4
        if kind == 0x50:
            end = at + length
            while at < end:
                kind, length = struct.unpack_from(">BxH", accept, at)
                if kind == 0x51:
                    return int(struct.unpack_from(">I", accept, at + 4)[0])
                at += 4 + length
        else:
            at += length
    return 0


def _converse(order: dict[str, Any], folder: str, ready: int, go: int) -> dict[str, Any]:
    """One association: build everything, wait for the others, send, note when."""
    talk = Conversation(order)
    messages = []
    for number, path in enumerate(sorted(Path(folder).iterdir()), start=1):
        uid, data_set = split_part10(path.read_bytes())
        messages.append(talk.built(uid, data_set, number))
    gc.disable()
    os.write(ready, b".")
    os.read(go, 1)  # ends when the parent closes it
    times, statuses = [], []
    for message in messages:
        began_s = time.perf_counter()
        statuses.append(talk.ask(message))
        times.append((began_s, time.perf_counter()))
    talk.release()
    return {"times": times, "statuses": statuses}


def send_all(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one process per folder; all begin to send at one moment."""
    ready_r, ready_w = os.pipe()
    go_r, go_w = os.pipe()
    results = []
    for folder in order["folders"]:
        result_r, result_w = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(go_w)
            os.close(result_r)
            code = 1
            try:
                told = json.dumps(_converse(order, folder, ready_w, go_r)).encode()
                with os.fdopen(result_w, "wb") as out:
                    out.write(told)
                code = 0
            except Exception as error:  # a child says on one line what stopped it
                print(f"sender: {error}", file=sys.stderr)
                os.write(ready_w, b"!")
            finally:
                os._exit(code)
        os.close(result_w)
        results.append((pid, result_r))
    for _ in results:
        os.read(ready_r, 1)
    os.close(go_w)
    answers = []
    for pid, result_r in results:
        with os.fdopen(result_r, "rb") as told:
            content = told.read()
        os.waitpid(pid, 0)
        if not content:
            raise SystemExit("an association failed")
        answers.append(json.loads(content))
    return answers


def send_huge(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Send one object of ``huge_bytes``, made while it is sent."""
    talk = Conversation(order)
    uid, data_set = split_part10(Path(order["folders"][0]).read_bytes())
    head = huge_head(data_set, order["huge_bytes"])
    step = min(talk.max_pdu, _MAX_PDU) - 6
    left = min(order["huge_bytes"], 0xFFFFFFFE)
    noise = os.urandom(step)
    began_s = time.perf_counter()
    talk.send(_p_data(1, 3, _store_rq(uid, 1)) + _p_data(1, 0, head))
    whole = _p_data(1, 0, noise)
    while left > step:
        talk.send(whole)
        left -= step
    talk.send(_p_data(1, 2, noise[:left]))
    status = talk.status()
    times = [(began_s, time.perf_counter())]
    talk.release()
    return [{"times": times, "statuses": [status]}]


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(send_huge(given) if "huge_bytes" in given else send_all(given), sys.stdout)
