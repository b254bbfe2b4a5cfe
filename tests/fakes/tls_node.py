"""A DICOM node that speaks TLS and clients that do or do not: for tests of the transport, in process or as a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import ssl
import subprocess
import sys
from pathlib import Path

from dicom_node.ae import Limits
from dicom_node.node import DicomNode, Listening
from dicom_node.tls import Identity, ServerTls, Trust
from tests.unit.dicom_node.peers import KeepingReceiver, RawPeer

ROOT = Path(__file__).resolve().parents[2]


class TrustAtHand:
    """A trust source whose trust a test changes; every change is a new version."""

    def __init__(self, server, *, authorities=(), pinned=(), revoked=None):
        self._trust = Trust(
            version="1",
            identity=Identity(certificate=server.cert_path, key=server.key_path),
            authorities_pem="".join(a.pem for a in authorities),
            pinned_pem=tuple(p.pem for p in pinned),
            revoked=revoked,
        )
        self.asked = 0
        self.raises = None

    def trust(self):
        self.asked += 1
        if self.raises is not None:
            raise self.raises
        return self._trust

    def change(self, **what):
        self._trust = dataclasses.replace(self._trust, version=str(int(self._trust.version) + 1), **what)


def server_tls(server, *, profile="b12", **trust):
    return ServerTls(TrustAtHand(server, **trust), profile=profile)


def client_context(identity=None, *, trusted=(), lowest=ssl.TLSVersion.TLSv1_2, highest=None, ciphers=None):
    """A client that trusts `trusted`, or anybody; with every suite of the library when `ciphers` says so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for one in trusted:
        context.load_verify_locations(cadata=one.pem)
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    context.minimum_version = lowest
    if highest is not None:
        context.maximum_version = highest
    if identity is not None:
        context.load_cert_chain(identity.cert_path, identity.key_path)
    return context


class TlsPeer(RawPeer):
    """A `RawPeer` over TLS; `ssl.SSLError` or `OSError` on entering when the node does not want it (TLS 1.2)."""

    def __init__(self, port, context, source=None):
        super().__init__(port, source)
        try:
            self.sock = context.wrap_socket(self.sock)
        except OSError:
            self.sock.close()
            raise


def client_hello(context=None):
    """The first flight of a client, as bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = (context or client_context()).wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def shaken(standing, context):
    """Both ends of a handshake in memory: (server's object, client's object); the side that refuses raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = standing.begin(to_server, to_client)
    client = context.wrap_bio(to_client, to_server)
    done = set()
    for _ in range(20):
        for name, side in (("client", client), ("server", server)):
            if name not in done:
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
                    done.add(name)
        if len(done) == 2:
            return server, client
    raise AssertionError("the handshake did not end")


@contextlib.contextmanager
def node_process(server, authority, **limits):
    """A node in a process of its own, keeping nothing; yields (port, resident bytes as a function)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.tls_node", str(server.cert_path), str(server.key_path),
         str(authority.path), *(f"{name}={value}" for name, value in limits.items())],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        port = int(process.stdout.readline())

        def resident_bytes():
            return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        yield port, resident_bytes
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


class ForgettingReceiver(KeepingReceiver):
    """Reads everything and keeps nothing."""

    def receive(self, instance):
        buffer = bytearray(262144)
        while instance.stream.readinto(buffer):
            pass
        return self.answer


def main(cert, key, authorities, *limits):
    from dicom_node.receiver import StoreOutcome

    class Fixed:
        found = Trust(
            version="1",
            identity=Identity(certificate=Path(cert), key=Path(key)),
            authorities_pem=Path(authorities).read_text(),
        )

        def trust(self):
            return self.found

    receiver = ForgettingReceiver(answer=StoreOutcome(status=0))
    numbers = {name: int(value) for name, value in (one.split("=") for one in limits)}
    node = DicomNode(
        receiver=receiver,
        listeners=[Listening(host="127.0.0.1", port=0, tls=ServerTls(Fixed()))],
        limits=Limits(**numbers),
    )
    print(node.start()[0][1], flush=True)
    sys.stdin.read()
    node.stop(timeout_s=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
