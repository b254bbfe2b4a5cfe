"""What every implementation of `dicom_node.receiver.Receiver` must hold; the gateway's runs the same suite.

Subclass `ReceiverContract`, give it a `receiver` fixture that admits calling AE MODALITY to called AE CONSILIUM from
127.0.0.1, and `kept(receiver)` that yields the data sets it holds.
"""

from __future__ import annotations

import io
import threading

import pytest

from dicom_node.errors import PeerLost
from dicom_node.head import read_head
from dicom_node.part10 import open_part10
from dicom_node.receiver import (
    Admitted,
    AssociationAttempt,
    AssociationEnd,
    CommitmentRequest,
    ReceivedInstance,
    Refused,
)
from dicom_node.streams import Replayed
from gateway.domain.peer import Peer
from gateway.doors.dimse import DimseDoor
from storage import SealedRef
from tests.fakes.journey_house import DESK, open_house
from tests.unit.dicom_node.peers import CT, EXPLICIT, KeepingReceiver, data_set, only


def attempt(**changes):
    values = {
        "calling_ae": "MODALITY",
        "called_ae": "CONSILIUM",
        "address": "127.0.0.1",
        "port": 50000,
        "association_id": "0" * 32,
        "implementation_uid": "1.2.3.4",
        "implementation_version": "TEST",
    }
    return AssociationAttempt(**(values | changes))


class BreakingStream:
    """A data set whose sender goes away."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, size=-1):
        piece = self._data.read(size)
        if not piece:
            raise PeerLost
        return piece

    def readinto(self, buffer):
        size = self._data.readinto(buffer)
        if not size:
            raise PeerLost
        return size


def instance(data, stream=None, sop_instance_uid="1.2.3.4.5"):
    stream = stream or io.BytesIO(data)
    head, taken = read_head(stream, EXPLICIT)
    return ReceivedInstance(
        sop_class_uid=CT,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=EXPLICIT,
        calling_ae="MODALITY",
        called_ae="CONSILIUM",
        address="127.0.0.1",
        association_id="0" * 32,
        head=head,
        stream=Replayed(taken, stream),
    )


class ReceiverContract:
    def kept(self, receiver):
        """Data sets held, in any order."""
        raise AssertionError("an implementation says how its data sets are read back")

    def test_a_known_peer_is_admitted(self, receiver):
        admitted = receiver.admit(attempt())
        assert isinstance(admitted, Admitted)
        assert admitted.may_store

    def test_an_unknown_calling_ae_is_refused_with_reason_3(self, receiver):
        refused = receiver.admit(attempt(calling_ae="STRANGER"))
        assert isinstance(refused, Refused)
        assert (refused.result, refused.source, refused.reason) == (1, 1, 3)

    def test_success_means_that_every_byte_is_kept(self, receiver):
        data = data_set(pixels=b"\7\0" * 300_000)
        assert receiver.receive(instance(data)).status == 0x0000
        assert list(self.kept(receiver)) == [data]

    def test_an_interrupted_object_is_thrown_away_and_the_exception_passes(self, receiver):
        data = data_set()
        with pytest.raises(PeerLost):
            receiver.receive(instance(data, BreakingStream(data)))
        assert list(self.kept(receiver)) == []

    def test_many_threads_may_store_at_once(self, receiver):
        sets = [data_set(sop_instance=f"1.2.3.4.5.{n}", pixels=bytes([n, 0]) * 5000) for n in range(8)]
        outcomes = []

        def store(data, n):
            outcomes.append(receiver.receive(instance(data, sop_instance_uid=f"1.2.3.4.5.{n}")).status)

        threads = [threading.Thread(target=store, args=(data, n)) for n, data in enumerate(sets)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == [0] * 8
        assert sorted(self.kept(receiver)) == sorted(sets)

    def test_a_commitment_is_taken_on_once_and_for_all(self, receiver):
        request = CommitmentRequest(
            transaction_uid="1.2.3",
            references=[(CT, "1.2.3.4.5")],
            calling_ae="MODALITY",
            called_ae="CONSILIUM",
            address="127.0.0.1",
            association_id="0" * 32,
        )
        assert receiver.commit(request).status == 0x0000
        assert receiver.commit(request).status == 0x0000  # the answer was lost, and the question is the same

    def test_what_is_not_decided_yet_is_not_reported(self, receiver):
        assert receiver.report_due(attempt()) is None

    def test_an_answer_to_a_report_of_nothing_is_taken_without_complaint(self, receiver):
        receiver.reported("0" * 32, status=0x0000)
        receiver.reported("0" * 32, status=None, why="a test")

    @pytest.mark.parametrize("how", ["released", "aborted", "lost", "refused", "timeout", "malformed"])
    def test_every_way_to_end_is_taken_without_complaint(self, receiver, how):
        receiver.ended(
            AssociationEnd(
                association_id="0" * 32,
                calling_ae="",
                called_ae="",
                address="127.0.0.1",
                how=how,
                instances_kept=0,
                why="a test",
                connections=3,
            )
        )


class TestKeepingReceiver(ReceiverContract):
    @pytest.fixture
    def receiver(self):
        return KeepingReceiver(admitted=only())

    def kept(self, receiver):
        return [data for _, data in receiver.kept]


class TestDimseDoor(ReceiverContract):
    """The gateway's own, on real records and sealed objects."""

    @pytest.fixture
    def receiver(self, tmp_path):
        house = open_house(tmp_path)
        with house.records.change(by=DESK) as change:
            change.peers.add(Peer(ae_title="MODALITY", created_at=house.clock.now()))
            change.note("peer_added", subject="MODALITY")
        door = DimseDoor(house.as_house())
        door.opened = house
        yield door
        house.close()

    def kept(self, receiver):
        house = receiver.opened
        for row in house.rows("instances"):
            ref = SealedRef(
                object_id=row.object_id,
                size_bytes=row.size_bytes,
                digest=row.digest,
                generation=row.generation,
            )
            with house.records.view() as view:
                key = view.key(row.holder, "originals")
            with house.store.open(ref, key=key, kind="original") as reader:
                yield open_part10(reader)[1].read()
