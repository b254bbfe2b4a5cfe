"""The objects that the DICOM benchmark sends: generated people, a study of its own per association, as Part 10 files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.factories import ct_instances


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of load: how many objects of which matrix, over at most how many associations."""

    name: str
    words: str
    count: int
    size: int
    most_associations: int = 20


KINDS = {
    kind.name: kind
    for kind in (
        Kind(name="ct", words="CT slices of 512 KiB", count=200, size=512),
        Kind(name="small", words="objects of 50 KiB", count=2000, size=160),
        Kind(name="big", words="objects of 32 MiB", count=8, size=4096, most_associations=4),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Objects on disk, one folder for each association; all of them together are what is sent in one run."""

    folders: tuple[Path, ...]
    words: str
    objects: int
    size_bytes: int


def make_load(into: Path, kind: Kind, *, associations: int, count: int) -> Load:
    """Write ``count`` objects, shared out evenly; every association has a study of its own."""
    each = max(1, count // associations)
    folders = []
    size_bytes = 0
    for number in range(associations):
        folder = into / f"{kind.name}-{associations}-{number:02d}"
        folder.mkdir(parents=True)
        folders.append(folder)
        for index, content in enumerate(ct_instances(each, seed=7, study=number + 1, size=kind.size)):
            (folder / f"{index:05d}.dcm").write_bytes(content)
            size_bytes += len(content)
    objects = each * associations
    words = f"{objects:,} {kind.words}"
    return Load(folders=tuple(folders), words=words, objects=objects, size_bytes=size_bytes)
