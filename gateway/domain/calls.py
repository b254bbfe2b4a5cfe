"""How this house calls peers: what it shows by TLS, whom it trusts, and whether plain DICOM may leave this computer; no peer is known here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """The operator's word on calls out.

    ``certificate`` and ``key`` are PEM files of ours, ``authorities`` one of those that we trust beside the peers' own
    certificates, ``revoked`` the revocation lists (see `TlsFiles`). They are read anew for every call, so that a renewed
    certificate and a new list count at once.
    """

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None
    revoked: Path | None = None
    lists_expected: bool = False
    lists_mark: Path | None = None
    profile: str = "b12"
    plain_elsewhere: bool = False
