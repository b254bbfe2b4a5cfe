"""A house of records and sealed objects in a folder of its own."""

import pytest

from tests.fakes.journey_house import open_house


@pytest.fixture
def house(tmp_path):
    made = open_house(tmp_path)
    yield made
    made.close()
