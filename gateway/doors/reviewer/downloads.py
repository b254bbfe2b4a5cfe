"""Sending a release's package, or one of its files: the event is committed before the first byte, every range is one access."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import NotFoundError
from gateway.domain.package import PackageEntry, PackageLayout
from gateway.domain.release import Manifest, ManifestEntry, Release
from gateway.doors.http import download
from gateway.doors.reviewer.visitor import ReviewRoom, Visitor
from gateway.journeys.open_release import download_release, permitted, read_manifest
from gateway.journeys.show_release import read_entry


class Downloads:
    """The routes that send bytes, always as attachments."""

    def __init__(self, room: ReviewRoom) -> None:
        self.room = room
        routes = room.door.routes
        for methods, package, file in (
            (["GET"], self.package, self.file),
            (["HEAD"], self.package_head, self.file_head),
        ):
            routes.add_api_route("/releases/{release_id}/package.zip", package, methods=methods)
            routes.add_api_route("/releases/{release_id}/files/{number}", file, methods=methods)

    def package(self, request: Request, release_id: str) -> Response:
        """Send the ZIP64, or the one range that was asked for."""
        who, house = self.room.who(request), self.room.house
        package = download_release(
            release_id,
            person_id=who.person.id,
            address=who.address,
            span=request.headers.get("range", "all"),
            records=house.records,
            store=house.store,
            clock=house.clock,
        )

        def source(start: int, length: int) -> Iterator[bytes]:
            return package.read(start, start + length)

        return download(
            request,
            source,
            size_bytes=package.total_bytes,
            etag=package.etag.strip('"'),
            name=package.name,
            media_type="application/zip",
        )

    def package_head(self, request: Request, release_id: str) -> Response:
        """Tell length and tag; nothing is read of any member, so nothing is noted as sent."""
        release, manifest = self._permitted(self.room.who(request), release_id)
        layout = PackageLayout(
            [PackageEntry(name=e.name, size_bytes=e.size_bytes, crc32=e.crc32) for e in manifest.entries]
        )
        return download(
            request,
            _nothing,
            size_bytes=layout.total_bytes,
            etag=layout.etag.strip('"'),
            name=f"{manifest.case_ref}-v{release.number}.zip",
            media_type="application/zip",
        )

    def file(self, request: Request, release_id: str, number: int) -> Response:
        """Send one file of the release."""
        who, house = self.room.who(request), self.room.house
        release, manifest = self._permitted(who, release_id)
        entry = _entry(manifest, number)
        download_release(
            release_id,
            person_id=who.person.id,
            address=who.address,
            span=f"file {number} {request.headers.get('range', 'all')}",
            records=house.records,
            store=house.store,
            clock=house.clock,
        )

        def source(start: int, length: int) -> Iterator[bytes]:
            return read_entry(entry, start, length, release=release, records=house.records, store=house.store)

        return download(
            request,
            source,
            size_bytes=entry.size_bytes,
            etag=entry.sha256,
            name=f"{manifest.case_ref}-v{release.number}-{entry.name.rpartition('/')[2]}",
        )

    def file_head(self, request: Request, release_id: str, number: int) -> Response:
        """Tell one file's length and digest."""
        release, manifest = self._permitted(self.room.who(request), release_id)
        entry = _entry(manifest, number)
        return download(
            request,
            _nothing,
            size_bytes=entry.size_bytes,
            etag=entry.sha256,
            name=f"{manifest.case_ref}-v{release.number}-{entry.name.rpartition('/')[2]}",
        )

    def _permitted(self, who: Visitor, release_id: str) -> tuple[Release, Manifest]:
        house = self.room.house
        release = permitted(
            release_id,
            person_id=who.person.id,
            address=who.address,
            records=house.records,
            clock=house.clock,
        )
        return release, read_manifest(release, records=house.records, store=house.store)


def _entry(manifest: Manifest, number: int) -> ManifestEntry:
    if not 0 <= number < len(manifest.entries):
        raise NotFoundError("there is no such file in this release", next_step="Go back to the release.")
    return manifest.entries[number]


def _nothing(start: int, length: int) -> Iterator[bytes]:
    return iter(())
