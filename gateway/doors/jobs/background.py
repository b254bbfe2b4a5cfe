"""A duty that takes long, in a thread of its own: the scheduler goes on with the others meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class InBackground:
    """Calls what it is given in one thread; while that lasts, another call of it is left out.

    The thread ends with its process, at any moment: what it does must bear that.
    """

    def __init__(self, name: str, perform: Callable[[], object]) -> None:
        self._name, self._perform = name, perform
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Start, unless it is still at it."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until it is done."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._perform()
        except Exception as error:  # noqa: BLE001 - the boundary: it is tried again when its time comes
            log.warning("duty_failed", duty=self._name, error=type(error).__name__)
