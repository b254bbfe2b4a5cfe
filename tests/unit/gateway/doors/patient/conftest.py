"""The patient's door over the fake service, and a browser that has proved the code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.doors.http import DoorConfig, Guard
from gateway.doors.patient import create_app
from gateway.doors.patient.tus_body import Pace
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.patient_service import TOKEN, FakePatientService

CONFIG = DoorConfig(public_url=ORIGIN, prefix="/p", default_language="en")


class Switch:
    """One app for all tests, one service for each: the app is slow to build."""

    def __init__(self) -> None:
        self.now: FakePatientService | None = None

    def __getattr__(self, name):
        return getattr(self.now, name)


@pytest.fixture(scope="session")
def switch() -> Switch:
    return Switch()


@pytest.fixture(scope="session")
def app(switch: Switch) -> Guard:
    return create_app(
        switch, CONFIG, max_file_bytes=1 << 30, pace=Pace(part_bytes=1000, silence_s=0.3, grace_s=0.2)
    )


@pytest.fixture
def service(switch: Switch, tmp_path: Path) -> FakePatientService:
    switch.now = FakePatientService(tmp_path)
    return switch.now


@pytest.fixture
def stranger(app: Guard, service: FakePatientService) -> Iterator[Browser]:
    with Browser(app) as browser:
        yield browser


def sign_in(browser: Browser, service: FakePatientService, token: str = TOKEN) -> Browser:
    assert browser.post("/p/api/link", json={"token": token}).status_code == 200
    assert browser.post("/p/api/code").status_code == 200
    assert browser.post("/p/api/verify", json={"code": service.codes()[-1]}).status_code == 200
    return browser


@pytest.fixture
def patient(stranger: Browser, service: FakePatientService) -> Browser:
    return sign_in(stranger, service)
