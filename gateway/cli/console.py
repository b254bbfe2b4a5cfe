"""How a command speaks: for a person or as JSON, with one table of exit codes; what it says is the command's affair.

Exit codes: 0 done · 1 refused, or a check that failed · 2 wrong usage · 3 no such thing · 75 try again later
(``EX_TEMPFAIL`` of sysexits.h).

With ``--json`` a command prints exactly one JSON value on standard output, errors included; progress and notes go to
standard error, and progress only where a person watches.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.domain.errors import (
    BusyError,
    ConflictError,
    ConsiliumError,
    InvalidError,
    NotFoundError,
    TooManyError,
    UnavailableError,
)
from storage import (
    KeyServiceError,
    KeyUnconfirmedError,
    ObjectBusyError,
    SealTooSlowError,
    StorageError,
    StoreFullError,
    StoreOutageError,
)

DONE: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
TRY_LATER: Final = 75
INTERRUPTED: Final = 130

# The first row that fits gives the code; what is not listed is a refusal.
_EXIT_CODES: Final[tuple[tuple[type[ConsiliumError], int], ...]] = (
    (NotFoundError, NOT_FOUND),
    (InvalidError, USAGE),
    (UnavailableError, TRY_LATER),
    (BusyError, TRY_LATER),
    (TooManyError, TRY_LATER),
)

_HEALS: Final = (
    KeyServiceError,
    KeyUnconfirmedError,
    ObjectBusyError,
    SealTooSlowError,
    StoreFullError,
    StoreOutageError,
)

# What is piped on is as wide as it is: an id that was cut to a terminal's width names nothing.
PIPED_WIDTH = 1000
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def exit_code(error: ConsiliumError) -> int:
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), REFUSED)


def wants_json(ctx: typer.Context) -> bool:
    """True when ``--json`` was given to this command or to one above it."""
    seen: Any = ctx
    while seen is not None:
        if (
            seen.params.get("json")
            or seen.params.get("as_json")
            or (isinstance(seen.obj, Mapping) and seen.obj.get("json"))
        ):
            return True
        seen = seen.parent
    return False


def emit(
    ctx: typer.Context, *, data: Any, human: str | Table | Callable[[Console], None] | None = None
) -> None:
    """Say one result: ``data`` as JSON when asked to, else ``human`` (rich markup, a table, or a function that prints)."""
    if wants_json(ctx):
        sys.stdout.write(json.dumps(data, default=_plain, ensure_ascii=False, indent=2) + "\n")
    elif callable(human):
        human(out)
    elif human is not None:
        out.print(human)


def table(*columns: str, rows: Iterable[Sequence[object]], title: str | None = None) -> Table:
    """A plain table; cells are text, never markup, since they may come from outside."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    return made


def note(text: str) -> None:
    """One line on standard error: what is being done, for a person."""
    err.print(text)


def fail(ctx: typer.Context | None, error: ConsiliumError) -> NoReturn:
    """Say what happened and what to do next, and end with the error's exit code."""
    code = exit_code(error)
    if ctx is not None and wants_json(ctx):
        told = {
            "error": type(error).__name__.removesuffix("Error"),
            "message": str(error),
            "next_step": error.next_step,
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    else:
        err.print(f"[bold red]{escape(str(error))}[/] — {escape(error.next_step)}")
    raise typer.Exit(code)


def call(app: typer.Typer, arguments: Sequence[str], *, prog_name: str) -> NoReturn:
    """Run a command line and end the process; wrong usage and Ctrl-C, too, are one JSON value where ``--json`` stands."""
    if "--json" not in arguments:
        app(args=arguments, prog_name=prog_name)
    root: Any = typer.main.get_command(app)
    for group in (root, *root.commands.values()):
        group.no_args_is_help = False  # help is words
    try:
        code = root.main(args=list(arguments), prog_name=prog_name, standalone_mode=False)
    except Exception as error:  # typer carries a Click of its own, whose errors have no public name
        if type(error).__name__ == "Abort":  # what Ctrl-C becomes inside a command
            interrupted(as_json=True)
        if not hasattr(error, "format_message"):
            raise
        path = getattr(getattr(error, "ctx", None), "command_path", prog_name)
        message = str(error.format_message())
        told = {"error": "Usage", "message": message, "next_step": f"See `{path} --help`."}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
        code = USAGE
    sys.exit(code)


def interrupted(*, as_json: bool) -> NoReturn:
    """End a call that somebody stopped: in words or as one JSON value, never with a page of where it stood."""
    if as_json:
        told = {"error": "Interrupted", "message": "stopped by Ctrl-C", "next_step": "Run it again."}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        err.print("stopped")
    sys.exit(INTERRUPTED)


@contextmanager
def spoken_errors(ctx: typer.Context | None = None) -> Iterator[None]:
    """Turn what is refused inside into words and an exit code; what is unforeseen stays a traceback."""
    try:
        yield
    except ConsiliumError as error:
        fail(ctx, error)
    except StorageError as error:
        fail(ctx, refused_by_storage(error))
    except OSError as error:
        if error.filename is None:  # ours, not a path that somebody named
            raise
        fail(ctx, _refused_path(error))


def refused_by_storage(error: StorageError) -> ConsiliumError:
    """Word what storage says: what happened; what to do next. Only what heals by itself is worth another try."""
    what, _, then = " ".join((type(error).__doc__ or "").split()).rpartition("; ")
    message = f"{what or then} ({error.detail})" if error.detail else what or then
    kind = UnavailableError if isinstance(error, _HEALS) else ConflictError
    return kind(message, next_step=then[:1].upper() + then[1:]) if what else kind(message)


def _refused_path(error: OSError) -> ConsiliumError:
    message = f"{error.filename}: {error.strerror}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return UnavailableError(message, next_step="Make room there, then run it again.")
    return InvalidError(message, next_step="Check the path, and what the user who runs this may do there.")


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; calling the value moves it on. Nothing is drawn where no person watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=False, disable=not err.is_terminal) as bar:
        task = bar.add_task(escape(what), total=total)

        def move(steps: int) -> None:
            bar.advance(task, steps)

        yield move


def _plain(value: object) -> Any:
    """JSON for our values."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
