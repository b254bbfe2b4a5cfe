"""Puts several doors under one address, each below its prefix; decides nothing but which door a path belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.doors.http.guard import Guard
from gateway.doors.http.headers import secure


class House:
    """``doors`` maps a prefix («/p») to a finished door. «/» leads to ``front``; «/healthz» says that the process answers.

    A path that belongs to no door is answered by the front door, which says «not found» in the visitor's language.
    """

    def __init__(self, doors: Mapping[str, Guard], *, front: str) -> None:
        self._doors = dict(sorted(doors.items(), key=lambda item: -len(item[0])))
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = scope.get("path", "")
        if scope["type"] == "http" and path == "/healthz":
            await _bare(JSONResponse({"status": "ok"}), scope, receive, send)
        elif scope["type"] == "http" and path == "/" and Request(scope).method in {"GET", "HEAD"}:
            await _bare(RedirectResponse(f"{self._front}/", status_code=303), scope, receive, send)
        else:
            await self._door(path)(scope, receive, send)

    def _door(self, path: str) -> ASGIApp:
        for prefix, door in self._doors.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return door
        return self._doors[self._front]


async def _bare(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            secure(MutableHeaders(scope=message), nonce="none", https=False)
        await send(message)

    await response(scope, receive, guarded)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
