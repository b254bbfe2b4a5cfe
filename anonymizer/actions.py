"""The actions of PS3.15 Table E.1-1 on one element (never on a sequence), and the resolution of compound codes by Type.

References
----------
PS3.15 E.1.1 and Table E.1-1a (action codes); PS3.5 6.2 (value representations), 7.4 (types).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from anonymizer.charset import Charset, is_plain, other_readings
from anonymizer.cleaner import Cleaner
from anonymizer.elements import (
    MAX_CHARS,
    NUMBER_VRS,
    SINGLE_TEXT_VRS,
    STREAM_VRS,
    TEXT_VRS,
    WORD_SIZES,
    Element,
    is_private,
    keyword,
    least_values,
)
from anonymizer.forms import BASE64, FORMS, LARGE_NUMBERS, PLACEHOLDER, cap_age, cut, large_numbers, unpacked
from anonymizer.pseudonyms import Pseudonyms, folded_name, is_uid

PATIENT_NAME, PATIENT_ID, ACCESSION, STUDY_ID = 0x00100010, 0x00100020, 0x00080050, 0x00200010
GRAPHIC_LAYER = 0x00700002
STAND_INS = frozenset({PATIENT_NAME, PATIENT_ID, ACCESSION, STUDY_ID})
PIXEL_ASPECT_RATIO = 0x00280034  # 1:1, the only dummy, is told by its absence (PS3.3 C.7.6.3.1.7)
REMOVED = "REMOVED"
MEMORY, SHORT = 20_000, 128  # outcomes remembered, and the bytes of the longest value that is
UID_IN_TEXT = re.compile(r"(?<![\w.])([0-2](?:\.\d{1,39}){4,}|2\.25\.\d{20,39})(?![\w]|\.\d)")
DUMMIES = {"DA": "19000101", "DT": "19000101000000", "TM": "000000", "AS": "000Y", "AE": "ANON", "IS": "1", "DS": "1",
           "CS": "REMOVED", "UR": "urn:removed"}  # fmt: skip


def resolve(action: str, type_: str) -> str:
    """One simple action for a compound code, so that type 1 keeps a value and type 2 stays present.

    A conditional attribute that is present is treated as if its condition holds.
    """
    need = {"1": 1, "1C": 1, "2": 2, "2C": 2}.get(type_, 3)
    if action in {"X", "X/D", "X/Z", "X/Z/D"}:
        return {1: "D", 2: "Z", 3: "X"}[need]
    if action in {"Z", "Z/D"}:
        return "D" if need == 1 else "Z"
    if action == "X/Z/U*":
        return "U"
    return action


@dataclass(frozen=True, slots=True)
class Outcome:
    """The element that goes on (None: removed) and the action that was really taken ("K" when nothing changed)."""

    element: Element | None
    action: str


GONE = Outcome(None, "X")


class Actor:
    """Applies simple actions with one case's pseudonyms and cleaner; equal short values, as slices repeat them, once."""

    def __init__(self, pseudonyms: Pseudonyms, cleaner: Cleaner) -> None:
        self.pseudonyms = pseudonyms
        self.cleaner = cleaner
        self._to_short = lru_cache(maxsize=MEMORY)(self._to_value)

    def apply(self, action: str, element: Element, charset: Charset, type_: str) -> Outcome:
        """``action`` is a simple code: X Z D K C U, or one of profile's own I T S N P."""
        if len(element.value) <= SHORT:
            return self._to_short(action, element.tag, element.vr, bytes(element.value), charset, type_)
        return self._to(action, element, charset, type_)

    def _to_value(
        self, action: str, tag: int, vr: str, value: bytes, charset: Charset, type_: str
    ) -> Outcome:
        return self._to(action, Element(tag, vr, value), charset, type_)

    def _to(self, action: str, element: Element, charset: Charset, type_: str) -> Outcome:
        vr = element.vr
        if action in {"C", "K"}:
            action = self._by_kind(action, vr)
        if action == "X":
            return GONE
        if action == "K":
            return self._kept(element, type_)
        if action == "Z":
            if element.value and (element.tag in STAND_INS or vr == "PN"):
                action = "P" if vr == "PN" else "I"
            else:
                return Outcome(Element(element.tag, vr), "Z")
        if action == "D":
            return self._dummy(element, charset)
        if not element.value:
            return Outcome(element, "K")
        if action == "C":
            return self._cleaned(element, charset, type_)
        return self._mapped(action, element, charset, type_)

    @staticmethod
    def _by_kind(action: str, vr: str) -> str:
        """What "clean" and "keep" mean for a kind of value: kept text is cleaned too, kept numbers are checked."""
        if vr in TEXT_VRS:
            return "C"
        if vr in {"CS", "DS", "IS", "TM", "AS"}:
            return "N"
        if vr in {"DA", "DT"}:
            return "K" if action == "K" else "S"
        if vr == "PN":
            return "P"
        if vr == "UI":
            return "U" if action == "C" else "T"
        if vr in NUMBER_VRS or (action == "K" and vr in STREAM_VRS):
            return "K"
        return "X"

    def _kept(self, element: Element, type_: str) -> Outcome:
        if (
            element.vr in STREAM_VRS
            and element.tag >> 16 != 0x7FE0
            and self.cleaner.needles.any_in(memoryview(element.value))
        ):
            return self.lost(element, type_)
        if element.vr in LARGE_NUMBERS and any(map(self._is_number_known, large_numbers(element))):
            return self.lost(element, type_)
        return Outcome(element, "K")

    def _is_number_known(self, number: str) -> bool:
        return self.cleaner.finds(number) if len(number) >= 10 else self.cleaner.known_left(number)

    # -- text ---------------------------------------------------------------------------------------------------
    def _cleaned(self, element: Element, charset: Charset, type_: str) -> Outcome:
        raw = bytes(element.value)
        text, doubt = charset.decode(raw, element.vr)
        text = text.rstrip(" \0").replace("\0", "")
        single = element.vr in SINGLE_TEXT_VRS
        values = [text] if single else text.split("\\")
        cleaned = [self._prose(value) if value else value for value in values]
        if doubt:
            cleaned = self._as_others_read("\\".join(cleaned), doubt, single=single) or cleaned
        if len(values) > 1 and self.cleaner.known_left(" ".join(cleaned)):
            cleaned = [""]
        if cleaned == values and is_plain(raw):
            return Outcome(element, "K")
        limit = MAX_CHARS.get(element.vr)
        if limit:  # what was longer when it came may stay so: cutting it would lose a sender's words
            limit = max(limit, *map(len, values))
            cleaned = [value if len(value) <= limit else cut(value, limit) for value in cleaned]
        fitted = "\\".join(cleaned)
        if not fitted.strip(" \\"):
            return self.lost(element, type_)
        return Outcome(text_element(element, fitted), "K" if cleaned == values else "C")

    def _as_others_read(self, text: str, doubt: str, *, single: bool) -> list[str] | None:
        """The values by the first other reading that shows a known identifier, cleaned; None when none does."""
        for other in other_readings(text, doubt):
            if self.cleaner.known_left(other):
                cleaned = [self._prose(value) for value in ([other] if single else other.split("\\"))]
                left = self.cleaner.known_left("\\".join(cleaned))
                return [""] if left else cleaned
        return None

    def _prose(self, value: str) -> str:
        """Text without identifiers; a UID inside it follows the case's mapping, like every other reference."""
        if len(value) >= 20 and (packed := BASE64.search(value)) and self._hides(packed.group()):
            value = BASE64.sub(lambda run: "[removed]" if self._hides(run.group()) else run.group(), value)
        if value.count(".") < 2:
            return self.cleaner.clean(value)[0]
        pieces = UID_IN_TEXT.split(value)
        for place in range(0, len(pieces), 2):
            pieces[place] = self.cleaner.clean(pieces[place])[0] if pieces[place].strip() else pieces[place]
        for place in range(1, len(pieces), 2):
            pieces[place] = self.pseudonyms.uid(pieces[place])
        return "".join(pieces)

    def _hides(self, packed: str) -> bool:
        plain = unpacked(packed)
        return self.cleaner.needles.any_in(plain) or self.cleaner.known_left(plain.decode("utf-8", "replace"))

    def lost(self, element: Element, type_: str) -> Outcome:
        """Nothing of the value may stay: removed, emptied or replaced as its Type asks."""
        action = resolve("X", type_)
        if action == "X" or element.tag == PIXEL_ASPECT_RATIO:
            return GONE
        if action == "Z":
            return Outcome(Element(element.tag, element.vr), "Z")
        return Outcome(self._plain_dummy(element), "D")

    # -- values that are mapped one by one ----------------------------------------------------------------------
    def _mapped(self, action: str, element: Element, charset: Charset, type_: str) -> Outcome:
        raw = bytes(element.value)
        text, _ = charset.decode(raw, element.vr)
        values = [value.strip(" \0") for value in text.split("\\")]
        if action == "N":
            return self._checked(element, values, type_)
        mapped = [self._map(action, element, value) if value else "" for value in values]
        if any(value and not new for value, new in zip(values, mapped, strict=True)):
            return self.lost(element, type_)
        if mapped == values and is_plain(raw):
            return Outcome(element, "K")
        return Outcome(text_element(element, "\\".join(mapped)), "K" if mapped == values else action)

    def _map(self, action: str, element: Element, value: str) -> str:
        if action == "U":
            return self.pseudonyms.uid(value)
        if action == "S":
            return self.pseudonyms.date(value) if element.vr == "DA" else self.pseudonyms.datetime(value)
        if action == "P":
            return self._person(element.tag, value)
        if action == "I":
            return self._stand_in(element.tag, value)
        if element.vr == "UI":  # T: a class or coding UID
            return (
                value if is_uid(value) and not self.cleaner.known_left(value) else self.pseudonyms.uid(value)
            )
        if not self.cleaner.known_left(value):
            return value
        cleaned = self._prose(value)[: MAX_CHARS.get(element.vr)]
        return self._stand_in(element.tag, value) if self.cleaner.known_left(cleaned) else cleaned

    def _person(self, tag: int, value: str) -> str:
        if tag == PATIENT_NAME or folded_name(value) in self.cleaner.patient_names:
            return self.pseudonyms.patient_name()
        word = keyword(tag)
        role = next(
            (role for role in ("Physician", "Operator", "Reviewer", "Observer") if role in word), "Person"
        )
        return self.pseudonyms.person(value, role)

    def _stand_in(self, tag: int, value: str) -> str:
        if tag == PATIENT_ID:
            return self.pseudonyms.patient_id()
        if tag == ACCESSION:
            return self.pseudonyms.accession(value)
        if tag == STUDY_ID:
            return self.pseudonyms.study_id(value)
        return self.pseudonyms.code(keyword(tag) or f"{tag:08X}", value)

    def _checked(self, element: Element, values: list[str], type_: str) -> Outcome:
        """CS, DS, IS, TM, AS: kept when each value has the form of its kind and is no known identifier."""
        vr, form = element.vr, FORMS[element.vr]
        new = []
        for value in values:
            shown = value
            if vr == "CS":
                if is_private(element.tag) and not form.fullmatch(value):
                    return self.lost(element, type_)  # a vendor's free text that calls itself a term
                shown = self._term(value, shortest=1 if is_private(element.tag) else 3)
                if shown == REMOVED and element.tag == GRAPHIC_LAYER:
                    shown = self.pseudonyms.code(
                        keyword(element.tag), value
                    )  # two layers must not become one
            elif value and (not form.fullmatch(value) or self._is_identifier(vr, value)):
                return self.lost(element, type_)
            elif vr == "AS":
                shown = cap_age(value)
            new.append(shown)
        if new == values:
            same = is_plain(bytes(element.value))
            return Outcome(element if same else text_element(element, "\\".join(new)), "K")
        if len(new) == 1 and new[0] == REMOVED:
            return self.lost(element, type_)
        return Outcome(text_element(element, "\\".join(new)), "C")

    def _term(self, value: str, *, shortest: int = 3) -> str:
        """A term (CS) as it stands, or what is left of it without the identifier, or `REMOVED`.

        ``shortest``: the standard's own terms of two letters (CT, MR, NO) are nobody's name; a vendor's may be.
        """
        if len(value) < shortest:
            return value
        if FORMS["CS"].fullmatch(value):
            if not self.cleaner.known_left(value) and not (
                value.isdigit() and len(value) >= 10 and self.cleaner.finds(value)
            ):
                return value
        elif self.cleaner.clean(value)[1] == 0 and len(value) <= MAX_CHARS["CS"]:
            return value
        rest = " ".join(PLACEHOLDER.sub(" ", self.cleaner.clean(value.replace("_", " "))[0]).split())[
            :16
        ].strip()
        known = self.cleaner.known_left(rest) or self.cleaner.known_left(rest.title())
        return REMOVED if known or not re.search(r"[A-Za-z]{2}", rest) else rest

    def _is_identifier(self, vr: str, value: str) -> bool:
        if vr in {"TM", "AS"}:
            return False
        whole = value.partition(".")[0].strip(" +-")
        digits = sum(sign.isdigit() for sign in whole)
        if digits < 6:
            return False
        if whole.isdigit() and digits >= 10 and self.cleaner.finds(whole):
            return True
        return self.cleaner.known_left(value) or self.cleaner.known_left(whole)

    # -- dummies ------------------------------------------------------------------------------------------------
    def _dummy(self, element: Element, charset: Charset) -> Outcome:
        vr = element.vr
        if vr in TEXT_VRS or vr in {"PN", "UI"}:
            action = {"PN": "P", "UI": "U"}.get(vr, "I")
            if bytes(element.value).strip(b" \0"):
                outcome = self._mapped(action, element, charset, "1")
                return Outcome(outcome.element, "D" if action == "I" else outcome.action)
        return Outcome(self._plain_dummy(element), "D")

    def _plain_dummy(self, element: Element) -> Element:
        vr = element.vr
        if vr in WORD_SIZES:
            return Element(element.tag, vr, bytes(WORD_SIZES[vr] * least_values(element.tag)))
        if vr in {"OB", "UN"}:
            return Element(element.tag, vr, b"\0\0")
        if vr == "UI":
            return Element(element.tag, vr, self.pseudonyms.uid(f"none {element.tag:08X}").encode("ascii"))
        dummy = DUMMIES.get(vr, REMOVED)
        return Element(element.tag, vr, "\\".join([dummy] * least_values(element.tag)).encode("ascii"))


@lru_cache(maxsize=4)
def actor_for(pseudonyms: Pseudonyms, cleaner: Cleaner) -> Actor:
    """The actor of a case; a few are remembered, so that one case's objects share what it has judged."""
    return Actor(pseudonyms, cleaner)


def text_element(element: Element, text: str) -> Element:
    return Element(element.tag, element.vr, text.encode("utf-8"))
