"""TLS of the node in memory and over loopback: versions, suites, trust and what is told of a refusal (N1, N2, #31)."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
import time

import pytest

from dicom_node import revocation
from dicom_node.certificates import read_certificates
from dicom_node.errors import CertificateError, HandshakeRefused
from dicom_node.node import DicomNode, Listening
from dicom_node.tls import PROFILES, Identity, client_context, refusal_of
from tests.fakes import tls_node
from tests.fakes.certificates import Authority, now, self_signed
from tests.fakes.tls_node import TlsPeer, TrustAtHand, server_tls, shaken
from tests.unit.dicom_node.peers import CT, KeepingReceiver, RawPeer, data_set, running

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    return authority.issue("node", sans=["localhost", "127.0.0.1"])


@pytest.fixture(scope="module")
def rsa_server(authority):
    from cryptography.hazmat.primitives.asymmetric import rsa

    return authority.issue(
        "node-rsa",
        key=rsa.generate_private_key(65537, 2048),
        key_usage=("digital_signature", "key_encipherment"),
    )


@pytest.fixture(scope="module")
def modality(authority):
    return authority.issue("modality", sans=["ct1.hospital.example", "10.1.2.3", "urn:oid:1.2.3"])


# --- versions and suites (N1) ---------------------------------------------------------------------------------------


def every_suite():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:eNULL:@SECLEVEL=0")
    return sorted(c["name"] for c in context.get_ciphers() if c["protocol"] != "TLSv1.3")


def allowed(profile):
    return set(PROFILES[profile].split(":")) - {"@SECLEVEL=2"}


@pytest.mark.parametrize("profile", ["b12", "b13"])
def test_every_suite_of_the_library_but_the_profiles_own_is_refused_one_by_one(
    authority, server, rsa_server, modality, profile
):
    standings = [
        server_tls(s, profile=profile, authorities=[authority]).standing() for s in (server, rsa_server)
    ]
    agreed = set()
    for suite in every_suite():
        for standing in standings:
            offered = tls_node.client_context(
                modality,
                lowest=ssl.TLSVersion.MINIMUM_SUPPORTED,
                highest=TLS12,
                ciphers=f"{suite}:@SECLEVEL=0",
            )
            try:
                agreed.add(shaken(standing, offered)[0].cipher()[0])
            except ssl.SSLError:
                continue
    assert len(every_suite()) > 60
    assert agreed == allowed(profile)


@pytest.mark.parametrize("profile", ["b12", "b13"])
def test_what_is_allowed_has_ephemeral_keys_and_authenticated_encryption(authority, server, profile):
    context = client_context(authorities_pem=authority.pem, pinned_pem=[], identity=None, profile=profile)
    for suite in context.get_ciphers():
        assert suite["aead"], suite
        assert suite["protocol"] == "TLSv1.3" or suite["name"].startswith("ECDHE-"), suite
    assert {c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.3"} >= {
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"
    }  # fmt: skip


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_before_1_2_is_refused(authority, server, modality, version):
    old = tls_node.client_context(modality, lowest=version, highest=version)
    with pytest.raises(ssl.SSLError):
        shaken(server_tls(server, authorities=[authority]).standing(), old)


def test_tls_1_3_is_preferred_and_the_server_chooses_the_suite(authority, server, modality):
    standing = server_tls(server, authorities=[authority]).standing()
    assert shaken(standing, tls_node.client_context(modality))[0].version() == "TLSv1.3"
    weakest_first = tls_node.client_context(
        modality, highest=TLS12, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"
    )
    assert shaken(standing, weakest_first)[0].cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_nothing_can_be_resumed_by_ticket_and_nothing_is_compressed(authority, server, modality, version):
    standing = server_tls(server, authorities=[authority]).standing()
    tls, client = shaken(standing, tls_node.client_context(modality, lowest=version, highest=version))
    assert not client.session.has_ticket
    assert tls.compression() is None


# --- proof (#31) ----------------------------------------------------------------------------------------------------


def proof(tls, identity, **how):
    standing = tls.standing()
    return standing.proven(shaken(standing, tls_node.client_context(identity, **how))[0])


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_certificate_of_an_authority_proves_its_names_and_key(authority, server, modality, version):
    proven = proof(server_tls(server, authorities=[authority]), modality, lowest=version, highest=version)
    assert proven.subject == "CN=modality"
    assert proven.issuer == "CN=Test Authority"
    assert proven.serial == modality.certificate.serial_number
    assert proven.spki_sha256 == modality.spki_sha256
    assert proven.names == ("DNS:ct1.hospital.example", "IP:10.1.2.3", "URI:urn:oid:1.2.3")
    assert proven.not_after == modality.certificate.not_valid_after_utc
    assert proven.pinned is False


def test_a_chain_over_an_intermediate_authority_is_followed(authority, server, tmp_path):
    middle = Authority(tmp_path, "Middle", parent=authority)
    leaf = middle.issue("behind", chain=[middle.own])
    assert proof(server_tls(server, authorities=[authority]), leaf).issuer == "CN=Middle"


def test_a_pinned_certificate_stands_for_itself_whoever_signed_it(server, tmp_path):
    alone = self_signed("alone", tmp_path)
    issued = Authority(tmp_path / "unknown", "Unknown").issue("issued")
    tls = server_tls(server, pinned=[alone, issued])
    assert proof(tls, alone).pinned is True
    assert proof(tls, issued).pinned is True


def test_a_pinned_certificate_that_also_has_a_trusted_authority_is_told_as_the_authoritys(
    authority, server, modality
):
    assert proof(server_tls(server, authorities=[authority], pinned=[modality]), modality).pinned is False


def test_a_pinned_certificate_vouches_for_nobody_else(server, tmp_path):
    tempting = Authority(tmp_path, "Peer with a certificate that may sign")
    tls = server_tls(server, pinned=[tempting])
    with pytest.raises(HandshakeRefused, match=r"its authority is not trusted here: CN=friend"):
        proof(tls, tempting.issue("friend"))


def test_an_authority_is_no_peer_even_where_its_key_may_sign_handshakes(server, tmp_path):
    both = Authority(tmp_path, "Both", key_usage=("digital_signature", "key_cert_sign", "crl_sign"))
    with pytest.raises(HandshakeRefused, match=r"^its authority is not trusted here: CN=Both$"):
        proof(server_tls(server, authorities=[both]), both.own)


def test_a_revoked_certificate_is_refused_and_a_good_one_is_not(authority, server, modality):
    bad = authority.issue("stolen")
    tls = server_tls(server, authorities=[authority], revoked=authority.crl(bad).read_bytes())
    assert proof(tls, modality).subject == "CN=modality"
    with pytest.raises(HandshakeRefused, match=r"^revoked: CN=stolen$"):
        proof(tls, bad)


def test_a_certificate_below_a_revoked_authority_is_refused(authority, server, tmp_path):
    middle = Authority(tmp_path, "Middle", parent=authority)
    leaf = middle.issue("behind", chain=[middle.own])
    lists = authority.crl(middle.own).read_bytes() + middle.crl().read_bytes()
    with pytest.raises(HandshakeRefused, match=r"^revoked authority: CN=behind$"):
        proof(server_tls(server, authorities=[authority], revoked=lists), leaf)


@pytest.mark.parametrize(
    "lists",
    [
        lambda a, other: b"",
        lambda a, other: a.crl(next_update=now() - dt.timedelta(minutes=1), this_update=now() - dt.timedelta(days=2)).read_bytes(),
        lambda a, other: a.crl(this_update=now() + dt.timedelta(hours=1), next_update=now() + dt.timedelta(days=1)).read_bytes(),
        lambda a, other: a.crl(key=other.own.key).read_bytes(),
        lambda a, other: other.crl().read_bytes(),
    ],
    ids=["none", "expired", "not yet", "forged", "another's"],
)  # fmt: skip
def test_where_lists_are_kept_an_authority_without_a_current_one_proves_nothing(
    authority, server, modality, tmp_path, lists
):
    other = Authority(tmp_path, "Other")
    tls = server_tls(server, authorities=[authority, other], revoked=lists(authority, other))
    with pytest.raises(HandshakeRefused, match="no current revocation list"):
        proof(tls, modality)


def test_a_forged_list_revokes_nobody(authority, modality, tmp_path):
    stranger = Authority(tmp_path)  # of the same name
    forged = revocation.RevocationLists(stranger.crl(modality).read_bytes() + authority.crl().read_bytes())
    chain = [modality.certificate, authority.own.certificate]
    assert forged.objection(chain, pinned=False, now=now()) == ""


def test_a_pinned_certificate_needs_no_list_but_is_found_in_one(authority, server, modality, tmp_path):
    alone = self_signed("alone", tmp_path)
    lists = authority.crl(
        modality, next_update=now() - dt.timedelta(minutes=1), this_update=now() - dt.timedelta(days=2)
    )
    tls = server_tls(server, pinned=[alone, modality], revoked=lists.read_bytes())
    assert proof(tls, alone).pinned
    known = revocation.RevocationLists(lists.read_bytes(), read_certificates(authority.pem))
    assert known.objection([modality.certificate], pinned=True, now=now()) == "revoked"


def test_an_authority_that_may_not_sign_lists_signs_none(tmp_path):
    silent = Authority(tmp_path, "Silent", key_usage=("key_cert_sign",))
    leaf = silent.issue("leaf")
    lists = revocation.RevocationLists(silent.crl(leaf).read_bytes())
    told = lists.objection([leaf.certificate, silent.own.certificate], pinned=False, now=now())
    assert told == "no current revocation list of its authority"


def test_a_list_for_some_certificates_only_does_not_count_as_whole(authority, modality):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    partial = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.own.certificate.subject)
        .last_update(now() - dt.timedelta(hours=1))
        .next_update(now() + dt.timedelta(hours=1))
        .add_extension(x509.DeltaCRLIndicator(3), critical=True)
        .sign(authority.own.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    lists = revocation.RevocationLists(partial)
    chain = [modality.certificate, authority.own.certificate]
    assert "no current" in lists.objection(chain, pinned=False, now=now())


def test_an_expired_certificate_is_refused_even_after_the_handshake(authority, server, modality, monkeypatch):
    tls = server_tls(server, authorities=[authority])
    standing = tls.standing()
    done = shaken(standing, tls_node.client_context(modality))[0]

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) + dt.timedelta(days=40)

    monkeypatch.setattr("dicom_node.chains.datetime", Later)
    with pytest.raises(HandshakeRefused, match="expired: CN=modality"):
        standing.proven(done)


# --- what is told ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_refused_stranger_is_named_by_the_subject_that_it_showed(authority, server, tmp_path, version):
    standing = server_tls(server, authorities=[authority]).standing()
    stranger = self_signed("stranger\nwith a second line and a very long name indeed", tmp_path / "x")
    caught = []
    original = standing.begin

    def begin(*bios):
        caught.append(original(*bios))
        return caught[0]

    standing.begin = begin  # type: ignore[method-assign]
    with pytest.raises(ssl.SSLCertVerificationError) as raised:
        shaken(standing, tls_node.client_context(stranger, lowest=version, highest=version))
    told = str(refusal_of(raised.value, caught[0]))
    assert told.startswith("self-signed certificate that is not pinned: CN=stranger")
    assert "\n" not in told
    assert len(told) < 120


# --- change (N2) ----------------------------------------------------------------------------------------------------


def test_a_pin_taken_back_counts_for_the_next_handshake(server, tmp_path):
    alone = self_signed("alone", tmp_path)
    source = TrustAtHand(server, pinned=[alone])
    tls = tls_node.ServerTls(source)
    assert proof(tls, alone).pinned
    source.change(pinned_pem=())
    with pytest.raises(ssl.SSLCertVerificationError):
        proof(tls, alone)


def test_a_session_cannot_outlive_the_trust_that_it_was_made_under(authority, server, modality):
    source = TrustAtHand(server, authorities=[authority])
    receiver = KeepingReceiver()
    context = tls_node.client_context(modality, highest=TLS12)
    with running(receiver, tls=tls_node.ServerTls(source)) as port:
        with TlsPeer(port, context) as peer:
            assert peer.associate()[0] == 2
            session = peer.sock.session
        source.change(revoked=authority.crl(modality).read_bytes())
        with RawPeer(port) as raw, context.wrap_socket(raw.sock, session=session) as sock:
            assert not sock.session_reused
            raw.sock = sock
            assert raw.associate() is None
        assert receiver.wait_for_end(2).why == "revoked: CN=modality"


def test_a_context_is_made_once_for_many_handshakes(authority, server, modality):
    source = TrustAtHand(server, authorities=[authority])
    tls = tls_node.ServerTls(source)
    first = tls.standing()
    threads = [threading.Thread(target=tls.standing) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tls.standing() is first
    assert source.asked == 10


def test_sessions_that_the_library_keeps_are_bounded(authority, server, modality, monkeypatch):
    """It keeps those of TLS 1.2 for two hours; a sender with one association per image would fill the memory."""
    monkeypatch.setattr("dicom_node.tls._HANDSHAKES_PER_CONTEXT", 10)
    tls = server_tls(server, authorities=[authority])
    context = tls_node.client_context(modality, highest=TLS12)
    kept = []
    with running(KeepingReceiver(), tls=tls) as port:
        for _ in range(25):
            with TlsPeer(port, context) as peer:
                assert peer.associate()[0] == 2
                peer.release()
            kept.append(tls.standing()._listening.session_stats()["number"])
    assert 0 < max(kept) <= 10
    assert kept[-1] < 10


def test_a_new_certificate_that_cannot_be_used_leaves_the_old_one_standing(authority, modality, tmp_path):
    own = Authority(tmp_path / "own", "Own").issue("node")
    source = TrustAtHand(own, authorities=[authority])
    tls = tls_node.ServerTls(source)
    first = tls.standing()
    own.key_path.write_text("half a k")
    source.change()
    assert tls.standing() is first
    assert proof(tls, modality).subject == "CN=modality"
    own.written()
    source.change()
    assert tls.standing() is not first


def test_what_was_withdrawn_is_not_trusted_on_because_our_own_certificate_is_broken(
    authority, modality, tmp_path
):
    own = Authority(tmp_path / "own", "Own").issue("node")
    source = TrustAtHand(own, authorities=[authority], pinned=[modality])
    tls = tls_node.ServerTls(source)
    tls.standing()
    own.key_path.write_text("half a k")
    source.change(pinned_pem=())
    for _ in range(2):
        with pytest.raises(CertificateError, match="cannot be used"):
            tls.standing()


def test_a_source_that_fails_refuses_and_later_serves_again(authority, server, modality):
    source = TrustAtHand(server, authorities=[authority])
    receiver = KeepingReceiver()
    context = tls_node.client_context(modality)
    with running(receiver, tls=tls_node.ServerTls(source)) as port:
        source.raises = RuntimeError("no records")
        with pytest.raises(OSError):
            TlsPeer(port, context)
        assert receiver.wait_for_end().why == "whom to trust is not known now"
        source.raises = None
        with TlsPeer(port, context) as peer:
            assert peer.associate()[0] == 2


# --- our calls out --------------------------------------------------------------------------------------------------


def test_a_call_out_trusts_the_pin_or_the_authority_and_nobody_else(authority, server, modality, tmp_path):
    identity = Identity(certificate=modality.cert_path, key=modality.key_path)
    standing = server_tls(server, authorities=[authority]).standing()
    for how in (
        {"authorities_pem": authority.pem, "pinned_pem": []},
        {"authorities_pem": "", "pinned_pem": [server.pem]},
    ):
        context = client_context(identity=identity, **how)
        assert not context.check_hostname
        assert context.verify_mode == ssl.CERT_REQUIRED
        shaken(standing, context)
    wrong = client_context(
        authorities_pem="", pinned_pem=[self_signed("other", tmp_path).pem], identity=identity
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(standing, wrong)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"authorities_pem": "", "pinned_pem": []}, "whom to trust"),
        ({"authorities_pem": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "pinned_pem": []}, "damaged"),
        ({"authorities_pem": "", "pinned_pem": [], "profile": "b9"}, "no TLS profile b9"),
    ],
)  # fmt: skip
def test_a_call_out_that_could_prove_nothing_is_not_made_ready(how, why):
    with pytest.raises(CertificateError, match=why):
        client_context(identity=None, **how)


def test_a_key_with_a_pass_phrase_is_refused_and_never_asked_for(authority, server, tmp_path):
    from cryptography.hazmat.primitives import serialization

    locked = tmp_path / "locked.key"
    locked.write_bytes(
        server.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match="pass phrase"):
        client_context(
            authorities_pem=authority.pem,
            pinned_pem=[],
            identity=Identity(certificate=server.cert_path, key=locked),
        )


def test_a_key_of_another_certificate_is_said_by_the_names_of_the_files(authority, server, modality):
    with pytest.raises(
        CertificateError, match=r"node\.crt with the key .*modality\.key .*KEY_VALUES_MISMATCH"
    ):
        client_context(
            authorities_pem=authority.pem,
            pinned_pem=[],
            identity=Identity(certificate=server.cert_path, key=modality.key_path),
        )


# --- the wire -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 700_001])
def test_objects_come_through_whole_in_both_versions(authority, server, modality, version, size):
    receiver = KeepingReceiver(reads="into", read_bytes=200_000)
    pixels = bytes(range(256)) * (size // 256) + bytes(size % 256 + size % 2)
    data = data_set(pixels=pixels)
    context = tls_node.client_context(modality, trusted=[authority], lowest=version, highest=version)
    with running(receiver, tls=server_tls(server, authorities=[authority])) as port:
        with TlsPeer(port, context) as peer:
            assert peer.associate(max_length=0)[0] == 2
            assert peer.store(data, step=120_000)[0] == 0
            assert peer.store(data, step=333 if size < 20_000 else 99_999)[0] == 0
            assert peer.echo() == 0
            assert peer.release()[0] == 6
        assert receiver.wait_for_end().how == "released"
    assert [held for _, held in receiver.kept] == [data, data]
    assert receiver.attempts[0].certificate.spki_sha256 == modality.spki_sha256
    assert receiver.kept[0][0].sop_class_uid == CT


def test_on_a_plain_connection_nobody_has_a_certificate():
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        assert peer.associate()[0] == 2
    assert receiver.attempts[0].certificate is None


def test_one_node_listens_plain_and_by_tls_and_counts_both_together(authority, server, modality):
    receiver = KeepingReceiver()
    tls = server_tls(server, authorities=[authority])
    node = DicomNode(
        receiver=receiver,
        listeners=[Listening(host="127.0.0.1", port=0), Listening(host="127.0.0.1", port=0, tls=tls)],
    )
    (_, plain), (_, secure) = node.start()
    try:
        with RawPeer(plain) as one, TlsPeer(secure, tls_node.client_context(modality)) as other:
            assert one.associate()[0] == other.associate()[0] == 2
            assert node.counts() == (0, 2)
            assert one.echo() == other.echo() == 0
    finally:
        began = time.monotonic()
        node.stop(timeout_s=2)
    assert time.monotonic() - began < 2


def test_an_address_that_is_taken_leaves_none_listening(authority, server):
    receiver = KeepingReceiver()
    with running(receiver) as taken:
        free = DicomNode(receiver=receiver, listeners=[Listening(host="127.0.0.1", port=0)])
        ((_, port),) = free.start()
        free.stop(timeout_s=1)
        both = DicomNode(
            receiver=receiver,
            listeners=[Listening(host="127.0.0.1", port=port), Listening(host="127.0.0.1", port=taken)],
        )
        with pytest.raises(Exception, match="cannot be listened on"):
            both.start()
        with pytest.raises(ConnectionRefusedError):
            RawPeer(port)


def test_stopping_tells_a_tls_peer_with_an_abort_too(authority, server, modality):
    receiver = KeepingReceiver()
    node = DicomNode(
        receiver=receiver,
        listeners=[Listening(host="127.0.0.1", port=0, tls=server_tls(server, authorities=[authority]))],
    )
    ((_, port),) = node.start()
    with TlsPeer(port, tls_node.client_context(modality)) as peer:
        peer.associate()
        began = time.monotonic()
        node.stop(timeout_s=10)
        assert time.monotonic() - began < 2
        assert peer.read()[0] == 7
