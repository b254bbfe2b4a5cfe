"""A browser without a socket: calls a door's ASGI app, keeps its cookies and sends what a browser would send."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Self

import httpx

ORIGIN = "http://127.0.0.1:8080"


class Browser:
    """``get`` asks for pages as a visitor does; ``post`` sends forms with the token of the page seen last, or JSON."""

    def __init__(
        self, app: Any, *, origin: str = ORIGIN, client: tuple[str, int] = ("127.0.0.1", 50000)
    ) -> None:
        self.origin = origin
        self.runner = asyncio.Runner()
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False, client=client), base_url=origin
        )
        self.token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send exactly this and nothing a browser would add."""
        return self.runner.run(self.http.request(method, path, **more))

    def get(self, path: str, *, page: bool = True, headers: dict[str, str] | None = None) -> httpx.Response:
        sent = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document" if page else "empty"}
        if page:
            sent["Accept"] = "text/html"
        answer = self.send("GET", path, headers={**sent, **(headers or {})})
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', answer.text) if page else None
        if found:
            self.token = found[1]
        return answer

    def post(
        self,
        path: str,
        form: dict[str, str] | None = None,
        *,
        json: Any = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        sent = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        if form is not None:
            sent = {"Origin": "null", "Accept": "text/html", "Sec-Fetch-Dest": "document", **sent}
            return self.send("POST", path, data={"form_token": self.token, **form}, headers=sent)
        return self.send(
            "POST", path, json=json if json is not None else {}, headers={"Origin": self.origin, **sent}
        )
