"""The desk's words for the house's terms: states, items, reasons, events, what was just done; no logic."""

from __future__ import annotations

from gateway.doors.desk.store_words import STORE_OUTCOMES
from gateway.doors.http import N_

# A case's state: its name, the kind of its badge.
STATES: dict[str, tuple[str, str]] = {
    "inquiry": (N_("Inquiry"), "plain"),
    "application": (N_("Application"), "plain"),
    "assessment": (N_("Assessment"), "info"),
    "clarification": (N_("Clarification"), "warn"),
    "declined": (N_("Declined"), "plain"),
    "collecting": (N_("Collecting"), "info"),
    "complete": (N_("Complete"), "info"),
    "offer": (N_("Offer sent"), "info"),
    "confirmed": (N_("Confirmed"), "info"),
    "preparing": (N_("Preparing"), "info"),
    "released": (N_("Released"), "good"),
    "in_review": (N_("In review"), "good"),
    "answered": (N_("Answered"), "warn"),
    "delivered": (N_("Delivered"), "good"),
    "closed": (N_("Closed"), "plain"),
    "forgotten": (N_("Forgotten"), "plain"),
}
# The way that is drawn above a case, and how far a state is on it.
WAY: tuple[str, ...] = (
    N_("Collecting"), N_("Complete"), N_("Preparing"), N_("In review"), N_("Answered"), N_("Delivered"),
)  # fmt: skip
WAY_OF: dict[str, int] = {
    "inquiry": 0, "application": 0, "assessment": 0, "clarification": 0, "collecting": 0, "declined": 0,
    "complete": 1, "offer": 1, "confirmed": 1, "preparing": 2, "released": 3, "in_review": 3, "answered": 4,
    "delivered": 5, "closed": 6, "forgotten": 6,
}  # fmt: skip
OPINIONS: dict[str, tuple[str, str]] = {
    "written": (N_("Written opinion"), N_("One specialist reads documents, no images.")),
    "mdt": (N_("Conference"), N_("A team reads documents and images; the chair signs.")),
}
LANGUAGES: dict[str, str] = {"sv": N_("Swedish"), "en": N_("English")}
SEXES: dict[str, str] = {"": N_("Not stated"), "F": N_("Female"), "M": N_("Male"), "O": N_("Other")}
IDENTIFIER_TYPES: dict[str, str] = {
    "personnummer": N_("Swedish personal number"),
    "passport": N_("Passport number"),
    "national_id": N_("National identity number"),
    "mrn": N_("Hospital's patient number"),
    "insurance": N_("Insurance number"),
    "other": N_("Other number"),
}
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
ITEMS: dict[str, tuple[str, str]] = {
    "wanted": (N_("Missing"), "warn"),
    "received": (N_("Arrived"), "good"),
    "not_available": (N_("Patient does not have it"), "plain"),
}
DOCUMENT_STATES: dict[str, tuple[str, str]] = {
    "received": (N_("Being worked on"), "info"),
    "unpacked": (N_("Unpacked"), "plain"),
    "dicom": (N_("Became images"), "plain"),
    "deidentified": (N_("De-identified"), "good"),
    "quarantined": (N_("Held for a look"), "warn"),
    "excluded": (N_("Left out"), "plain"),
    "ignored": (N_("No content"), "plain"),
}
STUDY_STATES: dict[str, tuple[str, str]] = {
    "receiving": (N_("Still arriving"), "info"),
    "settled": (N_("Arrived"), "good"),
}
RELEASE_STATES: dict[str, tuple[str, str]] = {
    "built": (N_("Waits for approval"), "warn"),
    "approved": (N_("Approved"), "good"),
    "withdrawn": (N_("Withdrawn"), "plain"),
}
FINDING_STATES: dict[str, tuple[str, str]] = {
    "open": (N_("Waits for you"), "warn"),
    "kept": (N_("Kept"), "good"),
    "excluded": (N_("Left out"), "plain"),
    "obsolete": (N_("Replaced"), "plain"),
}
JUDGED: dict[str, str] = {"kept": N_("Kept after a look"), "excluded": N_("Left out after a look")}
ROLES: dict[str, str] = {
    "coordinator": N_("coordinator"),
    "privacy": N_("privacy officer"),
    "reviewer": N_("reviewer"),
    "operator": N_("operator"),
}
MATCHES: dict[str, str] = {
    "identifier": N_("the same number"),
    "birth_date": N_("the same birth date"),
    "birth_date_differs": N_("another birth date"),
    "name": N_("the same name"),
    "family_name": N_("the same family name"),
    "sex_differs": N_("another sex"),
    "by_hand": N_("matched by hand"),
    "link": N_("came through the patient's link"),
    "called_ae": N_("sent to the case's own AE title"),
}
JOBS: dict[str, str] = {
    "remove_objects": N_("removing what a forgotten case left"),
    "settle_study": N_("waiting until a study is whole"),
    "deidentify_study": N_("de-identifying a study"),
    "inspect_document": N_("looking at what a file is"),
    "deidentify_document": N_("de-identifying a document"),
    "reverify_case": N_("reading the copies again"),
    "deliver_release": N_("sending a release to a PACS"),
}
JOB_ERRORS: dict[str, str] = {
    "UnavailableError": N_("A part of the service did not answer."),
    "StoreFullError": N_("The disk is full."),
    "StoreOutageError": N_("A part of the service did not answer."),
    "StoreDeniedError": N_("A part of the service did not answer."),
    "ObjectBusyError": N_("A part of the service did not answer."),
    "SealBrokenError": N_("A stored object is damaged. Tell the operator."),
    "ObjectMissingError": N_("A stored object is missing. Tell the operator."),
    "WorkerDied": N_("The worker stopped while it was at it, each time."),
    "TimeoutError": N_("It took too long."),
}
OTHER_ERROR = N_("It failed for a reason that was not foreseen. Tell the operator its name.")

# What a case waits for: what is said, and the kind of the box.
STEPS: dict[str, tuple[str, str]] = {
    "nothing": (N_("Nothing is waited for."), "info"),
    "close": (N_("The answer is delivered. Close the case when nothing more is asked."), "good"),
    "deliver": (N_("The answer is signed. Read it, then deliver it to the patient."), "warn"),
    "retry": (N_("Some work failed. See the cause below and start it again."), "bad"),
    "judge": (N_("Something is held for a human look. Look at it and decide."), "warn"),
    "approve": (N_("A release is built. Look at what it holds, then approve it for the reviewers."), "warn"),
    "wait_reviewer": (N_("The reviewers have it. You do not need to do anything."), "info"),
    "wait_work": (N_("The house is at work on what arrived. You do not need to do anything."), "info"),
    "send_link": (N_("Nothing has arrived yet. Make the patient's link, and give the hospital the AE title."), "info"),
    "wait_documents": (N_("Documents are still missing. Wait, remind the patient, or pause the clock."), "info"),
    "complete": (N_("Everything on the checklist is here. Mark the documentation as complete: the clock starts."), "warn"),
    "build": (N_("All is de-identified. Build the release."), "warn"),
}  # fmt: skip

# What somebody has just done, as the page says it after the redirect.
DONE: dict[str, str] = {
    "opened": N_("The case is open. Its keys are made; make the patient's link next."),
    "completed": N_("The documentation is complete. The clock runs."),
    "commitment_retried": N_("It is tried again now."),
    "reopened": N_("The case collects again."),
    "closed": N_("The case is closed."),
    "paused": N_("The clock stands. The patient sees the reason."),
    "resumed": N_("The clock runs again."),
    "link_revoked": N_("The patient's link is switched off."),
    "delivered": N_("The answer is delivered. The patient reads it with link and code."),
    "judged": N_("Your decision is recorded. It can be undone until the release is built."),
    "built": N_("The release is built. Look at what it holds before you approve it."),
    "approved": N_("The release is approved. The reviewers can open it now."),
    "granted": N_("The reviewer can open the release now."),
    "revoked": N_("The right is taken back. It counts from the next click on."),
    "withdrawn": N_("The release is withdrawn. Nobody can open it any more."),
    "matched": N_("The study has its case."),
    "unmatched": N_("The study is back in the inbox."),
    "retried": N_("The work is started again."),
}
# What the case's own timeline says.
MOMENTS: dict[str, str] = {
    "opened": N_("Opened"),
    "complete": N_("Documentation complete, the clock started"),
    "resumed": N_("The clock ran again"),
    "built": N_("Version {number} built"),
    "approved": N_("Version {number} approved"),
    "withdrawn": N_("Version {number} withdrawn"),
    "signed": N_("Answer signed"),
    "delivered": N_("Answer delivered"),
    "read": N_("Answer read by the patient"),
}
ACTORS: dict[str, str] = {
    "patient": N_("Patient's link"),
    "peer": N_("Sender"),
    "staff": N_("Staff"),
    "operator": N_("Operator"),
    "house": N_("The house itself"),
}
# HSLF-FS 2016:40 4:9: what kind of measure an event is.
VERBS: dict[str, str] = {
    "read": N_("read"),
    "written": N_("written"),
    "disclosed": N_("disclosed"),
    "copied": N_("copied"),
    "erased": N_("erased"),
    "-": "",
}
# How an event ended where it did not end well: the word, and whether it is to be seen at once.
OUTCOMES: dict[str, tuple[str, bool]] = {
    "refused": (N_("refused"), True),
    "failed": (N_("failed"), True),
    "flawed": (N_("does not verify"), True),
    "leaking": (N_("something identifying was found"), True),
    "held": (N_("held"), False),
    "repeated": (N_("the same again"), False),
    "not_yet": (N_("not yet"), False),
    "superseded": (N_("done by another worker"), False),
    "aborted": (N_("broken off"), False),
    "begun": (N_("begun"), False),
    "cut_off": (N_("goes on later"), False),
    "incomplete": (N_("not all arrived"), True),
    "stopped": (N_("stopped"), False),
    **STORE_OUTCOMES,
}
FLAWS: dict[str, str] = {
    "edited": N_("An event was changed"),
    "gap": N_("Events are missing"),
    "reordered": N_("Events stand in another order"),
    "cut": N_("The end was cut off"),
    "forked": N_("The trail is not the one that was witnessed"),
    "unsigned": N_("A checkpoint does not carry the house's signature"),
}
ANSWER_PARTS: dict[str, str] = {
    "question": N_("Question"),
    "findings": N_("Findings"),
    "recommendation": N_("Recommendation"),
    "alternatives": N_("Alternatives"),
    "confidence": N_("Confidence"),
    "further_examinations": N_("Further examinations"),
}
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
# Sentences of the journeys that the desk may have to say in Swedish.
REFUSALS: tuple[str, ...] = (
    N_("the clock of this case stands already"),
    N_("Let it run first."),
    N_("the clock of this case is not paused"),
    N_("a pause needs a reason"),
    N_("Say what the exchange waits for."),
    N_("the patient has no name"),
    N_("there is no telephone number to send the code to"),
    N_("there is nothing to release yet"),
    N_("there is no clean copy of this that could be kept"),
    N_("Leave it out, or ask the sender for it in another form."),
    N_("this study came for this very case"),
    N_("Exclude its instances instead."),
    N_("the case has been released"),
    N_("Withdraw the release first."),
    N_("this study has a case already"),
    N_("the release is not the one you looked at"),
    N_("Look at it again, then approve."),
    N_("there is no such reviewer"),
    N_("the answer has been delivered already"),
    N_("there is no signed answer in this case yet"),
    N_("Wait for the reviewer to sign."),
    N_("this release has been withdrawn already"),
    N_("only an approved release can be granted"),
    N_("this finding is about a copy that has been replaced"),
    N_("Look at the newer finding."),
    N_("there is no verdict to take back"),
    N_("Your role does not open this page."),
    N_("Go back to the first page, or ask the operator for another role."),
    N_("You are not signed in, or not any more."),
    N_("Sign in again."),
    N_("There is no such thing here, or it is not yours to see."),
)
