"""The desk's words for the store of sealed objects: findings, what to do about them, events; no logic."""

from __future__ import annotations

from gateway.doors.http import N_

# A finding's kind: its name, the kind of its badge, the next step.
KINDS: dict[str, tuple[str, str, str]] = {
    "missing": (N_("Missing"), "bad", N_("The operator brings the object back from a backup. Then look again.")),
    "broken": (N_("Altered or cut"), "bad", N_("The operator finds out why, and brings the object back from a backup. Then look again.")),
    "unreadable": (N_("Cannot be read"), "bad", N_("The operator checks the device, and brings the object back from a backup. Then look again.")),
    "key_lost": (N_("Its key is lost"), "bad", N_("The operator brings back the keys, or the records, from a backup. Then look again.")),
    "orphan": (N_("Without a row"), "warn", N_("Nothing names this object. The operator decides whether it stays.")),
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
# What keeps the house from working just now: what it is, and the next step.
TROUBLES: dict[str, tuple[str, str]] = {
    "room": (N_("There is too little room, and nothing new is taken in."), N_("What has arrived is safe, and cases can be worked on. Ask the operator to make room; intake goes on by itself.")),
    "failed": (N_("The store does not take writes, and nothing new is taken in."), N_("What has arrived can be read. Ask the operator to check the device, and then to restart the exchange.")),
    "away": (N_("The volume of the stored objects is not there or takes no writes, and nothing new is taken in."), N_("Nothing is lost by that. Ask the operator to mount the right volume again, with writes; then everything goes on by itself.")),
    "outage": (N_("The store does not answer."), N_("Nothing can be taken in or read meanwhile. Ask the operator to look at the network and the server; then everything goes on by itself.")),
    "denied": (N_("The store refuses the exchange."), N_("Nothing can be taken in or read meanwhile. Ask the operator to correct its address, bucket or access key.")),
    "keys": (N_("The master keys cannot be used."), N_("Nothing can be sealed or opened meanwhile, and nothing is lost. Ask the operator to look at the key service or the key file.")),
}  # fmt: skip
DOORS: dict[str, str] = {
    "dicom": N_("DICOM"),
    "machine": N_("STOW-RS"),
    "patient": N_("Patients"),
    "review": N_("Reviewers"),
    "desk": N_("Desk"),
    "work": N_("Work in the background"),
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
