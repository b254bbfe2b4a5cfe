"""The register of what was forgotten: kept apart from the records, so that a restored backup can forget it again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.forgetting import Tombstone, read_register_line, register_line
from gateway.journeys.lookup import house_secret
from gateway.ports import Records, Register
from storage import SealedStore

_LABEL = b"forgotten-register"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRead:
    """What a register says: whose keys were destroyed, which certificates were given, how many lines are not this house's."""

    stones: tuple[Tombstone, ...]
    certificates: tuple[str, ...]
    unread: int


def keep_register(*, records: Records, store: SealedStore, register: Register) -> int:
    """Write what was forgotten and is not in the register yet; return how many lines. Safe from many processes: a line twice is one."""
    with records.view() as view:
        stones = view.tombstones()
        if not stones:
            return 0
        secret = house_secret(view, store, _LABEL)
        given = [text for (text,) in view.forgettings.pick(("certificate",), order="at") if text]
    lines = register.lines()
    written = {stone.holder for stone in _read(lines, secret) if isinstance(stone, Tombstone)}
    missing = [register_line(stone, secret=secret) for stone in stones if stone.holder not in written]
    missing += sorted(set(given).difference(lines))  # a restored home begins a register of its own
    if missing:
        register.append(missing)
    return len(missing)


def read_register(lines: Sequence[str], *, records: Records, store: SealedStore) -> RegisterRead:
    """Read a register with the house's key. A line of another hand is counted and not believed: it would destroy a case."""
    with records.view() as view:
        secret = house_secret(view, store, _LABEL)
    read = _read(lines, secret)
    stones = {stone.holder: stone for stone in read if isinstance(stone, Tombstone)}
    certificates = tuple(one for one in read if isinstance(one, str))
    return RegisterRead(
        stones=tuple(stones.values()), certificates=certificates, unread=sum(one is None for one in read)
    )


def _read(lines: Sequence[str], secret: bytes) -> list[Tombstone | str | None]:
    """Return a tombstone, a certificate's text or None for each line."""
    return [
        line if _is_certificate(line) else read_register_line(line, secret=secret) for line in lines if line
    ]


def _is_certificate(line: str) -> bool:
    try:
        value = json.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict) and "certificate" in value
