"""Takes identifiers out of prose and leaves the clinical words; it reads text only, never a file or a data set.

Order of methods (PS3.15 E.3.5 leaves it open): known identifiers of the case, then patterns with check digits, then
labelled values; every other date is moved by the case's days.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from anonymizer.ages import CAPPED, old_ages
from anonymizer.damaged import Damaged
from anonymizer.eastern_dates import birth_forms
from anonymizer.eastern_places import EasternPlaces
from anonymizer.folding import Normal, digits_like, fold, german
from anonymizer.known import Known
from anonymizer.labels import LabelReader
from anonymizer.lexicon import PART, WORD, Lexicon
from anonymizer.mentions import sign_codes
from anonymizer.names import CUT_LENGTHS, NameFinder, Token
from anonymizer.numbers import Numbers
from anonymizer.prose_dates import DateFinder
from anonymizer.recognisers import unknown_links, unknown_numbers
from anonymizer.signed import signatures

#: What stands in the place of each kind; stable, and short enough for a 16-character VR.
PLACEHOLDERS: Mapping[str, str] = {
    "name": "[name]",
    "number": "[number]",
    "birth_date": "[date]",
    "phone": "[phone]",
    "email": "[email]",
    "address": "[address]",
    "institution": "[institution]",
    "link": "[link]",
    "other": "[removed]",
}
#: A shifted date, or an age over 89 told as 90: the only kind whose replacement is not a placeholder.
DATE = "date"
#: When stretches overlap, the kind named first is told.
_RANK = {kind: rank for rank, kind in enumerate(("number", "birth_date", "email", "phone", "name", "address", "institution", "other", "link", DATE))}  # fmt: skip
_WORDS_OF_PLACEHOLDERS = frozenset(text.strip("[]") for text in PLACEHOLDERS.values())
_DIGIT = re.compile(r"[\d月]")  # dates may be in Chinese numerals
_BETWEEN_NAMES = re.compile(r"[\s,.^=_'’\-\u2010-\u2015]{0,3}")
_LINE = re.compile(r"[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")  # as str.splitlines parts them
_PASSES = 5


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
    """The known identifiers of one case, compiled once; pure and safe to share between threads."""

    def __init__(self, known: Known, *, shift_days: int = 0) -> None:
        self.known = known
        self.shift_days = shift_days
        self._lexicon = Lexicon(known)
        self._names = NameFinder(self._lexicon)
        self._damaged = Damaged(self._lexicon)
        self._labels = LabelReader(self._lexicon)
        self._numbers = Numbers(known)
        self._eastern = EasternPlaces(known)
        self._dates = DateFinder(known.birth_dates, shift_days)
        emails = [
            email
            for email in (*known.emails, *(mail for person in known.people for mail in person.emails))
            if email
        ]
        literal = {
            form.casefold() for email in emails for form in (email, email.partition("@")[0]) if len(form) > 5
        }
        literal |= set(self._numbers.letters)
        self._literals = (
            re.compile("|".join(map(re.escape, sorted(literal, key=len, reverse=True))), re.IGNORECASE)
            if literal
            else None
        )
        self._kept: dict[str, list[tuple[str, ...]]] = {}
        for text in known.kept:
            if words := _parts(text):
                self._kept.setdefault(words[0], []).append(words)

    def spans(self, text: str) -> list[Span]:
        """Every stretch to replace, in order, none overlapping."""
        return self._spans(text)

    def _spans(self, text: str, *, shift: bool = True) -> list[Span]:
        normal = Normal(text)
        plain = normal.text
        entry = self._lexicon.entry
        tokens = [
            Token(match.start(), match.end(), raw, held)
            for match in WORD.finditer(plain)
            if (held := entry(raw := match.group()))
        ]
        if "[" in plain:
            tokens = [token for token in tokens if not _inside_placeholder(plain, token)]
        found: list[tuple[int, int, str, bool, str]] = []
        if tokens or self._lexicon.unspaced_names or len(plain) in CUT_LENGTHS:
            found += [(*hit, True, "") for hit in self._names.known(plain, tokens)]
            found += [(*hit, False, "") for hit in self._labels.unknown(plain, tokens)]
        found += [(*hit, True, "") for hit in self._damaged.find(plain, tokens)]
        if not plain.isascii():
            found += [(*hit, True, "") for hit in self._eastern.find(plain)]
        if self._literals:
            found += [
                (hit.start(), hit.end(), "email" if "@" in hit.group() else "other", True, "")
                for hit in self._literals.finditer(plain)
            ]
        found += [(*place, "name", False, "") for place in (*sign_codes(plain), *signatures(plain))]
        found += [(*hit, False, "") for hit in unknown_links(plain)]
        if _DIGIT.search(plain):
            found += [(*hit, True, "") for hit in self._numbers.find(plain)]
            born_here = self._labels.birth_labels(plain, tokens) if tokens else set()
            months = [(token.start, token.end) for token in tokens if token.entry.month]
            for day in self._dates.find(plain, months):
                if day.born or day.told or day.start in born_here:
                    found.append((day.start, day.end, "birth_date", day.born, ""))
                elif shift and self.shift_days:
                    found.append((day.start, day.end, DATE, False, day.shifted))
            if shift:
                found += [(*age, DATE, False, CAPPED) for age in old_ages(plain)]
            days = _Taken((start, end) for start, end, kind, *_ in found if kind == DATE)
            found += [
                (*hit, False, "")
                for hit in unknown_numbers(plain)
                if hit[2] != "phone" or plain[hit[0]] == "+" or not days.touches(hit[0], hit[1])
            ]
        spans = self._without_kept(text, _settled(found, plain, normal, text)) if found else []
        return self._with_lines(text, spans) if "\n" in text or "\r" in text else spans

    def _without_kept(self, text: str, spans: list[Span]) -> list[Span]:
        """Let stand what a human judged not to identify; a date still moves with the others."""
        if not self._kept:
            return spans
        stays: list[tuple[int, int]] = []
        parts = [(*found.span(), fold(found.group())) for found in PART.finditer(text)]
        for first, (start, _, word) in enumerate(parts):
            stays += [
                (start, parts[first + len(kept) - 1][1])
                for kept in self._kept.get(word, ())
                if tuple(folded for *_, folded in parts[first : first + len(kept)]) == kept
            ]
        return [
            span
            for span in spans
            if span.kind == DATE or not any(start <= span.start and span.end <= end for start, end in stays)
        ]

    def _with_lines(self, text: str, spans: list[Span]) -> list[Span]:
        """Add what is an identifier in a line read alone: a name that is all of its line, a number cut off at its end."""
        taken = _Taken((span.start, span.end) for span in spans)
        more: list[Span] = []
        for line in _LINE.finditer(text):
            for span in self._spans(line.group(), shift=False):
                start, end = span.start + line.start(), span.end + line.start()
                if not taken.touches(start, end):
                    more.append(Span(start, end, span.kind, span.replacement, span.known))
        return sorted(spans + more, key=lambda span: span.start) if more else spans

    def clean(self, text: str) -> Cleaned:
        """Replace every span; a second cleaning without shifting finds nothing more."""
        spans = self._spans(text)
        if not spans:
            return Cleaned(text=text)
        kinds: dict[str, int] = {}
        shift = True
        for _ in range(_PASSES):
            text = _replaced(text, spans, kinds)
            # What a replacement brings together may be an identifier in turn, so the result is read again.
            shift = False
            spans = self._spans(text, shift=shift)
            if not spans:
                return Cleaned(text=text, hits=sum(kinds.values()), kinds=kinds)
        return Cleaned(
            text=PLACEHOLDERS["other"],
            hits=sum(kinds.values()) + 1,
            kinds={**kinds, "other": kinds.get("other", 0) + 1},
        )

    def finds(self, text: str) -> bool:
        """Whether anything would be replaced by a placeholder (a date that is only shifted does not count)."""
        return bool(self._spans(text, shift=False))

    def known_left(self, text: str) -> bool:
        """Whether a known identifier of the case stands in this text."""
        return any(span.known for span in self._spans(text, shift=False))

    def unsure(self, text: str) -> list[Span]:
        """Capitalised words that are a known name and a clinical word alike, and are left standing: for a human to judge."""
        plain = Normal(text)
        taken = _Taken((span.start, span.end) for span in self._spans(text, shift=False))
        words = (
            (*plain.origin(match.start(), match.end()), entry)
            for match in WORD.finditer(plain.text)
            if not match.group()[0].islower() and (entry := self._lexicon.entry(match.group()))
        )
        unsure = [
            Span(start, end, entry.kind)
            for start, end, entry in words
            if entry.strength is not None and end - start > 2 and not taken.touches(start, end)
        ]
        return self._without_kept(text, unsure)

    def byte_needles(self) -> tuple[bytes, ...]:
        """The known identifiers that are long enough to be looked for in raw bytes, in four encodings and three cases."""
        # Ten digits: contours and other numbers written in letters hold any shorter run of digits sooner or later.
        texts = {form for form in self._numbers.needles if len(form) >= (10 if form.isdigit() else 8)}
        texts |= {email for email in self.known.emails if len(email) > 5}
        texts.update(*map(birth_forms, self.known.birth_dates))
        numbers = {form for text in texts for form in (text, text.upper(), text.lower(), fold(text))}
        for name in self.known.all_names:
            for part in (name.family, name.given):
                pieces = WORD.findall(part)
                texts |= {
                    piece for piece in pieces if {fold(piece), german(piece)} & set(self._lexicon.long_words)
                }
            if len(name.family) > 2 and len(name.given) > 2:
                texts |= {
                    f"{name.given} {name.family}",
                    f"{name.family}^{name.given}",
                    f"{name.family}, {name.given}",
                }
        kept = [f" {' '.join(parts)} " for several in self._kept.values() for parts in several]
        texts = {text for text in texts if not any(f" {' '.join(_parts(text))} " in one for one in kept)}
        cased = {form for text in texts for form in (text, text.upper(), text.lower(), fold(text))}
        cased = {form for form in cased if form in numbers or self._goes(form)}
        needles: set[bytes] = set()
        for text in cased:
            for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
                try:
                    needles.add(text.encode(encoding))
                except UnicodeEncodeError:
                    continue
        return tuple(sorted(needle for needle in needles if len(needle) > 5 and len(set(needle) - {0}) > 2))

    def _goes(self, form: str) -> bool:
        """Whether a name so written goes out of every text; what may rightly stay ("Vänster") proves no leak in bytes."""
        text = f"MM {form} MM"
        spans = self._spans(text, shift=False)
        return any(span.start <= 3 and 3 + len(form) <= span.end for span in spans)


class _Taken:
    """Stretches that do not overlap one another, asked whether another touches one of them."""

    def __init__(self, stretches: Iterable[tuple[int, int]]) -> None:
        self._stretches = sorted(stretches)

    def touches(self, start: int, end: int) -> bool:
        index = bisect_left(self._stretches, (end, 0)) - 1
        return index >= 0 and self._stretches[index][1] > start


def _parts(text: str) -> tuple[str, ...]:
    """The folded words and numbers of a stretch, as kept words are compared."""
    return tuple(map(fold, PART.findall(Normal(text).text)))


def _inside_placeholder(text: str, token: Token) -> bool:
    return (
        token.raw in _WORDS_OF_PLACEHOLDERS
        and text[token.start - 1 : token.start] == "["
        and text[token.end : token.end + 1] == "]"
    )


def _settled(
    found: list[tuple[int, int, str, bool, str]], plain: str, normal: Normal, source: str
) -> list[Span]:
    """Join what overlaps, and names that stand together; turn offsets back to the source."""
    removed = sorted(
        (hit for hit in found if hit[2] != DATE and hit[0] < hit[1]), key=lambda hit: (hit[0], -hit[1])
    )
    joined: list[tuple[int, int, str, bool, str]] = []
    for hit in removed:
        if joined:
            start, end, kind, known, _ = joined[-1]
            touching = hit[0] < end
            if touching or (hit[2] == kind == "name" and _BETWEEN_NAMES.fullmatch(plain, end, hit[0])):
                told = min(kind, hit[2], key=_RANK.__getitem__)
                joined[-1] = (start, max(end, hit[1]), told, known or hit[3], "")
                continue
        joined.append(hit)
    taken = _Taken((hit[0], hit[1]) for hit in joined)
    joined += [hit for hit in found if hit[2] == DATE and not taken.touches(hit[0], hit[1])]
    joined.sort()
    spans: list[Span] = []
    for start, end, kind, known, shifted in joined:
        first, last = normal.origin(start, end)
        if spans and first < spans[-1].end:
            held = spans[-1]
            spans[-1] = Span(
                held.start, max(held.end, last), held.kind, held.replacement, held.known or known
            )
            continue
        written = digits_like(shifted, source[first:last]) if kind == DATE else PLACEHOLDERS[kind]
        spans.append(Span(first, last, kind, written, known))
    return spans


def _replaced(text: str, spans: list[Span], kinds: dict[str, int]) -> str:
    pieces: list[str] = []
    at = 0
    for span in spans:
        pieces += [text[at : span.start], span.replacement]
        at = span.end
        kinds[span.kind] = kinds.get(span.kind, 0) + 1
    pieces.append(text[at:])
    return "".join(pieces)
