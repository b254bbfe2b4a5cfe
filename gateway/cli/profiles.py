"""``consilium describe``: what a de-identification profile does, tag by tag, as the annex that a privacy officer signs."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from anonymizer.annex import Annex, Described, annex, difference
from anonymizer.annex_words import KINDS
from anonymizer.errors import AnonymizerError
from anonymizer.profile import PROFILES, load_profile
from gateway.cli.console import emit, note, spoken_errors, table, wants_json
from gateway.cli.profile_page import page
from gateway.domain.errors import InvalidError, NotFoundError

ALL_KINDS = tuple(dict.fromkeys(KINDS.values()))


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("describe", help="Print what a de-identification profile does, tag by tag.")(describe)


def describe(
    ctx: typer.Context,
    profile: Annotated[str, typer.Argument(metavar="[PROFILE]")] = "mdt-default",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="FATE", help=f"{', '.join(ALL_KINDS)}; may be repeated."),
    ] = None,
    find: Annotated[
        str, typer.Option("--find", metavar="WORDS", help="Part of a tag, a name, a VR or a source.")
    ] = "",
    against: Annotated[
        str, typer.Option("--against", metavar="PROFILE", help="Only what differs from this profile.")
    ] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="The rows as CSV.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="One page to print and sign.")
    ] = None,
) -> None:
    """Print the annex of a profile: options, tables with their editions, every attribute, rules in words, limits."""
    with spoken_errors(ctx):
        if as_csv + (html is not None) + wants_json(ctx) > 1:
            raise InvalidError(
                "an annex is written one way at a time", next_step="Choose --csv, --html or --json."
            )
        made, other = _annex(profile), _annex(against) if against else None
        rows = _chosen(made, other, only or (), find)
        issued = f"{datetime.now(UTC):%Y-%m-%d}"
        if html is not None:
            _save(html, page(made, rows, other=other, issued=issued, version=version("consilium")))
            note(f"Written: {escape(str(html))}")
            return
        if as_csv:
            _write_csv(rows, other)
            return
        emit(
            ctx,
            data=_json(made, rows, other, issued),
            human=lambda out: _tell(out, made, rows, other, issued),
        )


def _annex(name: str) -> Annex:
    try:
        return annex(load_profile(name))
    except AnonymizerError as error:
        raise NotFoundError(
            f"there is no profile {name!r}", next_step=f"Choose one of {', '.join(PROFILES)}."
        ) from error


def _chosen(made: Annex, other: Annex | None, only: list[str] | tuple[()], find: str) -> list[Described]:
    if unknown := sorted(set(only) - set(ALL_KINDS)):
        raise InvalidError(
            f"no fate is called {unknown[0]!r}", next_step=f"Choose among {', '.join(ALL_KINDS)}."
        )
    rows = list(made.rows) if other is None else [row for row, _ in difference(made, other)]
    words = find.casefold().split()
    return [
        row
        for row in rows
        if (not only or row.kind in only)
        and all(
            word in f"{row.tag} {row.name} {row.vr} {row.source} {row.words}".casefold() for word in words
        )
    ]


def _under(other: Annex | None) -> dict[str, Described]:
    return {} if other is None else {row.tag: row for row in other.rows}


def _write_csv(rows: list[Described], other: Annex | None) -> None:
    there = _under(other)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    more = [] if other is None else [f"under {other.profile}"]
    writer.writerow(["tag", "name", "vr", "action", "fate", "words", "source", *more])
    for row in rows:
        cells = [row.tag, row.name, row.vr, row.action, row.kind, row.words, row.source]
        writer.writerow(cells if other is None else [*cells, there[row.tag].words])


def _json(made: Annex, rows: list[Described], other: Annex | None, issued: str) -> dict[str, Any]:
    data = asdict(made) | {"issued": issued, "version": version("consilium")}
    there = _under(other)
    data["rows"] = [asdict(row) | ({"under": there[row.tag].words} if other else {}) for row in rows]
    data["options"] = [{"code": code, "meaning": meaning} for code, meaning in made.options]
    data["tables"] = [{"name": name, "edition": edition, "sha256": sha} for name, edition, sha in made.tables]
    data["rules"] = [{"title": title, "sentences": list(told)} for title, told in made.rules]
    return data if other is None else data | {"against": other.profile}


def _tell(out: Console, made: Annex, rows: list[Described], other: Annex | None, issued: str) -> None:
    if out.is_terminal:
        with out.pager(styles=True):
            _print(out, made, rows, other, issued)
    else:
        _print(out, made, rows, other, issued)


def _print(out: Console, made: Annex, rows: list[Described], other: Annex | None, issued: str) -> None:
    out.print(f"[bold]Profile {escape(made.profile)}[/bold] · {issued} · Consilium {version('consilium')}")
    out.print(escape(made.summary))
    out.print(f"rules {made.digest}", markup=False)
    for code, meaning in made.options:
        out.print(f"  {code} {meaning}", markup=False)
    out.print()
    there = _under(other)
    heads = ["tag", "attribute", "VR", "what happens", "by"]
    cells = [[row.tag, row.name, row.vr, row.words, row.source] for row in rows]
    if other is not None:
        heads.append(f"under {other.profile}")
        cells = [[*line, there[line[0]].words] for line in cells]
    out.print(table(*heads, rows=cells))
    out.print(f"\n{len(rows)} of {len(made.rows)} rows", markup=False)
    for title, sentences in made.rules:
        out.print(f"\n[bold]{escape(title)}[/bold]")
        for sentence in sentences:
            out.print(sentence, markup=False)
    if made.private:
        out.print("\n[bold]Private elements that stay[/bold]")
        counted = [[one.creator, len(one.elements), one.source] for one in made.private]
        out.print(table("creator", "elements", "by", rows=counted))
    out.print("\n[bold]What is not done[/bold]")
    for sentence in made.limits:
        out.print(f"- {sentence}", markup=False)
    out.print("\n[bold]Tables[/bold]")
    out.print(
        table("file", "edition", "SHA-256", rows=[[name, said, sha] for name, said, sha in made.tables])
    )
    out.print("\nThe page to sign: consilium describe " + escape(made.profile) + " --html FILE")


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidError(
            f"{path} cannot be written: {error.strerror}", next_step="Give --html another place."
        ) from error
