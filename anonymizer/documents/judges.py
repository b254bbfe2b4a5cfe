"""What judges the words of one case's documents, compiled once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from anonymizer.documents.misread import Misread
from anonymizer.known import Known
from anonymizer.text import Scrubber


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """``scrubber`` cleans and moves dates; ``plain`` judges what was cleaned already; ``misread`` forgives OCR."""

    scrubber: Scrubber
    plain: Scrubber
    misread: Misread


@lru_cache(maxsize=8)
def judges_for(known: Known, shift_days: int) -> Judges:
    return Judges(
        scrubber=Scrubber(known, shift_days=shift_days), plain=Scrubber(known), misread=Misread(known)
    )
