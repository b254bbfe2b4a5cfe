"""A release: a fixed, numbered version of what reviewers may see; nothing original can be named in one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from storage import SealedRef


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalRef:
    """Sealed bytes as received. Never offered to a manifest: the type is the first guard."""

    ref: SealedRef
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifiedRef:
    """Sealed bytes that the engine made and the verification read; only ``verified_copy`` makes one."""

    ref: SealedRef
    holder: str
    copy_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A de-identified copy of an instance or document. ``index`` (sealed) holds its new UIDs, report and digests."""

    id: str
    case_id: str
    holder: str
    subject_kind: Literal["instance", "document", "release"]
    subject_id: str
    object_id: str
    size_bytes: int
    digest: bytes
    generation: int = 1
    crc32: int = 0
    profile: str = ""
    state: Literal["made", "verified", "leaking", "replaced"] = "made"
    made_at: datetime
    index: dict[str, Any] = field(default_factory=dict)


def verified_copy(copy: Copy) -> DeidentifiedRef:
    """Wrap a copy for a manifest: the one door from «made» to «may leave», and it is shut for anything unverified."""
    if copy.state != "verified":
        raise ValueError(f"copy {copy.id} is {copy.state}, not verified: it cannot be released")
    ref = SealedRef(
        object_id=copy.object_id, size_bytes=copy.size_bytes, digest=copy.digest, generation=copy.generation
    )
    return DeidentifiedRef(ref=ref, holder=copy.holder, copy_id=copy.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One member of the package: its name there, its digest and where its sealed bytes lie."""

    name: str
    content: DeidentifiedRef
    size_bytes: int
    crc32: int
    sha256: str
    kind: str

    def __post_init__(self) -> None:
        if not isinstance(self.content, DeidentifiedRef):
            raise TypeError("a manifest takes de-identified content only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The list of contents of one release, in the order of the package."""

    case_ref: str
    number: int
    profile: str
    made_at: str
    entries: tuple[ManifestEntry, ...]

    def digest(self) -> str:
        """SHA-256 over names, sizes and digests: an approval is bound to exactly these bytes (R8)."""
        lines = [[e.name, e.size_bytes, e.sha256] for e in self.entries]
        return hashlib.sha256(json.dumps([self.case_ref, self.number, lines]).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as it is sealed beside the release."""
        entries = []
        for entry in self.entries:
            row = asdict(entry)
            row["content"]["ref"]["digest"] = entry.content.ref.digest.hex()
            entries.append(row)
        return {
            **{k: getattr(self, k) for k in ("case_ref", "number", "profile", "made_at")},
            "entries": entries,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Manifest:
        """Read back what ``to_json`` wrote."""
        entries = []
        for row in value["entries"]:
            inner = row["content"]
            ref = SealedRef(**{**inner["ref"], "digest": bytes.fromhex(inner["ref"]["digest"])})
            content = DeidentifiedRef(ref=ref, holder=inner["holder"], copy_id=inner["copy_id"])
            entries.append(ManifestEntry(**{**row, "content": content}))
        return cls(**{**value, "entries": tuple(entries)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A numbered version: built, then approved against its digest, or withdrawn."""

    id: str
    case_id: str
    holder: str
    number: int
    state: Literal["built", "approved", "withdrawn"] = "built"
    built_by: str
    built_at: datetime
    approved_by: str = ""
    approved_at: datetime | None = None
    withdrawn_at: datetime | None = None
    manifest_digest: str
    manifest_object_id: str
    manifest_size_bytes: int
    manifest_mac: bytes
    totals: dict[str, int] = field(default_factory=dict)
