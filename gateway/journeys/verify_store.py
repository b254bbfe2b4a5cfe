"""Reading every object that a row names, whole, and telling which are not what the row says; nothing is written here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway.domain.errors import NotFoundError, UnavailableError
from gateway.domain.kept_object import KeptObject
from gateway.domain.store_finding import FindingKind
from gateway.ports import Records
from storage import (
    KeyForgottenError,
    KeyRefusedError,
    KeyUnknownError,
    ObjectBusyError,
    ObjectMissingError,
    ObjectUnreadableError,
    SealBrokenError,
    SealedStore,
    StorageError,
    WrappedKey,
)

ROWS_AT_ONCE = 512
OBJECTS_A_STEP = 128
BYTES_A_STEP = 256 << 20
# Of so many objects, the first ones, not one is whole: then the volume or the keys are away, and nothing is known of any object.
NONE_OF_THE_FIRST = 200
_TRIES, _PAUSE_S = 5, 0.2

# How an error says what became of an object. Every other one says nothing of it: the store or the keys do not answer.
_KIND_OF: tuple[tuple[type[StorageError], FindingKind], ...] = (
    (ObjectMissingError, "missing"),
    (SealBrokenError, "broken"),
    (ObjectUnreadableError, "unreadable"),
    (KeyRefusedError, "key_lost"),
    (KeyUnknownError, "key_lost"),
    (KeyForgottenError, "key_lost"),
)


class EndedEarlyError(Exception):
    """Whoever asked for the reading does not want it any more."""


class Pace:
    """Holds all threads together to a number of bytes in a second (0: as fast as it goes), and ends their reading."""

    def __init__(self, bytes_a_second: float = 0) -> None:
        self._bytes_a_second = bytes_a_second
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._ended = threading.Event()

    def __call__(self, count: int) -> None:
        """Wait until ``count`` more bytes are due; raise ``EndedEarlyError`` once ``end`` was called."""
        if self._bytes_a_second:
            with self._lock:
                self._free_at = max(self._free_at, time.monotonic()) + count / self._bytes_a_second
                wait_s = self._free_at - time.monotonic()
            if wait_s > 0:
                self._ended.wait(wait_s)
        if self._ended.is_set():
            raise EndedEarlyError

    def end(self) -> None:
        """Have every thread stop at its next segment."""
        self._ended.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One object that is not what its row says; ``detail`` is ours and holds ids at most."""

    kept: KeptObject
    kind: FindingKind
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step found: ``cursor`` is where to go on from, ``whole`` the ids of the objects that are as they should be."""

    cursor: str
    objects: int
    size_bytes: int
    whole: tuple[str, ...]
    losses: tuple[Loss, ...]


def verify_store(
    *,
    records: Records,
    store: SealedStore,
    case_id: str | None = None,
    after: str = "",
    pace: Pace | None = None,
    threads: int = 0,
) -> Iterator[Step]:
    """Verify every object that a row names (length, header, all segments, keyed digest), a step at a time.

    Steps come in the order of the rows; each is whole when it is yielded, so that its ``cursor`` may be kept and given as
    ``after`` later. Rows that are added behind the cursor meanwhile belong to the next round. Closing the iterator ends the
    threads at their next segment. A loss is told only if its row still names the object after it was read.

    Parameters
    ----------
    case_id
        Only the objects of this case.
    threads
        Objects read at once; 0 for one more than this machine has processors, at most eight.

    Raises
    ------
    UnavailableError
        The store, the keys or the records do not answer, which says nothing of any object.
    """
    pace, at, is_known, held = pace or Pace(), after, False, list[Step]()
    with ThreadPoolExecutor(threads or min(8, (os.cpu_count() or 1) + 1), "verify") as pool:
        try:
            while True:
                with records.view() as view:
                    rows = view.kept.page(after=at, limit=ROWS_AT_ONCE, case_id=case_id)
                for group in _steps(rows):
                    step = _step(group, records=records, store=store, pace=pace, pool=pool)
                    at = step.cursor
                    held.append(step)
                    is_known = is_known or bool(step.whole)
                    if is_known:
                        yield from held
                        held.clear()
                    elif (lost := sum(len(step.losses) for step in held)) >= NONE_OF_THE_FIRST:
                        raise UnavailableError(
                            f"of the first {lost} objects none is whole",
                            next_step="See that the volume of the objects is mounted and that the keys are the right ones.",
                        )
                if not rows:
                    yield from held
                    return
        finally:
            pace.end()


def look_at(objects: Sequence[KeptObject], *, records: Records, store: SealedStore) -> list[Loss]:
    """Verify a few objects now and return those that are lost; raises as ``verify_store``."""
    keys = _keys(objects, records=records)
    seen = [_look(kept, keys, store=store, pace=Pace()) for kept in objects]
    return still_named([loss for loss in seen if loss], records=records)


def _steps(rows: Sequence[KeptObject]) -> Iterator[list[KeptObject]]:
    """Cut a page into steps that take about equally long."""
    step, size_bytes = list[KeptObject](), 0
    for kept in rows:
        step.append(kept)
        size_bytes += kept.size_bytes
        if len(step) >= OBJECTS_A_STEP or size_bytes >= BYTES_A_STEP:
            yield step
            step, size_bytes = [], 0
    if step:
        yield step


def _step(
    group: Sequence[KeptObject],
    *,
    records: Records,
    store: SealedStore,
    pace: Pace,
    pool: ThreadPoolExecutor,
) -> Step:
    keys = _keys(group, records=records)
    looking = [pool.submit(_look, kept, keys, store=store, pace=pace) for kept in group]
    try:
        seen = [one.result() for one in looking]
    except BaseException:
        pace.end()
        for one in looking:
            one.cancel()
        raise
    losses = still_named([loss for loss in seen if loss], records=records)
    return Step(
        cursor=group[-1].cursor,
        objects=len(group),
        size_bytes=sum(kept.size_bytes for kept in group),
        whole=tuple(kept.object_id for kept, loss in zip(group, seen, strict=True) if not loss),
        losses=tuple(losses),
    )


def _keys(objects: Sequence[KeptObject], *, records: Records) -> dict[tuple[str, str], WrappedKey | None]:
    """Return each wrapped key that these objects need, None where there is none."""
    found: dict[tuple[str, str], WrappedKey | None] = {}
    with records.view() as view:
        for holder, purpose in {(kept.holder, kept.naming.purpose) for kept in objects}:
            try:
                found[holder, purpose] = view.key(holder, purpose)
            except NotFoundError:
                found[holder, purpose] = None
    return found


def _look(
    kept: KeptObject,
    keys: dict[tuple[str, str], WrappedKey | None],
    *,
    store: SealedStore,
    pace: Callable[[int], None],
) -> Loss | None:
    """Verify one object; None if it is whole."""
    key = keys[kept.holder, kept.naming.purpose]
    if key is None:
        return Loss(kept=kept, kind="key_lost", detail="the key has no row")
    for tried in range(1, _TRIES + 1):
        try:
            store.verify(kept.ref(), key=key, kind=kept.naming.kind, pace=pace)
        except ObjectBusyError as error:
            if tried == _TRIES:
                raise UnavailableError("the store is too busy to be read") from error
            time.sleep(_PAUSE_S * tried)
        except ValueError as error:
            return Loss(kept=kept, kind="broken", detail=f"the row names no object ({type(error).__name__})")
        except StorageError as error:
            for kind_of_error, kind in _KIND_OF:
                if isinstance(error, kind_of_error):
                    return Loss(kept=kept, kind=kind, detail=error.detail)
            raise UnavailableError(f"the store does not answer ({type(error).__name__})") from error
        else:
            return None
    return None


def still_named(losses: Sequence[Loss], *, records: Records) -> list[Loss]:
    """Leave out what was removed, or replaced, while it was read."""
    if not losses:
        return []
    with records.view() as view:
        named = {
            (kept.cursor, kept.object_id)
            for kept in view.kept.naming([loss.kept.object_id for loss in losses])
        }
    return [loss for loss in losses if (loss.kept.cursor, loss.kept.object_id) in named]
