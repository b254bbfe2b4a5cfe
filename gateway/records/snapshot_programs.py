"""``pg_dump`` and ``pg_restore`` as streams: found, called without a password in their arguments, their failures in words."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

from gateway.domain.errors import UnavailableError
from storage import Readable

_PIECE_BYTES = 1 << 20
_WAIT_S = 30


def program(name: str) -> str:
    """Return the newest installed one: a dump program reads servers up to its own version, and never newer ones."""
    found = [
        path
        for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
        if path.parent.parent.name.isdecimal()
    ]
    newest = max(found, key=lambda path: int(path.parent.parent.name), default=None) or shutil.which(name)
    if newest is None:
        raise UnavailableError(
            f"{name} is not installed, and records in PostgreSQL cannot be backed up or restored without it",
            next_step="Install the PostgreSQL client of the server's version or newer: apt-get install postgresql-client.",
        )
    return str(newest)


@contextmanager
def dumped(url: URL, exported: str) -> Iterator[Readable]:
    """Give the dump of one exported snapshot, in the custom format; leaving checks that it was whole."""
    command = [program("pg_dump"), "--format=custom", "--compress=1", "--no-owner", "--no-privileges", "--no-password",
               f"--snapshot={exported}", f"--dbname={_address(url)}"]  # fmt: skip
    with (
        tempfile.TemporaryFile() as errors,
        _running(command, _secrets(url), stdout=True, errors=errors) as child,
    ):
        assert child.stdout is not None  # noqa: S101  # it is a pipe
        yield _Whole(child, child.stdout, errors)


def load(url: URL, stream: Readable) -> None:
    """Load a dump into a database in one transaction: all of it, or nothing.

    Raises
    ------
    UnavailableError
        The program refused; nothing was changed.
    """
    command = [program("pg_restore"), "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
               "--no-password", f"--dbname={_address(url)}"]  # fmt: skip
    _fed(command, stream, _secrets(url))


def look_through(stream: Readable) -> None:
    """Read a dump to its end as a restore would, without a server."""
    _fed([program("pg_restore"), "--file=/dev/null"], stream, {})


class _Whole:
    """The child's output; its end counts as the end only where the child says that it succeeded.

    A dump that died midway would otherwise be sealed as if it were whole.
    """

    def __init__(self, child: subprocess.Popen[bytes], output: IO[bytes], errors: IO[bytes]) -> None:
        self._child, self._output, self._errors = child, output, errors

    def read(self, size: int, /) -> bytes:
        piece = self._output.read(size)
        if not piece:
            _ended_well(self._child, "pg_dump", self._errors)
        return piece


def _fed(command: list[str], stream: Readable, secrets: Mapping[str, str]) -> None:
    with tempfile.TemporaryFile() as errors, _running(command, secrets, stdout=False, errors=errors) as child:
        assert child.stdin is not None  # noqa: S101  # it is a pipe
        with suppress(BrokenPipeError):  # it has refused, and says why below
            while piece := stream.read(_PIECE_BYTES):
                child.stdin.write(piece)
            child.stdin.close()
        _ended_well(child, "pg_restore", errors)


@contextmanager
def _running(
    command: list[str], secrets: Mapping[str, str], *, stdout: bool, errors: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a child that does not outlive this block: what was not read or fed to the end is killed, not finished."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if stdout else subprocess.PIPE,
        stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
        stderr=errors,
        env=os.environ | secrets,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _ended_well(child: subprocess.Popen[bytes], name: str, errors: IO[bytes]) -> None:
    try:
        code = child.wait(_WAIT_S if name == "pg_dump" else None)
    except subprocess.TimeoutExpired:
        code = None
    if code != 0:
        errors.seek(0)
        lines = errors.read(2000).decode("utf-8", "replace").strip().splitlines()
        raise UnavailableError(
            f"{name} failed: {lines[0][:300] if lines else f'it ended with {code}'}",
            next_step="Mend what it names (server, rights, version) and call again; nothing was kept.",
        )


def _address(url: URL) -> str:
    """Return the address for libpq without the password, which every user of this computer could read in the arguments."""
    return URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    ).render_as_string(hide_password=False)


def _secrets(url: URL) -> dict[str, str]:
    return {"PGPASSWORD": url.password} if url.password else {}
