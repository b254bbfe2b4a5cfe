"""Puts a line of Arabic, Persian or Hebrew letters into the order and the forms in which they are drawn.

A part of the bidirectional algorithm (UAX 9): implicit levels of one line, no explicit embeddings. Arabic letters take
their presentation forms (Unicode 6.0 chapter 8.2), read from the character database itself.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_FORMS = ("isolated", "final", "initial", "medial")
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_OPENING, _CLOSING = "([{", ")]}"
_STRONG_RIGHT = ("R", "AL")


@lru_cache(maxsize=1)
def _shapes() -> dict[str, dict[str, str]]:
    """For each letter, or pair of letters, its drawn form by place in the word."""
    shapes: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFBFF), *range(0xFE80, 0xFEFD)):
        form, *letters = unicodedata.decomposition(chr(code)).split()[:3] or [""]
        if form.strip("<>") not in _FORMS or not letters:
            continue
        base = "".join(chr(int(letter, 16)) for letter in letters)
        if len(base) == 1 or base[0] == "\u0644":  # of the ligatures only lam-alef, which must be joined
            shapes.setdefault(base, {})[form.strip("<>")] = chr(code)
    return {
        base: forms
        for base, forms in shapes.items()
        if len(base) == 1 or base[1] in "\u0622\u0623\u0625\u0627"
    }


def needs_shaping(text: str) -> bool:
    return any(unicodedata.bidirectional(sign) in _STRONG_RIGHT for sign in text)


def reads_right_to_left(text: str) -> bool:
    """Whether the first strong letter runs from right to left (UAX 9, P2)."""
    for sign in text:
        strong = unicodedata.bidirectional(sign)
        if strong in ("L", *_STRONG_RIGHT):
            return strong != "L"
    return False


def drawn_order(line: str, *, right: bool) -> str:
    """The signs of one line from left to right as they are drawn; ``right``: its paragraph runs from right to left."""
    signs = _joined(line)
    levels = _levels(signs, 1 if right else 0)
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(signs):
            if levels[start] < level:
                start += 1
                continue
            end = start
            while end < len(signs) and levels[end] >= level:
                end += 1
            signs[start:end] = reversed(signs[start:end])
            levels[start:end] = list(reversed(levels[start:end]))
            start = end
    return "".join(
        sign.translate(_MIRRORED) if level % 2 else sign for sign, level in zip(signs, levels, strict=True)
    )


def _levels(signs: list[str], base: int) -> list[int]:
    """Implicit levels (UAX 9, W and I rules, for one line without embeddings)."""
    kinds = [unicodedata.bidirectional(sign) or "ON" for sign in signs]
    strong = "R" if base else "L"
    plain: list[str] = []
    for index, kind in enumerate(kinds):
        if kind in _STRONG_RIGHT:
            strong, told = "R", "R"
        elif kind == "L":
            strong, told = "L", "L"
        elif kind in ("EN", "AN") or (kind in ("ES", "CS", "ET") and _between_digits(kinds, index)):
            told = "L" if strong == "L" else "N"
        else:
            told = ""
        plain.append(told)
    _settle_brackets(signs, plain, "R" if base else "L")
    levels: list[int] = []
    for index, told in enumerate(plain):
        kind = told or _neutral(plain, index, base)
        levels.append({"R": 1, "N": 2}.get(kind, 0 if base == 0 else 2))
    return levels


def _settle_brackets(signs: list[str], plain: list[str], base: str) -> None:
    """Brackets of a pair run alike (UAX 9, N0): with the paragraph, unless all about them runs the other way."""
    opened: list[int] = []
    for index, sign in enumerate(signs):
        if sign in _OPENING:
            opened.append(index)
        elif sign in _CLOSING and opened:
            start = opened.pop()
            inside = {told for told in plain[start:index] if told}
            before = next((told for told in reversed(plain[:start]) if told), base)
            if not inside:
                continue
            other = base not in inside and before != base
            plain[start] = plain[index] = ("L" if base == "R" else "R") if other else base


def _between_digits(kinds: list[str], index: int) -> bool:
    before = kinds[index - 1] if index else ""
    after = kinds[index + 1] if index + 1 < len(kinds) else ""
    return before in ("EN", "AN") and after in ("EN", "AN")


def _neutral(plain: list[str], index: int, base: int) -> str:
    """A sign without direction follows its neighbours where they agree, else the paragraph (UAX 9, N1 and N2)."""
    before = next((told for told in reversed(plain[:index]) if told), "")
    after = next((told for told in plain[index + 1 :] if told), "")
    sides = {"R" if told == "N" else told for told in (before, after)}
    return sides.pop() if len(sides) == 1 and "" not in sides else "R" if base else "L"


def _joined(line: str) -> list[str]:
    """The signs with Arabic letters in the form that their neighbours give them."""
    shapes = _shapes()
    letters = [sign for sign in line if not 0x064B <= ord(sign) <= 0x065F and sign != "\u0640"]
    made: list[str] = []
    index = 0
    joins_before = False
    while index < len(letters):
        pair = letters[index] + (letters[index + 1] if index + 1 < len(letters) else "")
        base = pair if pair in shapes and len(pair) == 2 else letters[index]
        forms = shapes.get(base)
        if forms is None:
            made.append(base)
            joins_before = False
            index += 1
            continue
        following = letters[index + len(base)] if index + len(base) < len(letters) else ""
        joins_after = "initial" in forms and "final" in shapes.get(following, {})
        form = _FORMS[(1 if joins_before else 0) + (2 if joins_after else 0)]
        made.append(forms.get(form) or forms.get("isolated") or base)
        joins_before = joins_after
        index += len(base)
    return made
