"""Ends associations of peers that may not be here any more, from a thread of its own; the data path never waits for it.

A peer that is removed, disabled or bound to another certificate loses its established associations too, in the midst of
an object as well as idle: what has no Success is sent again by whoever is then allowed to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from dicom_node.failures import note
from dicom_node.receiver import HowItEnded

_EVERY_S: Final = 0.4


class Watched(Protocol):
    """What the watch sees of an association."""

    id: str
    still_admitted: Callable[[], bool] | None

    def sever(self, how: HowItEnded, why: str, *, say_abort: bool = False) -> None:
        """End it from outside."""
        ...


class AdmissionWatch:
    """Asks every established association's admission again, about twice a second."""

    def __init__(self, established: Callable[[], Sequence[Watched]]) -> None:
        self._established = established
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dicom-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask nobody any more; a question that hangs in a database is not waited for."""
        self._stopped.set()
        self._thread.join(timeout=2 * _EVERY_S)

    def _watch(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            for association in self._established():
                if not _is_admitted(association):
                    association.sever("aborted", "the peer is no longer admitted", say_abort=True)


def _is_admitted(association: Watched) -> bool:
    try:
        return association.still_admitted is None or association.still_admitted()
    except Exception as exc:  # noqa: BLE001 - who cannot be asked about now stays; the next question comes at once
        note("admission_not_asked", exc, association=association.id)
        return True
