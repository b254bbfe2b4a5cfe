"""``consilium describe``: the annex of a profile in the terminal, as JSON and CSV, and as the page to sign."""

import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from anonymizer.profile import load_profile
from gateway.cli.main import command_line


@pytest.fixture(scope="module")
def call():
    app = command_line(["describe"])

    def run(*argv):
        return CliRunner().invoke(
            app, ["describe", *argv] if argv[:1] != ("--json",) else [*argv], catch_exceptions=False
        )

    return run


def rows_of(said):
    return list(csv.DictReader(io.StringIO(said.stdout)))


def test_the_terminal_shows_header_rows_rules_limits_and_tables(call):
    said = call("--find", "series description")
    assert said.exit_code == 0
    for words in (
        "Profile mdt-default", load_profile("mdt-default").digest, "113105 Clean Descriptors Option", "(0008,103E)",
        "cleaned of identifying content", "of 5270 rows", "Free text", "What is not done", "tables/annex_e.json",
        "PS3.15 2026c Table E.1-1", "GEMS_PETD_01", "--html FILE",
    ):  # fmt: skip
        assert words in said.stdout, words


def test_rows_are_filtered_by_fate_and_by_words(call):
    removed = rows_of(call("--csv", "--only", "removed"))
    assert {row["fate"] for row in removed} == {"removed"}
    both = rows_of(call("--csv", "--only", "removed", "--only", "shifted"))
    assert {row["fate"] for row in both} == {"removed", "shifted"}
    assert len(both) > len(removed) > 300
    named = rows_of(call("--csv", "--find", "0010,10 PATIENT"))
    assert len(named) > 5
    assert all("0010,10" in row["tag"] and "patient" in row["name"].casefold() for row in named)
    assert rows_of(call("--csv", "--find", "no such words")) == []


def test_csv_has_every_row_and_json_everything(call):
    assert len(rows_of(call("strict", "--csv"))) == 5270
    said = call("--json", "describe", "identified")
    told = json.loads(said.stdout)
    assert told["profile"] == "identified"
    assert len(told["rows"]) == 5270
    assert {row["kind"] for row in told["rows"]} == {"kept"}
    assert set(told) >= {
        "digest",
        "issued",
        "limits",
        "options",
        "private",
        "rules",
        "summary",
        "tables",
        "version",
    }


def test_against_shows_only_what_differs_and_both_words(call):
    rows = rows_of(call("--csv", "--against", "strict"))
    assert 500 < len(rows) < 2000
    assert all(row["words"] != row["under strict"] for row in rows)
    assert "under strict" in call("--against", "strict", "--find", "study description").stdout
    told = json.loads(call("--json", "describe", "--against", "strict", "--find", "study description").stdout)
    assert told["against"] == "strict"
    assert [row["under"] for row in told["rows"]] == ["removed"]


class Page(HTMLParser):
    """Which elements are open, and what would be fetched."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)
        self.fetched += [
            (tag, name) for name, value in attrs if name in {"src", "href"} and not value.startswith("#")
        ]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(path):
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_the_page_stands_alone_and_names_every_attribute(call, tmp_path):
    said = call("--html", str(tmp_path / "annex.html"))
    assert said.exit_code == 0
    assert said.stdout == ""
    page = parsed(tmp_path / "annex.html")
    assert page.fetched == []
    text = " ".join(page.text)
    assert "<script" not in (tmp_path / "annex.html").read_text(encoding="utf-8")
    assert "url(" not in text
    named = set(re.findall(r"\([0-9A-F]{4},[0-9A-F]{4}\)|[56]0XX[0-9X]{4}|\bPRIVATE\b", text))
    assert named == {row["tag"] for row in rows_of(call("--csv"))}
    for words in (
        "Privacy officer",
        load_profile("mdt-default").digest,
        "113111",
        "(7053,xx00)",
        "Person Observer Name",
    ):
        assert words in text


def test_the_page_compares_two_profiles(call, tmp_path):
    assert call("--html", str(tmp_path / "two.html"), "--against", "strict").exit_code == 0
    text = " ".join(parsed(tmp_path / "two.html").text)
    assert "against strict" in text
    assert "Under strict" in text
    assert "(0028,0010)" not in text  # Rows: kept by both


def test_wrong_calls_are_told_what_to_do(call, tmp_path):
    unknown = call("lenient")
    assert unknown.exit_code == 3
    assert "mdt-default, strict, identified" in unknown.stderr
    assert call("--against", "lenient").exit_code == 3
    fate = call("--only", "gone")
    assert fate.exit_code == 2
    assert "removed" in fate.stderr
    assert call("--csv", "--html", str(tmp_path / "x.html")).exit_code == 2
    place = call("--html", str(tmp_path / "none" / "x.html"))
    assert place.exit_code == 2
    assert "another place" in place.stderr


def test_other_commands_do_not_read_the_tables():
    """What is read for one command is not paid for by all: the start of the command line stays as it is."""
    code = (
        "import sys; from gateway.cli.main import command_line; command_line(['case']); "
        "print([m for m in sys.modules if m in ('anonymizer.annex', 'gateway.cli.profiles')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
