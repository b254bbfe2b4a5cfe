"""Admitting whoever stores over HTTP: judged by token and address together; the token stands where a certificate stands on DICOM."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import partial
from typing import Literal

from dicom_node.receiver import Admitted
from gateway.domain.case import RECEIVING_STATES
from gateway.domain.ids import CASE_REF, normal_case_ref
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.journeys.admit_peer import permissions
from gateway.ports import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A known peer that may store, and the AE title of ours that its address stands for."""

    ae_title: str
    called: str
    may: Admitted


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdmitted:
    """Why somebody may not: ``unknown`` is all that a stranger is told, the rest is for the audit.

    ``called`` is empty where the address names a case by what is no reference: a stranger's own words are not kept.
    """

    kind: Literal["unknown", "no_case", "may_not"]
    why: str
    called: str
    ae_title: str = ""


def admit_sender(
    *, token: str, address: str, case_ref: str, records: Records, policy: Policy, ae_title: str = ""
) -> Sender | NotAdmitted:
    """Decide on one request by the peers' rows as they are now: deny by default (N2).

    Whoever is not wholly known is refused alike, whatever was wrong. Every peer's digest is compared, in constant time, so
    that neither the order of rows nor a common beginning of digests can be measured. Who was let in as ``ae_title`` and is
    asked about again is looked for under that title alone.
    """
    called = normal_case_ref(case_ref) if case_ref else policy.ae_title
    names_none = bool(case_ref) and not CASE_REF.match(called)
    with records.view() as view:
        peers = view.peers.find(ae_title=ae_title) if ae_title else view.peers.find()
        case = view.cases.first(ref=called) if case_ref and not names_none else None
    refused = partial(NotAdmitted, called="" if names_none else called)
    # (1) token, (2) address
    peer = _holder(peers, token)
    if peer is None:
        return refused(kind="unknown", why="the token is nobody's" if token else "there is no bearer token")
    refused = partial(refused, ae_title=peer.ae_title)
    if peer.disabled_at is not None:
        return refused(kind="unknown", why="the peer is disabled here")
    if not peer.may_call_from(address):
        return refused(kind="unknown", why="the token is known, but not from this address")
    # (3) what it may do, (4) where to
    if not peer.may_store:
        return refused(kind="may_not", why="this peer may not store")
    if case_ref and (case is None or case.state not in RECEIVING_STATES):
        return refused(kind="no_case", why="the address names no case that takes studies")
    if not peer.may_call(called):
        kind: Literal["no_case", "may_not"] = "no_case" if case_ref else "may_not"
        return refused(kind=kind, why="this peer may not call that AE title")
    return Sender(ae_title=peer.ae_title, called=called, may=permissions(peer, policy=policy))


def _holder(peers: list[Peer], token: str) -> Peer | None:
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    found = None
    for peer in peers:
        if hmac.compare_digest(peer.token_hash.encode(), digest.encode()):
            found = peer
    return found if token else None
