"""Everything that may go wrong in storage, as one tree; no other error of ours leaves this package.

::

    StorageError
    ├── SealBrokenError        the bytes do not verify
    ├── ObjectMissingError     no such object
    ├── ObjectUnreadableError  the volume could not give the bytes back
    ├── ObjectBusyError        it cannot be opened just now; says nothing of the object
    ├── ObjectExistsError      the name is taken
    ├── TooLargeError          more bytes than the caller allowed
    ├── StoreFullError         no room; heals by itself when room returns
    │   └── StoreLowError      what room is left is kept for what must be written anyway
    ├── SealTooSlowError       the stream took half a day
    ├── StoreOutageError       the place does not answer; heals by itself when it does
    │   └── VolumeAwayError    its volume is not mounted, not ours or read-only; an ObjectBusyError too
    ├── StoreDeniedError       the place refuses us, or has not what we were told of
    ├── VolumeFailedError      a write was refused by the device; final for this process
    ├── VolumeUnfitError       the place cannot keep what publishing promises
    └── StoreKeyError          anything about keys
        ├── KeyRefusedError    the wrapped key does not open
        ├── KeyUnknownError    the master key it names is not here
        ├── KeyForgottenError  it was destroyed, and must not be used any more
        ├── KeyUnconfirmedError nobody can tell whether it was destroyed
        ├── KeyServiceError    the key service or module does not answer; says nothing of the keys
        ├── KeyKeptError       this version of the master key must not be destroyed
        ├── KeyBackupError     a backup of the master key does not open
        └── KeyFileError       the file of master keys is missing, exposed or malformed

An error that the *sender's stream* raises while it is being sealed passes through unchanged.
"""


class StorageError(Exception):
    """Storage refused; read the more particular error."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        message = " ".join((type(self).__doc__ or "").split())
        return f"{message} ({self.detail})" if self.detail else message


class SealBrokenError(StorageError):
    """The sealed bytes do not verify: they were altered, cut, swapped, or the key, kind or generation is another's; restore the object from a backup and find out who could write there."""


class ObjectMissingError(StorageError):
    """There is no such object in the store; look for its id in the backups, and never delete the row that names it."""


class ObjectUnreadableError(StorageError):
    """The volume could not give the bytes back; check the device, then restore the object from a backup."""


class ObjectBusyError(StorageError):
    """The object cannot be opened just now, for want of file handles, of memory or of an answer, which says nothing of its bytes; try again."""


class ObjectExistsError(StorageError):
    """An object of that id is already kept, and nothing is ever overwritten; choose a new random id."""


class TooLargeError(StorageError):
    """The stream brought more bytes than allowed, and nothing of it was kept; raise the limit or send less."""


class StoreFullError(StorageError):
    """The store has no room (space, quota or file handles), and nothing was kept; make room and send again."""


class StoreLowError(StoreFullError):
    """The store keeps the room that is left for what must be written anyway, so nothing was begun; make room, and it takes objects again within a second."""


class SealTooSlowError(StorageError):
    """The stream took half a day and more, and nothing of it was kept; send again, on a better connection or in pieces."""


class StoreOutageError(StorageError):
    """The store does not answer, so nothing was kept or removed, as far as is known; look at the network and at the server, and send again."""


class VolumeAwayError(StoreOutageError, ObjectBusyError):
    """The volume of the store is not mounted, is another one or takes no writes, so nothing was kept or removed; mount the right one, and it goes on by itself."""


class StoreDeniedError(StorageError):
    """The store refuses us, which says nothing of what it keeps; correct its address, bucket or access key, or what that key may do."""


class VolumeFailedError(StorageError):
    """The volume refused a write or a flush, so nothing more is written by this process; check the device and its file system, then restart."""


class VolumeUnfitError(StorageError):
    """The place cannot hold sealed objects; correct what is named and start again."""


class StoreKeyError(StorageError):
    """A key could not be used; read the more particular error."""


class KeyRefusedError(StoreKeyError):
    """The wrapped key does not open: it was altered, or belongs to another tenant, holder, purpose or master key; restore the row from a backup."""


class KeyUnknownError(StoreKeyError):
    """The master key that wrapped this key is not here; bring back the key file or the version that is named."""


class KeyServiceError(StoreKeyError):
    """The key service or module does not answer as it should, so no key is used, and nothing is lost; mend what is named, then try again."""


class KeyKeptError(StoreKeyError):
    """That version of the master key stays: the current one is in use, and versions are destroyed from the oldest on."""


class KeyBackupError(StoreKeyError):
    """The backup of the master key does not open with these shares; bring the sealed file and the shares of one and the same backup."""


class KeyForgottenError(StoreKeyError):
    """The keys of this holder were destroyed, and what they sealed is gone for good; a copy that was put back opens nothing."""


class KeyUnconfirmedError(StoreKeyError):
    """Nobody can tell just now whether this key was destroyed, so it is not used; try again when the records answer."""


class KeyFileError(StoreKeyError):
    """The file of master keys cannot be used; correct what is named and start again."""


BYTES_LOST = (ObjectMissingError, ObjectUnreadableError, SealBrokenError)
"""What says that an object's bytes are not whole any more; every other error says nothing of them."""
