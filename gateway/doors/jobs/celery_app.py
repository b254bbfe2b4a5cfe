"""The worker of a cluster: Celery hears the ring and hands the job's id to the runner; the row decides everything else.

Celery acknowledges before it runs, keeps no result and takes no remote control. A ring that is lost with a killed worker
is rung again by the scheduler when the job's lease has lapsed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final

import structlog
from celery import Celery, signals

from gateway.doors.jobs.runner import Runner

_TASK_TIME_LIMIT_S: Final = 3600
_START_TIMEOUT_S: Final = 30.0

log = structlog.get_logger()


class _RunnerOfThisProcess:
    """Makes a runner (and with it database connections) once per process: none of them survives a fork."""

    def __init__(self, make_runner: Callable[[], Runner]) -> None:
        self._make = make_runner
        self._lock = threading.Lock()
        self._made: tuple[int, Runner] | None = None

    def get(self) -> Runner:
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = (os.getpid(), self._make())
            return self._made[1]

    def release(self) -> None:
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].release()
            self._made[1].close()


def serve(
    app: Celery,
    *,
    task_name: str,
    make_runner: Callable[[], Runner],
    concurrency: int,
    pool: str = "prefork",
    in_each_child: Callable[[], None] = lambda: None,
    on_ready: Callable[[], None] = lambda: None,
) -> int:
    """Answer ``task_name`` until SIGTERM; return the exit code. ``pool`` is Celery's word: prefork or solo."""
    runner = _RunnerOfThisProcess(make_runner)

    @app.task(name=task_name, ignore_result=True, time_limit=_TASK_TIME_LIMIT_S)
    def ring(job_id: str) -> None:
        if isinstance(job_id, str) and job_id.isalnum() and len(job_id) <= 64:
            runner.get().run_job(job_id)
        else:
            log.warning("ring_refused")

    def child_started(**_: Any) -> None:
        in_each_child()

    def child_ends(**_: Any) -> None:
        runner.release()

    def ready(**_: Any) -> None:
        on_ready()

    def keep_our_logging(**_: Any) -> None:
        """Celery sets up its own logging unless somebody listens to this signal."""

    app.conf.worker_proc_alive_timeout = _START_TIMEOUT_S
    signals.worker_process_init.connect(child_started, weak=False)
    signals.worker_process_shutdown.connect(child_ends, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.setup_logging.connect(keep_our_logging, weak=False)
    worker = app.Worker(
        concurrency=concurrency,
        pool=pool,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    runner.release()
    return int(worker.exitcode or 0)
