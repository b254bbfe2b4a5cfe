"""A door's one cookie: a random id that means something only to the service behind the door, never a value."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

_ID = re.compile(r"^[A-Za-z0-9_.\-]{16,256}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorCookie:
    """``__Host-`` and ``Secure`` over TLS, a plain name on HTTP loopback; always ``HttpOnly`` and ``SameSite=Strict`` (P12)."""

    door: str
    secure: bool

    @property
    def name(self) -> str:
        """Return the cookie's name."""
        return f"__Host-consilium-{self.door}" if self.secure else f"consilium-{self.door}"

    def read(self, cookies: Mapping[str, str]) -> str | None:
        """Return the id that the browser holds, or None when there is none or it cannot be one of ours."""
        value = cookies.get(self.name, "")
        return value if _ID.fullmatch(value) else None

    def write(self, response: Response, value: str, *, max_age_s: int | None = None) -> None:
        """Give the browser an id; without ``max_age_s`` it is forgotten with the browser's session."""
        response.set_cookie(
            self.name,
            value,
            max_age=max_age_s,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="strict",
        )

    def clear(self, response: Response) -> None:
        """Take the id back and have the browser drop what it keeps of this site (P14)."""
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="strict")
        response.headers["Clear-Site-Data"] = '"cache", "storage"'


def fresh_id() -> str:
    """Return 256 random bits for a browser that has no session yet."""
    return secrets.token_urlsafe(32)
