"""Proving the demo's promises from outside: the package against its manifest, and nothing planted in the clear anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gateway.domain.errors import ConflictError

ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
_OVERLAP = 512


def needles(planted: Iterable[str]) -> dict[bytes, str]:
    """Return every planted string in every encoding that can hold it."""
    found: dict[bytes, str] = {}
    for text in planted:
        for encoding in ENCODINGS:
            try:
                found[text.encode(encoding)] = encoding
            except UnicodeEncodeError:
                continue
    return found


def search_folder(folder: Path, wanted: dict[bytes, str], moved: Callable[[int], None]) -> list[str]:
    """Return the files in which any of the byte strings stands, names of files included."""
    hits = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        moved(1)
        name = str(path.relative_to(folder)).encode()
        if any(needle in name for needle in wanted) or any(
            _holds(blocks, wanted) for blocks in _blocks(path)
        ):
            hits.append(str(path))
    return hits


def check_package(
    package: bytes, planted: Iterable[str], moved: Callable[[int], None]
) -> tuple[int, list[str]]:
    """Return how many members the package has, and every complaint: a digest that is wrong, a planted string that is left."""
    complaints: list[str] = []
    wanted = needles(planted)
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
            if _holds(content, wanted):
                complaints.append(f"{name} holds a planted identifier")
    return len(names), complaints


def insist(condition: object, complaint: str) -> None:
    """End the demo with what did not hold."""
    if not condition:
        raise ConflictError(
            complaint, next_step="This is a fault of the exchange: please report it with the run's folder."
        )


def _holds(content: bytes, wanted: dict[bytes, str]) -> bool:
    return any(needle in content for needle in wanted)


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces that overlap, so that no string hides in a seam."""
    with path.open("rb") as file:
        tail = b""
        while block := file.read(8 << 20):
            yield tail + block
            tail = block[-_OVERLAP:]
