"""Where a visitor comes from: the socket's own word, or a configured proxy's; nobody else's header counts (P20)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request


def visitor_address(request: Request, *, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the address of the nearest hop that is not a trusted proxy, as audits and rate limits count it.

    ``X-Forwarded-For`` is read from the right, one hop at a time, and only as long as the hop that wrote the entry is
    trusted: what a visitor writes into the header himself stands further left and is never reached.
    """
    here = _address(request.client.host if request.client else "")
    hops = [hop.strip() for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    while hops and here is not None and any(here in network for network in trusted):
        nearer = _address(hops.pop())
        if nearer is None:
            break
        here = nearer
    return str(here) if here is not None else "unknown"


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
