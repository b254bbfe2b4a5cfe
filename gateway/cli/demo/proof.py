"""Proving the demo's promises from outside: the package against its manifest, and nothing planted in the clear anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from gateway.domain.errors import ConflictError

ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
_OVERLAP = 512
_PREFIX = 3


class Searcher:
    """Looks for every planted string, in every encoding that can hold it, in one pass over the bytes.

    A table over the first three bytes of all needles picks the places worth a look; each is then compared in full. The
    exchange's own search goes another way, so that one cannot hide a fault of the other.
    """

    def __init__(self, planted: Iterable[str]) -> None:
        self.needles: set[bytes] = set()
        for text in planted:
            for encoding in ENCODINGS:
                with suppress(UnicodeEncodeError):
                    self.needles.add(text.encode(encoding))
        self.needles = {needle for needle in self.needles if len(needle) >= _PREFIX}
        self._by_prefix: dict[bytes, list[bytes]] = {}
        self._table = np.zeros(1 << (8 * _PREFIX), dtype=bool)
        for needle in self.needles:
            self._by_prefix.setdefault(needle[:_PREFIX], []).append(needle)
            self._table[int.from_bytes(needle[:_PREFIX])] = True

    def finds(self, content: bytes) -> bool:
        """Tell whether any needle stands anywhere in the bytes."""
        if len(content) < _PREFIX:
            return False
        sea = np.frombuffer(content, dtype=np.uint8).astype(np.uint32)
        places = np.flatnonzero(self._table[(sea[:-2] << 16) | (sea[1:-1] << 8) | sea[2:]])
        return any(
            content.startswith(needle, place)
            for place in places.tolist()
            for needle in self._by_prefix[content[place : place + _PREFIX]]
        )


def search_folder(folder: Path, searcher: Searcher, moved: Callable[[int], None]) -> list[str]:
    """Return the files in which any of the needles stands, names of files included."""
    hits = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        moved(1)
        name = str(path.relative_to(folder)).encode()
        if searcher.finds(name) or any(searcher.finds(block) for block in _blocks(path)):
            hits.append(str(path))
    return hits


def check_package(
    package: bytes, planted: Iterable[str], moved: Callable[[int], None]
) -> tuple[int, list[str]]:
    """Return how many members the package has, and every complaint: a digest that is wrong, a planted string that is left."""
    complaints: list[str] = []
    searcher = Searcher(planted)
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("MANIFEST.json"))
        listed = {row["name"]: row for row in manifest["files"]}
        missing = set(names) ^ (set(listed) | {"MANIFEST.json"})
        complaints += [f"{name} is not in both package and manifest" for name in sorted(missing)]
        for name in names:
            moved(1)
            content = archive.read(name)
            row = listed.get(name)
            if row and (hashlib.sha256(content).hexdigest() != row["sha256"] or len(content) != row["size"]):
                complaints.append(f"{name} is not what the manifest says")
            if searcher.finds(content):
                complaints.append(f"{name} holds a planted identifier")
    return len(names), complaints


def insist(condition: object, complaint: str) -> None:
    """End the demo with what did not hold."""
    if not condition:
        raise ConflictError(
            complaint, next_step="This is a fault of the exchange: please report it with the run's folder."
        )


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces that overlap, so that no string hides in a seam."""
    with path.open("rb") as file:
        tail = b""
        while block := file.read(8 << 20):
            yield tail + block
            tail = block[-_OVERLAP:]
