"""Master keys that die with the process: for tests, demonstrations and a look at a backup, never for data to keep."""

import os
import threading

from storage.keys.key_file import KeyFile
from storage.keys.port import KekRef
from storage.keys.wrapping import KEK_BYTES, HeldKeys, refuse_kept


class MemoryKeys(HeldKeys):
    """A fresh random master key, or what `file` holds."""

    def __init__(self, file: KeyFile | None = None) -> None:
        if file is None:
            file = KeyFile(
                kek_id=f"memory-{os.urandom(4).hex()}", current=1, versions={1: os.urandom(KEK_BYTES)}
            )
        super().__init__(kek_id=file.kek_id, current_version=file.current, versions=file.versions)
        self._changing = threading.Lock()

    def rotate(self) -> KekRef:
        with self._changing:
            current, versions = self._held
            self._held = (current + 1, versions | {current + 1: os.urandom(KEK_BYTES)})
            return self.current()

    def destroy(self, kek: KekRef) -> None:
        with self._changing:
            if refuse_kept(kek, self.versions()):
                current, versions = self._held
                self._held = (current, {n: key for n, key in versions.items() if n != kek.kek_version})
