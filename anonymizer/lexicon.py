"""The known identifiers of one case as a dictionary of folded words; it says what a word may be, not where it counts.

Each word of a text is looked up once and remembered, so that cleaning costs one dictionary access a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from anonymizer.folding import fold, german, loose
from anonymizer.known import Known, PersonName
from anonymizer.words import protected_text, rows, spelled, words

#: A word of letters; digits and underscores part words.
WORD = re.compile(r"[^\W\d_]+")
#: A word or a number, as the parts of phrases are compared.
PART = re.compile(r"[^\W\d_]+|\d+")
#: Scripts written without spaces between words: a known name is searched inside the run.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
#: A known name this long is found inside a longer word too ("Lindqvistska", "annalindqvist").
INSIDE = 6
#: A word cut off by a short VR is known by this many first letters.
CUT = 8
_MEMO_LIMIT = 60_000


class Strength(IntEnum):
    """When a known word is taken for the identifier that it is."""

    POSITION = 0  # only in name position: beside another part of the name, behind a title, alone in the value
    INSIDE_SENTENCE = 1  # also when capitalised inside a sentence ("kom Per idag", never "5 per dag")
    CAPITAL = 2  # whenever it begins with a capital
    CONTEXT = 3  # always, except beside the word that shows an eponym ("Hoffmann sign")
    ALWAYS = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """What one word of a text may be."""

    strength: Strength | None = None
    kind: str = "name"
    cut: bool = False  # only the beginning of a known word, or inflected
    month: int = 0
    title: bool = False
    announces: bool = False  # a title after which even an unknown capitalised word is a name
    phrases: tuple[tuple[tuple[str, ...], str], ...] = ()
    labels: tuple[tuple[tuple[str, ...], str], ...] = ()
    street: str = ""  # "end" (Storgatan), "word" (Baker Street), "lead" (ul. Długa)


_NOTHING = Entry()
_ENDINGS = frozenset(
    [
        "s",
        "es",
        "en",
        "n",
        "ens",
        "ns",
        "in",
        "ina",
        "a",
        "as",
        "et",
        "ska",
        "ske",
        "sk",
        "u",
        "y",
        "e",
        "i",
        "em",
        "om",
        "owi",
        "ego",
        "emu",
        "ej",
        "ie",
        "am",
        "ów",
        "ami",
        "ach",
        "ovi",
        "ova",
        "ova",
        "iem",
        "iej",
        "im",
        "ich",
        "un",
        "nin",
        "ni",
        "yi",
        "nun",
        "lla",
        "ssa",
        "sta",
        "lle",
        "lta",
        "a",
        "an",
        "ia",
        "la",
        "va",
        "ja",
        "ta",
    ]
)


@cache
def _months() -> dict[str, int]:
    return {fold(name): number for _, names in rows("months") for number, name in enumerate(names, start=1)}


@cache
def _labels() -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    table: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for kind, labels in rows("labels"):
        for label in labels:
            first, *rest = (fold(part) for part in PART.findall(label))
            table.setdefault(first, []).append((tuple(rest), kind))
    return {first: tuple(sorted(set(rest), key=lambda row: -len(row[0]))) for first, rest in table.items()}


@cache
def _street_endings() -> tuple[str, ...]:
    return tuple(word[1:] for word in words("street_words") if word.startswith("-"))


def _rank(word: str) -> Strength:
    """How sure a known word is to be meant as the identifier, by the lists of words."""
    if len(word) < 2 or word in words("titles"):
        return Strength.POSITION
    if word in words("clinical") or word in words("function") or word in _months():
        return Strength.INSIDE_SENTENCE
    if word in words("eponym_surnames"):
        return Strength.CONTEXT
    if word in words("eponyms"):
        return Strength.POSITION
    if len(word) == 2 or word in words("everyday"):
        return Strength.CAPITAL
    return Strength.ALWAYS


def _listed(raw: str) -> bool:
    """Whether a word stands in one of the lists with the very diacritics it has here."""
    word = raw.casefold()
    return any(
        word in spelled(name)
        for name in ("clinical", "function", "everyday", "eponyms", "eponym_surnames", "titles")
    )


def _variants(part: str) -> set[str]:
    return {fold(part), german(part)}


class Lexicon:
    """The words of `Known`, compiled."""

    def __init__(self, known: Known) -> None:
        self._words: dict[str, tuple[Strength, str]] = {}
        self._phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self._memo: dict[str, Entry | None] = {}
        self.initials: frozenset[str] = frozenset()
        self.particles: frozenset[str] = frozenset()
        self.unspaced_names: tuple[str, ...] = ()
        self._gather(known)
        self._loose: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        long_words: list[str] = []
        for word, (strength, kind) in self._words.items():
            if strength < Strength.CAPITAL or kind != "name":
                continue
            if len(word) >= 5 and len(loose(word)) >= 4:
                self._loose.setdefault(loose(word), kind)
            if len(word) >= INSIDE and word[-1] in "aeiouy":
                self._stems.setdefault(word[:-1], kind)  # Wąchocka is declined Wąchockiej
            if len(word) >= INSIDE and word.endswith("nen"):
                self._stems.setdefault(word[:-3] + "s", kind)  # Virtanen is declined Virtasen
            if len(word) >= INSIDE and strength >= Strength.CONTEXT and word not in protected_text():
                long_words.append(word)
        self.long_words = tuple(long_words)
        self._beginnings = tuple(word for word, (strength, _) in self._words.items() if len(word) > CUT)

    # -- what the known identifiers contribute --------------------------------------------------------------------
    def _gather(self, known: Known) -> None:
        names = [*known.names, *(name for person in known.people for name in person.names)]
        self.initials = frozenset(
            fold(part)[:1]
            for name in names
            for part in WORD.findall(f"{name.given} {name.middle}")
            if fold(part)
        )
        every = {
            fold(word) for name in names for word in WORD.findall(f"{name.family} {name.given} {name.middle}")
        }
        self.particles = frozenset(every & words("particles"))
        self._unspaced(names)
        for name in names:
            self._name(name)
        for address in known.addresses:
            self._phrase(address.street, "address", whole_words=True)
            for part in (address.city, address.region):
                self._phrase(part, "address")
        for institution in (*known.institutions, *(person.institution for person in known.people)):
            self._phrase(institution, "institution", whole_words=True)
        for text in known.other:
            self._phrase(text, "other")

    def _unspaced(self, names: list[PersonName]) -> None:
        found: set[str] = set()
        for name in names:
            parts = [part for part in (name.family, name.given, name.middle) if UNSPACED.search(part)]
            found |= {part for part in parts if len(part) > 1}
            if len(parts) > 1:
                found |= {"".join(parts), "".join(reversed(parts)), " ".join(parts)}
            elif parts:
                found.add(parts[0])
        self.unspaced_names = tuple(sorted(found, key=len, reverse=True))

    def _name(self, name: PersonName) -> None:
        every: list[str] = []
        for part in (name.family, name.given, name.middle):
            pieces = [
                piece
                for piece in WORD.findall(part.replace("'", "").replace("’", ""))
                if fold(piece) not in words("particles") or " " not in part
            ]
            every += pieces
            for piece in pieces:
                self._word(piece, "name")
            if len(pieces) > 1:
                self._word("".join(pieces), "name", joined=True)
            if re.search(r"['’]", part):
                for piece in WORD.findall(part):
                    if len(piece) > 3:
                        self._word(piece, "name")
        family = WORD.findall(name.family)
        given = WORD.findall(name.given)
        if family and given:
            for joined in (
                family[-1] + given[0],
                given[0] + family[-1],
                given[0][0] + family[-1],
                family[-1] + given[0][0],
            ):
                if len(fold(joined)) > 4:
                    self._word(joined, "name", joined=True)

    def _word(self, word: str, kind: str, *, joined: bool = False) -> None:
        for folded in _variants(word):
            if len(folded) < 2 and not UNSPACED.search(folded):
                continue
            rank = _rank(folded)
            if folded in words("titles") and kind == "name" and len(folded) < 4:
                continue
            if joined and rank < Strength.ALWAYS:
                continue
            held = self._words.get(folded)
            if held is None or kind == "name":
                self._words[folded] = (rank, kind)

    def _phrase(self, text: str, kind: str, *, whole_words: bool = False) -> None:
        for write in (fold, german):
            parts = tuple(folded for part in PART.findall(text) if (folded := write(part)))
            telling = [part for part in parts if self._tells(part)]
            if not parts or (not telling and len(parts) < 2):
                continue
            if len(parts) == 1:
                if not parts[0].isdigit() and len(parts[0]) > 2:
                    self._words.setdefault(parts[0], (_rank(parts[0]), kind))
                continue
            if all(part in words("clinical") for part in parts):
                continue
            held = self._phrases.setdefault(parts[0], [])
            if (parts[1:], kind) not in held:
                held.append((parts[1:], kind))
            if whole_words:
                for part in telling:
                    if len(part) > 4 and not part.isdigit():
                        self._words.setdefault(part, (_rank(part), kind))

    @staticmethod
    def _tells(part: str) -> bool:
        """Whether a word of an institution or a street points at it alone."""
        return not (
            part in words("generic_institution")
            or part in words("clinical")
            or part in words("everyday")
            or part in words("function")
            or part in words("street_words")
        )

    # -- asking ---------------------------------------------------------------------------------------------------
    def entry(self, raw: str) -> Entry | None:
        """What this word of a text may be; nothing when it is nothing special."""
        try:
            return self._memo[raw]
        except KeyError:
            if len(self._memo) > _MEMO_LIMIT:
                self._memo.clear()
            judged = self._judge(fold(raw), raw)
            held = self._memo[raw] = judged if judged != _NOTHING else None
            return held

    def is_title(self, raw: str) -> bool:
        held = self.entry(raw)
        return held is not None and held.title

    def _judge(self, word: str, raw: str) -> Entry:
        strength, kind, cut = self._strength(word)
        if strength is not None and strength < Strength.ALWAYS and not raw.isascii() and not _listed(raw):
            strength = Strength.ALWAYS  # "Åsa" is no "ASA"
        street = ""
        if word in words("street_words"):
            street = "word"
        elif word in ("ul", "ulica", "calle", "rue", "via", "piazza", "ulitsa"):
            street = "lead"
        elif len(word) > 5 and word.endswith(_street_endings()) and word not in words("clinical"):
            street = "end"
        return Entry(
            strength=strength,
            kind=kind,
            cut=cut,
            month=_months().get(word, 0),
            title=word in words("titles"),
            announces=word in words("recognised_titles"),
            phrases=tuple(sorted(self._phrases.get(word, ()), key=lambda row: -len(row[0]))),
            labels=_labels().get(word, ()),
            street=street,
        )

    def _strength(self, word: str) -> tuple[Strength | None, str, bool]:
        held = self._words.get(word)
        if held is not None:
            return held[0], held[1], False
        if len(word) < 4 or word in words("clinical") or word in words("eponyms"):
            return None, "name", False
        short = self._words.get(word[:-1]) if len(word) < 5 and word.endswith("s") else None
        if short and short[0] >= Strength.INSIDE_SENTENCE:
            return min(short[0], Strength.CAPITAL), short[1], True  # Åsas remiss
        for size in (1, 2, 3):
            stem = self._words.get(word[:-size]) if len(word) - size >= 4 else None
            if stem and stem[0] >= Strength.CAPITAL and word[-size:] in _ENDINGS:
                return min(stem[0], Strength.CONTEXT), stem[1], True
            if word[:-size] in self._stems and word[-size:] in _ENDINGS:
                return Strength.CONTEXT, self._stems[word[:-size]], True
        if len(word) >= 5 and loose(word) in self._loose:
            return Strength.CONTEXT, self._loose[loose(word)], False
        if len(word) >= CUT and any(known.startswith(word) for known in self._beginnings):
            return Strength.CONTEXT, "name", True
        if any(known in word for known in self.long_words):
            return Strength.ALWAYS, "name", False
        return None, "name", False

    def begins(self, word: str, *, at_least: int) -> bool:
        """Whether a cut-off last word is the beginning of a known one."""
        word = fold(word)
        if len(word) < at_least or word in words("clinical") or word in words("function"):
            return False
        return any(
            len(known) > len(word) and known.startswith(word)
            for known, (strength, kind) in self._words.items()
            if kind == "name" and strength >= Strength.CAPITAL
        )
