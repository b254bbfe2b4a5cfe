"""The desk's words for reviewed rules; no logic."""

from __future__ import annotations

from gateway.doors.http import N_

KINDS: dict[str, str] = {
    "mask": N_("Mask these places"),
    "clean": N_("Nothing here identifies"),
    "kept_word": N_("This word does not identify"),
    "removed_word": N_("This word identifies"),
}
REACHES: dict[str, str] = {
    "picture": N_("this picture"),
    "layout": N_("every picture of its device and size in this case"),
    "case": N_("everything in this case"),
    "device": N_("its device, in all cases"),
}
STATES: dict[str, tuple[str, str]] = {
    "proposed": (N_("Waits for a second person"), "warn"),
    "active": (N_("In force"), "good"),
    "revoked": (N_("Revoked"), "plain"),
    "declined": (N_("Declined"), "plain"),
}
BOXES: dict[str, str] = {
    "masked": N_("masked by the machine"),
    "kept": N_("left by the machine"),
    "doubtful": N_("the machine is in doubt"),
    "reviewed": N_("masked by a reviewed rule"),
}
DONE: dict[str, str] = {
    "rule_made": N_(
        "The rule is kept. The copies that it covers are made anew; look at them when they are there."
    ),
    "rule_confirmed": N_("The rule holds in all cases now."),
    "rule_ended": N_("The rule has ended. The copies that were made by it are made anew."),
    "tried": N_("It is being cleaned once more. Reload the page in a moment."),
}
REFUSALS: tuple[str, ...] = (
    N_("there is no standing copy of this picture to make a rule of"),
    N_("Try it again first, then look at the new copy."),
    N_("a rule for a device needs a reason"),
    N_("Write what is shown there, not whose it is."),
    N_("there is a rule for this word already"),
    N_("Revoke that one first if it is wrong."),
    N_("this rule does not wait to be confirmed"),
    N_("this rule has ended already"),
    N_("Reload the page."),
    N_("a rule for a device is confirmed by somebody else than who proposed it"),
    N_("Ask the privacy officer or the operator."),
    N_("this copy does not say of what device and size its picture is"),
    N_("Have it made anew with «Try again», then look at that one."),
    N_("one of the places lies beside the picture"),
    N_("Draw it again, or take it away."),
    N_("Draw fewer, larger ones."),
    N_("there is no place to mask"),
    N_("Draw what is to be masked, or decide that nothing identifies."),
    N_("Write the word, name or number as it stands."),
    N_("this cannot be cleaned anew"),
    N_("this is not held any more, or is being cleaned already"),
    N_("the reviewed rules have changed since this release was built"),
    N_("Build the release again, look at it and approve that one."),
    N_("the reviewed rules changed while the copies were read"),
    N_("Build the release again: that makes such copies anew."),
)
