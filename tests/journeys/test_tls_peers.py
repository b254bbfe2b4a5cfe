"""Peers that come by TLS to a whole house: right title with wrong certificate, and how soon a change counts (N2, #31, #32, day-one 2, 3)."""

from __future__ import annotations

import contextlib
import time

import pytest

from dicom_node.node import DicomNode, Listening
from dicom_node.tls import ServerTls
from gateway.adapters.peer_trust import PeerTrust
from gateway.domain.tls_files import TlsFiles
from gateway.doors.dimse import DimseDoor
from gateway.journeys.know_peer import add_peer, disable_peer, pin_certificate, unpin_certificate
from tests.fakes.certificates import Authority, self_signed
from tests.fakes.journey_house import DESK
from tests.fakes.tls_node import TlsPeer, client_context

ACCEPTED, REJECTED = 2, 3
UNKNOWN_CALLER = b"\0\1\1\3"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "Region")


@pytest.fixture
def files(authority, tmp_path):
    own = self_signed("node", tmp_path)
    (tmp_path / "authorities.pem").write_text(authority.pem)
    return TlsFiles(
        certificate=own.cert_path,
        key=own.key_path,
        authorities=tmp_path / "authorities.pem",
        revoked=tmp_path / "revoked.pem",
    )


@pytest.fixture
def port(house, files):
    tls = ServerTls(PeerTrust(house.records, files))
    node = DicomNode(
        receiver=DimseDoor(house.as_house()), listeners=[Listening(host="127.0.0.1", port=0, tls=tls)]
    )
    ((_, bound),) = node.start()
    yield bound
    node.stop(timeout_s=2)


def known(house, title, **more):
    return add_peer(
        ae_title=title, hosts=["127.0.0.0/8"], by=DESK, records=house.records, clock=house.clock, **more
    )


def answer(port, identity, calling):
    """The A-ASSOCIATE-AC or -RJ, None where TLS already refused."""
    try:
        with TlsPeer(port, client_context(identity)) as peer:
            return peer.associate(calling=calling)
    except OSError:
        return None


def accepted(port, identity, calling):
    found = answer(port, identity, calling)
    return found is not None and found[0] == ACCEPTED


def within_a_second(condition):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 1, "the change does not count after a second"
    return time.monotonic() - began


def told(house):
    with house.records.view() as view:
        return [
            event.details.get("why", "") for event in view.events() if event.kind == "association_refused"
        ]


def told_once(house, fits, within_s=10.0):
    """Wait until the audit tells of such a refusal: it is written after the connection is closed."""
    deadline = time.monotonic() + within_s
    while not any(fits(why) for why in told(house)):
        assert time.monotonic() < deadline, told(house)
        time.sleep(0.02)


def test_day_one_3_a_right_title_with_another_peers_certificate_is_rejected(house, port, authority, tmp_path):
    one, other = self_signed("one", tmp_path), self_signed("other", tmp_path)
    known(house, "ONE", certificates=[one.pem])
    known(house, "OTHER", certificates=[other.pem])
    known(house, "NAMED", names=["DNS:ct.region.example"])
    named = authority.issue("named", sans=["ct.region.example"])
    unnamed = authority.issue("unnamed", sans=["mr.region.example"])
    assert accepted(port, one, "ONE")
    assert accepted(port, other, "OTHER")
    assert accepted(port, named, "NAMED")
    for identity, title in (
        (one, "OTHER"),
        (other, "NAMED"),
        (named, "ONE"),
        (unnamed, "NAMED"),
        (unnamed, "ONE"),
    ):
        assert answer(port, identity, title) == (REJECTED, UNKNOWN_CALLER), (identity.name, title)
    told_once(
        house, lambda why: "certificate is not that of the calling AE title" in why and "CN=other" in why
    )


def test_day_one_2_a_strangers_certificate_stands_in_the_audit_by_its_subject(house, port, tmp_path):
    stranger = self_signed("CT 7 of nobody", tmp_path)
    assert answer(port, stranger, "ONE") is None
    told_once(house, bool)
    assert told(house) == ["self-signed certificate that is not pinned: CN=CT 7 of nobody"]


def test_n2_a_pin_counts_within_a_second_and_so_does_its_end(house, port, tmp_path):
    identity = self_signed("late", tmp_path)
    known(house, "LATE", names=["DNS:nowhere.example"])
    assert not accepted(port, identity, "LATE")
    pin_certificate(ae_title="LATE", pem=identity.pem, by=DESK, records=house.records, clock=house.clock)
    within_a_second(lambda: accepted(port, identity, "LATE"))
    unpin_certificate(
        ae_title="LATE", spki=identity.spki_sha256[:16], by=DESK, records=house.records, clock=house.clock
    )
    within_a_second(lambda: answer(port, identity, "LATE") is None)


def test_n2_a_disabled_peers_association_ends_and_its_pin_proves_nothing(house, port, tmp_path):
    identity = self_signed("late", tmp_path)
    known(house, "LATE", certificates=[identity.pem])
    with TlsPeer(port, client_context(identity)) as peer:
        assert peer.associate(calling="LATE")[0] == ACCEPTED
        disable_peer(ae_title="LATE", by=DESK, records=house.records, clock=house.clock)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            assert peer.read()[0] == 7
        assert time.monotonic() - began < 1.5
    within_a_second(lambda: answer(port, identity, "LATE") is None)


def test_n2_a_revocation_list_and_a_removed_authority_count_within_a_second(house, port, files, authority):
    first, second = (authority.issue(name, sans=[f"{name}.region.example"]) for name in ("first", "second"))
    known(house, "FIRST", names=["DNS:first.region.example"])
    known(house, "SECOND", names=["DNS:second.region.example"])
    assert accepted(port, first, "FIRST")
    files.revoked.write_bytes(authority.crl(first).read_bytes())
    within_a_second(lambda: not accepted(port, first, "FIRST"))
    assert accepted(port, second, "SECOND")
    files.authorities.unlink()
    within_a_second(lambda: answer(port, second, "SECOND") is None)


def test_the_nodes_own_certificate_is_renewed_without_a_restart(house, port, files, tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr(
        PeerTrust, "_look", lambda trust, look=PeerTrust._look: looks.append(1) or look(trust)
    )
    identity = self_signed("ct", tmp_path)
    known(house, "CT", certificates=[identity.pem])
    assert accepted(port, identity, "CT")
    fresh = self_signed("node after renewal", tmp_path)
    files.certificate.write_text(fresh.pem)  # for a moment the pair does not match
    before = len(looks)
    while len(looks) == before:  # up to and with the handshake for which the files are looked at again
        assert accepted(port, identity, "CT")
    files.key.write_text(fresh.key_pem)

    def shows_the_new_one():
        with TlsPeer(port, client_context(identity, trusted=[fresh])):
            return True

    def does():
        try:
            return shows_the_new_one()
        except OSError:
            return False

    within_a_second(does)
