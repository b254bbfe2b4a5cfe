"""Master keys that die with the process: for tests and demonstrations, never for data to keep."""

import os

from storage.keys.wrapping import KEK_BYTES, HeldKeys


class MemoryKeys(HeldKeys):
    """A fresh random master key."""

    def __init__(self) -> None:
        super().__init__(
            kek_id=f"memory-{os.urandom(4).hex()}", current_version=1, versions={1: os.urandom(KEK_BYTES)}
        )
