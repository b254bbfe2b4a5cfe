"""The master keys at hand held against the records: keys of before, or a version that was made twice, are used for nothing (0040).

A key file from an old backup knows nothing of the versions after it. Its next rotation would make one of them a second time,
with another secret: what is wrapped under that opens with no other file, and the true file opens none of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.domain.epoch import OtherKeysError
from gateway.ports import Change, Records, View
from storage import KekRef, MasterKeys

# What another process has just made is seen by everybody after so long (the port of the keys says a second).
SETTLE_S = 1.2


def refuse_other_keys(
    *, records: Records, masters: MasterKeys, pause: Callable[[float], None] = time.sleep
) -> None:
    """Refuse master keys that end before the versions the records know, or whose secret is not the one they know.

    The newest version that both know is tried: a key file with that one's true secret descends from the one that made it.

    Raises
    ------
    OtherKeysError
        Older keys, or another secret under an equal number.
    KeyServiceError
        The keys cannot be reached just now; nothing is said of them.
    """
    with records.view() as view:  # before the keys are asked: what the records know was made before
        known = _newest_known(view)
        probes = {
            KekRef(kek_id=epoch.kek_id, kek_version=epoch.kek_version): epoch.probe
            for epoch in view.epochs.find(destroyed_at=None)
        }
    current = masters.current()
    if known.get(current.kek_id, 0) > current.kek_version:
        pause(SETTLE_S)
        current = masters.current()
    newest = known.get(current.kek_id, 0)
    if newest > current.kek_version:
        raise OtherKeysError(
            f"the master keys are older than the records: they end at version {current.kek_version},"
            f" the records know version {newest}"
        )
    for kek in reversed(masters.versions()):
        probe = probes.get(kek)
        if probe is None:
            continue
        if not masters.opens_probe(probe, kek=kek):
            raise OtherKeysError(
                f"version {kek.kek_version} of the master keys is not the one that the records know: the number is the"
                " same, the secret is another"
            )
        return


def _newest_known(view: View | Change) -> dict[str, int]:
    """Return the newest version of each master key that an epoch or a wrapped key names."""
    named = [*view.epochs.pick(("kek_id", "kek_version"))]
    named += [(kek.kek_id, kek.kek_version) for kek in view.keys_by_version()]
    newest: dict[str, int] = {}
    for kek_id, version in named:
        newest[kek_id] = max(version, newest.get(kek_id, 0))
    return newest
