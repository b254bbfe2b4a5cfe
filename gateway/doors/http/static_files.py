"""The style, scripts and pictures of the pages, read once at the start and named by their digest; nothing of a patient's."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from gateway.doors.http.problems import Refused, plain

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asset:
    body: bytes
    packed: bytes | None
    media_type: str
    digest: str


class StaticFiles:
    """Serves ``<prefix>/static/<digest>/<name>``. A file whose kind is not in the table is not served at all."""

    def __init__(self, folders: Sequence[Path], *, prefix: str) -> None:
        self.prefix = prefix
        self._assets: dict[str, _Asset] = {}
        for folder in reversed(folders):
            for file in sorted(folder.rglob("*")):
                kind = _TYPES.get(file.suffix)
                if kind is not None:
                    self._assets[file.relative_to(folder).as_posix()] = _asset(file.read_bytes(), kind)

    def url(self, name: str) -> str:
        """Return the address of a file; it changes with the file's bytes, so a browser may keep it for ever."""
        return f"{self.prefix}/static/{self._assets[name].digest}/{name}"

    def answer(self, request: Request) -> Response:
        """Serve one file, packed where the browser takes it."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None or asset.digest != request.path_params["digest"]:
            raise Refused(plain(404))
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        body = asset.body
        if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = asset.packed
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=asset.media_type, headers=headers)


def _asset(body: bytes, kind: str) -> _Asset:
    packed = (
        gzip.compress(body, mtime=0) if kind.startswith(("text/", "image/svg")) and len(body) > 1000 else None
    )
    return _Asset(body=body, packed=packed, media_type=kind, digest=hashlib.sha256(body).hexdigest()[:12])
