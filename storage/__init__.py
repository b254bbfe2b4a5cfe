"""Sealed objects: ciphertext, keys and where bytes lie, and nothing about what the bytes mean."""

from storage.errors import (
    BYTES_LOST,
    KeyFileError,
    KeyRefusedError,
    KeyUnknownError,
    ObjectBusyError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectUnreadableError,
    SealBrokenError,
    StorageError,
    StoreFullError,
    StoreKeyError,
    TooLargeError,
    VolumeFailedError,
    VolumeUnfitError,
)
from storage.key_cache import WrappedKey
from storage.keys.file import FileKeys, create_key_file
from storage.keys.memory import MemoryKeys
from storage.keys.port import KekRef, KeyProvider
from storage.objects.disk import DiskObjects
from storage.objects.memory import MemoryObjects
from storage.objects.port import Objects, StoredObject
from storage.process import harden_process
from storage.reader import SealedReader
from storage.sealed import SealedRef, SealedStore, open_disk_store
from storage.sealing import Readable

__all__ = [
    "BYTES_LOST",
    "DiskObjects",
    "FileKeys",
    "KekRef",
    "KeyFileError",
    "KeyProvider",
    "KeyRefusedError",
    "KeyUnknownError",
    "MemoryKeys",
    "MemoryObjects",
    "ObjectBusyError",
    "ObjectExistsError",
    "ObjectMissingError",
    "ObjectUnreadableError",
    "Objects",
    "Readable",
    "SealBrokenError",
    "SealedReader",
    "SealedRef",
    "SealedStore",
    "StorageError",
    "StoreFullError",
    "StoreKeyError",
    "StoredObject",
    "TooLargeError",
    "VolumeFailedError",
    "VolumeUnfitError",
    "WrappedKey",
    "create_key_file",
    "harden_process",
    "open_disk_store",
]
