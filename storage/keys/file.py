"""Master keys in one guarded file: the embedded default, not a key service.

The file is JSON (``docs/spec/wrapped-key.md``), belongs to the user who runs the exchange and is readable by nobody
else. Whoever holds this file and the database reads everything: keep its backup apart from the data's.
"""

import base64
import binascii
import json
import os
import stat
from pathlib import Path
from typing import Any

from storage.errors import KeyFileError
from storage.keys.wrapping import KEK_BYTES, HeldKeys

FILE_FORMAT = "consilium-kek/1"
MAX_FILE_BYTES = 1 << 16


class FileKeys(HeldKeys):
    """The versions of the master key that one file holds."""

    def __init__(self, path: Path) -> None:
        kek_id, current, versions = _parse(_read_guarded(path))
        super().__init__(kek_id=kek_id, current_version=current, versions=versions)


def create_key_file(path: Path) -> None:
    """Write a new file with one random master key, durably; never over an existing file."""
    content = {
        "format": FILE_FORMAT,
        "kek_id": f"file-{os.urandom(8).hex()}",
        "current": 1,
        "versions": {"1": base64.b64encode(os.urandom(KEK_BYTES)).decode("ascii")},
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        raise KeyFileError("there is a key file already, and it is never overwritten") from None
    except OSError as error:
        raise KeyFileError(f"cannot be created: {error.strerror}") from error
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, 0o600)  # whatever the umask
        file.write(json.dumps(content, indent=1).encode("ascii") + b"\n")
        file.flush()
        os.fsync(fd)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_guarded(path: Path) -> bytes:
    """Read the file only if nobody else could have read or written it; checks are on the open file, not its name."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyFileError("there is none; create one, or bring it back from its backup") from None
    except OSError as error:
        raise KeyFileError(
            f"cannot be opened, and a symbolic link is not followed: {error.strerror}"
        ) from error
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyFileError("it is no regular file")
        if facts.st_uid != os.geteuid():
            raise KeyFileError("it belongs to another user; chown it to the one who runs the exchange")
        if facts.st_mode & 0o077:
            raise KeyFileError(
                "others may read or write it; chmod 600 it, and replace the key if anybody did"
            )
        if facts.st_size > MAX_FILE_BYTES:
            raise KeyFileError("it is too large to be a key file")
        return os.read(fd, MAX_FILE_BYTES)
    finally:
        os.close(fd)


def _parse(content: bytes) -> tuple[str, int, dict[int, bytes]]:
    try:
        document: Any = json.loads(content)
        if document["format"] != FILE_FORMAT:
            raise KeyFileError("its format is not known to this release")
        kek_id, current = document["kek_id"], document["current"]
        versions = {
            int(number): base64.b64decode(key, validate=True) for number, key in document["versions"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise KeyFileError("its content is malformed; bring it back from its backup") from None
    sound = (
        isinstance(kek_id, str)
        and kek_id
        and type(current) is int
        and current in versions
        and all(len(key) == KEK_BYTES for key in versions.values())
    )
    if not sound:
        raise KeyFileError("its content is malformed; bring it back from its backup")
    return kek_id, current, versions
