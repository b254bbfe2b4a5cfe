"""How the house finds again what it may not write in the clear: keyed digests of UIDs, e-mail addresses and codes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gateway.domain.case import Case
from gateway.domain.errors import NotFoundError, UnreadableError
from gateway.domain.ids import normal_case_ref
from gateway.ports import Change, Records, View
from gateway.ports.records import UNOPENED
from storage import SealedStore, WrappedKey

HOUSE_HOLDER = "house"
HOUSE_PURPOSE = "records"
UNREADABLE = "cannot be read: its key does not open, or its row is damaged"


def house_secret(view: View | Change, store: SealedStore, label: bytes) -> bytes:
    """Return 32 bytes that only this house can make, one for each ``label``."""
    return store.derive(key=view.key(HOUSE_HOLDER, HOUSE_PURPOSE), label=label)


def uid_key(view: View | Change, store: SealedStore, *parts: str) -> str:
    """Return the keyed digest under which a UID of a sender is found; a UID may carry a personal number."""
    return uid_key_under(house_secret(view, store, b"uid-index"), *parts)


def uid_key_under(secret: bytes, *parts: str) -> str:
    """Return ``uid_key`` for whoever derived the secret already."""
    return _keyed(secret, *parts)


def email_key(view: View | Change, store: SealedStore, email: str) -> str:
    """Return the keyed digest under which a member of staff is found by e-mail address."""
    return _keyed(house_secret(view, store, b"email-index"), email.strip().casefold())


def _keyed(secret: bytes, *parts: str) -> str:
    return hmac.new(secret, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()


def case_by_ref(view: View | Change, ref: str) -> Case:
    """Return the case with this reference, however it was typed; an id is taken too."""
    row = case_row(view, ref)
    with unreadable_said():
        return view.cases.get(row.id)


class CaseRow(NamedTuple):
    """What stands of a case in the clear: it can be told, and the case forgotten, when nothing of it opens any more."""

    id: str
    ref: str
    state: str
    opinion: str


def case_row(view: View | Change, ref: str) -> CaseRow:
    """Return the case with this reference or id without opening anything of it."""
    found = view.cases.pick(CaseRow._fields, ref=normal_case_ref(ref)) or view.cases.pick(
        CaseRow._fields, id=ref
    )
    if not found:
        raise NotFoundError(f"there is no case {ref[:20]}")
    return CaseRow(*found[0])


def case_rows(view: View | Change) -> list[CaseRow]:
    """Return all cases, newest first, without opening anything of them."""
    return [CaseRow(*row) for row in view.cases.pick(CaseRow._fields, order="-opened_at")]


@contextmanager
def unreadable_said() -> Iterator[None]:
    """Say of what does not open that it cannot be read; an outage of the key service passes as it is."""
    try:
        yield
    except UNOPENED as error:
        raise UnreadableError(UNREADABLE) from error


def originals_key(records: Records, holder: str) -> WrappedKey:
    """Return the key that seals what came in for this holder."""
    with records.view() as view:
        return view.key(holder, "originals")
