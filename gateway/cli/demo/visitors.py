"""The demo's patient and reviewer at their browsers, as programs: they use the same pages and calls as people do."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import httpx
import pyotp

from gateway.cli.demo.exchange import Exchange
from gateway.domain.errors import UnavailableError

_PART = 1 << 20
_TUS = {"Tus-Resumable": "1.0.0"}


class Patient:
    """Opens the link, types the code, sends files, takes the receipt, reads the answer."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._http = httpx.Client(base_url=exchange.url, timeout=60, headers={"Origin": exchange.url})

    def sign_in(self, link: str) -> str:
        """Use a link and the code that comes by text; returns the masked number that the page showed."""
        shown = _ok(self._http.post("/p/api/link", json={"token": link.partition("#")[2]})).json()
        _ok(self._http.post("/p/api/code", json={}))
        _ok(self._http.post("/p/api/verify", json={"code": self._exchange.newest_code()}))
        return str(shown["channel_hint"])

    def send(
        self,
        name: str,
        category: str,
        media_type: str,
        content: bytes,
        moved: Callable[[int], None],
        *,
        drop_at: int | None = None,
    ) -> int:
        """Upload one file by tus; with ``drop_at`` the line «breaks» once there, and the upload goes on from the server's offset."""
        fields = {"filename": name, "filetype": media_type, "category": category}
        metadata = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items()
        )
        made = self._http.post(
            "/p/files/", headers={**_TUS, "Upload-Length": str(len(content)), "Upload-Metadata": metadata}
        )
        place = _ok(made).headers["Location"]
        offset = breaks = 0
        while offset < len(content):
            end = min(offset + _PART, len(content))
            if drop_at is not None and offset <= drop_at < end and not breaks:
                breaks = 1
                head = self._http.head(place, headers=_TUS)
                offset = int(_ok(head).headers["Upload-Offset"])
                continue
            headers = {
                **_TUS,
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
            }
            answer = _ok(self._http.patch(place, headers=headers, content=content[offset:end]))
            after = int(answer.headers["Upload-Offset"])
            moved(after - offset)
            offset = after
        return breaks

    def finish(self) -> dict[str, Any]:
        """Say that all has been sent; returns the receipt's number and count."""
        answer: dict[str, Any] = _ok(self._http.post("/p/api/finish", json={})).json()
        return answer

    def page(self, path: str) -> str:
        """Return a page as text."""
        return _ok(self._http.get(path, headers={"Accept": "text/html"})).text


class Reviewer:
    """Signs in with password and code, reads the release page, downloads the package, signs the answer."""

    def __init__(self, exchange: Exchange, *, email: str, password: str, totp_secret: str) -> None:
        self._http = httpx.Client(base_url=exchange.url, timeout=120, follow_redirects=True)
        self._email, self._password, self._totp = email, password, pyotp.TOTP(totp_secret)

    def sign_in(self) -> None:
        """Fill in the sign-in form."""
        page = self.page("/review/sign-in")
        self._post("/review/sign-in", page, email=self._email, password=self._password, code=self._totp.now())

    def releases(self) -> list[str]:
        """Return the ids of the releases on the first page."""
        return list(dict.fromkeys(re.findall(r'/review/releases/([0-9a-f]{32})"', self.page("/review/"))))

    def download(self, release: str, moved: Callable[[int], None]) -> tuple[bytes, str]:
        """Download a package, cut the line halfway and resume by range; returns the bytes and their tag."""
        place = f"/review/releases/{release}/package.zip"
        with self._http.stream("GET", place) as answer:
            _ok(answer)
            total, tag = int(answer.headers["Content-Length"]), answer.headers["ETag"]
            got = bytearray()
            for block in answer.iter_raw(1 << 16):
                got += block
                moved(len(block))
                if len(got) >= total // 2:
                    break
        with self._http.stream(
            "GET", place, headers={"Range": f"bytes={len(got)}-", "If-Range": tag}
        ) as rest:
            if rest.status_code != httpx.codes.PARTIAL_CONTENT:
                raise UnavailableError(f"the download did not resume (HTTP {rest.status_code})")
            for block in rest.iter_raw(1 << 16):
                got += block
                moved(len(block))
        return bytes(got), tag

    def answer(self, release: str, **parts: str) -> None:
        """Fill in and sign the answer's form."""
        place = f"/review/releases/{release}/answer"
        self._post(f"{place}/check", self.page(place), **parts)
        self._post(place, self.page(place), confirm="yes", **parts)

    def page(self, path: str) -> str:
        """Return a page as text."""
        return _ok(self._http.get(path, headers={"Accept": "text/html"})).text

    def _post(self, path: str, page: str, **fields: str) -> None:
        token = re.search(r'name="form_token" value="([^"]+)"', page)
        if token is None:
            raise UnavailableError(f"{path} shows no form")
        headers = {"Accept": "text/html", "Origin": str(self._http.base_url).rstrip("/")}
        _ok(self._http.post(path, data={"form_token": token.group(1), **fields}, headers=headers))


def _ok(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise UnavailableError(
            f"{answer.request.method} {answer.request.url.path}: HTTP {answer.status_code}"
        )
    return answer
