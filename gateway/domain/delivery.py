"""A delivery: one release on its way to a reviewer's PACS, instance by instance; nothing is sent here.

queued ──► sending ──► sent         every instance was kept
  ▲           │ └────► incomplete   some never will be, or a day has passed: a human may ask again
  └───────────┘        stopped      by a human, or because the release or the peer's right was taken back
after a setback
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

DeliveryState = Literal["queued", "sending", "sent", "incomplete", "stopped"]
OPEN_STATES: tuple[DeliveryState, ...] = ("queued", "sending")
TRY_FOR = timedelta(days=1)
# Seconds until the next try, by how many tries in a row kept nothing; the last one stays.
_WAITS_S = (15, 30, 60, 120, 300, 600, 900)

# No status but a word of ours, in the place of one.
NO_CONTEXT, UNREADABLE, NO_ANSWER = "no_context", "unreadable", "no_answer"
# PS3.4 B.2.3: Success and the three warnings. 0111 (PS3.7 C.5.1): the peer has this instance already; UIDs of copies are
# ours alone, so it got it from us, in a try whose answer was lost.
KEPT = frozenset({"0000", "B000", "B006", "B007", "0111"})
# Status (or its beginning) in words for a person; the first that fits.
STATUS_WORDS: tuple[tuple[str, str], ...] = (
    ("0000", "kept"),
    ("B000", "kept, with some values changed by the peer"),
    ("B006", "kept, with some attributes left out by the peer"),
    ("B007", "kept, though the peer finds that it does not match its kind"),
    ("0111", "the peer had it already"),
    ("A7", "the peer is out of room or too busy"),
    ("A9", "the peer finds that it does not match its kind"),
    ("C", "the peer cannot understand it"),
    ("0110", "processing failed at the peer"),
    ("0117", "the peer refuses its UID"),
    ("0122", "the peer does not take this kind of object"),
    ("0124", "the peer does not allow us to store"),
    ("0211", "the peer does not know this operation"),
    (NO_CONTEXT, "the peer does not take this kind of object in this encoding; nothing is transcoded here"),
    (UNREADABLE, "the copy could not be read here"),
    (NO_ANSWER, "no answer came"),
)
OTHER_STATUS = "refused by the peer"

# Why a delivery ended without every instance kept.
RELEASE_GONE = "the release is not approved any more"
PEER_GONE = "the peer is not known any more"
PEER_MAY_NOT = "the peer may not be sent releases any more"
BY_HUMAN = "stopped by a human"
SOME_REFUSED = "some images were refused and would be again"
DAY_OVER = "a day has passed without success"
WORK_FAILED = "the work on it failed here for good, and nobody goes on with it"
ENDINGS = (RELEASE_GONE, PEER_GONE, PEER_MAY_NOT, BY_HUMAN, SOME_REFUSED, DAY_OVER, WORK_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An approved release sent to a peer by C-STORE.

    Parameters
    ----------
    state, run
        ``run`` names the one worker's try that may write here while it is «sending».
    total, sent, warned, failed, left_out
        Instances of the release; those that were kept, with a warning among them; those refused for good; documents, which
        C-STORE does not carry.
    tries, next_at, give_up_at
        Tries in a row that kept nothing, when the next one is due, and until when there is one.
    outcomes
        Maps a copy's id to ``[status, why]``: four hexadecimal digits, or a word of ours where the peer gave none, and then
        why. What a peer writes beside its status may name a patient, and is not kept. To resume is to send again what is
        not kept there.
    """

    id: str
    release_id: str
    case_id: str
    peer: str
    state: DeliveryState = "queued"
    asked_by: str
    asked_at: datetime
    give_up_at: datetime
    next_at: datetime | None = None
    finished_at: datetime | None = None
    run: str = ""
    tries: int = 0
    total: int = 0
    sent: int = 0
    warned: int = 0
    failed: int = 0
    left_out: int = 0
    error: str = ""
    outcomes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether something is still to come of it by itself."""
        return self.state in OPEN_STATES


def is_final(status: str) -> bool:
    """Whether the same would happen again: kept, or refused for what the object is."""
    return status not in {UNREADABLE, NO_ANSWER, ""} and not status.startswith("A7")


def wait_after(tries: int) -> timedelta:
    """Return how long to wait when so many tries in a row kept nothing (1 for the first)."""
    return timedelta(seconds=_WAITS_S[min(max(tries, 1), len(_WAITS_S)) - 1])


def in_words(status: str) -> str:
    """Return what a status means to a person."""
    return next((words for start, words in STATUS_WORDS if status.startswith(start)), OTHER_STATUS)
