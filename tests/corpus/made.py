"""One object while it is made: the data set, what is planted in it, and the checks that tell the scorer about it.

A check is a plain dictionary, `kind` one of: gone, kept, shifted, interval, mapped, stays, present, pixels_same,
pixels_hidden, pixels_kept, whole (the forms may stand nowhere in the file's bytes), file_name.
"""

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date as date_type
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from tests.corpus.paths import get, put, tag_of
from tests.corpus.people import Case

LONGEST = {"SH": 16, "LO": 64, "ST": 1024, "CS": 16, "PN": 64, "AE": 16}
TOKEN = re.compile(r"\{(\w+)\}")
KEEP = re.compile(r"<([^<>]+)>")


@dataclass
class Made:
    """An object of a case, its file name, transfer syntax and the checks of its key."""

    case: Case
    file: str
    rng: random.Random
    ds: Dataset = field(default_factory=Dataset)
    syntax: str = "1.2.840.10008.1.2.1"
    checks: list[dict[str, Any]] = field(default_factory=list)
    bytes_after: list[Callable[[bytes], bytes]] = field(default_factory=list)
    frame_after: list[Callable[[bytes], bytes]] = field(default_factory=list)
    meta: list[Any] = field(default_factory=list)  # elements of group 0002 beside the usual ones
    may_be_held: bool = False  # nothing says how to clean it: held with a reason is right
    content: bytes | None = None  # stands for the whole file where no data set is written

    def check(self, kind: str, category: str, place: str = "", **more: Any) -> None:
        self.checks.append({"file": self.file, "kind": kind, "category": category, "place": place, **more})

    def put(self, place: str, value: Any, vr: str = "") -> None:
        """Write a value; what an earlier one at the same place promised is forgotten with it."""
        kept = {"present", "pseudonym", "interval"}
        inside = (f"{place}[", f"{place}/")
        self.checks = [
            c
            for c in self.checks
            if (c["place"] != place or c["kind"] in kept) and not c["place"].startswith(inside)
        ]
        put(self.ds, place, value, vr)

    def gone(self, place: str, value: Any, category: str, forms: Iterable[str], vr: str = "") -> None:
        """Plant an identifier: none of its `forms` may be read at this place again."""
        self.put(place, value, vr)
        self.check("gone", category, place, forms=list(forms))

    def keep(self, place: str, value: Any, category: str, vr: str = "") -> None:
        """Write what a reviewer needs: the same value must be read at this place again."""
        self.put(place, value, vr)
        self.check("kept", category, place)

    def date(self, place: str, value: str, category: str = "dates", vr: str = "") -> None:
        """Write a DA or DT that must move by the case's offset, its time of day unchanged."""
        self.put(place, value, vr)
        self.check("shifted", category, place)

    def uid(
        self, place: str, value: str, category: str = "uids", vr: str = "", *, resolves: bool = False
    ) -> None:
        """Write an instance UID that must be replaced; a reference must follow what it names."""
        self.put(place, value, vr)
        self.check("mapped", category, place, value=value, resolves=resolves)

    def stays(self, place: str, value: str, category: str = "uids_that_stay", vr: str = "") -> None:
        self.put(place, value, vr)
        self.check("stays", category, place)

    def present(self, *places: str, empty: bool = False) -> None:
        """Type 1 must have a value, type 2 (`empty`) must be there."""
        for place in places:
            self.check("present", "type_2" if empty else "type_1", place, empty=empty)

    def text(
        self, place: str, template: str, category: str, vr: str = "", *, kept: str = "clinical_words"
    ) -> bool:
        """Plant a sentence: {fields} go, <words> stay. False where the case's character set cannot write it."""
        told = vr or dictionary_VR(tag_of(place.rsplit("/", 1)[-1].split("[", maxsplit=1)[0]))
        forms, words = [], KEEP.findall(template)

        def fill(match: re.Match[str]) -> str:
            text, found = self.case.fields[match[1]]
            forms.extend(found)
            return text

        value = TOKEN.sub(fill, KEEP.sub(r"\1", template))
        limit = LONGEST.get(told, 10240)
        if len(value) > limit:
            value = value[:limit].rstrip()
            forms = [f for f in forms if f in value]
            words = [w for w in words if w in value]
        if not writable(value, self.case):
            return False
        self.put(place, value, told)
        if forms:
            self.check("gone", category, place, forms=list(dict.fromkeys(forms)), but=words)
        if words:
            self.check("kept", kept, place, words=words)
        return True

    def dated(self, place: str, template: str, day: date_type, form: str) -> None:
        """Plant a date in a text, written in `form`: it moves by the case's offset and the words beside it stay."""
        words = KEEP.findall(template)
        self.put(place, KEEP.sub(r"\1", template).replace("{date}", day.strftime(form)))
        self.check("dated", "dates_in_text", place, day=day.isoformat(), form=form)
        self.check("kept", "clinical_words", place, words=words)

    def value(self, place: str) -> Any:
        element = get(self.ds, place)
        assert element is not None, place
        return element.value


def writable(text: str, case: Case) -> bool:
    """Whether the case's single-byte character set has every letter (ISO 2022 extensions are for PN here)."""
    from pydicom.charset import python_encoding

    names = case.charsets
    if case.lying or names[0] == "ISO_IR 192":
        return True
    try:
        text.encode(python_encoding[names[0]] if len(names) == 1 and names[0] else "ascii")
    except UnicodeEncodeError:
        return False
    return True


def spread_uid(rng: random.Random, told: str = "") -> str:
    """A new instance UID; `told` are digits of the patient that a sender built into it."""
    root = "1.2.752.99.7" if told else "1.2.826.0.1.3680043.8.498"
    return f"{root}.{told + '.' if told else ''}{rng.randrange(10**20, 10**21)}"
