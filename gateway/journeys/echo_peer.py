"""Calling a peer to see whether it answers: a live C-ECHO from our side, told step by step; what the peer stores is not asked."""

from __future__ import annotations

from dataclasses import replace

from dicom_node.scu import EchoResult, echo
from gateway.domain.calls import CallRules
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.journeys.call_peer import call_of
from gateway.journeys.know_peer import peer_by_title
from gateway.ports import Records

PATIENCE_S = 8.0  # somebody sits before it


def echo_peer(*, ae_title: str, by: Actor, records: Records, policy: Policy, rules: CallRules) -> EchoResult:
    """C-ECHO a peer now; the audit keeps that it was called, and how far that came.

    Raises
    ------
    ConflictError, UnavailableError
        It cannot be called at all: see `call_of`.
    """
    with records.view() as view:
        peer = peer_by_title(view, ae_title)
    call = call_of(peer, policy=policy, rules=rules)
    found = echo(replace(call, timeout_s=PATIENCE_S, response_timeout_s=PATIENCE_S))
    with records.change(by=by) as change:
        change.note(
            "peer_called",
            subject=peer.ae_title,
            outcome="ok" if found.reached else "failed",
            at=peer.address,
            step=found.steps[-1].name if found.steps else "none",
        )
    return found
