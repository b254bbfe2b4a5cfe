"""Sealed objects as files on one local file system, durable when `publish` returns (D1), and never in the clear.

``<root>/ab/<id>`` holds an object, `ab` being the first two digits of its id; ``<root>/tmp`` holds drafts. Directories
are 0700, files 0600. All 256 directories exist from the start, so that no publish waits for a new parent to be flushed.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from storage.errors import (
    ObjectBusyError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectUnreadableError,
    StoreFullError,
    VolumeFailedError,
    VolumeUnfitError,
)
from storage.objects.ids import ID_PATTERN, PROBE_BATCH, checked_id, new_object_id
from storage.objects.writeback import hasten, in_memory, leave_cache
from storage.room import Room, room_of

P = ParamSpec("P")
R = TypeVar("R")

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
BUSY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR}
DRAFTS = "tmp"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
LET_GO_BYTES = 32 << 20
READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class DiskObjects:
    """`Objects` under one directory, shared by any number of processes on one machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._failure: str | None = None
        prepare_directories(root)
        self.sweep_drafts()

    def publish(self, object_id: str, pieces: Iterable[memoryview | bytes]) -> int:
        """Keep one object, durably or not at all. This is the whole promise; read it top to bottom.

        1. A draft with a random name on the same file system, for this user only, never an existing file.
        2. Only what `pieces` yields is written, and the one caller yields ciphertext.
        3. The content is flushed to the device, *then* gets its name, *then* the name is flushed. The kernel is asked to
           begin with each piece as it comes, so that the flush at the end finds little left to do; it still waits for all.
        4. A name is never taken over from another object.
        5. After any error nothing is left, and a refused write or flush is never tried a second time (D2).
        """
        final, size_bytes, begun = self._path(object_id), 0, 0
        with self._draft() as (draft, fd), self._opened(final.parent) as directory:  # 1
            for piece in pieces:  # the sender's own errors rise here and pass through
                self._device(write_all, fd, piece)  # 2
                size_bytes += len(piece)
                begun = hasten(fd, begun, size_bytes)
            self._device(os.fsync, fd)  # 3
            leave_cache(fd)
            self._link(draft, final)  # 4
            try:
                draft.unlink()
                os.fsync(directory)
            except OSError as error:  # 5
                with suppress(OSError):
                    final.unlink()
                raise self._failed("flush of a name", error) from error
        return size_bytes

    def open(self, object_id: str) -> "DiskObject":
        path = self._path(object_id)
        try:
            fd = os.open(path, READ_FILE)
            return DiskObject(fd, os.fstat(fd).st_size)
        except FileNotFoundError:
            raise ObjectMissingError(object_id) from None
        except OSError as error:
            raise unreadable(f"{object_id}: {error.strerror}", error) from error

    def remove(self, object_id: str) -> None:
        path = self._path(object_id)
        try:
            path.unlink()
            sync_directory(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise VolumeFailedError(f"{object_id} could not be removed: {error.strerror}") from error

    def ids(self) -> Iterator[str]:
        for number in range(256):
            shard = f"{number:02x}"
            try:
                names = os.listdir(self._root / shard)  # noqa: PTH208 - names, not a Path for each of a million
            except OSError as error:
                raise unreadable(f"{shard}: {error.strerror}", error) from error
            yield from (name for name in names if ID_PATTERN.fullmatch(name) and name.startswith(shard))

    def room(self) -> Room | None:
        return room_of(self._root)

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
    def _draft(self) -> Iterator[tuple[Path, int]]:
        """A new file under a name that ends with this block; its lock tells sweepers that its writer lives."""
        if self._failure is not None:
            raise VolumeFailedError(self._failure)
        path = self._root / DRAFTS / secrets.token_hex(16)
        fd = self._device(os.open, path, NEW_FILE, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not os.fstat(fd).st_nlink:  # a sweep came between the two calls above
                raise StoreFullError("the draft was swept as it was made; send again")
            yield path, fd
        finally:
            with suppress(
                OSError
            ):  # gone already when all went well; a name that stays is swept at the next start
                path.unlink()
            os.close(fd)

    @contextmanager
    def _opened(self, directory: Path) -> Iterator[int]:
        fd = self._device(os.open, directory, READ_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    def _link(self, draft: Path, final: Path) -> None:
        try:
            self._device(os.link, draft, final, follow_symlinks=False)
        except FileExistsError:
            raise ObjectExistsError(final.name) from None

    def _device(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one call that changes the volume; an error other than lack of room ends all writing by this process."""
        try:
            return call(*args, **kwargs)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StoreFullError(error.strerror or "") from error
            raise self._failed(call.__name__, error) from error

    def _failed(self, what: str, error: OSError) -> VolumeFailedError:
        """Refuse every later publish: after a failed flush nobody knows what the device holds (D2)."""
        self._failure = f"{what}: {error.strerror}"
        return VolumeFailedError(self._failure)


class DiskObject:
    """One file, open for reading."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self._fd = fd
        self._passed: int | None = None
        self.size_bytes = size_bytes

    def pass_by(self) -> None:
        """Leave what is in memory where it is; what is not, is let go again as it is read."""
        if not in_memory(self._fd):
            self._passed = 0

    def read_into(self, offset: int, buffer: memoryview) -> int:
        done = 0
        try:
            while done < len(buffer):
                count = os.preadv(self._fd, [buffer[done:]], offset + done)
                if count == 0:
                    break
                done += count
        except OSError as error:
            raise unreadable(error.strerror or "", error) from error
        if self._passed is not None and offset - self._passed >= LET_GO_BYTES:
            leave_cache(self._fd, self._passed, offset - self._passed)
            self._passed = offset
        return done

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            if self._passed is not None:
                leave_cache(fd)
            os.close(fd)


def unreadable(detail: str, error: OSError) -> ObjectUnreadableError | ObjectBusyError:
    """Tell damage, which stays, from a want of handles or memory, which says nothing of the object."""
    return (ObjectBusyError if error.errno in BUSY else ObjectUnreadableError)(detail)


def write_all(fd: int, piece: memoryview | bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


def sync_directory(path: Path) -> None:
    fd = os.open(path, READ_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def prepare_directories(root: Path) -> None:
    """Make the directories that are missing, durably, and refuse ones that others may enter."""
    try:
        new = []
        for directory in (
            *reversed(root.parents),
            root,
            root / DRAFTS,
            *(root / f"{n:02x}" for n in range(256)),
        ):
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
                new.append(directory)
        for parent in dict.fromkeys(directory.parent for directory in reversed(new)):
            sync_directory(parent)
        facts = os.lstat(root)
    except OSError as error:
        raise VolumeUnfitError(f"{root}: {error.strerror}") from error
    if not stat.S_ISDIR(facts.st_mode):
        raise VolumeUnfitError(f"{root} is no directory")
    if facts.st_uid != os.geteuid():
        raise VolumeUnfitError(f"{root} belongs to another user; chown it to the one who runs the exchange")
    if facts.st_mode & 0o077:
        raise VolumeUnfitError(f"others may enter {root}; chmod 700 it")
