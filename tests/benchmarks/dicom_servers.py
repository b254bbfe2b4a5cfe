"""The servers that are compared, each started fresh on an empty folder and stopped by its process id; none is measured here.

Each is given what makes it look good: Orthanc as many DICOM threads as there are associations and no plugins, storescp a
process for each association and plain writing of files. All of them get the same TCP_NODELAY.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import ROOT, started

CALLING = "BENCHMARK"
TEMPLATE = "home-template"
START_S = 180.0  # on a machine that does much else
_PYTHON = sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers."""

    pid: int
    port: int
    called: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How one of them is called and started; ``start`` takes an empty folder and the environment."""

    name: str
    words: str
    start: Callable[[Path, dict[str, str]], contextlib.AbstractContextManager[Running]]
    program: str = ""

    @property
    def is_installed(self) -> bool:
        return not self.program or Path(self.program).exists()


def environment(*, nodelay: bool) -> dict[str, str]:
    """Return our environment with or without TCP_NODELAY (DCMTK reads it), and without a home of ours."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("CONSILIUM_") and k != "TCP_NODELAY"}
    return plain | {"TCP_NODELAY": "1"} if nodelay else plain


@contextlib.contextmanager
def orthanc(folder: Path, env: dict[str, str]) -> Iterator[Running]:
    """Orthanc with its SQLite index, files synchronised to the disk as it ships."""
    port = free_port()
    settings = {
        "Name": "benchmark",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "HttpServerEnabled": False,
        "DicomPort": port,
        "DicomAet": "ORTHANC",
        "DicomThreadsCount": 20,
        "OverwriteInstances": True,
        "SaveJobs": False,
    }
    (folder / "storage").mkdir()
    (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    argv = ["/usr/sbin/Orthanc", str(folder / "orthanc.json")]
    with started(argv, log=folder / "log", environment=env) as process:
        answers(process, port)
        yield Running(pid=process.pid, port=port, called="ORTHANC")


@contextlib.contextmanager
def storescp(folder: Path, env: dict[str, str]) -> Iterator[Running]:
    """DCMTK's storescp: reads, writes files, synchronises nothing, has no index."""
    port = free_port()
    (folder / "files").mkdir()
    argv = ["/usr/bin/storescp", "--fork", "-aet", "STORESCP", "-od", str(folder / "files"), str(port)]
    with started(argv, log=folder / "log", environment=env) as process:
        answers(process, port)
        yield Running(pid=process.pid, port=port, called="STORESCP")


@contextlib.contextmanager
def consilium_dicom(folder: Path, env: dict[str, str]) -> Iterator[Running]:
    """Our node alone: sealing, fsync, row, audit event and owed job before each answer; nobody does the jobs."""
    port = free_port()
    home = fresh_home(folder)
    argv = [*_consilium(home), "dicom", "--dicom", f"127.0.0.1:{port}"]
    with started(argv, log=folder / "log", environment=env) as process:
        answers(process, port)
        yield Running(pid=process.pid, port=port, called="CONSILIUM")


@contextlib.contextmanager
def consilium_up(folder: Path, env: dict[str, str]) -> Iterator[Running]:
    """The whole exchange, as an operator starts it: node, web doors, workers and scheduler."""
    port, web = free_port(), free_port()
    home = fresh_home(folder)
    argv = [*_consilium(home), "up", "--dicom", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{web}"]
    with started(argv, log=folder / "log", environment=env) as process:
        until = time.monotonic() + START_S
        while not re.search(rb"^ready ", (folder / "log").read_bytes(), re.MULTILINE):
            _still_starting(process, until)
        yield Running(pid=process.pid, port=port, called="CONSILIUM")


SERVERS = {
    server.name: server
    for server in (
        Server(name="orthanc", words="Orthanc", start=orthanc, program="/usr/sbin/Orthanc"),
        Server(name="storescp", words="DCMTK storescp", start=storescp, program="/usr/bin/storescp"),
        Server(name="ours", words="Consilium, the node", start=consilium_dicom),
        Server(name="up", words="Consilium, all of it", start=consilium_up),
    )
}


def free_port() -> int:
    """Return a port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a server accepts connections."""
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            _still_starting(process, until)
        else:
            return


def make_template(folder: Path) -> None:
    """Make the home that every run of ours copies, by the command line: one peer in it."""
    made = folder / TEMPLATE
    env = environment(nodelay=True)
    argv = [*_consilium(made), "peer", "add", CALLING]
    done = subprocess.run(
        argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=START_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"no home could be made: {done.stderr.strip()[-300:]}")


def fresh_home(folder: Path) -> Path:
    """Return a home with one peer in it, as it was made for the sitting."""
    home = folder / "home"
    shutil.copytree(folder.parent / TEMPLATE, home, symlinks=True)
    return home


def _consilium(home: Path) -> list[str]:
    return [_PYTHON, "-m", "gateway.cli.main", "--home", str(home)]


def _still_starting(process: subprocess.Popen[bytes], until: float) -> None:
    if process.poll() is not None or time.monotonic() > until:
        raise RuntimeError(f"{process.args!r} did not start, exit code {process.returncode}")
    time.sleep(0.02)
