"""What the journeys ask of the sandbox, in their own words: each call parses untrusted bytes in a confined child.

The names and options of the tasks are the contract with ``gateway.adapters.sandbox_tasks``; the pseudonym key is the only
secret that goes in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anonymizer.known import Known
from gateway.domain.errors import UnavailableError
from gateway.ports import Sandbox, SandboxFailed, SandboxResult

# Failures that are no fault of the bytes: the job waits and is tried again, nothing is held against the sender.
_OURS = frozenset({"unavailable", "unconfined", "unknown_task", "misused"})
# A copy that could not be read again is told as a leak with this word and the failure's code: unread is unverified.
UNREAD = "unreadable: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A de-identified copy: its bytes, what the release needs to know of it (sealed at rest) and why a human must look."""

    content: bytes
    index: dict[str, Any] = field(default_factory=dict)
    look: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """No copy could be made: (code, reason in the coordinator's words, place)."""

    code: str
    reason: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvested:
    """What one instance tells of the patient, and every UID in it that may not leave."""

    known: Known
    uids: frozenset[str] = frozenset()


def harvest_instance(sandbox: Sandbox, content: bytes) -> Harvested | Held:
    """Return what an instance's own attributes name; a harvest that failed is never «nothing known»."""
    result = _run(sandbox, "harvest_instance", content, {})
    if isinstance(result, SandboxFailed):
        return Held(code=result.code, reason=result.reason)
    return Harvested(known=Known.from_json(result.meta["known"]), uids=frozenset(result.meta["uids"]))


def harvest_document(sandbox: Sandbox, content: bytes) -> Known | Held:
    """Return what a document names behind labels, a scan's by OCR; nothing of one whose text cannot be read."""
    result = _run(sandbox, "harvest_document", content, {})
    if isinstance(result, SandboxFailed):
        return Held(code=result.code, reason=result.reason)
    return Known.from_json(result.meta["known"])


def clean_instance(
    sandbox: Sandbox,
    content: bytes,
    *,
    known: Known,
    key: bytes,
    profile: str,
    masks: Sequence[Mapping[str, Any]] = (),
) -> Cleaned | Held:
    """De-identify one Part 10 object. ``masks``: reviewed rules for pictures, of which those for its layout count."""
    options = {"known": known.to_json(), "key": key.hex(), "profile": profile, "masks": list(masks)}
    return _cleaned(_run(sandbox, "deidentify_instance", content, options))


def clean_document(
    sandbox: Sandbox, content: bytes, *, media_type: str, known: Known, key: bytes, profile: str
) -> Cleaned | Held:
    """De-identify one document."""
    options = {"known": known.to_json(), "key": key.hex(), "profile": profile, "media_type": media_type}
    return _cleaned(_run(sandbox, "deidentify_document", content, options))


def leaks(
    sandbox: Sandbox, content: bytes, *, media_type: str, known: Known, original_uids: Sequence[str] = ()
) -> tuple[str, ...]:
    """Read a copy again with other code than made it; return the places where something known is left (never the value)."""
    task = "verify_instance" if media_type == "application/dicom" else "verify_document"
    options = {"known": known.to_json(), "original_uids": list(original_uids), "media_type": media_type}
    result = _run(sandbox, task, content, options)
    if isinstance(result, SandboxFailed):
        return (f"{UNREAD}{result.code}",)
    return tuple(str(leak) for leak in result.meta["leaks"])


def kind_of(sandbox: Sandbox, content: bytes) -> str:
    """Return the media type by content; what cannot be told is ``application/octet-stream``."""
    result = _run(sandbox, "kind_of", content, {})
    return "application/octet-stream" if isinstance(result, SandboxFailed) else str(result.meta["media_type"])


def preview(sandbox: Sandbox, content: bytes, *, media_type: str, number: int = 0) -> bytes | None:
    """Return a PNG of one frame or page of a de-identified copy, for the human look; None where none can be made."""
    task = "render_preview" if media_type == "application/dicom" else "preview_document"
    result = _run(sandbox, task, content, {"media_type": media_type, "number": number})
    return None if isinstance(result, SandboxFailed) else result.content


def _run(
    sandbox: Sandbox, task: str, content: bytes, options: dict[str, Any]
) -> SandboxResult | SandboxFailed:
    result = sandbox.run(task, content, options)
    if isinstance(result, SandboxFailed) and result.code in _OURS:
        raise UnavailableError(f"the sandbox could not do {task}: {result.code}")
    return result


def _cleaned(result: Any) -> Cleaned | Held:
    if isinstance(result, SandboxFailed):
        return Held(code=result.code, reason=result.reason)
    meta = result.meta
    if held := meta.get("quarantined"):
        return Held(code=held["code"], reason=held["reason"], place=held.get("place", ""))
    look = tuple(
        (str(item["code"]), str(item["reason"]), str(item.get("place", ""))) for item in meta.get("look", [])
    )
    return Cleaned(content=result.content, index=meta.get("index", {}), look=look)
