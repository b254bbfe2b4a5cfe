"""Doubts that lie on one another are proposed to a human once, and nothing of them is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.doors.desk.rules import _united


def box(left: int, top: int, width: int, height: int) -> dict[str, object]:
    return {"frame": 0, "left": left, "top": top, "width": width, "height": height, "state": "doubtful"}


def test_readings_of_one_scrawl_are_one_place_and_neighbours_stay_apart() -> None:
    found = _united(
        [box(34, 308, 178, 32), box(35, 308, 178, 32), box(400, 10, 60, 20), box(35, 309, 178, 33)]
    )
    assert [(one["left"], one["top"], one["width"], one["height"]) for one in found] == [
        (400, 10, 60, 20),
        (34, 308, 179, 34),
    ]
    lines = [box(10, 10, 100, 20), box(10, 28, 100, 20)]  # two lines of text that touch
    assert len(_united(lines)) == 2


@given(st.lists(st.tuples(*[st.integers(0, 90)] * 2, *[st.integers(1, 60)] * 2), max_size=12))
def test_each_doubt_lies_within_what_is_proposed(places: list[tuple[int, int, int, int]]) -> None:
    found = _united([box(*place) for place in places])
    for left, top, width, height in places:
        assert any(
            one["left"] <= left
            and one["top"] <= top
            and one["left"] + one["width"] >= left + width
            and one["top"] + one["height"] >= top + height
            for one in found
        )
