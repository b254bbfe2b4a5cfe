"""What must hold of cleaning whatever the text and whoever the patient."""

from __future__ import annotations

import unicodedata
from datetime import date

from hypothesis import example, given, settings
from hypothesis import strategies as st

from anonymizer.folding import Normal, fold
from anonymizer.known import Address, Identifier, Known, Person, PersonName
from anonymizer.text import Scrubber

LATIN = "abcdefghijklmnopqrstuvwxyzåäöéüßøłçńğıñőżš"
LETTERS = LATIN + LATIN.upper() + "абвгджЩЮЯ" + "山田太郎"
WORDS = st.text(LETTERS, min_size=1, max_size=14)
DIGITS = st.text("0123456789", min_size=3, max_size=13)
NAMES = st.builds(PersonName, family=WORDS, given=WORDS | st.just(""), middle=WORDS | st.just(""))
CODES = st.from_regex(r"[A-Z]{0,3}[- ]?[0-9]{3,10}[A-Z]?", fullmatch=True)
KNOWN = st.builds(
    Known,
    names=st.lists(NAMES, max_size=3).map(tuple),
    identifiers=st.lists(st.builds(Identifier, value=CODES), max_size=3).map(tuple),
    birth_date=st.none() | st.dates(date(1900, 1, 1), date(2026, 1, 1)),
    addresses=st.lists(st.builds(Address, street=WORDS, city=WORDS), max_size=1).map(tuple),
    phones=st.lists(st.from_regex(r"\+?[0-9]{2,3}[- ]?[0-9]{6,8}", fullmatch=True), max_size=2).map(tuple),
    relatives=st.lists(st.builds(Person, names=NAMES.map(lambda name: (name,))), max_size=2).map(tuple),
    institutions=st.lists(WORDS, max_size=2).map(tuple),
    other=st.lists(WORDS | CODES, max_size=2).map(tuple),
)
PIECES = st.sampled_from([
    " ", ", ", "^", "-", "\n", ": ", "Dr. ", "Patient: ", "född ", "tel ", "disease", "[name]", "[", "]", "12 mars 1985", "2024-03-12",
    "CT", "per", "mm", ".", "'", "\u00ad", "\u0308", "@", "www.", "1", "0", "MRN ", "Storgatan 4", "ﬁ", "\u00a0", "=",
])  # fmt: skip


@st.composite
def _case(draw: st.DrawFn) -> tuple[Known, str]:
    known = draw(KNOWN)
    own = [part for name in known.names for part in (name.family, name.given, name.middle)]
    own += (
        [one.value for one in known.identifiers]
        + list(known.phones)
        + list(known.other)
        + list(known.institutions)
    )
    if known.birth_date:
        own += [known.birth_date.strftime(form) for form in ("%Y-%m-%d", "%d.%m.%y", "%Y%m%d", "%d %B %Y")]
    forms = st.sampled_from(own or ["x"]).flatmap(
        lambda part: st.sampled_from([part, part.upper(), part.lower(), part[:9], fold(part)])
    )
    return known, "".join(draw(st.lists(forms | PIECES | WORDS | DIGITS | st.text(max_size=4), max_size=14)))


@settings(max_examples=120, deadline=None)
@given(_case())
@example((Known(names=(PersonName(family="name", given="number"),)), "[name] name [number] number"))
def test_cleaning_leaves_nothing_known_and_is_done_after_once(case: tuple[Known, str]) -> None:
    known, text = case
    scrubber = Scrubber(known)
    once = scrubber.clean(text).text
    assert not scrubber.known_left(once)
    assert not scrubber.finds(once)
    assert scrubber.clean(once).text == once


@settings(max_examples=60, deadline=None)
@given(_case(), st.integers(-4000, 4000))
def test_shifting_leaves_nothing_known_either(case: tuple[Known, str], days: int) -> None:
    known, text = case
    scrubber = Scrubber(known, shift_days=days)
    assert not scrubber.known_left(scrubber.clean(text).text)


@settings(max_examples=60, deadline=None)
@given(_case())
def test_spans_are_in_order_apart_and_inside(case: tuple[Known, str]) -> None:
    known, text = case
    at = 0
    for span in Scrubber(known, shift_days=7).spans(text):
        assert at <= span.start < span.end <= len(text)
        at = span.end


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_the_comparable_text_knows_where_every_sign_came_from(text: str) -> None:
    normal = Normal(text)
    at = 0
    for index in range(len(normal.text)):
        start, end = normal.origin(index, index + 1)
        assert at <= start <= end <= len(text)
        at = start
    if normal.text == text:
        assert all(normal.origin(index, index + 1) == (index, index + 1) for index in range(len(text)))


FAMILY = st.text(LATIN, min_size=5, max_size=14).map(str.capitalize)


@settings(max_examples=60, deadline=None)
@given(
    FAMILY, FAMILY,
    st.sampled_from(["{g} {f}", "{f}, {g}", "{f}^{g}", "{F} {G}", "{g}-{f}", "{f}s", "Dr {f}", "{i}. {f}", "{f}_{g}", "\u200b{g}\u200b {f}"]),
)  # fmt: skip
def test_a_full_name_never_survives_in_any_order_or_case(family: str, given_name: str, form: str) -> None:
    known = Known(names=(PersonName(family=family, given=given_name),))
    written = form.format(f=family, g=given_name, F=family.upper(), G=given_name.upper(), i=given_name[0])
    scrubber = Scrubber(known)
    cleaned = scrubber.clean(f"CT buk {written} 12 mm").text
    assert cleaned.startswith("CT buk ")
    assert cleaned.endswith(" 12 mm")
    if form in ("{g} {f}", "{f}, {g}", "{f}^{g}"):
        plain = unicodedata.normalize("NFC", cleaned).casefold()
        assert family.casefold() not in plain
