"""Sealed objects as files on one local file system, durable when `publish` returns (D1), and never in the clear.

``<root>/ab/<id>`` holds an object, `ab` being the first two digits of its id; ``<root>/tmp`` holds drafts. Directories
are 0700, files 0600. All 256 directories exist from the start, so that no publish waits for a new parent to be flushed.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from storage.errors import (
    ObjectBusyError,
    ObjectExistsError,
    ObjectMissingError,
    StorageError,
    StoreFullError,
    VolumeAwayError,
    VolumeFailedError,
    VolumeUnfitError,
)
from storage.objects.directories import DRAFTS, READ_DIRECTORY, SHARDS, prepare_directories, prepare_shards
from storage.objects.disk_reading import BUSY, DiskObject, unreadable
from storage.objects.identity import give_identity, is_failure_shown, read_identity, show_failure
from storage.objects.ids import ID_PATTERN, PROBE_BATCH, checked_id, new_object_id
from storage.objects.writeback import hasten, leave_cache
from storage.room import Room, room_of

P = ParamSpec("P")
R = TypeVar("R")

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
# What says that the volume is not there or takes no writes, where nothing was written yet: it may be there again next time.
AWAY = {
    errno.ENOENT, errno.ENOTDIR, errno.EROFS, errno.EACCES, errno.EPERM, errno.ELOOP,
    errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN,
}  # fmt: skip
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class DiskObjects:
    """`Objects` under one directory, shared by any number of processes on one machine."""

    def __init__(self, root: Path, *, identity: str | None = None) -> None:
        """Open a store, and make it where there is none; with its ``identity`` known, only the one that has it is opened.

        Raises
        ------
        VolumeAwayError
            It is not there, or another is mounted in its place; nothing was made.
        VolumeUnfitError
            The place cannot be used.
        """
        self._root, self._identity = root, identity
        self._failure: str | None = None
        self._shown: int | None = None
        self._seen: tuple[int, int, int] | None = None
        if identity is None:
            prepare_directories(root)
        with self._rooted() as fd:
            prepare_shards(root, fd)
        self.sweep_drafts()

    def settle(self) -> str:
        """Give this store an identity where it has none, and return it; from here on no other volume is written to."""
        with self._rooted() as root:
            try:
                identity = read_identity(root) or give_identity(root, DRAFTS)
            except OSError as error:
                raise VolumeUnfitError(f"{self._root}: {error.strerror}") from error
        if identity is None:
            raise VolumeUnfitError(f"{self._root}/.store is no identity of a store")
        self._identity = identity
        return identity

    def publish(self, object_id: str, pieces: Iterable[memoryview | bytes]) -> int:
        """Keep one object, durably or not at all. This is the whole promise; read it top to bottom.

        1. A draft with a random name on the same file system, for this user only, never an existing file.
        2. Only what `pieces` yields is written, and the one caller yields ciphertext.
        3. The content is flushed to the device, *then* gets its name, *then* the name is flushed. The kernel is asked to
           begin with each piece as it comes, so that the flush at the end finds little left to do; it still waits for all.
        4. A name is never taken over from another object.
        5. After any error nothing is left, and a refused write or flush is never tried a second time (D2).
        """
        shard, size_bytes, begun = checked_id(object_id)[:2], 0, 0
        if self._failure is not None:
            raise VolumeFailedError(self._failure)
        with (
            self._rooted() as root,
            self._draft(root) as (draft, fd),
            self._opened(root, shard) as directory,
        ):  # 1
            for piece in pieces:  # the sender's own errors rise here and pass through
                self._device(write_all, fd, piece)  # 2
                size_bytes += len(piece)
                begun = hasten(fd, begun, size_bytes)
            self._device(os.fsync, fd)  # 3
            leave_cache(fd)
            try:  # 4
                self._device(
                    os.link, draft, object_id, src_dir_fd=root, dst_dir_fd=directory, follow_symlinks=False
                )
            except FileExistsError:
                raise ObjectExistsError(object_id) from None
            try:
                os.unlink(draft, dir_fd=root)
                os.fsync(directory)
            except OSError as error:  # 5
                with suppress(OSError):
                    os.unlink(object_id, dir_fd=directory)
                raise self._failed("flush of a name", error) from error
        return size_bytes

    def open(self, object_id: str) -> "DiskObject":
        path = self._path(object_id)
        try:
            fd = os.open(path, READ_FILE)
            return DiskObject(fd, os.fstat(fd).st_size)
        except OSError as error:
            if error.errno not in BUSY:
                self._refuse_away(object_id[:2])
            if isinstance(error, FileNotFoundError):
                raise ObjectMissingError(object_id) from None
            raise unreadable(f"{object_id}: {error.strerror}", error) from error

    def remove(self, object_id: str) -> None:
        shard = checked_id(object_id)[:2]
        with self._rooted() as root, self._opened(root, shard) as directory:
            try:
                os.unlink(object_id, dir_fd=directory)
                os.fsync(directory)
            except FileNotFoundError:
                return  # only here, on the right volume, does that say that it is gone
            except OSError as error:
                kind = VolumeAwayError if error.errno in AWAY else VolumeFailedError
                raise kind(f"{object_id} could not be removed: {error.strerror}") from error

    def ids(self) -> Iterator[str]:
        for shard in SHARDS:
            with self._reading() as root:
                try:
                    fd = os.open(shard, READ_DIRECTORY, dir_fd=root)
                    try:
                        names = os.listdir(fd)  # noqa: PTH208 - names, not a Path for each of a million
                    finally:
                        os.close(fd)
                except OSError as error:
                    raise unreadable(f"{shard}: {error.strerror}", error) from error
            yield from (name for name in names if ID_PATTERN.fullmatch(name) and name.startswith(shard))

    def room(self) -> Room | None:
        try:
            with self._rooted() as root:
                if os.fstatvfs(root).f_flag & os.ST_RDONLY:
                    raise VolumeAwayError(f"{self._root} is mounted read-only")
                if self._failure and self._shown is None:
                    self._shown = show_failure(root)
                failure = self._failure or ("seen by another process" if is_failure_shown(root) else "")
                return replace(room_of(root), failure=failure)
        except StoreFullError:  # no handle is left, and a volume is measured without one
            return replace(room_of(self._root), failure=self._failure or "")

    def probe(self) -> None:
        object_id, content = new_object_id(PROBE_BATCH), os.urandom(512)
        self.publish(object_id, [content])
        try:
            stored, back = self.open(object_id), memoryview(bytearray(len(content)))
            try:
                stored.read_into(0, back)
            finally:
                stored.close()
            if back != content:
                raise VolumeUnfitError(
                    f"{self._root} gives back other bytes than were written; replace the device"
                )
            try:
                self.publish(object_id, [content])
            except ObjectExistsError:
                return
            raise VolumeUnfitError(
                f"{self._root} lets one file replace another; use a local POSIX file system"
            )
        finally:
            self.remove(object_id)

    def sweep_drafts(self) -> int:
        """Remove drafts whose writer is gone; return how many.

        A writer holds a lock on its draft until it ends, however it ends, so a draft that can be locked has no writer.
        """
        swept = 0
        with os.scandir(self._root / DRAFTS) as drafts:
            for draft in drafts:
                with suppress(OSError):
                    fd = os.open(draft.path, READ_FILE)
                    try:
                        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        Path(draft.path).unlink()
                        swept += 1
                    finally:
                        os.close(fd)
        return swept

    def _path(self, object_id: str) -> Path:
        return self._root / checked_id(object_id)[:2] / object_id

    @contextmanager
    def _rooted(self) -> Iterator[int]:
        """Give a handle on the root. While it is held it leads to the verified volume, whatever is mounted meanwhile.

        It is not kept longer: an idle house lets its volume be unmounted, and sees it when it is back.
        """
        try:
            fd = os.open(self._root, READ_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StoreFullError(error.strerror or "") from error
            raise VolumeAwayError(f"{self._root}: {error.strerror}") from error
        try:
            self._verify(fd)
            yield fd
        finally:
            os.close(fd)

    def _verify(self, root: int) -> None:
        """Refuse another volume; what is the same directory as before, unchanged, is not read again."""
        try:
            facts = os.fstat(root)
            seen = (facts.st_dev, facts.st_ino, facts.st_ctime_ns)
            if self._identity is None or seen == self._seen:
                return
            found = read_identity(root)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StoreFullError(error.strerror or "") from error
            raise VolumeAwayError(f"{self._root}: {error.strerror}") from error
        if found != self._identity:
            told = f"another store, {found}, is there" if found else "there is no store"
            raise VolumeAwayError(f"{told} at {self._root}, and the records know {self._identity}")
        self._seen = seen

    @contextmanager
    def _reading(self) -> Iterator[int]:
        """The same for who only reads: a want of handles says nothing of the objects."""
        try:
            with self._rooted() as root:
                yield root
        except StoreFullError as error:
            raise ObjectBusyError(error.detail) from error

    def _refuse_away(self, shard: str) -> None:
        with self._reading() as root:
            try:
                os.stat(shard, dir_fd=root)
            except OSError as error:
                raise VolumeAwayError(f"{self._root}/{shard}: {error.strerror}") from error

    @contextmanager
    def _draft(self, root: int) -> Iterator[tuple[str, int]]:
        """A new file under a name that ends with this block; its lock tells sweepers that its writer lives."""
        name = f"{DRAFTS}/{secrets.token_hex(16)}"
        fd = self._reached(name, NEW_FILE, root)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not os.fstat(fd).st_nlink:  # a sweep came between the two calls above
                raise StoreFullError("the draft was swept as it was made; send again")
            yield name, fd
        finally:
            with suppress(
                OSError
            ):  # gone already when all went well; a name that stays is swept at the next start
                os.unlink(name, dir_fd=root)
            os.close(fd)

    @contextmanager
    def _opened(self, root: int, shard: str) -> Iterator[int]:
        fd = self._reached(shard, READ_DIRECTORY, root)
        try:
            yield fd
        finally:
            os.close(fd)

    def _reached(self, name: str, flags: int, root: int) -> int:
        """Open what the volume has or takes; where it has or takes it not, nothing was written, and the next call may."""
        try:
            return self._device(os.open, name, flags, 0o600, dir_fd=root)
        except OSError as error:
            raise VolumeAwayError(f"{self._root}/{name[:3].strip('/')}: {error.strerror}") from error

    def _device(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one call that changes the volume; an error other than lack of room ends all writing by this process."""
        try:
            return call(*args, **kwargs)
        except FileExistsError:
            raise
        except OSError as error:
            if call is os.open and error.errno in AWAY:
                raise
            if error.errno in NO_ROOM:
                raise StoreFullError(error.strerror or "") from error
            raise self._failed(call.__name__, error) from error

    def _failed(self, what: str, error: OSError) -> VolumeFailedError:
        """Refuse every later publish: after a failed flush nobody knows what the device holds (D2)."""
        self._failure = f"{what}: {error.strerror}"
        with suppress(StorageError), self._rooted() as root:
            self._shown = self._shown or show_failure(root)
        return VolumeFailedError(self._failure)


def write_all(fd: int, piece: memoryview | bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]
