"""The form of a peer: its fields as text, turned into what the journeys take; it judges no value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from gateway.domain.amount import bytes_of, number_of, said_bytes
from gateway.domain.peer import Peer
from gateway.doors.http import Form

LISTS = ("hosts", "called", "names", "sop_classes", "transfer_syntaxes")
RIGHTS = ("may_echo", "may_store", "may_commit", "may_receive")
FLAGS = (*RIGHTS, "calls_by_tls")
_LINE, _LONG = 300, 20_000


def slug_of(ae_title: str) -> str:
    """Return the title as a step of an address: an AE title may hold slashes, spaces and per cent signs."""
    return quote(ae_title, safe="").replace("~", "%7E").replace("%", "~")


def title_of(slug: str) -> str:
    """Return the title that a step of an address names; nonsense names no peer."""
    return unquote(slug[:80].replace("~", "%"), errors="replace")[:16]


def given(source: Peer | Form | None, asked: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the fields as they stand in the form: those of a peer, those just sent, or those of a new one."""
    if isinstance(source, Form):
        texts = {name: source.text(name, at_most=_LONG) for name in _TEXTS}
        return {**texts, **{name: name in source for name in FLAGS}}
    if source is None:
        known = {name: (asked or {}).get(name, "")[:_LINE] for name in ("ae_title", "hosts")}
        return {
            **dict.fromkeys(_TEXTS, ""),
            **dict.fromkeys(FLAGS, False),
            "may_echo": True,
            "may_store": True,
            "may_commit": True,
            **known,
        }
    return {
        **{name: "\n".join(getattr(source, name)) for name in LISTS},
        **{name: getattr(source, name) for name in FLAGS},
        "ae_title": source.ae_title,
        "address": source.address,
        "description": source.description,
        "max_associations": str(source.max_associations or ""),
        "max_instance_bytes": said_bytes(source.max_instance_bytes) if source.max_instance_bytes else "",
        "day_bytes": said_bytes(source.day_bytes) if source.day_bytes else "",
        "certificate": "",
    }


def changes(form: Form) -> dict[str, Any]:
    """Return what the form says, as fields of a peer."""
    return {
        **{name: form.text(name, at_most=_LONG).split("\n") for name in LISTS},
        **{name: name in form for name in FLAGS},
        "address": form.text("address", at_most=_LINE),
        "description": form.text("description", at_most=_LINE),
        "max_associations": number_of(form.text("max_associations", at_most=_LINE)),
        "max_instance_bytes": bytes_of(form.text("max_instance_bytes", at_most=_LINE)),
        "day_bytes": bytes_of(form.text("day_bytes", at_most=_LINE)),
    }


_TEXTS = (
    *LISTS, "ae_title", "address", "description", "max_associations", "max_instance_bytes", "day_bytes", "certificate",
)  # fmt: skip
