"""Which words announce people and institutions beside them; `mentions` reads what they announce."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
        ("short", word in words("given_short")),
        ("staff", word in words("staff")),
        ("maiden", word in words("maiden")),
        ("before", word in places["before"]),
        ("behind", word in places["after"]),
    )
    return tuple(kind for kind, holds in every if holds)


def initials_beside(groups: Iterable[str]) -> re.Pattern[str] | None:
    """The patient's initials as a code beside the word that says whose they are: "Pat GB", "Patient G.B."."""
    codes = "|".join(
        r"\.?\s?".join(map(re.escape, group.upper()))
        for group in sorted(set(groups) - words("clinical"), key=lambda one: (-len(one), one))
    )
    said = (
        "[Pp]at(?:ient(?:en|in|ka)?)?|PAT(?:IENT)?|[Pp]t|PT|[Pp]otilas|[Pp]acjent(?:ka)?|[Pp]aciente|[Hh]asta"
    )
    pattern = rf"(?<![^\W_])(?:{said})[.:]?[\s_-]{{1,2}}((?:{codes})\.?)(?![^\W_])"
    return re.compile(pattern) if codes else None
