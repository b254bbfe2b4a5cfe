"""Sending a release to a PACS: only what is approved, only to who may have it, each instance once, and an end when it is taken back."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from pydicom import dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node.scu import Patience
from gateway.domain import delivery as words
from gateway.domain.calls import CallRules
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.peer import Peer
from gateway.domain.release import Manifest
from gateway.journeys import ask_delivery as ways
from gateway.journeys import deliver_release as sending
from gateway.journeys import open_release, release_case
from gateway.journeys.deliver_release import deliver_release
from gateway.journeys.forget_case import forget_case
from gateway.journeys.receive_instance import receive_instance
from storage import SealBrokenError
from tests import factories
from tests.fakes.journey_house import DESK, PACS, Killed, arrival

QUICK = Patience(setbacks=2, wait_s=0.05, most_wait_s=0.1)
TO = "REVIEWPACS"


class Pacs:
    """A reviewer's PACS that remembers each instance that it took, and answers as it is told."""

    def __init__(self):
        self.taken, self.calls, self.associations = [], 0, 0
        self.data_sets = []
        self.answer = lambda number: 0x0000
        self.before = lambda number, event: None
        self._server, self.port = None, 0

    def start(self):
        entity = AE(ae_title=TO)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]
        self._server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server = None

    def _accepted(self, _event):
        self.associations += 1

    def _store(self, event):
        self.calls += 1
        self.before(self.calls, event)
        status = self.answer(self.calls)
        if status in (0x0000, 0xB000, 0xB006, 0xB007):
            self.taken.append(str(event.request.AffectedSOPInstanceUID))
            self.data_sets.append(event.dataset)
        return status


@pytest.fixture
def pacs():
    made = Pacs()
    made.start()
    yield made
    made.stop()


class Sender:
    """A case with a release of some instances, and a peer to send it to."""

    def __init__(self, house, port, *, count=6):
        self.house, self.case = house, house.case()
        self.receive(*range(1, count + 1))
        house.work()
        self.peer(port)

    def receive(self, *numbers):
        for number in numbers:
            receive_instance(
                arrival(factories.ct_instance(number=number), called_ae=self.case.ref),
                source=PACS, **self.house.ports("records", "store", "clock", "policy"),
            )  # fmt: skip

    def peer(self, port, **values):
        fixed = {"ae_title": TO, "may_receive": True, "address": f"127.0.0.1:{port}"}
        peer = Peer(**(fixed | {"created_at": self.house.clock.now()} | values))
        with self.house.records.change(by=DESK) as change:
            change.peers.remove(ae_title=peer.ae_title)
            change.peers.add(peer)
            change.note("peer_added", subject=peer.ae_title)

    def build(self):
        ports = self.house.ports("records", "store", "sandbox", "clock")
        return release_case.build_release(ref=self.case.ref, by=DESK, **ports)

    def approve(self):
        ports = self.house.ports("records", "store", "clock", "policy")
        return release_case.approve_release(ref=self.case.ref, by=DESK, **ports)[0]

    def withdraw(self, release):
        release_case.withdraw_release(
            release_id=release.id, by=DESK, **self.house.ports("records", "clock")
        )

    def ask(self, **values):
        fixed = {"ref": self.case.ref, "to": TO, "by": DESK, "calls": CallRules()}
        return ways.ask_delivery(**(fixed | values), **self.house.ports("records", "clock", "policy"))

    def deliver(self, delivery, **values):
        fixed = {"calls": CallRules(), "patience": QUICK}
        ports = self.house.ports("records", "store", "clock", "policy")
        deliver_release(delivery.id, **(fixed | ports | values))
        return self.row(delivery)

    def row(self, delivery):
        return self.house.rows("deliveries", id=delivery.id)[0]

    def uids(self):
        """The new UIDs of the instances of the case."""
        return sorted(
            copy.index["SOPInstanceUID"] for copy in self.house.rows("copies") if copy.subject_kind == "instance"
        )

    def told(self):
        return [(e.kind, e.outcome) for e in self.house.events() if e.kind.startswith("delivery_")]


@pytest.fixture
def sender(house, pacs):
    made = Sender(house, pacs.port)
    made.build()
    made.release = made.approve()
    return made


def test_a_release_arrives_whole_and_each_step_is_told(sender, pacs):
    asked = sender.ask()
    assert sender.told() == [("delivery_asked", "ok")]
    row = sender.deliver(asked)
    assert (row.state, row.sent, row.total, row.failed, row.error) == ("sent", 6, 6, 0, "")
    assert sorted(pacs.taken) == sender.uids()
    assert sender.told() == [
        ("delivery_asked", "ok"), ("delivery_progressed", "begun"), ("delivery_progressed", "ok"),
        ("delivery_ended", "ok"),
    ]  # fmt: skip
    assert all(outcome == ["0000", ""] for outcome in row.outcomes.values())
