"""The onboarding sheet as one file that needs no other: the desk's own page with its style inside, for the command line and for mail."""

from __future__ import annotations

from importlib import resources
from zoneinfo import ZoneInfo

from markupsafe import Markup

from gateway.doors.desk import peer_words
from gateway.doors.http import Door, DoorConfig
from gateway.journeys.peer_sheet import PeerSheet


def sheet_html(sheet: PeerSheet, *, language: str, timezone: str, public_url: str) -> str:
    """Return the page in one language."""
    config = DoorConfig(
        prefix="/desk", public_url=public_url, default_language=language, timezone=ZoneInfo(timezone)
    )
    door = Door("desk", package="gateway.doors.desk", config=config)
    style = (resources.files("gateway.doors.desk") / "static" / "sheet.css").read_text(encoding="utf-8")
    tongue = door.tongues.pick(asked=language, cookies={}, accept="")
    return door.pages.render(
        "peer_sheet.html",
        tongue=tongue,
        sheet=sheet,
        css=Markup(style),  # noqa: S704  # our own file
        back="",
        peer_words=peer_words,
    )
