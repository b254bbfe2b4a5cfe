"""Every route of every door answers with the security headers, whatever it answers (P14, #20)."""

import asyncio
import re
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI

from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig, Guard
from gateway.doors.http import House as Doorway
from gateway.doors.http.headers import ALWAYS
from gateway.doors.machine.app import machine_app
from gateway.doors.patient.app import create_app
from gateway.doors.patient.journeys import PatientJourneys
from gateway.doors.reviewer.app import reviewer_app
from tests.fakes.journey_house import open_house

URL = "http://127.0.0.1:8080"


@pytest.fixture
def doors(tmp_path):
    house = open_house(tmp_path)
    ending = ExitStack()
    made = {
        "/p": create_app(
            PatientJourneys(house.as_house()), DoorConfig(prefix="/p", public_url=URL), max_file_bytes=1000
        ),
        "/desk": desk_app(house.as_house(), DoorConfig(prefix="/desk", public_url=URL)),
        "/review": reviewer_app(house.as_house(), DoorConfig(prefix="/review", public_url=URL)),
        "/machine": machine_app(
            house.as_house(), DoorConfig(prefix="/machine", public_url=URL), ending=ending
        ),
    }
    yield made
    ending.close()
    house.close()


def _framework(guard):
    app = guard
    while not isinstance(app, FastAPI):
        app = getattr(app, "app", None) or getattr(app, "_app")  # noqa: B009 - whichever the wrapper calls it
    return app


def _routes(guard):
    def walk(routes):
        for route in routes:
            if hasattr(route, "methods") and hasattr(route, "path"):
                for method in sorted(route.methods):
                    yield method, re.sub(r"{[^}]*}", "0", route.path)
            inner = getattr(route, "routes", None) or getattr(
                getattr(route, "original_router", None), "routes", []
            )
            yield from walk(inner or [])

    return list(walk(_framework(guard).routes))


def test_every_door_is_guarded(doors):
    assert all(isinstance(door, Guard) for door in doors.values())


def test_every_answer_of_every_route_carries_every_header(doors):
    app, wrong, asked = Doorway(doors, front="/p"), [], 0
    wanted = [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/nowhere"),
        ("PUT", "/p/nowhere"),
        ("TRACE", "/desk/"),
    ]
    for door in doors.values():
        found = _routes(door)
        assert len(found) > 5
        wanted += found

    async def ask_all():
        nonlocal asked
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            for method, path in wanted:
                answer = await client.request(
                    method, path, headers={"origin": URL, "sec-fetch-site": "same-origin"}
                )
                asked += 1
                lacking = [name for name, value in ALWAYS.items() if answer.headers.get(name) != value]
                lacking += [
                    n for n in ("Content-Security-Policy", "Cache-Control") if n not in answer.headers
                ]
                lacking += [f"status {answer.status_code}"] * (answer.status_code >= 500)
                if lacking or "server" in answer.headers:
                    wrong.append((method, path, answer.status_code, lacking))

    asyncio.run(ask_all())
    assert wrong == []
    assert asked > 40
