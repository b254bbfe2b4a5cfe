"""What every command shares: finding the home, composing the house for one call, and who is acting."""

from __future__ import annotations

import getpass
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import structlog
import typer

from gateway.cli.console import spoken_errors
from gateway.cli.supervisor import running_parts
from gateway.compose import Parts, compose
from gateway.domain.errors import InvalidError
from gateway.domain.people import Actor
from gateway.settings import Settings, load_settings
from storage import harden_process

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", envvar="CONSILIUM_HOME", help="The folder that holds everything of this exchange."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of words.")]


@dataclass
class Frame:
    """What the root command was told."""

    home: Path | None
    json: bool


def remember(ctx: typer.Context, *, home: Path | None, json: bool) -> None:
    """Keep what stands before the command for the command itself."""
    harden_process()
    os.umask(0o077)
    ctx.obj = {"json": json, "frame": Frame(home=home, json=json)}
    _log_to_stderr(quiet=True)


def settings_of(ctx: typer.Context, **given: str) -> Settings:
    """Read the settings of the home that was named."""
    return load_settings(ctx.find_root().obj["frame"].home, **given)


def _where_it_answers(settings: Settings) -> Settings:
    """Return the settings with the address of the exchange that runs on this home: links must lead to that one."""
    parts = running_parts(settings.home).get("parts")
    web = parts.get("web") if isinstance(parts, dict) else None
    address = str(web.get("address", "")) if isinstance(web, dict) else ""
    if settings.public_url or not address:
        return settings
    return settings.model_copy(update={"http": address.removeprefix("http://")})


@contextmanager
def house_of(ctx: typer.Context, **given: str) -> Iterator[Parts]:
    """Compose the house for one command; what is refused is said in words, with the exit code of its kind."""
    with spoken_errors(ctx), composed(ctx, **given) as parts:
        yield parts


@contextmanager
def composed(ctx: typer.Context, **given: str) -> Iterator[Parts]:
    """Compose the house for one command that words itself what is refused."""
    settings = settings_of(ctx, **given)
    settings = settings if given.get("http") else _where_it_answers(settings)
    parts = compose(settings, ask_passphrase=_asked_passphrase())
    try:
        yield parts
    finally:
        parts.close()


def _asked_passphrase() -> Callable[[], bytes] | None:
    """Return what asks the person at the terminal, once for a call; None where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return cache(lambda: getpass.getpass("Passphrase of the master keys: ").encode())


def operator() -> Actor:
    """The person at the command line, as the audit names her: the account of the computer."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return Actor(kind="operator", id=name)


def read_text(path: Path, *, what: str, next_step: str = "Check the path, and that it is UTF-8 text.") -> str:
    """Read a small file that was named on the command line; ``-`` is standard input."""
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{what} {path} cannot be read", next_step=next_step) from error


def log_for_a_part() -> None:
    """Log as JSON lines to standard error: what the long-running parts do."""
    _log_to_stderr(quiet=False)


def _log_to_stderr(*, quiet: bool) -> None:
    level = logging.ERROR if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
