"""The doorbell of several computers: one Celery task that carries a job's id and nothing else.

``ring`` hands the id to a thread and returns: an unreachable broker is a line in the log, and the scheduler's sweep
rings again. The settings here hold for both ends; ``doors/jobs/celery_app`` answers the door.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:  # Celery is loaded only where the doorbell is one
    from celery import Celery

RING_TASK: Final = "consilium.ring"
QUEUE: Final = "consilium"
_WAITING_LIMIT: Final = 10_000
_FLUSH_S: Final = 2.0
_SCHEMES: Final = ("redis", "rediss", "amqp", "amqps")

log = structlog.get_logger()


def broker_url(url: str) -> str:
    """``celery+redis://…`` without its first half; raises ``ValueError`` for a scheme that we do not know."""
    plain = url.removeprefix("celery+")
    if plain.partition("://")[0] not in _SCHEMES:
        raise ValueError(
            f"A doorbell over Celery is one of {', '.join('celery+' + s + '://' for s in _SCHEMES)}."
        )
    return plain


def celery_connection(url: str) -> Celery:
    """Return the Celery application with the settings that bell and worker share: JSON, no results, no remote control."""
    from celery import Celery

    app = Celery("consilium", broker=broker_url(url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_create_missing_queues=False,
        broker_connection_timeout=2.0,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(broker_url(url)),
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=200,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=0,
    )
    return app


def _transport_options(url: str) -> dict[str, Any]:
    if url.startswith("redis"):
        return {"socket_connect_timeout": 2.0, "socket_timeout": 30.0, "retry_on_timeout": True}
    return {}


class CeleryDoorbell:
    """Sends the ring through the broker, from a thread of its own; one per process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._start()
        atexit.register(self.close)

    def ring(self, job_id: str) -> None:
        if self._pid != os.getpid():
            self._start()  # a thread does not survive a fork
        try:
            self._waiting.put_nowait(job_id)
        except queue.Full:
            log.warning("bell_lost", job=job_id, reason="too many rings wait for the broker")

    def close(self, timeout_s: float = _FLUSH_S) -> None:
        """Send what waits, for at most ``timeout_s``."""
        if self._pid == os.getpid() and self._sender.is_alive():
            self._closing.set()
            with suppress(queue.Full):
                self._waiting.put_nowait(None)
            self._sender.join(timeout_s)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._waiting: queue.Queue[str | None] = queue.Queue(_WAITING_LIMIT)
        self._closing = threading.Event()
        self._sender = threading.Thread(
            target=self._send, args=(self._waiting, self._closing), name="doorbell", daemon=True
        )
        self._sender.start()

    def _send(self, waiting: queue.Queue[str | None], closing: threading.Event) -> None:
        from kombu.exceptions import OperationalError

        app = celery_connection(self._url)
        while (job_id := waiting.get()) is not None:
            try:
                app.send_task(RING_TASK, args=[job_id], queue=QUEUE, retry=False)
            except (OperationalError, OSError) as error:
                log.warning("bell_lost", job=job_id, reason=type(error).__name__)
                if closing.is_set():
                    break  # the broker is away, and nobody waits any more
        app.close()
