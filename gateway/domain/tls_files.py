"""Where the DICOM node's own certificate and those that it trusts lie; nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of the operator, read anew when they change.

    ``authorities`` is a bundle or a folder of certificates. ``lists_expected`` tells that the operator named
    ``revoked``: then a file that is gone is not the same as one that never was.
    """

    certificate: Path
    key: Path
    authorities: Path
    revoked: Path
    lists_expected: bool = False
