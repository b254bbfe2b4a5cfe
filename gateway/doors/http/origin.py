"""Whose page sent this request (P13): the browser's own word, a header that no foreign form can set, a form's token."""

from __future__ import annotations

import hashlib
import hmac

from starlette.datastructures import Headers

from gateway.doors.http.problems import N_, Problem, plain

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM = "application/x-www-form-urlencoded"
# A browser sends these from a foreign page only after a preflight, which no door answers with consent.
_NEVER_SIMPLE = frozenset(
    {"application/json", "application/offset+octet-stream", "application/dicom", "application/dicom+json"}
)
_OWN_HEADERS = ("tus-resumable", "x-consilium")


def foreign_request(method: str, headers: Headers, *, origins: frozenset[str]) -> Problem | None:
    """Refuse an unsafe request that another site's page may have sent; None means that it may pass.

    1. ``Sec-Fetch-Site``, where the browser sends it, must say same-origin (Fetch Metadata).
    2. ``Origin``, where it is sent, must be ours. (Our own ``Referrer-Policy`` makes browsers write «null» on a form's
       post, Fetch section 3.2: that counts as not sent.)
    3. With neither, the request must carry what a foreign form cannot: a non-simple content type, or a header of
       ours. Forms pass here, since each is checked against its own token (`csrf_token`).
    """
    if method in SAFE_METHODS:
        return None
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin", "null").lower()
    if site not in {None, "same-origin"} or (origin != "null" and origin not in origins):
        return plain(403, code="foreign_origin", detail=N_("The request came from another site."))
    if site is not None or origin != "null":
        return None
    kind = headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if kind == FORM or kind in _NEVER_SIMPLE or any(name in headers for name in _OWN_HEADERS):
        return None
    return plain(403, code="foreign_origin", detail=N_("The request does not say which page it came from."))


def csrf_token(session: str) -> str:
    """Return the token of a session's forms: a keyed digest under the session's own secret, so nothing is stored."""
    return hmac.new(session.encode(), b"consilium form token v1", hashlib.sha256).hexdigest()


def csrf_matches(session: str, token: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(csrf_token(session).encode(), token.encode("utf-8", "surrogatepass"))
