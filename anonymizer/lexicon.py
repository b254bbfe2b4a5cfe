"""The known identifiers of one case as a dictionary of folded words; it says what a word may be, not where it counts.

Each word of a text is looked up once and remembered, so that cleaning costs one dictionary access a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from anonymizer.beside import initials_beside, kinds_beside
from anonymizer.folding import Normal, fold, german
from anonymizer.known import Known, PersonName
from anonymizer.likeness import Likeness
from anonymizer.likeness import protected as is_protected
from anonymizer.phrases import called_after, tells
from anonymizer.places import address_numbers, address_phrases, street_forms
from anonymizer.strength import Strength, listed, months, rank
from anonymizer.words import rows, words

#: A word of letters; digits and underscores part words.
WORD = re.compile(r"[^\W\d_]+")
#: A word or a number, as the parts of phrases are compared.
PART = re.compile(r"[^\W\d_]+|\d+")
#: Scripts written without spaces between words: a known name is searched inside the run.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_LATIN = re.compile("[A-Za-z\u00aa-\u024f\u1e00-\u1eff]")
_MEMO_LIMIT = 60_000


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
    begins: bool = False  # the first letters of a known name, which a hyphen or a line break may have parted
    beside: tuple[
        str, ...
    ] = ()  # what it announces of people and institutions nobody told us of (`mentions`)
    # "end" (Storgatan), "doubtful" (Rückweg), "word" (Baker Street), "lead" (ul. Długa), "between" (Atatürk Caddesi 12)
    street: str = ""


_NOTHING = Entry()
_BEFORE_APOSTROPHE = re.compile(r"(?<![^\W_])([^\W\d_])['’`´]")
_ENDING_LETTERS = frozenset("aeinosuy")


def _firsts(parts: Iterable[str]) -> Iterator[str]:
    return (fold(word)[:1] for part in parts for word in WORD.findall(part) if fold(word))


def _initial_groups(name: PersonName) -> set[str]:
    """Initials written together, of two letters or three: "AM", "AML", "LAM", "AL"."""
    given, family = "".join(_firsts([name.given, name.middle])), "".join(_firsts([name.family]))
    groups = {given, given[:1] + family, given + family, family + given, family + given[:1]}
    return {group for group in groups if 1 < len(group) < 5}


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


@cache
def _no_street_endings() -> tuple[str, ...]:
    return tuple(word[1:] for word in words("no_streets") if word.startswith("-"))


def _street_end(word: str) -> str:
    """Whether a word ends as a street does: "end", "doubtful" for one that also is a word ("Rückweg 7"), "" for none ("Sortie 3")."""
    if len(word) < 6 or not word.endswith(_street_endings()) or word in words("clinical"):
        return ""
    if word in words("no_streets"):
        return "doubtful"
    return "" if word.endswith(_no_street_endings()) else "end"


def _variants(part: str) -> set[str]:
    return {fold(part), german(part)}


class Lexicon:
    """The words of `Known`, compiled."""

    def __init__(self, known: Known) -> None:
        self._words: dict[str, tuple[Strength, str]] = {}
        self._joined_words: set[str] = set()
        self._phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self._memo: dict[str, Entry | None] = {}
        self.unspaced_names: tuple[str, ...] = ()
        self.names = known.all_names
        self._initials(self.names, known.names)
        self._gather(known, self.names)
        self._likeness = Likeness(self._words, self._joined_words, self.spelled)
        self.long_words = self._likeness.long_words

    # -- what the known identifiers contribute --------------------------------------------------------------------
    def _initials(self, names: tuple[PersonName, ...], patients: tuple[PersonName, ...]) -> None:
        """Initials, particles and roles: what may stand beside a name and belongs to it."""
        self.initials = frozenset(_firsts(f"{name.given} {name.middle}" for name in names))
        self.family_initials = frozenset(_firsts(name.family for name in names))
        self.given_words = frozenset(
            fold(word) for name in names for word in WORD.findall(f"{name.given} {name.middle}")
        )
        family = {fold(word) for name in names for word in WORD.findall(name.family)}
        particles = (family | self.given_words) & words("particles")
        apart = {
            fold(part) for name in names for part in _BEFORE_APOSTROPHE.findall(f"{name.family} {name.given}")
        }
        self.particles = frozenset(particles | apart | ({"al", "el"} if particles & {"al", "el"} else set()))
        self.initial_groups = frozenset(group for name in names for group in _initial_groups(name))
        whole = (name for name in patients if name.family and name.given)
        self.patient_initials = initials_beside(group for name in whole for group in _initial_groups(name))
        self.pairs = frozenset(
            pair
            for name in names
            for one in WORD.findall(name.given)
            for other in WORD.findall(name.family)
            for pair in ((fold(one), fold(other)), (fold(other), fold(one)))
            if not (words("function") | words("no_names")) & set(pair)
        )
        self.spelled = frozenset(
            piece for name in names for piece in WORD.findall(f"{name.family} {name.given} {name.middle}")
        )

    def _gather(self, known: Known, names: tuple[PersonName, ...]) -> None:
        self._unspaced(names)
        self._patients = frozenset(
            fold(word)
            for name in known.names
            for word in WORD.findall(f"{name.family} {name.given} {name.middle}")
        )
        for name in names:
            self._name(name)
        self.address_numbers = address_numbers(known.addresses)
        for address in known.addresses:
            for part, whole in address_phrases(address):
                self._phrase(part, "address", whole_words=whole)
        for institution in (*known.institutions, *(person.institution for person in known.people)):
            self._phrase(institution, "institution", whole_words=True)
        for text in known.other:
            self._phrase(text, "other")

    def _unspaced(self, names: tuple[PersonName, ...]) -> None:
        found: set[str] = set()
        for name in names:
            every = (Normal(part).text for part in (name.family, name.given, name.middle))
            parts = [part for part in every if UNSPACED.search(part)]
            found |= {part for part in parts if len(part) > 1}
            if len(parts) > 1:
                found |= {"".join(parts), "".join(reversed(parts)), " ".join(parts)}
            elif parts:
                found.add(parts[0])
        self.unspaced_names = tuple(sorted(found, key=len, reverse=True))

    def _name(self, name: PersonName) -> None:
        for part in (name.family, name.given, name.middle):
            bare = re.sub("['’`´]", "", part)
            every = WORD.findall(bare)
            pieces = [
                piece
                for piece in every
                if len(every) == 1
                or not (fold(piece) in words("particles") or fold(piece) in words("recognised_titles"))
            ]
            for piece in pieces:
                self._word(piece, "name")
            if len(pieces) > 1:
                self._word("".join(pieces), "name", joined=True)
                if "-" in part:
                    self._phrases.setdefault(fold(pieces[0]), []).append(
                        (tuple(map(fold, pieces[1:])), "name")
                    )
            if len(every) > len(pieces) > 0:
                self._word("".join(every), "name", joined=True)
            if bare != part:
                for piece in WORD.findall(part):
                    if len(piece) > 3:
                        self._word(piece, "name")
        family = WORD.findall(name.family)
        given = [piece for piece in WORD.findall(name.given) if fold(piece) not in words("recognised_titles")]
        if family and given:
            self._joined(family[-1], given[0])

    def _joined(self, family: str, given: str) -> None:
        """Both names in one word; with an initial only where that is no ending ("Gross" and E make "grosse")."""
        for joined in (family + given, given + family, given[0] + family):
            if len(fold(joined)) > 4:
                self._word(joined, "name", joined=True)
        for name, other in ((family, given), (given, family)):
            if len(name) > 3 and fold(other[0]) not in _ENDING_LETTERS:
                self._word(name + other[0], "name", joined=True)

    def _word(self, word: str, kind: str, *, joined: bool = False) -> None:
        for folded in _variants(word):
            if len(folded) < 2 and not UNSPACED.search(folded):
                continue
            strength = rank(folded)
            if (
                strength is Strength.POSITION
                and kind == "name"
                and folded in self._patients
                and folded in words("eponyms")
            ):
                strength = (
                    Strength.CONTEXT
                )  # the patient's own eponym goes, save beside the word that shows the eponym
            if folded in words("titles") and kind == "name" and len(folded) < 4:
                continue
            if joined and (strength < Strength.ALWAYS or is_protected(folded)):
                continue
            held = self._words.get(folded)
            if joined and held is None:
                self._joined_words.add(folded)
            elif not joined:
                self._joined_words.discard(folded)
            if held is None or kind == "name":
                self._words[folded] = (strength, kind)

    def _phrase(self, text: str, kind: str, *, whole_words: bool = False) -> None:
        for write in (fold, german):
            whole = tuple(folded for part in PART.findall(text) if (folded := write(part)))
            for parts in street_forms(whole) if kind == "address" else {whole}:
                self._parts(parts, kind, whole_words=whole_words)
            for parts in called_after(whole) if kind == "institution" else ():
                self._parts(parts, kind, whole_words=False)

    def _parts(self, parts: tuple[str, ...], kind: str, *, whole_words: bool) -> None:
        telling = [part for part in parts if tells(part)]
        if len(parts) == 1 and len(parts[0]) > 2 and not parts[0].isdigit():
            if telling:
                self._words.setdefault(parts[0], (rank(parts[0]), kind))
            elif kind == "address" and parts[0] in words("everyday"):
                self._words.setdefault(
                    parts[0], (Strength.INSIDE_SENTENCE, kind)
                )  # "bor i Lund", never "en lund"
        if len(parts) < 2 or all(part in words("clinical") for part in parts):
            return
        held = self._phrases.setdefault(parts[0], [])
        if (parts[1:], kind) not in held:
            held.append((parts[1:], kind))
        if whole_words:
            for part in telling:
                if len(part) > 4 and not part.isdigit():
                    self._words.setdefault(part, (rank(part), kind))

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

    def exact(self, raw: str) -> Strength | None:
        """How sure a word is that is a known name letter by letter."""
        held = self._words.get(fold(raw))
        return held[0] if held and held[1] == "name" else None

    def is_title(self, raw: str) -> bool:
        held = self.entry(raw)
        return held is not None and held.title

    def _judge(self, word: str, raw: str) -> Entry:
        strength, kind, cut = self._strength(word, raw)
        exact = word in self._words and _LATIN.match(raw) is not None
        if (
            exact
            and strength is not None
            and strength < Strength.ALWAYS
            and not raw.isascii()
            and not listed(raw)
        ):
            strength = Strength.ALWAYS  # "Åsa" is no "ASA"
        if word in words("street_words"):
            street = "word"
        elif word in words("street_leads"):
            street = "lead"
        elif word in words("street_tails"):
            street = "between"
        else:
            street = _street_end(word)
        return Entry(
            strength=strength,
            kind=kind,
            cut=cut,
            month=months().get(word, 0),
            title=word in words("titles"),
            announces=word in words("recognised_titles"),
            phrases=tuple(sorted(self._phrases.get(word, ()), key=lambda row: -len(row[0]))),
            labels=_labels().get(word, ()),
            begins=word in self._likeness.beginnings,
            beside=kinds_beside(word),
            street=street,
        )

    def _strength(self, word: str, raw: str) -> tuple[Strength | None, str, bool]:
        held = self._words.get(word)
        if held is not None:
            return held[0], held[1], False
        latin = raw.isascii() or _LATIN.match(raw) is not None
        answer = self._likeness.judge(word, raw, latin=latin)
        return answer or (None, "name", False)

    def begins(self, word: str, *, at_least: int) -> bool:
        """Whether a cut-off last word is the beginning of a known one."""
        word = fold(word)
        if len(word) < at_least or word in self._words or is_protected(word):
            return False
        return any(
            len(known) > len(word) and known.startswith(word)
            for known, (strength, kind) in self._words.items()
            if kind == "name" and strength >= Strength.CAPITAL
        )
