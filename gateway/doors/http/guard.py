"""The doorframe: what every request passes before a door sees it and every response before it leaves; no route of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.doors.http.config import DoorConfig
from gateway.doors.http.headers import secure
from gateway.doors.http.limits import DRAIN_BYTES, oversized, replayed, whole_body
from gateway.doors.http.origin import foreign_request
from gateway.doors.http.problems import Problem, Refused, plain

log = structlog.get_logger(__name__)
Respond = Callable[[Scope, Problem], Response]


class Guard:
    """Wraps one ASGI app.

    In this order: host, head caps, foreign origins, body cap; then the app. Whatever answers, the security headers are
    on it; whatever breaks, the visitor gets a problem document with an incident number and the log gets the same number
    with the kind and place of the fault, never its text (it may quote a patient's file name).

    ``programs`` is for a door that believes no cookie but a token in each request's own header: then no page can send a
    request in anybody's name, and multipart/related is taken.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: DoorConfig,
        respond: Respond,
        streams: tuple[str, ...] = (),
        programs: bool = False,
    ) -> None:
        self.app = app
        self.config = config
        self.respond = respond
        self.streams = streams
        self.programs = programs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        exchange = _Exchange(scope, receive, send, https=self.config.is_https)
        try:
            self._judge_head(scope, exchange.headers)
            if self.streams and scope["path"].startswith(self.streams):
                await self.app(scope, exchange.receive, exchange.send)
                return
            body = await whole_body(
                exchange.receive,
                exchange.headers,
                max_bytes=self.config.max_body_bytes,
                deadline_s=self.config.body_deadline_s,
            )
            scope["state"]["body"] = body
            await self.app(scope, replayed(body, exchange.receive), exchange.send)
        except Refused as refused:
            if not exchange.started:
                await self.respond(scope, refused.problem)(scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.started:
                note_fault(error)
                raise
            await self.respond(scope, fault(error))(scope, exchange.receive, exchange.send)

    def _judge_head(self, scope: Scope, headers: Headers) -> None:
        if headers.get("host", "").lower() not in self.config.hosts:
            raise Refused(plain(421))
        problem = oversized(
            scope,
            headers,
            max_header_bytes=self.config.max_header_bytes,
            max_query_bytes=self.config.max_query_bytes,
            multipart=self.programs,
        )
        if problem is None and not self.programs:
            problem = foreign_request(scope["method"], headers, origins=self.config.origins)
        if problem is not None:
            raise Refused(problem)


class _Exchange:
    """One request and its response: knows whether an answer has begun and whether the body was read to its end."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, https: bool) -> None:
        self.headers = Headers(scope=scope)
        self.started = False
        self._body_left = True
        self._receive, self._send, self._https = receive, send, https
        self._nonce = scope.setdefault("state", {})["nonce"] = secrets.token_urlsafe(16)

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_left = bool(message["type"] == "http.request" and message.get("more_body", False))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            out = MutableHeaders(scope=message)
            secure(out, nonce=self._nonce, https=self._https)
            if self._body_left and _is_long(self.headers):
                out["Connection"] = "close"
        await self._send(message)


def _is_long(headers: Headers) -> bool:
    if "transfer-encoding" in headers:
        return True
    length = headers.get("content-length", "0")
    return not length.isdigit() or int(length) > DRAIN_BYTES


def note_fault(error: BaseException) -> str:
    """Log the kind and the place of an unexpected error under a fresh incident number, and return the number."""
    incident = secrets.token_hex(4)
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_globals.get('__name__')}:{place.tb_lineno}" if place else "?"
    log.error("request_failed", incident=incident, kind=type(error).__name__, where=where)
    return incident


def fault(error: BaseException) -> Problem:
    """Return what a visitor is told of an unexpected error."""
    return plain(500, incident=note_fault(error))
