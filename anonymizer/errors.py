"""The errors of the anonymizer: broken preconditions raise, content that cannot be cleaned is returned as quarantined."""

from __future__ import annotations


class AnonymizerError(Exception):
    """The anonymizer was called in a way it cannot serve: read the message, it names what to change."""


class ProfileError(AnonymizerError):
    """There is no such de-identification profile: choose one of those that `profile.PROFILES` lists."""


class TableError(AnonymizerError):
    """A rule table cannot be read: reinstall the package, or run anonymizer/tables/make_tables.py again."""


class PseudonymKeyError(AnonymizerError):
    """The pseudonym key is shorter than 32 bytes: pass the case's own key, made by the key ring."""


class DirectoryEntryError(AnonymizerError):
    """A DICOMDIR entry lacks a UID or has a file name that PS3.10 8.2 forbids: mend the named entry."""


class PreviewError(AnonymizerError):
    """The picture cannot be shown here: open the original in a viewer of the hospital's own, or hold the object."""


class Unfit(AnonymizerError):  # noqa: N818 - a verdict on content that becomes `Quarantined`, never leaves this package
    """The object cannot be de-identified safely: the caller turns this into a `Quarantined` value."""

    def __init__(self, code: str, reason: str, place: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
        self.place = place
