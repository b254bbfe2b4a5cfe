"""Runs one function over many errands on all cores, each in a process with limits, and outlives an errand that kills its own.

Each worker holds one errand at a time, so that who dies tells which file killed it. Native code (PDF, picture and OCR
libraries) can crash or be led to take all memory: neither ends a run, nor is anything of ours in that process but the plan.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from types import ModuleType
from typing import Any, TypeVar, cast

from anonymizer.errors import AnonymizerError

E = TypeVar("E")
T = TypeVar("T")
Begin = tuple[Callable[[Any], None], Any]
MIB = 1 << 20
_READY = "ready"
_MOST_NOT_BEGUN = 5  # workers in a row that died before they took an errand


class WorkersError(AnonymizerError):
    """No worker process can begin: close other programs or use fewer workers, there is too little memory for this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one errand may take of a worker: address space and processor time, both growing with its bytes."""

    memory_bytes: int = 1536 * MIB
    memory_per_byte: int = 6
    memory_ceiling_bytes: int = 8192 * MIB
    mapped_per_byte: int = 2  # the original and its copy may both be mapped
    cpu_s: float = 600.0
    cpu_s_per_mib: float = 1.0
    clock_per_cpu: float = 4.0  # who only waits takes no processor time

    def memory_for(self, size_bytes: int) -> int:
        wanted = self.memory_bytes + self.memory_per_byte * size_bytes
        return min(wanted, self.memory_ceiling_bytes) + self.mapped_per_byte * size_bytes

    def cpu_for(self, size_bytes: int) -> float:
        return self.cpu_s + self.cpu_s_per_mib * size_bytes / MIB

    def clock_for(self, size_bytes: int) -> float:
        return self.clock_per_cpu * self.cpu_for(size_bytes)


def limits_for(workers: int) -> Limits:
    """Twice a sandboxed task's memory where the computer has it: here one program works for one person."""
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Limits(memory_bytes=max(1536 * MIB, min(3072 * MIB, has // (workers + 1))))


def _nothing(_: object) -> None:
    """Begin without anything to prepare."""


def _no_size(_: object) -> int:
    return 0


def over(
    errands: list[E],
    work: Callable[[E], T],
    crashed: Callable[[E], T],
    workers: int,
    done: Callable[[T], None],
    *,
    begin: Begin = (_nothing, None),
    size_of: Callable[[E], int] = _no_size,
    apart: bool = True,
    limits: Limits | None = None,
) -> list[T]:
    """Do ``work`` for every errand, results in order; what ``work`` or ``begin`` raises ends the run.

    Parameters
    ----------
    crashed
        Answers for an errand that killed its process, also when it was tried again alone.
    workers
        Processes at once.
    done
        Told each errand's result, as it comes.
    begin
        A function and its argument, called once in every process before any work.
    size_of
        How many bytes an errand is about: the limits of its worker grow with them.
    apart
        False works in this process, where nothing outlives a crash and nothing is limited.

    Raises
    ------
    WorkersError
        When several workers in a row died before they took an errand.
    """
    results: dict[int, T] = {}
    if not apart:
        begin[0](begin[1])
        for index, errand in enumerate(errands):
            results[index] = work(errand)
            done(results[index])
        return [results[index] for index in range(len(errands))]
    crew = _Crew(work, begin, limits or limits_for(workers))
    waiting = deque(range(len(errands)))
    died: list[int] = []
    for many in (min(workers, len(errands)), 1):  # who took too much memory together may fit alone
        for index, answer in crew.answers(waiting, errands, size_of, many):
            if answer is not None:
                results[index] = answer[0]
                done(answer[0])
            else:
                died.append(index)
        waiting, died = deque(sorted(died)), []
    for index in waiting:
        results[index] = crashed(errands[index])
        done(results[index])
    return [results[index] for index in range(len(errands))]


@dataclass(slots=True)
class _Worker:
    """A process, the connection to it, and the number of its errand; None until it is ready for one."""

    channel: Any
    process: Any
    ends: float  # by the monotonic clock
    index: int | None = None


class _Crew:
    """Workers that are started as they are needed, and replaced when they die."""

    def __init__(self, work: Callable[[Any], Any], begin: Begin, limits: Limits) -> None:
        self._work, self._begin, self._limits = work, begin, limits
        self._not_begun = 0
        # A server that has imported everything once forks each worker: quick, and no thread of ours is ever forked.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["anonymizer.offline"])

    def answers(
        self, waiting: deque[int], errands: list[Any], size_of: Callable[[Any], int], many: int
    ) -> Iterator[tuple[int, tuple[Any] | None]]:
        """Each errand's number and its answer in a tuple, as they come; None for one whose worker died."""
        workers: dict[Any, _Worker] = {}  # by the connection to them

        def give(worker: _Worker) -> None:
            if not waiting:
                _end(workers.pop(worker.channel))
                return
            worker.index = waiting.popleft()
            size = size_of(errands[worker.index])
            worker.ends = time.monotonic() + self._limits.clock_for(size)
            with suppress(OSError):  # it has died: `wait` tells so at once
                worker.channel.send((errands[worker.index], size))

        try:
            while workers or waiting:
                beginning = sum(worker.index is None for worker in workers.values())
                for _ in range(min(many - len(workers), len(waiting) - beginning)):
                    if worker := self._start():
                        workers[worker.channel] = worker
                for worker, answer in self._told(workers):
                    if isinstance(answer, BaseException):
                        raise answer
                    index = worker.index
                    if answer is None:
                        _end(workers.pop(worker.channel), at_once=True)
                    else:
                        give(worker)
                    if index is not None:
                        yield index, answer
                    elif answer is None:
                        self._failed()
                    else:
                        self._not_begun = 0
        finally:
            for worker in workers.values():
                _end(worker, at_once=True)

    def _told(self, workers: dict[Any, _Worker]) -> Iterator[tuple[_Worker, Any]]:
        """What workers answer next; None for each that died, answered what nobody can read, or is beyond its time."""
        if not workers:
            return
        first = min(worker.ends for worker in workers.values())
        told = cast("list[Any]", wait(list(workers), timeout=max(first - time.monotonic(), 0)))
        for channel in told:
            try:
                yield workers[channel], channel.recv()
            except Exception:  # noqa: BLE001 - what a dying process sent may be anything
                yield workers[channel], None
        now = time.monotonic()
        for worker in [held for held in workers.values() if held.ends < now and held.channel not in told]:
            yield worker, None

    def _start(self) -> _Worker | None:
        """A worker that begins; None for one that died over it, as the plan is handed to it."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._work, self._begin, self._limits), daemon=True
        )
        try:
            with _no_main():
                process.start()
        except (OSError, EOFError) as error:
            ours.close()
            self._failed(error)
            return None
        finally:
            theirs.close()
        return _Worker(ours, process, time.monotonic() + self._limits.clock_for(0))

    def _failed(self, error: Exception | None = None) -> None:
        self._not_begun += 1
        if self._not_begun >= _MOST_NOT_BEGUN:
            raise WorkersError(WorkersError.__doc__) from error


def _end(worker: _Worker, *, at_once: bool = False) -> None:
    worker.channel.close()
    if not at_once:
        worker.process.join(0.2)  # it ends by itself when the other end closes
    if worker.process.is_alive():
        worker.process.kill()
    worker.process.join()


@contextmanager
def _no_main() -> Iterator[None]:
    """Let no worker import the program that was called: the command line takes longer to load than most files to clean."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(channel: Connection, work: Callable[[Any], Any], begin: Begin, limits: Limits) -> None:
    """The life of a worker; it ends when the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted owner ends us
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # no handler: native code that never returns runs none
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core holds the patient
    try:
        begin[0](begin[1])
        channel.send(_READY)
    except (MemoryError, OSError):
        return  # another worker may have more room
    except Exception as error:  # noqa: BLE001 - it is raised again where the run is led
        _answer(channel, error)
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    while True:
        try:
            errand, size = channel.recv()
        except (EOFError, OSError):
            return
        memory = limits.memory_for(size)
        resource.setrlimit(
            resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard)
        )
        signal.setitimer(signal.ITIMER_PROF, limits.cpu_for(size))
        try:
            answer: Any = (work(errand),)
        except Exception as error:  # noqa: BLE001 - it is raised again where the run is led
            answer = error
        if not _answer(channel, answer):
            return


def _answer(channel: Connection, answer: Any) -> bool:
    """Send an answer, None for one that cannot be packed; whether somebody still listens."""
    try:
        packed = ForkingPickler.dumps(answer)
    except Exception:  # noqa: BLE001 - too large for the memory, or no plain value
        packed = ForkingPickler.dumps(None)
    signal.setitimer(signal.ITIMER_PROF, 0)
    try:
        channel.send_bytes(packed)
    except OSError:
        return False
    return True
