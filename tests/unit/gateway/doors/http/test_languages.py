"""Each sentence of each door has its Swedish; no catalog holds one that nobody says."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import gateway.doors
from gateway.doors.desk import delivery_words, peer_words
from gateway.doors.http.i18n import Tongues
from tests.fakes import sentences

DOORS = Path(gateway.doors.__file__).parent
SHARED = DOORS / "http"
WITH_PAGES = sorted(one.parent for one in DOORS.glob("*/templates"))
LANGUAGES = ("sv",)
# Sentences of other layers that a door says: it names them, so that they are translated as its own are.
TABLES = {"desk": (peer_words.FROM_THE_NODE, delivery_words.SENTENCES, sentences.told()[0])}
_JINJA = {
    "newstyle_gettext": "true",
    "extensions": "jinja2.ext.do",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
}


def said(folder: Path) -> dict[object, str]:
    """Return every sentence of a door and where it stands; English is the source."""
    found: dict[object, str] = {}
    for file in folder.rglob("*.html"):
        with file.open("rb") as text:
            for line, _, message, _ in babel_extract(text, ("_", "gettext", "ngettext"), [], _JINJA):
                parts = (message,) if isinstance(message, str) else tuple(one for one in message if one)
                found[parts] = f"{file.name}:{line}"
    for file in folder.rglob("*.py"):
        with file.open("rb") as text:
            for line, message, _, _ in extract("python", text, {"N_": None, "_": None}):
                found[message,] = f"{file.name}:{line}"
    for words in TABLES.get(folder.name, ()):
        found.update({(text,): "a table of another layer" for text in words})
    return found


def written(folder: Path, language: str) -> dict[object, object]:
    file = folder / "locale" / f"{language}.po"
    if not file.exists():
        return {}
    with file.open("rb") as text:
        catalog = read_po(text, abort_invalid=True)
    for message in catalog:
        assert not message.fuzzy, message.id
        assert not list(message.check(catalog)), message.id
    return {(one.id,) if isinstance(one.id, str) else tuple(one.id): one.string for one in catalog if one.id}


def placeholders(sentence: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}|%\(\w+\)s|%%", sentence))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("door", WITH_PAGES, ids=lambda door: door.name)
def test_every_sentence_is_translated(door, language):
    known = {**written(SHARED, language), **written(door, language)}
    for sentence, where in said(door).items():
        assert sentence in known, f"{where} has no {language}: {sentence}"
        strings = known[sentence] if isinstance(known[sentence], tuple) else (known[sentence],)
        for form, string in enumerate(strings):
            source = sentence[0] if form == 0 else sentence[-1]
            assert string, f"{where}: empty in {language}: {sentence}"
            assert placeholders(source) == placeholders(string), f"{where}: other placeholders in {language}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("door", WITH_PAGES, ids=lambda door: door.name)
def test_no_translation_is_left_over(door, language):
    stale = set(written(door, language)) - set(said(door))
    assert not stale


@pytest.fixture
def tongues():
    return Tongues(
        [SHARED / "locale"], codes=("sv", "en"), default="sv", timezone=ZoneInfo("Europe/Stockholm")
    )


@pytest.mark.parametrize(
    ("asked", "cookie", "accept", "code"),
    [
        (None, None, "", "sv"),
        (None, None, "en-GB,en;q=0.9", "en"),
        (None, None, "de, en;q=0.5, sv;q=0.7", "sv"),
        (None, None, "fi", "sv"),
        (None, "en", "sv", "en"),
        ("sv", "en", "en", "sv"),
        ("xx", None, "en", "en"),
        (None, "../../x", "en", "en"),
        (None, None, "en;q=nonsense, sv;q=0, ,;;q=", "sv"),
    ],
)
def test_the_language_is_chosen(tongues, asked, cookie, accept, code):
    cookies = {"consilium-language": cookie} if cookie else {}
    assert tongues.pick(asked=asked, cookies=cookies, accept=accept).code == code


def test_dates_and_sizes_follow_the_language(tongues):
    at = datetime(2026, 12, 13, 23, 30, tzinfo=UTC)
    swedish = tongues.pick(asked="sv", cookies={}, accept="")
    english = tongues.pick(asked="en", cookies={}, accept="")
    assert swedish.day(at) == "14 december 2026"
    assert english.day(date(2026, 12, 14)) == "14 December 2026"
    assert english.moment(at) == "14 Dec 2026 00:30"
    assert swedish.size(4_200_000) == "4,2\u00a0MB"
    assert english.size(999) == "999\u00a0B"
    assert [one.own_name for one in tongues] == ["Svenska", "English"]


def test_a_language_that_is_asked_for_is_remembered(browser):
    browser.get("/x/")
    answer = browser.get("/x/?lang=en")
    assert answer.headers["Content-Language"] == "en"
    assert "consilium-language=en" in answer.headers["set-cookie"]
    assert browser.get("/x/").headers["Content-Language"] == "en"
    assert "set-cookie" not in browser.get("/x/?lang=xx").headers
