"""How a command speaks when something outside it is wrong: in words with a next step, never with a page of code."""

import errno
import io
import json
import subprocess
import sys

import pysqlite3
import pytest
import typer
from rich.console import Console

from gateway.cli import console
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.records.transaction import unanswered
from storage import KeyServiceError, StoreFullError, VolumeUnfitError
from storage.errors import KeyRefusedError


def _said(error, capsys):
    with pytest.raises(typer.Exit) as ended, console.spoken_errors():
        raise error
    return ended.value.exit_code, " ".join(capsys.readouterr().err.split())


def test_a_path_that_cannot_be_used_is_named_with_what_to_do(capsys):
    assert _said(PermissionError(errno.EACCES, "Permission denied", "/elsewhere/x"), capsys) == (
        console.USAGE,
        "/elsewhere/x: Permission denied — Check the path, and what the user who runs this may do there.",
    )
    code, said = _said(OSError(errno.ENOSPC, "No space left on device", "/x"), capsys)
    assert (code, "Make room there" in said) == (console.TRY_LATER, True)


def test_what_names_no_path_is_ours_and_stays_a_traceback():
    with pytest.raises(OSError, match="bad descriptor"), console.spoken_errors():
        raise OSError(errno.EBADF, "bad descriptor")


@pytest.mark.parametrize(
    ("error", "kind", "then"),
    [
        (KeyRefusedError("case 1"), ConflictError, "Restore the row from a backup."),
        (VolumeUnfitError("it is no directory"), ConflictError, "Correct what is named and start again."),
        (StoreFullError("x"), UnavailableError, "Make room and send again."),
        (KeyServiceError("x"), UnavailableError, "Mend what is named, then try again."),
    ],
)
def test_only_what_heals_is_worth_another_try(error, kind, then):
    refused = console.refused_by_storage(error)
    assert (type(refused), refused.next_step) == (kind, then)
    assert str(refused).endswith(f"({error.detail})")


def test_ids_are_whole_where_nobody_looks_at_a_terminal(monkeypatch):
    ids = ["20261122T131000Z-" + "a" * 60, "20261122T131000Z-" + "b" * 60]
    out = Console(file=io.StringIO(), width=console.PIPED_WIDTH)
    out.print(console.table("id", "what", rows=[(one, "x" * 90) for one in ids]))
    assert [line.split()[0] for line in out.file.getvalue().splitlines()[1:]] == ids


def test_ids_are_folded_and_never_cut_at_a_narrow_terminal():
    out = Console(file=io.StringIO(), width=30)
    out.print(console.table("id", "what", rows=[("a" * 80, "x" * 90)]))
    assert out.file.getvalue().count("a") >= 80


def test_ctrl_c_is_one_json_value_and_no_traceback():
    code = (
        "import sys, signal, os; from gateway.cli import main\n"
        "main.command_line = lambda words: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['consilium', 'case', 'list', '--json']; main.run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == console.INTERRUPTED
    assert json.loads(done.stdout)["error"] == "Interrupted"
    assert "Traceback" not in done.stderr


def test_sqlite_says_what_an_operator_can_mend(tmp_path):
    path = tmp_path / "records.db"
    with pysqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (x)")
        made.execute("PRAGMA max_page_count = 2")
        with pytest.raises(pysqlite3.Error) as full:
            made.execute("INSERT INTO t VALUES (zeroblob(100000))")
    reading = pysqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(pysqlite3.Error) as locked:
        reading.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(pysqlite3.Error) as closed:
        pysqlite3.connect(tmp_path / "none" / "records.db")
    said = [str(unanswered(one.value, is_outage=True)) for one in (full, locked, closed)]
    assert [words.partition(" (")[0] for words in said] == [
        "there is no room for the records",
        "the records may not be written",
        "the file of the records cannot be opened",
    ]
