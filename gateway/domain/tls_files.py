"""Where the DICOM node's own certificate and those that it trusts lie; nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of the operator, read anew when they change.

    ``authorities`` is a bundle or a folder of certificates. ``revoked`` holds revocation lists; None when the operator said
    that none are used. ``lists_expected`` tells that the operator named the file, and ``lists_mark`` is the file that
    remembers that there were lists: by either, a list that is gone is not the same as one that never was.
    """

    certificate: Path
    key: Path
    authorities: Path
    revoked: Path | None
    lists_expected: bool = False
    lists_mark: Path | None = None
