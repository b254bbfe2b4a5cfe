"""The command line ``consilium``: which commands there are and how a call finds its home; what they do lies beside it.

Exit codes: 0 done · 1 refused, or a check that failed · 2 wrong usage · 3 no such thing · 75 try again later.
``--home`` and ``--json`` may stand anywhere in a call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module

import typer

from gateway.cli.console import call, interrupted
from gateway.cli.frame import HomeOption, JsonOption, remember

# Which module of this package adds which commands to the root, and which groups lie in which modules; the first of these
# has the group. A call loads what it names and no more: all of them take a second, and five parts start with `up`.
COMMANDS: dict[str, str] = {
    "up": "run_parts",
    "web": "run_parts",
    "dicom": "run_parts",
    "worker": "run_parts",
    "scheduler": "run_parts",
    "doctor": "doctor",
    "conformance": "conformance",
    "deidentify": "offline",
    "describe": "profiles",
    "demo": "demo.command",
}
GROUPS: dict[str, tuple[str, ...]] = {
    "case": ("cases:app", "forget"),
    "study": ("cases:study_app",),
    "release": ("releases:app",),
    "finding": ("releases:finding_app",),
    "package": ("package:app",),
    "rules": ("rules:app",),
    "peer": ("peers:app",),
    "certificate": ("certificate:certificate_app",),
    "person": ("staff:person_app",),
    "commitment": ("commitments:app",),
    "records": ("records:app",),
    "store": ("store:app",),
    "backup": ("backup:app",),
    "key": ("keys:app",),
    "audit": ("trail:app", "forget"),
    "job": ("trail:job_app",),
}


def command_line(words: Iterable[str] | None = None) -> typer.Typer:
    """Return the command line: whole, or with only the commands and groups of these names."""
    app = typer.Typer(
        name="consilium",
        help="Secure exchange of medical documents for second opinions.",
        epilog="--home DIR (or CONSILIUM_HOME) and --json may stand anywhere. Exit codes: 0 done, 1 refused, 2 usage, 3 not found, 75 try later.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(root)
    wanted = [*COMMANDS, *GROUPS] if words is None else list(words)
    for module in dict.fromkeys(COMMANDS[word] for word in wanted if word in COMMANDS):
        import_module(f"gateway.cli.{module}").register(app)
    for word in wanted:
        if word in GROUPS:
            (module, _, name), *more = (entry.partition(":") for entry in GROUPS[word])
            app.add_typer(getattr(import_module(f"gateway.cli.{module}"), name), name=word)
            for other, _, _ in more:
                import_module(f"gateway.cli.{other}")
    return app


def root(ctx: typer.Context, home: HomeOption = None, json: JsonOption = False) -> None:
    """Secure exchange of medical documents for second opinions."""
    remember(ctx, home=home, json=json)


def named(arguments: Sequence[str]) -> list[str] | None:
    """Return the one command or group that hoisted arguments call; None where that is for the whole command line to say."""
    words = iter(arguments)
    for word in words:
        if word == "--home":
            next(words, None)
        elif not word.startswith("-"):
            return [word] if word in COMMANDS or word in GROUPS else None
        elif word != "--json" and not word.startswith("--home="):
            return None
    return None


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Bring ``--home DIR`` and ``--json`` to the front, where the root command takes them; after ``--`` all stays."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            rest += [word, *waiting]
            break
        if word == "--json" or word.startswith("--home="):
            front.append(word)
        elif word == "--home" and waiting:
            front += [word, waiting.pop(0)]
        else:
            rest.append(word)
    return front + rest


def run() -> None:
    """Entry point of the installed script."""
    arguments = hoisted(sys.argv[1:])
    try:
        call(command_line(named(arguments)), arguments, prog_name="consilium")
    except KeyboardInterrupt:  # before there was a command to tell it to
        interrupted(as_json="--json" in arguments)


if __name__ == "__main__":
    run()
