"""Mutated conversations (docs/security.md, N11 #23): never kept, never hurting; `tests/fuzz` is the long form."""

from __future__ import annotations

import contextlib
import random
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.conversations import to_acceptor
from tests.fuzz.dicom import campaign
from tests.fuzz.mutate import mutated
from tests.unit.dicom_node.peers import (
    KeepingReceiver,
    RawPeer,
    associate_rq,
    command,
    p_data,
    pdu,
    pdv,
    running,
    timed_echo,
)

pytestmark = pytest.mark.abuse


def test_twenty_thousand_mutated_conversations_find_nothing():
    """What `make fuzz` does a million times: acceptor, requestor, both readers, and some over TCP left open."""
    running_, findings, _ = campaign(seed=20261122, first=0, inputs=20_000)
    assert findings == []
    assert running_.kept > 500  # valid to the end in spite of its mutations: the oracle sees successes too
    assert min(running_.kinds.values()) > 800


def test_an_input_is_the_same_bytes_whenever_it_comes():
    conversations = to_acceptor()
    once, again = (
        [mutated(c, conversations, random.Random(n)) for n, c in enumerate(conversations)] for _ in range(2)
    )
    assert once == again


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(["raw", "pdu", "pdv", "store"]), st.integers(0, 9), st.binary(max_size=80)),
        max_size=6,
    )
)
def test_garbage_is_never_kept_and_never_hurts(fuzz_node, parts):
    port, receiver = fuzz_node
    before = len(receiver.kept)
    with RawPeer(port) as peer, contextlib.suppress(OSError):
        for kind, number, data in parts:
            if kind == "raw":
                peer.send(data)
            elif kind == "pdu":
                peer.send(associate_rq() if number == 1 else pdu(number, data))
            elif kind == "pdv":
                peer.send(pdu(4, pdv(number, number & 3, data)))
            else:
                peer.send(p_data(1, 3, command()[: -1 - number] + data) + p_data(1, 2, data))
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.read() is not None:
            pass
    assert len(receiver.kept) == before
    assert timed_echo(port) < 1


@pytest.fixture(scope="module")
def fuzz_node():
    receiver = KeepingReceiver()
    with running(receiver, artim_s=2) as port:
        yield port, receiver
