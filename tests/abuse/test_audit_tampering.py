"""Somebody with the database in hand edits, cuts, forks or silences the audit trail (#34, #36, A8, A9, A11)."""

import hashlib
import json
from dataclasses import replace

import pytest
from sqlalchemy import text

from gateway.domain.audit import GENESIS, AuditEvent
from gateway.domain.people import Actor
from gateway.journeys.verify_audit import checkpoint_audit, verify_audit
from tests.fakes.journey_house import DESK, open_house

pytestmark = pytest.mark.abuse


@pytest.fixture
def house(tmp_path):
    made = open_house(tmp_path)
    for number in range(60):
        with made.records.change(by=DESK) as change:
            change.note("case_read", case_id=f"{number % 3:032x}", subject=f"s{number}", number=number)
            change.note("preview_read", subject=f"s{number}")
        if number % 20 == 19:
            _checkpoint(made)
    yield made
    made.close()


def _checkpoint(house):
    return checkpoint_audit(origin="consilium", **house.ports("records", "store", "witness"))


def _verify(house):
    return verify_audit(by=DESK, origin="consilium", **house.ports("records", "store", "witness"))


def _as_owner_of_the_file(house, *statements):
    """Who owns the file can drop the triggers: what then remains is the chain."""
    with house.records._write.begin() as connection:
        for verb in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS audit_no_{verb}"))
        for statement in statements:
            connection.execute(text(statement))


def _rewrite(house, *, start, edit):
    """Write the trail anew from ``start`` with hashes that fit, head included: the best that a thief of the file can do."""
    events = house.events()
    previous = events[start - 2].hash if start > 1 else GENESIS
    rows = []
    for event in events[start - 1 :]:
        made = replace(edit(event), previous=previous)
        previous = made.chained_hash()
        rows.append(replace(made, hash=previous))
    with house.records._write.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        for row in rows:
            connection.execute(
                text("UPDATE audit_event SET outcome=:o, previous=:p, hash=:h WHERE seq=:s"),
                {"o": row.outcome, "p": row.previous, "h": row.hash, "s": row.seq},
            )
        connection.execute(text("UPDATE audit_head SET hash=:h"), {"h": previous})


def test_an_untouched_trail_verifies_with_its_signed_heads_and_the_check_is_an_event(house):
    verdict = _verify(house)
    assert verdict.flaws == ()
    assert (verdict.events, verdict.checkpoints) == (124, 3)  # each signed head is an event too
    assert house.events()[-1].kind == "audit_verified"
    assert _checkpoint(house) is not None
    assert _checkpoint(house) is None


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE audit_event SET outcome='x' WHERE seq=50", "edited"),
        ("UPDATE audit_event SET details='{}' WHERE seq=42", "edited"),
        ("UPDATE audit_event SET at='2026-03-02 08:00:00.000000' WHERE seq=50", "edited"),
        ("UPDATE audit_event SET actor='staff:somebody' WHERE seq=50", "edited"),
        ("DELETE FROM audit_event WHERE seq=50", "gap"),
        ("DELETE FROM audit_event WHERE seq>110", "cut"),
        ("UPDATE audit_head SET seq=seq-1", "cut"),
        ("DELETE FROM audit_event", "cut"),
        ("UPDATE audit_event SET seq=999 WHERE seq=50", "gap"),
    ],
)
def test_an_edit_a_gap_and_a_cut_are_found(house, statement, kind):
    _as_owner_of_the_file(house, statement)
    assert kind in {flaw.kind for flaw in _verify(house).flaws}


def test_two_events_that_changed_places_are_found(house):
    _as_owner_of_the_file(
        house,
        "UPDATE audit_event SET seq=1000 WHERE seq=50",
        "UPDATE audit_event SET seq=50 WHERE seq=51",
        "UPDATE audit_event SET seq=51 WHERE seq=1000",
    )
    assert _verify(house).flaws


def test_a_trail_that_was_written_anew_with_fitting_hashes_does_not_fit_what_was_witnessed(house):
    _rewrite(house, start=50, edit=lambda e: replace(e, outcome="never happened") if e.seq == 50 else e)
    flaws = _verify(house).flaws
    assert {flaw.kind for flaw in flaws} == {"forked"}
    assert {flaw.seq for flaw in flaws} == {82, 123}


def test_what_was_written_anew_behind_the_last_signed_head_is_the_limit_of_what_can_be_known(house):
    with house.records.change(by=DESK) as change:
        change.note("case_read")
    _rewrite(house, start=125, edit=lambda e: replace(e, outcome="x"))
    assert _verify(house).flaws == ()


def test_a_trail_and_head_rolled_back_together_are_found_by_the_witness(house):
    events = house.events()
    _as_owner_of_the_file(
        house,
        "DELETE FROM audit_event WHERE seq>100",
        f"UPDATE audit_head SET seq=100, hash='{events[99].hash}'",  # noqa: S608 - a hash of ours
    )
    assert [flaw.kind for flaw in _verify(house).flaws] == ["cut"]


def test_a_checkpoint_that_somebody_else_signed_or_touched_is_told(house):
    house.witness.kept[0] = house.witness.kept[0].replace("\n41\n", "\n40\n")
    house.witness.kept[1] = "nonsense"
    flaws = _verify(house).flaws
    assert [flaw.kind for flaw in flaws] == ["unsigned", "unsigned", "unwitnessed", "unwitnessed"]


@pytest.mark.parametrize("left", [0, 1])
def test_notes_that_are_taken_away_from_the_witness_are_missed(house, left):
    del house.witness.kept[left:]
    assert {flaw.kind for flaw in _verify(house).flaws} == {"unwitnessed"}


def test_cutting_the_trail_and_taking_all_notes_away_is_found(house):
    events = house.events()
    _as_owner_of_the_file(
        house,
        "DELETE FROM audit_event WHERE seq>100",
        f"UPDATE audit_head SET seq=100, hash='{events[99].hash}'",  # noqa: S608 - a hash of ours
    )
    house.witness.kept.clear()
    assert {flaw.kind for flaw in _verify(house).flaws} == {"unwitnessed"}


def test_a_witness_of_another_house_is_told(house):
    assert {
        f.kind
        for f in verify_audit(by=DESK, origin="another", **house.ports("records", "store", "witness")).flaws
    } == {"unsigned"}


@pytest.mark.parametrize(
    "evil", ['"}\n{"seq":1}', "a\r\nb", "\x1b[2J", "\x00", "å\u202eb", "x" * 5000, "\ud800"]
)
def test_text_from_outside_cannot_forge_or_break_a_line(house, evil):
    actor = Actor(kind="peer", id="P", address=evil[:40])
    with house.records.change(by=actor) as change:
        change.note("instance_refused", subject=evil, outcome="refused", why=evil)
    assert _verify(house).flaws == ()
    event = house.events("instance_refused")[-1]
    assert json.loads(event.canonical())["details"]["why"] == event.details["why"]
    assert b"\n" not in event.canonical()


def test_the_rule_can_be_checked_without_any_of_our_code(house):
    """As ``docs`` say: SHA-256 over a prefix and sorted JSON; nothing else is needed."""
    previous = "0" * 64
    for event in house.events():
        value = {
            "seq": event.seq, "at": event.at.isoformat(timespec="microseconds"), "kind": event.kind,
            "actor": event.actor, "address": event.address, "case_id": event.case_id, "subject": event.subject,
            "outcome": event.outcome, "details": dict(event.details), "previous": previous,
        }  # fmt: skip
        line = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(b"consilium-audit-1\n" + line.encode()).hexdigest()
        assert previous == event.hash
    assert isinstance(house.events()[0], AuditEvent)
