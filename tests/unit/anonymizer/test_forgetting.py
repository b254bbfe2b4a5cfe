"""When a case ends nothing of its words is left in a process that lives on; and no memory is overlooked."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anonymizer
from anonymizer import forgetting
from anonymizer.documents import MAX_BYTES, deidentify_document, verify_document
from anonymizer.known import Known
from anonymizer.offline import cleaning, deidentify_folder, gathering
from anonymizer.pixels.judge import judge_for
from anonymizer.verify import verify_instance
from gateway.records.sealed_columns import KeyRing
from tests.unit.anonymizer.test_offline import slice_of

KNOWN = Known.from_json({"names": ["Ottosdotter^Sigrun"], "identifiers": ["19811218-9876"]})
#: Memories of our own tables, of numbers of the standard, and of the computer: nothing in them is of a case.
OURS = {
    "anonymizer.attribute_types.types_for",
    "anonymizer.attribute_types.load_table",
    "anonymizer.attribute_types._shape",
    "anonymizer.documents.fonts.font_bytes",
    "anonymizer.documents.fonts.drawing_font",
    "anonymizer.elements.dictionary_vr",
    "anonymizer.elements.keyword",
    "anonymizer.elements.least_values",
    "anonymizer.elements.spell",
    "anonymizer.profile.load_profile",
    "anonymizer.words.words",
    "anonymizer.words.spelled",
    "anonymizer.words.rows",
}


def memories() -> Iterator[tuple[str, Any]]:
    """Every function of the package that remembers what it was asked; one without arguments was asked nothing."""
    for found in pkgutil.walk_packages(anonymizer.__path__, "anonymizer."):
        for name, held in vars(importlib.import_module(found.name)).items():
            here = hasattr(held, "cache_clear") and held.__module__ == found.name
            if here and held.__wrapped__.__code__.co_argcount:
                yield f"{found.name}.{name}", held


def left() -> list[str]:
    return [name for name, held in memories() if name not in OURS and held.cache_info().currsize]


def work() -> None:
    made = deidentify_document(
        b"Sigrun Ottosdotter 19811218-9876 har Crohns sjukdom.",
        media_type="text/plain",
        known=KNOWN,
        pseudonyms_shift_days=3,
    )
    verify_document(made.content, media_type="text/plain", known=KNOWN)  # type: ignore[union-attr]
    verify_instance(slice_of(1), known=KNOWN, original_uids=["1.2.3.4.5.6.7"])
    judge_for(KNOWN, strict=False)


def test_every_memory_is_forgotten_or_known_to_hold_nothing_of_a_case() -> None:
    told = {f"{module}.{name}" for module, name in forgetting.MEMORIES}
    assert told | OURS >= {name for name, _ in memories()}
    assert not told & OURS
    work()
    assert {"anonymizer.documents.judges.judges_for", "anonymizer.folding.fold"} <= set(left())
    forgetting.forget()
    assert left() == []


def test_a_folder_leaves_nothing_in_this_process_nor_does_one_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.dcm").write_bytes(slice_of(1, comment="CT buk Ottosdotter"))
    deidentify_folder(tmp_path / "in", tmp_path / "out", known=KNOWN, apart=False)
    assert left() == []
    assert cleaning._PLAN is None

    def stop(*_: object, **__: object) -> None:
        work()
        raise KeyboardInterrupt

    monkeypatch.setattr(cleaning, "deidentify_instance", stop)
    with pytest.raises(KeyboardInterrupt):
        deidentify_folder(tmp_path / "in", tmp_path / "again", known=KNOWN, apart=False)
    assert left() == []
    assert cleaning._PLAN is None


def test_a_process_that_hears_of_a_forgotten_holder_forgets_the_words() -> None:
    class Store:
        def forget_holder(self, holder: str) -> None:
            """Hold nothing."""

    work()
    ring = KeyRing.__new__(KeyRing)
    ring.store, ring._known = Store(), {}  # type: ignore[assignment]
    ring.forget("case")
    assert left() == []


def test_a_document_that_is_too_large_is_told_before_its_bytes_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.pdf"
    with path.open("wb") as stream:
        stream.write(b"%PDF-1.7\n")
        stream.truncate(MAX_BYTES + 1)  # a sparse file
    asked: list[int] = []
    monkeypatch.setattr(gathering, "harvest_document", lambda content: asked.append(len(content)))
    found = gathering.gather(str(path))
    assert (found.kind, found.failed) == ("application/pdf", "too_large")
    assert asked == []
