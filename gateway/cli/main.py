"""The command line ``consilium``: which commands there are and how a call finds its home; what they do lies beside it.

Exit codes: 0 done · 1 refused, or a check that failed · 2 wrong usage · 3 no such thing · 75 try again later.
``--home`` and ``--json`` may stand anywhere in a call.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from gateway.cli import (
    backup,
    cases,
    certificate,
    commitments,
    conformance,
    doctor,
    forget,
    keys,
    offline,
    peers,
    records,
    releases,
    run_parts,
    staff,
    store,
    trail,
)
from gateway.cli.console import call
from gateway.cli.demo import command as demo
from gateway.cli.frame import HomeOption, JsonOption, remember

app = typer.Typer(
    name="consilium",
    help="Secure exchange of medical documents for second opinions.",
    epilog="--home DIR (or CONSILIUM_HOME) and --json may stand anywhere. Exit codes: 0 done, 1 refused, 2 usage, 3 not found, 75 try later.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
run_parts.register(app)
doctor.register(app)
conformance.register(app)
offline.register(app)
demo.register(app)
app.add_typer(cases.app, name="case")
app.add_typer(cases.study_app, name="study")
app.add_typer(releases.app, name="release")
app.add_typer(releases.finding_app, name="finding")
app.add_typer(peers.app, name="peer")
app.add_typer(certificate.certificate_app, name="certificate")
app.add_typer(staff.person_app, name="person")
app.add_typer(commitments.app, name="commitment")
app.add_typer(records.app, name="records")
app.add_typer(store.app, name="store")
forget.register(cases.app, trail.app)
app.add_typer(backup.app, name="backup")
app.add_typer(keys.app, name="key")
app.add_typer(trail.app, name="audit")
app.add_typer(trail.job_app, name="job")


@app.callback()
def root(ctx: typer.Context, home: HomeOption = None, json: JsonOption = False) -> None:
    """Secure exchange of medical documents for second opinions."""
    remember(ctx, home=home, json=json)


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
    call(app, hoisted(sys.argv[1:]), prog_name="consilium")


if __name__ == "__main__":
    run()
