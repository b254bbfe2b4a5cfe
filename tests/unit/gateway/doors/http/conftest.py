"""A browser at the sample door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.door_client import Browser
from tests.unit.gateway.doors.http.sample import sample_door


@pytest.fixture(scope="session")
def door():
    return sample_door()


@pytest.fixture
def browser(door) -> Iterator[Browser]:
    with Browser(door) as browser:
        yield browser
