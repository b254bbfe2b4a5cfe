"""The patient's words for the house's terms: categories with examples, states of a case and of a document; no logic."""

from __future__ import annotations

from gateway.doors.http import N_

# Each category's name, and an example of what belongs there.
CATEGORIES: dict[str, tuple[str, str]] = {
    "imaging": (N_("X-rays and scans"), N_("CT, MRI, PET, ultrasound or X-ray pictures. Often a disc or a folder from the hospital.")),
    "radiology_report": (N_("Radiology report"), N_("The written description of an X-ray or scan, signed by a radiologist.")),
    "pathology": (N_("Pathology report"), N_("The result of a tissue or cell sample (biopsy).")),
    "labs": (N_("Lab results"), N_("Blood and urine tests, tumour markers, genetic tests.")),
    "doctors_notes": (N_("Doctor's notes"), N_("Notes from your visits: what was found, what was planned.")),
    "discharge_summary": (N_("Discharge summary"), N_("The letter that you got when you left a hospital.")),
    "referral_letter": (N_("Referral letter"), N_("The letter in which your doctor asks for this opinion.")),
    "prescriptions": (N_("Prescriptions"), N_("A list of your medicines and doses.")),
    "other": (N_("Something else, or not sure"), N_("Anything else that may help, for example an insurance letter.")),
}  # fmt: skip

# Each state of a case as a heading, and what it means for the patient.
CASE_STATES: dict[str, tuple[str, str]] = {
    "inquiry": (N_("We have your question"), N_("We will contact you about the next step.")),
    "application": (N_("We have your application"), N_("We are reading it and will contact you.")),
    "assessment": (N_("We are looking at your application"), N_("We will contact you about what is needed.")),
    "clarification": (N_("We have a question for you"), N_("Your coordinator will contact you, or has done so already.")),
    "declined": (N_("We cannot give this opinion"), N_("Your coordinator has told you why, or will do so.")),
    "collecting": (N_("Send us your documents"), N_("Send what you have, in any order. You can come back with the same link and send more.")),
    "complete": (N_("We have everything we need"), N_("Your documents are complete. We are preparing them for the specialists.")),
    "offer": (N_("An offer is on its way to you"), N_("Please answer it so that we can go on.")),
    "confirmed": (N_("Your case is confirmed"), N_("We are preparing your documents for the specialists.")),
    "preparing": (N_("We are preparing your documents"), N_("Your name and other identifying details are removed before a specialist sees them.")),
    "released": (N_("Your documents are with the specialists"), N_("They have been given what they need.")),
    "in_review": (N_("The specialists are working on your answer"), N_("You do not need to do anything.")),
    "answered": (N_("Your answer is being prepared for you"), N_("It is written and will be here shortly.")),
    "delivered": (N_("Your answer is here"), N_("You can read it below. Talk it through with your own doctor.")),
    "closed": (N_("Your case is closed"), N_("Ask your coordinator if you have questions.")),
    "forgotten": (N_("Your case has been erased"), N_("Nothing of it is left here.")),
}  # fmt: skip

# While the case stands here the page is about sending; later it is about waiting, and sending is folded away.
ASKING_STATES = ("application", "assessment", "clarification", "collecting")

ITEM_STATES: dict[str, tuple[str, str]] = {
    "wanted": (N_("Needed"), "warn"),
    "received": (N_("Arrived"), "good"),
    "not_available": (N_("You do not have it"), "plain"),
}
DOCUMENT_STATES: dict[str, tuple[str, str]] = {
    "arrived": (N_("Arrived"), "good"),
    "checked": (N_("Arrived and checked"), "good"),
    "waiting": (N_("A person will look at it"), "info"),
    "refused": (N_("Not passed on"), "plain"),
}
ROLES: dict[str, str] = {
    "coordinator": N_("A coordinator at the desk"),
    "reviewer": N_("A specialist (without your name)"),
    "privacy": N_("The privacy officer"),
    "operator": N_("The operator of the service"),
    "house": N_("The service itself"),
    "patient": N_("You"),
}
ANSWER_PARTS: dict[str, str] = {
    "question": N_("Your question"),
    "findings": N_("What the specialists found"),
    "recommendation": N_("What they recommend"),
    "alternatives": N_("Other possibilities"),
    "confidence": N_("How sure they are"),
    "further_examinations": N_("Further examinations"),
}
OPINIONS: dict[str, str] = {
    "written": N_("A written opinion by one specialist"),
    "mdt": N_("An opinion by a team of specialists"),
}
