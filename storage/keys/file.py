"""Master keys in one guarded file: the embedded default, not a key service.

The file is JSON (``docs/spec/wrapped-key.md``), belongs to the user who runs the exchange and is readable by nobody
else. Whoever holds this file (and its passphrase, where it has one) and the database reads everything: keep its backup
apart from the data's.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from storage.errors import KeyFileError
from storage.keys import secret_files
from storage.keys.key_file import Hardness, KeyFile, decode, encode, new_key_file
from storage.keys.port import KekRef, Rewrapping
from storage.keys.secret_files import Mark, Passphrase, mark_of, read_guarded
from storage.keys.wrapping import KEK_BYTES, HeldKeys, refuse_kept

__all__ = ["FileKeys", "create_key_file"]


class FileKeys(HeldKeys):
    """The versions of the master key that one file holds; what another process made of it is seen at the next use."""

    def __init__(self, path: Path, passphrase: Passphrase | None = None) -> None:
        self._path, self._passphrase = path, passphrase
        content, mark = read_guarded(path)
        file = decode(content, passphrase)
        super().__init__(kek_id=file.kek_id, current_version=file.current, versions=file.versions)
        self._seen: tuple[object, Mark] = (self._held, mark)

    def current(self) -> KekRef:
        self._look()
        return super().current()

    def versions(self) -> tuple[KekRef, ...]:
        self._look()
        return super().versions()

    def wrap(self, plain: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        self._look()
        return super().wrap(plain, kek=kek, aad=aad)

    def unwrap(self, blob: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        with suppress(KeyFileError):  # what is in memory still reads when the file is gone or half in place
            self._look()
        return super().unwrap(blob, kek=kek, aad=aad)

    def rewrap(self, items: Sequence[Rewrapping], *, old: KekRef, new: KekRef) -> list[bytes]:
        self._look()
        return super().rewrap(items, old=old, new=new)

    def rotate(self) -> KekRef:
        """Two steps, both durable: a version that is not current yet, then current.

        So nobody can wrap under a version whose file would be the old one again after a loss of power.
        """
        with secret_files.lock(self._path):
            file = self._read()
            newest = max(file.versions)
            if newest == file.current:
                newest += 1
                file = replace(file, versions=file.versions | {newest: os.urandom(KEK_BYTES)})
                self._write(file)
            self._write(replace(file, current=newest))
        return self.current()

    def destroy(self, kek: KekRef) -> None:
        with secret_files.lock(self._path):
            self._look()
            if refuse_kept(kek, super().versions()):
                file = self._read()
                left = {n: key for n, key in file.versions.items() if n != kek.kek_version}
                self._write(replace(file, versions=left))
        self._look()

    @property
    def is_protected(self) -> bool:
        """Whether a passphrase protects the file."""
        return self._read().hardness is not None

    def content(self) -> KeyFile:
        """Return all that the file holds, for a backup of the keys and nothing else."""
        return replace(self._read(), hardness=None, salt=b"")

    def protect(self, passphrase: Callable[[], bytes] | None, *, hardness: Hardness | None = None) -> None:
        """Put the file under a new passphrase, or under none."""
        with secret_files.lock(self._path):
            file = self._read()
            kept = None if passphrase is None else hardness or Hardness()
            secret_files.replace(self._path, encode(replace(file, hardness=kept, salt=b""), passphrase))
            self._passphrase = passphrase or self._passphrase
        self._look()

    def _look(self) -> None:
        """Read the file again if it is not the one that was read."""
        seen, mark = self._seen
        if seen is self._held and mark == mark_of(self._path):
            return
        content, mark = read_guarded(self._path)
        file = decode(content, self._passphrase)
        if file.kek_id != self._kek_id:
            raise KeyFileError("another house's keys were put in its place; put its own back")
        self._held = (file.current, file.versions)
        self._seen = (self._held, mark)

    def _read(self) -> KeyFile:
        return decode(read_guarded(self._path)[0], self._passphrase)

    def _write(self, file: KeyFile) -> None:
        secret_files.replace(self._path, encode(file, self._passphrase))


def create_key_file(
    path: Path,
    *,
    passphrase: Passphrase | None = None,
    file: KeyFile | None = None,
    hardness: Hardness | None = None,
) -> None:
    """Write a file with one random master key, or with `file`'s, durably; never over an existing one."""
    made = file or new_key_file()
    kept = None if passphrase is None else hardness or Hardness()
    secret_files.write_new(path, encode(replace(made, hardness=kept), passphrase))
