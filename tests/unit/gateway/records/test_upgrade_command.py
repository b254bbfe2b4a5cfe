"""``consilium records upgrade`` as an operator meets it: in words and as JSON, rehearsed, and where there is nothing."""

import json
import os
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli.main import command_line
from gateway.records import open_engines
from gateway.records.tables import SCHEMA_VERSION

app = command_line()

DDL = Path(__file__).resolve().parents[3] / "vectors" / "records" / "schema-1.sqlite.sql"


@pytest.fixture(autouse=True)
def as_it_was():
    """A command sets the log and the umask of its process, which here is the tests'."""
    mask, logging = os.umask(0o077), structlog.get_config()
    yield
    os.umask(mask)
    structlog.configure(**logging)


@pytest.fixture
def home(tmp_path):
    """A home whose records are of version 1."""
    (tmp_path / "records").mkdir(mode=0o700)
    write, read = open_engines(f"sqlite:///{tmp_path / 'records' / 'records.db'}")
    with write.begin() as connection:
        for statement in DDL.read_text().split("\n", 1)[1].split(";\n--\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO meta (name, value) VALUES ('schema_version', '1')")
    write.dispose()
    read.dispose()
    return tmp_path


def _said(home, *words):
    done = CliRunner().invoke(app, ["--home", str(home), "--json", "records", "upgrade", *words])
    return done.exit_code, json.loads(done.stdout) if done.stdout.startswith("{") else done.output


def test_an_upgrade_is_rehearsed_done_and_then_nothing_is_left(home):
    steps = [f"pre_{version:04}" for version in range(2, SCHEMA_VERSION + 1)]
    assert _said(home, "--dry-run") == (
        0,
        {"version_before": 1, "version": 1, "steps": steps, "dry_run": True},
    )
    done = {"version_before": 1, "version": SCHEMA_VERSION, "steps": steps, "dry_run": False}
    assert _said(home) == (0, done)
    assert _said(home) == (0, done | {"version_before": SCHEMA_VERSION, "steps": []})


def test_it_is_told_in_words(home):
    runner = CliRunner()
    for words, told in (
        (["--dry-run"], "nothing was changed"),
        ([], f"upgraded from version 1 to {SCHEMA_VERSION}"),
        ([], "nothing to do"),
    ):
        done = runner.invoke(app, ["--home", str(home), "records", "upgrade", *words])
        assert done.exit_code == 0
        assert told in " ".join(done.output.split())


def test_a_home_without_records_is_said_to_have_none_and_is_given_none(tmp_path):
    code, told = _said(tmp_path)
    assert code == 3
    assert "no records" in str(told)
    assert list(tmp_path.iterdir()) == []
