"""Rotation of the master key and forgetting of a case: parts of ``make bench-storage`` that need a house with records."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

from gateway.journeys.forget_case import forget_case
from gateway.journeys.receive_instance import receive_instance
from tests import factories
from tests.benchmarks.key_rotation import measure
from tests.benchmarks.storage_figures import Figure
from tests.benchmarks.storage_sitting import Sitting
from tests.fakes.journey_house import DESK, PACS, JourneyHouse, arrival, open_house

KEYS = 100_000
INSTANCES = 2_000


def rotation(sitting: Sitting) -> Iterator[Figure]:
    """Bring every case key under a new version of the master key; no object is touched (E6)."""
    keys = KEYS // 100 if sitting.quick else KEYS
    took = tuple(measure(keys)["seconds"] for _ in range(min(sitting.runs, 5)))
    yield Figure(words=f"Rotation, {keys:,} case keys (SQLite)", unit="s", ours=took, wanted="≤ 60 s")


def forgetting(sitting: Sitting) -> Iterator[Figure]:
    """Forget a case with so many instances, until the answer: its keys and rows are gone, the rest is owed (E8)."""
    count = INSTANCES // 100 if sitting.quick else INSTANCES
    took = []
    for number in range(min(sitting.runs, 5)):
        folder = sitting.folder / f"home{number}"
        folder.mkdir(mode=0o700)
        house = open_house(folder)
        try:
            ref = _case_with(house, count)
            began_s = time.perf_counter()
            forget_case(ref=ref, confirm=ref, by=DESK, records=house.records, store=house.store)
            took.append(time.perf_counter() - began_s)
        finally:
            house.close()
            shutil.rmtree(folder)
    yield Figure(
        words=f"Forgetting a case of {count:,} instances", unit="s", ours=tuple(took), wanted="≤ 2 s"
    )


def _case_with(house: JourneyHouse, count: int) -> str:
    """Open a case and give it one real instance and copies of its row, each with an object of its own."""
    case = house.case()
    receive_instance(
        arrival(factories.ct_instance(), called_ae=case.ref),
        source=PACS,
        **house.ports("records", "store", "clock", "policy"),
    )
    (instance,) = house.rows("instances")
    with house.records.view() as view:
        key = view.key(instance.holder, "originals")
    with house.records.change(by=DESK) as change:
        for number in range(1, count):
            ref = house.store.seal(BytesIO(b"x" * 100), key=key, kind="original")
            change.instances.add(
                replace(
                    instance,
                    id=f"i{number}",
                    sop_key=f"k{number}",
                    sender_key=f"s{number}",
                    object_id=ref.object_id,
                    digest=ref.digest,
                    size_bytes=ref.size_bytes,
                )
            )
        change.note("case_read")
    return case.ref
