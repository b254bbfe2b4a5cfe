"""Asks again what may be asked twice, a few times and not for long."""

import time
from collections.abc import Callable
from random import SystemRandom
from typing import TypeVar

from storage.objects.s3_errors import Kind, S3RefusalError

R = TypeVar("R")

ATTEMPTS = 4
FIRST_WAIT_S, FACTOR = 0.1, 4.0
LONGEST_S = 20.0
MAY_BE_REPEATED: frozenset[Kind] = frozenset({"outage", "again"})
NOT_DONE: frozenset[Kind] = frozenset({"again"})
"""The server says that it did nothing, so even what may be done only once may be asked again."""
_random = SystemRandom().random


def patiently(
    ask: Callable[[], R], *, attempts: int = ATTEMPTS, after: frozenset[Kind] = MAY_BE_REPEATED
) -> R:
    """Call `ask` until it answers: again only after a refusal of those kinds, `attempts` times, none begun after 20 s.

    Waits grow from 0.1 s by four, with jitter, so that many senders do not come back in step.
    """
    ends, wait_s = time.monotonic() + LONGEST_S, FIRST_WAIT_S
    while True:
        attempts -= 1
        try:
            return ask()
        except S3RefusalError as refusal:
            if refusal.kind not in after or attempts <= 0 or time.monotonic() + wait_s > ends:
                raise
        time.sleep(wait_s * (0.5 + _random()))
        wait_s *= FACTOR
