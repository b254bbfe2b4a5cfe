"""An X.509 certificate as the value that a peer is known by: key, names, end; whether it is trusted is not decided here.

RFC 5280; the pin is the SHA-256 of the SubjectPublicKeyInfo (RFC 7469 2.4), which a renewal with the same key keeps.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from dicom_node.errors import CertificateError
from dicom_node.receiver import PeerCertificate

_MOST_BYTES = 65_536
_MOST_NAMES = 100
_SUFFIXES = frozenset({".pem", ".crt", ".cer"})
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def read_certificate(encoded: bytes | str, *, pinned: bool = True) -> PeerCertificate:
    """Read one certificate, PEM (the first in the text) or DER.

    Raises
    ------
    CertificateError
        Not a certificate, or one that no program should read.
    """
    data = encoded.encode("ascii", "replace") if isinstance(encoded, str) else encoded
    if len(data) > _MOST_BYTES:
        raise CertificateError("a certificate of more than 64 KiB is none")
    try:
        return facts(_parsed(data), pinned=pinned)
    except Exception as exc:  # whatever a parser of foreign bytes raises: ValueError, UnsupportedAlgorithm …
        raise CertificateError("this is no X.509 certificate (PEM or DER)") from exc


def read_certificates(pem: str) -> tuple[x509.Certificate, ...]:
    """Every certificate in a PEM text, in order; raises `ValueError` on a damaged one."""
    return tuple(_parsed(part.encode("ascii", "replace")) for part in split_pem(pem))


def authority_files(place: Path) -> list[Path]:
    """The PEM files that a bundle or a folder of them consists of; raises `OSError`."""
    return sorted(p for p in place.iterdir() if p.suffix in _SUFFIXES) if place.is_dir() else [place]


def facts(certificate: x509.Certificate, *, pinned: bool) -> PeerCertificate:
    """What the receiver is told of a certificate that was proven."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PeerCertificate(
        subject=_printable(certificate.subject.rfc4514_string()),
        issuer=_printable(certificate.issuer.rfc4514_string()),
        serial=certificate.serial_number,
        spki_sha256=hashlib.sha256(key).hexdigest(),
        names=_names(certificate),
        not_after=certificate.not_valid_after_utc,
        pinned=pinned,
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 (hex) of a whole certificate: what people compare by telephone."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _parsed(data: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        # A serial number of zero and the like: old modalities have such certificates, and the key counts.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)


def split_pem(text: str) -> list[str]:
    """Return the certificates of a PEM text one by one, each with a newline at its end; other blocks are left out."""
    found = []
    for part in text.split(_BEGIN)[1:]:
        body, end, _ = part.partition(_END)
        if end:
            found.append(f"{_BEGIN}{body}{_END}\n".replace("\r\n", "\n"))
    return found


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    kinds: tuple[tuple[str, type[x509.GeneralName]], ...] = (
        ("DNS", x509.DNSName),
        ("URI", x509.UniformResourceIdentifier),
        ("IP", x509.IPAddress),
        ("email", x509.RFC822Name),
    )
    found = [
        f"{kind}:{_printable(str(name.value))}"
        for name in list(value)[:_MOST_NAMES]
        for kind, type_ in kinds
        if isinstance(name, type_)
    ]
    return tuple(found)


def _printable(text: str) -> str:
    """A subject comes from outside and goes into the audit: one line, no control signs."""
    return "".join(c if c.isprintable() else "?" for c in text)[:256]
