"""Tells whether a word is a known name in another spelling: declined, transliterated, misread; it knows nothing of places.

Each rule answers with how sure it is; a word of the protected lists is never asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cache

from anonymizer.folding import fold, loose, skeleton
from anonymizer.scripts import ABJAD
from anonymizer.strength import Strength
from anonymizer.words import protected_text, rows, words

Answer = tuple[Strength, str, bool]  # how sure, which kind, whether cut or declined
#: A known name this long is found inside a longer word too ("Lindqvistska", "annalindqvist").
INSIDE = 6
#: A word cut off by a short VR is known by this many first letters.
CUT = 8
#: One wrong letter is forgiven in words this long.
MISREAD = 6
_LONGEST_ENDING = 4
_LONGEST = 80  # longer words are no names, and would be slow to compare
_GRADES = (
    ("pp", "p"),
    ("tt", "t"),
    ("kk", "k"),
    ("mp", "mm"),
    ("nt", "nn"),
    ("lt", "ll"),
    ("rt", "rr"),
    ("nk", "ng"),
    ("p", "v"),
    ("t", "d"),
    ("k", ""),
)
_SKELETON = 3
_PROTECTED_LISTS = (
    "clinical",
    "eponyms",
    "everyday",
    "function",
    "generic_institution",
    "titles",
    "street_words",
)


@cache
def _endings(name: str) -> frozenset[str]:
    return frozenset(ending for key, row in rows("endings") if key == name for ending in row)


@cache
def protected(word: str) -> bool:
    """Whether a list holds this folded word, so that no spelling variant of a name is looked for in it."""
    return any(word in words(name) for name in _PROTECTED_LISTS)


class Likeness:
    """The known words of one case, in every spelling that a rule can reach."""

    def __init__(
        self, known: Mapping[str, tuple[Strength, str]], exact: AbstractSet[str], spelled: AbstractSet[str]
    ) -> None:
        self._known = known
        self._loose: dict[str, str] = {}
        self._stems: dict[str, tuple[Strength, str]] = {}
        self._foreign: dict[str, str] = {}
        #: Of Latin names, of Arabic and Hebrew ones.
        self._skeletons: tuple[set[str], set[str]] = (set(), set())
        self._misread: dict[str, set[str]] = {}
        long_words: list[str] = []
        for word, (strength, kind) in known.items():
            if strength < Strength.CAPITAL or kind not in ("name", "address") or word in exact:
                continue
            self._stem(word, strength, kind)
            if kind == "name":
                self._spell(word, kind)
                if strength >= Strength.CONTEXT:
                    self._read_wrong(word)
                    if len(word) >= INSIDE and word not in protected_text():
                        long_words.append(word)
        self._misread_as_written = self._gather_written(spelled)
        beginnings = [word for word in known if len(word) > CUT]
        self.long_words = tuple(long_words)
        self._beginnings = tuple(beginnings)
        self.beginnings = frozenset(word[:size] for word in long_words for size in range(2, len(word) - 1))

    def _spell(self, word: str, kind: str) -> None:
        """Keys under which other spellings of a name are found."""
        if not protected(word):
            self._foreign.setdefault(loose(word), kind)
        if len(word) >= 5 and len(loose(word)) >= 4:
            self._loose.setdefault(loose(word), kind)
        if len(skeleton(word)) >= _SKELETON:
            self._skeletons[ABJAD.match(word) is not None].add(skeleton(word))

    def _read_wrong(self, word: str) -> None:
        if len(word) >= MISREAD:
            for shorter in _shortened(word):
                self._misread.setdefault(shorter, set()).add(word)

    def _gather_written(self, spelled: AbstractSet[str]) -> bool:
        """Names as they are written, since one letter too few of them may be two of the folded word ("ш" is "sh")."""
        written = [
            piece for piece in map(str.lower, spelled) if not piece.isascii() and fold(piece) in self._known
        ]
        for piece in written:
            self._read_wrong(piece)
        return bool(written)

    def _stem(self, word: str, strength: Strength, kind: str) -> None:
        if word[-1] in "aeiouy" and len(word) > 3:
            self._stems.setdefault(word[:-1], (strength, kind))  # Wąchocka is declined Wąchockiej
        if len(word) >= INSIDE and word.endswith("nen"):
            self._stems.setdefault(
                word[:-3] + "s", (strength, kind)
            )  # Virtanen is declined Virtasen, Virtaselle
            self._stems.setdefault(word[:-3] + "se", (strength, kind))
        for stem in _weak_grades(word):
            self._stems.setdefault(
                stem, (strength, kind)
            )  # Korpi is declined Korven, Pekka is declined Pekan
        if len(word) >= INSIDE and word[-2:] in ("yi", "ii", "iy"):
            self._stems.setdefault(word[:-2], (strength, kind))
        if len(word) >= INSIDE and word.endswith(("ski", "cki")):
            self._stems.setdefault(word[:-2] + "c", (strength, kind))  # Kowalscy
            self._stems.setdefault(word[:-2], (strength, kind))

    # -- asking ---------------------------------------------------------------------------------------------------
    def judge(self, word: str, raw: str, *, latin: bool) -> Answer | None:
        """What a folded word that is not known as it stands may be; ``raw`` and ``latin`` tell how it was written."""
        if len(word) < (4 if latin else 3) or word in words("clinical") or _eponym(word):
            return None
        if len(word) > _LONGEST:
            return self._holding(word)
        listed = protected(word)
        for answer in self._declined(word, latin=latin, capital=not raw[0].islower()):
            return min(answer[0], Strength.INSIDE_SENTENCE) if listed else answer[0], *answer[1:]
        return None if listed else self._respelt(word, raw, latin=latin)

    def _respelt(self, word: str, raw: str, *, latin: bool) -> Answer | None:
        if len(word) >= 5 and (kind := self._loose.get(loose(word))):
            return Strength.CONTEXT, kind, False
        if not latin and (found := self._transliterated(word)):
            return found
        if len(word) >= CUT and any(known.startswith(word) for known in self._beginnings):
            return Strength.CONTEXT, "name", True
        if found := self._holding(word):
            return found
        if latin and skeleton(word) in self._skeletons[1]:
            return Strength.CAPITAL, "name", False
        found = self._misread_name(word) if len(word) >= MISREAD - 1 else None
        return found or (self._misread_name(raw.lower()) if self._misread_as_written else None)

    def _holding(self, word: str) -> Answer | None:
        """A longer word that holds a known name: "Lindqvistska", "annalindqvist"."""
        return (Strength.ALWAYS, "name", False) if any(known in word for known in self.long_words) else None

    def _declined(self, word: str, *, latin: bool, capital: bool) -> Iterator[Answer]:
        if len(word) < 5 and word.endswith("s"):
            short = self._known.get(word[:-1])
            if short and short[0] >= Strength.INSIDE_SENTENCE:
                yield min(short[0], Strength.CAPITAL), short[1], True  # Åsas remiss
        for size in range(1, _LONGEST_ENDING + 1):
            stem, ending = word[:-size], word[-size:]
            if len(stem) < (4 if latin else 3):
                return
            held = self._known.get(stem)
            if (
                held
                and held[0] >= Strength.CAPITAL
                and ending in (_endings("word") if latin else _endings("scripts"))
            ):
                yield _declined_strength(held[0]), held[1], True
            declined = self._stems.get(stem)
            if declined and ending in (_endings("stem") if latin else _endings("scripts")):
                if len(stem) >= INSIDE - 1 or not latin:
                    yield _declined_strength(declined[0]), declined[1], True
                elif capital:
                    yield min(declined[0], Strength.CAPITAL), declined[1], True
            if len(stem) >= 5 and ending in _endings("word") and (kind := self._loose.get(loose(stem))):
                yield Strength.CONTEXT, kind, True  # Kertun, of Kerttu

    def _transliterated(self, word: str) -> Answer | None:
        """A known Latin name in another alphabet: "Юлия" for Yulia, "محمد" for Muhammad."""
        if kind := self._foreign.get(loose(word)):
            return Strength.CAPITAL, kind, False
        if ABJAD.match(word) and skeleton(word) in self._skeletons[0]:
            return Strength.ALWAYS, "name", False
        return None

    def _misread_name(self, word: str) -> Answer | None:
        """A known name with one letter wrong, missing, too many, or two that changed places."""
        for shorter in _shortened(word):
            for known in self._misread.get(shorter, ()):
                if _one_apart(word, known):
                    return Strength.CAPITAL, "name", False
        return None


def _eponym(word: str) -> bool:
    """An eponym, also declined: "Parkinsons", "Parkinsonin", "Паркинсона"."""
    eponyms = words("eponyms")
    return word in eponyms or (word[-1] in "sna" and (word[:-1] in eponyms or word[:-2] in eponyms))


def _weak_grades(word: str) -> set[str]:
    """The stems that Finnish consonant gradation makes of a name."""
    if len(word) < 5 or word[-1] not in "aeiouy":
        return set()
    root, vowel = word[:-1], "e" if word[-1] == "i" else word[-1]
    stems = {root + vowel} if vowel != word[-1] else set()
    for strong, weak in _GRADES:
        if root.endswith(strong):
            stems |= {root[: -len(strong)] + weak + end for end in {vowel, word[-1]}}
            break
    return stems


def _declined_strength(strength: Strength) -> Strength:
    # An everyday word that is declined is prose more often than not: "starke", "kleiner".
    return Strength.CONTEXT if strength > Strength.CAPITAL else Strength.INSIDE_SENTENCE


def _shortened(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(len(word))} | {word}


def _one_apart(left: str, right: str) -> bool:
    """Whether one insertion, deletion, exchange or swap turns one word into the other; short words begin alike."""
    if abs(len(left) - len(right)) > 1 or left == right:
        return left == right
    if min(len(left), len(right)) < MISREAD + 1 and left[0] != right[0]:
        return False
    at = next(
        (index for index, (one, two) in enumerate(zip(left, right, strict=False)) if one != two),
        min(len(left), len(right)),
    )
    one, two = left[at:], right[at:]
    if len(left) == len(right):
        return one[1:] == two[1:] or (one[:2] == two[1::-1] and one[2:] == two[2:])
    return one[1:] == two if len(left) > len(right) else one == two[1:]
