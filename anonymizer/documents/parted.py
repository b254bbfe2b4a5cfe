"""Joins known words that a letter's layout parts (a hyphen at a line's end, letters set wide), so that they can be judged.

What is no known word of the case stays as it is written.
"""

from __future__ import annotations

import re

from anonymizer.text import Scrubber

_HYPHEN = re.compile(r"([^\W\d_]{2,})[-\u2010\u00ad]\n[ \t]*([^\W\d_]{2,})")
_WIDE = re.compile(r"(?<!\S)[^\W_](?:[ \u00a0\u2009]{1,3}[^\W_]){3,39}(?!\S)")


def joined(text: str, judge: Scrubber) -> str:
    """The text with those parted words joined that are known identifiers when they are whole."""
    if "\n" in text:
        text = _HYPHEN.sub(lambda hit: _whole(hit, hit[1] + hit[2], judge), text)
    return _WIDE.sub(lambda hit: _whole(hit, re.sub(r"\s", "", hit.group()), judge), text)


def _whole(hit: re.Match[str], word: str, judge: Scrubber) -> str:
    return word if judge.known_left(word) else hit.group()
