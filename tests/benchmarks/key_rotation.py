"""How long it takes to bring 100,000 case keys under a new version of the master key (E6: 60 s at most)."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.journeys.rotate_keys import rotate_keys
from storage import FileKeys, MasterKeys
from tests.fakes.journey_house import DESK, open_house

_AT_ONCE = 5000


def fill_with_keys(records: Any, store: Any, count: int) -> None:
    """Add as many wrapped keys as a house with that many cases has."""
    for start in range(0, count, _AT_ONCE):
        with records.change(by=DESK) as change:
            for number in range(start, min(start + _AT_ONCE, count)):
                change.add_key(store.new_key(holder=f"bench-{number:08}", purpose="originals"), case_id=None)
            change.note("case_read")


def measure(keys: int = 100_000, url: str = "") -> dict[str, float]:
    """Return the seconds of one rotation over so many keys, its settling time included, and what it moved."""
    folder = Path(tempfile.mkdtemp(prefix="key-rotation"))
    house = open_house(folder, url)
    try:
        fill_with_keys(house.records, house.store, keys)
        masters = MasterKeys(FileKeys(folder / "master.json"), tenant="consilium")
        began = time.perf_counter()
        done = rotate_keys(
            by=DESK, masters=masters, pause=time.sleep, **house.ports("records", "jobs", "clock")
        )
        return {"keys": keys, "moved": done.moved, "seconds": round(time.perf_counter() - began, 2)}
    finally:
        house.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--records", default="", help="postgresql://… of an empty database; SQLite without")
    given = parser.parse_args()
    print(json.dumps(measure(given.keys, given.records)))
