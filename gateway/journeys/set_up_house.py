"""Setting up a home: the house's own key, once; later calls find it and change nothing."""

from __future__ import annotations

from contextlib import suppress

from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.people import HOUSE
from gateway.journeys.lookup import HOUSE_HOLDER, HOUSE_PURPOSE
from gateway.ports import Records
from storage import SealedStore


def set_up_house(*, records: Records, store: SealedStore) -> bool:
    """Make the key under which the house seals what belongs to no case; True when this call made it."""
    try:
        with records.view() as view:
            view.key(HOUSE_HOLDER, HOUSE_PURPOSE)
    except NotFoundError:
        pass
    else:
        return False
    key = store.new_key(holder=HOUSE_HOLDER, purpose=HOUSE_PURPOSE)
    with (
        suppress(ConflictError),
        records.change(by=HOUSE) as change,
    ):  # another process may set it up at the same moment
        change.add_key(key, case_id=None)
        change.note("house_opened")
        return True
    return False
