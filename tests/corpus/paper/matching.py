"""Whether a planted text is still in a reading: folded, with any separators, and for OCR with one wrong letter."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from tests.corpus.paper.letters import Planted

FOLDS = str.maketrans(
    {"ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "đ": "d", "Ł": "l", "Ø": "o", "ς": "σ"}
)
GENERIC = frozenset(
    [
        "avenida",
        "calle",
        "plaza",
        "road",
        "crescent",
        "terrace",
        "sokak",
        "caddesi",
        "chemin",
        "impasse",
        "street",
        "allee",
        "شارع",
        "herr",
        "herrn",
        "frau",
        "mister",
        "prof",
        "professor",
        "doktor",
        "sister",
        "nurse",
        "schwester",
    ]
)
SHORT = {"inst": 7, "addr": 5}
"""From how many letters on a word of that category is a find by itself; shorter ones are found as words of the whole."""
NUMERIC = frozenset({"num", "phone"})


UNSEEN = re.compile(
    "["
    + "".join(
        re.escape(chr(sign))
        for sign in range(0xAD, 0x2_0000)
        if unicodedata.combining(chr(sign)) or unicodedata.category(chr(sign)) == "Cf"
    )
    + "]+"
)
"""Marks on letters, and signs that take no room."""
NO_SIGN = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Casefolded, without marks, white space single; the sequence of signs stays."""
    plain = unicodedata.normalize("NFKD", text.translate(FOLDS)).casefold().translate(FOLDS)
    return " ".join(UNSEEN.sub("", plain).split())


def dense(text: str) -> str:
    """Folded, letters and digits only."""
    return NO_SIGN.sub("", fold(text))


@dataclass(frozen=True)
class Reading:
    """One text that somebody could read in an output, and where from; ``seen`` if by OCR, so that letters may be wrong."""

    place: str
    text: str
    seen: bool = False

    @cached_property
    def folded(self) -> str:
        return fold(self.text.replace("-\n", "")) + " " + fold(self.text)

    @cached_property
    def lowered(self) -> str:
        """For bytes, of which there are many: letters in one case, nothing else."""
        return self.text.casefold()

    @cached_property
    def dense(self) -> str:
        return dense(self.text)


def _word(needle: str, text: str) -> bool:
    """The needle as a word of its own, or with a short ending of the language."""
    return re.search(rf"(?<!\w){re.escape(needle)}(?:['’]?\w{{0,3}})?(?!\w)", text) is not None


def _bounded(needle: str, text: str) -> bool:
    """The needle with no digit before or after it, so that 12.3.2024 is not 2.3.2024."""
    return re.search(rf"(?<![\d]){re.escape(needle)}(?![\d])", text) is not None


def near(needle: str, text: str) -> bool:
    """At most one letter wrong, missing or too many: one half of the needle must then stand there exactly."""
    half = len(needle) // 2
    for part, offset in ((needle[:half], 0), (needle[half:], half)):
        at = text.find(part)
        while at >= 0:
            for start in (at - offset - 1, at - offset, at - offset + 1):
                for length in (len(needle) - 1, len(needle), len(needle) + 1):
                    if start >= 0 and _one_off(needle, text[start : start + length]):
                        return True
            at = text.find(part, at + 1)
    return False


def _one_off(left: str, right: str) -> bool:
    if left == right:
        return True
    if abs(len(left) - len(right)) > 1:
        return False
    at = next(
        (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    return left[at + 1 :] == right[at + 1 :] or left[at + 1 :] == right[at:] or left[at:] == right[at + 1 :]


def words_of(planted: Planted) -> tuple[str, ...]:
    """The words of a name, an address or a place that are a find each by themselves."""
    if planted.whole or planted.category in NUMERIC | {"birth", "date", "mail"}:
        return ()
    least = SHORT.get(planted.category, 4)
    words = re.findall(r"[^\W\d_]+", planted.text)
    return tuple(
        w for word in words if len(w := fold(word)) >= least and w not in GENERIC and not word[0].islower()
    )


def left(planted: Planted, reading: Reading) -> bool:
    """Whether the planted text, or a word of it, is still in the reading."""
    whole = dense(planted.text)
    if planted.category in {"birth", "date"}:
        compact = whole if re.fullmatch(r"\d{4}-\d\d-\d\d", planted.text) else fold(planted.text)
        return _bounded(fold(planted.text), reading.folded) or _bounded(compact, reading.folded)
    if planted.category in NUMERIC:
        digits = "".join(sign for sign in whole if sign.isdigit()).lstrip("0")
        if len(digits) >= 7:
            return whole in reading.dense or digits in reading.dense
        return _bounded(fold(planted.text), reading.folded) or whole in reading.dense
    if any(sign.isdigit() for sign in whole) and len(whole) < 7:
        return _bounded(fold(planted.text), reading.folded)
    if len(whole) >= 7 and (whole in reading.dense or (reading.seen and near(whole, reading.dense))):
        return True
    if not words_of(planted):
        return _word(fold(planted.text), reading.folded)
    return any(_left_word(word, reading) for word in words_of(planted))


def _left_word(word: str, reading: Reading) -> bool:
    if len(word) >= 7:
        return word in reading.dense or (reading.seen and near(word, reading.dense))
    return _word(word, reading.folded)


def inside(planted: Planted, reading: Reading) -> bool:
    """Whether the planted text stands in decoded bytes, with or without its marks and separators."""
    forms = {
        planted.text.casefold(),
        fold(planted.text),
        unicodedata.normalize("NFD", planted.text).casefold(),
    }
    if planted.category in NUMERIC:
        forms |= {dense(planted.text), re.sub(r"\D", "", planted.text).lstrip("0")}
    return any(
        len(form) >= 6 and form in reading.lowered and _bounded(form, reading.lowered) for form in forms
    )


def kept(clinical: str, reading: Reading) -> bool:
    """Whether a clinical text can still be read."""
    whole = dense(clinical)
    return whole in reading.dense or (reading.seen and len(whole) >= 7 and near(whole, reading.dense))
