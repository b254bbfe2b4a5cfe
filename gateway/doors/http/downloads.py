"""Sends bytes that somebody may keep: always as an attachment under a harmless name (P19), resumable, read in a thread."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from gateway.domain.errors import ConsiliumError
from gateway.doors.http.headers import DOWNLOAD_POLICY
from gateway.doors.http.problems import Refused, plain
from gateway.doors.http.ranges import UnsatisfiableRangeError, wanted_range
from storage import StorageError

log = structlog.get_logger(__name__)

# start, length -> chunks. Called once per response, iterated in a thread, closed when the visitor goes away.
Source = Callable[[int, int], Iterator[bytes]]
_ATTR_CHARS = "!#$&+-.^_`|~"  # RFC 8187, section 3.2.1: what stands unescaped beside letters and digits
_UNFIT = set('<>:"/\\|?*;%')
MAX_NAME = 120


def harmless_name(name: str) -> str:
    """Return a file name without path, control and direction signs, leading dots or endless length."""
    kept = "".join(
        "_" if sign in _UNFIT else sign
        for sign in unicodedata.normalize("NFC", name)
        if unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    )
    kept = " ".join(kept.split()).strip(". ")
    if len(kept) > MAX_NAME:
        stem, dot, suffix = kept.rpartition(".")
        kept = (
            f"{stem[: MAX_NAME - len(suffix) - 1]}.{suffix}" if dot and len(suffix) <= 10 else kept[:MAX_NAME]
        )
    return kept or "file"


def attachment(name: str) -> str:
    """Return a Content-Disposition (RFC 6266) with an ASCII name for old browsers and the true one (RFC 8187)."""
    name = harmless_name(name)
    plain_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "file"
    return f"attachment; filename=\"{plain_name}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def download(
    request: Request,
    source: Source,
    *,
    size_bytes: int,
    etag: str,
    name: str,
    media_type: str = "application/octet-stream",
    modified_at: datetime | None = None,
) -> Response:
    """Answer a GET or HEAD for bytes that ``source`` can give from any place.

    ``etag`` is the strong validator without quotes (a digest); the same bytes must always have the same one. Nothing of
    ``source`` is called before the range is known, nor for HEAD.
    """
    tag = f'"{etag}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Content-Disposition": attachment(name),
        "Content-Security-Policy": DOWNLOAD_POLICY,
        "Cache-Control": "no-store, no-transform",
    }
    if modified_at is not None:
        headers["Last-Modified"] = format_datetime(modified_at, usegmt=True)
    try:
        part = wanted_range(
            request.headers.get("range"), size=size_bytes, etag=tag, if_range=request.headers.get("if-range")
        )
    except UnsatisfiableRangeError:
        raise Refused(plain(416, code="range", headers={"Content-Range": f"bytes */{size_bytes}"})) from None
    status = 200
    if part.partial:
        status = 206
        headers["Content-Range"] = part.content_range
    headers["Content-Length"] = str(part.length)
    if request.method == "HEAD":
        return Response(status_code=status, media_type=media_type, headers=headers)
    return _Download(
        in_thread(source(part.start, part.length)), status_code=status, media_type=media_type, headers=headers
    )


class _Download(StreamingResponse):
    """Breaks off where the bytes end early: the status is sent, so the visitor learns it from the length and asks for the rest."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except (StorageError, ConsiliumError) as error:
            log.warning("download_broken", error=type(error).__name__)


async def in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pull a blocking iterator chunk by chunk in the thread pool, and close it however the response ends."""
    try:
        while (chunk := await run_in_threadpool(next, chunks, None)) is not None:
            yield chunk
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
