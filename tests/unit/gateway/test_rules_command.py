"""``consilium rules`` and ``finding retry`` as an operator meets them: ids, places and states, and never a word."""

import json
import os
from types import SimpleNamespace

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli.main import command_line
from gateway.cli.offline import _masks
from gateway.compose import compose
from gateway.domain.errors import InvalidError
from gateway.domain.ids import new_id
from gateway.domain.rule import DeviceRule, mask_body
from gateway.journeys.open_case import open_case
from gateway.journeys.review_rules import judge_word
from gateway.settings import load_settings
from tests import factories
from tests.fakes.journey_house import DESK

app = command_line(["rules", "finding"])
LAYOUT = {"manufacturer": "Acme", "model": "Scan 1", "rows": 16, "columns": 16}


@pytest.fixture(autouse=True)
def as_it_was():
    """A command sets the log and the umask of its process, which here is the tests'."""
    mask, logging = os.umask(0o077), structlog.get_config()
    yield
    os.umask(mask)
    structlog.configure(**logging)


@pytest.fixture
def home(tmp_path):
    """A composed home with a case, a rule for a word of it, and a rule for a device that waits."""
    parts = compose(load_settings(tmp_path / "home"), sandbox_workers=1)
    house = parts.house
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "random": house.random}
    case = open_case(opinion="mdt", patient=factories.patient(1), by=DESK, **ports)
    word = judge_word(
        ref=case.ref, word="Zyxwort", identifies=True, reason="Zyxwort", by=DESK, records=house.records, clock=house.clock
    )  # fmt: skip
    device = DeviceRule(
        id=new_id(),
        kind="mask",
        made_by=str(DESK),
        made_at=house.clock.now(),
        body=mask_body(LAYOUT, [(1, 2, 3, 4)], kind="mask"),
        reason="The top line.",
    )
    with house.records.change(by=DESK) as change:
        change.device_rules.add(device)
        change.note("rule_made", subject=device.id, outcome="proposed")
    yield SimpleNamespace(folder=tmp_path / "home", ref=case.ref, word=word, device=device)
    parts.close()


def said(home, *words, code=0):
    done = CliRunner().invoke(app, ["--home", str(home.folder), "--json", *words])
    assert done.exit_code == code, done.output
    assert "Zyxwort" not in done.output
    return json.loads(done.stdout)


def test_rules_are_listed_and_shown_without_their_words(home):
    listed = said(home, "rules", "list")
    assert {(one["id"], one["kind"], one["state"]) for one in listed} == {
        (home.word.id, "removed_word", "active"),
        (home.device.id, "mask", "proposed"),
    }
    assert [one["case"] for one in said(home, "rules", "list", "--case", home.ref)] == [home.ref]
    shown = said(home, "rules", "show", home.device.id[:12])
    assert shown["rectangles"] == [[1, 2, 3, 4]]
    assert shown["layout"]["model"] == "Scan 1"
    assert "rectangles" not in said(home, "rules", "show", home.word.id)
    plain = CliRunner().invoke(app, ["--home", str(home.folder), "rules", "list"])
    assert (plain.exit_code, "mask these places" in plain.stdout, "Zyxwort" in plain.stdout) == (
        0,
        True,
        False,
    )


def test_a_rule_for_a_device_is_confirmed_once_and_revoked(home):
    assert said(home, "rules", "confirm", home.device.id)["state"] == "active"
    assert said(home, "rules", "confirm", home.device.id, code=1)["error"] == "Conflict"
    assert said(home, "rules", "revoke", home.device.id)["state"] == "revoked"
    assert [one["id"] for one in said(home, "rules", "list")] == [home.word.id]
    assert len(said(home, "rules", "list", "--ended")) == 2


def test_what_is_not_there_is_told(home):
    assert said(home, "rules", "show", "ffffffffff0", code=3)["next_step"].startswith(
        "`consilium rules list`"
    )
    assert said(home, "finding", "retry", "ffffffffff0", code=3)["error"] == "NotFound"


def test_masks_in_force_are_what_the_offline_command_reads(home, tmp_path):
    file = tmp_path / "masks.json"

    def read():
        file.write_text(json.dumps(said(home, "rules", "list", "--ended")))
        return _masks(file)

    assert read() == ()  # proposed only, and a word
    said(home, "rules", "confirm", home.device.id)
    (mask,) = read()
    assert (mask.rectangles, mask.model, mask.reach, mask.verdict) == (
        ((1, 2, 3, 4),),
        "Scan 1",
        "layout",
        "mask",
    )
    said(home, "rules", "revoke", home.device.id)
    assert read() == ()


@pytest.mark.parametrize(
    ("kind", "reach", "counts"),
    [
        ("mask", "layout", 1),
        ("mask", "picture", 0),
        ("clean", "device", 1),
        ("clean", "layout", 0),
        ("kept_word", "case", 0),
    ],
)
def test_a_rule_counts_offline_as_far_as_it_was_meant(tmp_path, kind, reach, counts):
    file = tmp_path / "masks.json"
    mask = {"model": "Scan 1", "verdict": kind, "reach": "layout", "rectangles": []}
    file.write_text(json.dumps([{"kind": kind, "state": "active", "reach": reach, "mask": mask}]))
    assert len(_masks(file)) == counts


@pytest.mark.parametrize(
    "shape",
    [
        {"data": []},
        {"rules": []},
        "x",
        [1],
        [{"model": "Scan 1"}],
        [{"kind": "mask", "state": "active", "reach": "device"}],
        [{"kind": "mask", "state": "active", "reach": "device", "mask": {"id": "1"}}],
    ],
)
def test_what_is_no_list_of_rules_is_refused_and_not_taken_for_none(tmp_path, shape):
    file = tmp_path / "masks.json"
    file.write_text(json.dumps(shape))
    with pytest.raises(InvalidError, match="cannot be read"):
        _masks(file)
