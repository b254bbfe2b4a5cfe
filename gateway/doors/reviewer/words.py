"""The reviewer's words for the house's terms; no logic."""

from __future__ import annotations

from gateway.doors.http import N_

OPINIONS: dict[str, str] = {"written": N_("Written opinion"), "mdt": N_("Conference")}
CATEGORIES: dict[str, str] = {
    "imaging": N_("Imaging"),
    "radiology_report": N_("Radiology report"),
    "pathology": N_("Pathology report"),
    "labs": N_("Lab results"),
    "doctors_notes": N_("Doctor's notes"),
    "discharge_summary": N_("Discharge summary"),
    "referral_letter": N_("Referral letter"),
    "prescriptions": N_("Prescriptions"),
    "other": N_("Other"),
}
# A part of the answer: its name, and what belongs there.
ANSWER_PARTS: dict[str, tuple[str, str]] = {
    "question": (N_("Question"), N_("What you were asked, in your own words where that is clearer.")),
    "findings": (N_("Findings"), N_("What the documents and images show, and what you rest on.")),
    "recommendation": (N_("Recommendation"), N_("One clear recommendation.")),
    "alternatives": (N_("Alternatives"), N_("What else is reasonable, and when.")),
    "confidence": (N_("Confidence"), N_("How sure you are, and what limits it.")),
    "further_examinations": (N_("Further examinations"), N_("What should be done before or beside the treatment.")),
}  # fmt: skip
ROWS: dict[str, int] = {"findings": 9, "recommendation": 6}
ACTIONS: dict[str, str] = {
    "D": N_("replaced by a dummy value"),
    "Z": N_("emptied"),
    "X": N_("removed"),
    "K": N_("kept"),
    "C": N_("cleaned"),
    "U": N_("replaced by another UID"),
    "I": N_("replaced by a stand-in"),
    "P": N_("person replaced by a stand-in"),
    "S": N_("date shifted"),
    # counted in documents, by what was found
    "name": N_("names in documents"),
    "number": N_("numbers in documents"),
    "birth_date": N_("birth dates in documents"),
    "date": N_("dates in documents"),
    "address": N_("addresses in documents"),
    "institution": N_("hospitals and clinics in documents"),
    "phone": N_("telephone numbers in documents"),
    "email": N_("e-mail addresses in documents"),
    "link": N_("links in documents"),
    "other": N_("other identifying words in documents"),
}
DONE: dict[str, str] = {"signed": N_("The answer is signed. The coordinator delivers it to the patient.")}
# Sentences of the journeys that this door may have to say in Swedish.
REFUSALS: tuple[str, ...] = (
    N_("there is no such release for you"),
    N_("Ask the coordinator to grant it."),
    N_("there is no such file in this release"),
    N_("Go back to the release."),
    N_("the answer of this case has been delivered"),
    N_("Ask the coordinator to open a new release."),
    N_("You are not signed in, or not any more."),
    N_("Sign in again."),
    N_("Your role does not open this page."),
    N_("Go back to the first page, or ask the operator for another role."),
)
