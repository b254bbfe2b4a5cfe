"""Says where the name of a known person ends in a run of capitalised words; it finds no names.

Whoever is named whole, given name and family name, needs no third one: what follows is prose ("Jürgen Weißmüller Hüftprothese"),
unless it stands or looks as names do: behind a hyphen, an initial, a known or common given name, the form of a surname.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from anonymizer.folding import fold
from anonymizer.known import Known, Person, PersonName
from anonymizer.lexicon import WORD
from anonymizer.mentions import UNCASED
from anonymizer.word_forms import surname_form
from anonymizer.words import words

_JUST_BEFORE = re.compile(r"([^\W\d_]+)[ ,^]{1,2}$")
_FAR_ENOUGH = 40


@dataclass(frozen=True, slots=True)
class KnownPeople:
    """The folded words of a case's names, as far as runs of words are compared with them."""

    pairs: frozenset[tuple[str, str]]
    families: frozenset[str]
    words: frozenset[str]
    initials: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[PersonName]) -> KnownPeople:
        pairs: set[tuple[str, str]] = set()
        families: set[str] = set()
        every: set[str] = set()
        initials: set[str] = set()
        for name in names:
            given = [fold(word) for word in WORD.findall(f"{name.given} {name.middle}")]
            family = [fold(word) for word in WORD.findall(name.family)]
            pairs.update(pair for one in given for other in family for pair in ((one, other), (other, one)))
            every.update(given, family)
            families.update(family[-1:] if given else ())
            initials.update(word[:1] for word in given if word)
        return cls(
            frozenset(pairs), frozenset(families), frozenset(every - words("particles")), frozenset(initials)
        )

    def end(self, text: str, start: int, end: int, *, family: bool = False) -> int:
        """Where in this run of words a person ends who is known whole, or by her family name; the run's own end if nobody is."""
        if UNCASED.match(text, start):
            return end
        before = _JUST_BEFORE.search(text[max(0, start - _FAR_ENOUGH) : start])
        seen = [fold(before[1])] if before and fold(before[1]) in self.words else []
        whole, stop = False, start
        for word in WORD.finditer(text, start, end):
            folded = fold(word.group())
            if whole and not self._goes_on(text, word.start(), folded):
                return stop
            known = bool(seen) and seen[-1] in self.words
            whole = (
                whole
                or (family and folded in self.families)
                or any((other, folded) in self.pairs for other in seen)
                or (known and len(folded) == 1 and folded in self.initials)
            )
            seen.append(folded)
            stop = word.end()
        return end

    def _goes_on(self, text: str, at: int, word: str) -> bool:
        return (
            len(word) == 1
            or text[at - 1] in "-\u2010\u2011'’"
            or word in self.words
            or any(word in words(name) for name in ("particles", "given_names", "given_short"))
            or surname_form(word)
        )


def without_strangers(named: Known, known: Known, text: str) -> Known:
    """What this text names, without the words that stand there behind somebody whom the case already knows whole."""
    people = KnownPeople.of(known.all_names)
    if not people.pairs:
        return named
    return replace(
        named,
        names=tuple(_cut(name, people, text) for name in named.names),
        relatives=tuple(_cut_person(person, people, text) for person in named.relatives),
        physicians=tuple(_cut_person(person, people, text) for person in named.physicians),
    )


def _cut_person(person: Person, people: KnownPeople, text: str) -> Person:
    return replace(person, names=tuple(_cut(name, people, text) for name in person.names))


def _cut(name: PersonName, people: KnownPeople, text: str) -> PersonName:
    """The name in either order: "Jürgen Weißmüller Hüftprothese", "Weißmüller, Jürgen Hüftprothese"."""
    written = f"{name.given} {name.family}".strip()
    at = text.find(written)
    whole, start = (text, at) if at >= 0 else (written, 0)
    end = people.end(whole, start, start + len(written), family=True) - start
    if end < len(written):
        return PersonName.parse(written[:end])
    turned = f"{name.family} {name.given}".strip()
    end = people.end(turned, 0, len(turned))
    given = turned[len(name.family) + 1 : end].strip()
    return replace(name, given=given) if end < len(turned) and given else name
