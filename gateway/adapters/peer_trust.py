"""Whom the TLS port believes, for ``dicom_node.tls.TrustSource``: the peers' pins in the records and three files; no certificate is judged.

Asked for every handshake, so what was found counts for a moment (`FRESH_S`): a crowd of strangers costs two readings a
second, and a pin taken back or a file replaced counts within a second.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from dicom_node.certificates import authority_files
from dicom_node.revocation import lists_in_use
from dicom_node.tls import Identity, Trust
from gateway.domain.errors import ConsiliumError
from gateway.domain.tls_files import TlsFiles
from gateway.ports import Records

FRESH_S: Final = 0.4

log = structlog.get_logger()


@dataclass(slots=True)
class _File:
    """A file's content, read again only when the file is another one."""

    path: Path
    content: bytes | None = None
    mark: tuple[int, ...] = field(default=(-1,))

    def look(self) -> tuple[int, ...]:
        """Read it if it changed; return what it is known by, empty when it is not there."""
        try:
            found = self.path.stat()
            mark: tuple[int, ...] = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if mark != self.mark:
                self.content = self.path.read_bytes()
        except FileNotFoundError:
            self.content, mark = None, ()
        except OSError as error:
            log.error("tls_file_unreadable", file=self.path.name, errno=error.errno)
            self.content, mark = b"", (0,)
        self.mark = mark
        return mark


class PeerTrust:
    """Implements ``dicom_node.tls.TrustSource``."""

    def __init__(self, records: Records, files: TlsFiles) -> None:
        self._records = records
        self._files = files
        self._seen: dict[Path, _File] = {}
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._known: tuple[object, ...] = ()
        self._trust: Trust | None = None
        self._version = 0
        self._had_lists = False

    def trust(self) -> Trust:
        """What counts now. While one thread looks, the others go by what was known a moment ago.

        Raises
        ------
        ConsiliumError
            The records do not answer, and never did.
        """
        trust = self._trust
        if trust is not None and time.monotonic() - self._read_at < FRESH_S:
            return trust
        if not self._lock.acquire(blocking=trust is None) and trust is not None:
            return trust
        try:
            return self._look()
        finally:
            self._lock.release()

    def _look(self) -> Trust:
        try:
            pins = self._pins()
        except ConsiliumError as error:
            if self._trust is None:
                raise
            log.error("pins_not_read", error=type(error).__name__)  # no association is admitted either
            self._read_at = time.monotonic()
            return self._trust
        files = self._files
        authorities = self._authorities()
        marks = [self._file(path).look() for path in (files.certificate, files.key)]
        revoked = self._lists()
        known = (pins, authorities, revoked, *marks)
        if self._trust is None or known != self._known:
            self._version += 1
            self._trust = Trust(
                version=str(self._version),
                identity=Identity(certificate=files.certificate, key=files.key),
                authorities_pem=authorities,
                pinned_pem=pins,
                revoked=revoked,
            )
            self._known = known
        self._read_at = time.monotonic()
        return self._trust

    def _lists(self) -> bytes | None:
        files = self._files
        if files.revoked is None:
            return None
        found = self._content(files.revoked)
        self._had_lists = self._had_lists or found is not None  # also where no mark can be written
        expected = files.lists_expected or self._had_lists
        return lists_in_use(found, expected=expected, mark=files.lists_mark)

    def _pins(self) -> tuple[str, ...]:
        with self._records.view() as view:
            rows = view.peers.pick(("certificates",), order="ae_title", disabled_at=None)
        return tuple(pem for (certificates,) in rows for pem in certificates or ())

    def _authorities(self) -> str:
        place = self._files.authorities
        try:
            paths = authority_files(place)
        except OSError as error:
            log.error("tls_file_unreadable", file=place.name, errno=error.errno)
            paths = []
        return "\n".join((self._content(path) or b"").decode("utf-8", "replace") for path in paths)

    def _content(self, path: Path) -> bytes | None:
        file = self._file(path)
        file.look()
        return file.content

    def _file(self, path: Path) -> _File:
        return self._seen.setdefault(path, _File(path))
