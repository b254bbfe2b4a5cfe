"""The port through which the node calls up: who may speak, and who keeps what arrives.

The node owns the protocol, the gateway implements it. Statuses are those of PS3.4 B.2.3 and PS3.7 Annex C,
refusals those of PS3.8 9.3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from dicom_node.head import Head

HowItEnded = Literal["released", "aborted", "lost", "refused", "timeout", "malformed"]


class ReadableStream(Protocol):
    """Bytes that can be read once, to the end; both methods fill up unless the end is reached.

    Both raise `dicom_node.errors.AssociationOver` when the object will never be complete: what was taken so far
    must then be thrown away.
    """

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, fewer only at the end; everything that is left when negative."""
        ...

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill `buffer` without a copy in between where possible; the number of bytes, 0 at the end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """What a peer proved by its TLS handshake: it holds the key of this certificate, and the chain is trusted and valid.

    ``spki_sha256`` is the SHA-256 (hex) of the SubjectPublicKeyInfo, which survives a renewal with the same key;
    ``names`` are the subject alternative names (``DNS:pacs.example``, ``URI:urn:...``, ``IP:10.0.0.1``, ``email:...``);
    ``pinned`` tells that the certificate itself, not an authority, was what made it trusted.
    """

    subject: str
    issuer: str
    serial: int
    spki_sha256: str
    names: tuple[str, ...]
    not_after: datetime
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationAttempt:
    """Somebody asks for an association; nothing in it is proven but the address and the certificate."""

    calling_ae: str
    called_ae: str
    address: str
    port: int
    association_id: str
    implementation_uid: str
    implementation_version: str
    certificate: PeerCertificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What this peer may do on this association.

    ``sop_classes`` None means every storage SOP class that the node knows; ``private_sop_classes`` adds those
    outside the standard; ``transfer_syntaxes`` None means every one that the node knows; ``max_associations`` counts
    this calling AE over all addresses that it calls from. ``still_admitted`` is asked about twice a second, by a
    thread of the node's own, as long as the association lasts: False ends it with A-ABORT; None, and an exception,
    mean yes.
    """

    may_store: bool
    may_echo: bool
    may_commit: bool = False
    max_instance_bytes: int | None = None
    sop_classes: frozenset[str] | None = None
    transfer_syntaxes: frozenset[str] | None = None
    private_sop_classes: bool = True
    max_associations: int | None = None
    still_admitted: Callable[[], bool] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An A-ASSOCIATE-RJ to send: result 1 permanent or 2 transient, source and reason of PS3.8 Table 9-21."""

    result: int
    source: int
    reason: int
    why: str


CALLING_AE_NOT_RECOGNISED = (1, 1, 3)
CALLED_AE_NOT_RECOGNISED = (1, 1, 7)
TEMPORARY_CONGESTION = (2, 3, 1)
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """One SOP instance as it arrives: ``stream`` yields the whole data set as received, without File Meta."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    address: str
    association_id: str
    head: Head
    stream: ReadableStream


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutcome:
    """The C-STORE status to answer, and an Error Comment of at most 64 characters without personal data."""

    status: int
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationEnd:
    """How a connection ended; ``connections`` > 1 sums up repeated ones of an address that never associated."""

    association_id: str
    calling_ae: str
    called_ae: str
    address: str
    how: HowItEnded
    instances_kept: int
    why: str
    connections: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """A sender asks whether these instances are safe (PS3.4 J.3.2); SOP class and SOP instance UID of each, once."""

    transaction_uid: str
    references: Sequence[tuple[str, str]]
    calling_ae: str
    called_ae: str
    address: str
    association_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentResult:
    """What N-EVENT-REPORT tells: the complete set; a failure has its reason of PS3.3 C.14.1.1 as third."""

    id: str  # the receiver's own name for it, never sent
    transaction_uid: str
    committed: Sequence[Sequence[str]]
    failed: Sequence[tuple[str, str, int]]


class Receiver(Protocol):
    """Implemented by the gateway, called from the association's own thread; every method may block.

    What it raises never reaches the peer as text: `admit` becomes a transient rejection, `receive` becomes A700
    (an `OSError`, resources) or C000 (anything else), `commit` 0213 or 0110 likewise, the rest is logged.
    """

    def admit(self, attempt: AssociationAttempt) -> Admitted | Refused:
        """Decide on one association; called before any presentation context is answered."""
        ...

    def receive(self, instance: ReceivedInstance) -> StoreOutcome:
        """Keep one instance and return only when it cannot be lost.

        Success demands that the stream was read to its end; a refusal may leave it unread, the node drains it.
        When reading raises `AssociationOver`, throw away what was taken and let the exception pass.
        """
        ...

    def commit(self, request: CommitmentRequest) -> StoreOutcome:
        """Take on a storage commitment; Success demands that the question cannot be lost. Only for who may commit."""
        ...

    def report_due(self, attempt: AssociationAttempt) -> CommitmentResult | None:
        """Give a result to report on this association, or None; it is this association's until `reported` is called.

        Asked at most twice a second, while the association waits for its peer, and only where commitment was negotiated.
        """
        ...

    def reported(self, result_id: str, *, status: int | None, why: str = "") -> None:
        """The peer's answer to what `report_due` gave; None when there was no answer, and then `why`."""
        ...

    def refused(self, attempt: AssociationAttempt, outcome: StoreOutcome) -> None:
        """The node refused a request by itself, with this status: `receive` was not asked, or could not read to the end."""
        ...

    def ended(self, end: AssociationEnd) -> None:
        """Once for every association, refusal, and connection (or sum of them) that never became one."""
        ...
