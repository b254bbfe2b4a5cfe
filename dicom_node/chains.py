"""What a certificate's verified chain proves, to whomever it was shown: by authority or pin, in time, not revoked; no handshake is made here."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509

from dicom_node.certificates import facts, read_certificates
from dicom_node.errors import CertificateError, HandshakeRefused
from dicom_node.receiver import PeerCertificate
from dicom_node.revocation import RevocationLists

Chain = Sequence[x509.Certificate]  # the peer's own certificate first, what we trust last
_LONGEST_SUBJECT: Final = 64


class ChainJudge:
    """Judges chains that OpenSSL verified, by one state of whom is trusted and who is revoked.

    Parameters
    ----------
    revoked
        Revocation lists, None when the operator set up none.

    Raises
    ------
    CertificateError
        What is trusted, or a list, is damaged.
    """

    def __init__(self, *, authorities_pem: str, pinned_pem: Sequence[str], revoked: bytes | None) -> None:
        try:
            authorities = read_certificates(authorities_pem)
            pins = read_certificates("".join(pinned_pem))
            self._revoked = RevocationLists(revoked, authorities)
        except ValueError as exc:
            raise CertificateError("a trusted certificate or a revocation list is damaged") from exc
        self._authorities = frozenset(authorities)
        self._pins = frozenset(pins)

    def proven(self, chain: Chain) -> PeerCertificate:
        """What the chain (leaf first) proves.

        (1) It is valid now: a resumed session was verified earlier. (2) It hangs on an authority, or the certificate
        itself is pinned; a pinned certificate that signed another peer's vouches for nobody. (3) Nobody revoked it.

        Raises
        ------
        HandshakeRefused
            It proves nothing that counts.
        """
        leaf, now = chain[0], datetime.now(UTC)
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:  # (1)
            raise HandshakeRefused(f"certificate expired: {short_subject(leaf)}")
        vouched = any(one in self._authorities for one in chain[1:])  # (2)
        if not vouched and leaf not in self._pins:
            raise HandshakeRefused(f"its authority is not trusted here: {short_subject(leaf)}")
        objection = self._revoked.objection(chain, pinned=not vouched, now=now)  # (3)
        if objection:
            raise HandshakeRefused(f"{objection}: {short_subject(leaf)}")
        return facts(leaf, pinned=not vouched)


def verified_chain(tls: ssl.SSLObject | ssl.SSLSocket) -> list[x509.Certificate]:
    """The chain that OpenSSL built, from the peer's certificate to what we trust (a method of its own from Python 3.13 on)."""
    public = getattr(tls, "get_verified_chain", None)
    found: Any = public() if public is not None else tls._sslobj.get_verified_chain()  # type: ignore[union-attr]  # noqa: SLF001
    encoded = [one if isinstance(one, bytes) else one.public_bytes(ssl._ssl.ENCODING_DER) for one in found]  # type: ignore[attr-defined]  # noqa: SLF001
    return [x509.load_der_x509_certificate(one) for one in encoded]


def short_subject(certificate: x509.Certificate) -> str:
    """The subject, short and printable: whoever made the certificate chose it."""
    text = certificate.subject.rfc4514_string() or "no subject"
    printable = "".join(sign if sign.isprintable() else "?" for sign in text)
    return printable if len(printable) <= _LONGEST_SUBJECT else printable[: _LONGEST_SUBJECT - 1] + "…"
