"""Keeps unwrapped case keys for a few minutes, so that a study of a thousand slices asks the key service once.

No lock is needed: single dictionary operations are atomic, and a `fork` at any moment leaves the child a usable cache.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from storage.case_key import CaseKey

TTL_S = 300.0
MOST_ENTRIES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A case key, wrapped: what a row holds, useless without the master key it names.

    Attributes
    ----------
    holder
        Id of the case, or of the study that no case was found for yet.
    purpose
        ``originals``, ``releases`` or ``records``.
    blob
        ``docs/spec/wrapped-key.md``, or what the key service returned.
    """

    holder: str
    purpose: str
    kek_id: str
    kek_version: int
    blob: bytes


Guard = Callable[[str, bool], None]
"""Called with a holder before a key of it is used, and whether that key was in hand; raises where it must not be used."""


class KeyCache:
    """From wrapped key to case key, each entry for at most `TTL_S` seconds (E11)."""

    def __init__(
        self, unwrap: Callable[[WrappedKey], CaseKey], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._unwrap = unwrap
        self._clock = clock
        self.guard: Guard | None = None
        self._entries: dict[WrappedKey, tuple[float, CaseKey]] = {}
        self._purges = 0

    def get(self, key: WrappedKey) -> CaseKey:
        now = self._clock()
        entry = self._entries.get(key)
        if entry is not None and now - entry[0] < TTL_S:
            self.refuse_forgotten(key.holder, is_known=True)
            return entry[1]
        purges = self._purges
        self.refuse_forgotten(key.holder, is_known=False)
        case_key = self._unwrap(key)
        if len(self._entries) >= MOST_ENTRIES:
            self._make_room(now)
        self._entries[key] = (now, case_key)
        if self._purges != purges:  # forgotten while it was being unwrapped
            self._entries.pop(key, None)
        return case_key

    def refuse_forgotten(self, holder: str, *, is_known: bool = True) -> None:
        """Ask the guard, where there is one: it costs a comparison, and once a second a question to the records."""
        if self.guard is not None:
            self.guard(holder, is_known)

    def forget_holder(self, holder: str) -> None:
        """Drop the keys of one holder in this process."""
        self._purges += 1
        for key in list(self._entries):
            if key.holder == holder:
                self._entries.pop(key, None)

    def _make_room(self, now: float) -> None:
        """Drop what has expired, or else the older half."""
        entries = sorted(self._entries.items(), key=lambda item: item[1][0])
        expired = sum(now - since >= TTL_S for _, (since, _) in entries)
        for key, _ in entries[: max(expired, len(entries) // 2)]:
            self._entries.pop(key, None)
