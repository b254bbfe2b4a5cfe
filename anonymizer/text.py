"""Takes identifiers out of prose and leaves the clinical words; it reads text only, never a file or a data set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from anonymizer.known import Known


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text that must not leave: offsets into the text as given, and what shall stand there instead."""

    start: int
    end: int
    kind: str
    replacement: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A text without identifiers: how many stretches went, and how many of each kind (never their values)."""

    text: str
    hits: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)


class Scrubber:
    """The known identifiers of one case, compiled once."""

    def __init__(self, known: Known, *, shift_days: int = 0) -> None:
        self.known = known
        self.shift_days = shift_days
        words = {
            w
            for n in known.names
            for part in (n.family, n.given, n.middle)
            for w in part.split()
            if len(w) > 1
        }
        self._words = re.compile(r"\b(?:" + "|".join(map(re.escape, words)) + r")\b", re.I) if words else None

    def spans(self, text: str) -> list[Span]:
        if self._words is None:
            return []
        return [Span(m.start(), m.end(), "name", "[name]") for m in self._words.finditer(text)]

    def clean(self, text: str) -> Cleaned:
        """Replace every span; idempotent when no days are shifted."""
        pieces, at, kinds = [], 0, dict[str, int]()
        for span in self.spans(text):
            pieces += [text[at : span.start], span.replacement]
            at = span.end
            kinds[span.kind] = kinds.get(span.kind, 0) + 1
        return Cleaned(text="".join(pieces) + text[at:], hits=sum(kinds.values()), kinds=kinds)

    def finds(self, text: str) -> bool:
        return bool(self.spans(text))

    def known_left(self, text: str) -> bool:
        return any(span.known for span in self.spans(text))

    def byte_needles(self) -> tuple[bytes, ...]:
        words = {n.family for n in self.known.names if len(n.family) > 5}
        return tuple(word.encode() for word in words)
