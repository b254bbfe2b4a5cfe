"""Which rows name sealed objects, all of them, and how each is opened: whoever holds rows against objects goes by this list.

A column that names an object and is not in ``NAMINGS`` would have its objects taken for orphans; a house rule looks for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from storage import SealedRef

# What no row names is cleared away no sooner after its batch's last id: sealing and then recording an object takes less.
CLEARED_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """One column that names objects, and the columns beside it that tell how they are opened.

    ``shelf`` is the kind of row, ``word`` its name for a person, ``kind`` and ``purpose`` those of the seal and its key.
    Holder and case stand in the row itself, or in the row of ``through`` = (shelf, the column here that names it).
    """

    shelf: str
    word: str
    kind: str
    purpose: str
    object_id: str = "object_id"
    size_bytes: str = "size_bytes"
    digest: str = "digest"
    generation: str = "generation"
    through: tuple[str, str] = ("", "")


NAMINGS: tuple[Naming, ...] = (
    Naming(shelf="instances", word="instance", kind="original", purpose="originals"),
    Naming(shelf="documents", word="document", kind="original", purpose="originals"),
    Naming(shelf="parts", word="part", kind="part", purpose="originals", through=("uploads", "upload_id")),
    Naming(shelf="copies", word="copy", kind="copy", purpose="releases"),
    Naming(
        shelf="releases",
        word="manifest",
        kind="manifest",
        purpose="releases",
        object_id="manifest_object_id",
        size_bytes="manifest_size_bytes",
        digest="manifest_mac",
        generation="",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptObject:
    """One object as a row names it. ``shelf`` and ``row_id`` are the row; ``case_id`` is None while a study waits for its case."""

    shelf: str
    row_id: str
    case_id: str | None
    holder: str
    object_id: str
    size_bytes: int
    digest: bytes
    generation: int

    @property
    def naming(self) -> Naming:
        """Return how rows of this kind name objects."""
        return next(naming for naming in NAMINGS if naming.shelf == self.shelf)

    @property
    def cursor(self) -> str:
        """Return the place of this row among all that name objects."""
        return f"{self.shelf}/{self.row_id}"

    def ref(self) -> SealedRef:
        """Return what opens it; raises ``ValueError`` where the row holds what no object has."""
        return SealedRef(
            object_id=self.object_id,
            size_bytes=self.size_bytes,
            digest=self.digest,
            generation=self.generation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectBatch:
    """A batch of object ids, written down before the first object under one of them; used by one process, until ``until``."""

    id: str
    made_at: datetime
    until: datetime

    def is_over(self, now: datetime) -> bool:
        """Tell whether an object under it that no row names by now may be given up."""
        return now - self.until > CLEARED_AFTER

    @property
    def is_closed(self) -> bool:
        """Tell whether a sweep has given up what no row named: none may name it from then on, whatever any clock says."""
        return self.until <= self.made_at
