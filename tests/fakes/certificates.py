"""Certificates for tests: a generated authority that issues good and bad ones as PEM files; nothing here is secret."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
BOTH = (CLIENT, SERVER)


def now():
    return dt.datetime.now(dt.UTC)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def weak_key():
    return rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, in memory and as two PEM files."""

    certificate: x509.Certificate
    key: object
    folder: Path
    name: str

    @property
    def cert_path(self):
        return self.folder / f"{self.name}.crt"

    @property
    def key_path(self):
        return self.folder / f"{self.name}.key"

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def spki_sha256(self):
        digest = hashes.Hash(hashes.SHA256())
        digest.update(
            self.certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return digest.finalize().hex()

    def written(self, *chain):
        """Write both files; `chain` goes behind the certificate."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert_path.write_text(self.pem + "".join(other.pem for other in chain))
        self.key_path.write_text(self.key_pem)
        self.key_path.chmod(0o600)
        return self


def alternative(name):
    """`10.0.0.1`, `urn:x`, `a@b` or a host name, as a subject alternative name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if ":" in name:
        return x509.UniformResourceIdentifier(name)
    return x509.RFC822Name(name) if "@" in name else x509.DNSName(name)


def _made(
    name, *, folder, key, issuer_name, issuer_key, sans, days, not_before, not_after, ca, eku, key_usage, sign_with,
    issuer_certificate=None,
):  # fmt: skip
    begin = not_before or now() - dt.timedelta(hours=1)
    end = not_after or now() + dt.timedelta(days=days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    signer = issuer_certificate.public_key() if issuer_certificate is not None else issuer_key.public_key()
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False
    )
    if sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([alternative(n) for n in sans]), critical=False
        )
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(eku)), critical=False)
    if key_usage is None:
        key_usage = ("key_cert_sign", "crl_sign") if ca else ("digital_signature",)
    flags = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    flags |= dict.fromkeys(key_usage, True)
    if key_usage:
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    certificate = builder.sign(issuer_key, sign_with or hashes.SHA256())
    return Issued(certificate=certificate, key=key, folder=folder, name=name.replace("/", "_"))


def self_signed(
    name, folder, *, sans=(), days=30, not_before=None, not_after=None, key=None, ca=False, eku=BOTH, key_usage=None
):  # fmt: skip
    """A certificate that vouches for itself, written to `folder`."""
    key = key or new_key()
    return _made(
        name, folder=Path(folder), key=key, issuer_key=key, sans=sans, days=days, not_before=not_before,
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), not_after=not_after,
        ca=ca, eku=eku, key_usage=key_usage, sign_with=None,
    ).written()  # fmt: skip


class Authority:
    """An authority with a folder for what it issues; `parent` makes it an intermediate one."""

    def __init__(self, folder, name="Test Authority", *, parent=None, **how):
        self.folder = Path(folder)
        if parent is None:
            self.own = self_signed(name, self.folder, ca=True, eku=(), days=365, **how)
        else:
            self.own = parent.issue(name, ca=True, eku=(), days=365, **how)
        self.name = name

    @property
    def pem(self):
        return self.own.pem

    @property
    def path(self):
        """The authority's own certificate as a file."""
        return self.own.cert_path

    def issue(
        self, name, *, sans=(), days=30, not_before=None, not_after=None, key=None, ca=False, eku=BOTH,
        key_usage=None, sign_with=None, chain=(), signing_key=None,
    ):  # fmt: skip
        """A certificate and its key as files; `signing_key` forges it, `chain` is written behind it."""
        return _made(
            name, folder=self.folder, key=key or new_key(), issuer_name=self.own.certificate.subject,
            issuer_key=signing_key or self.own.key, issuer_certificate=self.own.certificate, sans=sans, days=days,
            not_before=not_before, not_after=not_after, ca=ca, eku=eku, key_usage=key_usage, sign_with=sign_with,
        ).written(*chain)  # fmt: skip

    def crl(self, *revoked, days=7, this_update=None, next_update=None, key=None, file="revoked.crl"):
        """Write a revocation list over the certificates given; returns its path."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.own.certificate.subject)
            .last_update(this_update or now() - dt.timedelta(hours=1))
            .next_update(next_update or now() + dt.timedelta(days=days))
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for issued in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(issued.certificate.serial_number)
                .revocation_date(now() - dt.timedelta(minutes=30))
                .build()
            )
        path = self.folder / file
        path.write_bytes(
            builder.sign(key or self.own.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return path
