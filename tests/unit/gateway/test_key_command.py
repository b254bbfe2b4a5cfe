"""``consilium key``: epochs, passphrase, and the key's own backup from making to bringing back (E10)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli.main import command_line, hoisted
from gateway.compose import compose
from gateway.domain.people import HOUSE
from gateway.journeys.open_case import open_case
from gateway.journeys.rotate_keys import rotate_keys
from gateway.settings import load_settings
from storage import KekRef
from tests import factories

app = command_line()


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("HOME", "KEYS", "KEYS_PASSPHRASE_FILE", "BACKUP_DAYS"):
        monkeypatch.delenv(f"CONSILIUM_{name}", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(home):
    def call(*words, code=0):
        done = CliRunner().invoke(app, hoisted(["--home", str(home), *map(str, words)]))
        assert done.exit_code == code, done.output
        return done.stdout

    yield call
    structlog.reset_defaults()  # the runner's standard error is gone


def told(run, *words, code=0):
    return json.loads(run("--json", *words, code=code))


def secret(folder, text="six random words would do here"):
    path = folder / f"secret-{len(list(folder.iterdir()))}"
    path.write_text(text)
    path.chmod(0o600)
    return path


def health(run):
    checks = told(run, "doctor")["checks"]
    return next((c["state"], c["detail"]) for c in checks if c["what"] == "master keys")


def test_rotation_is_shown_and_told(run):
    assert [e["state"] for e in told(run, "key", "show")["epochs"]] == ["in use"]
    done = told(run, "key", "rotate")
    assert (done["version"], done["new"], done["moved"], done["unopened"]) == (2, True, 1, 0)
    shown = told(run, "key", "show")
    assert (shown["current"], shown["passphrase"]) == (2, False)
    assert [(e["version"], e["state"], e["keys"]) for e in shown["epochs"]] == [
        (1, "retired", 0),
        (2, "in use", 1),
    ]
    assert told(run, "key", "rotate", code=75)["next_step"]  # a moment ago
    due = told(run, "key", "destroy-due")
    assert due["destroyed"] == []
    assert due["next"] == shown["epochs"][0]["destroy_at"]
    kinds = [e["kind"] for e in told(run, "audit", "list")]
    assert {"epoch_begun", "keys_rewrapped", "epoch_retired"} <= set(kinds)
    assert told(run, "audit", "verify")["ok"]


def test_backup_is_drilled_and_brings_a_lost_key_back_with_any_pair(run, home, tmp_path):
    run("key", "show")
    assert health(run)[0] == "warning"
    made = told(run, "key", "backup", "--to", tmp_path / "medium")
    assert health(run)[0] == "warning"
    assert "tried" in health(run)[1]
    assert len(made["shares"]) == 3
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in (tmp_path / "medium").iterdir())
    drilled = told(run, "key", "drill", "--from", made["sealed"], *made["shares"])
    assert drilled == {"ok": True, "sets": 3, "failures": []}
    assert health(run)[0] == "ok"
    key_file = home / "keys" / "master.json"
    live = key_file.read_bytes()
    assert (
        "already"
        in told(run, "key", "restore", "--from", made["sealed"], *made["shares"][:2], code=1)["message"]
    )
    assert key_file.read_bytes() == live
    for pair in ((0, 1), (0, 2), (2, 1)):
        key_file.unlink()
        assert "key restore" in told(run, "key", "show", code=75)["next_step"]
        run("key", "restore", "--from", made["sealed"], *(made["shares"][n] for n in pair))
        assert key_file.read_bytes() == live
        assert key_file.stat().st_mode & 0o777 == 0o600
    key_file.unlink()
    assert (
        told(run, "key", "restore", "--from", made["sealed"], made["shares"][0], code=2)["error"] == "Invalid"
    )
    assert not key_file.exists()


def test_old_key_backup_forks_nothing(run, home, tmp_path):
    """A backup from before a rotation: `restore` writes nothing, and such a file in place starts no part and makes no version."""
    key_file, patient = home / "keys" / "master.json", tmp_path / "patient.json"
    made = told(run, "key", "backup", "--to", tmp_path / "medium")
    old = key_file.read_bytes()
    run("key", "rotate")
    true = key_file.read_bytes()
    key_file.unlink()
    refused = told(run, "key", "restore", "--from", made["sealed"], *made["shares"][:2], code=1)
    assert "end at version 1, the records know version 2" in refused["message"]
    assert "nothing was written" in refused["message"]
    assert "newest key backup" in refused["next_step"]
    assert not key_file.exists()
    key_file.write_bytes(old)
    key_file.chmod(0o600)
    patient.write_text("{}")
    for words in (
        ("key", "show"),
        ("key", "rotate"),
        ("key", "backup", "--to", tmp_path / "another"),
        ("key", "drill", "--from", made["sealed"], *made["shares"]),
        ("case", "open", "--opinion", "mdt", "--patient", patient),
    ):
        said = told(run, *words, code=75)
        assert "older than the records" in said["message"], words
        assert "no new version" in said["next_step"]
    assert key_file.read_bytes() == old
    assert not (tmp_path / "another").exists()
    checks = told(run, "doctor", code=1)["checks"]
    (keys,) = [c for c in checks if c["what"] == "keys"]
    assert keys["state"] == "wrong"
    assert "know version 2" in keys["detail"]
    key_file.write_bytes(true)
    assert told(run, "key", "show")["current"] == 2


def test_older_records_take_newer_keys_and_newer_records_no_older_ones(run, home, tmp_path):
    """Restores of the data, before and after a rotation, each into a home with the other's keys."""
    key_file, place = home / "keys" / "master.json", tmp_path / "repository"
    run("key", "show")
    old = key_file.read_bytes()
    run("backup", "create", "--to", place)
    (first,) = told(run, "backup", "list", "--from", place)
    run("key", "rotate")
    run("backup", "create", "--to", place)
    newest = key_file.read_bytes()

    def restored(folder, keys, *which, code=0):
        (folder / "keys").mkdir(parents=True, mode=0o700)
        folder.chmod(0o700)
        (folder / "keys" / "master.json").write_bytes(keys)
        (folder / "keys" / "master.json").chmod(0o600)
        words = ["--home", str(folder), "--json", "backup", "restore", *which, "--from", str(place)]
        done = CliRunner().invoke(app, hoisted([*words, "--forgotten", str(register)]))
        assert done.exit_code == code, done.output
        if code:
            return json.loads(done.stdout)
        shown = CliRunner().invoke(app, hoisted(["--home", str(folder), "--json", "key", "show"]))
        return shown.exit_code, json.loads(shown.stdout)

    register = tmp_path / "forgotten.jsonl"
    register.write_text("")
    status, shown = restored(tmp_path / "a", newest, first["id"])
    assert (status, shown["current"], len(shown["epochs"])) == (0, 2, 2)
    status, shown = restored(tmp_path / "b", newest)
    assert (status, shown["current"]) == (0, 2)
    refused = restored(tmp_path / "c", old, code=75)
    assert "key" in refused["message"]
    assert not (tmp_path / "c" / "records" / "records.db").exists()


def test_restore_says_which_versions_and_whether_they_were_held_against_records(run, home, tmp_path):
    run("key", "show")
    run("key", "rotate")
    made = told(run, "key", "backup", "--to", tmp_path / "medium")
    (home / "keys" / "master.json").unlink()
    pair = made["shares"][:2]
    done = told(run, "key", "restore", "--from", made["sealed"], *pair)
    assert (done["versions"], done["current"], done["fits_records"]) == ([1, 2], 2, True)
    (home / "keys" / "master.json").unlink()
    (home / "records" / "records.db").rename(
        tmp_path / "away.db"
    )  # a home that takes a backup of the data next
    said = run("key", "restore", "--from", made["sealed"], *pair)
    assert "version 1, 2; 2 is current" in said
    assert "No records" in said
    assert not (home / "records" / "records.db").exists()


def test_keys_come_back_where_the_records_are_out(run, home, tmp_path):
    made = told(run, "key", "backup", "--to", tmp_path / "medium")
    (home / "keys" / "master.json").unlink()
    for beside in (home / "records").iterdir():
        beside.unlink()
    (home / "records" / "records.db").write_bytes(b"no database" * 1000)
    done = told(run, "key", "restore", "--from", made["sealed"], *made["shares"][:2])
    assert done["fits_records"] is None
    assert (home / "keys" / "master.json").exists()


def test_sheets_of_another_backup_on_the_medium_are_named(run, tmp_path):
    first = told(run, "key", "backup", "--to", tmp_path / "medium")
    second = told(run, "key", "backup", "--to", tmp_path / "medium")
    both = sorted((tmp_path / "medium").glob("*share*"))
    assert len(both) == 6
    for words in (("key", "drill"), ("key", "restore")):
        if words[1] == "restore":
            (tmp_path / "home" / "keys" / "master.json").unlink()
        said = told(run, *words, "--from", second["sealed"], *both, second["sealed"], code=2)
        for share in first["shares"]:
            assert share.rsplit("/", 1)[1] in said["message"]
        assert f"key-backup-{second['fingerprint']}.sealed (no sheet)" in said["message"]
        assert not any(share.rsplit("/", 1)[1] in said["message"] for share in second["shares"])
        assert f"key-backup-{second['fingerprint']}.share-*" in said["next_step"]


def test_drill_with_the_backup_of_an_earlier_epoch_fails_and_is_recorded(run, tmp_path):
    made = told(run, "key", "backup", "--to", tmp_path / "medium")
    run("key", "rotate")
    assert "version 2 has no backup" in health(run)[1]
    drilled = told(run, "key", "drill", "--from", made["sealed"], *made["shares"], code=1)
    assert len(drilled["failures"]) == 3
    assert "newer" in drilled["failures"][0]
    (event,) = [e for e in told(run, "audit", "list") if e["kind"] == "key_drilled"]
    assert (event["outcome"], event["failed"]) == ("failed", 3)
    assert "no backup" in health(run)[1]


def test_one_spoilt_sheet_is_named_by_the_drill(run, tmp_path):
    made = told(run, "key", "backup", "--to", tmp_path / "medium", "--shares", "4", "--threshold", "2")
    sheet = tmp_path / "medium" / made["shares"][1].rsplit("/", 1)[1]
    lines = sheet.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("20. "))
    lines[at] = "20. acid" if lines[at] != "20. acid" else "20. acne"
    sheet.write_text("\n".join(lines))
    drilled = told(run, "key", "drill", "--from", made["sealed"], *made["shares"], code=1)
    assert drilled["sets"] == 6
    assert [failure.split(":")[0] for failure in drilled["failures"]] == [
        "shares 1, 2",
        "shares 2, 3",
        "shares 2, 4",
    ]


def test_backup_into_the_home_is_refused(run, home):
    assert "medium" in told(run, "key", "backup", "--to", home / "backup", code=2)["next_step"]
    assert not (home / "backup").exists()


def test_passphrase_is_set_used_changed_and_removed(run, home, tmp_path, monkeypatch):
    run("key", "show")
    first, second = secret(tmp_path), secret(tmp_path, "quite another set of words")
    assert told(run, "key", "passphrase", "--new", first) == {"passphrase": True}
    assert "CONSILIUM_KEYS_PASSPHRASE_FILE" in told(run, "key", "show", code=75)["message"]
    monkeypatch.setenv("CONSILIUM_KEYS_PASSPHRASE_FILE", str(first))
    assert told(run, "key", "show")["passphrase"] is True
    run("key", "rotate")
    run("key", "passphrase", "--new", second)
    assert "not its own" in told(run, "key", "show", code=75)["message"]
    monkeypatch.setenv("CONSILIUM_KEYS_PASSPHRASE_FILE", str(second))
    made = told(run, "key", "backup", "--to", tmp_path / "medium")
    (home / "keys" / "master.json").unlink()
    run("key", "restore", "--from", made["sealed"], *made["shares"][1:])
    assert told(run, "key", "show")["passphrase"] is True
    run("key", "passphrase", "--remove")
    monkeypatch.delenv("CONSILIUM_KEYS_PASSPHRASE_FILE")
    assert told(run, "key", "show")["passphrase"] is False
    events = [e["outcome"] for e in told(run, "audit", "list") if e["kind"] == "key_protected"]
    assert events == ["ok", "ok", "removed"]


def test_new_home_with_a_passphrase_file_has_a_protected_key_from_the_start(run, home, tmp_path, monkeypatch):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    secret(tmp_path).rename(credentials / "consilium-keys-passphrase")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert told(run, "key", "show")["passphrase"] is True
    assert b"versions" not in (home / "keys" / "master.json").read_bytes()


def test_short_or_no_passphrase_is_refused(run, tmp_path):
    run("key", "show")
    assert "12 signs" in told(run, "key", "passphrase", "--new", secret(tmp_path, "short"), code=2)["message"]
    assert "terminal" in told(run, "key", "passphrase", code=2)["message"]
    told(run, "key", "passphrase", "--remove", "--new", secret(tmp_path), code=2)
    assert told(run, "key", "show")["passphrase"] is False


@pytest.mark.parametrize(
    "address", ["gpg:x", "vault+http://vault.example.org/transit/k?token-file=/x", "pkcs11:token=only"]
)
def test_address_that_cannot_be_used_is_refused_in_words(run, monkeypatch, address):
    monkeypatch.setenv("CONSILIUM_KEYS", address)
    assert "CONSILIUM_KEYS" in told(run, "key", "show", code=2)["message"]


def test_the_days_have_defaults_and_bounds(home):
    settings = load_settings(home)
    assert (settings.key_epoch_days, settings.backup_days) == (30, 30)


def damaged_key(parts):
    """A case with a wrapped key of which one bit is wrong."""
    house = parts.house
    case = open_case(
        opinion="mdt",
        patient=factories.patient(1),
        by=HOUSE,
        records=house.records,
        store=house.store,
        clock=house.clock,
        random=house.random,
    )
    nothing = KekRef(kek_id="", kek_version=0)
    with house.records.view() as view:
        key = next(k for k in view.older_keys(nothing, limit=9) if k.purpose == "originals")
    with house.records.change(by=HOUSE) as change:
        change.replace_keys([(key, replace(key, blob=key.blob[:-1] + bytes([key.blob[-1] ^ 1])))])
        change.note("case_read")
    return case.id


def test_key_that_does_not_open_is_named_given_up_and_told(run, home):
    parts = compose(load_settings(home))
    holder = damaged_key(parts)
    parts.close()
    assert told(run, "key", "rotate", code=1)["unopened"] == 1
    assert told(run, "key", "unopened") == [{"holder": holder, "purpose": "originals", "version": 1}]
    assert "--confirm" in told(run, "key", "abandon", holder, "originals", code=2)["next_step"]
    assert "opens" in told(run, "key", "abandon", holder, "releases", "--confirm", holder, code=1)["message"]
    done = told(run, "key", "abandon", holder, "originals", "--confirm", holder)
    assert done == {"holder": holder, "purpose": "originals", "version": 1}
    assert told(run, "key", "unopened") == []
    assert "key_abandoned" in [e["kind"] for e in told(run, "audit", "list")]
    shown = told(run, "key", "show")["epochs"]
    assert [(e["version"], e["keys"]) for e in shown] == [(1, 0), (2, shown[1]["keys"])]


def test_doctor_tells_of_what_does_not_end_and_of_what_ends_suspiciously(run, home):
    parts = compose(load_settings(home))
    rotate_keys(
        by=HOUSE,
        records=parts.house.records,
        jobs=parts.house.jobs,
        masters=parts.masters,
        clock=parts.house.clock,
        pause=lambda _: None,
    )

    def put(**values):
        with parts.house.records.change(by=HOUSE) as change:
            epoch = change.epochs.first(kek_version=1)
            change.epochs.set(epoch.id, **values)
            change.note("case_read")

    now = parts.house.clock.now()
    assert "no backup" in health(run)[1]
    put(retired_at=now - timedelta(days=30, hours=1))
    assert "no backup" in health(run)[1]
    put(retired_at=now - timedelta(days=31, hours=1))
    assert "should have been destroyed" in health(run)[1]
    put(ending_at=now, retired_at=now - timedelta(days=400))
    assert "371 days late" in health(run)[1]
    assert told(run, "key", "destroy-due")["destroyed"] == []
    put(retired_at=now - timedelta(days=3))  # as if the clock were put back
    told(run, "key", "destroy-due")
    assert "no backup" in health(run)[1]
    put(retired_at=now - timedelta(days=400), ending_at=now - timedelta(days=3))
    assert "should have been destroyed" in health(run)[1]
    assert told(run, "key", "destroy-due")["destroyed"] == [1]
    assert "no backup" in health(run)[1]
    parts.close()
