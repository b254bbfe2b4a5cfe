"""Peers from being added to being called: what each may, how soon a change counts, what a day's quota does; over real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification

from dicom_node import contexts, meanings, status
from dicom_node.certificates import read_certificate
from dicom_node.errors import AssociationOver
from dicom_node.node import DicomNode, Listening
from dicom_node.part10 import open_part10
from dicom_node.receiver import Refused
from dicom_node.requestor import Call, OutboundAssociation
from dicom_node.scu import OutboundInstance, echo, send
from dicom_node.tls import Identity, ServerTls, client_context
from gateway.adapters.peer_trust import PeerTrust
from gateway.domain.commitment import Commitment
from gateway.domain.delivery import Delivery
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from gateway.domain.peer import TitleUsedError
from gateway.domain.tls_files import TlsFiles
from gateway.doors.dimse import DimseDoor
from gateway.doors.peer_book import PeerBook, QuotaError
from gateway.journeys.echo_peer import echo_peer
from gateway.journeys.know_peer import (
    add_peer,
    change_peer,
    disable_peer,
    enable_peer,
    give_token,
    peer_by_title,
    pin_certificate,
    remove_peer,
    take_token,
    unpin_certificate,
)
from gateway.journeys.peer_sheet import peer_sheet
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.show_peer import expiring_pins, show_peer, show_peers, show_strangers
from tests import factories
from tests.fakes.certificates import Authority, self_signed
from tests.fakes.journey_house import DESK, arrival
from tests.fakes.journey_house import PACS as PACS_ACTOR
from tests.unit.dicom_node.peers import RawPeer, command, data_set, p_data

CT = str(CTImageStorage)
WITHIN_S = 1.0


@pytest.fixture(autouse=True)
def today(house):
    """Certificates are made now, so the house lives now."""
    house.clock.at = datetime.now(UTC)


def add(house, title="PACS", **more):
    return add_peer(
        **{"ae_title": title, "hosts": ["127.0.0.1/32"], **more}, by=DESK, **house.ports("records", "clock")
    )


def change(house, title="PACS", **changes):
    return change_peer(ae_title=title, changes=changes, by=DESK, **house.ports("records", "clock"))


@contextmanager
def node_of(house, *, tls=None):
    listeners = [Listening(host="127.0.0.1", port=0)]
    listeners += [Listening(host="127.0.0.1", port=0, tls=tls)] if tls else []
    node = DicomNode(receiver=DimseDoor(house.as_house()), listeners=listeners)
    ports = [port for _, port in node.start()]
    try:
        yield ports if tls else ports[0]
    finally:
        node.stop(timeout_s=2)


def call(port, title="PACS", called="CONSILIUM", **more):
    return Call(host="127.0.0.1", port=port, calling_ae=title, called_ae=called, timeout_s=5, **more)


@contextmanager
def open_association(port, title="PACS", called="CONSILIUM"):
    ae = AE(ae_title=title)
    ae.acse_timeout = ae.network_timeout = ae.connection_timeout = 20
    ae.add_requested_context(Verification)
    ae.add_requested_context(CTImageStorage)
    association = ae.associate("127.0.0.1", port, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        ae.shutdown()


def wait_for(what, within_s=5.0):
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s
        time.sleep(0.01)
    return time.monotonic() - began


def instances(count, **attributes):
    found = []
    for number in range(count):
        content = factories.ct_instance(number=number + 1, **attributes)
        meta, _ = open_part10(io.BytesIO(content))

        def opened(content=content):
            return open_part10(io.BytesIO(content))[1]

        found.append(
            OutboundInstance(
                sop_class_uid=meta.sop_class_uid,
                sop_instance_uid=meta.sop_instance_uid,
                transfer_syntax_uid=meta.transfer_syntax_uid,
                open=lambda opened=opened: _Closing(opened()),
            )
        )
    return found


class _Closing:
    def __init__(self, stream):
        self.read = stream.read

    def close(self):
        pass


# refusals, exactly


@pytest.mark.parametrize(
    ("title", "called", "code"),
    [("NOBODY", "CONSILIUM", (1, 1, 3)), ("ELSEWHERE", "CONSILIUM", (1, 1, 3)), ("OUT", "CONSILIUM", (1, 1, 3)),
     ("BOUND", "CONSILIUM", (1, 1, 3)), ("PACS", "ANY-SCP", (1, 1, 7)), ("PACS", "C-00000000", (1, 1, 7))],
)  # fmt: skip
def test_who_may_not_come_is_rejected_by_the_exact_reason_and_audited(house, tmp_path, title, called, code):
    """N3, day one 1 and 3."""
    add(house)
    add(house, "ELSEWHERE", hosts=["10.0.0.0/8"])
    add(house, "OUT")
    disable_peer(ae_title="OUT", by=DESK, **house.ports("records", "clock"))
    add(house, "BOUND", certificates=[self_signed("bound", tmp_path).pem])
    with node_of(house) as port, RawPeer(port) as peer:
        assert peer.associate(calling=title, called=called) == (0x03, bytes([0, *code]))
        wait_for(lambda: house.events("association_refused"))
    (event,) = house.events("association_refused")
    assert (event.actor, event.address, event.details["called"]) == (f"peer:{title}", "127.0.0.1", called)
    assert event.details["why"].startswith(f"A-ASSOCIATE-RJ {code[0]},{code[1]},{code[2]}: ")
    assert code in meanings.REJECTIONS


def test_too_many_at_once_are_rejected_for_the_time_being(house):
    """Day one 4: 2,3,2 is transient, so that the sender tries again."""
    add(house, max_associations=2)
    add(house, "OTHER")
    with node_of(house) as port, open_association(port) as first, open_association(port) as second:
        assert first.is_established
        assert second.is_established
        with open_association(port) as third:
            assert not third.is_established
        with RawPeer(port) as peer:
            assert peer.associate(calling="PACS") == (0x03, bytes([0, 2, 3, 2]))
        with open_association(port, "OTHER") as other:
            assert other.is_established
        first.release()
        wait_for(lambda: echo(call(port)).reached)


def test_every_sop_class_of_a_held_peer_is_answered_by_its_own_result(house):
    """N9: only what its row names; 3 for no service of ours, 1 for what it may not, 4 for no syntax of its own."""
    add(house, sop_classes=[CT], transfer_syntaxes=[contexts.EXPLICIT_LITTLE], may_commit=False)
    every = sorted({*contexts.KNOWN_SOP_CLASSES, *contexts.STORAGE_SOP_CLASSES, "1.2.3.4.5"})
    taken = {}
    with node_of(house) as port:
        for at in range(0, len(every), 60):
            pairs = [
                (uid, syntax)
                for uid in every[at : at + 60]
                for syntax in (contexts.IMPLICIT_LITTLE, contexts.EXPLICIT_LITTLE)
            ]
            with OutboundAssociation(call(port), pairs) as association:
                taken |= dict.fromkeys(association.answer.contexts)
    echoes = {
        (contexts.VERIFICATION, contexts.IMPLICIT_LITTLE),
        (contexts.VERIFICATION, contexts.EXPLICIT_LITTLE),
    }
    assert set(taken) == {(CT, contexts.EXPLICIT_LITTLE)} | echoes
    assert len(every) > 200


# how soon a change counts


def test_a_peer_comes_as_soon_as_it_is_added(house):
    with node_of(house) as port:
        assert not echo(call(port)).reached
        add(house)
        assert echo(call(port)).reached


CUTS = {
    "remove": lambda house: remove_peer(ae_title="PACS", by=DESK, records=house.records),
    "disable": lambda house: disable_peer(ae_title="PACS", by=DESK, **house.ports("records", "clock")),
    "another range": lambda house: change(house, hosts=["10.0.0.0/8"]),
    "bind a certificate": lambda house: change(house, names=["DNS:pacs.example"]),
    "another called title": lambda house: change(house, called=["C-00000000"]),
    "no store": lambda house: change(house, may_store=False),
    "fewer classes": lambda house: change(house, sop_classes=["1.2.840.10008.5.1.4.1.1.4"]),
}


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_open_ends_within_a_second_of_the_change(house, cut):
    """N2, #19: revocation reaches established associations too; other peers are not touched."""
    add(house)
    add(house, "OTHER")
    with node_of(house) as port, open_association(port) as idle, open_association(port, "OTHER") as other:
        assert idle.send_c_echo().Status == status.SUCCESS
        CUTS[cut](house)
        took = wait_for(lambda: idle.is_aborted)
        assert took < WITHIN_S
        assert other.send_c_echo().Status == status.SUCCESS
        wait_for(lambda: house.events("association_ended"))
    ended = next(e for e in house.events("association_ended") if e.actor == "peer:PACS")
    assert (ended.outcome, ended.details["why"]) == ("aborted", "the peer is no longer admitted")


@pytest.fixture
def looks(monkeypatch):
    """How often the node has asked whether somebody may stay."""
    made = []

    def counted(book, attempt, given, ask=PeerBook._still):
        answer = ask(book, attempt, given)
        made.append(answer)
        return answer

    monkeypatch.setattr(PeerBook, "_still", counted)
    return lambda: len(made)


def test_a_change_that_takes_nothing_away_disturbs_nobody(house, looks):
    add(house)
    with node_of(house) as port, open_association(port) as idle:
        change(house, description="the same, told better", address="127.0.0.1:104")
        give_token(ae_title="PACS", by=DESK, **house.ports("records", "random"))
        before = looks()
        wait_for(lambda: looks() >= before + 3)  # the first may go by the row as it was
        assert idle.send_c_echo().Status == status.SUCCESS


def test_a_sender_is_cut_off_in_the_midst_of_an_object(house, looks):
    add(house)
    with node_of(house) as port, RawPeer(port) as sender:
        assert sender.associate(calling="PACS")[0] == 0x02
        sender.send(p_data(1, 3, command()) + p_data(1, 0, data_set(pixels=b"")))
        stop = threading.Event()

        def dripping():  # quick enough for the pace that is demanded, and never done
            with contextlib.suppress(OSError):
                while not stop.wait(0.02):
                    sender.send(p_data(1, 0, bytes(2000)))

        thread = threading.Thread(target=dripping)
        thread.start()
        before = looks()
        wait_for(lambda: looks() > before)  # while it sends
        assert house.events("association_ended") == []
        began = time.monotonic()
        remove_peer(ae_title="PACS", by=DESK, records=house.records)
        ended = sender.read()
        took = time.monotonic() - began
        stop.set()
        thread.join(5)
    assert ended in (
        None,
        (0x07, bytes([0, 0, 0, 0])),
    )  # A-ABORT, unless what was under way reset the connection
    assert took < WITHIN_S
    assert house.rows("instances") == []
    assert house.objects() == set()


# certificates over TLS


@pytest.fixture
def tls(house, tmp_path):
    authority = Authority(tmp_path / "ca")
    node = authority.issue("node", sans=("127.0.0.1",))
    files = TlsFiles(
        certificate=node.cert_path, key=node.key_path, authorities=authority.path, revoked=tmp_path / "none"
    )
    return authority, ServerTls(PeerTrust(house.records, files))


def by_tls(authority, port, issued, title="PACS"):
    context = client_context(
        authorities_pem=authority.pem,
        pinned_pem=[],
        identity=Identity(certificate=issued.cert_path, key=issued.key_path),
    )
    return echo(call(port, title, tls=context)).reached


def test_pins_and_names_bind_a_title_and_taking_one_away_counts_within_a_second(house, tls, tmp_path):
    authority, server = tls
    old, new = self_signed("old", tmp_path), self_signed("new", tmp_path)
    named = authority.issue("named", sans=("pacs.example",))
    add(house, certificates=[old.pem])
    add(house, "NAMED", names=["pacs.example"])
    add(house, "PLAIN")
    with node_of(house, tls=server) as (plain, secure):
        assert by_tls(authority, secure, old)
        assert by_tls(authority, secure, named, "NAMED")
        for issued, title in ((old, "NAMED"), (named, "PACS"), (named, "PLAIN"), (old, "PLAIN")):
            assert not by_tls(authority, secure, issued, title)
        assert not echo(call(plain)).reached
        assert not echo(call(plain, "NAMED")).reached
        assert echo(call(plain, "PLAIN")).reached
        ports = {"by": DESK, **house.ports("records", "clock")}
        pin_certificate(ae_title="PACS", pem=new.pem, **ports)
        took = wait_for(lambda: by_tls(authority, secure, new))
        assert took < WITHIN_S
        assert by_tls(authority, secure, old)
        unpin_certificate(ae_title="PACS", spki=old.spki_sha256[:16], **ports)
        assert not by_tls(authority, secure, old)
        assert by_tls(authority, secure, new)
    whys = [e.details["why"] for e in house.events("association_refused")]
    assert any("CN=named" in why or "not that of the calling AE title" in why for why in whys)


def test_a_renewal_with_the_same_key_keeps_the_pin(house, tls, tmp_path):
    authority, server = tls
    first = authority.issue("pacs", days=20)
    renewed = authority.issue("pacs", days=400, key=first.key)
    add(house, certificates=[first.pem])
    with node_of(house, tls=server) as (_, secure):
        assert by_tls(authority, secure, renewed)
        assert not by_tls(authority, secure, authority.issue("pacs", days=400))


# quotas


def test_a_days_quota_ends_in_a_status_that_says_so_and_comes_back(house):
    (content,) = {len(factories.ct_instance(number=1, size=128))}
    add(house, day_bytes=int(content * 2.5))
    with node_of(house) as port:
        outcomes = list(send(call(port), instances(4, size=128)))
        assert [o.status for o in outcomes] == [0, 0, 0xA700, 0xA700]
        assert {o.comment for o in outcomes[2:]} == {"quota for 24 hours is used up, send again later"}
        assert echo(call(port)).reached
        refusals = house.events("instance_refused")
        assert [e.details["status"] for e in refusals] == ["A700", "A700"]
        house.clock.forward(hours=25)
    with node_of(house) as port:  # another process: it counts from the rows
        assert [o.status for o in send(call(port), instances(4, size=128)[2:])] == [0, 0]
    assert len(house.rows("instances")) == 4


def test_a_peer_without_a_quota_is_not_counted(house):
    add(house)
    book = PeerBook(house.as_house())
    instance = arrival(factories.ct_instance())
    seen = []
    book.metered(instance, lambda one: seen.append(one) or _kept())
    assert seen == [instance]


def test_what_is_not_kept_costs_nothing_and_what_is_on_its_way_counts(house):
    content = factories.ct_instance(size=128)
    size = len(content)
    add(house, day_bytes=2 * size)
    now = [0.0]
    book = PeerBook(house.as_house(), monotonic=lambda: now[0])

    def broken(one):
        one.stream.read()
        raise AssociationOver

    for _ in range(5):
        with pytest.raises(AssociationOver):
            book.metered(arrival(content), broken)
    inner = []

    def slow(one):
        one.stream.read()
        now[0] += 120  # the rows are asked again while this one is on its way
        with pytest.raises(QuotaError):
            book.metered(arrival(factories.ct_instance(size=256)), _read)
        inner.append(book.metered(arrival(content), _read).status)
        return _kept()

    assert book.metered(arrival(content), slow).status == status.SUCCESS
    assert inner == [status.SUCCESS]
    with pytest.raises(QuotaError):
        book.metered(arrival(factories.ct_instance(size=256)), _read)


def _kept():
    return type("Outcome", (), {"status": status.SUCCESS})()


def _read(one):
    buffer = bytearray(1000)
    while one.stream.readinto(buffer):
        pass
    return _kept()


def test_a_larger_quota_counts_at_once(house):
    size = len(factories.ct_instance(size=128))
    add(house, day_bytes=size // 2)
    with node_of(house) as port:
        first, second = instances(2, size=128)
        assert [o.status for o in send(call(port), [first])] == [0xA700]
        change(house, day_bytes=size * 9)
        wait_for(lambda: [o.status for o in send(call(port), [second])] == [0], within_s=WITHIN_S)


# knowing peers


def test_a_peer_is_added_once_and_changed_by_what_is_given_alone(house):
    add(house, description="Södra sjukhuset", day_bytes=10**9)
    with pytest.raises(ConflictError):
        add(house)
    changed = change(house, may_store=False)
    assert (changed.description, changed.day_bytes, changed.may_store) == ("Södra sjukhuset", 10**9, False)
    assert house.events("peer_added")[-1].details["changed"] == "may_store"
    with pytest.raises(NotFoundError):
        change(house, "NOBODY", may_store=True)
    for wrong in ({"token_hash": "x"}, {"disabled_at": None}, {"ae_title": "X"}):
        with pytest.raises(InvalidError):
            change(house, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"hosts": ["nowhere"]}, {"called": ["A TITLE THAT IS TOO LONG"]}, {"names": ["IP:10.0.0.1"]}, {"names": ["a b"]},
     {"sop_classes": ["CT"]}, {"transfer_syntaxes": ["1.2." + "3" * 70]}, {"max_associations": 0}, {"day_bytes": -1},
     {"address": "pacs"}, {"address": "pacs:0"}, {"address": "::1:104"}, {"address": "pacs:99999"},
     {"certificates": ["no certificate"]},
     {"certificates": ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]}],
)  # fmt: skip
def test_a_peer_that_could_not_be_admitted_later_is_not_kept_now(house, wrong):
    with pytest.raises(InvalidError) as refused:
        add(house, **wrong)
    assert refused.value.next_step
    assert house.rows("peers") == []


def test_an_expired_certificate_is_not_bound_but_one_that_expired_here_may_stay(house, tmp_path):
    over = self_signed("over", tmp_path, not_before=_days(-9), not_after=_days(-1))
    soon = self_signed("soon", tmp_path, days=1)
    with pytest.raises(InvalidError, match="expired"):
        add(house, certificates=[over.pem])
    add(house, certificates=[soon.pem])
    house.clock.forward(days=2)
    assert change(house, certificates=[soon.pem, self_signed("new", tmp_path).pem]).is_bound


def _days(count):
    return datetime.now(UTC) + timedelta(days=count)


def test_pins_are_taken_away_by_their_beginning_and_only_by_enough_of_it(house, tmp_path):
    one, two = self_signed("one", tmp_path), self_signed("two", tmp_path)
    add(house, certificates=[one.pem])
    ports = {"ae_title": "PACS", "by": DESK, **house.ports("records", "clock")}
    assert len(pin_certificate(pem=two.pem + one.pem, **ports).certificates) == 2
    for wrong in ("", "ab", "f" * 64):
        with pytest.raises(NotFoundError):
            unpin_certificate(spki=wrong, **ports)
    left = unpin_certificate(spki=one.spki_sha256[:8], **ports)
    assert [read_certificate(pem).spki_sha256 for pem in left.certificates] == [two.spki_sha256]
    assert len(pin_certificate(pem=one.pem, only=True, **ports).certificates) == 1


def test_two_who_pin_at_once_lose_no_certificate_and_what_was_taken_away_stays_away(
    house, tmp_path, monkeypatch
):
    """The list is worked out in the change that writes it: what a second desk did in between is in it."""
    one, two, three = (self_signed(name, tmp_path) for name in ("one", "two", "three"))
    add(house, certificates=[one.pem])
    ports = {"ae_title": "PACS", "by": DESK, **house.ports("records", "clock")}
    meanwhile = [lambda: change(house, certificates=[one.pem, two.pem])]

    class Between(type(house.records)):
        """Somebody else's change is committed just before ours begins."""

        def change(self, *, by):
            if meanwhile:
                meanwhile.pop()()
            return super().change(by=by)

    monkeypatch.setattr(house.records, "__class__", Between)

    def held():
        return [read_certificate(pem).spki_sha256 for pem in house.rows("peers")[0].certificates]

    pin_certificate(pem=three.pem, **ports)
    assert held() == [one.spki_sha256, two.spki_sha256, three.spki_sha256]
    meanwhile.append(lambda: change(house, certificates=[two.pem, three.pem]))
    unpin_certificate(spki=two.spki_sha256[:16], **ports)
    assert held() == [three.spki_sha256]


def test_the_audit_tells_where_a_peer_listens_now_and_whether_it_may_be_sent_releases(house):
    add(house, address="192.0.2.7:11112")
    change(house, address="192.0.2.8:11112", calls_by_tls=True, may_receive=True)
    told = [(e.details["listens"], e.details["may"]) for e in house.events("peer_added")]
    assert told == [
        ("192.0.2.7:11112", "echo, store, commit"),
        ("192.0.2.8:11112 by TLS", "echo, store, commit, receive"),
    ]


def test_a_token_is_256_bits_shown_once_and_kept_as_its_digest(house):
    add(house)
    ports = house.ports("records", "random")
    first = give_token(ae_title="PACS", by=DESK, **ports)
    second = give_token(ae_title="PACS", by=DESK, **ports)
    assert first != second
    assert len(second) == 43
    assert house.rows("peers")[0].token_hash == hashlib.sha256(second.encode()).hexdigest()
    take_token(ae_title="PACS", by=DESK, records=house.records)
    assert house.rows("peers")[0].token_hash == ""
    trail = "".join(e.canonical().decode() for e in house.events())
    assert first not in trail
    assert second not in trail
    assert [e.details["state"] for e in house.events("peer_token_made")] == ["given", "given", "taken"]


def test_disabling_is_undone_by_enabling(house):
    add(house, description="kept")
    ports = {"ae_title": "PACS", "by": DESK, **house.ports("records", "clock")}
    assert disable_peer(**ports).disabled_at == house.clock.now()
    assert enable_peer(**ports).disabled_at is None
    assert [e.details["state"] for e in house.events("peer_disabled")] == ["disabled", "enabled"]
    assert house.rows("peers")[0].description == "kept"


def leave(house, what):
    """What a peer of the title PACS leaves behind."""
    if what == "studies":
        receive_instance(
            arrival(factories.ct_instance(number=1)), source=PACS_ACTOR,
            **house.ports("records", "store", "clock", "policy"),
        )  # fmt: skip
        return
    with house.records.change(by=DESK) as change:
        if what == "commitments":
            change.commitments.add(
                Commitment(
                    id="q", peer="PACS", called="CONSILIUM", transaction_uid="1.2.3", association_id="a1",
                    asked_at=house.clock.now(),
                )
            )  # fmt: skip
        else:
            now = house.clock.now()
            change.deliveries.add(
                Delivery(
                    id="d", release_id="r", case_id="c", peer="PACS", asked_by="staff:x", asked_at=now, give_up_at=now
                )
            )  # fmt: skip
        change.note("case_read")


@pytest.mark.parametrize("what", ["studies", "commitments", "deliveries"])
def test_a_title_that_a_removed_peer_left_something_under_is_given_again_only_to_the_same_hospital(
    house, what
):
    """Whoever is given the title would own its studies, hear its commitments and be sent its releases."""
    add(house, description="Northern hospital")
    leave(house, what)
    with pytest.raises(ConflictError, match="already"):
        add(house, again=True)
    remove_peer(ae_title="PACS", by=DESK, records=house.records)
    with pytest.raises(TitleUsedError) as refused:
        add(house, description="Southern hospital", address="127.0.0.1:104")
    assert "--again" in refused.value.next_step
    assert house.rows("peers") == []
    told = house.events("peer_added")[-1]
    assert (told.subject, told.outcome, told.actor) == ("PACS", "refused", "staff:coordinator")
    add(house, "PACS2")  # a title of its own is free
    add(house, description="Northern hospital, new address", again=True)
    told = house.events("peer_added")[-1]
    assert (told.outcome, told.details["again"]) == ("ok", "same hospital")


def test_a_title_that_nothing_was_left_under_is_free(house):
    add(house)
    remove_peer(ae_title="PACS", by=DESK, records=house.records)
    add(house, again=True)
    assert "again" not in house.events("peer_added")[-1].details


# showing them


def test_a_peers_page_tells_its_last_day_and_how_its_associations_ended(house):
    add(house)
    add(house, "PACS2")
    with node_of(house) as port:
        assert all(o.kept for o in send(call(port), instances(3)))
        with open_association(port, "PACS", "NOWHERE"):
            pass
        wait_for(lambda: len(house.events("association_refused")) == 1)
        wait_for(lambda: len(house.events("association_ended")) == 1)
    file, ends, changes = show_peer(ae_title="PACS", **house.ports("records", "clock"))
    assert (file.instances, [e.outcome for e in ends]) == (3, ["refused", "released"])
    assert file.size_bytes == sum(row.size_bytes for row in house.rows("instances"))
    assert [e.kind for e in changes] == ["peer_added"]
    assert [f.instances for f in show_peers(**house.ports("records", "clock"))] == [3, 0]
    house.clock.forward(hours=24, seconds=5)
    assert show_peer(ae_title="PACS", **house.ports("records", "clock"))[0].instances == 0


def test_strangers_are_told_once_each_and_peers_are_none(house):
    add(house, hosts=["10.0.0.0/8"])
    with node_of(house) as port:
        for title in ("STRANGER", "STRANGER", "PACS", "OTHER"):
            with open_association(port, title):
                pass
    found = {s.ae_title: s for s in show_strangers(records=house.records)}
    assert set(found) == {"STRANGER", "OTHER"}
    assert found["STRANGER"].times == 2
    assert found["OTHER"].called == "CONSILIUM"


@pytest.mark.parametrize(
    ("days", "word"), [(40, "far"), (29, "soon"), (6, "very_soon"), (0.5, "tomorrow"), (-1, "expired")]
)
def test_the_end_of_a_certificate_is_told_30_7_and_1_days_ahead(house, tmp_path, days, word):
    pin = self_signed("pin", tmp_path, not_after=datetime.now(UTC) + timedelta(days=60))
    add(house, certificates=[pin.pem])
    house.clock.forward(days=60 - days)
    file, _, _ = show_peer(ae_title="PACS", **house.ports("records", "clock"))
    assert file.pins[0].expiry == word
    assert [p.ae_title for p, _ in expiring_pins(**house.ports("records", "clock"))] == (
        [] if word == "far" else ["PACS"]
    )
    disable_peer(ae_title="PACS", by=DESK, **house.ports("records", "clock"))
    assert expiring_pins(**house.ports("records", "clock")) == []


# calling them


def test_calling_a_peer_tells_how_far_it_came_and_leaves_an_event(house):
    add(house, "CONSILIUM", hosts=["127.0.0.1/32"])  # the node answers as its own peer
    rules = house.as_house().calls
    ports = {"ae_title": "CONSILIUM", "by": DESK, "rules": rules, **house.ports("records", "policy")}
    with pytest.raises(ConflictError):
        echo_peer(**ports)
    with node_of(house) as port:
        change(house, "CONSILIUM", address=f"127.0.0.1:{port}")
        found = echo_peer(**ports)
        assert found.reached
        assert [step.name for step in found.steps] == ["name", "connection", "association", "verification"]
    gone = echo_peer(**ports)
    assert not gone.reached
    assert [(e.outcome, e.details["step"]) for e in house.events("peer_called")] == [
        ("ok", "verification"),
        ("failed", "connection"),
    ]
    change(house, "CONSILIUM", address="192.0.2.1:104")
    with pytest.raises(ConflictError, match="without TLS"):
        echo_peer(**ports)


# the sheet


def test_the_sheet_says_what_the_configuration_says(house, tmp_path):
    pin = self_signed("pin", tmp_path)
    add(house, "OPEN")
    add(house, certificates=[pin.pem], may_store=False)
    policy = type(house.policy)(
        ae_title="SECOND_OPINION",
        dicom_at="127.0.0.1:11112",
        dicom_tls_at="0.0.0.0:2762",
        dicom_host="x.example",
    )
    ports = {"policy": policy, "rules": house.as_house().calls, **house.ports("records", "clock")}
    plain = peer_sheet(ae_title="OPEN", **ports)
    assert (plain.plain_port, plain.tls_port, plain.host) == ("11112", "", "x.example")
    assert any("storescu" in line and "-aec SECOND_OPINION " in line for line in plain.tests)
    add(house, "$(id) x'")
    pasted = peer_sheet(ae_title="$(id) x'", **ports).tests[0]
    assert shlex.split(pasted)[3] == "$(id) x'", "a title is text, not a command"
    bound = peer_sheet(ae_title="PACS", **ports)
    assert (bound.plain_port, bound.tls_port) == ("", "2762")
    assert [line.split()[0] for line in bound.tests] == ["echoscu"]
    assert "+tls" in bound.tests[0]


def test_every_code_that_is_sent_has_its_meaning(house):
    """What the sheet prints is all there is: no triple in the node's sources stands outside the table."""
    from gateway.journeys.refuse_instance import REFUSALS

    assert {code for _, code, _ in REFUSALS} <= set(meanings.STATUSES)
    assert all(isinstance(key, tuple) and len(key) == 3 for key in meanings.REJECTIONS)
    refused = Refused(result=1, source=1, reason=3, why="")
    assert (refused.result, refused.source, refused.reason) in meanings.REJECTIONS


def test_a_title_that_is_none_is_not_found(house):
    with house.records.view() as view, pytest.raises(NotFoundError):
        peer_by_title(view, "X" * 40)
    with pytest.raises((NotFoundError, UnavailableError)):
        show_peer(ae_title="", **house.ports("records", "clock"))


@pytest.mark.parametrize("title", ["PACS#2", "PACS>X", "C-P57ENK8V", "c-p57enk8v"])
def test_a_title_that_the_house_gives_to_other_things_is_no_peers(house, title):
    with pytest.raises(InvalidError, match="AE title"):
        add(house, title)
    assert not house.rows("peers")


def test_a_private_key_given_for_a_certificate_is_called_by_its_name(house):
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    with pytest.raises(InvalidError, match="private key"):
        add(house, certificates=[key])
