"""How the house finds again what it may not write in the clear: keyed digests of UIDs, e-mail addresses and codes."""

from __future__ import annotations

import hashlib
import hmac

from gateway.domain.case import Case
from gateway.domain.errors import NotFoundError
from gateway.domain.ids import normal_case_ref
from gateway.ports import Change, Records, View
from storage import SealedStore, WrappedKey

HOUSE_HOLDER = "house"
HOUSE_PURPOSE = "records"


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
    found = view.cases.first(ref=normal_case_ref(ref)) or view.cases.first(id=ref)
    if found is None:
        raise NotFoundError(f"there is no case {ref[:20]}")
    return found


def originals_key(records: Records, holder: str) -> WrappedKey:
    """Return the key that seals what came in for this holder."""
    with records.view() as view:
        return view.key(holder, "originals")
