"""The desk's words for peers: rights, ends of associations, ends of certificates, steps of a call; no logic."""

from __future__ import annotations

from dicom_node.meanings import REJECTIONS, STATUSES
from gateway.doors.http import N_

RIGHTS: dict[str, tuple[str, str]] = {
    "may_echo": (N_("Echo"), N_("Asks whether we answer (C-ECHO).")),
    "may_store": (N_("Send images"), N_("C-STORE, and STOW-RS with a token.")),
    "may_commit": (N_("Storage commitment"), N_("Asks whether its images are safe here.")),
    "may_receive": (N_("Be sent releases"), N_("De-identified images may be sent to it.")),
}
# How an association ended, and the badge for it.
ENDS: dict[str, tuple[str, str]] = {
    "released": (N_("ended in order"), "good"),
    "refused": (N_("refused"), "bad"),
    "aborted": (N_("broken off"), "warn"),
    "lost": (N_("connection lost"), "warn"),
    "timeout": (N_("too slow"), "warn"),
    "malformed": (N_("against the standard"), "bad"),
}
# How near a certificate's end is: the badge's kind.
EXPIRIES: dict[str, str] = {
    "far": "good", "soon": "warn", "very_soon": "warn", "tomorrow": "bad", "expired": "bad",
}  # fmt: skip
STEPS: dict[str, str] = {
    "name": N_("Name"),
    "connection": N_("Connection"),
    "tls": N_("TLS"),
    "association": N_("Association"),
    "verification": N_("C-ECHO"),
}
DONE: dict[str, str] = {
    "peer_added": N_("The peer is known now. It may come at once."),
    "peer_changed": N_("The change is kept. It counts within a second."),
    "peer_disabled": N_("The peer is shut out. What it has open ends within a second."),
    "peer_enabled": N_("The peer may come again."),
    "peer_pinned": N_("The certificate is bound to the peer."),
    "peer_unpinned": N_("The certificate counts no more."),
}
CHANGES: dict[str, str] = {
    "peer_added": N_("added or changed"),
    "peer_called": N_("called with C-ECHO"),
    "peer_disabled": N_("shut out or let in again"),
    "peer_token_made": N_("token for STOW-RS made or taken"),
}
# Sentences of the journeys that these pages may have to say in Swedish.
REFUSALS: tuple[str, ...] = (
    N_("an AE title has 1 to 16 printable ASCII characters and no backslash (PS3.5 6.2)"),
    N_("a quota is at least 1"),
    N_("there is no PEM certificate in what was given"),
    N_("this is no X.509 certificate in PEM"),
    N_("Ask the peer for the one that it shows now."),
    N_("Write it as CIDR: 10.1.2.0/24 or 10.1.2.3/32."),
    N_("Write DNS:pacs.example or URI:urn:…"),
    N_("Write HOST:PORT, for example pacs.example:11112."),
    N_("Write 8GiB, 500MB or none."),
    N_("Write a number, or none."),
    N_("Give it one: HOST:PORT where it listens."),
    N_("Let it in again first."),
    N_(
        "An earlier peer of this AE title left studies, storage commitments or deliveries, and they would become this one's."
    ),
    N_(
        "If it is the same hospital, say so: tick the box, or add --again. If it is another, agree on another AE title."
    ),
)
# What the node's own tables mean, as the onboarding sheet says it.
FROM_THE_NODE: tuple[str, ...] = tuple(
    text for meaning in (*REJECTIONS.values(), *STATUSES.values()) for text in (meaning.why, meaning.helps)
)
