"""Tells the audit of requests that are turned away, without letting anybody write it full: the first at once, then sums.

What `dicom_node.transport.EndReporter` is for associations, keyed as limits count addresses: by the /64 of IPv6.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from dicom_node.receiver import AssociationEnd
from dicom_node.transport import address_group

log = structlog.get_logger(__name__)

WINDOW_S = 60.0
MOST_KEYS = 256

_Key = tuple[str, str, str, str]  # address group, peer's title, called title, reason


@dataclass(slots=True)
class _Held:
    since: float
    end: AssociationEnd | None = None


class RefusalReporter:
    """Sums up refusals by address, title and reason: the first of a window is told at once, the rest at the window's end.

    A peer's own refusals stand apart from strangers', who have no title here. Above `MOST_KEYS` at once under one title,
    whatever else comes is one sum for each reason. Windows end by the clock; `close` tells what is left.
    """

    def __init__(
        self,
        tell: Callable[[AssociationEnd], None],
        *,
        window_s: float = WINDOW_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell_audit = tell
        self._window_s = window_s
        self._now = clock_s
        self._lock = threading.Lock()
        self._held: dict[_Key, _Held] = {}
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def report(self, end: AssociationEnd) -> None:
        """Count one refusal, and tell it if it is the first of its kind."""
        with self._lock:
            end, key = self._keyed(end)
            held = self._held.get(key)
            if held is None:
                if not self._is_closed:
                    self._held[key] = _Held(since=self._now())
            else:
                before = held.end.connections if held.end is not None else 0
                held.end = replace(end, connections=before + end.connections)
            self._wind()
        if held is None:
            self._tell(end)

    def flush(self, *, everything: bool = False) -> None:
        """Tell what windows that are over have held back."""
        now = self._now()
        with self._lock:
            due = [
                key for key, held in self._held.items() if everything or now - held.since >= self._window_s
            ]
            ends = [self._held.pop(key).end for key in due]
        for end in ends:
            if end is not None:
                self._tell(end)

    def close(self) -> None:
        """Tell everything that is held back; what comes later is told one by one."""
        with self._lock:
            self._is_closed = True
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.flush(everything=True)
        if timer is not None:
            timer.join()

    def _keyed(self, end: AssociationEnd) -> tuple[AssociationEnd, _Key]:
        title = end.calling_ae
        key = (address_group(end.address), title, end.called_ae, end.why)
        if key not in self._held and sum(other[1] == title for other in self._held) >= MOST_KEYS:
            end = replace(end, address="", called_ae="", why=f"{end.why}; from many addresses")
            key = ("", title, "", end.why)
        return end, key

    def _wind(self) -> None:
        """See to it that somebody looks when the oldest window is over; called under the lock."""
        if self._timer is not None or self._is_closed or not self._held:
            return
        oldest = min(held.since for held in self._held.values())
        timer = threading.Timer(max(0.0, oldest + self._window_s - self._now()), self._ring)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # no thread to be had: the next refusal tries again
            log.warning("refusal_sums_wait")
        else:
            self._timer = timer

    def _ring(self) -> None:
        self.flush()
        with self._lock:
            self._timer = None
            self._wind()

    def _tell(self, end: AssociationEnd) -> None:
        try:
            self._tell_audit(end)
        except Exception as error:  # noqa: BLE001  # the answer is the same either way, and the timer must live
            log.error("refusal_not_audited", association=end.association_id, error=type(error).__name__)
