"""Puts the desk together: sign-in, board, inbox, case, findings, releases and audit over one house."""

from __future__ import annotations

from functools import partial

from gateway.domain.trouble import trouble_of
from gateway.doors.desk.audit import AuditPages
from gateway.doors.desk.board import BoardPages
from gateway.doors.desk.cases import CasePages
from gateway.doors.desk.commitments import CommitmentPages
from gateway.doors.desk.conformance import ConformancePage
from gateway.doors.desk.deliveries import DeliveryPages
from gateway.doors.desk.findings import FindingPages
from gateway.doors.desk.forgetting import ForgettingPages
from gateway.doors.desk.inbox import InboxPages
from gateway.doors.desk.moves import CaseMoves
from gateway.doors.desk.peers import PeerPages
from gateway.doors.desk.releases import ReleasePages
from gateway.doors.desk.rules import RulePages
from gateway.doors.desk.staff import ADMITTED, Desk
from gateway.doors.desk.store import StorePages
from gateway.doors.desk.store_words import TROUBLES
from gateway.doors.http import Door, DoorConfig, Guard
from gateway.doors.staff_sign_in import SignInPages
from gateway.doors.troubles import Troubles
from gateway.ports import House
from storage import StorageError


def desk_app(house: House, config: DoorConfig) -> Guard:
    """Return the desk as one ASGI app below ``config.prefix``."""
    desk = Desk(Door("desk", package="gateway.doors.desk", config=config), house)
    desk.door.on_store_error = partial(_said, Troubles(house, "desk"))
    SignInPages(desk.door, house, roles=ADMITTED, who=partial(desk.who, roles=ADMITTED))
    BoardPages(desk)
    InboxPages(desk)
    CasePages(desk)
    CaseMoves(desk)
    ForgettingPages(desk)
    FindingPages(desk)
    RulePages(desk)
    ReleasePages(desk)
    DeliveryPages(desk)
    PeerPages(desk)
    CommitmentPages(desk)
    AuditPages(desk)
    ConformancePage(desk)
    StorePages(desk)
    return desk.door.asgi()


def _said(troubles: Troubles, error: StorageError) -> tuple[str, str] | None:
    """Note what is out, and return what staff are told of it: also where no other page can be shown."""
    troubles.refused(error)
    kind = trouble_of(error)
    return TROUBLES[kind] if kind else None
