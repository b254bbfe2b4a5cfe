"""Who may speak for a peer (#32, N2, N3): calling AE x address x certificate, a thousand random draws in each of the eight cells."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import product

import pytest

from dicom_node.receiver import Admitted, AssociationAttempt, PeerCertificate, Refused
from gateway.journeys.admit_peer import admit
from gateway.journeys.know_peer import add_peer, change_peer
from tests.fakes.certificates import self_signed
from tests.fakes.journey_house import DESK, open_house

DRAWS = 1000
CALLING, CALLED = (1, 1, 3), (1, 1, 7)
TITLES = ("PACS", "RIS_MAIN", "CT-1", "A", "MR 2", "SIXTEEN_SIGNS_AE", "pacs", "X" * 15)
RANGES = (
    ("10.1.2.0/24",), ("10.1.2.3/32", "192.0.2.0/28"), ("2001:db8:1::/48",), ("172.16.0.0/12",),
    ("203.0.113.9/32",), ("198.51.100.0/25", "2001:db8:2::7/128"), ("10.9.0.0/16",), ("192.168.7.0/30",),
)  # fmt: skip


def shown(spki="f" * 64, names=(), *, pinned=False):
    return PeerCertificate(
        subject="CN=somebody",
        issuer="CN=authority",
        serial=1,
        spki_sha256=spki,
        names=tuple(names),
        not_after=datetime.now(UTC) + timedelta(days=9),
        pinned=pinned,
    )


def attempt(calling, called="CONSILIUM", address="127.0.0.1", certificate=None):
    return AssociationAttempt(
        calling_ae=calling,
        called_ae=called,
        address=address,
        port=40000,
        association_id="a1",
        implementation_uid="1.2.3",
        implementation_version="X",
        certificate=certificate,
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = open_house(tmp_path_factory.mktemp("house"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def pins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pins")
    return [self_signed(f"peer{n}", folder, days=400) for n in range(len(TITLES))]


@pytest.fixture(scope="module")
def peers(house, pins):
    """Every other one is known by a name instead of a pin, and every fourth by both."""
    house.clock.at = datetime.now(UTC)
    found = []
    for number, (title, hosts, pin) in enumerate(zip(TITLES, RANGES, pins, strict=True)):
        by_name = number % 2
        found.append(
            add_peer(
                ae_title=title,
                hosts=hosts,
                certificates=[pin.pem] if not by_name or number % 4 == 3 else [],
                names=[f"DNS:ae{number}.example"] if by_name else [],
                by=DESK,
                **house.ports("records", "clock"),
            )
        )
    return found


class Draws:
    """Right and wrong answers to the three questions, by construction."""

    def __init__(self, seed, peers, pins):
        self.chance = random.Random(seed)
        self.peers, self.pins = peers, pins

    def certificate(self, number, *, right):
        chance, peer, pin = self.chance, self.peers[number], self.pins[number]
        other = self.chance.choice([n for n in range(len(self.peers)) if n != number])
        if right:
            ways = []
            if peer.certificates:
                ways.append(shown(pin.spki_sha256, pinned=chance.random() < 0.5))
            if peer.names:
                ways.append(shown(names=["IP:10.0.0.1", peer.names[0].upper()]))
            return chance.choice(ways)
        return chance.choice(
            [
                None,
                shown(),
                shown(names=["DNS:elsewhere.example", "URI:urn:x"]),
                # another peer's pin says of itself that it is this peer
                shown(self.pins[other].spki_sha256 if self.peers[other].certificates else "0" * 64,
                      names=[f"DNS:ae{number}.example"], pinned=True),
                shown(names=[f"DNS:ae{other}.example" if other % 2 else "DNS:x.example"]),
                shown(names=[f"email:ae{number}.example", f"URI:ae{number}.example"]),
                shown(names=[f"DNS:*.ae{number}.example", f"DNS:ae{number}.example.evil.example"]),
                shown(pin.spki_sha256[:-1] + ("0" if pin.spki_sha256[-1] != "0" else "1")),
            ]
        )  # fmt: skip

    def address(self, number, *, right):
        ranges = [ip_network(text) for text in self.peers[number].hosts]
        if right:
            net = self.chance.choice(ranges)
            inside = net[self.chance.randrange(net.num_addresses)]
            mapped = inside.version == 4 and self.chance.random() < 0.2
            return f"::ffff:{inside}" if mapped else str(inside)
        while True:
            near = self.chance.choice(ranges)
            outside = self.chance.choice(
                [
                    near.network_address + self.chance.choice([-1, near.num_addresses]),
                    ip_address(self.chance.getrandbits(32)),
                    ip_address(self.chance.getrandbits(128)),
                    ip_address("127.0.0.1"),
                    ip_address("::1"),
                ]
            )
            if not any(outside.version == net.version and outside in net for net in ranges):
                return str(outside)

    def title(self, number, *, right):
        title = self.peers[number].ae_title
        if right:
            return self.chance.choice([title, f" {title}" if len(title) < 16 else title, title.ljust(16)])
        other = self.chance.choice([t for t in TITLES if t != title])
        wrong = self.chance.choice([other, title + "_", title.swapcase(), title[:-1] or "B", "STRANGER"])
        return wrong if wrong.strip() != title else "STRANGER"


@pytest.mark.parametrize("cell", list(product([True, False], repeat=3)))
def test_only_the_right_title_from_the_right_place_with_the_right_key_gets_in(house, peers, pins, cell):
    """#32: 8 cells, 1 000 draws each, 0 wrong."""
    draws = Draws(f"{cell}", peers, pins)
    wrong = []
    for _ in range(DRAWS):
        number = draws.chance.randrange(len(peers))
        asked = attempt(
            draws.title(number, right=cell[0]),
            address=draws.address(number, right=cell[1]),
            certificate=draws.certificate(number, right=cell[2]),
        )
        answer = admit(asked, **house.ports("records", "policy"))
        good = isinstance(answer, Admitted) if all(cell) else _code(answer) == CALLING
        if not good:
            wrong.append((cell, asked, answer))
    assert wrong == []


def _code(answer):
    return (answer.result, answer.source, answer.reason) if isinstance(answer, Refused) else None


def test_the_called_title_is_judged_for_known_peers_only_and_refused_by_its_own_reason(house, peers, pins):
    case = house.case()
    pin = shown(pins[0].spki_sha256)
    ports = house.ports("records", "policy")
    for called in ("CONSILIUM", " CONSILIUM ", case.ref, case.ref.lower()):
        assert isinstance(admit(attempt("PACS", called, "10.1.2.9", pin), **ports), Admitted)
    for called in ("ANY-SCP", "consilium", "C-00000000", "STORESCP"):
        assert _code(admit(attempt("PACS", called, "10.1.2.9", pin), **ports)) == CALLED
        assert _code(admit(attempt("NOBODY", called, "10.1.2.9", pin), **ports)) == CALLING


def test_a_peer_may_be_held_to_some_of_our_titles(house, peers, pins):
    case, other = house.case(), house.case()
    ports = house.ports("records", "policy")
    change_peer(ae_title="CT-1", changes={"called": [case.ref]}, by=DESK, **house.ports("records", "clock"))
    pin = shown(pins[2].spki_sha256)
    where = {"address": "2001:db8:1::5", "certificate": pin}
    assert isinstance(admit(attempt("CT-1", case.ref.lower(), **where), **ports), Admitted)
    assert _code(admit(attempt("CT-1", "CONSILIUM", **where), **ports)) == CALLED
    assert _code(admit(attempt("CT-1", other.ref, **where), **ports)) == CALLED


def test_a_title_that_nothing_is_bound_to_comes_plain_or_not_at_all(house):
    """#31, #32: else every holder of a trusted certificate could speak for it."""
    add_peer(ae_title="PLAIN", hosts=["192.0.2.0/24"], by=DESK, **house.ports("records", "clock"))
    ports = house.ports("records", "policy")
    assert isinstance(admit(attempt("PLAIN", address="192.0.2.1"), **ports), Admitted)
    for certificate in (shown(), shown(names=["DNS:plain.example"]), shown(pinned=True)):
        refused = admit(attempt("PLAIN", address="192.0.2.1", certificate=certificate), **ports)
        assert _code(refused) == CALLING


def test_why_names_the_certificate_that_was_shown_and_nothing_of_the_peer_is_told_to_it(house, peers):
    certificate = replace(shown("ab" * 32), subject="CN=" + "x" * 500)
    refused = admit(
        attempt("PACS", address="10.1.2.9", certificate=certificate), **house.ports("records", "policy")
    )
    assert "abababababababab" in refused.why
    assert len(refused.why) < 200
    assert _code(refused) == CALLING
