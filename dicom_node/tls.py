"""TLS for DICOM (PS3.15 B.12 and B.13) and what makes a certificate trusted; which peer may show which is decided above.

Trust has two roots: certificates of authorities, and peers' own certificates that were pinned. A pinned certificate
stands for itself alone, even where it could sign others. What is trusted is asked anew for every handshake, so that a
pin taken back counts at once.

References
----------
PS3.15 B.12, B.13; RFC 8996 (TLS 1.0 and 1.1 are over), RFC 9325 (suites, renegotiation, compression, tickets).
"""

from __future__ import annotations

import contextlib
import itertools
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography import x509

from dicom_node.chains import ChainJudge, short_subject, verified_chain
from dicom_node.errors import CertificateError, HandshakeRefused
from dicom_node.failures import note
from dicom_node.receiver import PeerCertificate

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
# The library keeps sessions of TLS 1.2 with their contexts, for two hours and 7 KB each, and cannot be told not to.
_HANDSHAKES_PER_CONTEXT: Final = 500
_HANDSHAKE, _CERTIFICATE = 22, 11  # RFC 8446 B.1, B.3

# What OpenSSL calls it, and what the engineer of the peer must be told.
_WORDS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer shows no certificate",
    "UNSUPPORTED_PROTOCOL": "the peer does not offer TLS 1.2 or 1.3",
    "VERSION_TOO_LOW": "the peer does not offer TLS 1.2 or 1.3",
    "NO_SHARED_CIPHER": "the peer offers no allowed cipher suite",
    "NO_SHARED_GROUP": "the peer offers no allowed key exchange",
    "NO_SUITABLE_KEY_SHARE": "the peer offers no allowed key exchange",
    "INAPPROPRIATE_FALLBACK": "the peer asks for less than the best TLS it has",
}
_TRUST_WORDS: Final = {
    9: "certificate not yet valid",
    10: "certificate expired",
    18: "self-signed certificate that is not pinned",
    19: "its authority is not trusted here",
    20: "its authority is not trusted here",
    21: "its authority is not trusted here",
    26: "certificate not for TLS clients",
    66: "key too weak",
    67: "key of its authority too weak",
    68: "signature too weak",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What we show: a PEM file with our certificate and those between it and its authority, and the PEM file of its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom the node believes at one moment, and as whom it answers.

    ``version`` differs whenever anything else does, the content of the two files of ``identity`` included.
    ``revoked`` holds revocation lists, None when the operator set up none.
    """

    version: str
    identity: Identity
    authorities_pem: str = ""
    pinned_pem: tuple[str, ...] = ()
    revoked: bytes | None = None


class TrustSource(Protocol):
    """Owned by the node, implemented by the gateway; asked once per handshake, from many threads, so it must be quick."""

    def trust(self) -> Trust:
        """What counts now (at most a second old); the same object as long as nothing changed. May raise anything."""
        ...


class _Watched(ssl.SSLObject):
    """Remembers the certificate that the peer showed, also when it proved nothing: the audit names its subject."""

    shown = b""


_QUIET: Final = ssl.SSLContext(
    ssl.PROTOCOL_TLS_SERVER
)  # after the handshake nobody listens to messages any more


class Standing:
    """A `Trust` made ready: one context for many handshakes."""

    def __init__(self, trust: Trust, profile: str) -> None:
        self.trust = trust
        self._profile = profile
        self._begun = itertools.count(1)
        self._listening = _listening_context(trust, profile)
        self._judge = ChainJudge(
            authorities_pem=trust.authorities_pem, pinned_pem=trust.pinned_pem, revoked=trust.revoked
        )

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """A handshake as the server."""
        if next(self._begun) % _HANDSHAKES_PER_CONTEXT == 0:
            with contextlib.suppress(CertificateError):  # our files are being replaced: next time
                self._listening = _listening_context(self.trust, self._profile)
        return self._listening.wrap_bio(incoming, outgoing, server_side=True)

    def proven(self, tls: ssl.SSLObject) -> PeerCertificate:
        """What the peer proved by a handshake that succeeded; see `ChainJudge.proven`.

        Raises
        ------
        HandshakeRefused
            It proved nothing that counts.
        """
        tls.context = _QUIET
        return self._judge.proven(verified_chain(tls))


class ServerTls:
    """The server's side of TLS: hands out the context for the trust of this moment; any thread may ask."""

    def __init__(self, source: TrustSource, *, profile: str = "b12") -> None:
        self._source = source
        self._profile = profile
        self._lock = threading.Lock()
        self._standing: Standing | None = None
        self._failed: tuple[str, CertificateError] | None = None

    def standing(self) -> Standing:
        """What counts for a handshake that begins now.

        A new certificate of ours that cannot be used leaves the old one standing, as long as whom we trust is the
        same: what was withdrawn is never trusted on because something else is wrong.

        Raises
        ------
        CertificateError
            There is no usable certificate, key or trust.
        """
        trust = self._source.trust()
        standing = self._standing
        if standing is not None and standing.trust.version == trust.version:
            return standing
        with self._lock:
            standing = self._standing
            if standing is not None and standing.trust.version == trust.version:
                return standing
            if self._failed is None or self._failed[0] != trust.version:
                try:
                    self._standing = standing = Standing(trust, self._profile)
                except CertificateError as exc:
                    note("tls_setup_failed", exc)
                    self._failed = (trust.version, exc)
                else:
                    self._failed = None
                    return standing
            if standing is not None and _believes_the_same(standing.trust, trust):
                return standing
            raise self._failed[1]


def refusal_of(exc: ssl.SSLError, tls: ssl.SSLObject) -> HandshakeRefused:
    """A failed handshake in words, with the subject of the certificate that was shown."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        why = _TRUST_WORDS.get(exc.verify_code, exc.verify_message)
    else:
        reason = str(exc.reason or "")
        if "ALERT" in reason:
            alert = reason.partition("ALERT_")[2].replace("_", " ").lower()
            why = f"the peer does not accept us (alert: {alert})"
        else:
            why = _WORDS.get(reason) or f"no TLS handshake ({reason.replace('_', ' ').lower() or 'unknown'})"
    shown = getattr(tls, "shown", b"")
    if shown:
        try:
            why += f": {short_subject(x509.load_der_x509_certificate(shown))}"
        except ValueError:
            why += ": its certificate cannot be read"
    return HandshakeRefused(why)


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


def _server_context(trust: Trust, profile: str) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_SERVER, profile)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    _show(context, trust.identity)
    _trust(context, trust.authorities_pem, trust.pinned_pem)
    return context


def _listening_context(trust: Trust, profile: str) -> ssl.SSLContext:
    """`_server_context`, with an eye on the certificate that is shown."""
    context = _server_context(trust, profile)
    context.sslobject_class = _Watched
    if hasattr(context, "_msg_callback"):
        context._msg_callback = _remember  # noqa: SLF001  # the only view of a refused chain in CPython
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
    except OSError as exc:  # SSLError is an OSError
        reason = getattr(exc, "reason", None) or exc.strerror or "damaged"
        raise CertificateError(
            f"our certificate {identity.certificate} with the key {identity.key} cannot be used ({reason})"
        ) from exc


def _believes_the_same(one: Trust, other: Trust) -> bool:
    return (one.authorities_pem, one.pinned_pem, one.revoked) == (
        other.authorities_pem,
        other.pinned_pem,
        other.revoked,
    )


def _remember(
    tls: Any, direction: str, version: Any, content_type: Any, message_type: Any, data: bytes
) -> None:
    """Keep the peer's certificate as it comes in (RFC 8446 4.4.2, RFC 5246 7.4.2); raises nothing."""
    if direction != "read" or content_type != _HANDSHAKE or message_type != _CERTIFICATE:
        return
    body = data[4:]
    if version == ssl.TLSVersion.TLSv1_3:
        body = body[1 + body[0] :] if body else b""  # certificate_request_context
    size = int.from_bytes(body[3:6], "big")
    if isinstance(tls, _Watched):
        tls.shown = bytes(body[6 : 6 + size])
