"""Our own key and certificate for TLS: made, asked for from an authority, described; where they lie is the caller's affair.

ECDSA on P-256 (RFC 9325 4.5); the certificate serves both directions, since we are called and call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dicom_node.certificates import facts, fingerprint, read_certificates
from dicom_node.errors import CertificateError

_BACKDATED: Final = timedelta(minutes=5)  # a peer's clock may be slow
_LONGEST_NAME: Final = 64  # X.520, common name
_HOST: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCertificate:
    """What people read and compare of it; ``fingerprint`` is of the whole, ``spki_sha256`` of the key alone."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    spki_sha256: str
    is_self_signed: bool
    is_of_this_key: bool

    def days_left(self, now: datetime) -> int:
        """Whole days until it ends; negative when it has."""
        return (self.not_after - now).days


def make_key() -> bytes:
    """Return a new private key as PEM, without a pass phrase: the file's mode protects it."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(names: Sequence[str], key_pem: bytes, *, days: int) -> bytes:
    """Return a certificate (PEM) for these host names and addresses, vouched for by itself.

    Raises
    ------
    CertificateError
        A name or the key cannot be used.
    """
    key, now = _key(key_pem), datetime.now(UTC)
    subject = _subject(names)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
         "crl_sign", "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(_purposes(), critical=False)
        .add_extension(_alternatives(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def request(names: Sequence[str], key_pem: bytes) -> bytes:
    """Return a certificate request (PKCS #10, PEM) for an authority; raises `CertificateError`."""
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(names))
        .add_extension(_alternatives(names), critical=False)
        .add_extension(_purposes(), critical=False)
        .sign(_key(key_pem), hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def describe(certificate_pem: str, key_pem: bytes | None) -> OwnCertificate:
    """Return what the first certificate of a file says; raises `CertificateError`."""
    try:
        found = read_certificates(certificate_pem)[0]
        told = facts(found, pinned=False)
    except (IndexError, ValueError) as exc:
        raise CertificateError("the file holds no certificate in PEM") from exc
    is_of_this_key = False
    if key_pem is not None:
        public = _key(key_pem).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        is_of_this_key = public == found.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    return OwnCertificate(
        subject=told.subject,
        issuer=told.issuer,
        names=told.names,
        not_before=found.not_valid_before_utc,
        not_after=told.not_after,
        fingerprint=fingerprint(found),
        spki_sha256=told.spki_sha256,
        is_self_signed=found.subject == found.issuer,
        is_of_this_key=is_of_this_key,
    )


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (TypeError, ValueError) as exc:
        raise CertificateError("the key is no PEM key without a pass phrase") from exc
    return key  # type: ignore[return-value]  # an RSA key of the operator's own signs as well: same methods used here


def _subject(names: Sequence[str]) -> x509.Name:
    first = str(next(iter(_alternatives(names))).value)
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, first[:_LONGEST_NAME])])


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(_host(name))
    return x509.SubjectAlternativeName(found)


def _host(name: str) -> x509.DNSName:
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if not _HOST.fullmatch(ascii_name):
        raise CertificateError(f"«{name}» is no host name and no address")
    return x509.DNSName(ascii_name)


def _purposes() -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
