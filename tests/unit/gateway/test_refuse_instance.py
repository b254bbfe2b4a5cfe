"""Only a case that is unknown is the sender's mistake; what we cannot find ourselves is ours, and she is told to send again."""

from __future__ import annotations

import pytest

from dicom_node import status
from gateway.domain import errors
from gateway.journeys.place_study import find_place
from gateway.journeys.refuse_instance import refusal_of
from tests import factories
from tests.fakes.journey_house import PACS, arrival, open_house


@pytest.mark.parametrize("ours", ["study 1 was forgotten", "no key originals of 1", "no house 1"])
def test_what_we_cannot_find_ourselves_is_no_mistake_of_the_sender(ours):
    told = refusal_of(errors.NotFoundError(ours))
    assert told.status == status.OUT_OF_RESOURCES
    assert "again" in told.comment
    assert "AE title" not in told.comment


def test_a_called_title_that_names_no_case_is_told_as_such(tmp_path):
    house = open_house(tmp_path)
    with pytest.raises(errors.NotFoundError) as raised:
        find_place(
            arrival(factories.ct_instance(), called_ae="C-00000000"),
            source=PACS,
            case=None,
            records=house.records,
            store=house.store,
        )
    house.close()
    told = refusal_of(raised.value)
    assert (told.status, told.comment) == (
        status.NOT_AUTHORISED,
        "called AE title names no case that takes studies",
    )
