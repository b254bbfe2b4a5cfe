"""The clock port: the computer's time, aware and in UTC; what is done at which time is decided elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Aware UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)
