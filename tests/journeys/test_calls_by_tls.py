"""Calling peers by TLS: whose certificate is taken, and that what was revoked is not called any more (N2)."""

from __future__ import annotations

import contextlib

import pytest

from dicom_node.node import DicomNode, Listening
from dicom_node.receiver import Admitted
from dicom_node.scu import echo
from gateway.domain.calls import CallRules
from gateway.domain.errors import UnavailableError
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.journeys.call_peer import call_of
from tests.fakes.certificates import Authority, self_signed
from tests.fakes.journey_house import HandClock
from tests.fakes.tls_node import server_tls
from tests.unit.dicom_node.peers import KeepingReceiver


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca", "Region")


@contextlib.contextmanager
def pacs(identity, *, authority, ours):
    """A PACS that shows a certificate and takes ours."""
    receiver = KeepingReceiver(admitted=lambda _: Admitted(may_store=True, may_echo=True))
    tls = server_tls(identity, authorities=[authority], pinned=[ours])
    node = DicomNode(receiver=receiver, listeners=[Listening(host="127.0.0.1", port=0, tls=tls)])
    ((_, port),) = node.start()
    try:
        yield port
    finally:
        node.stop(timeout_s=2)


class Caller:
    """We, with our own certificate, an authority that we trust, and perhaps its list."""

    def __init__(self, authority, folder):
        self.authority, self.folder = authority, folder
        self.ours = self_signed("ours", folder)
        self.list = folder / "revoked.pem"

    def call(self, identity, **known):
        """C-ECHO a PACS that shows this certificate, and is known by what is given."""
        rules = CallRules(
            certificate=self.ours.cert_path, key=self.ours.key_path, authorities=self.authority.path,
            revoked=self.list, lists_mark=self.folder / "lists.seen",
        )  # fmt: skip
        with pacs(identity, authority=self.authority, ours=self.ours) as port:
            peer = Peer(
                ae_title="PACS", address=f"127.0.0.1:{port}", calls_by_tls=True, created_at=HandClock().now(), **known
            )  # fmt: skip
            return echo(call_of(peer, policy=Policy(), rules=rules))


@pytest.fixture
def caller(authority, tmp_path):
    return Caller(authority, tmp_path)


def test_a_peer_whose_certificate_was_revoked_is_not_called(caller, authority):
    """It keeps its name and its authority; what its owner lost is its key."""
    named = authority.issue("pacs", sans=["pacs.example"])
    assert caller.call(named, names=["DNS:pacs.example"]).reached
    caller.list.write_bytes(authority.crl(authority.issue("another")).read_bytes())
    assert caller.call(named, names=["DNS:pacs.example"]).reached
    caller.list.write_bytes(authority.crl(named).read_bytes())
    for known in ({"names": ["DNS:pacs.example"]}, {"certificates": [named.pem]}):
        found = caller.call(named, **known)
        assert not found.reached
        assert found.why.startswith("TLS failed: revoked: CN=pacs")


def test_a_list_that_was_there_once_is_missed_when_we_call(caller, authority):
    named = authority.issue("pacs", sans=["pacs.example"])
    caller.list.write_bytes(authority.crl(authority.issue("another")).read_bytes())
    assert caller.call(named, names=["DNS:pacs.example"]).reached
    caller.list.unlink()
    found = caller.call(named, names=["DNS:pacs.example"])
    assert "no current revocation list" in found.why
    pinned = self_signed("pinned", caller.folder)
    assert caller.call(pinned, certificates=[pinned.pem]).reached  # its pin is its own revocation


def test_a_damaged_list_is_said_before_anybody_is_called(caller, authority):
    caller.list.write_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    with pytest.raises(UnavailableError, match="revocation list is damaged"):
        caller.call(authority.issue("pacs", sans=["pacs.example"]), names=["DNS:pacs.example"])


def test_a_pinned_certificate_that_signs_another_vouches_for_nobody_when_we_call(caller, tmp_path):
    own = Authority(tmp_path / "own", "PACS's own")
    signed = own.issue("another", sans=["pacs.example"])
    found = caller.call(signed, certificates=[own.pem], names=["DNS:pacs.example"])
    assert not found.reached
    assert "its authority is not trusted here" in found.why


def test_another_peers_certificate_is_not_taken(caller, authority):
    found = caller.call(authority.issue("mr", sans=["mr.example"]), names=["DNS:pacs.example"])
    assert found.why == "TLS failed: the certificate is not that of PACS"
