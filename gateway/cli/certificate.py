"""``consilium certificate``: the DICOM node's own certificate for TLS, made, asked for, shown; peers' certificates are not here."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node import own_certificate
from dicom_node.errors import CertificateError
from dicom_node.own_certificate import OwnCertificate
from dicom_node.revocation import list_ends
from gateway.cli.console import emit, spoken_errors
from gateway.cli.frame import settings_of
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from gateway.domain.tls_files import TlsFiles
from gateway.settings import NO_LISTS

certificate_app = typer.Typer(help="The DICOM node's certificate for TLS.", no_args_is_help=True)

WARN_DAYS = (30, 7, 1)
NameOption = Annotated[
    list[str],
    typer.Option("--name", metavar="HOST", help="The host name or address that peers call; may be repeated."),
]


@certificate_app.command("new")
def new(
    ctx: typer.Context,
    name: NameOption,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid.")] = 730,
    renew: Annotated[
        bool, typer.Option("--renew", help="Replace the one there is, with its key: pins stay true.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the one there is, and its key.")
    ] = False,
) -> None:
    """Make a key and a certificate that vouches for itself; peers must be given it."""
    with spoken_errors(ctx):
        files = settings_of(ctx).tls_files
        if files.certificate.exists() and not (renew or replace):
            raise ConflictError(
                f"there is a certificate already: {files.certificate}",
                next_step="Look at it with `consilium certificate show`; add --renew to keep its key, --replace for a new one.",
            )
        has_key = files.key.exists() and not replace
        try:
            key = _read(files.key) if has_key else own_certificate.make_key()
            made = own_certificate.self_signed(name, key, days=days)
        except CertificateError as error:
            raise InvalidError(str(error), next_step="Give --name HOST as peers call it.") from error
        if not has_key:
            _write(files.key, key)
        _write(files.certificate, made)
        _tell(ctx, files, _described(files))


@certificate_app.command("request")
def request(ctx: typer.Context, name: NameOption) -> None:
    """Print a request for the hospital's own authority; the key is made if there is none, and never leaves."""
    with spoken_errors(ctx):
        files = settings_of(ctx).tls_files
        try:
            key = _read(files.key) if files.key.exists() else own_certificate.make_key()
            made = own_certificate.request(name, key)
        except CertificateError as error:
            raise InvalidError(str(error), next_step="Give --name HOST as peers call it.") from error
        if not files.key.exists():
            _write(files.key, key)
        text = made.decode("ascii")
        emit(
            ctx,
            data={"request": text, "key": files.key, "certificate": files.certificate},
            human=lambda console: console.print(text, end="", markup=False),
        )


@certificate_app.command("show")
def show(ctx: typer.Context) -> None:
    """Show whose it is, how long it holds, and what peers compare."""
    with spoken_errors(ctx):
        files = settings_of(ctx).tls_files
        _tell(ctx, files, _described(files))


def certificate_health(files: TlsFiles, now: datetime) -> tuple[str, str]:
    """Return how the certificate is (ok, warning, wrong) and what to know or do; 30, 7 and 1 days are told apart."""
    found = _described(files)
    left = found.days_left(now)
    if not found.is_of_this_key:
        return "wrong", f"{files.key} is not the key of {files.certificate} — put the pair in place together"
    if now < found.not_before:
        return "wrong", f"not valid before {found.not_before:%Y-%m-%d} — check this computer's clock"
    if now > found.not_after:
        return "wrong", f"expired on {found.not_after:%Y-%m-%d}; every peer refuses it — {_RENEWAL}"
    told = f"{found.subject}, {left} days left"
    threshold = next((days for days in reversed(WARN_DAYS) if left < days), None)
    if threshold is None:
        return "ok", told
    urgency = {30: "soon", 7: "this week", 1: "today"}[threshold]
    return "warning", f"{told}: renew it {urgency} — {_RENEWAL}"


def lists_health(files: TlsFiles, now: datetime) -> tuple[str, str] | None:
    """Return how the revocation lists are, and what to know or do; None where there never were any."""
    mend = "put a current list of each authority there"
    had_some = files.lists_mark is not None and files.lists_mark.exists()
    if files.revoked is None:
        told = f"not used (CONSILIUM_DICOM_REVOKED={NO_LISTS}): who was revoked by them is let in again"
        return ("warning", told) if had_some else None
    if not files.revoked.exists():
        if not (files.lists_expected or had_some):
            return None
        told = f"{files.revoked} is gone, so peers with an authority's certificate are refused"
        return "wrong", f"{told} — {mend}, or set CONSILIUM_DICOM_REVOKED={NO_LISTS} to use none any more"
    try:
        found = list_ends(_read(files.revoked))
    except ValueError:
        return "wrong", f"{files.revoked} is damaged — {mend}"
    if not found:
        return "wrong", f"{files.revoked} holds no list — {mend}"
    if over := [f"{issuer} ended on {end:%Y-%m-%d}" for issuer, end in found if end and end < now]:
        return "wrong", f"{'; '.join(over)}, so its peers are refused — {mend}"
    return "ok", "; ".join(f"{issuer}{f' until {end:%Y-%m-%d}' if end else ''}" for issuer, end in found)


_RENEWAL = "`consilium certificate new --renew` or a new one from your authority, then give it to the peers"


def _described(files: TlsFiles) -> OwnCertificate:
    if not files.certificate.exists():
        raise NotFoundError(
            f"there is no certificate at {files.certificate}",
            next_step="Make one: consilium certificate new --name HOST; or ask your authority: consilium certificate request --name HOST.",
        )
    try:
        key = _read(files.key) if files.key.exists() else None
        return own_certificate.describe(_read(files.certificate).decode("utf-8", "replace"), key)
    except CertificateError as error:
        raise InvalidError(
            f"{files.certificate} with {files.key}: {error}",
            next_step="Put both PEM files in place together.",
        ) from error


def _tell(ctx: typer.Context, files: TlsFiles, found: OwnCertificate) -> None:
    left = found.days_left(datetime.now(UTC))
    rows = [
        ("subject", found.subject),
        ("names", ", ".join(found.names) or "none"),
        ("issuer", "itself" if found.is_self_signed else found.issuer),
        ("valid until", f"{found.not_after:%Y-%m-%d %H:%M} UTC, {left} days left"),
        ("fingerprint SHA-256", found.fingerprint),
        ("pin of the key (SPKI)", found.spki_sha256),
        ("certificate", files.certificate),
        ("key", files.key if found.is_of_this_key else f"{files.key}: not the key of this certificate"),
    ]
    data = {
        "subject": found.subject,
        "names": found.names,
        "issuer": found.issuer,
        "self_signed": found.is_self_signed,
        "not_before": found.not_before,
        "not_after": found.not_after,
        "days_left": left,
        "fingerprint_sha256": found.fingerprint,
        "spki_sha256": found.spki_sha256,
        "key_matches": found.is_of_this_key,
        "certificate": files.certificate,
        "key": files.key,
    }
    emit(ctx, data=data, human="\n".join(f"{what:<22}  {escape(str(told))}" for what, told in rows))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be read ({error.strerror})", next_step="Check whose file it is, and its mode."
        ) from error


def _write(path: Path, content: bytes) -> None:
    """Put a file in place in one step, for its owner alone."""
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written ({error.strerror})", next_step="Check the folder, and whose it is."
        ) from error
