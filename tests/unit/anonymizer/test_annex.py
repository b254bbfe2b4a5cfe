from __future__ import annotations

import pytest

from anonymizer import annex_words
from anonymizer.actions import STAND_INS, Actor
from anonymizer.annex import annex, difference, effect_of
from anonymizer.attribute_types import load_table
from anonymizer.elements import ALL_VRS
from anonymizer.private import safe_list
from anonymizer.profile import ACTION_WORDS, PROFILES, load_profile

RETIRED_OPTIONS = {"113102", "113106", "113109", "113110", "113112"}


@pytest.mark.parametrize("vr", sorted(ALL_VRS - {"SQ"}))
@pytest.mark.parametrize("action", ["C", "K"])
def test_the_annex_says_of_clean_and_keep_what_the_engine_does(action, vr):
    assert effect_of(action, vr) == Actor._by_kind(action, vr)


def test_every_action_has_a_fate_and_words():
    assert set(annex_words.KINDS) | {"X/Z/U*"} == set(ACTION_WORDS)
    assert frozenset(int(tag, 16) for tag in annex_words.STAND_INS) == STAND_INS


@pytest.mark.parametrize("name", PROFILES)
def test_the_annex_is_whole_and_the_same_each_time(name):
    made = annex(load_profile(name))
    assert made == annex(load_profile(name))
    assert len(made.rows) > 5200
    assert made.digest == load_profile(name).digest
    assert all(len(digest) == 64 for _, _, digest in made.tables)
    assert {name for name, _, _ in made.tables} > {"tables/annex_e.json", "words/clinical.txt"}
    assert all(edition for _, edition, _ in made.tables)
    assert made.rules
    assert made.limits


def test_options_carry_their_codes():
    codes = {code for code, _ in annex(load_profile("mdt-default")).options}
    assert codes == {"113100", "113101", "113103", "113104", "113105", "113107", "113108", "113111"}
    assert {code for code, _ in annex(load_profile("strict")).options} == {"113100", "113101"}
    assert annex(load_profile("identified")).options == ()
    assert not codes & RETIRED_OPTIONS


def row(name: str, tag: str):
    return next(row for row in annex(load_profile(name)).rows if row.tag == tag)


@pytest.mark.parametrize(
    ("tag", "kind", "words"),
    [
        ("(0010,0010)", "replaced", "stand-in"),
        ("(0010,0030)", "emptied", "emptied"),
        ("(0008,0090)", "replaced", "if there is one"),
        ("(0008,0020)", "shifted", "secret number of days"),
        ("(0008,0030)", "kept", "form"),
        ("(0010,1010)", "kept", "90"),
        ("(0008,1030)", "cleaned", "cleaned"),
        ("(0008,0018)", "replaced", "keyed UID"),
        ("(0040,A730)", "in turn", "each item"),
        ("(0008,2112)", "in turn", "each item"),
        ("(0088,0200)", "removed", "whatever its Type"),
        ("(0008,0080)", "removed", "must have it"),
        ("60XX3000", "removed", "removed"),
        ("PRIVATE", "removed", "safe lists"),
        ("(0028,0010)", "kept", "kept"),
    ],
)
def test_rows_say_what_becomes_of_a_value(tag, kind, words):
    found = row("mdt-default", tag)
    assert found.kind == kind
    assert words in found.words


def test_identified_says_that_nothing_is_done():
    made = annex(load_profile("identified"))
    assert {row.kind for row in made.rows} == {"kept"}
    assert made.private == ()
    assert "Nothing is removed" in made.limits[0]


def test_strict_lists_no_private_element_and_no_kept_text():
    made = annex(load_profile("strict"))
    assert made.private == ()
    assert row("strict", "PRIVATE").kind == "removed"
    assert [one.tag for one in made.rows if one.kind == "cleaned"] == ["(0008,0104)"]
    assert not [one for one in made.rows if one.kind == "shifted"]


def test_the_private_list_is_the_one_that_the_engine_reads():
    made = annex(load_profile("mdt-default"))
    listed = {
        (group.creator, element.split(" ")[0], element.split(" ")[1])
        for group in made.private
        for element in group.elements
    }
    safe = {
        (creator, f"({group:04X},xx{element:02X})", one.vr)
        for (creator, group, element), one in safe_list().items()
        if Actor._by_kind("C", one.vr) != "X" or one.vr == "SQ"
    }
    assert listed == safe
    assert len(listed) > 1800


def test_two_profiles_differ_where_one_of_them_removes():
    rows = list(difference(annex(load_profile("mdt-default")), annex(load_profile("strict"))))
    assert {mine.tag for mine, _ in rows} >= {"(0008,1030)", "(0010,1010)", "(0008,0020)", "PRIVATE"}
    assert all(mine.words != theirs.words for mine, theirs in rows)
    assert not list(difference(annex(load_profile("strict")), annex(load_profile("strict"))))


def test_concepts_are_listed_by_code():
    concepts = annex(load_profile("mdt-default")).concepts
    assert ("DCM", "121008", "Person Observer Name") in concepts
    assert len(concepts) == sum(
        one["handling"] == "identifier" for one in load_table("sr_concepts.json")["rows"]
    )
