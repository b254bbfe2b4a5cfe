"""Opening a release: the right is checked and the access noted before the first byte; then members are read by range."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.package import PackageEntry, PackageLayout
from gateway.domain.people import Actor
from gateway.domain.release import Manifest, Release
from gateway.journeys.lookup import case_by_ref
from gateway.journeys.make_copy import COPY_KIND
from gateway.journeys.open_case import move_case
from gateway.ports import Clock, Records
from storage import SealedRef, SealedStore, WrappedKey

MANIFEST_KIND = "manifest"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A case package that can be read from any byte: its length and tag are known before a member is opened."""

    name: str
    manifest: Manifest
    layout: PackageLayout
    store: SealedStore
    key: WrappedKey

    @property
    def total_bytes(self) -> int:
        return self.layout.total_bytes

    @property
    def etag(self) -> str:
        return self.layout.etag

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``end`` (exclusive), touching only the members needed."""
        return self.layout.read(start, self.total_bytes if end is None else end, self._member)

    def _member(self, index: int, offset: int, length: int) -> Iterator[bytes]:
        with self.store.open(
            self.manifest.entries[index].content.ref, key=self.key, kind=COPY_KIND
        ) as reader:
            reader.seek(offset)
            while length:
                block = reader.read(min(length, _BLOCK))
                length -= len(block)
                yield block


def permitted(release_id: str, *, person_id: str, address: str, records: Records, clock: Clock) -> Release:
    """Return an approved release that this person holds a grant for; else it does not exist for her, and that is noted."""
    now = clock.now()
    with records.view() as view:
        release = view.releases.first(id=release_id, state="approved")
        grants = view.grants.find(release_id=release_id, person_id=person_id)
        person = view.people.first(id=person_id, disabled_at=None)
    if (
        release
        and person
        and any(g.permits(person_id=person_id, release_id=release_id, now=now) for g in grants)
    ):
        return release
    with records.change(by=Actor(kind="staff", id=person_id, address=address)) as change:
        change.note("access_refused", subject=release_id[:32], outcome="refused")
    raise NotFoundError("there is no such release for you", next_step="Ask the coordinator to grant it.")


def open_release(
    release_id: str, *, person_id: str, address: str, records: Records, store: SealedStore, clock: Clock
) -> tuple[Release, Manifest]:
    """Return what a release holds, for the reviewer's page. The first opening moves the case to «in review»."""
    release = permitted(release_id, person_id=person_id, address=address, records=records, clock=clock)
    with records.change(by=Actor(kind="staff", id=person_id, address=address)) as change:
        case = change.cases.get(release.case_id)
        if case.state == "released":
            move_case(change, case, "open", now=clock.now())
        change.note("release_opened", case_id=release.case_id, subject=release.id, number=release.number)
    return release, read_manifest(release, records=records, store=store)


def download_release(
    release_id: str,
    *,
    person_id: str,
    address: str,
    span: str,
    records: Records,
    store: SealedStore,
    clock: Clock,
) -> Package:
    """Return the package for sending. The audit event is committed before the first byte can be read (A11).

    ``span`` is what was asked for, «all» or a byte range, and stands in the event.
    """
    release = permitted(release_id, person_id=person_id, address=address, records=records, clock=clock)
    with records.change(by=Actor(kind="staff", id=person_id, address=address)) as change:
        change.note(
            "release_downloaded",
            case_id=release.case_id,
            subject=release.id,
            number=release.number,
            span=span[:60],
        )
    return _package(release, records=records, store=store)


def export_release(
    *, ref: str, number: int | None, by: Actor, records: Records, store: SealedStore
) -> Package:
    """Return the package of an approved release (the newest, or the one with this number) for the operator to write."""
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        wanted = {"number": number} if number else {}
        release = change.releases.first(case_id=case.id, state="approved", order="-number", **wanted)
        if release is None:
            raise ConflictError(
                f"case {case.ref} has no approved release",
                next_step="Build one with `release build`, approve it with `release approve`.",
            )
        change.note("release_exported", case_id=case.id, subject=release.id, number=release.number)
    return _package(release, records=records, store=store)


def read_manifest(release: Release, *, records: Records, store: SealedStore) -> Manifest:
    """Return the sealed manifest; one that is not what was approved is refused."""
    with records.view() as view:
        key = view.key(release.holder, "releases")
    return opened_manifest(release, key=key, store=store)


def opened_manifest(release: Release, *, key: WrappedKey, store: SealedStore) -> Manifest:
    """Open a manifest with the key of its release, and hold it against the digest."""
    ref = SealedRef(
        object_id=release.manifest_object_id,
        size_bytes=release.manifest_size_bytes,
        digest=release.manifest_mac,
        generation=1,
    )
    with store.open(ref, key=key, kind=MANIFEST_KIND) as reader:
        manifest = Manifest.from_json(json.loads(reader.read()))
    if manifest.digest() != release.manifest_digest:
        raise ConflictError(
            "the manifest is not the one that was approved",
            next_step="Run `consilium audit verify` and build anew.",
        )
    return manifest


def _package(release: Release, *, records: Records, store: SealedStore) -> Package:
    manifest = read_manifest(release, records=records, store=store)
    with records.view() as view:
        key = view.key(release.holder, "releases")
    layout = PackageLayout(
        [PackageEntry(name=e.name, size_bytes=e.size_bytes, crc32=e.crc32) for e in manifest.entries]
    )
    return Package(
        name=f"{manifest.case_ref}-v{release.number}.zip",
        manifest=manifest,
        layout=layout,
        store=store,
        key=key,
    )
