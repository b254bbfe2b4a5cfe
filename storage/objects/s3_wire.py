"""The requests that the store makes of one bucket, each once, by the minio client; what they mean is decided elsewhere.

The client's conditional and multipart requests are private methods of it; they are used in this module alone.

References
----------
Amazon S3 API Reference, version 2006-03-01; RFC 9110, sections 13.1.2 (If-None-Match) and 14 (ranges).
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from xml.etree.ElementTree import Element, SubElement, tostring

import urllib3
from minio import Minio

from storage.objects.s3_address import S3Address, S3Credentials
from storage.objects.s3_errors import FOREIGN, S3RefusalError, refusal_of

PART_BYTES = 16 << 20
SLICE_BYTES = 1 << 16
CONNECTIONS = 32
TICKET = "x-amz-meta-ticket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server may take, in seconds: to be reached or to take a slice, to say something, to move one part."""

    connect_s: float = 5.0
    answer_s: float = 20.0
    part_s: float = 120.0


class Parcel(bytearray):
    """The bytes of one request, handed out in slices: so the time-out counts for each slice, not for the whole."""

    def __init__(self) -> None:
        super().__init__()
        self._at, self._ends = 0, 0.0

    def rewind(self, *, within_s: float) -> "Parcel":
        self._at, self._ends = 0, time.monotonic() + within_s
        return self

    def read(self, size: int = SLICE_BYTES) -> memoryview:
        if time.monotonic() > self._ends:
            raise TimeoutError("a part takes too long")
        begin, self._at = self._at, min(self._at + max(size, SLICE_BYTES), len(self))
        return memoryview(self)[begin : self._at]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the server says of an object; `ticket` names the call that published it."""

    size_bytes: int
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """An upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    begun_at: datetime


class Wire:
    """One bucket, for many threads; each process has a client of its own, for its connections cannot be shared by fork."""

    def __init__(self, address: S3Address, credentials: S3Credentials, patience: Patience) -> None:
        self.address = address
        self._credentials = credentials
        self._patience = patience
        self._tls = address.tls() if address.secure else None
        self._clients: dict[int, Minio] = {}

    def put(self, key: str, body: Parcel, *, ticket: str, only_new: bool = True) -> None:
        """Write an object in one request; with `only_new` a server that knows conditions refuses a taken key."""
        headers = {TICKET: ticket, "Content-Type": "application/octet-stream"}
        with _refusals():
            self._send("PUT", key, body=body, headers=_only_new(headers, only_new))

    def head(self, key: str) -> Head | None:
        """Return what is under a key, or None. A missing bucket looks the same: a HEAD has no body to tell by."""
        try:
            with _refusals():
                found = self._client().stat_object(self.address.bucket, key)
        except S3RefusalError as refusal:
            if refusal.kind == "missing":
                return None
            raise
        headers = found.metadata or {}
        return Head(size_bytes=found.size or 0, ticket=str(headers.get(TICKET, "")))

    def get(self, key: str, offset: int, length: int) -> tuple[memoryview, int]:
        """Read at most `length` bytes; return them with the length of the whole object."""
        with _refusals():
            ends = time.monotonic() + self._patience.part_s
            answer = self._client().get_object(self.address.bucket, key, offset=offset, length=length)
            try:
                return _read_range(answer, offset, length, ends)
            except BaseException:
                answer.close()  # what is left of it must not be the next answer on this connection
                raise
            finally:
                answer.release_conn()

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already."""
        try:
            with _refusals():
                self._client().remove_object(self.address.bucket, key)
        except S3RefusalError as refusal:
            if refusal.kind != "missing":
                raise

    def begin(self, key: str, *, ticket: str) -> str:
        """Begin an upload in parts; return its id."""
        with _refusals():
            headers: dict[str, Any] = {TICKET: ticket}
            return cast("str", self._client()._create_multipart_upload(self.address.bucket, key, headers))  # noqa: SLF001

    def put_part(self, key: str, upload_id: str, number: int, body: Parcel) -> str:
        """Send one part, counted from 1; return its tag."""
        with _refusals():
            query = {"partNumber": str(number), "uploadId": upload_id}
            return str(self._send("PUT", key, body=body, query=query).headers.get("etag", "")).strip('"')

    def complete(self, key: str, upload_id: str, tags: Sequence[str], *, only_new: bool = True) -> None:
        """Make one object of the parts. An error may come with status 200: look at the object afterwards."""
        whole = Element("CompleteMultipartUpload")
        for number, tag in enumerate(tags, start=1):
            part = SubElement(whole, "Part")
            SubElement(part, "PartNumber").text = str(number)
            SubElement(part, "ETag").text = f'"{tag}"'
        body = Parcel()
        body += tostring(whole)
        with _refusals():
            headers = _only_new({"Content-Type": "application/xml"}, only_new)
            self._send("POST", key, body=body, headers=headers, query={"uploadId": upload_id})

    def abort(self, key: str, upload_id: str) -> None:
        """Drop an upload with its parts; raise where there is none (any more)."""
        with _refusals():
            self._client()._abort_multipart_upload(self.address.bucket, key, upload_id)  # noqa: SLF001

    def keys(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, datetime | None]]:
        """Keys with that prefix in order, with the time of each, page by page."""
        found = self._client().list_objects(
            self.address.bucket, prefix=prefix, recursive=True, start_after=after or None
        )
        with _refusals():
            for one in found:
                yield one.object_name or "", one.last_modified

    def uploads(self, prefix: str) -> Iterator[Stale]:
        """Uploads with that prefix that are neither completed nor aborted."""
        key_marker = upload_marker = None
        while True:
            with _refusals():
                page = self._client()._list_multipart_uploads(  # noqa: SLF001
                    self.address.bucket, prefix=prefix, key_marker=key_marker, upload_id_marker=upload_marker
                )
            for one in page.uploads:
                if one.object_name and one.upload_id and one.initiated_time:
                    yield Stale(key=one.object_name, upload_id=one.upload_id, begun_at=one.initiated_time)
            key_marker, upload_marker = page.next_key_marker, page.next_upload_id_marker
            if not page.is_truncated or not key_marker:
                return

    def keeps_versions(self) -> bool | None:
        """Whether what is removed stays as an older version; None where the server does not tell."""
        try:
            with _refusals():
                return str(self._client().get_bucket_versioning(self.address.bucket).status) == "Enabled"
        except S3RefusalError:
            return None

    def _send(
        self,
        method: str,
        key: str,
        *,
        body: Parcel,
        headers: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Any:
        return self._client()._execute(  # noqa: SLF001
            method,
            self.address.bucket,
            key,
            body=cast("bytes", body.rewind(within_s=self._patience.part_s)) if body else None,
            headers=headers,
            query_params=query,
        )

    def _client(self) -> Minio:
        """Return this process's client. A parent's is kept, untouched: closing it here could wait for its locks for ever."""
        pid = os.getpid()
        if (client := self._clients.get(pid)) is None:
            client = self._clients.setdefault(pid, self._new_client())
        return client

    def _new_client(self) -> Minio:
        pools = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(connect=self._patience.connect_s, read=self._patience.answer_s),
            retries=False,  # what may be asked again is decided in `retrying`
            ssl_context=self._tls,
            blocksize=SLICE_BYTES,
        )
        return Minio(
            self.address.endpoint,
            access_key=self._credentials.access_key,
            secret_key=self._credentials.secret_key,
            secure=self.address.secure,
            region=self.address.region,
            http_client=pools,
        )


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except FOREIGN as error:
        raise refusal_of(error) from error


def _only_new(headers: dict[str, Any], only_new: bool) -> dict[str, Any]:
    return {**headers, "If-None-Match": "*"} if only_new else headers


def _read_range(answer: Any, offset: int, length: int, ends: float) -> tuple[memoryview, int]:
    begin, size, total = _range_of(answer.headers.get("Content-Range", ""))
    if begin != offset or size != min(length, total - offset):
        raise S3RefusalError("outage", "another range than was asked for")
    got, filled = memoryview(bytearray(size)), 0
    while filled < size:
        piece = answer.read(min(SLICE_BYTES * 4, size - filled))
        if not piece or time.monotonic() > ends:
            raise S3RefusalError("outage", "the answer is cut or takes too long")
        got[filled : filled + len(piece)] = piece
        filled += len(piece)
    return got, total


def _range_of(header: str) -> tuple[int, int, int]:
    """Read ``bytes first-last/total`` as offset, length and total (RFC 9110, section 14.4)."""
    unit, _, rest = header.partition(" ")
    span, _, total = rest.partition("/")
    first, _, last = span.partition("-")
    if unit != "bytes":
        raise S3RefusalError("outage", "ranges are ignored")
    return int(first), int(last) - int(first) + 1, int(total)
