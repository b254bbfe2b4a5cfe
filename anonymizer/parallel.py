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
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, TypeVar, cast

E = TypeVar("E")
T = TypeVar("T")
Begin = tuple[Callable[[Any], None], Any]
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one errand may take of a worker: address space and processor time, both growing with its bytes."""

    memory_bytes: int = 1536 * MIB
    memory_per_byte: int = 6
    memory_ceiling_bytes: int = 8192 * MIB
    mapped_per_byte: int = 2  # the original and its copy may both be mapped
    cpu_s: float = 600.0
    cpu_s_per_mib: float = 1.0

    def memory_for(self, size_bytes: int) -> int:
        wanted = self.memory_bytes + self.memory_per_byte * size_bytes
        return min(wanted, self.memory_ceiling_bytes) + self.mapped_per_byte * size_bytes

    def cpu_for(self, size_bytes: int) -> float:
        return self.cpu_s + self.cpu_s_per_mib * size_bytes / MIB


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
    """Do ``work`` for every errand, results in order; what ``work`` raises ends the run.

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


class _Crew:
    """Workers that are started as they are needed, and replaced when they die."""

    def __init__(self, work: Callable[[Any], Any], begin: Begin, limits: Limits) -> None:
        self._work, self._begin, self._limits = work, begin, limits
        # A server that has imported everything once forks each worker: quick, and no thread of ours is ever forked.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["anonymizer.offline"])

    def answers(
        self, waiting: deque[int], errands: list[Any], size_of: Callable[[Any], int], many: int
    ) -> Iterator[tuple[int, tuple[Any] | None]]:
        """Each errand's number and its answer in a tuple, as they come; None for one whose worker died."""
        workers: dict[Any, tuple[Any, int]] = {}  # by the connection to them

        def give(channel: Any, process: Any) -> None:
            index = waiting.popleft()
            workers[channel] = process, index
            with suppress(OSError):  # it has died: `wait` tells so at once
                channel.send((errands[index], size_of(errands[index])))

        try:
            while workers or waiting:
                while waiting and len(workers) < many:
                    give(*self._start())
                for channel in cast("list[Any]", wait(list(workers))):
                    process, index = workers[channel]
                    try:
                        answer = channel.recv()
                    except (EOFError, OSError):
                        answer = None
                    if isinstance(answer, BaseException):
                        raise answer
                    del workers[channel]
                    if answer is not None and waiting:
                        give(channel, process)
                    else:
                        _end(channel, process)
                    yield index, answer
        finally:
            for channel, (process, _) in workers.items():
                _end(channel, process)

    def _start(self) -> tuple[Connection, Any]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._work, self._begin, self._limits), daemon=True
        )
        with _no_main():
            process.start()
        theirs.close()
        return ours, process


def _end(channel: Any, process: Any) -> None:
    channel.close()
    process.kill()
    process.join()


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
    begin[0](begin[1])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    while True:
        try:
            errand, size = channel.recv()
        except EOFError:
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
        signal.setitimer(signal.ITIMER_PROF, 0)
        try:
            channel.send(answer)
        except OSError:
            return
