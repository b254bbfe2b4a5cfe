"""``consilium store`` as an operator meets it: all well, something lost, brought back; killed and interrupted in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli.main import command_line
from gateway.compose import compose
from gateway.compose.duties import duties
from gateway.journeys.open_case import open_case
from gateway.settings import load_settings
from storage import batch_of, new_object_id
from tests import factories
from tests.fakes.journey_house import DESK
from tests.fakes.stocked_house import path_of, plant, stock

app = command_line()

# The command line in a process of its own, with small steps, so that there is a middle to be killed in.
_SLOWLY = """
import sys
from gateway.journeys import scrub_store, verify_store
verify_store.OBJECTS_A_STEP, scrub_store.KEPT_EVERY_S = 5, 0.0
from gateway.cli.main import run
sys.argv = ["consilium", *sys.argv[1:]]
run()
"""


@pytest.fixture(autouse=True)
def as_it_was():
    """A command sets the log and the umask of its process, which here is the tests'."""
    mask, logging = os.umask(0o077), structlog.get_config()
    yield
    os.umask(mask)
    structlog.configure(**logging)


@pytest.fixture
def home(tmp_path):
    """A composed home with objects of all kinds."""
    folder = tmp_path / "home"
    parts = compose(load_settings(folder), sandbox_workers=1)
    house = parts.house

    def case(seed):
        patient = factories.patient(seed)
        ports = {"records": house.records, "store": house.store, "clock": house.clock, "random": house.random}
        return open_case(opinion="mdt", patient=patient, by=DESK, **ports)

    made = SimpleNamespace(
        folder=folder, records=house.records, store=house.store, clock=house.clock, case=case, parts=parts
    )
    made.count = stock(made, cases=2, each=6)
    yield made
    parts.close()


def _said(home, *words):
    done = CliRunner().invoke(app, ["--home", str(home.folder), "--json", "store", *words])
    return done.exit_code, json.loads(done.stdout)


def _kept(home):
    with home.records.view() as view:
        return view.kept.page(limit=10**6)


def _round(home):
    with home.records.view() as view:
        return view.store_rounds.first(id="scrub")


def _scrubbing(home, *words):
    command = [sys.executable, "-c", _SLOWLY, "--home", str(home.folder), "--json", "store", "scrub", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for_the_middle(home):
    until = time.monotonic() + 60
    while not ((found := _round(home)) and found.objects >= 10):
        assert time.monotonic() < until, "the scrub does not come on"
        time.sleep(0.05)


def test_what_a_home_seals_is_under_its_own_batches(home):
    with home.records.view() as view:
        batches = {batch.id for batch in view.object_batches.find()}
    assert {batch_of(kept.object_id) for kept in _kept(home)} <= batches


def test_all_is_well(home):
    assert _said(home, "sweep")[0] == 0
    code, told = _said(home, "scrub")
    assert (code, told["is_ended"], told["objects"], told["found"]) == (0, True, home.count, 0)
    code, told = _said(home, "show")
    assert (code, told["ok"], told["objects"], told["lost"], told["findings"]) == (0, True, home.count, 0, [])
    assert told["swept_at"]
    assert told["scrubbed_at"]


def test_something_is_lost_and_brought_back_and_an_orphan_is_removed_by_its_name(home):
    kept, orphan = _kept(home)[0], plant(home, new_object_id())
    path = path_of(home, kept.object_id)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert _said(home, "scrub")[0] == 1
    code, told = _said(home, "sweep", "--dry-run")
    assert (code, told["orphans"], told["removed"]) == (0, [orphan], [])
    _said(home, "sweep")
    code, told = _said(home, "show")
    assert code == 1
    by_kind = {one["kind"]: one for one in told["findings"]}
    assert by_kind.keys() == {"broken", "orphan"}
    assert by_kind["broken"]["case"].startswith("C-")
    code, told = _said(home, "settle", by_kind["broken"]["id"][:8])
    assert (code, "backup" in told["next_step"]) == (1, True)
    path.write_bytes(content)
    assert _said(home, "settle", by_kind["broken"]["id"][:8])[0] == 0
    assert _said(home, "settle", by_kind["orphan"]["id"])[0] == 1
    assert path_of(home, orphan).exists()
    assert _said(home, "settle", by_kind["orphan"]["id"], "--remove", orphan)[0] == 0
    assert not path_of(home, orphan).exists()
    assert _said(home, "settle", "abc")[0] == 3


def test_one_case_is_scrubbed_and_words_are_for_people(home):
    with home.records.view() as view:
        ref = view.cases.first().ref
    assert _said(home, "scrub", "--case", ref)[1]["objects"] == home.count // 2
    path_of(home, _kept(home)[0].object_id).unlink()
    runner = CliRunner()
    said = runner.invoke(app, ["--home", str(home.folder), "store", "sweep"])
    assert "missing: 1" in said.output
    said = runner.invoke(app, ["--home", str(home.folder), "store", "show"])
    assert "lost or damaged   1" in said.output
    assert "missing" in said.output.split("last seen")[1]
    said = runner.invoke(app, ["--home", str(home.folder), "doctor"])
    assert "lost or damaged" in " ".join(said.output.split())


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_scrub_that_is_killed_or_interrupted_goes_on_where_it_was(home, sign):
    size = sum(kept.size_bytes for kept in _kept(home))
    process = _scrubbing(home, "--rate", str(size / 4e6))
    _wait_for_the_middle(home)
    process.send_signal(sign)
    out, _ = process.communicate(timeout=30)
    if sign == signal.SIGINT:
        assert process.returncode == 75
        assert json.loads(out)["is_ended"] is False
    reached = _round(home).objects
    assert 10 <= reached < home.count
    process = _scrubbing(home)
    out, noted = process.communicate(timeout=60)
    told = json.loads(out)
    assert (process.returncode, told["went_on"], told["is_ended"], told["objects"]) == (
        0,
        True,
        True,
        home.count,
    )
    assert f"going on behind {reached} objects" in noted


def test_the_scheduler_sweeps_and_scrubs_and_the_setting_switches_scrubbing_off(home):
    made = {duty.name: duty for duty in duties(home.parts)}
    for name in ("sweep_store", "scrub_store"):
        made[name].perform()
        made[name].perform.wait(30)
    with home.records.view() as view:
        assert {one.id for one in view.store_rounds.find()} == {"sweep", "watch"}
    off = compose(load_settings(home.folder, scrub_days="0"), sandbox_workers=1)
    assert "scrub_store" not in {duty.name for duty in duties(off)}
    off.close()
