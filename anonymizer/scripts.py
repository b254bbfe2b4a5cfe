"""Writes kana and Hangul in Latin letters, and Arabic and Hebrew as their consonants; other scripts are `folding`'s.

References
----------
Hepburn (ISO 3602, strict where it differs), Revised Romanization of Korean (2000).
"""

from __future__ import annotations

import re

_KANA_ROWS = (
    ("あいうえお", ("a", "i", "u", "e", "o")), ("かきくけこ", ("ka", "ki", "ku", "ke", "ko")), ("がぎぐげご", ("ga", "gi", "gu", "ge", "go")),
    ("さしすせそ", ("sa", "shi", "su", "se", "so")), ("ざじずぜぞ", ("za", "ji", "zu", "ze", "zo")), ("たちつてと", ("ta", "chi", "tsu", "te", "to")),
    ("だぢづでど", ("da", "ji", "zu", "de", "do")), ("なにぬねの", ("na", "ni", "nu", "ne", "no")), ("はひふへほ", ("ha", "hi", "fu", "he", "ho")),
    ("ばびぶべぼ", ("ba", "bi", "bu", "be", "bo")), ("ぱぴぷぺぽ", ("pa", "pi", "pu", "pe", "po")), ("まみむめも", ("ma", "mi", "mu", "me", "mo")),
    ("やゆよ", ("ya", "yu", "yo")), ("らりるれろ", ("ra", "ri", "ru", "re", "ro")), ("わゐゑをん", ("wa", "i", "e", "o", "n")), ("ゔ", ("vu",)),
    ("ぁぃぅぇぉ", ("a", "i", "u", "e", "o")),
)  # fmt: skip
_KANA = {sign: latin for signs, row in _KANA_ROWS for sign, latin in zip(signs, row, strict=True)}
_SMALL_Y = {"ゃ": "a", "ゅ": "u", "ょ": "o"}
_KATAKANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
KANA = re.compile("[\u3041-\u30ff]")
HANGUL = re.compile("[\uac00-\ud7a3]")
_INITIALS = (
    "g",
    "kk",
    "n",
    "d",
    "tt",
    "r",
    "m",
    "b",
    "pp",
    "s",
    "ss",
    "",
    "j",
    "jj",
    "ch",
    "k",
    "t",
    "p",
    "h",
)
_VOWELS = ("a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i")  # fmt: skip
_FINALS = ("", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t")  # fmt: skip
#: Family names that are written otherwise than the rules say.
_FAMILIES = {
    "김": "kim", "이": "lee", "박": "park", "최": "choi", "정": "jung", "강": "kang", "조": "cho", "윤": "yoon", "임": "lim", "신": "shin", "유": "yoo",
    "구": "koo", "우": "woo", "주": "joo", "문": "moon", "오": "oh", "노": "roh",
}  # fmt: skip
_CONSONANTS = str.maketrans(
    dict(zip("بپتثجچحخدذرزژسشصضطظغفقكکگلمنه", "bptsjhhhdsrzjsssdtsgpkkkglmnh", strict=True))
    | dict(zip("בגדהזחטכךלמםנןספףצץקרשת", "bgdhzhtkklmmnnsppzzkrst", strict=True))
)
ABJAD = re.compile("[\u05d0-\u05ea\u0621-\u06d5]")
_LATIN_CONSONANTS = (
    ("tch", "h"), ("sch", "s"), ("sh", "s"), ("kh", "h"), ("ch", "h"), ("dh", "d"), ("th", "t"), ("gh", "g"), ("tz", "z"), ("ts", "z"),
    ("ph", "p"), ("q", "k"), ("ck", "k"), ("c", "k"), ("f", "p"), ("v", "b"), ("x", "ks"),
)  # fmt: skip


def romaji(word: str) -> str:
    """A word of kana in Latin letters."""
    written = ""
    doubled = False
    for sign in word.translate(_KATAKANA):
        if sign in _SMALL_Y and written.endswith("i"):
            written = written[:-1] + ("" if written.endswith(("shi", "chi", "ji")) else "y") + _SMALL_Y[sign]
        elif sign == "っ":
            doubled = True
        elif sign == "ー":
            written += written[-1:]
        else:
            latin = _KANA.get(sign, sign)
            written += (("t" if latin.startswith("ch") else latin[:1]) if doubled else "") + latin
            doubled = False
    return written


def short_vowels(written: str) -> str:
    """Japanese in Latin letters with long vowels written short, as passports do: Tarouji is Taroji."""
    return re.sub(r"ou|oo", "o", written.replace("uu", "u"))


def hangul(word: str) -> str:
    """A Korean word in Latin letters; a family name alone as its bearers mostly write it."""
    if word in _FAMILIES:
        return _FAMILIES[word]
    written = ""
    for sign in word:
        code = ord(sign) - 0xAC00
        if not 0 <= code < 19 * 21 * 28:
            written += sign
            continue
        written += _INITIALS[code // 588] + _VOWELS[code % 588 // 28] + _FINALS[code % 28]
    return written


def consonants(folded: str) -> str:
    """The consonants of a folded word, alike in Arabic, Hebrew and Latin letters; "" in any other script."""
    if ABJAD.match(folded):
        bare = folded.removeprefix("ال")
        plain = re.sub("[^a-z]", "", (bare[:-1] if bare[-1:] == "ה" else bare).translate(_CONSONANTS))
    elif folded.isascii():
        plain = folded.removesuffix("h") if folded.endswith("ah") else folded
        for latin, one in _LATIN_CONSONANTS:
            plain = plain.replace(latin, one)
        plain = re.sub("[aeiouyw]", "", plain)
    else:
        return ""
    return re.sub(r"(.)\1+", r"\1", plain)
