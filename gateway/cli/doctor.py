"""``consilium doctor``: asks every part how it is and says what is wrong and how to mend it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import typer

from gateway.cli.console import REFUSED, emit, spoken_errors, table
from gateway.cli.doctor_outside import (
    Check,
    certificate,
    home,
    revocation_lists,
    running,
    size,
    swap,
    text_in_pictures,
    tried,
    without_house,
)
from gateway.cli.frame import composed, settings_of
from gateway.cli.keys import key_health
from gateway.compose import Parts
from gateway.compose.s3 import s3_objects
from gateway.domain.errors import ConsiliumError, UnavailableError
from gateway.journeys.show_peer import expiring_pins
from gateway.journeys.show_store import show_store
from gateway.journeys.tell_trouble import standing_troubles
from storage import SealedRef, StorageError, StoreOutageError

_SWEEP_LATE = timedelta(days=2)
_REMEDIES = {
    "low": "Make room (docs/operations.md); intake goes on by itself.",
    "failed": "Look at the kernel's log and at the device, then stop `consilium up` and start it again.",
    "away": "Mount the right volume, with writes; intake goes on by itself.",
}


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("doctor", help="Ask every part how it is; exit code 1 if anything is wrong.")(doctor)


def doctor(ctx: typer.Context) -> None:
    """Check the home, the keys, the store, the records, the sandbox and what runs."""
    with spoken_errors(ctx):
        try:
            with composed(ctx) as parts:
                checks = _whole(parts)
        except (UnavailableError, StorageError) as error:  # as much as can be asked without a house
            checks = without_house(settings_of(ctx), error)
        rows = [(state, what, told) for what, state, told in checks]
        data = {
            "ok": all(state != "wrong" for _, state, _ in checks),
            "checks": [{"what": w, "state": s, "detail": t} for w, s, t in checks],
        }
        emit(ctx, data=data, human=table("", "part", "", rows=rows))
    if not data["ok"]:
        raise typer.Exit(REFUSED)


def _whole(parts: Parts) -> list[Check]:
    settings, now = parts.settings, parts.house.clock.now()
    return [
        *home(settings),
        *_room(parts),
        swap(),
        text_in_pictures(),
        *_craft(parts),
        *_troubles(parts),
        *certificate(settings, now),
        *revocation_lists(settings, now),
        *running(settings),
    ]


def _troubles(parts: Parts) -> list[Check]:
    """Tell what other parts had to refuse in the last minutes: each of them sees the store for itself."""
    house = parts.house
    return [
        (
            f"trouble, {one.kind}",
            "wrong",
            f"{', '.join(one.doors)}: refused last {one.last_at:%H:%M} UTC, since {one.since:%Y-%m-%d %H:%M}"
            if one.last_at and one.since
            else f"{', '.join(one.doors)}: waits for it",
        )
        for one in standing_troubles(records=house.records, clock=house.clock)
    ]


def _room(parts: Parts) -> list[Check]:
    """What room each place has, how much of it is kept back, and whether the ballast is there."""
    checks: list[Check] = []
    for place, room, reserve, lack in parts.gauge.told():
        if lack is not None:
            told = f"{lack}: nothing new is taken in. {_REMEDIES[lack.is_of]}"
            checks.append((f"room, {place}", "wrong", told))
        elif room is None:
            checks.append(
                (
                    f"room, {place}",
                    "ok",
                    "only the server itself can tell; when it refuses, senders are told to wait",
                )
            )
        else:
            told = f"{size(room.free_bytes)} free, the last {size(reserve)} are kept back"
            checks.append((f"room, {place}", "ok" if room.free_bytes >= 2 * reserve else "warning", told))
    if missing := [str(one.path) for one in parts.gauge.ballasts if not one.is_whole]:
        told = f"not there: {', '.join(missing)}; the scheduler makes it when there is room"
        checks.append(("ballast", "warning", told))
    return checks


def _craft(parts: Parts) -> list[Check]:
    house = parts.house
    confinement: dict[str, Any] = {}

    def sandbox() -> str:
        confinement.update(house.sandbox.describe())
        missing = [k for k in ("network", "files", "system_calls") if not confinement.get(k)]
        if missing:
            raise ConsiliumError(f"without: {', '.join(missing)}", next_step="A newer kernel confines more.")
        return f"{confinement['network']}; {confinement['files']}; {confinement['system_calls']}"

    def failed_jobs() -> str:
        with house.records.view() as view:
            count = view.jobs.count(state="failed")
        if count:
            raise ConsiliumError(
                f"{count} jobs failed for good",
                next_step="See `consilium job list`, then `consilium job retry`.",
            )
        return "none failed"

    is_dark = False

    def store() -> str:
        nonlocal is_dark
        try:
            house.store.probe()
        except StoreOutageError:
            is_dark = True
            raise
        return "sealed, read and removed a probe"

    def records() -> str:
        with house.records.view() as view:
            events, cases = view.head()[0], view.cases.count()
        if not events:
            raise ConsiliumError("the audit trail is empty", next_step="Restore the records from a backup.")
        return f"{events} audit events, {cases} cases; `consilium audit verify` reads them all"

    probed = tried("store", store)
    # A server that does not answer is waited for once, and not three times.
    asked = [] if is_dark else [*_bucket(parts), tried("sealed objects", lambda: _newest_object(parts))]
    return [
        probed,
        *asked,
        tried("keys", lambda: _keys(parts)),
        tried("master keys", lambda: key_health(parts), else_state="warning"),
        _truth(parts),
        tried("records", records),
        tried("sandbox", sandbox, else_state="warning"),
        tried("jobs", failed_jobs, else_state="warning"),
        tried("backups", lambda: _backups(parts), else_state="warning"),
        tried("peers' certificates", lambda: _peers(parts), else_state="warning"),
    ]


def _bucket(parts: Parts) -> list[Check]:
    """What the S3 server of the objects lacks, shown by its effects; nothing where they are on a disk."""
    objects = s3_objects(parts.settings)
    if objects is None:
        return []

    def probe() -> str:
        objects.probe()
        return "it does all that is asked of it"

    check = tried("objects in S3", probe)
    return [("objects in S3", "warning", f"the server {told}") for told in objects.remarks] or [check]


def _keys(parts: Parts) -> str:
    """Unwrap a key that is in use: a key file that is valid, but another house's, shows here."""
    house = parts.house
    with house.records.view() as view:
        house.store.derive(key=view.key("house", "records"), label=b"doctor")
        case = view.cases.first(order="-opened_at")
    return "the house's key opens" + (", the newest case's too" if case else "")


def _peers(parts: Parts) -> str:
    """Tell of peers whose last certificate ends within 30 days: with its end they cannot come any more (N2)."""
    house = parts.house
    ending = expiring_pins(records=house.records, clock=house.clock)
    if not ending:
        return "none ends within 30 days"
    told = ", ".join(
        f"{peer.ae_title} {'has expired' if pin.expiry == 'expired' else f'in {pin.days_left} days'}"
        for peer, pin in ending
    )
    raise ConsiliumError(
        f"certificates end: {told}",
        next_step="Ask for the next one and bind it: consilium peer pin AET FILE.",
    )


def _backups(parts: Parts) -> str:
    """Tell when the last backup was made and verified; a trial need not have any, but who began goes on."""
    now, warn_days = parts.house.clock.now(), parts.settings.backup_warn_days
    with parts.house.records.view() as view:
        last = view.backups.first(order="-made_at")
        known = view.backups.pick(("verified_at",), order="-verified_at")
    if last is None:
        if parts.settings.mode != "production":
            return "none was made yet; `consilium backup create --to DIR` makes one"
        raise ConsiliumError(
            "none was made yet", next_step="Run `consilium backup create --to DIR` every day."
        )
    hours = int((now - last.made_at).total_seconds() // 3600)
    verified = max((at for (at,) in known if at is not None), default=None)
    told = f"{last.id} in {last.place}, {hours} h ago; " + (
        f"verified last on {verified:%Y-%m-%d}" if verified else "none was verified yet"
    )
    if now - last.made_at > timedelta(days=warn_days):
        raise ConsiliumError(
            f"the last is {told}", next_step="Run `consilium backup create --to DIR` every day."
        )
    if last.missing:
        raise ConsiliumError(
            f"{told}; {last.missing} objects were lost before it",
            next_step="See `consilium store scrub` and earlier backups.",
        )
    return told


def _truth(parts: Parts) -> Check:
    """Tell what is known of rows and objects; wrong where something is lost, else a warning where nobody looks."""
    what, state = "rows and objects", show_store(records=parts.house.records)
    if state.lost:
        told = f"{state.lost} objects are lost or damaged — See `consilium store show`, and bring them back from a backup."
        return what, "wrong", told
    swept = f"{state.swept_at:%Y-%m-%d %H:%M}" if state.swept_at else "never"
    scrubbed = f"{state.scrubbed_at:%Y-%m-%d}" if state.scrubbed_at else "never"
    told = f"{state.objects} objects, none known lost; last sweep {swept}, last full scrub {scrubbed}"
    late = state.objects and (
        state.swept_at is None or parts.house.clock.now() - state.swept_at > _SWEEP_LATE
    )
    if late:
        return what, "warning", f"{told} — Does the scheduler run? `consilium store sweep` looks now."
    if state.orphans:
        return what, "warning", f"{told}; {state.orphans} without a row — See `consilium store show`."
    return what, "ok", told


def _newest_object(parts: Parts) -> str:
    """Open the newest received object and read it to its end."""
    house = parts.house
    with house.records.view() as view:
        newest = view.instances.first(order="-received_at")
        if newest is None:
            return "none yet"
        key = view.key(newest.holder, "originals")
    ref = SealedRef(
        object_id=newest.object_id,
        size_bytes=newest.size_bytes,
        digest=newest.digest,
        generation=newest.generation,
    )
    house.store.verify(ref, key=key, kind="original")
    return "the newest one opens and verifies"
