"""A house with a few hundred sealed objects of every kind that a row may name, small and many-segmented, in several cases."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.domain.document import Document
from gateway.domain.ids import new_id
from gateway.domain.people import HOUSE
from gateway.domain.release import Copy, Release
from gateway.domain.study import Instance, Study
from gateway.domain.upload import Part, Upload
from tests.fakes.journey_house import JourneyHouse

SIZES = (0, 1, 700, 40_000, 262_143, 300_000, 800_001)


def stock(house: JourneyHouse, *, cases: int = 3, each: int = 14) -> int:
    """Fill the house and return how many objects rows name now."""
    for number in range(cases):
        case = house.case(seed=number + 1)
        now = house.clock.now()
        with house.records.view() as view:
            keys = {purpose: view.key(case.id, purpose) for purpose in ("originals", "releases")}
        sizes = _sizes()
        study = Study(
            id=new_id(),
            case_id=case.id,
            holder=case.id,
            sender="peer:PACS",
            study_key=new_id(),
            received_at=now,
            last_at=now,
            instances=each,
        )
        upload = Upload(
            id=new_id(),
            case_id=case.id,
            holder=case.id,
            link_id="l",
            category="other",
            name="a.pdf",
            media_type="application/pdf",
            size_bytes=10**9,
            created_at=now,
            expires_at=now,
        )

        def seal(kind: str, purpose: str, keys=keys, sizes=sizes):  # type: ignore[no-untyped-def]
            return house.store.seal(io.BytesIO(os.urandom(next(sizes))), key=keys[purpose], kind=kind)

        with house.records.change(by=HOUSE) as change:
            change.studies.add(study)
            change.uploads.add(upload)
            change.note("study_waits", subject=study.id)
        for index in range(each):
            original, document = seal("original", "originals"), seal("original", "originals")
            part, copy = seal("part", "originals"), seal("copy", "releases")
            manifest = seal("manifest", "releases")
            with house.records.change(by=HOUSE) as change:
                change.instances.add(
                    Instance(
                        id=new_id(),
                        study_id=study.id,
                        case_id=case.id,
                        holder=case.id,
                        sop_key=new_id(),
                        sop_class_uid="1.2",
                        transfer_syntax_uid="1.2",
                        received_at=now,
                        **_named(original),
                    )
                )
                change.documents.add(
                    Document(
                        id=new_id(), case_id=case.id, holder=case.id, received_at=now, **_named(document)
                    )
                )
                change.parts.add(Part(id=new_id(), upload_id=upload.id, offset_bytes=index, **_named(part)))
                change.copies.add(
                    Copy(
                        id=new_id(),
                        case_id=case.id,
                        holder=case.id,
                        subject_kind="instance",
                        subject_id=new_id(),
                        made_at=now,
                        **_named(copy),
                    )
                )
                change.releases.add(
                    Release(
                        id=new_id(),
                        case_id=case.id,
                        holder=case.id,
                        number=index + 1,
                        built_by="t",
                        built_at=now,
                        manifest_digest="d",
                        manifest_object_id=manifest.object_id,
                        manifest_size_bytes=manifest.size_bytes,
                        manifest_mac=manifest.digest,
                    )
                )
                change.note("instance_kept", case_id=case.id)
    with house.records.view() as view:
        return view.kept.amount()[0]


def path_of(house: JourneyHouse, object_id: str) -> Path:
    """Where the bytes of an object lie."""
    return house.folder / "objects" / object_id[:2] / object_id


def plant(house: JourneyHouse, object_id: str, content: bytes = b"whatever") -> str:
    """Put bytes under an id, past the store."""
    path_of(house, object_id).write_bytes(content)
    return object_id


def _sizes() -> Iterator[int]:
    while True:
        yield from SIZES


def _named(ref) -> dict[str, object]:  # type: ignore[no-untyped-def]
    return {
        "object_id": ref.object_id,
        "size_bytes": ref.size_bytes,
        "digest": ref.digest,
        "generation": ref.generation,
    }
