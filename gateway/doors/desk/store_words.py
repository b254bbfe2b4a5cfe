"""The desk's words for the store of sealed objects: findings, what to do about them, events; no logic."""

from __future__ import annotations

from gateway.doors.http import N_

# A finding's kind: its name, the kind of its badge, the next step.
KINDS: dict[str, tuple[str, str, str]] = {
    "missing": (N_("Missing"), "bad", N_("The operator brings the object back from a backup. Then look again.")),
    "broken": (N_("Altered or cut"), "bad", N_("The operator finds out why, and brings the object back from a backup. Then look again.")),
    "unreadable": (N_("Cannot be read"), "bad", N_("The operator checks the device, and brings the object back from a backup. Then look again.")),
    "key_lost": (N_("Its key is lost"), "bad", N_("The operator brings back the keys, or the records, from a backup. Then look again.")),
    "orphan": (N_("Nobody's"), "warn", N_("Nothing names this object. The operator decides whether it stays.")),
}  # fmt: skip
# Which kind of row names the object.
ROWS: dict[str, str] = {
    "instances": N_("an image as it was received"),
    "documents": N_("a document as it was received"),
    "parts": N_("a piece of a file on its way"),
    "copies": N_("a de-identified copy"),
    "releases": N_("the list of contents of a release"),
    "": N_("no row"),
}
DONE: dict[str, str] = {"store_settled": N_("The object was read whole. The finding is closed.")}
STORE_OUTCOMES: dict[str, tuple[str, bool]] = {
    "whole": (N_("whole again"), False),
    "unnamed": (N_("no longer needed"), False),
    "named": (N_("it has a row"), False),
    "gone": (N_("it is gone"), False),
    "settled": (N_("removed"), False),
}
STORE_EVENTS: dict[str, str] = {
    "object_lost": N_("Stored objects are lost or damaged"),
    "store_swept": N_("The store was held against the records"),
    "store_scrubbed": N_("The stored objects were read whole"),
    "store_finding_closed": N_("A finding about stored objects closed itself"),
    "store_finding_settled": N_("A human settled a finding about a stored object"),
}
