"""Gathering the registers of forgotten cases from a backup repository, so that a restored house forgets all of them again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from gateway.domain.backup import BackupManifest, made_at_of
from gateway.domain.backup_ports import BackupPlace
from gateway.domain.errors import InvalidError, NotFoundError, UnavailableError
from gateway.domain.forgetting import read_register_line
from gateway.journeys.verify_backup import open_backup, read_papers
from storage import BYTES_LOST, SealedStore

REGISTER_LABEL = b"forgotten-register"  # as journeys.keep_register
_SECOND = timedelta(seconds=1)  # a backup's name is cut to it


def gather_registers(
    given: Sequence[str], manifest: BackupManifest, *, place: BackupPlace, store: SealedStore
) -> tuple[list[str], list[str]]:
    """Return the lines that were given and those of every backup that can be read, and flaws: the newest knows most.

    Of the latter, a line that a crash cut short is left out; nobody could mend it there. What was given is taken or refused.
    """
    secret = store.derive(key=manifest.facts.house_key, label=REGISTER_LABEL)
    lines = dict.fromkeys(given)
    vault = store.beside(place.objects)
    unread: list[tuple[str, str]] = []
    for backup_id in place.ids():
        try:
            found = read_papers(vault, open_backup(place=place, backup_id=backup_id, store=store))
        except (InvalidError, NotFoundError, UnavailableError, *BYTES_LOST) as error:
            if backup_id > manifest.id:
                unread.append((backup_id, str(error)))
            continue  # whoever altered it may have written its register too
        unread.clear()  # a register only grows: this one has all that those before it had
        whole = (line for line in found.forgotten.split("\n") if _is_ours(line, secret))
        lines.update(dict.fromkeys(whole))
    stones = [stone for line in given if (stone := read_register_line(line, secret=secret)) is not None]
    return list(lines), [
        f"the register in backup {one} cannot be read ({why}): what was forgotten before it was made may be back"
        for one, why in unread
        if not any(stone.at > made_at_of(one) + _SECOND for stone in stones)
    ]


def _is_ours(line: str, secret: bytes) -> bool:
    return '"certificate"' in line or read_register_line(line, secret=secret) is not None
