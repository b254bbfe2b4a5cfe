"""The end of a case on the command line: hold, forget, certificate, and forgetting again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import Commands

pytestmark = pytest.mark.functional
FAMILY = "Quistvall"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(consilium: Commands) -> Callable[..., Any]:
    """One command with ``--json``; its exit code is held against what is expected."""

    def call(home: Path, *words: str | Path, code: int = 0) -> Any:
        said = consilium(*words, "--json", home=home)
        assert said.code == code, said.out + said.err
        return said.json()

    return call


def test_hold_forget_certify_check_and_forget_again(
    home: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    file = tmp_path / "patient.json"
    file.write_text(json.dumps({"names": [{"given": "Rut", "family": FAMILY}]}), encoding="utf-8")
    ref, kept = (run(home, "case", "open", "--opinion", "mdt", "--patient", file)["ref"] for _ in range(2))
    out = tmp_path / "certificate.json"
    assert (
        run(home, "case", "forget", ref, code=1)["next_step"]
        == "Repeat the reference of the case to confirm."
    )
    assert run(home, "case", "forget", ref, "--confirm", ref, "--ground", "fun", code=2)["error"] == "Invalid"
    run(home, "case", "hold", ref, "--reason", "Inspektionen, dnr 7")
    assert run(home, "case", "show", ref)["held_since"]
    assert "legal hold" in run(home, "case", "forget", ref, "--confirm", ref, code=1)["message"]
    run(home, "case", "unhold", ref, "--reason", "over")
    backup = tmp_path / "backup"
    shutil.copytree(home, backup)

    told = run(home, "case", "forget", ref, "--confirm", ref, "--ground", "objection", "--out", str(out))
    assert (told["keys"], told["objects_left"], told["certificate"]) == (2, 0, str(out))
    assert (
        run(home, "case", "forget", ref, "--confirm", ref, code=1)["message"]
        == "this case was forgotten already"
    )
    assert (
        run(home, "case", "certificate", ref, "--out", str(out), code=2)["error"] == "Invalid"
    )  # never overwritten
    given = run(home, "case", "certificate", ref)
    assert given["text"] == out.read_text(encoding="utf-8").strip()
    assert [one["ref"] for one in run(home, "case", "forgotten")] == [ref]
    assert [one["ref"] for one in run(home, "case", "list")] == [kept]

    key = run(home, "audit", "verify")["public_key"]
    elsewhere = tmp_path / "elsewhere"
    assert run(elsewhere, "audit", "check-certificate", str(out), "--key", key)["certificate"]["case"] == ref
    assert not elsewhere.exists()  # it needs no house
    assert run(home, "audit", "check-certificate", str(out))["ok"]
    assert run(elsewhere, "audit", "check-certificate", str(out), "--key", "0" * 64, code=1)
    out.write_text(out.read_text(encoding="utf-8").replace("objection", "mistake"), encoding="utf-8")
    assert (
        "altered" in run(elsewhere, "audit", "check-certificate", str(out), "--key", key, code=1)["message"]
    )

    assert {one["ref"] for one in run(backup, "case", "list")} == {ref, kept}  # restored by hand
    register = str(home / "audit" / "forgotten.jsonl")
    run(backup, "case", "hold", ref, "--reason", "a court's order of today")
    assert run(backup, "case", "forget-again", "--register", register, code=1)["held"] == [ref]
    assert {one["ref"] for one in run(backup, "case", "list")} == {ref, kept}
    run(backup, "case", "unhold", ref, "--reason", "over")
    again = run(backup, "case", "forget-again", "--register", register)
    assert (again["cases"], again["keys"]) == (1, 2)
    assert [one["ref"] for one in run(backup, "case", "list")] == [kept]
    assert run(backup, "case", "certificate", ref)["text"] == given["text"]
    assert not [path for path in home.rglob("*") if path.is_file() and FAMILY.encode() in path.read_bytes()]
