"""A running exchange of the demo's own: started like any other, asked through its command line, stopped at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from gateway.domain.errors import UnavailableError

START_S = 60.0
STOP_S = 30.0


class Exchange:
    """``consilium up`` as a child process on free loopback ports; ``call`` runs a command on the same home."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.http, self.dicom = _free_address(), _free_address()
        self._environment = {**os.environ, "CONSILIUM_HOME": str(home), "CONSILIUM_QUIET_S": "2"}
        self._environment |= {
            "CONSILIUM_HTTP": self.http,
            "CONSILIUM_DICOM": self.dicom,
            **{f"CONSILIUM_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[str] | None = None
        self.ready_line = ""

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    @property
    def log(self) -> Path:
        return self.home.parent / "exchange.log"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid if self._process else 0

    def __enter__(self) -> Self:
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self._command("up", "--http", self.http, "--dicom", self.dicom),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        timer = threading.Timer(START_S, self._process.kill)
        timer.start()
        try:
            assert self._process.stdout is not None  # noqa: S101  # it is a pipe
            for line in self._process.stdout:
                if line.startswith("ready"):
                    self.ready_line = line.strip()
                    return self
        finally:
            timer.cancel()
        raise UnavailableError("the exchange did not start", next_step=f"Read {self.log}.")

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def call(self, *arguments: str, stdin: str = "") -> Any:
        """Run a command with ``--json`` and return what it says; a refusal raises with its words."""
        done = subprocess.run(
            self._command("--json", *arguments),
            input=stdin,
            capture_output=True,
            text=True,
            env=self._environment,
            check=False,
        )
        try:
            answer = json.loads(done.stdout) if done.stdout.strip() else None
        except json.JSONDecodeError:
            answer = None
        if done.returncode:
            told = answer if isinstance(answer, dict) else {}
            message = str(told.get("message") or done.stderr.strip()[-300:] or f"exit code {done.returncode}")
            raise UnavailableError(
                f"{' '.join(arguments[:2])}: {message}", next_step=str(told.get("next_step", ""))
            )
        return answer

    def texts(self) -> list[str]:
        """Return the texts of the outbox: the embedded exchange's stand-in for the telephone network."""
        return [str(line["text"]) for line in _lines(self.home / "outbox" / "texts.jsonl")]

    def mails(self) -> list[str]:
        """Return the mails of the outbox."""
        return [str(line["text"]) for line in _lines(self.home / "outbox" / "mail.jsonl")]

    def newest_code(self) -> str:
        """Return the one-time code in the newest text."""
        found = re.findall(r"\b(\d{8})\b", self.texts()[-1])
        return str(found[0])

    def parts(self) -> dict[str, int]:
        """Return the process ids of the parts that answer, as the supervisor wrote them down."""
        status = json.loads((self.home / "run" / "status.json").read_text(encoding="utf-8"))
        parts = status["parts"].items()
        return {name: int(part["pid"]) for name, part in parts if part["state"] == "ready"}

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gateway.cli.main", "--home", str(self.home), *arguments]


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _lines(path: Path) -> list[dict[str, Any]]:
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )
