"""What of a case is looked for in words that were read: names and numbers in a form in which signs that look alike are one."""

from __future__ import annotations

import re

from anonymizer.folding import fold, german
from anonymizer.known import Known
from anonymizer.words import words as listed

DIGIT_OF = str.maketrans("OoQDlI|i!SsBZzgqG", "00001111155822996")
LETTER_OF = str.maketrans("01|!5826", "oliisbzg")
SIGNS = re.compile(r"[^\w]|_")
_MOST_NEEDLES = 4000


def needles(known: Known) -> tuple[frozenset[str], tuple[str, ...]]:
    """What of the case is compared with tolerance: folded words of names and places, and compact numbers."""
    texts = [part for name in known.all_names for part in (name.family, name.given, name.middle)]
    clinical = listed("clinical") | listed("generic_institution") | listed("everyday")
    certain = {
        form for text in texts for word in re.split(r"[\W_]+", text) for form in (fold(word), german(word))
    }
    places = [*known.institutions, *(person.institution for person in known.people)]
    places += [part for one in known.addresses for part in (one.street, one.city)]
    certain |= {
        word
        for text in places
        for word in map(fold, re.split(r"[\W_]+", text))
        if len(word) >= 5 and word not in clinical
    }
    names = {word.translate(LETTER_OF) for word in certain if len(word) >= 3}
    numbers = {
        SIGNS.sub("", value).casefold()
        for value in (
            *(one.value for one in known.identifiers),
            *(one.value for person in known.people for one in person.identifiers),
            *known.phones,
            *(phone for person in known.people for phone in person.phones),
            *known.other,
        )
    }
    for born in known.birth_dates:
        numbers |= {f"{born:%Y%m%d}", f"{born:%d%m%Y}", f"{born:%m%d%Y}", f"{born:%y%m%d}"}
    numbers |= {number[2:] for number in numbers if len(number) == 12 and number.isdigit()}
    wanted = {
        number.translate(DIGIT_OF).casefold()
        for number in numbers
        if len(number) >= 4 and re.search(r"\d", number)
    }
    return frozenset(sorted(names)[:_MOST_NEEDLES]), tuple(sorted(wanted)[:_MOST_NEEDLES])


def short_pairs(known: Known) -> frozenset[tuple[str, str]]:
    """Two words of two letters that are one name of the case ("Li Na"), both ways round: one of them alone is no name."""
    pairs: set[tuple[str, str]] = set()
    for name in known.all_names:
        text = f"{name.family} {name.given} {name.middle}"
        short = [
            fold(word).translate(LETTER_OF) for word in re.split(r"[\W\d_]+", text) if len(fold(word)) == 2
        ]
        pairs |= {(first, second) for first in short for second in short if first != second}
    return frozenset(pairs)


def in_other_letters(known: Known) -> bool:
    """Whether a name of the case is written in letters that the packs which are read do not know."""
    return any(
        ord(sign) > 0x36F and sign.isalpha() for name in known.all_names for sign in name.family + name.given
    )
