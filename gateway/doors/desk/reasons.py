"""Why something is held, in the coordinator's words, so that the translators find them; the workshops decide the why."""

from __future__ import annotations

import re

from gateway.doors.http import N_

# A short name for each kind of finding; its reason is said below it.
TITLES: dict[str, str] = {
    "burned_in": N_("Text burned into the picture"),
    "screen_save": N_("Saved screen"),
    "capture": N_("Screen or paper capture"),
    "overlay_in_pixels": N_("Drawing inside the picture"),
    "ultrasound": N_("Ultrasound picture"),
    "photograph": N_("Photograph"),
    "projection": N_("Projection picture"),
    "tracing": N_("Tracing"),
    "document_look": N_("Document to look through"),
    "identifier_left": N_("Something identifying is left"),
    "uid_conflict": N_("Two objects under one number"),
    "malware": N_("Malware"),
    "archive_refused": N_("Archive that could not be unpacked"),
    "too_large": N_("Too large"),
    "output_limit": N_("Too large"),
    "damaged": N_("Damaged"),
    "unreadable": N_("Could not be read"),
    "unknown_sop_class": N_("Unknown kind of object"),
    "encapsulated_document": N_("Document inside an image object"),
    "encrypted": N_("Locked by a password"),
    "office": N_("Office file"),
    "old_office": N_("Office file"),
    "unknown": N_("Unknown kind of file"),
    "release_recalled": N_("A release was taken back"),
    "unreadable_object": N_("Stored bytes are missing or damaged"),
    "profile_forbids": N_("The profile does not allow it"),
    "killed": N_("The reader was stopped"),
    "crashed": N_("The reader broke down"),
    "memory_limit": N_("Takes too much memory"),
    "cpu_limit": N_("Takes too long"),
    "time_limit": N_("Takes too long"),
}
OTHER_TITLE = N_("Cannot be cleaned by machine")
# «Pages 1-4, 7: …»: the sentence is translated, the pages are put before it again.
_PAGED = re.compile(r"^(Pages?) ([0-9][0-9, -]*): (.+)$", re.DOTALL)
PAGE_WORDS: dict[str, str] = {"Page": N_("Page {numbers}"), "Pages": N_("Pages {numbers}")}
REASONS: tuple[str, ...] = (
    N_("Something that identifies the patient was still found in the copy."),
    N_(
        "A release was withdrawn, because something that identifies the patient was found in this later. "
        "Look at the new copy, then build and approve a new release."
    ),
    N_("What was stored of this is missing or damaged. Have it restored from a backup, or leave it out."),
    N_("The copy could not be read again, so that nothing shows that it is clean."),
    N_("The sender sent two different objects under one identifier; the first is used, this one is held."),
    N_("The object is too large to be cleaned in memory."),
    N_("The document is too large to be cleaned. Ask for it in smaller parts."),
    # pictures
    N_("The sender states that text is burned into the picture."),
    N_("The picture is a saved screen or report page."),
    N_("The picture was scanned, captured or drawn, not acquired."),
    N_("An overlay may lie inside the compressed picture, where it cannot be masked here."),
    N_("A slice in colour or with 8 bits: usually a capture of a workstation's screen."),
    N_("Ultrasound pictures usually carry the patient's name in the picture."),
    N_("This is a screen or paper capture; it may show anything that was on the screen or page."),
    N_("This is a camera picture; it may show a face, a label or a name."),
    N_("Projection pictures may carry names or markers burned in by the device or a digitizer."),
    N_("Tracings may carry names in their annotations."),
    # objects
    N_("This is the table of contents of a disc. A new one is made with the release; drop it."),
    N_("This kind of object is unknown or private to a vendor, so nothing says which of its parts name the patient."),
    N_("A document is packed inside this object. Take it out and handle it as a document, or leave it out."),
    N_("The picture lies elsewhere, or is encoded in a vendor's own way. Ask the sender for a standard encoding."),
    N_("The object does not say to which study it belongs. Ask the sender to send it again."),
    N_("The picture is not packed as its encoding demands. Ask the sender to send it again."),
    N_("The object is damaged or cut short and cannot be read to its end. Ask the sender to send it again."),
    N_("The object is built in a way no imaging device builds it (nested or repeated without end). Do not open it."),
    N_("This is not a complete DICOM object. If it should be one, ask the sender to send it again."),
    N_("The object could not be understood well enough to be cleaned. Have it checked by the imaging engineer."),
    # documents that are held
    N_("The document is locked or restricted by a password. Ask the sender for a copy without one."),
    N_("The form is of a kind (XFA) that cannot be drawn page by page. Ask the sender to print it to an ordinary PDF."),
    N_("The PDF is a folder of other files. Ask the sender to send each file by itself."),
    N_("The file is damaged or is not what it says it is. Ask the sender to send it again."),
    N_("The file is empty. Ask the sender to send it again."),
    N_("The document is too large to be drawn safely here. Ask the sender for a smaller copy or for parts of it."),
    N_("The document has too many pages to be cleaned at once. Ask the sender to send it in parts."),
    N_("The picture moves or holds several pictures. Ask the sender for single pictures, or for the study in DICOM."),
    N_("A page holds identifying text whose place on the page cannot be found. Ask the sender for a scan or a new PDF."),
    N_("The picture is of a kind (HEIC) that cannot be opened here. Ask the sender for it as JPEG."),
    N_("A word processor's or spreadsheet's file may hide names and old versions. Ask the sender to save it as PDF."),
    N_("The file is of an older office program, or is locked by a password. Ask the sender to save it as PDF."),
    N_("A file of rich text may hide names and old versions. Ask the sender to save it as PDF."),
    N_("A web page or XML file may hide names between its visible words. Ask the sender to save it as PDF."),
    N_("A mail carries names in its head and its attachments. Ask the sender for the attachments, and for the text as PDF."),
    N_("The file is a hospital system's message. Ask the sender for the report as PDF."),
    N_("The archive was not opened here. Unpack it and send what is in it."),
    N_("A film cannot be cleaned here. Ask the sender for single pictures, or for the study in DICOM."),
    N_("A drawing in SVG may hide names between its visible words. Ask the sender to save it as PDF."),
    N_("The text is written in a way that cannot be told. Ask the sender to save it as PDF."),
    N_("What kind of file it is cannot be told. Ask the sender what it is, and for a PDF or a picture of it."),
    N_("This is a DICOM object, not a document: it goes the way of the images."),
    # documents to look through
    N_("It is a picture. Words that can be seen in it were not read by machine: look for names, numbers and faces."),
    N_("no text that a machine can read (a scan or a drawing). Look for names, numbers and dates."),
    N_("a picture, whose words were not read by machine. Look for names, numbers and faces."),
    N_("many drawn strokes, which may be handwriting or a signature. Look for names."),
    N_("letters that the file does not name, so that they were not read by machine. Look for names."),
    N_("a filled-in form or a note on the page was drawn as it looks. Look for names and numbers."),
    # the sandbox
    N_("The file could not be read: its content breaks the rules of its format."),
    N_("The file was put aside: reading it would take more memory than one file may use."),
    N_("The file was put aside: reading it took more computing time than one file may use."),
    N_("The file was put aside: reading it took longer than one file may take."),
    N_("The file was put aside: its parts are nested deeper than any true file's."),
    N_("The file was put aside: what came out of it is larger than the limit."),
    N_("The file was put aside: while it was read, something tried to leave the sandbox."),
    N_("The file was put aside: the program that reads such files broke down on it."),
    N_("The file was put aside: the computer ran short of memory while it was read."),
    N_("Nothing was read: this computer's kernel offers no way to cut a reader off from the network."),
    N_("Nothing was read: the sandbox did not start."),
)  # fmt: skip

_COUNTED = re.compile(r"^([0-9]+) instances, ([0-9]+) documents, ([0-9]+) files left out$")


def counted(note: str) -> tuple[int, int, int] | None:
    """Return how many (images, documents, left out) an archive's note tells of; None for another note."""
    match = _COUNTED.fullmatch(note)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def parted(reason: str) -> tuple[str, str, str]:
    """Return (sentence for «Pages …» or nothing, the numbers, the sentence to translate) of a reason."""
    match = _PAGED.fullmatch(reason)
    return (PAGE_WORDS[match[1]], match[2], match[3]) if match else ("", "", reason)
