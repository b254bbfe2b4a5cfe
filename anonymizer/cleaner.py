"""The case's `Scrubber` with a memory of what it has already judged; the judgement itself is `text`'s.

A study repeats its words in every slice: each distinct value is judged once per process and case.
"""

from __future__ import annotations

from functools import lru_cache

from anonymizer.byte_scan import Needles
from anonymizer.known import Known
from anonymizer.pseudonyms import folded_name
from anonymizer.text import Scrubber

MEMORY = 20_000
LONGEST_GLUED = 128


def unglued(text: str) -> str:
    """Words that were written as one ("KNEE8CHZammitell"), parted where a capital begins at least four letters."""
    return "".join(
        f" {sign}"
        if at and sign.isupper() and text[at - 1].isalnum() and _goes_on(text[at + 1 : at + 4])
        else sign
        for at, sign in enumerate(text)
    )


def _goes_on(letters: str) -> bool:
    return len(letters) == 3 and letters.isalpha() and letters.islower()


class Cleaner:
    """Judges text for one case; equal questions are answered from memory."""

    def __init__(self, known: Known, shift_days: int) -> None:
        self._scrubber = Scrubber(known, shift_days=shift_days)
        self.patient_names = frozenset(
            folded_name(f"{name.family} {name.given} {name.middle}") for name in known.names
        ) | frozenset(folded_name(f"{name.family} {name.given}") for name in known.names)
        self.clean = lru_cache(maxsize=MEMORY)(self._clean)
        self.known_left = lru_cache(maxsize=MEMORY)(self._scrubber.known_left)
        self.finds = lru_cache(maxsize=MEMORY)(self._scrubber.finds)
        self._needles: Needles | None = None

    def _clean(self, text: str) -> tuple[str, int]:
        cleaned = self._scrubber.clean(text)
        if len(text) <= LONGEST_GLUED:
            parted = unglued(cleaned.text)
            if parted != cleaned.text and self._scrubber.known_left(parted):
                again = self._scrubber.clean(parted)
                return again.text, cleaned.hits + again.hits
        return cleaned.text, cleaned.hits

    @property
    def needles(self) -> Needles:
        if self._needles is None:
            self._needles = Needles(self._scrubber.byte_needles())
        return self._needles


@lru_cache(maxsize=4)
def cleaner_for(known: Known, shift_days: int) -> Cleaner:
    """The cleaner of a case; a few are remembered, so that one case's objects share it."""
    return Cleaner(known, shift_days)
