"""``consilium conformance`` and the desk's download of the same statement."""

import json

import pytest
from typer.testing import CliRunner

from gateway.cli.main import command_line
from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.staffed_house import make_house

app = command_line()

HER = "desk@example.org"


@pytest.fixture
def call(tmp_path):
    def run(*argv):
        home = tmp_path / "home"
        return CliRunner().invoke(
            app, ["--home", str(home), *argv], env={"CONSILIUM_AE_TITLE": "REGION"}, catch_exceptions=False
        )

    return run


def test_it_states_the_configuration_of_the_home_without_making_one(call, tmp_path):
    said = call("conformance")

    assert said.exit_code == 0
    assert said.stdout.startswith("# Consilium")
    assert "`REGION`" in said.stdout
    assert not (tmp_path / "home").exists()


def test_the_defaults_are_those_of_no_home(call):
    said = call("conformance", "--defaults")

    assert "`REGION`" not in said.stdout
    assert "`CONSILIUM`" in said.stdout


def test_it_is_written_as_a_page_and_as_json(call, tmp_path):
    out = tmp_path / "statement.html"

    assert call("conformance", "--html", "--out", str(out)).exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    told = json.loads(call("--json", "conformance").stdout)
    assert told["sections"][0]["number"] == "1"


def test_one_way_at_a_time(call, tmp_path):
    assert call("conformance", "--html", "--markdown").exit_code == 2
    assert call("conformance", "--out", str(tmp_path / "none" / "file")).exit_code == 2


def test_the_desk_gives_it_out_as_a_file_to_staff_only(tmp_path):
    house = make_house(tmp_path)
    house.add("coordinator", HER)
    guard = desk_app(house.house, DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en"))
    try:
        with Browser(guard) as browser:
            refused = browser.get("/desk/conformance.html")
            assert refused.status_code != 200
            browser.http.cookies.set("consilium-desk", house.token(HER))
            given = browser.get("/desk/conformance.html")
    finally:
        house.close()

    assert given.status_code == 200
    assert given.headers["content-disposition"].startswith("attachment;")
    assert given.headers["content-type"] == "text/html; charset=utf-8"
    assert given.text.startswith("<!DOCTYPE html>")
    assert house.house.policy.ae_title in given.text
