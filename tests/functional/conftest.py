"""What the functional tests share: commands of the real command line, running exchanges, and a look at processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.demo.exchange import Exchange

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return standard output as the one JSON value that it must be."""
        return json.loads(self.out)


class Commands:
    """Calls ``consilium`` with a home; see `tests.fakes.command_server` for how it is this quick."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.command_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "up\n"

    def __call__(self, *argv: str | Path, home: Path | None = None, stdin: str = "", **settings: str) -> Said:
        """Run one command; ``home`` goes by the environment, ``settings`` as CONSILIUM_*."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONSILIUM_")}
        environment |= {f"CONSILIUM_{name.upper()}": value for name, value in settings.items()}
        if home is not None:
            environment["CONSILIUM_HOME"] = str(home)
        files = {name: str(self._folder / name) for name in ("stdin", "stdout", "stderr")}
        for name, path in files.items():
            Path(path).write_text(stdin if name == "stdin" else "", encoding="utf-8")
        call = {"argv": [str(word) for word in argv], "env": environment, **files}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(call) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        out, err = (Path(files[name]).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return Said(code=code, out=out, err=err)

    def close(self) -> None:
        self._server.communicate(timeout=10)


@pytest.fixture(scope="session")
def consilium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The command line: ``consilium("case", "list", "--json", home=home).json()``."""
    commands = Commands(tmp_path_factory.mktemp("commands"))
    yield commands
    commands.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Exchange]]:
    """Start an exchange on a home below the test's folder (``start("home", workers="1")``); stopped at the end."""
    started: list[Exchange] = []

    def begin(name: str = "home", **settings: str) -> Exchange:
        exchange = Exchange(tmp_path / name, **settings).__enter__()
        started.append(exchange)
        return exchange

    yield begin
    for exchange in started:
        exchange.__exit__()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> set[int]:
    """Return the process ids of all children, their children, and so on."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(c) for t in threads for c in (t / "children").read_text(encoding="ascii").split()}
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return children.union(*(descendants(child) for child in children))


def wait_for(what: Callable[[], object], *, within_s: float, every_s: float = 0.05) -> float:
    """Wait until something holds and return how long that took; fails when it does not come in time."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, f"did not come within {within_s} s"
        time.sleep(every_s)
    return time.monotonic() - began
