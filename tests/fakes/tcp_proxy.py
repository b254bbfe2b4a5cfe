"""A proxy on loopback that breaks what passes it, at a chosen byte of a chosen HTTP request; it changes no byte that it hands on."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

RESET = struct.pack("ii", 1, 0)
Harm = Literal["reset", "silent", "lost", "cut", "status"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to requests whose first line holds `on`, so many `times`, after letting `skip` of them pass.

    reset: the connection is reset after `at` bytes of the request's body · silent: from there on nothing moves, and nothing
    ends · lost: the server gets all of it, and the answer is dropped · cut: the answer ends after `at` bytes · status: the
    server gets nothing, and the client `status` · each after `wait_s`.
    """

    harm: Harm | None
    on: str = ""
    at: int = 0
    times: int = 1
    skip: int = 0
    status: int = 503
    wait_s: float = 0.0


class TcpProxy:
    """Stands before a port of this computer; `faults` may be changed at any time."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_dark = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()

    def darken(self) -> None:
        """Reset every connection, and each new one at once, until `lighten`: the server is gone."""
        self._is_dark = True
        self._reset_all()

    def lighten(self) -> None:
        self._is_dark = False

    def count(self, start: str) -> int:
        """How many requests began with these words."""
        return sum(line.startswith(start) for line in self.seen)

    def _reset_all(self) -> None:
        with self._lock:
            open_ones, self._open = self._open, []
        for one in open_ones:
            _reset(one)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_dark:
                _reset(client)
                continue
            server = socket.create_connection(("127.0.0.1", self._behind))
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=_Pair(self, client, server).run, daemon=True).start()

    def fault_of(self, line: str) -> Fault | None:
        with self._lock:
            self.seen.append(line)
            for fault in self.faults:
                if fault.on in line and fault.times > 0:
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None


class _Pair:
    """One connection of a client, and its continuation to the server."""

    def __init__(self, proxy: TcpProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._fault: Fault | None = None
        self._left_bytes = 0

    def run(self) -> None:
        threading.Thread(target=self._answers, daemon=True).start()
        rest = b""
        try:
            while True:
                while b"\r\n\r\n" not in rest:
                    if not (more := self._client.recv(65536)):
                        return
                    rest += more
                rest = self._request(rest)
        except (OSError, EOFError):
            return
        finally:
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_WR)

    def _request(self, rest: bytes) -> bytes:
        """Hand one request on, or do it harm; return what came after it."""
        end = rest.index(b"\r\n\r\n") + 4
        head, rest = rest[:end], rest[end:]
        line = head.split(b"\r\n", 1)[0].decode()
        lengths = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        fault = self._fault = self._proxy.fault_of(line)
        self._left_bytes = fault.at if fault else 0
        if fault:
            time.sleep(fault.wait_s)
        harm = fault.harm if fault else None
        limit = fault.at if fault and harm in {"reset", "silent"} else length + 1
        if limit == 0:
            self._harm(harm)  # the server gets nothing at all
        forward = harm != "status"
        if forward:
            self._server.sendall(head)
        done = 0
        while True:
            piece, rest = rest[: length - done], rest[length - done :]
            if done + len(piece) >= limit:
                self._server.sendall(piece[: limit - done])
                self._harm(harm)
            if piece and forward:
                self._server.sendall(piece)
            done += len(piece)
            if done == length:
                break
            if not (rest := self._client.recv(65536)):
                raise EOFError
        if fault and harm == "status":
            self._client.sendall(f"HTTP/1.1 {fault.status} No\r\nContent-Length: 0\r\n\r\n".encode())
        return rest

    def _harm(self, harm: str | None) -> None:
        if harm == "reset":
            _reset(self._client)
            _reset(self._server)
            raise EOFError
        while self._client.recv(65536):  # silent: takes what comes, and says nothing
            pass
        raise EOFError

    def _answers(self) -> None:
        with suppress(OSError):
            while piece := self._server.recv(65536):
                harm = self._fault.harm if self._fault else None
                if harm == "silent":
                    continue
                if harm == "lost" or (harm == "cut" and len(piece) >= self._left_bytes):
                    if harm == "cut":
                        self._client.sendall(piece[: self._left_bytes])
                        self._client.shutdown(socket.SHUT_RDWR)
                    _reset(self._client)
                    _reset(self._server)
                    return
                self._left_bytes -= len(piece)
                self._client.sendall(piece)
            self._client.shutdown(socket.SHUT_WR)


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    with suppress(OSError):
        one.shutdown(socket.SHUT_RD)  # wakes a thread that waits in recv
    one.close()
