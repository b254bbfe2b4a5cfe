"""Each kind of check as a function: (check, case read) → verdicts on privacy and on utility."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from tests.corpus.judge_pixels import PIXEL_KINDS
from tests.corpus.paths import get
from tests.corpus.people import folded
from tests.corpus.reading import Read, holds, texts_of

Check = dict[str, Any]
Verdict = tuple[str, str, bool]  # side, category, passed


@dataclass
class Pair:
    """A file as it came, as it left (None if refused), and what the run said of it."""

    file: str
    before: Read
    after: Read | None
    told: dict[str, Any]
    output: str = ""


@dataclass
class Frame:
    """What a case's files agree on: the day shift, the UID map and the pseudonym."""

    days: int = 0
    uids: dict[str, str] = field(default_factory=dict)
    pseudonym: str = ""


def value_text(element: DataElement | None) -> str:
    return "" if element is None else " \n ".join(texts_of(element.value))


def _gone(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    passed = True
    if pair.after is not None:
        text = folded(value_text(get(pair.after.ds, check["place"])))
        for words in check.get("but", ()):
            text = text.replace(folded(words), " ")
        passed = not any(holds(text, form) for form in check["forms"])
    yield "privacy", check["category"], passed


def _kept(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    yield "utility", check["category"], pair.after is not None and _still(check, pair)


def _still(check: Check, pair: Pair) -> bool:
    assert pair.after is not None
    after = get(pair.after.ds, check["place"])
    if after is None:
        return False
    if "words" in check:
        text = " ".join(folded(value_text(after)).split())
        return all(" ".join(folded(words).split()) in text for words in check["words"])
    before = get(pair.before.ds, check["place"])
    assert before is not None, check
    if "any_of" in check and plain(after.value) in check["any_of"]:
        return True
    return plain(after.value) == plain(before.value)


def plain(value: Any) -> Any:
    if isinstance(value, MultiValue | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, bytes | int | float) and not hasattr(value, "original_string"):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return "" if value is None else str(value)


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:8], "%Y%m%d")
    except ValueError:
        return None


def moved(check: Check, pair: Pair) -> tuple[int | None, bool]:
    """By how many days a DA or DT moved (None: gone or unreadable), and whether its rest is as it was."""
    if pair.after is None:
        return None, False
    before, after = (
        value_text(get(pair.before.ds, check["place"])),
        value_text(get(pair.after.ds, check["place"])),
    )
    first, second = _day(before), _day(after)
    if first is None or second is None:
        return None, False
    return (second - first).days, before[8:].strip() == after[8:].strip()


def _shifted(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    days, rest = moved(check, pair)
    yield "privacy", "dates_changed", days != 0
    yield "utility", check["category"], days == frame.days and rest


def _dated(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    day = datetime.fromisoformat(check["day"])
    text = "" if pair.after is None else value_text(get(pair.after.ds, check["place"]))
    yield "privacy", "dates_in_text_changed", day.strftime(check["form"]) not in text
    yield "utility", check["category"], (day + timedelta(days=frame.days)).strftime(check["form"]) in text


def _interval(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    passed = False
    if pair.after is not None:
        spans = [_span(read.ds, check["place"], check["other"]) for read in (pair.before, pair.after)]
        passed = spans[0] is not None and spans[0] == spans[1]
    yield "utility", check["category"], passed


def _span(ds: Dataset, place: str, other: str) -> timedelta | None:
    first, second = _day(value_text(get(ds, place))), _day(value_text(get(ds, other)))
    return None if first is None or second is None else second - first


def _mapped(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    new = "" if pair.after is None else value_text(get(pair.after.ds, check["place"]))
    yield "privacy", "uids_changed", new != check["value"]
    valid = re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", new) is not None and len(new) <= 64
    yield "utility", check["category"], valid and new == frame.uids.get(check["value"], new)


def _stays(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    yield "utility", check["category"], pair.after is not None and _still(check, pair)


def _present(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    before = get(pair.before.ds, check["place"])
    if before is None or (not check["empty"] and not value_text(before) and before.VR != "SQ"):
        return
    element = None if pair.after is None else get(pair.after.ds, check["place"])
    yield "utility", check["category"], element is not None and (check["empty"] or bool(element.value))


def _whole(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    content = b"" if pair.after is None else pair.after.content + pair.after.deflated
    yield "privacy", check["category"], not any(form.encode("utf-8") in content for form in check["forms"])


def _file_name(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    yield (
        "privacy",
        check["category"],
        pair.after is None or not any(holds(pair.output, f) for f in check["forms"]),
    )


def _pseudonym(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    new = "" if pair.after is None else value_text(get(pair.after.ds, "PatientID"))
    yield "utility", check["category"], bool(new) and new == frame.pseudonym


def _document_gone(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    # Two letters stand somewhere in any compressed stream: short names are looked for in what is shown.
    shown, whole = ("", "") if pair.after is None else (pair.after.shown, pair.after.document)
    left = any(holds(shown if len(form) < 4 else whole, form) for form in check["forms"])
    yield "privacy", check["category"], not left


def _document_kept(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    text = "" if pair.after is None else " ".join(folded(pair.after.document).split())
    yield "utility", check["category"], all(folded(words) in text for words in check["words"])


def _bytes_gone(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    before = get(pair.before.ds, check["place"])
    after = None if pair.after is None else get(pair.after.ds, check["place"])
    assert before is not None
    yield (
        "privacy",
        check["category"],
        after is None or not after.value or bytes(after.value) != bytes(before.value),
    )


def _listing(check: Check, pair: Pair, frame: Frame) -> Iterator[Verdict]:
    passed = pair.after is None or not any(
        holds(t, f) for _, _, t in pair.after.texts for f in check["forms"]
    )
    yield "privacy", check["category"], passed


KINDS: dict[str, Callable[[Check, Pair, Frame], Iterator[Verdict]]] = {
    "gone": _gone,
    "kept": _kept,
    "shifted": _shifted,
    "dated": _dated,
    "interval": _interval,
    "mapped": _mapped,
    "stays": _stays,
    "present": _present,
    "whole": _whole,
    "file_name": _file_name,
    "pseudonym": _pseudonym,
    "document_gone": _document_gone,
    "document_kept": _document_kept,
    "bytes_gone": _bytes_gone,
    "listing": _listing,
    **PIXEL_KINDS,
}
