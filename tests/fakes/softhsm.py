"""A token of SoftHSM (Debian's package): one folder for a process, since a module reads its settings once."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

PACKAGE = "softhsm2"
PIN = "5391-2286"
TOKEN = "consilium"


def module() -> Path | None:
    """Return the module, or None where the package is not installed."""
    found = [p for p in Path("/usr/lib").glob("**/libsofthsm2.so") if shutil.which("softhsm2-util")]
    return found[0] if found else None


@cache
def home() -> Path:
    """Return the folder of this process's tokens, with the first of them."""
    folder = Path(tempfile.mkdtemp(prefix="softhsm"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["SOFTHSM2_CONF"] = str(make_home(folder))
    make_token(folder)
    return folder


def make_home(folder: Path) -> Path:
    """Write the settings of a SoftHSM whose tokens lie in this folder; the process must name them in SOFTHSM2_CONF."""
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    settings = folder / "softhsm2.conf"
    settings.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    pin = folder / "pin"
    pin.write_text(PIN + "\n")
    pin.chmod(0o600)
    return settings


def make_token(folder: Path, label: str = TOKEN) -> None:
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"],
        env={"SOFTHSM2_CONF": str(folder / "softhsm2.conf"), "PATH": "/usr/bin"},
        check=True,
        capture_output=True,
        timeout=30,
    )
