"""Remembers in the output folder what is done, so that an interrupted run goes on; gone when the run is finished.

The folder ``.unfinished`` holds the drawn key and a line for each finished file, readable by its owner alone. A run goes on
only if everything that decides a copy is the same: the files, what is known, the profile, the rules.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from anonymizer.offline.report import FolderError

NAME = ".unfinished"
#: Names that a run gives; nothing else in the folder is touched.
OURS = re.compile(r"(images|documents)/\d{6}\.[a-z0-9.]+|IMAGES/IM\d{6}(\.part)?")


class Journal:
    """The memory of one run."""

    def __init__(self, out_dir: Path) -> None:
        self._out = out_dir
        self._folder = out_dir / NAME
        self._rows = self._folder / "rows.jsonl"

    @property
    def unfinished(self) -> bool:
        return self._folder.is_dir()

    def key(self, given: bytes | None, draw: bytes) -> bytes:
        """The key of this run: the one given, the one that the interrupted run drew, or ``draw``."""
        path = self._folder / "key"
        if given is not None:
            return given
        with contextlib.suppress(OSError):
            return path.read_bytes()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123
                stream.write(draw)
        except OSError as error:
            raise FolderError("The output folder cannot be written to.") from error
        return draw

    def done(self, plan_digest: str) -> dict[str, dict[str, Any]]:
        """Finished rows by input path, if the plan is the interrupted one and the copies are still whole."""
        rows: dict[str, dict[str, Any]] = {}
        try:
            lines = self._rows.read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        if lines and lines[0] == plan_digest:
            for line in lines[1:]:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    row = json.loads(line)
                    if self._whole(row["report"]):
                        rows[row["report"]["input"]] = row
        try:
            self._begin(plan_digest, rows)
        except OSError as error:
            raise FolderError("The output folder cannot be written to.") from error
        return rows

    def _whole(self, report: dict[str, Any]) -> bool:
        if not report["output"]:
            return True
        try:
            with (self._out / report["output"]).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == report["sha256"]
        except OSError:
            return False

    def _begin(self, plan_digest: str, rows: dict[str, dict[str, Any]]) -> None:
        """Write the memory anew, and take away what no row tells of: half-made or of another plan."""
        self._only({row["report"]["output"] for row in rows.values()})
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [plan_digest, *(json.dumps(row) for row in rows.values())]
        fresh = self._rows.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
        fresh.replace(self._rows)

    def _only(self, told: set[str]) -> None:
        for path in self._out.glob("*/*"):
            name = str(path.relative_to(self._out))
            if OURS.fullmatch(name) and name not in told:
                path.unlink()

    def add(self, row: dict[str, Any]) -> None:
        """Remember a finished file."""
        try:
            with self._rows.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            raise FolderError("The output folder cannot be written to.") from error

    def finish(self, copies: set[str]) -> None:
        """Take away what a process that died left half made, and forget the run, the drawn key first."""
        try:
            self._only(copies)
            (self._folder / "key").unlink(missing_ok=True)
            shutil.rmtree(self._folder)
        except OSError as error:
            raise FolderError(
                f"The run is finished, but {NAME} in the output folder cannot be removed: it holds what leads "
                "back to the patient. Remove it before you pass the folder on."
            ) from error
