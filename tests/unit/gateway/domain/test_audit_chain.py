"""The audit chain: whatever is edited, cut, moved, inserted or forked is found, and the bytes stay what they were."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.audit import (
    EVENT_KINDS,
    GENESIS,
    AuditEvent,
    Checkpoint,
    flaws,
    public_key,
    read_checkpoint,
)

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
SEED = bytes(range(32))


def _chain(count, *, salt=""):
    events, previous = [], GENESIS
    kinds = sorted(EVENT_KINDS)
    for seq in range(1, count + 1):
        event = AuditEvent(
            seq=seq, at=T0 + timedelta(seconds=seq), kind=kinds[seq % len(kinds)], actor=f"house:{salt}",
            case_id=f"{seq % 7:032x}", details={"bytes": seq, "why": salt}, previous=previous,
        )  # fmt: skip
        event = replace(event, hash=event.chained_hash())
        previous = event.hash
        events.append(event)
    return events


TRAIL = _chain(1000)


def _flaws(events, of=TRAIL):
    return list(flaws(events, head_seq=of[-1].seq, head_hash=of[-1].hash))


def test_the_canonical_form_never_changes():
    event = AuditEvent(
        seq=7, at=datetime(2026, 3, 2, 9, 5, 6, 70, tzinfo=UTC), kind="case_opened", actor="staff:ab",
        address="::1", case_id="c", subject="C-7QK2M9XF", details={"é": 'å\n"', "a": 1}, previous=GENESIS,
    )  # fmt: skip
    assert (
        event.canonical()
        == (
            '{"actor":"staff:ab","address":"::1","at":"2026-03-02T09:05:06.000070+00:00","case_id":"c",'
            '"details":{"a":1,"é":"å\\n\\""},"kind":"case_opened","outcome":"ok",'
            f'"previous":"{GENESIS}","seq":7,"subject":"C-7QK2M9XF"}}'
        ).encode()
    )
    assert event.chained_hash() == "8f337dc4e3681406e7867e224f2d7a728a4b02bdf09cec5bc43db541dd7944ad"


def test_an_untouched_trail_of_a_thousand_events_verifies_and_an_empty_one_too():
    assert _flaws(TRAIL) == []
    assert list(flaws([], head_seq=0, head_hash=GENESIS)) == []


FIELDS = ("at", "kind", "actor", "address", "case_id", "subject", "outcome", "details", "previous", "hash")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.sampled_from(FIELDS))
def test_an_edit_of_any_field_of_any_event_is_found(index, name):
    changed = {"at": T0, "details": {"bytes": -1}, "previous": "f" * 64, "hash": "f" * 64}.get(name, "edited")
    trail = [*TRAIL]
    trail[index] = replace(trail[index], **{name: changed})
    assert any(f.kind == "edited" for f in _flaws(trail))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999))
def test_an_edit_with_a_matching_hash_breaks_the_link_to_the_next_or_the_head(index):
    event = replace(TRAIL[index], outcome="edited")
    event = replace(event, hash=event.chained_hash())
    found = _flaws([*TRAIL[:index], event, *TRAIL[index + 1 :]])
    assert found
    assert {f.kind for f in found} <= {"edited", "cut"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 998), st.integers(1, 50))
def test_a_gap_is_found_and_named(index, count):
    kept = TRAIL[:index] + TRAIL[index + count :]
    kinds = {f.kind for f in _flaws(kept)}
    assert kinds & {"gap", "cut"}
    if index + count < 1000:
        assert f"events {index + 1} to {min(index + count, 999)} are missing" in [
            f.what for f in _flaws(kept)
        ]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 999))
def test_a_cut_end_is_found(count):
    assert [f.kind for f in _flaws(TRAIL[:-count])] == ["cut"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(0, 999))
def test_two_events_that_changed_places_are_found(one, two):
    if one == two:
        return
    trail = [*TRAIL]
    trail[one], trail[two] = trail[two], trail[one]
    assert any(f.kind in {"reordered", "gap"} for f in _flaws(trail))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999))
def test_an_inserted_event_is_found_even_with_a_hash_that_fits(index):
    extra = replace(TRAIL[index], outcome="planted")
    extra = replace(extra, hash=extra.chained_hash())
    assert _flaws([*TRAIL[: index + 1], extra, *TRAIL[index + 1 :]])


def test_a_trail_that_was_written_anew_does_not_fit_the_old_head():
    assert [f.kind for f in _flaws(_chain(1000, salt="x"))] == ["cut"]


def test_a_checkpoint_is_read_back_with_its_own_key_only():
    checkpoint = Checkpoint(origin="consilium", size=1000, hash=TRAIL[-1].hash)
    note = checkpoint.signed(SEED)
    assert read_checkpoint(note, public=public_key(SEED)) == checkpoint
    assert read_checkpoint(note, public=public_key(b"x" * 32)) is None
    assert note.splitlines()[:2] == ["consilium", "1000"]


def _edits(note):
    yield note.replace("1000", "999")
    yield note.replace("consilium\n", "consilius\n", 1)
    yield ""
    yield "\n\n"
    yield "a\nb\nc\n\n— a AAAA\n"
    yield from (note[:n] for n in range(0, len(note) - 1, 7))


def test_a_checkpoint_that_was_touched_is_none():
    note = Checkpoint(origin="consilium", size=1000, hash=TRAIL[-1].hash).signed(SEED)
    for edited in _edits(note):
        assert read_checkpoint(edited, public=public_key(SEED)) is None, edited


@given(st.text(max_size=300))
def test_reading_any_text_as_a_checkpoint_never_raises(text):
    assert read_checkpoint(text, public=public_key(SEED)) is None


def test_a_line_break_or_an_escape_in_a_value_stays_inside_its_string():
    event = replace(TRAIL[0], subject='x"\r\n\x1b[2J{"seq":2}', details={"why": '\n{"kind":"case_opened"}'})
    assert b"\n" not in event.canonical()
    assert b"\x1b" not in event.canonical()
    assert json.loads(event.canonical())["subject"] == event.subject


@pytest.mark.parametrize("kind", sorted(EVENT_KINDS))
def test_every_kind_of_event_has_words_and_a_verb_of_the_law(kind):
    words, verb = EVENT_KINDS[kind]
    assert words[0].islower()
    assert verb in {"read", "written", "disclosed", "copied", "erased", "-"}
