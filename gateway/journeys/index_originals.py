"""Finding originals among all that their sender ever sent: the key of each, also of those that version 1 kept without one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.domain.errors import NotFoundError
from gateway.domain.people import HOUSE
from gateway.journeys.lookup import house_secret, uid_key_under
from gateway.ports import Change, Records, View
from gateway.ports.records import UNOPENED
from storage import SealedStore

COLUMNS = ("id", "study_id", "sop_key", "sender_key")
_AT_ONCE = 500
# ``peer:AET>case``, ``peer:AET#2``: what keeps a sender's studies apart (`place_study`).
_APART = re.compile(r"(.+?)(>[0-9a-f]{32})?(#[0-9]+)?")


def index_originals(subject: str, *, records: Records, store: SealedStore) -> None:
    """Give every original that has none its sender's key; ``subject`` is the commitment that it is done for.

    Done where it is first needed, a few hundred in each transaction. One whose UID cannot be read any more gets the key of
    its study, which nobody asks for: it is not found, and not looked at again.
    """
    while True:
        with records.view() as view:
            # Ordered by what is searched for, or the database might walk all instances for the order's sake.
            rows = view.instances.pick(COLUMNS, sender_key="", order="sender_key", limit=_AT_ONCE)
            if not rows:
                return
            keys = sender_keys(view, rows, store=store)
        with records.change(by=HOUSE) as change:
            # A case may be forgotten meanwhile.
            left = change.instances.pick(("id",), id=list(keys), sender_key="")
            for (id_,) in left:
                change.instances.set(id_, sender_key=keys[id_])
            change.note("commitment_decided", subject=subject, outcome="not_yet", indexed=len(left))


def sender_keys(
    view: View | Change, rows: Sequence[tuple[str, str, str, str]], *, store: SealedStore
) -> dict[str, str]:
    """Return the sender's key of each instance by its id, whether its row (``COLUMNS``) has it or not."""
    found = {id_: key for id_, _, _, key in rows if key}
    without = [(id_, study_id, sop_key) for id_, study_id, sop_key, key in rows if not key]
    if not without:
        return found
    secret = house_secret(view, store, b"uid-index")
    titles = {f"peer:{title}" for (title,) in view.peers.pick(("ae_title",))}
    studies = view.studies.pick(("id", "sender"), id=list({study_id for _, study_id, _ in without}))
    senders: dict[str, str] = dict(studies)
    for id_, study_id, sop_key in without:
        sender = senders.get(study_id, "")
        source = sender if sender in titles else _source(sender)
        found[id_] = sop_key
        if source != sender:
            uid = _uid(view, id_)
            if uid_key_under(secret, sender, uid) == sop_key:
                found[id_] = uid_key_under(secret, source, uid)
    return found


def _source(sender: str) -> str:
    fits = _APART.fullmatch(sender)
    return fits[1] if fits else sender


def _uid(view: View | Change, instance_id: str) -> str:
    try:
        return view.instances.get(instance_id).head.get("sop_instance_uid", "")
    except (NotFoundError, *UNOPENED):  # its key was destroyed, or it is damaged
        return ""
