"""TLS for DICOM as contexts of the ssl module (PS3.15 B.12 and B.13, BCP 195); who may show which certificate is not decided here.

Trust has two roots: certificates of authorities, and peers' own certificates that were pinned. A pinned certificate is
a root for itself alone (``X509_V_FLAG_PARTIAL_CHAIN``).

References
----------
PS3.15 B.12, B.13; RFC 8996 (TLS 1.0 and 1.1 are over), RFC 9325 (suites, renegotiation, compression, tickets).
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_node.errors import CertificateError

STANDARD_PORT: Final = 2762  # dicom-tls, PS3.8 9.1.1 and the port registry

# TLS 1.2 suites in our order of preference; those of TLS 1.3 are AEAD with ephemeral keys by definition and the library's
# own. Both lists are ECDHE + AEAD: B.13 allows more than B.12 (CCM), never less. SECLEVEL 2: 112 bits, so RSA of at least
# 2048 bits, no SHA-1 signature anywhere in a chain.
_ECDHE_GCM: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
PROFILES: Final = {
    "b12": f"{_ECDHE_GCM}:@SECLEVEL=2",
    "b13": f"{_ECDHE_GCM}:ECDHE-ECDSA-AES256-CCM:ECDHE-ECDSA-AES128-CCM:@SECLEVEL=2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What we show: a PEM file with our certificate and those between it and its authority, and the PEM file of its key."""

    certificate: Path
    key: Path


def client_context(
    *, authorities_pem: str, pinned_pem: Sequence[str], identity: Identity | None, profile: str = "b12"
) -> ssl.SSLContext:
    """TLS for a call out: the peer must prove itself by an authority or a pin; its host name proves nothing here.

    DICOM peers are known by AE title and address, and their certificates often carry neither: so what binds a peer is
    its pin or its authority, and the caller compares the certificate with the peer's row.

    Raises
    ------
    CertificateError
        Nothing to trust, or a file that cannot be read.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, profile)
    context.check_hostname = False
    _trust(context, authorities_pem, pinned_pem)
    if not context.cert_store_stats()["x509"]:
        raise CertificateError("no authority and no pinned certificate says whom to trust")
    if identity is not None:
        _show(context, identity)
    return context


def _context(protocol: int, profile: str) -> ssl.SSLContext:
    if profile not in PROFILES:
        raise CertificateError(f"there is no TLS profile {profile}: choose b12 or b13")
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.set_ciphers(PROFILES[profile])
    context.options |= (
        ssl.OP_NO_RENEGOTIATION
        | ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_TICKET
        | ssl.OP_SINGLE_ECDH_USE
        | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _trust(context: ssl.SSLContext, authorities_pem: str, pinned_pem: Sequence[str]) -> None:
    for pem in (authorities_pem, *pinned_pem):
        if not pem.strip():
            continue
        try:
            context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError) as exc:
            raise CertificateError("a trusted certificate is not PEM, or is damaged") from exc


def _show(context: ssl.SSLContext, identity: Identity) -> None:
    """A key with a pass phrase is refused rather than asked for: nobody sits at the console."""

    def no_pass_phrase() -> str:
        raise CertificateError(
            f"the key {identity.key} has a pass phrase: take it off, and keep the file private"
        )

    try:
        context.load_cert_chain(identity.certificate, identity.key, no_pass_phrase)
    except (OSError, ValueError) as exc:  # SSLError is an OSError
        reason = getattr(exc, "reason", None) or exc.strerror if isinstance(exc, OSError) else "damaged"
        raise CertificateError(
            f"our certificate {identity.certificate} with the key {identity.key} cannot be used ({reason})"
        ) from exc
