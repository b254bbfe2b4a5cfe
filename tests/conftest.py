"""Which tests may run beside which, where the runner has two processes (`make test`).

Those that start servers and clients run one after the other in one process, as on a machine of their own; the others are
spread file by file over the rest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Folders whose tests measure, kill or flood what they started: they stand none of their kind beside them.
ONE_BY_ONE = frozenset({"abuse", "contracts", "functional", "fuzz", "journeys"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(HERE)
        group = "one by one" if place.parts[0] in ONE_BY_ONE else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
