"""How much a visitor may send before anything is done with it: header, query and body caps, and a patience for slow ones."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from gateway.doors.http.problems import N_, Problem, Refused, plain

# A refused body up to this size is read and thrown away, so that the visitor's browser gets to see the answer.
DRAIN_BYTES = 8 * 1024 * 1024


def oversized(
    scope: Scope, headers: Headers, *, max_header_bytes: int, max_query_bytes: int, multipart: bool = False
) -> Problem | None:
    """Refuse by what stands in the head of the request alone, before one byte of the body is read (F13, F16).

    ``multipart`` lets multipart/related pass, for a door that reads it itself, part by part.
    """
    if len(scope["query_string"]) + len(scope["path"]) > max_query_bytes:
        return plain(414)
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > max_header_bytes:
        return plain(431)
    if headers.get("content-encoding", "identity").lower() != "identity":
        return plain(415, detail=N_("Compressed requests are not taken."))
    kind = headers.get("content-type", "").lower()
    if kind.startswith("multipart/") and not (multipart and kind.startswith("multipart/related")):
        return plain(415, detail=N_("Multipart forms are not taken."))
    if "x-http-method-override" in headers:
        return plain(400, detail=N_("The method of a request cannot be overridden."))
    lengths = headers.getlist("content-length")
    if len(lengths) > 1 or (
        lengths and not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) <= 15)
    ):
        return plain(400)
    return None


async def whole_body(receive: Receive, headers: Headers, *, max_bytes: int, deadline_s: float) -> bytes:
    """Read a capped body; raises `Refused` with 413 when it is longer, 408 when it does not come."""
    declared = int(headers.get("content-length", "0"))
    if declared > max_bytes:
        raise Refused(plain(413, limit_bytes=max_bytes))
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Refused(plain(400))
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise Refused(plain(413, limit_bytes=max_bytes))
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refused(plain(408)) from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body that was already read, then waits for the real disconnect."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
