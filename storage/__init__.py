"""Sealed objects: ciphertext, keys and where bytes lie, and nothing about what the bytes mean."""

from storage.copying import copy_object, sealed_length
from storage.errors import (
    BYTES_LOST,
    KeyBackupError,
    KeyFileError,
    KeyForgottenError,
    KeyRefusedError,
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
    StoreOutageError,
    StoreLowError,
    TooLargeError,
    VolumeFailedError,
    VolumeUnfitError,
)
from storage.key_cache import WrappedKey
from storage.keys.file import FileKeys, create_key_file
from storage.keys.memory import MemoryKeys
from storage.keys.opening import open_keys
from storage.keys.port import KekRef, KeyProvider
from storage.objects.disk import DiskObjects
from storage.objects.ids import PROBE_BATCH, batch_of, new_batch, new_object_id
from storage.objects.memory import MemoryObjects
from storage.objects.port import Objects, StoredObject
from storage.process import harden_process
from storage.reader import SealedReader
from storage.rotation import MasterKeys
from storage.room import FULL, Ballast, Room, room_of, tells_of_room
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
    "KeyBackupError",
    "KeyFileError",
    "KeyKeptError",
    "KeyProvider",
    "KeyForgottenError",
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
    "StoreOutageError",
    "StoreLowError",
    "StoredObject",
    "TooLargeError",
    "VolumeFailedError",
    "VolumeUnfitError",
    "WrappedKey",
    "batch_of",
    "copy_object",
    "create_key_file",
    "harden_process",
    "new_batch",
    "new_object_id",
    "open_disk_store",
    "open_keys",
    "room_of",
    "sealed_length",
    "sealed_length",
    "tells_of_room",
]
