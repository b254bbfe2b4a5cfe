"""Counting connections, and summing up those that never became anything."""

import pytest

from dicom_node.ae import Limits
from dicom_node.receiver import AssociationEnd
from dicom_node.transport import EndReporter, SharedGate, address_group
from tests.unit.dicom_node.peers import KeepingReceiver


class Connection:
    def __init__(self, address="192.0.2.1", calling_ae="A", *, has_spoken=False):
        self.has_spoken = has_spoken
        self.id = str(id(self))
        self.address, self.calling_ae = address, calling_ae
        self.severed = False

    def sever(self, *_, **__):
        self.severed = True


def gate(**limits):
    return SharedGate(Limits(**limits), EndReporter(KeepingReceiver()))


def end(**changes):
    values = {"association_id": "x", "calling_ae": "", "called_ae": "", "address": "192.0.2.1", "how": "lost"}
    return AssociationEnd(**(values | {"instances_kept": 0, "why": ""} | changes))


def test_the_oldest_connection_of_an_address_makes_room_for_the_newest():
    shared = gate(max_pending_per_address=3)
    crowd = [Connection() for _ in range(5)]
    other = Connection("192.0.2.2")
    for connection in [other, *crowd]:
        shared.connect(connection)
    assert [c.severed for c in crowd] == [True, True, False, False, False]
    assert not other.severed


def test_the_oldest_of_all_makes_room_when_there_are_too_many_addresses():
    shared = gate(max_pending=3)
    crowd = [Connection(f"192.0.2.{n}") for n in range(5)]
    for connection in crowd:
        shared.connect(connection)
    assert [c.severed for c in crowd] == [True, True, False, False, False]


def test_who_says_nothing_makes_room_before_who_is_in_the_midst_of_a_handshake():
    shared = gate(max_pending=3)
    speaking, silent, late = (
        Connection(f"192.0.2.{n}", has_spoken=spoken) for n, spoken in enumerate((True, False, False))
    )
    for one in (speaking, silent, late, Connection("192.0.2.9")):
        shared.connect(one)
    assert [one.severed for one in (speaking, silent, late)] == [False, True, False]


def test_where_all_speak_the_oldest_makes_room():
    shared = gate(max_pending=2)
    first, second = (Connection(f"192.0.2.{n}", has_spoken=True) for n in range(2))
    for one in (first, second, Connection("192.0.2.9")):
        shared.connect(one)
    assert (first.severed, second.severed) == (True, False)


def test_an_association_is_counted_apart_and_never_dropped_for_a_connection():
    shared = gate(max_pending_per_address=2)
    first = Connection()
    shared.connect(first)
    assert shared.establish(first, None)
    for _ in range(5):
        shared.connect(Connection())
    assert not first.severed
    assert shared.counts() == (2, 1)


@pytest.mark.parametrize(
    ("limits", "most"),
    [({"max_associations": 2}, None), ({"max_associations_per_address": 2}, None), ({}, 2)],
)
def test_associations_beyond_a_limit_are_not_established(limits, most):
    shared = gate(**limits)
    outcomes = []
    for _ in range(3):
        connection = Connection()
        shared.connect(connection)
        outcomes.append(shared.establish(connection, most))
    assert outcomes == [True, True, False]
    other = Connection("192.0.2.9")
    shared.connect(other)
    assert shared.establish(other, most) == ("max_associations_per_address" in limits)


def test_a_peers_limit_holds_over_all_its_addresses_and_for_nobody_else():
    shared = gate()
    found = []
    for address, title in (
        ("192.0.2.1", "CT"),
        ("2001:db8::1", " CT "),
        ("192.0.2.3", "CT"),
        ("192.0.2.1", "MR"),
    ):
        connection = Connection(address, calling_ae=title)
        shared.connect(connection)
        found.append(shared.establish(connection, 2))
    assert found == [True, True, False, True]


def test_a_place_is_free_again_when_the_association_is_over():
    shared = gate(max_associations=1)
    first, second = Connection(), Connection()
    shared.connect(first)
    assert shared.establish(first, None)
    shared.leave(first)
    shared.connect(second)
    assert shared.establish(second, None)
    shared.gone(first)
    shared.gone(second)
    assert shared.counts() == (0, 0)


def test_a_connection_dropped_meanwhile_is_not_established():
    shared = gate(max_pending=1)
    first = Connection()
    shared.connect(first)
    shared.connect(Connection())
    assert not shared.establish(first, None)


def test_repeated_ends_are_summed_up_and_none_is_lost():
    receiver = KeepingReceiver()
    reporter = EndReporter(receiver)
    for _ in range(1000):
        reporter.report(end(), associated=False)
    reporter.report(end(how="refused", calling_ae="X"), associated=False)
    assert [(e.how, e.connections) for e in receiver.ends] == [("lost", 1), ("refused", 1)]
    reporter.flush()
    assert len(receiver.ends) == 2
    reporter.flush(everything=True)
    assert sum(e.connections for e in receiver.ends) == 1001


def test_varied_titles_do_not_make_the_report_grow():
    receiver = KeepingReceiver()
    reporter = EndReporter(receiver)
    for n in range(5000):
        reporter.report(end(how="refused", calling_ae=f"AE{n}"), associated=False)
    reporter.flush(everything=True)
    assert len(receiver.ends) < 300
    assert sum(e.connections for e in receiver.ends) == 5000


def test_associations_are_each_told():
    receiver = KeepingReceiver()
    for _ in range(5):
        EndReporter(receiver).report(end(how="released"), associated=True)
    assert len(receiver.ends) == 5


def test_an_ipv6_customer_counts_as_one_address():
    assert (
        address_group("2001:db8::1") == address_group("2001:db8::ffff:1") != address_group("2001:db8:0:1::1")
    )
    assert address_group("fe80::1%eth0") == "fe80::"
    assert address_group("192.0.2.1") == "192.0.2.1"
