"""How uvicorn is run for the doors: strict HTTP/1.1, no access log, no forwarded headers, patience with an end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_DEADLINE_S = 15.0


class HastyH11Protocol(H11Protocol):
    """h11, and a visitor who sends without finishing a request head for `HEAD_DEADLINE_S` is cut off (slowloris).

    uvicorn itself only times connections that are silent after an answer. The body has its own deadlines, in
    `limits.whole_body` and in the handlers that stream.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        # asyncio does this only for sockets that were made with the protocol's number; without it every answer on a
        # kept connection waits some 40 ms for the visitor's delayed acknowledgement (measured).
        line = transport.get_extra_info("socket")
        if line is not None and line.family in {socket.AF_INET, socket.AF_INET6}:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._time_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._at_work():
            self._stop_timer()
        elif self._head_timer is None:
            self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _at_work(self) -> bool:
        cycle = vars(self)["cycle"]
        return cycle is not None and not cycle.response_complete

    def _time_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_DEADLINE_S, self._cut_off)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut_off(self) -> None:
        self._head_timer = None
        if not self._at_work() and not self.transport.is_closing():
            self.transport.close()


def server_options(*, max_connections: int = 512) -> dict[str, Any]:
    """Return the arguments for `uvicorn.Config` beside the app and the socket.

    - ``proxy_headers`` off: `addresses.visitor_address` alone reads them, from configured proxies alone (P20).
    - ``access_log`` off: the audit is the record, and addresses of visitors belong in no other log (P2).
    - h11 rather than httptools: it refuses what smuggling lives on (F14) and caps the request head.
    """
    return {
        "http": HastyH11Protocol,
        "ws": "none",
        "lifespan": "off",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        "limit_concurrency": max_connections,
        "timeout_keep_alive": 20,
        "timeout_graceful_shutdown": 20,
        "backlog": 512,
        "h11_max_incomplete_event_size": 32 * 1024,
    }


def server(app: Any, *, host: str, port: int, **more: Any) -> uvicorn.Server:
    """Return a server that is ready to ``run(sockets=[…])`` in this process."""
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, **server_options(), **more))
