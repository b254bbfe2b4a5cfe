"""Runs one function over many errands on all cores, and outlives an errand that kills its process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

E = TypeVar("E")
T = TypeVar("T")
Begin = tuple[Callable[[Any], None], Any]
#: So few errands are done sooner in this process than processes start.
FEW = 4


def _nothing(_: object) -> None:
    """Begin without anything to prepare."""


def over(
    errands: list[E],
    work: Callable[[E], T],
    crashed: Callable[[E], T],
    workers: int,
    done: Callable[[T], None],
    *,
    begin: Begin = (_nothing, None),
) -> list[T]:
    """Do ``work`` for every errand, results in order.

    Parameters
    ----------
    crashed
        Answers for an errand that killed its process.
    workers
        Processes at once; 1 works in this one, where nothing outlives a crash.
    done
        Told each errand's result, as it comes.
    begin
        A function and its argument, called once in every process before any work.
    """
    results: dict[int, T] = {}
    if workers == 1 or len(errands) < FEW:
        begin[0](begin[1])
        for index, errand in enumerate(errands):
            results[index] = work(errand)
            done(results[index])
        return [results[index] for index in range(len(errands))]
    everything = list(range(len(errands)))
    _pooled(errands, everything, work, workers, done, begin, results)
    for index in everything:  # a process died: the errands left run alone, so that the guilty one is known
        if index not in results:
            _pooled(errands, [index], work, 1, done, begin, results)
        if index not in results:
            results[index] = crashed(errands[index])
            done(results[index])
    return [results[index] for index in everything]


def _pooled(
    errands: list[E],
    waiting: list[int],
    work: Callable[[E], T],
    workers: int,
    done: Callable[[T], None],
    begin: Begin,
    results: dict[int, T],
) -> None:
    """Fill ``results`` for the waiting errands, until all are done or a process of the pool dies."""
    # A server that has imported everything once forks each worker: quick, and no thread of ours is ever forked.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["anonymizer.offline"])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=begin[0], initargs=(begin[1],)) as pool:
        running: dict[Future[T], int] = {}
        queue = iter(waiting)
        try:
            while True:
                for index in queue:
                    running[pool.submit(work, errands[index])] = index
                    if len(running) >= 4 * workers:
                        break
                if not running:
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    index = running.pop(future)
                    results[index] = future.result()
                    done(results[index])
        except BrokenProcessPool:
            return
