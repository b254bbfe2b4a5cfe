"""The sentences of the annex: actions, rules and limits in words; which of them hold is `annex`' and the profile's matter."""

from __future__ import annotations

from anonymizer.profile import ACTION_WORDS, Profile, Rule

#: The fate of a value, for filters: by what an action comes to.
KINDS = (
    dict.fromkeys(("X", "X/Z", "X/D", "X/Z/D"), "removed")
    | dict.fromkeys(("Z",), "emptied")
    | dict.fromkeys(("D", "Z/D", "U", "I", "P"), "replaced")
    | dict.fromkeys(("C",), "cleaned")
    | dict.fromkeys(("S",), "shifted")
    | dict.fromkeys(("K", "N", "T"), "kept")
    | dict.fromkeys(("Q",), "in turn")
)
IDENTIFIED = "kept as it came"
PRIVATE_KEPT = (
    "removed, but for the elements of the safe lists, which are cleaned and kept with their creators"
)
#: What names the patient and the study gets a stand-in where the table would let it be empty (`actions` does it).
STAND_INS = frozenset({"00100010", "00100020", "00080050", "00200010"})
SEQUENCES = {
    "X": "removed with all its items",
    "Z": "its items are removed; it stays, empty",
    "D": "each item decided in turn; an item that is a code becomes a keyed code of our own",
    "Q": "kept; each item decided in turn",
}


def told(rule: Rule, effect: str, vr: str, tag: str) -> str:
    """One action in words, as it really ends for a value of this kind."""
    if rule.forced:
        return "removed, whatever its Type"
    if vr == "SQ" and effect in SEQUENCES:
        return SEQUENCES[effect]
    if effect == "N" and vr == "AS":
        return "kept if it has the form of an age; over 89 years it is shown as 90"
    if effect in {"Z", "Z/D"} and tag in STAND_INS:
        return ACTION_WORDS["I"]
    if effect == "Z":
        return f"{ACTION_WORDS['P']}, if there is one" if vr == "PN" else "emptied"
    return ACTION_WORDS[effect]


def rules(profile: Profile) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The rules that no table of attributes can tell, each with its sentences."""
    if profile.identified:
        return (
            (
                "Everything",
                ("The object leaves byte for byte as it came. Only the audit trail knows of it.",),
            ),
        )
    options = profile.options
    return (
        ("Type of an attribute", (
            ("A code with a slash (X/Z/D) is settled by the attribute's Type in the object's IOD: Type 3 is removed, "
            "Type 2 stays and is empty, Type 1 gets a stand-in. The strictest Type of all modules an IOD may contain counts."),
            "Actions apply at every depth. A value whose representation contradicts the data dictionary goes.",
        )),
        ("Attributes outside the table", (
            ("What Table E.1-1 does not list is not taken for safe: a house rule or the value representation decides. "
            "What no data dictionary knows is removed."),
        )),
        ("Identity and references", (
            ("Patient's Name, Patient ID, Accession Number and Study ID become keyed stand-ins, the same in every object of "
            "the case. UIDs become 2.25 UIDs by the case's key, so that references hold; those of classes, syntaxes and "
            "coding schemes stay. With the case's key destroyed nothing leads back."),
        )),
        ("Dates and ages", (_dates(profile), (
            "The birth date is emptied. Ages are kept up to 89 years and shown as 90 above."
            if "retain_patient_characteristics" in options
            else "Birth date and age are removed or emptied."
        ))),
        ("Free text", (_text(profile),)),
        ("Structured reports", (_content(profile),)),
        ("Private elements", (_private(profile),)),
        ("Pictures", (
            ("Overlay planes, curves and icons are removed, and bits that no picture uses are cleared. Comments and "
            "application data inside encoded frames are removed."),
            (f"Text in every picture that is no CT, MR or PET slice, or not a plain one, is read and judged: {_blanked(profile)} "
            "Masks that a human reviewed for a layout are applied. A human looks at photographs, scans, print that could not be "
            "read, and pictures that no program here opens."),
            "A head that could be drawn as a face is marked so; it is not altered, since a diagnosis may need it.",
        )),
        ("Documents", (_documents(profile),)),
        ("File", (
            ("Preamble, File Meta Information, DICOMDIR and file names are made anew; bytes after the data set go. "
            "Text is written in ISO_IR 192. Digital signatures, encrypted attributes and Original Attributes are removed."),
        )),
        ("What the object says of itself", (
            ("Patient Identity Removed is YES; De-identification Method names this profile and the digest of its rules; "
            "the Method Code Sequence holds the codes above."),
        )),
        ("Afterwards", (
            ("Other code reads every copy again from its bytes and looks for the case's known identifiers and original UIDs; "
            "a hit holds the release."),
        )),
    )  # fmt: skip


def _blanked(profile: Profile) -> str:
    if "clean_descriptors" not in profile.options:
        return "all of it is blanked."
    return "what identifies is blanked, with all dates and long numbers; harmless words stay."


def _dates(profile: Profile) -> str:
    if "retain_modified_dates" in profile.options:
        return (
            "All dates of a case move by one secret number of days, so that intervals stay true, also in free text; "
            "times of day stay."
        )
    if "retain_full_dates" in profile.options:
        return "Dates and times stay."
    return "Dates and times are removed, emptied or replaced as the Type asks."


def _text(profile: Profile) -> str:
    if "clean_descriptors" in profile.options:
        return (
            "Text is kept and cleaned: what the intake form and the case's own objects and documents name (people, numbers, "
            "addresses, institutions, in any order, spelling or script that we know) and what has the form of a personal "
            "number, phone, address or link is taken out; clinical words stay."
        )
    return (
        "Free text is removed, or replaced where the object must have it. The words of codes stay, cleaned."
    )


def _content(profile: Profile) -> str:
    if "clean_structured_content" in profile.options:
        return (
            "The tree of a report stays. Text is cleaned, person names and the concepts listed below become keyed stand-ins, "
            "dates are shifted, references follow the UIDs; numbers, codes and coordinates stay."
        )
    return "Reports lose their texts and dates: each becomes a stand-in. Numbers, codes and references stay."


def _private(profile: Profile) -> str:
    if "retain_safe_private" not in profile.options:
        return "All private elements are removed."
    return (
        "Private elements are removed, but for those listed below under their creator: numbers and coded values as they "
        "are, dates shifted, texts cleaned, sequences item by item. Bytes that cannot be read (OB, OW, UN) are removed "
        "although a list calls them safe; so are Siemens CSA headers, which hold names and dates."
    )


def _documents(profile: Profile) -> str:
    if "clean_descriptors" not in profile.options:
        return "Documents are not released under this profile, neither alone nor packed in an object."
    return (
        "Documents are built anew from what a reader sees, without the identifiers of the case; what is hidden in a file "
        "(metadata, attachments, scripts, history) does not come along. A page that cannot be cleaned is held."
    )


def limits(profile: Profile) -> tuple[str, ...]:
    """What is not done, so that nobody signs for it."""
    if profile.identified:
        return ("Nothing is removed: reviewers see who the patient is.",)
    told = [
        "Faces are not altered in head CT and MR; a reviewer with the slices can draw the surface.",
        "A rare disease, an implant or a course of dates can point to somebody for one who knows her already.",
        "A name that is nowhere known to the case and stands in free text like an ordinary word can stay.",
        "A document is harvested for what stands behind labels; a document that is locked or damaged tells nothing.",
        "Handwriting and text that cannot be read by machine are left to the human's look.",
        "Writing drawn upon CT, MR and PET slices is not looked for in JPEG, lossy JPEG 2000 and over 64 MiB of slices.",
        "Upon other such slices large letters that are not the brightest, and names of one or two signs, can be overlooked.",
        "Where such slices are compressed without loss, a few frames of an object are asked for it.",
        "Text in frames of a cine is read whole in some of them; in the others what looks new is read.",
        "Make, model and software of the equipment stay; its serial numbers, names and stations do not.",
        "Kinds of objects that no edition at hand names, and vendors' own kinds, are not released.",
    ]
    if "clean_descriptors" not in profile.options:
        del told[2]
        told.insert(
            0, "With the texts goes what a reader may need: history, question, sequence and series names."
        )
    return tuple(told)
