"""The mailer port as a file on this computer, for a trial without a mail server; production refuses it."""

from __future__ import annotations

from pathlib import Path

from gateway.adapters.outbox_file import Outbox, masked


class FileMailer:
    """Appends each message to the outbox file, its recipient masked."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self.outbox = Outbox(path)

    def send(self, *, to: str, subject: str, text: str) -> None:
        self.outbox.append(to=masked(to), subject=subject, text=text)
