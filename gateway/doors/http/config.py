"""What a door must be told to stand on a network: its own address, its cookie, its tongue; never where data lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from gateway.domain.errors import InvalidError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorConfig:
    """The settings of one web door.

    ``prefix`` is the path below which everything of the door lies («/p», «/desk», «/review»). ``public_url`` is what
    stands in the visitor's address bar: origins and hosts are compared with it and with ``other_origins``, and its
    scheme decides whether cookies are ``Secure``. ``max_body_bytes`` caps every body except those of paths that the
    door names as streaming. ``trusted_proxies`` are the only addresses whose ``X-Forwarded-For`` is read (P20).
    """

    public_url: str
    prefix: str
    other_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    languages: tuple[str, ...] = ("sv", "en")
    default_language: str = "sv"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Stockholm"))
    max_body_bytes: int = 256 * 1024
    max_header_bytes: int = 24 * 1024
    max_query_bytes: int = 4 * 1024
    body_deadline_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.prefix.startswith("/") or self.prefix.endswith("/"):
            raise InvalidError(f"a door's prefix starts with «/» and does not end with it: {self.prefix}")
        for url in (self.public_url, *self.other_origins):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
                raise InvalidError(
                    f"«{url}» is no public address",
                    next_step="Write scheme and host: https://exchange.example.org",
                )
        if self.default_language not in self.languages:
            raise InvalidError("the default language must be one of the languages")

    @property
    def is_https(self) -> bool:
        """Tell whether visitors come over TLS."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def origins(self) -> frozenset[str]:
        """Return the origins that count as ours, as browsers write them (RFC 6454, section 6.2)."""
        named = {_origin(url) for url in (self.public_url, *self.other_origins)}
        return frozenset(named | {twin for origin in named for twin in _loopback_twins(origin)})

    @property
    def hosts(self) -> frozenset[str]:
        """Return the values of ``Host`` that are answered; any other one is a mistake or DNS rebinding."""
        return frozenset(origin.split("://", 1)[1] for origin in self.origins)


def _loopback_twins(origin: str) -> set[str]:
    """Return the other names of this computer: who types «localhost» means the same door."""
    parts = urlsplit(origin)
    if parts.hostname not in _LOOPBACK:
        return set()
    port = "" if parts.port is None else f":{parts.port}"
    return {f"{parts.scheme}://{name}{port}" for name in ("localhost", "127.0.0.1", "[::1]")}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
