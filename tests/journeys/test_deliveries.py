"""Sending a release to a PACS: only what is approved, only to who may have it, each instance once, and an end when it is taken back."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node.node import DicomNode, Listening
from dicom_node.receiver import StoreOutcome
from gateway.cli.deliveries import _ended as ended_of
from gateway.domain import delivery as words
from gateway.domain.calls import CallRules
from gateway.domain.errors import ConflictError, NotFoundError, UnavailableError
from gateway.journeys import ask_delivery as ways
from gateway.journeys import deliver_release as sending
from gateway.journeys.deliver_release import deliver_release
from gateway.journeys.forget_case import forget_case
from storage import KeyUnknownError, ObjectUnreadableError, StoreFullError
from tests import factories
from tests.fakes.certificates import self_signed
from tests.fakes.journey_house import DESK, Killed
from tests.fakes.sending_house import TO, Sender
from tests.fakes.tls_node import server_tls
from tests.unit.dicom_node.peers import KeepingReceiver


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
            entity.add_supported_context(
                context.abstract_syntax, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
            )
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
        if getattr(status, "Status", status) in (0x0000, 0xB000, 0xB006, 0xB007):
            self.taken.append(str(event.request.AffectedSOPInstanceUID))
            self.data_sets.append(event.request.DataSet.getvalue())
        return status


@pytest.fixture
def pacs():
    made = Pacs()
    made.start()
    yield made
    made.stop()


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


def test_what_arrives_is_the_copy_without_a_planted_identifier(sender, pacs):
    sender.deliver(sender.ask())
    patient = factories.patient()
    planted = [*patient["names"][0].values(), *(one["value"] for one in patient["identifiers"])]
    planted += [str(factories.read(factories.ct_instance(number=n)).SOPInstanceUID) for n in range(1, 7)]
    assert len(pacs.data_sets) == 6
    for content in pacs.data_sets:
        assert not [word for word in factories.planted_bytes(tuple(planted)) if word in content]
        assert b"\x12\x00\x62\x00CS\x04\x00YES " in content


def test_documents_are_counted_as_left_out_and_a_release_without_images_is_not_sent(sender):
    with sender.house.records.change(by=DESK) as change:
        change.releases.set(sender.release.id, totals={"instances": 0, "documents": 2})
        change.note("case_read")
    with pytest.raises(ConflictError, match="no images"):
        sender.ask()


# --- who may be sent what ------------------------------------------------------------------------------------------------


def test_only_an_approved_release_is_taken(house, pacs):
    sender = Sender(house, pacs.port)
    with pytest.raises(ConflictError, match="no approved release"):
        sender.ask()
    sender.build()
    with pytest.raises(ConflictError, match="no approved release"):
        sender.ask()
    with pytest.raises(ConflictError, match="no approved release"):
        sender.ask(number=1)
    release = sender.approve()
    sender.withdraw(release)
    with pytest.raises(ConflictError, match="no approved release"):
        sender.ask(number=1)
    assert house.rows("deliveries") == []
    assert pacs.calls == 0


@pytest.mark.parametrize("state", ["built", "withdrawn"])
def test_a_release_that_is_not_approved_at_the_time_of_sending_sends_no_byte(sender, pacs, state):
    """Whatever put the row there: the job asks again, before it calls."""
    asked = sender.ask()
    with sender.house.records.change(by=DESK) as change:
        change.releases.set(sender.release.id, state=state)
        change.note("case_read")
    row = sender.deliver(asked)
    assert (row.state, row.error) == ("stopped", words.RELEASE_GONE)
    assert pacs.associations == 0


def test_a_delivery_of_another_case_s_release_sends_nothing(sender, pacs):
    asked = sender.ask()
    with sender.house.records.change(by=DESK) as change:
        change.deliveries.set(asked.id, case_id="another")
        change.note("case_read")
    assert sender.deliver(asked).state == "stopped"
    assert pacs.associations == 0


@pytest.mark.parametrize(
    "peer", [{"may_receive": False}, {"disabled_at": True}, {"address": ""}, {"ae_title": "ELSEWHERE"}]
)
def test_a_peer_without_the_right_is_sent_nothing(sender, pacs, peer):
    if peer.get("disabled_at"):
        peer = {"disabled_at": sender.house.clock.now()}
    with sender.house.records.change(by=DESK) as change:
        change.peers.remove(ae_title=TO)
        change.note("peer_removed")
    sender.peer(pacs.port, **peer)
    with pytest.raises((ConflictError, NotFoundError)):
        sender.ask()
    assert sender.house.rows("deliveries") == []


@pytest.mark.parametrize(
    ("peer", "why"),
    [({"may_receive": False}, words.PEER_MAY_NOT), (None, words.PEER_GONE)],
)
def test_a_right_that_was_taken_back_meanwhile_counts(sender, pacs, peer, why):
    asked = sender.ask()
    if peer is None:
        with sender.house.records.change(by=DESK) as change:
            change.peers.remove(ae_title=TO)
            change.note("peer_removed")
    else:
        sender.peer(pacs.port, **peer)
    row = sender.deliver(asked)
    assert (row.state, row.error) == ("stopped", why)
    assert pacs.associations == 0


def test_plain_dicom_does_not_leave_this_computer(sender):
    sender.peer(1, address="192.0.2.7:11112")
    with pytest.raises(ConflictError, match="without TLS"):
        sender.ask()
    assert sender.ask(calls=CallRules(plain_elsewhere=True)).state == "queued"


def test_a_release_is_not_sent_twice_at_once_to_one_peer(sender):
    sender.ask()
    with pytest.raises(ConflictError, match="already"):
        sender.ask()


# --- while bytes flow ----------------------------------------------------------------------------------------------------


def slowly(pacs, at, act, *, pause_s=0.2):
    """Do something when the peer is asked to store for the ``at``-th time; each store takes a while."""

    def before(number, _event):
        if number == at:
            act()
        time.sleep(pause_s)

    pacs.before = before


def test_withdrawing_in_the_middle_stops_within_two_seconds(house, pacs):
    sender = Sender(house, pacs.port, count=30)
    sender.build()
    sender.release = sender.approve()
    asked = sender.ask()
    withdrawn_at = []

    def withdraw():
        sender.withdraw(sender.release)
        withdrawn_at.append(time.monotonic())

    slowly(pacs, 3, withdraw)
    row = sender.deliver(asked)
    assert time.monotonic() - withdrawn_at[0] < 2
    assert (row.state, row.error) == ("stopped", words.RELEASE_GONE)
    assert 3 <= len(pacs.taken) < 10
    assert row.sent in (
        len(pacs.taken),
        len(pacs.taken) - 1,
    )  # the one in flight may have been kept and not heard of
    assert sender.told().count(("delivery_ended", "stopped")) == 1


def test_a_delivery_that_waits_ends_with_its_release(sender, pacs):
    pacs.stop()
    asked = sender.ask()
    assert sender.deliver(asked).state == "queued"
    sender.withdraw(sender.release)
    row = sender.row(asked)
    assert (row.state, row.error, row.next_at) == ("stopped", words.RELEASE_GONE, None)
    assert sender.told()[-1] == ("delivery_ended", "stopped")
    pacs.start()
    sender.house.work()
    assert pacs.calls == 0


@pytest.mark.parametrize("act", ["stop", "disable", "forget"])
def test_a_human_who_stops_it_is_heard_while_it_runs(house, pacs, act):
    sender = Sender(house, pacs.port, count=20)
    sender.build()
    sender.approve()
    asked = sender.ask()
    deeds = {
        "stop": lambda: ways.stop_delivery(asked.id, by=DESK, **house.ports("records", "clock")),
        "disable": lambda: sender.peer(pacs.port, disabled_at=house.clock.now()),
        "forget": lambda: forget_case(
            ref=sender.case.ref, confirm=sender.case.ref, by=DESK, **house.ports("records", "store")
        ),
    }
    slowly(pacs, 2, deeds[act])
    deliver_release(asked.id, calls=CallRules(), **house.ports("records", "store", "clock", "policy"))
    assert len(pacs.taken) < 10
    rows = house.rows("deliveries")
    if act == "forget":
        assert rows == []
        assert sender.told()[-1][0] == "delivery_progressed"
    else:
        assert rows[0].state == "stopped"
        assert rows[0].sent >= 1
        assert sum(e.kind == "delivery_ended" for e in house.events()) == 1


def test_a_copy_that_is_damaged_is_never_kept_by_the_peer(sender, pacs):
    victim = sender.uids()[0]
    copy = next(c for c in sender.house.rows("copies") if c.index.get("SOPInstanceUID") == victim)
    path = next(p for p in (sender.house.folder / "objects").rglob(copy.object_id))
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(bytes(content))
    row = sender.deliver(sender.ask())
    assert victim not in pacs.taken
    assert sorted(pacs.taken) == sender.uids()[1:]
    assert row.outcomes[copy.id][0] == words.UNREADABLE
    assert (row.state, row.sent) == ("queued", 5)


def test_a_copy_that_is_not_the_approved_one_is_never_kept_by_the_peer(sender, pacs, monkeypatch):
    """Sealed and whole, and yet not what the manifest's digest says."""
    honest = sending.read_manifest

    def altered(release, **ports):
        manifest = honest(release, **ports)
        entries = tuple(replace(e, sha256="0" * 64) if e.kind == "instance" else e for e in manifest.entries)
        return replace(manifest, entries=entries)

    monkeypatch.setattr(sending, "read_manifest", altered)
    row = sender.deliver(sender.ask())
    assert pacs.taken == []
    assert {outcome[0] for outcome in row.outcomes.values()} == {words.UNREADABLE}


def test_a_manifest_that_was_exchanged_sends_nothing(sender, pacs):
    second = sender.build()
    asked = sender.ask()
    with sender.house.records.change(by=DESK) as change:
        change.releases.set(
            sender.release.id, manifest_object_id=second.manifest_object_id, manifest_mac=second.manifest_mac,
            manifest_size_bytes=second.manifest_size_bytes,
        )  # fmt: skip
        change.note("case_read")
    row = sender.deliver(asked)
    assert (row.state, pacs.associations) == ("incomplete", 0)
    assert "not the one that was approved" in row.error


# --- peers that fail -----------------------------------------------------------------------------------------------------


def test_every_third_refused_is_told_one_by_one_and_not_tried_again_by_itself(sender, pacs):
    pacs.answer = lambda number: 0xC000 if number % 3 == 0 else 0x0000
    row = sender.deliver(sender.ask())
    assert (row.state, row.sent, row.failed) == ("incomplete", 4, 2)
    assert row.error == words.SOME_REFUSED
    assert sorted(outcome[0] for outcome in row.outcomes.values()) == ["0000"] * 4 + ["C000"] * 2
    pacs.answer = lambda number: 0x0000
    again = ways.ask_again(row.id, by=DESK, **sender.house.ports("records", "clock"))
    assert (again.state, again.sent, again.failed) == ("queued", 4, 0)
    row = sender.deliver(again)
    assert (row.state, row.sent, pacs.calls) == ("sent", 6, 8)
    assert sorted(pacs.taken) == sender.uids()


def test_warnings_count_as_kept_and_are_shown(sender, pacs):
    pacs.answer = lambda number: (0xB000, 0xB006, 0xB007, 0x0111, 0, 0)[number - 1]
    row = sender.deliver(sender.ask())
    assert (row.state, row.sent, row.warned, row.failed) == ("sent", 6, 4, 0)
    assert {words.in_words(o[0]) for o in row.outcomes.values()} >= {"the peer had it already", "kept"}


def test_a_peer_out_of_resources_is_waited_for(sender, pacs):
    pacs.answer = lambda number: 0xA700 if number in (2, 3) else 0x0000
    row = sender.deliver(sender.ask())
    assert (row.state, row.sent) == ("sent", 6)
    assert (pacs.calls, pacs.associations) == (8, 3)
    assert sorted(pacs.taken) == sender.uids()


def test_a_peer_out_of_resources_for_long_is_tried_for_a_day(sender, pacs):
    pacs.answer = lambda number: 0xA701
    asked = sender.ask()
    row = sender.deliver(asked)
    assert (row.state, row.sent, row.tries) == ("queued", 0, 1)
    assert row.next_at == sender.house.clock.now() + words.wait_after(1)
    jobs = [job for job in sender.house.rows("jobs", subject_id=asked.id) if job.state == "queued"]
    assert [job.due_at for job in jobs] == [row.next_at]
    sender.house.clock.forward(hours=25)
    row = sender.deliver(asked)
    assert (row.state, row.error) == ("incomplete", words.DAY_OVER)


def test_a_peer_that_aborts_in_the_middle_is_called_again_without_sending_twice(sender, pacs):
    def before(number, event):
        if number == 3:
            event.assoc.abort()

    pacs.before = before
    row = sender.deliver(sender.ask())
    assert (row.state, row.sent) == ("sent", 6)
    assert sorted(set(pacs.taken)) == sender.uids()
    # Only the one whose answer was lost may come twice.
    assert pacs.calls == 7


def test_a_peer_that_is_gone_and_comes_back_is_sent_the_rest(sender, pacs):
    def before(number, event):
        if number == 3:
            threading.Thread(target=pacs.stop).start()
            event.assoc.abort()

    pacs.before = before
    asked = sender.ask()
    row = sender.deliver(asked)
    assert row.state == "queued"
    assert "no connection" in row.error or "connection lost" in row.error or "A-ABORT" in row.error
    kept = row.sent
    assert kept == 2
    pacs.before = lambda number, event: None
    calls = pacs.calls
    pacs.start()
    row = sender.deliver(asked)
    assert (row.state, row.sent) == ("sent", 6)
    assert pacs.calls - calls == 4
    assert sorted(set(pacs.taken)) == sender.uids()


def test_a_peer_that_does_not_know_us_ends_it_at_once_with_what_to_mend(sender, pacs):
    pacs._server.ae.require_called_aet = True
    pacs._server.ae_title = "OTHERNAME"
    row = sender.deliver(sender.ask())
    assert row.state == "incomplete"
    assert "check the called AE title" in row.error


def test_a_peer_that_takes_no_such_objects_is_told_plainly(sender, pacs):
    pacs._server.contexts = [
        c for c in pacs._server.contexts if c.abstract_syntax != "1.2.840.10008.5.1.4.1.1.2"
    ]
    row = sender.deliver(sender.ask())
    assert (row.state, row.failed, pacs.calls) == ("incomplete", 6, 0)
    assert {outcome[0] for outcome in row.outcomes.values()} == {words.NO_CONTEXT}
    assert "nothing is transcoded" in words.in_words(words.NO_CONTEXT)


# --- our own end ---------------------------------------------------------------------------------------------------------


def test_a_killed_worker_goes_on_with_what_has_no_success(sender, pacs, monkeypatch):
    monkeypatch.setattr(sending, "WRITE_EVERY", 2)

    def die(book, copy_id, outcome, take=sending._Book.take):
        take(book, copy_id, outcome)
        if len(pacs.taken) == 4:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sending._Book, "take", die)
        asked = sender.ask()
        with pytest.raises(Killed):
            sender.deliver(asked)
    row = sender.row(asked)
    assert (row.state, row.sent) == ("sending", 4)
    row = sender.deliver(asked)
    assert (row.state, row.sent, pacs.calls) == ("sent", 6, 6)
    assert sorted(pacs.taken) == sender.uids()


def test_a_worker_that_lost_its_delivery_sends_nothing_more_and_writes_no_end(house, pacs):
    sender = Sender(house, pacs.port, count=12)
    sender.build()
    sender.approve()
    asked = sender.ask()

    def taken_over():
        with house.records.change(by=DESK) as change:
            change.deliveries.set(asked.id, run="another")
            change.note("case_read")

    slowly(pacs, 2, taken_over)
    row = sender.deliver(asked)
    assert (row.state, row.run) == ("sending", "another")
    assert len(pacs.taken) < 9
    assert sender.told()[-1] == ("delivery_progressed", "aborted")
    assert row.sent >= 1


def test_a_long_delivery_gives_others_their_turn(sender, pacs):
    asked = sender.ask()
    row = sender.deliver(asked, slice_s=0)
    assert (row.state, row.sent, row.next_at) == ("queued", 1, sender.house.clock.now())
    assert sender.told()[-1] == ("delivery_progressed", "cut_off")
    for _ in range(10):
        row = sender.deliver(asked, slice_s=0)
    assert (row.state, row.sent, pacs.calls) == ("sent", 6, 6)


def test_the_worker_does_it_by_its_job(sender, pacs):
    asked = sender.ask()
    assert sender.house.work() == ["deliver_release"]
    assert sender.row(asked).state == "sent"
    assert sender.house.work() == []


def test_stopping_and_asking_again_are_refused_where_they_make_no_sense(sender, pacs):
    ports = sender.house.ports("records", "clock")
    asked = sender.ask()
    with pytest.raises(ConflictError):
        ways.ask_again(asked.id, by=DESK, **ports)
    ways.stop_delivery(asked.id, by=DESK, **ports)
    assert sender.deliver(asked).state == "stopped"
    assert pacs.associations == 0
    with pytest.raises(ConflictError):
        ways.stop_delivery(asked.id, by=DESK, **ports)
    sender.withdraw(sender.release)
    with pytest.raises(ConflictError, match="not approved any more"):
        ways.ask_again(asked.id, by=DESK, **ports)


@pytest.mark.parametrize(
    ("place", "error"),
    [("read_manifest", ObjectUnreadableError("the device")), ("read_manifest", KeyUnknownError("kek-2")),
     ("read_manifest", NotFoundError("there is no key")), ("call_of", UnavailableError("our certificate is damaged")),
     ("outbound_copies", StoreFullError())],
)  # fmt: skip
def test_what_is_amiss_here_stands_in_the_row_and_is_tried_again_for_a_day(
    sender, pacs, monkeypatch, place, error
):
    """Neither the job nor the row dies of it: the reason is shown, and once it is mended the images go out."""
    asked = sender.ask()

    def broken(*_args, **_ports):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sending, place, broken)
        row = sender.deliver(asked)
        assert (row.state, row.error, row.tries) == ("queued", str(error)[:200], 1)
        assert row.next_at == sender.house.clock.now() + words.wait_after(1)
        assert sender.told()[-1] == ("delivery_progressed", "not_yet")
    assert sender.deliver(asked).state == "sent"


def test_what_is_amiss_here_for_a_day_ends_it(sender, monkeypatch):
    def broken(*_args, **_ports):
        raise ObjectUnreadableError

    monkeypatch.setattr(sending, "read_manifest", broken)
    asked = sender.ask()
    sender.house.clock.forward(hours=25)
    row = sender.deliver(asked)
    assert (row.state, row.error) == ("incomplete", words.DAY_OVER)


@pytest.fixture
def stranded(sender, monkeypatch):
    """A delivery whose job failed for good, by something that nobody thought of."""

    def broken(*_args, **_ports):
        raise RuntimeError

    asked = sender.ask()
    with monkeypatch.context() as patch:
        patch.setattr(sending, "read_manifest", broken)
        with pytest.raises(RuntimeError):
            sender.deliver(asked)
    with sender.house.records.change(by=DESK) as change:
        (job,) = change.jobs.find(subject_id=asked.id)
        change.jobs.set(job.id, state="failed", dedup_key=None)
        change.note("job_failed", subject=job.id)
    assert sender.row(asked).state == "sending"
    return sender.row(asked)


def test_a_delivery_that_nobody_works_on_any_more_can_be_tried_again(sender, stranded, pacs):
    again = ways.ask_again(stranded.id, by=DESK, **sender.house.ports("records", "clock"))
    assert again.state == "queued"
    assert sender.house.work() == ["deliver_release"]
    assert sender.row(again).state == "sent"


def test_a_delivery_that_nobody_works_on_any_more_does_not_bar_the_way_to_its_peer(sender, stranded, pacs):
    fresh = sender.ask()
    old = sender.row(stranded)
    assert (old.state, old.error) == ("incomplete", words.WORK_FAILED)
    assert sender.house.work() == ["deliver_release"]
    assert sender.row(fresh).state == "sent"


def test_waiting_for_a_delivery_that_nobody_works_on_ends(sender, stranded):
    with pytest.raises(ConflictError, match=words.WORK_FAILED) as ended:
        ended_of(stranded, sender.house.as_house())
    assert f"release resend {stranded.id}" in ended.value.next_step


def test_a_delivery_that_is_worked_on_is_not_taken_for_lost(sender):
    asked = sender.ask()
    with pytest.raises(ConflictError):
        ways.ask_again(asked.id, by=DESK, **sender.house.ports("records", "clock"))
    job = sender.house.jobs.claim_job(now=sender.house.clock.now(), owner="a worker", lease_s=30)
    assert job.subject_id == asked.id
    with pytest.raises(ConflictError):
        ways.ask_again(asked.id, by=DESK, **sender.house.ports("records", "clock"))


# --- where it goes -------------------------------------------------------------------------------------------------------

MOVES = {
    "address": {"address": "localhost:{port}"},
    "called by TLS": {"calls_by_tls": True},
    "pin": {"certificates": ["another"]},
    "name": {"names": ["DNS:another.example"]},
}


@pytest.mark.parametrize("what", MOVES)
def test_a_peer_that_is_reached_or_proven_otherwise_from_now_on_is_called_anew(house, pacs, what):
    """What was taken back counts in the midst of a slice, not with the next one."""
    sender = Sender(house, pacs.port, count=20)
    sender.build()
    sender.approve()
    asked = sender.ask()
    changed_at = []

    def move():
        values = {
            name: value.format(port=pacs.port) if isinstance(value, str) else value
            for name, value in MOVES[what].items()
        }
        with house.records.change(by=DESK) as change:
            change.peers.set(TO, **values)
            change.note("peer_added", subject=TO)
        changed_at.append(time.monotonic())

    slowly(pacs, 2, move)
    row = sender.deliver(asked)
    assert time.monotonic() - changed_at[0] < 2
    assert (row.state, row.next_at) == ("queued", house.clock.now())
    assert 2 <= len(pacs.taken) < 10
    if what == "address":
        pacs.before = lambda number, event: None
        assert sender.deliver(asked).state == "sent"
        begun = [e.details["at"] for e in house.events("delivery_progressed") if e.outcome == "begun"]
        assert begun == [f"127.0.0.1:{pacs.port}", f"localhost:{pacs.port}"]


def test_the_audit_tells_where_a_release_goes_before_a_byte_leaves(sender, pacs):
    sender.deliver(sender.ask())
    (begun,) = [e for e in sender.house.events("delivery_progressed") if e.outcome == "begun"]
    assert (begun.details["at"], begun.details["proof"]) == (f"127.0.0.1:{pacs.port}", "none")


def test_the_audit_tells_by_which_certificate_a_peer_took_a_release(house, tmp_path):
    """What it may prove itself by before the call, and what it did prove with the first images."""
    ours, theirs = self_signed("ours", tmp_path), self_signed("theirs", tmp_path)
    receiver = KeepingReceiver(answer=StoreOutcome(status=0))
    tls = server_tls(theirs, pinned=[ours])
    node = DicomNode(receiver=receiver, listeners=[Listening(host="127.0.0.1", port=0, tls=tls)])
    ((_, port),) = node.start()
    try:
        sender = Sender(house, port)
        sender.peer(port, calls_by_tls=True, certificates=[theirs.pem], names=["DNS:pacs.example"])
        sender.build()
        sender.approve()
        rules = CallRules(certificate=ours.cert_path, key=ours.key_path)
        row = sender.deliver(sender.ask(calls=rules), calls=rules)
    finally:
        node.stop(timeout_s=2)
    assert (row.state, row.sent) == ("sent", 6)
    begun, progressed = house.events("delivery_progressed")
    assert begun.details["proof"] == f"{theirs.spki_sha256[:16]}, DNS:pacs.example"
    assert progressed.details["certificate"] == theirs.spki_sha256[:16]


def test_what_a_peer_writes_beside_its_status_is_kept_nowhere(sender, pacs):
    """An error comment is free text of another system: it may name a patient."""
    comment = "Test^Person 19700101 is here already"
    answer = Dataset()
    answer.Status, answer.ErrorComment = 0xC123, comment
    pacs.answer = lambda number: answer if number == 1 else 0x0000
    row = sender.deliver(sender.ask())
    assert (row.state, row.failed) == ("incomplete", 1)
    assert ["C123", ""] in row.outcomes.values()
    assert comment not in str(row)
    assert comment not in "".join(e.canonical().decode() for e in sender.house.events())


def test_no_plaintext_lies_on_disk_while_a_release_is_sent(sender, pacs, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    seen = []

    def look(number, _event):
        if number == 2:
            seen.extend(p for p in tmp_path.rglob("*") if p.is_file() and b"DICM" in p.read_bytes()[:200])

    pacs.before = look
    assert sender.deliver(sender.ask()).state == "sent"
    assert seen == []
    assert list((tmp_path / "tmp").iterdir()) == []
