"""The patient's link, one-time code, session and resumable upload: their policy and their values."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePolicy:
    """P6, P7: eight digits, ten minutes, five tries a code, five codes a day, fifty failures and the link is off."""

    digits: int = 8
    valid_s: int = 600
    tries: int = 5
    codes_per_day: int = 5
    lifetime_fails: int = 50
    first_wait_s: int = 30
    longest_wait_s: int = 3600

    def wait_s(self, codes_sent_today: int) -> int:
        """Return how long to wait after the n-th code before another is sent: 0, 30, 60, 120 … 3600 s."""
        if codes_sent_today <= 1:
            return 0 if codes_sent_today == 0 else self.first_wait_s
        return min(self.first_wait_s << (codes_sent_today - 1), self.longest_wait_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way in for one patient. Only the SHA-256 of the 256-bit token is kept (P1)."""

    id: str
    case_id: str
    token_hash: str
    holder: str
    phone: str = ""
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    fails: int = 0

    def is_open(self, now: datetime, policy: CodePolicy) -> bool:
        """Tell whether the link may still be used."""
        return self.revoked_at is None and now < self.expires_at and self.fails < policy.lifetime_fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One code that was sent, bound to the browser (``pre_session_id``) that asked for it; the newest one counts."""

    id: str
    link_id: str
    pre_session_id: str
    code_hash: str
    tries: int = 0
    sent_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser: ``pre`` has shown a link, ``patient`` is worth one case (``case_id``), ``staff`` has her person's role."""

    id: str
    token_hash: str
    kind: str
    subject_id: str
    case_id: str | None = None
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def is_live(self, now: datetime, *, idle: timedelta) -> bool:
        """Tell whether the session still counts: not ended, not too old, not idle too long (P12)."""
        return self.ended_at is None and now < self.expires_at and now - self.seen_at < idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file on its way (tus 1.0.0). ``offset_bytes`` counts only bytes whose parts are sealed and durable."""

    id: str
    case_id: str
    holder: str
    link_id: str
    category: str
    name: str
    media_type: str
    size_bytes: int
    offset_bytes: int = 0
    state: str = "open"
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One durable piece of an upload, sealed as an object of its own."""

    id: str
    upload_id: str
    offset_bytes: int
    size_bytes: int
    object_id: str
    digest: bytes
    generation: int = 1


def token_hash(token: str) -> str:
    """SHA-256 of a token of 256 random bits; nothing slower is needed at that entropy (P1)."""
    return hashlib.sha256(token.encode()).hexdigest()


def code_hash(code: str, *, challenge_id: str, key: bytes) -> str:
    """HMAC-SHA-256 of a one-time code, bound to its challenge, under a key that the database does not hold."""
    return hmac.new(key, f"{challenge_id}:{code}".encode(), hashlib.sha256).hexdigest()
