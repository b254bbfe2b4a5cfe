"""Says which words of a known institution or street point at it, alone or with the saint it is called after; it reads no text."""

from __future__ import annotations

from collections.abc import Iterator

from anonymizer.words import words

_SAYS_LITTLE = (
    "generic_institution",
    "clinical",
    "everyday",
    "function",
    "street_words",
    "makers",
    "called_after",
)
_LEAST = 3


def tells(part: str) -> bool:
    """Whether a folded word of an institution or a street points at it alone."""
    return not any(part in words(name) for name in _SAYS_LITTLE)


def called_after(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The saint's name inside an institution's: "Saint Éloi" of "Hôpital Saint-Éloi de Mirecourt", "Virgen del Rocal"."""
    for at, part in enumerate(parts):
        if part not in words("called_after"):
            continue
        end = at + 1
        while end < len(parts) and (
            parts[end] in words("particles")
            or parts[end] in words("called_after")
            or len(parts[end]) < _LEAST
        ):
            end += 1
        name = parts[at : end + 1]
        if 1 < len(name) < len(parts) and not name[-1].isdigit() and name[-1] not in words("particles"):
            yield name
