"""Why something is held, in the coordinator's words: short names, and the parts of a reason that are translated apart.

The sentences themselves stand where the why is decided; a test gathers all of them and asks for their Swedish.
"""

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
    "mask_ended": N_("A mask was revoked"),
    "unreadable_object": N_("Stored bytes are missing or damaged"),
    "profile_forbids": N_("The profile does not allow it"),
    "killed": N_("The reader was stopped"),
    "crashed": N_("The reader broke down"),
    "memory_limit": N_("Takes too much memory"),
    "cpu_limit": N_("Takes too long"),
    "time_limit": N_("Takes too long"),
    "archive": N_("Archive that was not opened"),
    "dicom": N_("Image object among the documents"),
    "dicomdir": N_("Table of contents of a disc"),
    "doubtful_text": N_("Writing that could not be read"),
    "drawn": N_("Something drawn in a slice"),
    "empty": N_("Empty file"),
    "forbidden_call": N_("The reader broke down"),
    "heic": N_("Picture of a kind that cannot be opened"),
    "mail_attachments": N_("Mail with files"),
    "markup": N_("XML file"),
    "message": N_("Message of a hospital system"),
    "moving": N_("Several pictures in one"),
    "not_decodable": N_("Picture that cannot be opened here"),
    "not_dicom": N_("No whole image object"),
    "not_text": N_("Text that cannot be read"),
    "not_understood": N_("Could not be understood"),
    "other_picture": N_("Picture of another kind"),
    "oversized_value": N_("An attribute that is too long"),
    "packed": N_("File inside a document"),
    "picture": N_("Picture of an unknown kind"),
    "pixels_unreadable": N_("Damaged picture"),
    "portfolio": N_("Folder of files in one PDF"),
    "scanned": N_("Scanned or drawn picture"),
    "script": N_("Letters that cannot be set"),
    "svg": N_("Drawing in SVG"),
    "text_unread": N_("Text in the picture was not read"),
    "too_deep": N_("Nested too deep"),
    "too_long": N_("Too many pages"),
    "too_much_to_read": N_("Too much to read"),
    "transfer_syntax": N_("Encoding that is not known"),
    "unlocated": N_("Identifying text without a place"),
    "unreadable_dicom": N_("Image object that could not be read"),
    "video": N_("Film"),
    "xfa": N_("Form that cannot be drawn"),
}
OTHER_TITLE = N_("Cannot be cleaned by machine")
# «Pages 1-4, 7: …», «The archive was not opened: …»: sentence and lead are translated apart and put together again.
_LED = re.compile(r"^(?:(Pages?) ([0-9][0-9, -]*)|([^:]{1,60})): (.+)$", re.DOTALL)
# What a broken reader says of itself stands behind its sentence: the name of an error, no word of the file.
_DETAILED = re.compile(r"^(.+[.]) \((\w{1,60})\)$", re.DOTALL)
PAGE_WORDS: dict[str, str] = {"Page": N_("Page {numbers}"), "Pages": N_("Pages {numbers}")}
LEADS: dict[str, str] = {
    text: text
    for text in (
        N_("The text"),
        N_("The archive was not opened"),
        N_("A file in the archive could not be unpacked"),
    )
}
_COUNTED = re.compile(r"^([0-9]+) instances, ([0-9]+) documents, ([0-9]+) files left out$")


def counted(note: str) -> tuple[int, int, int] | None:
    """Return how many (images, documents, left out) an archive's note tells of; None for another note."""
    match = _COUNTED.fullmatch(note)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def parted(reason: str) -> tuple[str, str, str, str]:
    """Return (lead to translate or nothing, its page numbers, the sentence to translate, what stands in brackets behind it)."""
    detailed = _DETAILED.fullmatch(reason)
    sentence, detail = (detailed[1], detailed[2]) if detailed else (reason, "")
    led = _LED.fullmatch(sentence)
    if led and led[1]:
        return PAGE_WORDS[led[1]], led[2], led[4], detail
    if led and led[3] in LEADS:
        return LEADS[led[3]], "", led[4], detail
    return "", "", sentence, detail
