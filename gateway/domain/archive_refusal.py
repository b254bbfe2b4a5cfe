"""Why a received archive is refused, in words for the person who sent it; which check said so stands elsewhere."""

from __future__ import annotations

from gateway.domain.errors import InvalidError

REASONS = {
    "not_an_archive": "it is no ZIP archive, or its end is missing",
    "cut_short": "it ends before it should, as a broken transfer does",
    "bytes_in_front": "there is something in front of the archive",
    "bytes_behind": "there is something behind the archive",
    "two_ends": "it can be read as two different archives",
    "split": "it is one part of an archive that was split",
    "zip64": "its large-file records contradict each other",
    "empty": "it holds no files",
    "broken": "its list of contents is damaged",
    "too_many": "it holds more files than we take",
    "too_large": "its files are larger in all than we take",
    "entry_too_large": "one of its files is larger than we take",
    "ratio": "it unpacks to far more than files of patients do",
    "too_deep": "it is an archive in an archive in an archive",
    "encrypted": "it is protected with a password",
    "method": "it is packed in a way that we do not read",
    "link": "it holds a link or a device instead of a file",
    "folder_with_content": "a folder in it claims to hold bytes of its own",
    "overlap": "files in it share the same bytes",
    "gap": "there are hidden bytes between its files",
    "headers_differ": "its list of contents and its files contradict each other",
    "sizes_differ": "a file in it is not as large as it says",
    "damaged": "a file in it is damaged",
    "name_encoding": "a file's name cannot be read",
    "name_control": "a file's name holds control signs",
    "name_turned": "a file's name is written to look like another",
    "name_backslash": "a file's name holds a backslash",
    "name_absolute": "a file's name begins at the root of a disk",
    "name_drive": "a file's name begins with a drive",
    "name_climbing": "a file's name leads out of its folder",
    "name_device": "a file has the name of a device",
    "name_long": "a file's name is too long or too deep",
    "name_accents": "a file's name piles up accents",
    "name_twice": "two of its files have the same name",
}


class ArchiveRefusedError(InvalidError):
    """The archive was refused and nothing of it was unpacked."""

    next_step = (
        "Pack the files again with your computer's own «compress», without a password and in one piece, "
        "or send them unpacked."
    )

    def __init__(self, code: str, *, entry_number: int | None = None) -> None:
        self.code = code
        self.reason = REASONS[code]
        self.entry_number = entry_number
        where = "" if entry_number is None else f" (entry {entry_number})"
        super().__init__(f"The archive was refused: {self.reason}{where}.")
