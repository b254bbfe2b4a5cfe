"""What became of a folder, as values: a row per file, totals, and the sentences that a coordinator reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from anonymizer.errors import AnonymizerError

Progress = Callable[[int, int], None]

SENTENCES: Mapping[str, str] = {
    "dicomdir": "The table of contents of a disc: it lists files that now have other names. "
    "Its own words were searched for what names the patient; --media writes a new one.",
    "program": "A program or its settings, as discs carry beside the pictures: left out.",
    "empty": "The file is empty: left out.",
    "not_a_file": "A link, a pipe or the like, and no file of its own: left out. Copy what it points at into the folder.",
    "leak": "The copy still held something that identifies ({place}), so it was not written. Have the file looked at.",
    "not_read_again": "The copy could not be read again to its end ({place}), so it was not written. "
    "Split the document into smaller ones, or have it looked at.",
    "strict": "The strict profile takes no documents. Use mdt-default, or leave the document out.",
    "too_large": "The file is larger than can be handled at once. Have it looked at by the imaging engineer.",
    "unreadable": "The file could not be read from the disk. Copy it again.",
    "crashed": "The file broke the program that read it, so nothing of it was written. Have it looked at.",
}


class FolderError(AnonymizerError):
    """The folders cannot be used: name an existing input folder and an empty or new output folder outside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of one file; ``input`` is its path and may itself name the patient: the report stays in the house."""

    input: str
    output: str = ""
    kind: str = ""
    status: str = "quarantined"
    code: str = ""
    reason: str = ""
    sha256: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    look: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "input": self.input,
            "output": self.output or None,
            "kind": self.kind,
            "status": self.status,
            "code": self.code or None,
            "reason": self.reason or None,
            "sha256": self.sha256 or None,
            "counts": dict(sorted(self.counts.items())),
            "look": list(self.look),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> FileReport:
        """Read what `to_json` wrote."""
        texts = {
            name: row[name] or ""
            for name in ("input", "output", "kind", "status", "code", "reason", "sha256")
        }
        return cls(**texts, counts=dict(row["counts"]), look=tuple(row["look"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderReport:
    """What became of a folder: a row per file, and the totals."""

    profile: str
    edition: str
    profile_digest: str
    files: tuple[FileReport, ...]
    patients: int = 1

    @property
    def totals(self) -> dict[str, int]:
        totals = {
            "files": len(self.files),
            "deidentified": 0,
            "quarantined": 0,
            "ignored": 0,
            "to_look_at": 0,
        }
        for file in self.files:
            totals[file.status] += 1
            totals["to_look_at"] += bool(file.look and file.status == "deidentified")
        return totals

    @property
    def said(self) -> str:
        """The totals as a person says them."""
        told = self.totals
        looks = f" ({told['to_look_at']} to be looked at)" if told["to_look_at"] else ""
        return (
            f"{told['files']} {'file' if told['files'] == 1 else 'files'}: {told['deidentified']} de-identified{looks}, "
            f"{told['quarantined']} held, {told['ignored']} left out"
        )

    def to_json(self) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        for file in self.files:
            counts.update(file.counts)
        return {
            "profile": self.profile,
            "edition": self.edition,
            "profile_digest": self.profile_digest,
            "patients_named": self.patients,
            "totals": self.totals,
            "counts": dict(sorted(counts.items())),
            "files": [file.to_json() for file in self.files],
        }


def told(relative: str, kind: str, code: str, *, status: str = "quarantined", place: str = "") -> FileReport:
    """A row for a file of which nothing is written."""
    return FileReport(
        input=relative, kind=kind, status=status, code=code, reason=SENTENCES[code].format(place=place)
    )
