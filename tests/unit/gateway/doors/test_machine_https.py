"""A token that came in clear is refused where the exchange is to be called by HTTPS, and the audit knows."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from ipaddress import ip_network

import httpx
import pytest

from gateway.doors.http import DoorConfig
from gateway.doors.machine.app import machine_app
from gateway.journeys.know_peer import add_peer, give_token
from tests import factories
from tests.fakes.journey_house import DESK, open_house
from tests.fakes.machine_server import RELATED, multipart

PROXY, STRANGER, HERE = "10.0.0.7", "10.0.0.66", "127.0.0.1"
SECURE, CLEAR = "https://exchange.example", "http://exchange.example"


@pytest.fixture
def house(tmp_path):
    house = open_house(tmp_path)
    ports = house.ports("records", "clock")
    add_peer(ae_title="PACS", hosts=["10.0.0.0/8", "127.0.0.0/8", "192.0.2.1/32"], by=DESK, **ports)
    yield house
    house.close()


def store(house, caller, *, public_url=SECURE, **headers):
    token = give_token(ae_title="PACS", by=DESK, **house.ports("records", "random"))
    with ExitStack() as ending:
        config = DoorConfig(
            prefix="/machine", public_url=public_url, trusted_proxies=(ip_network(f"{PROXY}/32"),)
        )
        app = machine_app(house.as_house(), config, ending=ending)

        async def call():
            transport = httpx.ASGITransport(app=app, client=(caller, 40000))
            async with httpx.AsyncClient(transport=transport, base_url=CLEAR) as client:
                usual = {"Authorization": f"Bearer {token}", "Content-Type": RELATED}
                more = {name.replace("_", "-"): value for name, value in headers.items()}
                body = multipart(factories.ct_instance(1))
                return await client.post("/machine/studies", content=body, headers=usual | more)

        return asyncio.run(call())


@pytest.mark.parametrize(
    ("caller", "headers"),
    [
        (STRANGER, {}),
        (STRANGER, {"X_Forwarded_Proto": "https"}),  # nobody's word
        (PROXY, {"X_Forwarded_For": "192.0.2.1"}),  # it does not say
        (PROXY, {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "http"}),
        (PROXY, {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "http, https"}),
        (PROXY, {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": ""}),
        (HERE, {"X_Forwarded_For": "192.0.2.1"}),
        (HERE, {"X_Forwarded_Proto": "http"}),
    ],
)
def test_what_came_in_clear_is_refused_before_the_token_is_looked_at(house, caller, headers):
    answer = store(house, caller, **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "https")
    assert SECURE in answer.json()["next_step"]
    (event,) = house.events("association_refused")
    assert (event.actor, event.details["why"]) == ("peer:unknown", "STOW-RS: not by HTTPS")
    assert house.rows("instances") == []


@pytest.mark.parametrize(
    ("caller", "headers"),
    [
        (PROXY, {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https"}),
        (HERE, {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https"}),
        (HERE, {}),  # a program of this computer
    ],
)
def test_what_came_by_tls_or_never_left_this_computer_is_taken(house, caller, headers):
    assert store(house, caller, **headers).status_code == 200


def test_where_the_exchange_is_called_by_http_nothing_else_is_asked(house):
    assert store(house, STRANGER, public_url=CLEAR).status_code == 200
