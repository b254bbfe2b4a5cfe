"""The desk's words for sending releases to a PACS: states, endings and DICOM statuses; no logic."""

from __future__ import annotations

from gateway.domain.delivery import ENDINGS, OTHER_STATUS, STATUS_WORDS
from gateway.doors.http import N_

# A delivery's state: its name, the kind of its badge.
STATES: dict[str, tuple[str, str]] = {
    "queued": (N_("Waits for its turn"), "info"),
    "sending": (N_("Being sent"), "info"),
    "sent": (N_("Sent"), "good"),
    "incomplete": (N_("Not all arrived"), "bad"),
    "stopped": (N_("Stopped"), "warn"),
}
# Said in Swedish by the page's filter: the sentences of the domain, and those of the journeys that may come up here.
SENTENCES: tuple[str, ...] = (
    *ENDINGS,
    *(words for _, words in STATUS_WORDS),
    OTHER_STATUS,
    N_("this release is being sent to this peer already"),
    N_("this peer may not be sent releases"),
    N_("Allow it on the peer first: that it may receive."),
    N_("there are no images in this release"),
    N_("Documents are not sent to a PACS: reviewers read them in their package."),
    N_("nothing of this delivery waits for another try"),
    N_("this delivery has ended already"),
    N_("Mend that first, then try again."),
    N_("Reload the page."),
)
