r"""The audit trail: kinds of events, their canonical bytes and the rule that chains them; it never holds a value.

Canonical form: RFC 8785 (JSON Canonicalization Scheme) restricted to strings, integers and null, which is all an
event may hold. Chain rule: ``hash = SHA-256("consilium-audit-1\n" || canonical(event))`` where the event names its
``seq`` (from 1, no gap) and ``previous`` (the hash before it; 64 zeros for the first). Checkpoints are signed notes
after C2SP tlog-checkpoint: origin, size, hash; they show a cut or a rollback that a bare chain cannot.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

GENESIS = "0" * 64
_PREFIX = b"consilium-audit-1\n"

# kind -> (what happened, the verb of HSLF-FS 2016:40 4:9: read, written, disclosed, copied, erased; - for none)
EVENT_KINDS: dict[str, tuple[str, str]] = {
    "house_opened": ("the exchange was set up in this home", "-"),
    "case_opened": ("a case was opened", "written"),
    "case_moved": ("a case moved to another state", "written"),
    "case_read": ("a member of staff looked at a case", "read"),
    "clock_paused": ("the clock of a case was paused", "written"),
    "clock_resumed": ("the clock of a case runs again", "written"),
    "item_marked": ("a checklist item changed", "written"),
    "peer_added": ("a peer was added or changed", "written"),
    "peer_removed": ("a peer was removed", "written"),
    "peer_disabled": ("a peer was shut out, or let in again", "written"),
    "peer_token_made": ("a peer was given a new token for STOW-RS", "written"),
    "peer_called": ("a peer was called with C-ECHO; the outcome says whether it answered", "-"),
    "study_complete": ("a study has all instances that its sender told of", "written"),
    "commitment_asked": ("a sender asked for storage commitment", "-"),
    "commitment_decided": ("the instances of a storage commitment were verified", "read"),
    "commitment_reported": ("the result of a storage commitment was told to its sender", "-"),
    "commitment_read": ("the instances that a storage commitment names were looked at", "read"),
    "commitment_forgotten": (
        "storage commitments that were told, or given up, long ago were removed",
        "erased",
    ),
    "delivery_asked": ("a release is to be sent to a peer", "disclosed"),
    "delivery_progressed": ("instances of a release were sent to a peer", "copied"),
    "delivery_ended": ("the sending of a release to a peer ended; the outcome says how", "copied"),
    "association_refused": ("an association was refused", "-"),
    "association_ended": ("an association ended; the outcome says how", "-"),
    "instance_kept": ("an instance was sealed and recorded", "written"),
    "instance_repeated": ("an instance came again with the same bytes; nothing was added", "-"),
    "instance_mended": ("an instance whose bytes were lost came again and was put in their place", "written"),
    "instance_conflict": ("an instance came again with other bytes; both are kept", "written"),
    "instance_refused": ("an instance was refused", "-"),
    "study_settled": ("nothing more of a study came for the quiet period", "written"),
    "study_reopened": ("an instance came after its study had settled", "written"),
    "study_matched": ("a study was matched with a case", "written"),
    "study_dropped": ("a study of which no instance was kept was dropped with its key", "erased"),
    "study_waits": ("a study came that fits no case yet; it waits in the inbox", "written"),
    "study_unmatched": ("a study was taken from a case, back to the inbox", "written"),
    "link_made": ("a patient link was made", "written"),
    "link_revoked": ("a patient link was revoked", "written"),
    "link_shown": ("a patient link was opened in a browser", "-"),
    "link_refused": ("a link that does not count was tried", "-"),
    "code_sent": ("a one-time code was sent", "-"),
    "code_refused": ("a wrong or spent code was given", "-"),
    "patient_signed_in": ("a patient's link and code were right", "-"),
    "signed_out": ("a session was ended", "-"),
    "upload_begun": ("a file began to arrive", "written"),
    "part_kept": ("a piece of a file was sealed", "written"),
    "upload_abandoned": ("a file was given up before it was whole", "erased"),
    "document_received": ("a file arrived whole and was sealed", "written"),
    "document_inspected": ("a file's type and contents were established", "written"),
    "receipt_given": ("a receipt was shown", "read"),
    "harvest_extended": ("known identifiers were gathered from the case's own material", "written"),
    "copies_checked": ("copies were read again against identifiers that came later", "read"),
    "copy_replaced": ("a de-identified copy is made anew", "written"),
    "copy_made": ("a de-identified copy was made and verified", "written"),
    "quarantined": ("something was held for a human", "written"),
    "finding_judged": ("a human judged a finding", "written"),
    "tried_again": ("what was held is cleaned once more, by a human's word", "written"),
    "rule_made": ("a human's verdict became a rule that is used again", "written"),
    "rule_confirmed": ("a rule for a device was confirmed by a second person", "written"),
    "rule_ended": ("a reviewed rule was revoked, or declined; the outcome says which", "written"),
    "rules_used": ("a copy was made by reviewed rules", "written"),
    "preview_read": ("a member of staff looked at a de-identified copy", "read"),
    "release_built": ("a release was built", "written"),
    "release_approved": ("a release was approved", "disclosed"),
    "release_withdrawn": ("a release was withdrawn", "written"),
    "grant_given": ("a reviewer was given the right to open a release", "disclosed"),
    "grant_revoked": ("a reviewer's right was revoked", "written"),
    "release_opened": ("a reviewer looked at the contents of a release", "read"),
    "release_downloaded": ("a package, or a part of it, was sent to a reviewer", "copied"),
    "release_exported": ("a package was written to a file by the operator", "copied"),
    "access_refused": ("something was asked for without the right to it", "-"),
    "answer_signed": ("a reviewer signed an answer", "written"),
    "answer_delivered": ("an answer was made readable for the patient", "disclosed"),
    "answer_read": ("the patient read the answer", "read"),
    "person_added": ("a member of staff was added", "written"),
    "person_reset": ("a member of staff was given a new password and code app", "-"),
    "person_disabled": ("a member of staff was disabled", "written"),
    "signed_in": ("a member of staff signed in", "-"),
    "sign_in_refused": ("a sign-in was refused", "-"),
    "job_failed": ("a job failed for good and waits for a human", "-"),
    "job_retried": ("a failed job was started again by a human", "-"),
    "epoch_begun": ("a new version of the master key is in use", "written"),
    "keys_rewrapped": ("keys were brought under the newest version of the master key", "written"),
    "epoch_retired": ("no key is under this version of the master key any more", "written"),
    "epoch_ending": ("a version of the master key is being destroyed", "erased"),
    "epoch_destroyed": (
        "a version of the master key was destroyed, and with it what older backups hold",
        "erased",
    ),
    "epoch_spared": (
        "the end of a version of the master key was called off: by the clock or the rules of now it is not due",
        "-",
    ),
    "keys_unopened": ("keys do not open, and keep their version of the master key alive", "-"),
    "key_abandoned": (
        "a key that does not open was given up, and keeps no version alive any more",
        "written",
    ),
    "key_protected": ("the file of master keys was given a passphrase, or lost its own", "-"),
    "key_backed_up": ("a backup of the master keys was made, in shares", "copied"),
    "key_drilled": ("a backup of the master keys was tried with every set of shares", "read"),
    "case_forgotten": ("a case's keys were destroyed", "erased"),
    "case_held": ("a legal hold was placed on a case", "written"),
    "case_unheld": ("the legal hold on a case was ended", "written"),
    "objects_removed": ("sealed bytes of a forgotten case were removed", "erased"),
    "forgetting_certified": ("the certificate of a forgetting was given", "read"),
    "forgotten_again": ("what had been forgotten before a restore was forgotten again", "erased"),
    "room_low": ("room ran low, and nothing new was taken in", "-"),
    "room_back": ("there was room again", "-"),
    "volume_failed": ("a volume refused a write, and nothing new is taken in until a restart", "-"),
    "volume_away": ("a volume was not there or took no writes, and nothing new was taken in", "-"),
    "volume_back": ("all volumes were there and took writes again", "-"),
    "backup_made": ("a backup of everything was made", "copied"),
    "backup_verified": ("a backup was looked through", "read"),
    "backups_pruned": ("old backups were removed from their repository", "erased"),
    "house_restored": ("from here on this is a restored copy; what came after its backup is lost", "written"),
    "object_lost": ("objects are not what their rows say; a finding was written down", "-"),
    "store_swept": ("the store was held against the rows; what was nobody's was removed", "erased"),
    "store_scrubbed": ("objects of the store were read whole", "read"),
    "store_finding_closed": ("findings of the store ended; the outcome says how", "-"),
    "store_finding_settled": ("a human settled a finding of the store; the outcome says how", "written"),
    "audit_signed": ("the head of the trail was signed and handed to the witness", "-"),
    "audit_read": ("the audit trail was read", "read"),
    "audit_verified": ("the audit trail was verified", "read"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One line of the trail, kept for ever.

    ``details`` holds ids, counts and codes, and short texts: sentences of ours, and what a machine shows of itself (the AE
    titles of a peer, the subject of its certificate). What identifies a patient is never one.
    """

    seq: int
    at: datetime
    kind: str
    actor: str
    address: str = ""
    case_id: str = ""
    subject: str = ""
    outcome: str = "ok"
    details: Mapping[str, str | int] = field(default_factory=dict)
    previous: str = GENESIS
    hash: str = ""

    def canonical(self) -> bytes:
        """Return the bytes that are hashed: everything but the hash."""
        value = {
            "seq": self.seq,
            "at": self.at.isoformat(timespec="microseconds"),
            "kind": self.kind,
            "actor": self.actor,
            "address": self.address,
            "case_id": self.case_id,
            "subject": self.subject,
            "outcome": self.outcome,
            "details": dict(self.details),
            "previous": self.previous,
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def chained_hash(self) -> str:
        """Return the hash that this event must carry."""
        return hashlib.sha256(_PREFIX + self.canonical()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Where the trail is not what it was: ``kind`` is edited, gap, reordered, cut, forked, unsigned or unwitnessed."""

    seq: int
    kind: str
    what: str


def flaws(events: Iterable[AuditEvent], *, head_seq: int, head_hash: str) -> Iterator[Flaw]:
    """Walk the whole trail in stored order and yield every flaw; nothing yielded means that it verifies."""
    seq, previous = 0, GENESIS
    for event in events:
        if event.seq <= seq:
            yield Flaw(seq=event.seq, kind="reordered", what=f"event {event.seq} stands after event {seq}")
        elif event.seq != seq + 1:
            yield Flaw(seq=seq + 1, kind="gap", what=f"events {seq + 1} to {event.seq - 1} are missing")
        elif event.previous != previous:
            yield Flaw(seq=event.seq, kind="edited", what=f"event {event.seq} does not follow event {seq}")
        if event.chained_hash() != event.hash:
            yield Flaw(seq=event.seq, kind="edited", what=f"event {event.seq} is not what was hashed")
        seq, previous = event.seq, event.hash
    if seq != head_seq or previous != head_hash:
        yield Flaw(seq=seq, kind="cut", what=f"the trail ends at event {seq}, its head says {head_seq}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed head: «at this size the trail's hash was this»."""

    origin: str
    size: int
    hash: str

    def body(self) -> str:
        """Return the signed text: origin, size and base64 hash, a line each (C2SP tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(bytes.fromhex(self.hash)).decode()}\n"

    def signed(self, seed: bytes) -> str:
        """Return the note with its Ed25519 signature line."""
        key = Ed25519PrivateKey.from_private_bytes(seed)
        signature = base64.b64encode(
            _key_id(self.origin, key.public_key()) + key.sign(self.body().encode())
        ).decode()
        return f"{self.body()}\n— {self.origin} {signature}\n"


def read_checkpoint(note: str, *, public: Ed25519PublicKey) -> Checkpoint | None:
    """Return the checkpoint that a note carries, or None where its signature does not hold."""
    body, _, signature_lines = note.partition("\n\n")
    body += "\n"
    try:
        origin, size, encoded = body.splitlines()
        blob = base64.b64decode(signature_lines.split()[-1], validate=True)
        public.verify(blob[4:], body.encode())
    except (ValueError, IndexError, InvalidSignature):
        return None
    if blob[:4] != _key_id(origin, public):
        return None
    return Checkpoint(origin=origin, size=int(size), hash=base64.b64decode(encoded).hex())


def public_key(seed: bytes) -> Ed25519PublicKey:
    """Return the key with which anybody may check the checkpoints."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key()


def sign(seed: bytes, message: bytes) -> str:
    """Return the base64 Ed25519 signature (RFC 8032) of a message that no checkpoint can be taken for."""
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(message)).decode()


def signature_holds(public: str, message: bytes, signature: str) -> bool:
    """Tell whether the key (64 hex digits) signed the message."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(base64.b64decode(signature, validate=True), message)
    except (ValueError, InvalidSignature):
        return False
    return True


def _key_id(origin: str, public: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n\x01" + public.public_bytes_raw()).digest()[:4]
