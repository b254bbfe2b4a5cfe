"""The certificate of a forgetting: composed of what is kept, signed with the key of the audit's heads, checked without a house."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.domain.audit import public_key, sign, signature_holds
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError
from gateway.domain.forgetting import CERTIFICATE_FORMAT, Forgetting, canonical, certificate, signed_bytes
from gateway.domain.ids import normal_case_ref
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.journeys.keep_register import keep_register
from gateway.journeys.lookup import house_secret
from gateway.ports import Records, Register, View
from storage import SealedStore

_LABEL = b"audit-checkpoint"
_ALGORITHM = "Ed25519"
_RETIRING = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate whose signature holds: its text as it is given, what it says, and the key that signed it."""

    text: str
    body: Mapping[str, Any]
    public_key: str


def give_certificate(
    ref: str, *, by: Actor, records: Records, store: SealedStore, register: Register, policy: Policy
) -> Certificate:
    """Return the certificate of a forgotten case, the same each time, and note that it was given.

    1. The register outside the records has the case, so that no restored backup brings it back.
    2. The certificate names the event of the trail that tells of the forgetting, by number and hash.
    3. It is kept, here and in the register: it can be had again after years.

    Raises
    ------
    NotFoundError
        No case of this reference was forgotten here, or it was forgotten again after a restore and its certificate is lost.
    """
    keep_register(records=records, store=store, register=register)
    with records.view() as view:
        kept = forgotten_case(view, ref)
        seed = house_secret(view, store, _LABEL)
        text = kept.certificate or _signed(_body(view, kept, policy), seed)
    if not kept.certificate:
        register.append([text])
    with records.change(by=by) as change:
        if not kept.certificate:
            change.forgettings.set(kept.id, certificate=text)
        outcome = "again" if kept.certificate else "ok"
        change.note("forgetting_certified", case_id=kept.id, subject=kept.ref, outcome=outcome)
    return check_certificate(text, key=public_key(seed).public_bytes_raw().hex())


def list_forgotten(*, records: Records) -> list[Forgetting]:
    """Return what was forgotten, newest first: references, times and counts."""
    with records.view() as view:
        return view.forgettings.find(order="-at")


def forgotten_case(view: View, ref: str) -> Forgetting:
    """Return what is kept of a forgotten case, by its reference or id."""
    found = view.forgettings.first(ref=normal_case_ref(ref), order="-at") or view.forgettings.first(id=ref)
    if found is None:
        raise NotFoundError(f"no case {ref[:20]} was forgotten here")
    return found


def check_certificate(text: str, *, key: str) -> Certificate:
    """Return what a certificate says if this key (64 hex digits, of ``consilium audit verify``) signed it; needs no house.

    1. It is an object with a certificate and a signature, of the format that this version knows.
    2. The signature names the key that is expected, and not just any.
    3. The signature holds over the format's name, a line feed and the canonical form of the certificate (RFC 8785, RFC 8032).
    """
    try:
        value = json.loads(text)
        body, signature = value["certificate"], value["signature"]
        if body["format"] != CERTIFICATE_FORMAT or signature["algorithm"] != _ALGORITHM:  # (1)
            raise InvalidError(
                "this is a certificate of another format", next_step="Check it with the version that gave it."
            )
        named, signed = str(signature["public_key"]), str(signature["value"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidError(
            "this is no certificate of forgetting", next_step="Give the file as it was given out."
        ) from error
    if named != key.strip().lower():  # (2): as it is written, so that no sign of the file can be another
        raise ConflictError(
            "the certificate was signed with another key than the one you trust",
            next_step="Ask the house for the public key that `consilium audit verify` tells, on another way.",
        )
    if not signature_holds(key, signed_bytes(body), signed):  # (3)
        raise ConflictError(
            "the certificate was altered: its signature does not hold",
            next_step="Ask the house for it again; it is given as often as it is asked for.",
        )
    return Certificate(text=text, body=body, public_key=named)


def check_with_house(text: str, *, records: Records, store: SealedStore) -> Certificate:
    """Check a certificate with this house's own key, and hold its event against the trail."""
    with records.view() as view:
        seed = house_secret(view, store, _LABEL)
        found = check_certificate(text, key=public_key(seed).public_bytes_raw().hex())
        told = found.body["event"]
        event = next(view.events(after=int(told["seq"]) - 1, limit=1), None)
    if event is None or event.seq != told["seq"] or event.hash != told["hash"]:
        raise ConflictError(
            "the signature holds, but the trail here does not tell of this forgetting",
            next_step="The records were restored from before it, or the trail was cut: run `consilium audit verify`.",
        )
    return found


def read_certificate_line(line: str, *, records: Records, store: SealedStore) -> Forgetting | None:
    """Return what a certificate of the register says as it was kept, or None where this house did not sign it."""
    with records.view() as view:
        seed = house_secret(view, store, _LABEL)
    try:
        body = check_certificate(line, key=public_key(seed).public_bytes_raw().hex()).body
    except (InvalidError, ConflictError):
        return None
    return Forgetting(
        id=body["case_id"],
        ref=body["case"],
        at=datetime.fromisoformat(body["forgotten_at"]),
        by=body["by"],
        ground=body["ground"],
        **body["erased"],
        holders=list(body["holders"]),
        keks=[[one["id"], one["version"]] for one in body["master_keys"]],
        certificate=line,
    )


def ends_of(view: View, kept: Forgetting, *, policy: Policy) -> dict[tuple[str, int], datetime]:
    """Return when the master keys of a forgotten case are destroyed by the rules of the house; none where no rule says.

    A version is in use for ``epoch_days`` at most, is retired in the hours after, and destroyed when the newest backup that
    holds it is ``backup_days`` old. Copies of the case in backups of before are then ciphertext without any key (E8).
    """
    ends = {}
    for kek_id, version in kept.keks:
        epoch = view.epochs.first(kek_id=kek_id, kek_version=version)
        if epoch is None:
            continue
        if (dies_at := epoch.destroyed_at or epoch.dies_at(policy.backup_days)) is not None:
            ends[kek_id, version] = dies_at
        elif policy.epoch_days:
            over = max(epoch.began_at + timedelta(days=policy.epoch_days), kept.at)
            ends[kek_id, version] = over + _RETIRING + timedelta(days=policy.backup_days)
    return ends


def _body(view: View, kept: Forgetting, policy: Policy) -> dict[str, Any]:
    told = [event for event in view.events(case_id=kept.id) if event.kind == "case_forgotten"]
    if not told:
        raise NotFoundError(
            "this case was forgotten again after a restore, and the event of its forgetting is not here",
            next_step="Restore the register of what was forgotten (audit/forgotten.jsonl): the certificate lies in it.",
        )
    return certificate(
        kept,
        origin=policy.tenant,
        event_seq=told[-1].seq,
        event_hash=told[-1].hash,
        ends=ends_of(view, kept, policy=policy),
    )


def _signed(body: dict[str, Any], seed: bytes) -> str:
    signature = {
        "algorithm": _ALGORITHM,
        "public_key": public_key(seed).public_bytes_raw().hex(),
        "value": sign(seed, signed_bytes(body)),
    }
    return canonical({"certificate": body, "signature": signature}).decode()
