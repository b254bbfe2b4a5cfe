"""Reading the certificates that people hand over as PEM text; what a certificate proves is not decided here."""

from __future__ import annotations

from functools import lru_cache

from dicom_node import certificates
from dicom_node.receiver import PeerCertificate
from gateway.domain.errors import InvalidError

_MOST_SIGNS = 65_536
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
HOW_TO_GIVE = "Give the file that begins with -----BEGIN CERTIFICATE-----; `openssl x509 -inform DER -in FILE` makes one."


def split_pem(text: str) -> list[str]:
    """Return the certificates of a PEM text one by one, each as it is kept; other blocks are left out."""
    found = []
    for part in text[:_MOST_SIGNS].split(_BEGIN)[1:]:
        body, end, _ = part.partition(_END)
        if end:
            found.append("\n".join([_BEGIN, *body.split(), _END, ""]))
    return found


@lru_cache(maxsize=1024)
def read_certificate(pem: str) -> PeerCertificate:
    """Return what one certificate says; text that is none is refused."""
    return _read(pem)[0]


@lru_cache(maxsize=1024)
def fingerprint(pem: str) -> str:
    """Return the SHA-256 (hex) of the whole certificate: what people compare by telephone."""
    return _read(pem)[1]


def _read(pem: str) -> tuple[PeerCertificate, str]:
    try:
        found = certificates.read_certificates(pem)[0]  # a chain begins with the certificate itself
        return certificates.facts(found, pinned=True), certificates.fingerprint(found)
    except Exception as error:  # whatever a parser of foreign bytes raises
        raise InvalidError("this is no X.509 certificate in PEM", next_step=HOW_TO_GIVE) from error
