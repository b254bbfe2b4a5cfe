"""The desk's words for sending releases to a PACS: states, endings and DICOM statuses; no logic."""

from __future__ import annotations

from gateway.doors.http import N_

# A delivery's state: its name, the kind of its badge.
STATES: dict[str, tuple[str, str]] = {
    "queued": (N_("Waits for its turn"), "info"),
    "sending": (N_("Being sent"), "info"),
    "sent": (N_("Sent"), "good"),
    "incomplete": (N_("Not all arrived"), "bad"),
    "stopped": (N_("Stopped"), "warn"),
}
# The sentences of `gateway.domain.delivery`, said in Swedish by the page's filter.
SENTENCES: tuple[str, ...] = (
    N_("the release is not approved any more"),
    N_("the peer is not known any more"),
    N_("the peer may not be sent releases any more"),
    N_("stopped by a human"),
    N_("some images were refused and would be again"),
    N_("a day has passed without success"),
    N_("kept"),
    N_("kept, with some values changed by the peer"),
    N_("kept, with some attributes left out by the peer"),
    N_("kept, though the peer finds that it does not match its kind"),
    N_("the peer had it already"),
    N_("the peer is out of room or too busy"),
    N_("the peer finds that it does not match its kind"),
    N_("the peer cannot understand it"),
    N_("processing failed at the peer"),
    N_("the peer refuses its UID"),
    N_("the peer does not take this kind of object"),
    N_("the peer does not allow us to store"),
    N_("the peer does not know this operation"),
    N_("the peer does not take this kind of object in this encoding; nothing is transcoded here"),
    N_("the copy could not be read here"),
    N_("no answer came"),
    N_("refused by the peer"),
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
