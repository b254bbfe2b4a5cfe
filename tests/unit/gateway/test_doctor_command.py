"""``consilium doctor`` where a part is out: it tells how the others are all the same, and what other parts had to refuse."""

from __future__ import annotations

import json
import os

import pytest
import structlog
from typer.testing import CliRunner

from anonymizer import ocr
from gateway.cli.doctor_outside import size, text_in_pictures
from gateway.cli.main import command_line
from gateway.compose import compose
from gateway.doors.troubles import Troubles
from gateway.settings import load_settings
from storage import StoreOutageError
from tests.fakes.vault import TransitKey, Vault

app = command_line()


@pytest.fixture(autouse=True)
def as_it_was():
    """A command sets the log and the umask of its process, which here is the tests'."""
    mask, logging = os.umask(0o077), structlog.get_config()
    yield
    os.umask(mask)
    structlog.configure(**logging)


def _doctor(home):
    done = CliRunner().invoke(app, ["--home", str(home), "--json", "doctor"])
    told = json.loads(done.stdout)
    return done.exit_code, told, {one["what"]: one for one in told["checks"]}


@pytest.fixture
def vault():
    server = Vault()
    server.keys["house"] = TransitKey()
    yield server
    server.close()


@pytest.mark.parametrize("how", ["sealed", "gone"])
def test_a_key_service_that_is_out_is_one_line_beside_the_others(vault, tmp_path, monkeypatch, how):
    (tmp_path / "token").write_text("root")
    (tmp_path / "token").chmod(0o600)
    monkeypatch.setenv(
        "CONSILIUM_KEYS",
        f"vault+{vault.address}/transit/house?token-file={tmp_path / 'token'}&timeout-s=0.5",
    )
    compose(load_settings(tmp_path / "home"), sandbox_workers=1).close()
    assert _doctor(tmp_path / "home")[2]["keys"]["state"] == "ok"
    if how == "sealed":
        vault.is_sealed = True
    else:
        vault.is_gone = True
    code, told, checks = _doctor(tmp_path / "home")
    assert (code, told["ok"]) == (1, False)
    assert checks["keys"]["state"] == "wrong"
    assert {"home", "room", "sqlite", "swap", "exchange"} <= set(checks)


def test_a_key_file_that_is_gone_is_one_line_beside_the_others(tmp_path):
    home = tmp_path / "home"
    compose(load_settings(home), sandbox_workers=1).close()
    (home / "keys" / "master.json").rename(tmp_path / "away")
    code, _, checks = _doctor(home)
    assert code == 1
    assert checks["keys"]["state"] == "wrong"
    assert "key restore" in checks["keys"]["detail"]
    assert checks["home"]["state"] == "ok"


def test_what_another_part_had_to_refuse_is_told(tmp_path):
    home = tmp_path / "home"
    parts = compose(load_settings(home), sandbox_workers=1)
    door = Troubles(parts.house, "dicom")
    door.refused(StoreOutageError("x"))
    code, _, checks = _doctor(home)
    assert code == 1
    assert checks["trouble, outage"]["state"] == "wrong"
    assert "dicom: refused last" in checks["trouble, outage"]["detail"]
    door.went_well()
    parts.close()
    code, _, checks = _doctor(home)
    assert code == 0
    assert not [what for what in checks if what.startswith("trouble")]


def test_a_store_that_does_not_answer_is_waited_for_once(tmp_path, monkeypatch):
    from storage import SealedStore

    home = tmp_path / "home"
    compose(load_settings(home), sandbox_workers=1).close()
    asked = []

    def dark(*_args, **_more):
        asked.append(1)
        raise StoreOutageError("dark")

    monkeypatch.setattr(SealedStore, "probe", dark)
    monkeypatch.setattr(SealedStore, "verify", dark)
    _, _, checks = _doctor(home)
    assert checks["store"]["state"] == "wrong"
    assert "sealed objects" not in checks
    assert len(asked) == 1
    assert checks["records"]["state"] == "ok"


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [(0, "0 MiB"), (30 << 20, "30 MiB"), (5 << 30, "5.0 GiB"), (1536 << 20, "1.5 GiB")],
)
def test_sizes_are_told_in_what_fits_them(size_bytes, told):
    assert size(size_bytes) == told


def test_the_languages_that_can_be_read_in_pictures_are_told_and_their_lack_is_a_warning(
    monkeypatch, tmp_path
):
    assert text_in_pictures()[1] == "ok"
    assert "eng" in text_in_pictures()[2]
    monkeypatch.setattr(ocr, "folders", lambda: (tmp_path,))
    ocr._packs.cache_clear()
    try:
        what, state, told = text_in_pictures()
    finally:
        ocr._packs.cache_clear()
    assert (what, state) == ("text in pictures", "warning")
    assert told.startswith("pictures at risk will be held")
