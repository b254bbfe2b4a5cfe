"""A connection to a peer, step by step: name, TCP, TLS, each failure in words; no PDU is known here.

PS3.15 B.12 and B.13 for TLS: which versions, suites and certificates count is the context's affair.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from dicom_node.chains import Chain, verified_chain
from dicom_node.errors import AssociationOver, PeerUnreachable

StepName = Literal["name", "connection", "tls", "association", "verification"]

_SLICE_S = 0.5
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
# What OpenSSL calls it (a part of the reason) -> what it means to a person; the first that fits counts.
_TLS_WORDS: tuple[tuple[str, str], ...] = (
    ("UNKNOWN_CA", "the peer does not trust the authority of our certificate"),
    ("CERTIFICATE_REQUIRED", "the peer demands a certificate of ours"),
    ("CERTIFICATE_EXPIRED", "the peer says that our certificate has expired"),
    ("CERTIFICATE", "the peer does not accept our certificate"),
    ("PROTOCOL_VERSION", "no TLS version in common"),
    ("UNSUPPORTED_PROTOCOL", "no TLS version in common"),
    ("HANDSHAKE_FAILURE", "no cipher suite in common, or the peer demands a certificate of ours"),
    ("INSUFFICIENT_SECURITY", "no cipher suite in common"),
    ("WRONG_VERSION_NUMBER", "the peer does not speak TLS on this port"),
    ("EOF", "the peer closed the connection in the handshake"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Whom to call, as whom, and with how much patience.

    Parameters
    ----------
    tls
        How to speak TLS; None is plain DICOM.
    objection
        Asked by TLS, with the chain that was verified, the peer's own certificate first: why it is not this peer's, or
        does not count any more; empty when all is well. The context says only whom we trust; which of them this is, and
        who was revoked, nobody else compares.
    timeout_s
        For the connection, for the TLS handshake, and for each PDU begun.
    response_timeout_s
        For one response: a peer may store before it answers.
    """

    host: str
    port: int
    called_ae: str
    calling_ae: str
    timeout_s: float = 10.0
    response_timeout_s: float = 120.0
    tls: ssl.SSLContext | None = None
    objection: Callable[[Chain], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a call came: ``told`` is what the step showed, or why it failed."""

    name: StepName
    passed: bool
    told: str
    took_s: float


class Steps:
    """The steps of one call, noted as they end."""

    def __init__(self) -> None:
        self._ended: list[Step] = []

    @property
    def ended(self) -> tuple[Step, ...]:
        """All steps so far; only the last can be one that failed."""
        return tuple(self._ended)

    @contextmanager
    def step(self, name: StepName) -> Iterator[list[str]]:
        """Note how a step ended; what is put into the list is told of one that passed."""
        told: list[str] = []
        started = time.monotonic()
        try:
            yield told
        except (PeerUnreachable, AssociationOver) as exc:
            took_s = time.monotonic() - started
            self._ended.append(Step(name=name, passed=False, told=str(exc), took_s=took_s))
            raise
        took_s = time.monotonic() - started
        self._ended.append(Step(name=name, passed=True, told=", ".join(filter(None, told)), took_s=took_s))


def dial(call: Call, steps: Steps) -> socket.socket:
    """Connect, and shake hands if the call is by TLS.

    Raises
    ------
    PeerUnreachable
        Which step failed, and why.
    """
    with steps.step("name") as told:
        addresses = _addresses(call)
        told.append(str(addresses[0][1][0]))
    with steps.step("connection") as told:
        sock = _connect(call, addresses)
        told.append(f"port {call.port}")
    if call.tls is None:
        return sock
    try:
        with steps.step("tls") as told:
            secured = _secure(call, call.tls, sock)
            _compare(call, secured)
            told.extend(_described(secured))
            return secured
    except BaseException:
        sock.close()
        raise


def tls_words(error: BaseException | None) -> str:
    """Say why TLS failed; empty when it was something else. By TLS 1.3 our own certificate is refused after the handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not trusted: {error.verify_message}"
    if not isinstance(error, ssl.SSLError):
        return ""
    reason = error.reason or type(error).__name__
    return next((words for part, words in _TLS_WORDS if part in reason), reason.lower().replace("_", " "))


class _PatientSocket(ssl.SSLSocket):
    """Kernel timeouts, which `Wire` sets, are swallowed by the library's loop: here a blocking call sleeps a slice at most."""

    def setblocking(self, flag: bool) -> None:
        self.settimeout(_SLICE_S if flag else 0.0)


_Address = tuple[socket.AddressFamily, tuple[str | int, ...]]


def _addresses(call: Call) -> list[_Address]:
    try:
        found = socket.getaddrinfo(call.host, call.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise PeerUnreachable(f"the name {call.host} cannot be resolved") from exc
    return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]  # typeshed allows bytes for exotic families


def _connect(call: Call, addresses: list[_Address]) -> socket.socket:
    """Try one address after another, all within one deadline."""
    until = time.monotonic() + call.timeout_s
    last: OSError = TimeoutError()
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(max(0.05, until - time.monotonic()))
        try:
            sock.connect(address)
        except OSError as exc:
            sock.close()
            last = exc
            continue
        return sock
    raise PeerUnreachable(_connection_words(call, last)) from last


def _connection_words(call: Call, error: OSError) -> str:
    where = f"{call.host}:{call.port}"
    if isinstance(error, ConnectionRefusedError):
        return f"no connection to {where}: refused, nothing listens there"
    if isinstance(error, TimeoutError):
        return f"no connection to {where}: no answer in {call.timeout_s:g} s, check address and firewall"
    if error.errno in _UNREACHABLE:
        return f"no connection to {where}: no route to it from here"
    return f"no connection to {where}: {error.strerror or type(error).__name__}"


def _secure(call: Call, context: ssl.SSLContext, sock: socket.socket) -> ssl.SSLSocket:
    """Shake hands within one deadline, however slowly the bytes come."""
    until = time.monotonic() + call.timeout_s
    try:
        context.sslsocket_class = _PatientSocket
        secured = context.wrap_socket(sock, server_hostname=call.host, do_handshake_on_connect=False)
        secured.setblocking(False)
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                _await(secured, select.POLLIN, until)
            except ssl.SSLWantWriteError:
                _await(secured, select.POLLOUT, until)
            else:
                return secured
    except TimeoutError as exc:
        raise PeerUnreachable(
            f"TLS failed: no handshake in {call.timeout_s:g} s, the peer may not speak TLS on this port"
        ) from exc
    except OSError as exc:
        why = tls_words(exc) or f"the peer closed the connection ({exc.strerror or type(exc).__name__})"
        raise PeerUnreachable(f"TLS failed: {why}") from exc
    except ValueError as exc:  # a name that no certificate can carry
        raise PeerUnreachable(f"TLS failed: {call.host} is no name for a certificate") from exc


def _compare(call: Call, secured: ssl.SSLSocket) -> None:
    """Ask the caller whether the certificate is this peer's, and counts."""
    why = call.objection(verified_chain(secured)) if call.objection is not None else ""
    if why:
        raise PeerUnreachable(f"TLS failed: {why}")


def _await(sock: socket.socket, event: int, until: float) -> None:
    poll = select.poll()
    poll.register(sock, event)
    left_s = until - time.monotonic()
    if left_s <= 0 or not poll.poll(left_s * 1000):
        raise TimeoutError


def _described(secured: ssl.SSLSocket) -> list[str]:
    cipher = secured.cipher()
    shown = secured.getpeercert() or {}
    until = str(shown.get("notAfter", ""))
    return [
        str(secured.version()).replace("TLSv", "TLS "),
        cipher[0] if cipher else "",
        f"certificate valid until {until}" if until else "",
    ]
