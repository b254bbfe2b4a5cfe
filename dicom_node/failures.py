"""Logging of what went wrong inside us: the kind of error and the lines it passed, never its text or values."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger("dicom_node")


def note(event: str, exc: BaseException, **ids: str) -> None:
    """Log `event` with ids; an exception's message may quote a data set, so only its type and its way are told."""
    way = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(exc.__traceback__)[-6:]]
    log.error(event, error=type(exc).__name__, errno=getattr(exc, "errno", None), way=way, **ids)
