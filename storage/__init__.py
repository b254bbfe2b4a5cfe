"""Sealed objects: ciphertext, keys and where bytes lie, and nothing about what the bytes mean."""

from storage.copying import copy_object, replace_object, sealed_length
from storage.errors import (
    BYTES_LOST,
    KeyBackupError,
    KeyFileError,
    KeyForgottenError,
    KeyKeptError,
    KeyRefusedError,
    KeyServiceError,
    KeyUnconfirmedError,
    KeyUnknownError,
    ObjectBusyError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectUnreadableError,
    SealBrokenError,
    SealTooSlowError,
    StorageError,
    StoreDeniedError,
    StoreFullError,
    StoreKeyError,
    StoreLowError,
    StoreOutageError,
    TooLargeError,
    VolumeAwayError,
    VolumeFailedError,
    VolumeUnfitError,
)
from storage.key_cache import WrappedKey
from storage.keys.backup import KeyBackup, every_set, fingerprint_of, make_backup, open_backup, read_words
from storage.keys.file import FileKeys, create_key_file
from storage.keys.key_file import KeyFile
from storage.keys.memory import MemoryKeys
from storage.keys.opening import open_keys
from storage.keys.port import KekRef, KeyProvider
from storage.objects.disk import DiskObjects
from storage.objects.ids import PROBE_BATCH, batch_of, new_batch, new_object_id
from storage.objects.memory import MemoryObjects
from storage.objects.port import Objects, StoredObject
from storage.process import harden_process, swap_in_clear
from storage.reader import SealedReader
from storage.room import FULL, Ballast, Room, room_of, tells_of_room
from storage.rotation import MasterKeys
from storage.sealed import SealedRef, SealedStore, open_disk_store
from storage.sealing import Readable

__all__ = [
    "BYTES_LOST",
    "FULL",
    "PROBE_BATCH",
    "Ballast",
    "DiskObjects",
    "FileKeys",
    "KekRef",
    "KeyBackup",
    "KeyBackupError",
    "KeyFile",
    "KeyFileError",
    "KeyForgottenError",
    "KeyKeptError",
    "KeyProvider",
    "KeyRefusedError",
    "KeyServiceError",
    "KeyUnconfirmedError",
    "KeyUnknownError",
    "MasterKeys",
    "MemoryKeys",
    "MemoryObjects",
    "ObjectBusyError",
    "ObjectExistsError",
    "ObjectMissingError",
    "ObjectUnreadableError",
    "Objects",
    "Readable",
    "Room",
    "SealBrokenError",
    "SealTooSlowError",
    "SealedReader",
    "SealedRef",
    "SealedStore",
    "StorageError",
    "StoreDeniedError",
    "StoreFullError",
    "StoreKeyError",
    "StoreLowError",
    "StoreOutageError",
    "StoredObject",
    "TooLargeError",
    "VolumeAwayError",
    "VolumeFailedError",
    "VolumeUnfitError",
    "WrappedKey",
    "batch_of",
    "copy_object",
    "create_key_file",
    "every_set",
    "fingerprint_of",
    "harden_process",
    "make_backup",
    "new_batch",
    "new_object_id",
    "open_backup",
    "open_disk_store",
    "open_keys",
    "read_words",
    "replace_object",
    "room_of",
    "sealed_length",
    "swap_in_clear",
    "tells_of_room",
]
