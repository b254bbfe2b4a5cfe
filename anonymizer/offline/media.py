"""Writes a new DICOMDIR over the copies of a run, from what the copies themselves may show; it reads no old directory.

References
----------
PS3.10 section 8; PS3.11 Annex D (general purpose media).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from anonymizer.dicomdir import DirectoryEntry, build_dicomdir


def write_dicomdir(out_dir: Path, copies: Iterable[tuple[str, Mapping[str, str]]]) -> None:
    """``copies`` are (name below ``out_dir``, index of the copy); nothing is written where there is none."""
    entries = [
        DirectoryEntry(
            path=tuple(name.split("/")), transfer_syntax=index["TransferSyntaxUID"], index=dict(index)
        )
        for name, index in copies
    ]
    if entries:
        (out_dir / "DICOMDIR").write_bytes(build_dicomdir(entries))
