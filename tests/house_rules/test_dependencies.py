"""What is installed and how it may be used: locks without addresses, licences that fit Apache-2.0, arrows that hold."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Used over its own interface and only by who asks for the extra; never linked into what is shipped by default.
WEAK_COPYLEFT = {
    "pi-heif": "BSD around libheif and libde265, LGPL-3.0, decoders only",
    "psycopg": "LGPL-3.0, the extra «postgres»",
    "psycopg-binary": "LGPL-3.0, the extra «postgres»",
}
STRONG = re.compile(r"(?<!L)(?<!Lesser )\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
WEAK = re.compile(r"\bLGPL|Lesser General Public", re.IGNORECASE)


def _locked(lock):
    return re.findall(r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / lock).read_text(), re.MULTILINE)


def _licence(name):
    told = importlib.metadata.metadata(name)
    classifiers = [c for c in told.get_all("Classifier", []) if c.startswith("License ::")]
    short = (told.get("License") or "").splitlines()[:1]
    return " | ".join([told.get("License-Expression") or "", *short, *classifiers])


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_hashes_everything(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text)
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    packages = [e for e in entries if "==" in e.splitlines()[0]]
    assert len(packages) > 30
    assert [e.splitlines()[0] for e in packages if "--hash=sha256:" not in e] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_locked_is_under_a_licence_that_would_bind_the_whole(lock):
    wrong, seen = {}, 0
    for name in _locked(lock):
        try:
            licence = _licence(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        seen += 1
        permissive = re.search(r"MIT|BSD|Apache|PSF|ISC|MPL", licence)
        if STRONG.search(licence) and not permissive:
            wrong[name] = licence
        if WEAK.search(licence) and name not in WEAK_COPYLEFT:
            wrong[name] = licence
    assert wrong == {}
    assert seen > 30


def test_the_development_lock_holds_the_other_at_the_same_versions():
    pins = {
        lock: dict(
            re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", (ROOT / lock).read_text(), re.MULTILINE)
        )
        for lock in LOCKS
    }
    run, dev = pins["requirements.lock"], pins["requirements-dev.lock"]
    assert {n: v for n, v in run.items() if dev.get(n) != v} == {}


def test_the_import_contracts_hold():
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("import-linter is not installed: make dev")
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " 0 broken" in done.stdout
