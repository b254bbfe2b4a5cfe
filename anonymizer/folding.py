"""Brings words of any case, diacritics and script to one form to compare them; it decides nothing about what they mean.

`fold` is strict (ä is a), `german` writes ä as ae, `loose` is a coarse key for transliterations and spelling variants.
`Normal` is a text made comparable character by character that still knows where each character came from.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

from anonymizer.scripts import HANGUL, KANA, consonants, hangul, romaji, short_vowels

_LETTERS = {
    "ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŋ": "n", "ŧ": "t",
    "ə": "e", "’": "", "ʼ": "", "ʻ": "", "'": "",
    # Cyrillic, Russian and Ukrainian and Serbian letters as passports write them (ICAO 9303 part 3 section 6, shortened)
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "zh", "з": "z", "и": "i", "й": "i", "к": "k", "л": "l",
    "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh",
    "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "iu", "я": "ia", "і": "i", "ї": "i", "є": "ie", "ґ": "g", "ў": "u", "ј": "j",
    "љ": "lj", "њ": "nj", "ћ": "c", "ђ": "dj", "џ": "dz",
    # Greek (ELOT 743, shortened)
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l", "μ": "m", "ν": "n",
    "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip
_TABLE = str.maketrans(_LETTERS)
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0640]")


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Casefold, drop diacritics, write special letters, Cyrillic and Greek in Latin ones."""
    if word.isascii():
        return word.lower().replace("'", "")
    composed = unicodedata.normalize("NFKC", word).casefold()
    if KANA.match(composed):
        return romaji(composed)
    if HANGUL.match(composed):
        return hangul(composed)
    if "\u0370" <= composed[:1] <= "\u1fff":
        composed = _greek(composed)
    plain = unicodedata.normalize("NFKD", composed.translate(_TABLE))
    return _MARKS.sub("", plain).translate(_TABLE)


def _greek(word: str) -> str:
    """Greek digraphs as ELOT 743 writes them: ου is ou, αυ is av, γγ is ng."""
    bare = _MARKS.sub("", unicodedata.normalize("NFD", word))
    for digraph, latin in (
        ("ου", "ou"),
        ("αυ", "av"),
        ("ευ", "ev"),
        ("γγ", "ng"),
        ("γχ", "nch"),
        ("γξ", "nx"),
    ):
        bare = bare.replace(digraph, latin)
    return "b" + bare[2:] if bare.startswith("μπ") else bare


def german(word: str) -> str:
    """Fold with ä as ae, ö and ø as oe, ü as ue, å as aa; kana without long vowels."""
    if KANA.match(unicodedata.normalize("NFKC", word)):
        return short_vowels(fold(word))
    return fold(unicodedata.normalize("NFC", word).casefold().translate(_GERMAN))


_LOOSE = [
    (re.compile(pattern), to)
    for pattern, to in (
        (r"tz?sch|tch|cz", "%"),  # % is the sound of ch, $ of sh: signs that no folded word holds
        (r"sch|sh|sj|sz", "$"),
        (r"ch", "%"),
        (r"\$%", "$"),
        (r"ou", "u"),
        (r"kh", "h"),
        (r"ck|cq", "k"),
        (r"ph", "f"),
        (r"th", "t"),
        (r"q[uvw]", "kv"),
        (r"tz|ts", "z"),
        (r"w", "v"),
        (r"x", "ks"),
        (r"c(?=[eiy])", "s"),
        (r"c", "k"),
        (r"z", "s"),
        (r"ae", "a"),
        (r"oe", "o"),
        (r"ue", "u"),
        (r"aa", "a"),
        (r"[yj]", "i"),
        (r"i(?=[aeiou])", ""),
        (r"(.)\1+", r"\1"),
    )
]


@lru_cache(maxsize=65536)
def loose(folded: str) -> str:
    """A coarse key of a folded word: Lindqvist, Lindkvist and Lindquist share one; Muller and Mueller do."""
    for pattern, to in _LOOSE:
        folded = pattern.sub(to, folded)
    return folded


@lru_cache(maxsize=65536)
def skeleton(folded: str) -> str:
    """The consonants of a folded word, alike in Arabic, Hebrew and Latin letters; "" in any other script."""
    return consonants(folded)


_INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufffe"
_DROPPED = re.compile(f"[{_INVISIBLE}\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0640]")
_OTHER_DIGIT = re.compile(
    "[\u0660-\u0669\u06f0-\u06f9\u07c0-\u07c9\u0966-\u096f\u09e6-\u09ef\u0e50-\u0e59\u0ed0-\u0ed9\u1040-\u1049\u17e0-\u17e9]"
)
_RUN = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_CLUSTER = re.compile(f".[{_INVISIBLE}\u0300-\u036f\u3099\u309a\uff9e\uff9f]*", re.DOTALL)


def digits_like(written: str, old: str) -> str:
    """A text in the digits of the old one, when that has those of one other script (full-width, Arabic, Bengali)."""
    signs = {sign for sign in old if sign.isdecimal()}
    zeros = {chr(ord(sign) - unicodedata.decimal(sign)) for sign in signs}
    if zeros == {"0"} or len(zeros) != 1:
        return written
    zero = ord(zeros.pop())
    return written.translate({ord("0") + value: zero + value for value in range(10)})


class Normal:
    """A text in NFKC without invisible signs, and the way back: `origin` turns its offsets into those of the source."""

    __slots__ = ("_at", "_from", "_to", "_width", "text")

    def __init__(self, source: str) -> None:
        self._at: list[int] = []  # where in the normal text each changed stretch starts
        self._width: list[int] = []  # how long it is there
        self._from: list[int] = []  # where it starts in the source
        self._to: list[int] = []  # where it ends in the source
        if source.isascii() or (unicodedata.is_normalized("NFKC", source) and not _DROPPED.search(source)):
            self.text = source if source.isascii() else self._ascii_digits(source)
            return
        pieces: list[str] = []
        done = length = 0
        for run in _RUN.finditer(source):
            part = run.group()
            if unicodedata.is_normalized("NFKC", part) and not _DROPPED.search(part):
                continue
            for cluster in _CLUSTER.finditer(part):
                old = cluster.group()
                new = _DROPPED.sub("", unicodedata.normalize("NFKC", old))
                if new == old:
                    continue
                start = run.start() + cluster.start()
                pieces += [source[done:start], new]
                length += start - done
                self._note(length, len(new), start, start + len(old))
                length += len(new)
                done = start + len(old)
        pieces.append(source[done:])
        self.text = self._ascii_digits("".join(pieces))

    @staticmethod
    def _ascii_digits(text: str) -> str:
        """Digits of any script as ASCII ones, sign by sign: what compares numbers reads one kind."""
        return _OTHER_DIGIT.sub(lambda found: str(unicodedata.decimal(found.group())), text)

    def _note(self, at: int, width: int, start: int, end: int) -> None:
        self._at.append(at)
        self._width.append(width)
        self._from.append(start)
        self._to.append(end)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the source that became ``text[start:end]``."""
        if not self._at:
            return start, end
        return self._back(start, last=False), max(
            self._back(end - 1, last=True), self._back(start, last=False)
        )

    def _back(self, position: int, *, last: bool) -> int:
        index = bisect_right(self._at, position) - 1
        if index < 0:
            return position + last
        inside = position - self._at[index]
        if inside < self._width[index]:
            return self._to[index] if last else self._from[index]
        return self._to[index] + inside - self._width[index] + last
