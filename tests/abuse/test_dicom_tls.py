"""Threats to the TLS port of the DICOM node (docs/security.md N1, N4, N5, N12, #29, #30, #31; day-one tests 2 and 3), with real clients."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.fakes import tls_node
from tests.fakes.certificates import CODE_SIGNING, SERVER, Authority, now, self_signed, weak_key
from tests.fakes.tls_node import TlsPeer, client_context, client_hello, node_process, server_tls
from tests.unit.dicom_node.peers import (
    CALLED,
    CALLING,
    CT,
    KeepingReceiver,
    RawPeer,
    associate_rq,
    command,
    data_set,
    explicit,
    only,
    p_data,
    running,
)

pytestmark = pytest.mark.abuse

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
OPENSSL, ECHOSCU, STORESCU = (shutil.which(name) for name in ("openssl", "echoscu", "storescu"))
needs_dcmtk = pytest.mark.skipif(not ECHOSCU or not STORESCU, reason="DCMTK is not installed")
needs_openssl = pytest.mark.skipif(not OPENSSL, reason="the openssl program is not installed")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    return authority.issue("node", sans=["localhost", "127.0.0.1"])


@pytest.fixture(scope="module")
def modality(authority):
    return authority.issue("modality", sans=["ct1.hospital.example"])


@pytest.fixture
def tls(authority, server):
    return server_tls(server, authorities=[authority])


def timed_tls_echo(port, context, source=None):
    started = time.monotonic()
    with TlsPeer(port, context, source) as peer:
        assert peer.associate()[0] == 2
        assert peer.echo() == 0
    return time.monotonic() - started


def is_let_in(port, context):
    """Whether an association comes about; by TLS 1.3 a client learns only afterwards that it was refused."""
    try:
        with TlsPeer(port, context) as peer:
            answer = peer.associate()
    except OSError:
        return False
    return answer is not None


# --- what is spoken (N1) --------------------------------------------------------------------------------------------


def s_client(port, *options, said=b"", wait_s=0.4):
    """Run `openssl s_client`; returns all that it prints. `said` goes in piece by piece."""
    process = subprocess.Popen(
        [OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with contextlib.suppress(BrokenPipeError):
        for piece in [said] if isinstance(said, bytes) else said:
            time.sleep(wait_s)
            process.stdin.write(piece)
            process.stdin.flush()
        time.sleep(wait_s)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdin = None
    try:
        return process.communicate(timeout=8)[0].decode("latin-1")
    finally:
        process.kill()


@needs_openssl
def test_n1_the_matrix_of_versions_and_suites_with_openssl(tls, modality):
    good = ("-cert", str(modality.cert_path), "-key", str(modality.key_path))
    matrix = [
        (("-tls1_3",), "TLSv1.3"),
        (("-tls1_2",), "TLSv1.2"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "TLSv1.2"),
        (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), None),
        (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), None),
        *(
            (("-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0"), None)
            for suite in (
                "AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA",
                "DHE-RSA-AES256-GCM-SHA384", "ADH-AES256-GCM-SHA384", "AECDH-AES256-SHA", "ECDHE-ECDSA-NULL-SHA",
                "NULL-SHA256", "CAMELLIA256-SHA", "ECDHE-ECDSA-ARIA256-GCM-SHA384", "PSK-AES128-GCM-SHA256",
                "ECDHE-ECDSA-AES256-CCM8", "SRP-AES-128-CBC-SHA",
            )
        ),
    ]  # fmt: skip
    wrong = []
    with running(KeepingReceiver(), tls=tls) as port:
        for options, version in matrix:
            told = s_client(port, *good, *options, wait_s=0.1)
            agreed = f"New, {version}" in told and "Cipher is (NONE)" not in told
            if agreed != (version is not None):
                wrong.append((options, told[-600:]))
    assert wrong == []


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_n1_there_are_no_tickets_and_there_is_no_compression(tls, modality, version):
    with running(KeepingReceiver(), tls=tls) as port:
        told = s_client(port, version, "-comp", "-cert", modality.cert_path, "-key", modality.key_path)
    assert "Compression: NONE" in told
    assert "TLS session ticket" not in told
    assert "New Session Ticket arrived" not in told


@needs_openssl
def test_n1_a_client_that_renegotiates_is_cut_off(tls, modality):
    receiver = KeepingReceiver()
    with running(receiver, tls=tls) as port:
        told = s_client(
            port, "-tls1_2", "-cert", modality.cert_path, "-key", modality.key_path, said=[b"R\n", associate_rq()]
        )  # fmt: skip
        assert "RENEGOTIATING" in told
        assert "no renegotiation" in told
        receiver.wait_for_end()
    assert receiver.attempts == []


@needs_openssl
def test_n1_a_client_that_changes_its_keys_is_followed(tls, modality):
    """RFC 8446 4.6.3: s_client sends KeyUpdate and asks for ours."""
    receiver = KeepingReceiver()
    with running(receiver, tls=tls) as port:
        told = s_client(
            port, "-tls1_3", "-cert", modality.cert_path, "-key", modality.key_path,
            said=[b"K\n", associate_rq(calling="AFTERKEYS"), b"K\n", b""],
        )  # fmt: skip
        assert "KEYUPDATE" in told
        assert receiver.wait_for_end().calling_ae.strip() == "AFTERKEYS"
    assert "1.2.840.10008.3.1.1.1" in told  # our A-ASSOCIATE-AC, under new keys


# --- who is let in (#31, day-one 2 and 3) ---------------------------------------------------------------------------


def bad_certificates(authority, folder):
    """{what is wrong: (identity, what the audit says, revocation lists)} over a generated authority."""
    other = Authority(folder / "other", "Other")
    expired = dt.timedelta(days=1)
    middle = Authority(folder / "middle", "Middle", parent=authority)
    old_middle = Authority(
        folder / "old",
        "Old middle",
        parent=authority,
        not_before=now() - 9 * expired,
        not_after=now() - expired,
    )
    leaf = authority.issue("leaf")
    revoked = authority.issue("revoked one")
    impostor = Authority(folder / "impostor")  # the same name, another key
    return {
        "another authority": (other.issue("a"), "its authority is not trusted here: CN=a"),
        "expired": (authority.issue("b", not_before=now() - 2 * expired, not_after=now() - expired), "certificate expired: CN=b"),
        "not yet valid": (authority.issue("c", not_before=now() + expired), "certificate not yet valid: CN=c"),
        "self-signed": (self_signed("d", folder), "self-signed certificate that is not pinned: CN=d"),
        "revoked": (revoked, "revoked: CN=revoked one"),
        "weak key": (authority.issue("f", key=weak_key()), "key too weak: CN=f"),
        "for servers": (authority.issue("g", eku=(SERVER,)), "certificate not for TLS clients: CN=g"),
        "for code": (authority.issue("h", eku=(CODE_SIGNING,)), "certificate not for TLS clients: CN=h"),
        "key usage": (authority.issue("i", key_usage=("key_encipherment",)), "certificate not for TLS clients: CN=i"),
        "forged signature": (authority.issue("j", signing_key=other.own.key), "certificate signature failure: CN=j"),
        "issued by a leaf": (_issued_by(leaf, folder, "k"), ": CN=k"),
        "authority expired": (old_middle.issue("l", chain=[old_middle.own]), "certificate expired: CN=l"),
        "authority's namesake": (impostor.issue("m", chain=[impostor.own]), ": CN=m"),
        "chain not shown": (middle.issue("n"), "its authority is not trusted here: CN=n"),
        "an authority's own": (authority.own, ""),
    }, authority.crl(revoked).read_bytes()  # fmt: skip


def _issued_by(leaf, folder, name):
    signer = Authority.__new__(Authority)
    signer.folder, signer.own, signer.name = folder, leaf, name
    return signer.issue(name, chain=[leaf])


BAD = [
    "another authority", "expired", "not yet valid", "self-signed", "revoked", "weak key", "for servers", "for code",
    "key usage", "forged signature", "issued by a leaf", "authority expired", "authority's namesake",
    "chain not shown", "an authority's own",
]  # fmt: skip


@pytest.fixture(scope="module")
def bad(authority, tmp_path_factory):
    return bad_certificates(authority, tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("what", BAD)
def test_31_a_bad_certificate_is_refused_and_the_audit_names_it(authority, server, bad, what, version):
    cases, lists = bad
    identity, why = cases[what]
    assert set(cases) == set(BAD)
    receiver = KeepingReceiver()
    tls = server_tls(server, authorities=[authority], revoked=lists)
    context = client_context(identity, lowest=version, highest=version)
    with running(receiver, tls=tls) as port:
        assert not is_let_in(port, context)
        end = receiver.wait_for_end()
    assert receiver.attempts == []
    assert end.how == "refused"
    assert end.why.endswith(why), end.why


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_31_nobody_comes_in_without_a_certificate(tls, version):
    receiver = KeepingReceiver()
    with running(receiver, tls=tls) as port:
        assert not is_let_in(port, client_context(lowest=version, highest=version))
        assert receiver.wait_for_end().why == "the peer shows no certificate"
    assert receiver.attempts == []


def test_31_a_pinned_certificate_is_refused_when_it_has_ended(server, tmp_path):
    ended = self_signed(
        "pinned", tmp_path, not_before=now() - dt.timedelta(days=2), not_after=now() - dt.timedelta(hours=1)
    )
    receiver = KeepingReceiver()
    with running(receiver, tls=server_tls(server, pinned=[ended])) as port:
        assert not is_let_in(port, client_context(ended))
        assert receiver.wait_for_end().why == "certificate expired: CN=pinned"


def test_a_peer_that_does_not_accept_our_certificate_is_told_of_as_such(tls, modality, tmp_path):
    receiver = KeepingReceiver()
    with running(receiver, tls=tls) as port:
        assert not is_let_in(port, client_context(modality, trusted=[self_signed("x", tmp_path)]))
        assert receiver.wait_for_end().why == "the peer does not accept us (alert: unknown ca)"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (associate_rq(), "plain DICOM on the port for TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "no TLS on the port for TLS"),
        (b"SSH-2.0-scanner\r\n", "no TLS on the port for TLS"),
        (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "no TLS on the port for TLS"),
        (b"\x16\x03\x01\x00\x05hello", "no TLS handshake"),
        (b"\x16\x03\x01\xff\xff" + b"\1" * 70_000, "no TLS handshake"),
        (b"\x16\x03\x03\x00\x04\x01\xff\xff\xff", None),
        (client_hello()[:60] + b"\0" * 600, "no TLS handshake"),
    ],
    ids=["plain", "web", "ssh", "ssl2", "short", "record too long", "hello of 16 MiB", "mangled"],
)
def test_day_one_2_what_is_no_tls_is_refused_in_words_and_others_are_undisturbed(tls, modality, said, why):
    receiver = KeepingReceiver()
    context = client_context(modality)
    with running(receiver, tls=tls, handshake_s=1) as port:
        with RawPeer(port) as stranger:
            stranger.send(said)
            assert timed_tls_echo(port, context) < 1
            with contextlib.suppress(OSError):
                while stranger.sock.recv(4096):
                    pass
        receiver.wait_for_end(2)
    told = [end for end in receiver.ends if end.how in ("refused", "timeout")]
    assert [end.address for end in told] == ["127.0.0.1"]
    assert why is None or told[0].why.startswith(why), told
    assert len(receiver.attempts) == 1


@needs_dcmtk
@pytest.mark.parametrize(
    "profile", [("+py",), ("+px",), ("+pz",)], ids=["non-downgrading", "bcp195", "extended"]
)
def test_dcmtk_comes_in_with_its_certificate_and_not_without(authority, server, modality, tmp_path, profile):
    """Day-one 2: the toolkit that most senders are made of, both directions of proof."""
    receiver = KeepingReceiver(admitted=only())
    titles = ("-aet", CALLING, "-aec", CALLED, "127.0.0.1")
    mine = ("+tls", modality.key_path, modality.cert_path, "+cf", authority.path, *profile)
    other = self_signed("other", tmp_path)
    with running(receiver, tls=server_tls(server, authorities=[authority])) as port:

        def echoes(*options):
            return subprocess.run(
                [ECHOSCU, *map(str, options), *titles, str(port)], capture_output=True, timeout=20
            ).returncode == 0  # fmt: skip

        assert echoes(*mine)
        assert not echoes()  # plain
        assert not echoes("+tla", "+cf", authority.path, *profile)  # anonymous
        assert not echoes("+tls", other.key_path, other.cert_path, "+cf", authority.path, *profile)
        assert not echoes("+tls", modality.key_path, modality.cert_path, "+cf", other.cert_path, *profile)
        receiver.wait_for_end(5)
    assert {end.how for end in receiver.ends} == {"released", "refused"}
    assert len(receiver.attempts) == 1


@needs_dcmtk
def test_dcmtk_stores_by_tls(authority, server, modality, tmp_path):
    meta = explicit(0x00020002, "UI", CT) + explicit(0x00020003, "UI", "1.2.3.4.5")
    meta += explicit(0x00020010, "UI", "1.2.840.10008.1.2.1")
    length = explicit(0x00020000, "UL", len(meta).to_bytes(4, "little"))
    data = data_set(pixels=bytes(300_000))
    file = tmp_path / "ct.dcm"
    file.write_bytes(bytes(128) + b"DICM" + length + meta + data)
    receiver = KeepingReceiver()
    with running(receiver, tls=server_tls(server, authorities=[authority])) as port:
        done = subprocess.run(
            [STORESCU, "-xe", "+tls", modality.key_path, modality.cert_path, "+cf", authority.path,
             "-aec", CALLED, "127.0.0.1", str(port), file],
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert receiver.wait_for_end().how == "released"
    assert receiver.kept[0][1].endswith(bytes(300_000))


# --- crowds and patience (#29, #30, N4, N5) -------------------------------------------------------------------------


def test_29_a_thousand_silent_and_babbling_tls_connections_stop_nobody(tls, modality):
    """#29, N4, 0.1a: one silent client stops pynetdicom; here a thousand, from several addresses, and the node's own too."""
    receiver = KeepingReceiver()
    context = client_context(modality)
    hello = client_hello()
    said = [
        b"",
        b"\x16",
        b"\x16\x03\x01",
        hello[:50],
        hello,
        os.urandom(64),
        b"\1\0",
        b"GET / HTTP/1.0\r\n\r\n",
    ]
    slowest, began = 0.0, time.monotonic()
    with running(receiver, tls=tls) as port, contextlib.ExitStack() as stack:
        timed_tls_echo(port, context)
        for n in range(1000):
            with contextlib.suppress(OSError):
                stack.enter_context(RawPeer(port, f"127.0.0.{2 + n % 50}")).send(said[n % len(said)])
            if n % 100 == 99:
                slowest = max(
                    slowest, timed_tls_echo(port, context), timed_tls_echo(port, context, "127.0.0.3")
                )
        assert slowest < 1
    assert time.monotonic() - began < 60


def test_29_one_silent_client_does_not_hold_up_a_stop(tls):
    receiver = KeepingReceiver()
    began = None
    with running(receiver, tls=tls) as port, RawPeer(port) as silent, RawPeer(port) as half:
        silent.send(b"\x16")
        half.send(client_hello())
        time.sleep(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("first", ["nothing", "half a hello", "a whole hello"])
def test_n5_silence_in_the_handshake_is_cut_at_the_deadline(tls, first):
    receiver = KeepingReceiver()
    hello = client_hello()
    with running(receiver, tls=tls, handshake_s=1) as port, RawPeer(port) as peer:
        peer.send({"nothing": b"", "half a hello": hello[:40], "a whole hello": hello}[first])
        began = time.monotonic()
        end = receiver.wait_for_end()
        assert 0.9 < time.monotonic() - began < 2
    assert (end.how, end.why) == ("timeout", "no TLS handshake within 1 s")


def test_n5_a_handshake_that_drips_is_cut_at_the_same_deadline(tls):
    receiver = KeepingReceiver()
    with running(receiver, tls=tls, handshake_s=2) as port, RawPeer(port) as peer:
        began, stop = time.monotonic(), threading.Event()

        def drip():
            for byte in client_hello():
                with contextlib.suppress(OSError):
                    peer.send(bytes([byte]))
                if stop.wait(0.25):
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        end = receiver.wait_for_end(timeout=8)
        stop.set()
        dripping.join()
        assert 1.9 < time.monotonic() - began < 3.1
    assert (end.how, end.why) == ("timeout", "no TLS handshake within 2 s")


def test_n5_after_the_handshake_artim_runs_and_the_pace_holds(tls, modality):
    receiver = KeepingReceiver()
    with running(receiver, tls=tls, artim_s=1, min_bytes_per_s=100_000) as port:
        with TlsPeer(port, client_context(modality)):
            assert receiver.wait_for_end().how == "timeout"
        with TlsPeer(port, client_context(modality)) as slow:
            slow.associate()
            slow.send(p_data(1, 3, command()) + p_data(1, 2, bytes(16000))[:-1])
            assert receiver.wait_for_end(2).how == "timeout"
    assert receiver.kept == []


def test_a_cable_pulled_in_the_middle_of_a_record_leaves_nothing(tls, modality):
    receiver = KeepingReceiver()
    with running(receiver, tls=tls) as port:
        peer = TlsPeer(port, client_context(modality))
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set(pixels=bytes(12_000))))
        plain = socket.socket(fileno=peer.sock.detach())
        plain.send(b"\x17\x03\x03\x40\x00half a record")
        plain.close()
        end = receiver.wait_for_end()
    assert end.how == "lost"
    assert (receiver.kept, receiver.thrown_away) == ([], 1)


def test_a_record_that_was_tampered_with_ends_the_association(tls, modality):
    receiver = KeepingReceiver()
    with running(receiver, tls=tls) as port:
        peer = TlsPeer(port, client_context(modality))
        peer.associate()
        peer.send(p_data(1, 3, command()) + p_data(1, 0, data_set(pixels=bytes(12_000))))
        plain = socket.socket(fileno=peer.sock.detach())
        plain.send(b"\x17\x03\x03\x00\x20" + os.urandom(32))
        end = receiver.wait_for_end()
        plain.close()
    assert end.how == "lost"
    assert receiver.kept == []


def test_30_a_hostile_tls_connection_costs_little_memory(authority, server, modality):
    """Measured on a process of its own, over 150 connections of each kind, all held at once."""
    hello = client_hello()
    words = {
        "nothing": b"",
        "half a hello": hello[:60],
        "a whole hello": hello,
        "a hello and garbage": hello + b"\x16\x03\x03\x40\x00" + bytes(9000),
    }
    count, context, each = 150, client_context(modality), {}
    with (
        node_process(server, authority, max_pending=700, max_pending_per_address=700, handshake_s=60) as (port, resident),
        contextlib.ExitStack() as stack,
    ):  # fmt: skip
        for _ in range(3):
            timed_tls_echo(port, context)
        for said, data in words.items():
            before = resident()
            for _ in range(count):
                stack.enter_context(RawPeer(port)).send(data)
            time.sleep(1)
            each[said] = (resident() - before) // count // 1024
        assert timed_tls_echo(port, context) < 1
    print(f"\n#30 KiB for each hostile TLS connection: {each}")
    assert max(each.values()) < 256, each


def test_a_big_object_comes_at_4_megabytes_a_second_and_more_in_constant_memory(authority, server, modality):
    with node_process(server, authority) as (port, resident), TlsPeer(port, client_context(modality)) as peer:
        peer.associate(max_length=0)
        assert peer.store()[0] == 0
        before = resident()
        piece = p_data(1, 0, bytes(120_000))
        began = time.monotonic()
        head = data_set(pixels=b"")[:-4] + struct.pack("<I", 60_000_000)
        peer.send(p_data(1, 3, command()) + p_data(1, 0, head))
        for _ in range(500):
            peer.send(piece)
        peer.send(p_data(1, 2, b""))
        assert peer.status()[0] == 0
        speed = 60 / (time.monotonic() - began)
        grown = resident() - before
    print(f"\n{speed:.0f} MB/s by TLS from a Python client, {grown / 1e6:.1f} MB grown")
    assert speed > 4
    assert grown < 20e6


# --- nothing is asked outside (N12) ---------------------------------------------------------------------------------


def test_n12_nothing_is_looked_up_and_nobody_is_called(tls, modality, monkeypatch):
    """No reverse name, no OCSP, no list fetched: whatever a certificate says of where to ask."""

    def forbidden(*_, **__):
        raise AssertionError("the node called out")

    receiver = KeepingReceiver()
    context = client_context(modality)
    with running(receiver, tls=tls) as port:
        raw = socket.create_connection(("127.0.0.1", port), timeout=5)
        for name in (
            "getaddrinfo",
            "gethostbyaddr",
            "gethostbyname",
            "getnameinfo",
            "getfqdn",
            "create_connection",
        ):
            monkeypatch.setattr(socket, name, forbidden)
        with context.wrap_socket(raw) as sock:
            sock.sendall(associate_rq())
            assert sock.recv(1) == b"\2"
    assert receiver.attempts[0].address == "127.0.0.1"


def test_a_refused_connection_leaves_no_thread_and_no_descriptor(tls, modality, tmp_path):
    receiver = KeepingReceiver()
    stranger = client_context(self_signed("stranger", tmp_path))
    with running(receiver, tls=tls) as port:
        timed_tls_echo(port, client_context(modality))
        time.sleep(0.3)
        threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            assert not is_let_in(port, stranger)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and threading.active_count() > threads:
            time.sleep(0.05)
        assert threading.active_count() <= threads
        assert len(list(Path("/proc/self/fd").iterdir())) <= files + 1
    assert tls_node.ROOT.is_dir()
