"""Forgetting a case: on what grounds, what is kept of it for ever, and the certificate that tells; forms and rules, no key.

What is kept holds ids, counts and codes only, so that it can be shown and kept for ever. Bytes: docs/spec/forgetting-certificate.md.

References
----------
GDPR article 17(1) (grounds), 17(3)(b, c, e) (when a hold goes before erasure), 5(2) (accountability).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# code -> what it stands for; the code is what is kept and signed.
GROUNDS: dict[str, str] = {
    "no_longer_needed": "the purpose is fulfilled (GDPR 17(1)(a))",
    "consent_withdrawn": "the patient has withdrawn consent (GDPR 17(1)(b))",
    "objection": "the patient has objected (GDPR 17(1)(c))",
    "unlawful": "it should not have been processed (GDPR 17(1)(d))",
    "legal_duty": "a law or an authority demands it (GDPR 17(1)(e))",
    "mistake": "it was opened by mistake or for the wrong patient (GDPR 5(1)(d))",
}
USUAL_GROUND = "no_longer_needed"
CERTIFICATE_FORMAT = "consilium-forgetting-1"
_REGISTER = b"consilium-forgotten-1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold on a case: while ``ended_at`` is null nobody forgets it. Both reasons are sealed, they may name people."""

    id: str
    holder: str
    at: datetime
    by: str
    reason: str
    ended_at: datetime | None = None
    ended_by: str = ""
    end_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What is kept of a forgotten case: ids, counts and codes.

    ``left`` are objects that are still to be removed: ciphertext without a key. ``keks`` are the master keys that wrapped
    the case's keys, each as ``[id, version]``.
    ``certificate`` is empty until the first was given.
    """

    id: str
    ref: str
    at: datetime
    by: str
    ground: str
    keys: int
    rows: int
    objects: int
    commitments: int
    holders: list[str] = field(default_factory=list)
    keks: list[list[Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    certificate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """One forgotten holder of keys. ``seq`` grows in the order of commits."""

    seq: int
    holder: str
    case_id: str
    at: datetime


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return RFC 8785 (JCS) restricted to objects, lists, strings, integers and null, which is all that is kept here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def register_line(stone: Tombstone, *, secret: bytes) -> str:
    """Return the line of the register: ids and a time, with an HMAC under a key of the house."""
    value = {"at": _time(stone.at), "case": stone.case_id, "holder": stone.holder}
    return canonical(value | {"mac": _mac(value, secret)}).decode()


def read_register_line(line: str, *, secret: bytes) -> Tombstone | None:
    """Return what a line says, or None where it was not written by this house; ``seq`` is 0."""
    try:
        value = dict(json.loads(line))
        mac = str(value.pop("mac"))
        if set(value) != {"at", "case", "holder"} or not hmac.compare_digest(
            mac.encode(), _mac(value, secret).encode()
        ):
            return None
        return Tombstone(
            seq=0,
            holder=str(value["holder"]),
            case_id=str(value["case"]),
            at=datetime.fromisoformat(value["at"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def certificate(
    kept: Forgetting,
    *,
    origin: str,
    event_seq: int,
    event_hash: str,
    ends: Mapping[tuple[str, int], datetime],
) -> dict[str, Any]:
    """Return what is signed: who forgot what, when, on what ground, and the event of the trail that says so.

    ``ends`` tells of master keys when the rules of the house destroy them, and with them what old backups hold.
    """
    return {
        "format": CERTIFICATE_FORMAT,
        "origin": origin,
        "case": kept.ref,
        "case_id": kept.id,
        "holders": sorted(kept.holders),
        "forgotten_at": _time(kept.at),
        "by": kept.by,
        "ground": kept.ground,
        "erased": {
            "keys": kept.keys,
            "rows": kept.rows,
            "objects": kept.objects,
            "commitments": kept.commitments,
        },
        "master_keys": [
            {
                "id": kek_id,
                "version": version,
                "destroyed_by": _time(ends[kek_id, version]) if (kek_id, version) in ends else None,
            }
            for kek_id, version in kept.keks
        ],
        "event": {"seq": event_seq, "hash": event_hash},
    }


def signed_bytes(body: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: the format's name, a line feed and the canonical certificate."""
    return CERTIFICATE_FORMAT.encode() + b"\n" + canonical(body)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _mac(value: Mapping[str, Any], secret: bytes) -> str:
    return hmac.new(secret, _REGISTER + canonical(value), hashlib.sha256).hexdigest()
