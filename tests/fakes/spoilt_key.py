"""A wrapped key that a disk or a hand has spoilt in its row, as every process sees it that starts afterwards."""

from dataclasses import replace
from typing import Any

from storage import KekRef
from tests.fakes.journey_house import DESK

_NOTHING = KekRef(kek_id="", kek_version=0)


def spoil_key(house: Any, holder: str, purpose: str = "originals") -> None:
    """Flip a bit of it, and drop what this process remembers of keys. ``house`` has ``records`` and ``store``."""
    with house.records.view() as view:
        keys = view.older_keys(_NOTHING, limit=1000)
    key = next(one for one in keys if (one.holder, one.purpose) == (holder, purpose))
    with house.records.change(by=DESK) as change:
        spoilt = replace(key, blob=key.blob[:-1] + bytes([key.blob[-1] ^ 1]))
        assert change.replace_keys([(key, spoilt)]) == 1
        change.note("case_read")
    start_afresh(house)


def start_afresh(house: Any) -> None:
    """Remember no key, as after a restart."""
    house.records._ring._known.clear()
    house.store._cache._entries.clear()
