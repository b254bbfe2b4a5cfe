"""Revocation lists: read, proven to be their authority's own, and asked about a chain; chains are built and verified elsewhere.

References
----------
RFC 5280 (5 revocation lists, 6.3 their validation).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from dicom_node.failures import note

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)

_MARK_WORDS = """Revocation lists were in use here. While this file is here, a peer whose certificate an authority issued
gets in only by a current list of that authority: a list that was deleted must not bring back who was revoked.
"""


@dataclass(slots=True)
class _RevocationList:
    """One list with what is asked often worked out once."""

    parsed: x509.CertificateRevocationList
    serials: frozenset[int]
    _genuine: dict[bytes, bool] = field(default_factory=dict)

    def is_signed_by(self, issuer: x509.Certificate) -> bool:
        """Whether the list is the issuer's own; a delegated signer is not followed (RFC 5280 6.3.3 f)."""
        key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if key not in self._genuine:
            try:
                usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
                may_sign = usage.crl_sign
            except x509.ExtensionNotFound:
                may_sign = True
            try:
                self._genuine[key] = may_sign and self.parsed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # a key that signs no lists raises TypeError
            except (TypeError, ValueError, UnsupportedAlgorithm):
                self._genuine[key] = False
        return self._genuine[key]

    def is_current(self, now: datetime) -> bool:
        until = self.parsed.next_update_utc
        return self.parsed.last_update_utc <= now and (until is None or now <= until)


class RevocationLists:
    """The lists that the operator gave us; asked after the chain was built and its signatures were verified.

    Where lists are expected, an authority's certificate without a current list is refused: else withholding the list
    would undo a revocation. A pinned certificate needs none, since taking back the pin is its revocation.

    Parameters
    ----------
    encoded
        PEM, any number of lists, or one in DER; None when the operator set up none.
    authorities
        Used for pinned certificates that an authority issued, and revoked.
    """

    def __init__(self, encoded: bytes | None, authorities: Sequence[x509.Certificate] = ()) -> None:
        self._expected = encoded is not None
        self._authorities = authorities
        self._lists: dict[x509.Name, list[_RevocationList]] = {}
        for parsed in _parsed_lists(encoded or b""):
            held = _RevocationList(parsed, frozenset(entry.serial_number for entry in parsed))
            self._lists.setdefault(parsed.issuer, []).append(held)

    def objection(self, chain: Sequence[x509.Certificate], *, pinned: bool, now: datetime) -> str:
        """Why the chain (leaf first) is not to be trusted any more; empty when it is."""
        if pinned:
            leaf = chain[0]
            issuers = [a for a in self._authorities if a.subject == leaf.issuer and a != leaf]
            return "revoked" if any(self._is_revoked(leaf, issuer) for issuer in issuers) else ""
        for depth, (certificate, issuer) in enumerate(pairwise(chain)):
            if self._is_revoked(certificate, issuer):
                return "revoked" if depth == 0 else "revoked authority"
            lists = list(self._genuine(issuer))
            needed = self._expected and (depth == 0 or bool(lists))
            if needed and not any(held.is_current(now) for held in lists):
                return "no current revocation list of its authority"
        return ""

    def _genuine(self, issuer: x509.Certificate) -> Iterable[_RevocationList]:
        return (held for held in self._lists.get(issuer.subject, ()) if held.is_signed_by(issuer))

    def _is_revoked(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        return any(certificate.serial_number in held.serials for held in self._genuine(issuer))


def lists_in_use(found: bytes | None, *, expected: bool, mark: Path | None) -> bytes | None:
    """Return the lists that count, given what their file holds (None where there is no file).

    Having lost the lists is not the same as never having had any. That there were some is written into ``mark``, which
    outlives a restart; from then on no file is as good as an empty one, by which no authority's certificate passes.
    """
    if found is None:
        return b"" if expected or (mark is not None and mark.exists()) else None
    if mark is not None:
        try:
            if not mark.exists():
                mark.write_text(_MARK_WORDS, encoding="utf-8")
        except OSError as exc:
            note("revocation_mark_failed", exc)
    return found


def list_ends(encoded: bytes) -> list[tuple[str, datetime | None]]:
    """Return whose lists these are, and until when each counts (None: for good); raises `ValueError` on a damaged one."""
    return [(one.issuer.rfc4514_string(), one.next_update_utc) for one in _parsed_lists(encoded)]


def _parsed_lists(encoded: bytes) -> list[x509.CertificateRevocationList]:
    """Complete lists only; raises `ValueError` on a damaged one."""
    parts = _LIST.findall(encoded)
    if parts:
        lists = [x509.load_pem_x509_crl(part) for part in parts]
    else:
        lists = [x509.load_der_x509_crl(encoded)] if encoded.strip() else []
    return [one for one in lists if _is_complete(one)]


def _is_complete(parsed: x509.CertificateRevocationList) -> bool:
    """A list for some certificates or reasons only, or by another's signature, must not stand for the whole (RFC 5280 5.2)."""
    for extension in parsed.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            return False
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl or value.only_some_reasons or value.only_contains_attribute_certs:
                return False
        elif extension.critical:
            return False
    return True
