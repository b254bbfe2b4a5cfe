"""Resumable upload: tus 1.0.0 with creation, termination, checksum and expiration; no concatenation, no deferred length.

The order of every request (F12): version, session, headers, the writer's turn, the upload and its offset; only then is
a byte of the body read. Each part is durable before the offset that is answered counts it.
"""

from __future__ import annotations

import hashlib
from email.utils import format_datetime
from typing import Annotated

from fastapi import Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from gateway.doors.http import Door, Refused, plain
from gateway.doors.patient import signed_in as sessions
from gateway.doors.patient import tus_headers as head
from gateway.doors.patient.service import PatientService, UploadState
from gateway.doors.patient.signed_in import Visitor
from gateway.doors.patient.tus_body import Pace, PartedBody
from gateway.doors.patient.writers import Turn, Writers

UploadId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{22,64}$")]


class Tus:
    """The routes below ``/files``."""

    def __init__(
        self, door: Door, service: PatientService, *, max_file_bytes: int, pace: Pace, writers: Writers
    ) -> None:
        self.door, self.service = door, service
        self.max_file_bytes, self.pace, self.writers = max_file_bytes, pace, writers
        self.files = f"{door.config.prefix}/files"
        door.routes.add_api_route("/files/", self.options, methods=["OPTIONS"])
        door.routes.add_api_route(
            "/files/{upload_id}", self.options, methods=["OPTIONS"], include_in_schema=False
        )
        for method, path, call in (
            ("POST", "/files/", self.create),
            ("HEAD", "/files/{upload_id}", self.how_far),
            ("PATCH", "/files/{upload_id}", self.append),
            ("DELETE", "/files/{upload_id}", self.abandon),
        ):
            door.routes.add_api_route(path, call, methods=[method])

    def options(self) -> Response:
        """Say what is spoken here (core protocol, OPTIONS); the only call without a session."""
        return _answer(
            204,
            {
                "Tus-Version": head.VERSION,
                "Tus-Extension": head.EXTENSIONS,
                "Tus-Max-Size": str(self.max_file_bytes),
                "Tus-Checksum-Algorithm": head.CHECKSUM_ALGORITHMS,
            },
        )

    def create(self, request: Request) -> Response:
        """Reserve room for one file (creation extension)."""
        who = self._who(request)
        wanted = head.announced(request.headers)
        if wanted.size_bytes > self.max_file_bytes:
            raise Refused(plain(413, limit_bytes=self.max_file_bytes))
        state = self.service.create_upload(
            who.session_id,
            name=wanted.name,
            size_bytes=wanted.size_bytes,
            category=wanted.category,
            media_type=wanted.media_type,
            address=who.address,
        )
        return _answer(201, {"Location": f"{self.files}/{state.id}", **_expiry(state)})

    def how_far(self, request: Request, upload_id: UploadId) -> Response:
        """Tell the durable offset."""
        who = self._who(request)
        state = self.service.upload(who.session_id, upload_id, address=who.address)
        kept = head.as_metadata(name=state.name, category=state.category, media_type=state.media_type)
        lengths = {"Upload-Offset": str(state.offset), "Upload-Length": str(state.size_bytes)}
        return _answer(200, {**lengths, "Upload-Metadata": kept, **_expiry(state)})

    async def append(self, request: Request, upload_id: UploadId) -> Response:
        """Take bytes from exactly the offset on; the last one makes the file a document."""
        who = await run_in_threadpool(self._who, request)
        offset = head.number(request.headers, "Upload-Offset")
        digest = head.checksum(request.headers)
        length = _body_length(request)
        if digest is not None and length > self.pace.part_bytes:
            raise Refused(plain(413, code="checksum_part", limit_bytes=self.pace.part_bytes))
        async with self.writers.turn(upload_id) as turn:
            state = await run_in_threadpool(
                self.service.upload, who.session_id, upload_id, address=who.address
            )
            if offset != state.offset:
                raise Refused(plain(409, code="offset", headers={"Upload-Offset": str(state.offset)}))
            if length > state.size_bytes - offset:
                raise Refused(plain(413, code="remainder", limit_bytes=state.size_bytes - offset))
            offset = await self._take(request, state, who, turn, length=length, digest=digest)
            if offset == state.size_bytes:
                await run_in_threadpool(
                    self.service.finish_upload, who.session_id, upload_id, address=who.address
                )
        return _answer(204, {"Upload-Offset": str(offset), **_expiry(state)})

    async def abandon(self, request: Request, upload_id: UploadId) -> Response:
        """Drop an unfinished file (termination extension)."""
        who = await run_in_threadpool(self._who, request)
        async with self.writers.turn(upload_id):
            await run_in_threadpool(
                self.service.abandon_upload, who.session_id, upload_id, address=who.address
            )
        return _answer(204, {})

    async def _take(
        self,
        request: Request,
        state: UploadState,
        who: Visitor,
        turn: Turn,
        *,
        length: int,
        digest: bytes | None,
    ) -> int:
        offset = state.offset
        body = PartedBody(request.receive, length=length, pace=self.pace, turn=turn)
        async for part in body:
            if digest is not None:
                if len(part) != length:
                    break
                if await run_in_threadpool(_sha256, part) != digest:
                    raise Refused(plain(460))
            offset = await run_in_threadpool(
                self.service.append, who.session_id, state.id, offset=offset, chunk=part, address=who.address
            )
            turn.moved()
        if body.broken is not None:
            raise Refused(body.broken)
        return offset

    def _who(self, request: Request) -> Visitor:
        head.need_version(request.headers)
        return sessions.visitor(self.door, self.service, request)


def _body_length(request: Request) -> int:
    if request.headers.get("content-type") != head.PATCH_TYPE:
        raise Refused(plain(415, headers={"Accept-Patch": head.PATCH_TYPE}))
    if "content-length" not in request.headers or "transfer-encoding" in request.headers:
        raise Refused(plain(411))
    return head.number(request.headers, "Content-Length")


def _sha256(part: bytes) -> bytes:
    return hashlib.sha256(part).digest()


def _expiry(state: UploadState) -> dict[str, str]:
    return {"Upload-Expires": format_datetime(state.expires_at, usegmt=True)}


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": head.VERSION, **headers})
