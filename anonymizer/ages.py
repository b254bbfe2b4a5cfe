"""Finds ages over 89 in prose, which are told as 90 (PS3.15 E.3.10, 45 CFR 164.514); it leaves every other age as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from anonymizer.folding import fold
from anonymizer.words import rows

CAPPED = "90"
_OLDEST = 130
_AGE = re.compile(r"(?<![\w.,:/<>=+-])(9[1-9]|1[0-2]\d)(?=[\s\u00a0]?[-\u2010\u2011]?[\s\u00a0]?([^\W\d_]+))")
_AFTER_AGE = re.compile(
    r"(?<![^\W_])(?:aged?|ålder|alter|age|edad|wiek|ikä|yaş|возраст|(?-i:lat))[\s:=]{1,3}(9[1-9]|1[0-2]\d)(?![\d.,/%])(?!\s?(?:mm|cm|kg|mg))",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"y\s?/\s?o|J\.")


@cache
def _words() -> frozenset[str]:
    return frozenset(fold(word) for _, row in rows("age_words") for word in row)


def old_ages(text: str) -> Iterator[tuple[int, int]]:
    """Where an age over 89 stands: the offsets of its digits."""
    for found in _AGE.finditer(text):
        if fold(found[2]) in _words() or _BETWEEN.match(text, found.start(2)):
            yield found.span(1)
    for found in _AFTER_AGE.finditer(text):
        yield found.span(1)
