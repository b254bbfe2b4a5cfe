"""``consilium package``: looking at a downloaded package without a home and without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli.console import REFUSED, emit, progress, spoken_errors
from gateway.domain.errors import InvalidError
from gateway.domain.package_check import Checked, check_package

app = typer.Typer(help="Packages that were downloaded or exported.", no_args_is_help=True)
_MIB = 1 << 20
_SHOWN = 20


@app.callback()
def group() -> None:
    """Packages that were downloaded or exported."""


@app.command("verify")
def verify(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The package as it was downloaded.")],
    certificate: Annotated[
        str,
        typer.Option(
            metavar="SHA256", help="The certificate's digest as the desk or the audit trail tells it."
        ),
    ] = "",
) -> None:
    """Compare every file of a package with its certificate and manifest; exit code 1 if anything differs."""
    with spoken_errors(ctx):
        if not file.is_file():
            raise InvalidError(f"there is no file {file}", next_step="Check the path.")
        done = 0
        with progress("reading the package (MiB)", total=file.stat().st_size // _MIB + 1) as move:

            def beat(count: int) -> None:
                nonlocal done
                before, done = done, done + count
                move(done // _MIB - before // _MIB)

            checked = check_package(file, certificate_sha256=certificate, beat=beat)
        emit(
            ctx,
            data={
                "ok": checked.is_whole,
                "case": checked.case,
                "release": checked.release,
                "files": checked.files,
                "bytes": checked.size_bytes,
                "certificate_sha256": checked.certificate_sha256,
                "flaws": [{"file": name, "what": what} for name, what in checked.flaws],
            },
            human=_in_words(checked, is_bound=bool(certificate)),
        )
    if not checked.is_whole:
        raise typer.Exit(REFUSED)


def _in_words(checked: Checked, *, is_bound: bool) -> str:
    head = (
        f"case {checked.case}, release {checked.release}: {checked.files} files, {checked.size_bytes} bytes"
    )
    if checked.flaws:
        more = len(checked.flaws) - _SHOWN
        lines = [f"  {escape(name)} {what}" for name, what in checked.flaws[:_SHOWN]]
        lines += [f"  and {more} more"] if more > 0 else []
        return "\n".join([f"[red]not as certified[/]: {head}", *lines, "Download it again."])
    bound = (
        "It is the certificate that you named."
        if is_bound
        else f"Compare the certificate's digest with the desk: {checked.certificate_sha256}"
    )
    return f"[green]as certified[/]: {head}\n{bound}"
