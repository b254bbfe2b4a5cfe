"""Which words announce people and institutions beside them; `mentions` reads what they announce."""

from __future__ import annotations

from functools import cache

from anonymizer.folding import fold
from anonymizer.words import rows, words


@cache
def kinds_beside(word: str) -> tuple[str, ...]:
    """What a folded word may announce."""
    places = {key: frozenset(map(fold, row)) for key, row in rows("hospital_words")}
    every = (
        ("relative", word in words("relations")),
        ("office", word in words("roles")),
        ("given", word in words("given_names")),
        ("before", word in places["before"]),
        ("behind", word in places["after"]),
    )
    return tuple(kind for kind, holds in every if holds)
