"""A case whose key does not open, on the command line: listed, told and forgotten."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.functional.conftest import Commands

pytestmark = pytest.mark.functional
SAYS = "cannot be read: its key does not open"


def test_listed_shown_as_a_sentence_and_forgotten(consilium: Commands, tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "patient.json"
    file.write_text(json.dumps({"names": [{"given": "Rut", "family": "Quistvall"}]}), encoding="utf-8")
    good, bad = (
        consilium("case", "open", "--opinion", "mdt", "--patient", file, "--json", home=home).json()["ref"]
        for _ in range(2)
    )
    (database,) = [one for one in home.rglob("*.db") if "records" in one.name]
    with closing(sqlite3.connect(database)) as records, records:
        done = records.execute(
            "UPDATE case_key SET blob = CAST(substr(blob, 1, length(blob) - 2) || x'0000' AS BLOB)"
            " WHERE purpose = 'originals' AND holder = (SELECT id FROM case_ WHERE ref = ?)",
            (bad,),
        )
        assert done.rowcount == 1
    told = consilium("case", "list", "--json", home=home)
    assert told.code == 0, told.out + told.err
    rows = {one["ref"]: one for one in told.json()}
    assert (told.code, rows.keys(), "unreadable" in rows[good]) == (0, {good, bad}, False)
    assert rows[bad]["unreadable"].startswith(SAYS)
    words = consilium("case", "list", home=home)
    assert (words.code, SAYS in words.out, good in words.out, bad in words.out) == (0, True, True, True)
    shown = consilium("case", "show", bad, "--json", home=home)
    assert (shown.code, shown.json()["error"]) == (1, "Unreadable")
    assert shown.json()["message"].startswith(SAYS)
    assert consilium("study", "inbox", "--json", home=home).json() == []
    told = consilium("case", "forget", bad, "--confirm", bad, "--json", home=home)
    assert (told.code, told.json()["keys"]) == (0, 2)
    assert consilium("case", "certificate", bad, "--json", home=home).code == 0
    assert [one["ref"] for one in consilium("case", "list", "--json", home=home).json()] == [good]
