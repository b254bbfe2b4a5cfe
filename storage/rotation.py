"""Master keys as the house turns them over: which versions there are, and case keys brought under the newest; no object is touched."""

import os
from collections.abc import Sequence

from storage.errors import KeyFileError, KeyRefusedError, KeyUnknownError
from storage.format import canonical, key_context
from storage.key_cache import WrappedKey
from storage.keys.file import FileKeys
from storage.keys.key_file import KeyFile
from storage.keys.port import KekRef, KeyProvider, Rewrapping
from storage.keys.secret_files import Passphrase
from storage.keys.wrapping import KEK_BYTES


class MasterKeys:
    """The master keys of one tenant's store."""

    def __init__(self, provider: KeyProvider, *, tenant: str) -> None:
        self.provider = provider
        self._tenant = tenant

    def current(self) -> KekRef:
        return self.provider.current()

    def versions(self) -> tuple[KekRef, ...]:
        """All versions, the oldest first, the current one last."""
        return self.provider.versions()

    def rotate(self) -> KekRef:
        """Make a new version and return it; see `KeyProvider.rotate`."""
        return self.provider.rotate()

    def destroy(self, kek: KekRef) -> None:
        """Destroy the oldest version for good; see `KeyProvider.destroy`."""
        self.provider.destroy(kek)

    def file_content(self) -> KeyFile | None:
        """Return what a backup of the keys holds; None where they lie in a key service that has backups of its own."""
        return self.provider.content() if isinstance(self.provider, FileKeys) else None

    @property
    def is_protected(self) -> bool | None:
        """Whether a passphrase protects the file of master keys; None where they lie in a key service."""
        return self.provider.is_protected if isinstance(self.provider, FileKeys) else None

    def protect(self, passphrase: Passphrase | None) -> None:
        """Put the file of master keys under a new passphrase, or under none."""
        if not isinstance(self.provider, FileKeys):
            raise KeyFileError("there is none: the keys lie in a key service")
        self.provider.protect(passphrase)

    def probe_of(self, kek: KekRef) -> bytes:
        """Return something that only this version's secret opens: a random key that nobody keeps, wrapped."""
        return self.provider.wrap(os.urandom(KEK_BYTES), kek=kek, aad=self._probe_aad(kek))

    def opens_probe(self, probe: bytes, *, kek: KekRef) -> bool:
        """Tell whether the version at hand has the secret that made this probe, and not only its number."""
        try:
            self.provider.unwrap(probe, kek=kek, aad=self._probe_aad(kek))
        except KeyRefusedError:
            return False
        return True

    def rewrap(self, keys: Sequence[WrappedKey], *, new: KekRef) -> list[WrappedKey | None]:
        """Return the same keys under `new`, in order; None for one that does not open.

        Raises
        ------
        KeyServiceError
            The keys cannot be reached just now; nothing is said of any.
        """
        found: dict[int, WrappedKey] = {}
        by_version: dict[KekRef, list[int]] = {}
        for at, key in enumerate(keys):
            old = KekRef(kek_id=key.kek_id, kek_version=key.kek_version)
            by_version.setdefault(old, []).append(at)
        for old, places in by_version.items():
            blobs = self._rewrapped([self._item(keys[at], old, new) for at in places], old=old, new=new)
            for at, blob in zip(places, blobs, strict=True):
                if blob is not None:
                    found[at] = WrappedKey(
                        holder=keys[at].holder,
                        purpose=keys[at].purpose,
                        kek_id=new.kek_id,
                        kek_version=new.kek_version,
                        blob=blob,
                    )
        return [found.get(at) for at in range(len(keys))]

    def _rewrapped(self, items: list[Rewrapping], *, old: KekRef, new: KekRef) -> list[bytes | None]:
        """All at once; where that is refused, the halves apart, so that one damaged row keeps no other from its new version."""
        try:
            return list(self.provider.rewrap(items, old=old, new=new))
        except (KeyRefusedError, KeyUnknownError):
            if len(items) == 1:
                return [None]
        middle = len(items) // 2
        return [
            blob
            for half in (items[:middle], items[middle:])
            for blob in self._rewrapped(half, old=old, new=new)
        ]

    def _item(self, key: WrappedKey, old: KekRef, new: KekRef) -> Rewrapping:
        return Rewrapping(blob=key.blob, aad_old=self._aad(key, old), aad_new=self._aad(key, new))

    def _probe_aad(self, kek: KekRef) -> bytes:
        return canonical(b"consilium-epoch-probe", 1, self._tenant, kek.kek_id, kek.kek_version)

    def _aad(self, key: WrappedKey, kek: KekRef) -> bytes:
        return key_context(
            tenant=self._tenant,
            holder=key.holder,
            purpose=key.purpose,
            kek_id=kek.kek_id,
            kek_version=kek.kek_version,
        )
