"""A house with a coordinator, for whoever looks at the desk's pages."""

import pytest

from tests.fakes.staffed_house import make_house


@pytest.fixture
def staffed(tmp_path):
    house = make_house(tmp_path)
    house.add("coordinator", "desk@example.org")
    yield house
    house.close()
