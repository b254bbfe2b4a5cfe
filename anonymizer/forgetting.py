"""Drops what this process remembers of any case's words: for whoever ends a case in a process that lives on.

Judging a study is quick because each word is judged once; what is remembered so holds names and numbers. A sandboxed task
and a worker of a folder end with their memory, the gateway and a program that calls `offline` do not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: A row per memory that is keyed by words of a case. Our own tables and a standard's terms are not forgotten.
MEMORIES: Final = (
    ("anonymizer.actions", "actor_for"),
    ("anonymizer.cleaner", "cleaner_for"),
    ("anonymizer.verify", "_verifier"),
    ("anonymizer.verify", "_scan"),
    ("anonymizer.pixels.judge", "judge_for"),
    ("anonymizer.documents.judges", "judges_for"),
    ("anonymizer.folding", "fold"),
    ("anonymizer.folding", "loose"),
    ("anonymizer.folding", "skeleton"),
    ("anonymizer.beside", "kinds_beside"),
    ("anonymizer.charset", "charset_for"),
    ("anonymizer.harvest", "_in_prose"),
    ("anonymizer.likeness", "_endings"),
    ("anonymizer.likeness", "protected"),
    ("anonymizer.pseudonyms", "folded_name"),
    ("anonymizer.structured_report", "concept_handling"),
)


def forget() -> None:
    """Empty them all. A module that was never loaded remembers nothing, and is not loaded for this."""
    for name, memory in MEMORIES:
        if module := sys.modules.get(name):
            getattr(module, memory).cache_clear()
    if cleaning := sys.modules.get("anonymizer.offline.cleaning"):
        cleaning.end()


@contextmanager
def forgetting_afterwards() -> Iterator[None]:
    """Forget when the work is done, or has failed."""
    try:
        yield
    finally:
        forget()
