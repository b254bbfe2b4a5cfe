"""The word lists that tell names from clinical words: data beside the code that reads it, never a person's data."""

from __future__ import annotations

from functools import cache
from importlib import resources

from anonymizer.folding import fold


def lines(name: str) -> list[str]:
    """The lines of one list that are no comments."""
    text = resources.files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@cache
def words(name: str) -> frozenset[str]:
    """The folded words of one list."""
    return frozenset(fold(word) for line in lines(name) for word in line.split())


@cache
def spelled(name: str) -> frozenset[str]:
    """The words of one list as they are written, diacritics and all."""
    return frozenset(word.casefold() for line in lines(name) for word in line.split())


@cache
def rows(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The rows of a list of "key: values"; values are parted by commas where a row has one, else by spaces."""
    split = (line.partition(":") for line in lines(name))
    return tuple(
        (key.strip(), tuple(part.strip() for part in (rest.split(",") if "," in rest else rest.split())))
        for key, _, rest in split
    )


@cache
def protected() -> frozenset[str]:
    """Words that are never a name by themselves: clinical words and eponyms."""
    return words("clinical") | words("eponyms")


@cache
def protected_text() -> str:
    """Every protected word in one string, to ask whether a short name lies inside one."""
    return " ".join(sorted(protected() | words("generic_institution") | words("everyday") | words("titles")))
