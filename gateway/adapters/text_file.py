"""The texter port as a file on this computer: the one-time code's own channel in a trial; production refuses it."""

from __future__ import annotations

from pathlib import Path

from gateway.adapters.outbox_file import Outbox, masked


class FileTexter:
    """Appends each text to the outbox file, its recipient masked."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self.outbox = Outbox(path)

    def send(self, *, to: str, text: str) -> None:
        self.outbox.append(to=masked(to), text=text)
