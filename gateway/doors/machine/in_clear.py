"""Whether a request came over a network in clear: what the socket shows, and the word of a proxy that counts."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.requests import Request

from gateway.doors.http import visitor_address


def came_in_clear(request: Request, *, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Tell whether the request was carried without TLS beyond this computer, or nobody who counts says otherwise.

    A trusted proxy, or any program of this computer, says it with ``X-Forwarded-Proto``; a request that no proxy passed on
    and that never left this computer needs none.
    """
    if request.url.scheme == "https":
        return False
    try:
        here = ip_address(visitor_address(request, trusted=()))
    except ValueError:  # not a socket of ours
        return True
    if not here.is_loopback and not any(here in network for network in trusted):
        return True
    told = [
        one.strip().lower()
        for line in request.headers.getlist("x-forwarded-proto")
        for one in line.split(",")
    ]
    if told:
        return any(one != "https" for one in told)
    return not here.is_loopback or "x-forwarded-for" in request.headers
