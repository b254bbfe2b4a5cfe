"""A case with images, a release of them, and a peer that it may be sent to; real records and sealed objects below it."""

from __future__ import annotations

from dicom_node.scu import Patience
from gateway.domain.calls import CallRules
from gateway.domain.peer import Peer
from gateway.journeys import ask_delivery as ways
from gateway.journeys import release_case
from gateway.journeys.deliver_release import deliver_release
from gateway.journeys.receive_instance import receive_instance
from tests import factories
from tests.fakes.journey_house import DESK, PACS, arrival

QUICK = Patience(setbacks=2, wait_s=0.05, most_wait_s=0.1)
TO = "REVIEWPACS"


class Sender:
    """A case with a release of some instances, and a peer to send it to."""

    def __init__(self, house, port, *, count=6, **values):
        self.house, self.case = house, house.case()
        self.receive(*range(1, count + 1), **values)
        house.work()
        self.peer(port)

    def receive(self, *numbers, **values):
        for number in numbers:
            receive_instance(
                arrival(factories.ct_instance(number=number, **values), called_ae=self.case.ref),
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
        release_case.withdraw_release(release_id=release.id, by=DESK, **self.house.ports("records", "clock"))

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
            copy.index["SOPInstanceUID"]
            for copy in self.house.rows("copies")
            if copy.subject_kind == "instance"
        )

    def told(self):
        return [(e.kind, e.outcome) for e in self.house.events() if e.kind.startswith("delivery_")]
