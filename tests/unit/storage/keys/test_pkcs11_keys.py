"""A real PKCS#11 module, SoftHSM: keys do not leave it, and a lost token or a wrong PIN fails closed."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from storage import KeyRefusedError, KeyServiceError
from storage.errors import KeyFileError
from tests.fakes import softhsm

pkcs11 = pytest.importorskip(
    "pkcs11", reason="the extra «pkcs11» is not installed: pip install consilium[pkcs11]"
)
if softhsm.module() is None:
    pytest.skip(f"SoftHSM is not installed: apt-get install {softhsm.PACKAGE}", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def access(tmp_path):
    from storage.keys.pkcs11 import TokenAccess

    pin = tmp_path / "pin"
    shutil.copy(softhsm.home() / "pin", pin)
    label = f"kek-{os.urandom(4).hex()}"
    return TokenAccess(module=softhsm.module(), token=softhsm.TOKEN, key=label, pin_file=pin)


@pytest.fixture
def keys(access):
    from storage.keys.pkcs11 import Pkcs11Keys

    made = Pkcs11Keys(access)
    made.begin()
    return made


def objects(keys):
    return keys._in_session(keys._look)


def test_keys_never_leave_the_token(keys):
    from pkcs11 import Attribute

    keys.rotate()
    for key in objects(keys).values():
        assert key[Attribute.SENSITIVE] is True
        assert key[Attribute.EXTRACTABLE] is False
        assert key[Attribute.NEVER_EXTRACTABLE] is True
        assert key[Attribute.LOCAL] is True
        assert key[Attribute.VALUE_LEN] == 32
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[Attribute.VALUE]


def test_token_without_the_key_is_no_new_home(access):
    from storage.keys.pkcs11 import Pkcs11Keys

    keys = Pkcs11Keys(access)
    for act in (keys.current, keys.versions, keys.probe, keys.rotate):
        with pytest.raises(KeyServiceError, match="no AES key labelled"):
            act()


def test_beginning_twice_makes_one_key(keys):
    keys.begin()
    assert [kek.kek_version for kek in keys.versions()] == [1]


RACING = """
import sys, time
from pathlib import Path
from storage.keys.opening import open_keys
while time.time() < float(sys.argv[2]):
    pass
folder = Path(sys.argv[3]) if sys.argv[3] else None
print(open_keys(sys.argv[1], may_begin=True, folder=folder).current().kek_version)
"""


@pytest.mark.parametrize("is_locked", [True, False], ids=["one home", "two computers"])
def test_processes_that_open_a_new_home_at_once_make_one_key(access, tmp_path, is_locked):
    from dataclasses import replace

    from storage.keys.pkcs11 import Pkcs11Keys

    for number in range(4):
        label = f"{access.key}-{number}"
        address = f"pkcs11:token={access.token};object={label}?module-path={access.module}&pin-source=file:{access.pin_file}"
        at, folder = str(time.time() + 1.5), str(tmp_path / "keys") if is_locked else ""
        racing = [
            subprocess.Popen(
                [sys.executable, "-c", RACING, address, at, folder],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        said = [process.communicate(timeout=60) for process in racing]
        if (
            is_locked
        ):  # SoftHSM may find no token for a moment while another process writes: an outage, and said so
            assert {out.strip() or "KeyServiceError" in err for out, err in said} <= {"1", True}, said
            assert any(out.strip() == "1" for out, _ in said), said
        keys = Pkcs11Keys(replace(access, key=label))
        assert [kek.kek_version for kek in keys.versions()] == [1]
        keys.probe()


def test_whoever_waits_behind_a_token_that_hangs_is_told(keys, monkeypatch):
    from storage.keys import pkcs11 as module

    kek = keys.current()
    monkeypatch.setattr(module, "LOCK_S", 0.1)
    started, end = threading.Event(), threading.Event()
    hanging = threading.Thread(target=lambda: keys._in_session(lambda _: started.set() or end.wait(20)))
    hanging.start()
    try:
        assert started.wait(10)
        with pytest.raises(KeyServiceError, match="has not answered another call"):
            keys.wrap(bytes(32), kek=kek, aad=b"row")
    finally:
        end.set()
        hanging.join(10)
    keys.wrap(bytes(32), kek=kek, aad=b"row")


def test_two_keys_of_one_version_are_nobodys_guess(keys):
    from pkcs11 import Attribute, KeyType

    def twin(session):
        with session.token.open(rw=True) as writing:
            writing.generate_key(KeyType.AES, 256, label=keys._access.key, id=b"\0\0\0\1", store=True)
            return Attribute

    keys._in_session(twin)
    with pytest.raises(KeyServiceError, match="two keys"):
        keys.versions()


def test_lost_session_is_opened_anew(keys):
    kek = keys.current()
    blob = keys.wrap(bytes(32), kek=kek, aad=b"row")
    pkcs11.lib(str(softhsm.module())).reinitialize()  # every handle of this process is void
    assert keys.unwrap(blob, kek=kek, aad=b"row") == bytes(32)
    with pytest.raises(KeyRefusedError):
        keys.unwrap(blob, kek=kek, aad=b"other")


def test_lost_token_is_an_outage_and_its_return_is_noticed(keys):
    kek = keys.current()
    blob = keys.wrap(bytes(32), kek=kek, aad=b"row")
    tokens, away = softhsm.home() / "tokens", softhsm.home() / "away"
    tokens.rename(away)
    tokens.mkdir()
    pkcs11.lib(str(softhsm.module())).reinitialize()
    try:
        for act in (
            keys.versions,
            keys.probe,
            keys.rotate,
            lambda: keys.wrap(bytes(32), kek=kek, aad=b"row"),
            lambda: keys.unwrap(blob, kek=kek, aad=b"row"),
        ):
            with pytest.raises(KeyServiceError, match="token"):
                act()
    finally:
        shutil.rmtree(tokens)
        away.rename(tokens)
        pkcs11.lib(str(softhsm.module())).reinitialize()
    assert keys.unwrap(blob, kek=kek, aad=b"row") == bytes(32)
    keys.probe()


WITH_PIN = """
import sys
from pathlib import Path
from storage import KeyServiceError
from storage.keys.opening import open_keys
import storage.keys.pkcs11 as module
asked = []
real = module.read_secret
module.read_secret = lambda *a, **k: asked.append(1) or real(*a, **k)
try:
    open_keys(sys.argv[1])
except KeyServiceError as error:
    print(len(asked), error.detail)
"""


def test_wrong_pin_is_tried_once(access):
    """In a process of its own: the login is the process's. Tokens lock themselves after a few wrong PINs."""
    access.pin_file.write_text("0000-0000")
    address = f"pkcs11:token={access.token};object={access.key}?module-path={access.module}&pin-source=file:{access.pin_file}"
    done = subprocess.run(
        [sys.executable, "-c", WITH_PIN, address],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("1 the token refuses the PIN")


def test_exposed_pin_and_missing_module_are_refused(access):
    from dataclasses import replace

    from storage.keys.pkcs11 import Pkcs11Keys

    access.pin_file.chmod(0o644)
    with pytest.raises(KeyFileError, match="not private"):
        Pkcs11Keys(access)
    with pytest.raises(KeyFileError, match="cannot be started"):
        Pkcs11Keys(replace(access, module=Path("/nowhere/module.so")))
