"""Any order of creations, pieces, wrong pieces and drops: what the door says and what is kept never part (F12)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from gateway.doors.patient import create_app
from gateway.doors.patient.tus_body import Pace
from tests.fakes.door_client import Browser
from tests.fakes.patient_service import FakePatientService
from tests.unit.gateway.doors.patient.conftest import CONFIG, Switch, sign_in
from tests.unit.gateway.doors.patient.test_tus import PATCH, TUS, checksum, patch

SWITCH = Switch()
APP = create_app(SWITCH, CONFIG, pace=Pace(part_bytes=16))


class Uploads(RuleBasedStateMachine):
    whereabouts = Bundle("whereabouts")

    @initialize()
    def sign_in(self):
        self.folder = tempfile.TemporaryDirectory()
        self.service = SWITCH.now = FakePatientService(Path(self.folder.name))
        self.browser = sign_in(Browser(APP), self.service)
        self.kept: dict[str, tuple[int, bytes]] = {}

    @rule(target=whereabouts, size=st.integers(1, 60))
    def create(self, size):
        answer = self.browser.send("POST", "/p/files/", headers={**TUS, "Upload-Length": str(size)})
        assert answer.status_code == 201
        self.kept[answer.headers["Location"]] = (size, b"")
        return answer.headers["Location"]

    @rule(
        where=whereabouts,
        offset=st.integers(0, 60),
        body=st.binary(max_size=40),
        checked=st.sampled_from(["", "right", "wrong"]),
    )
    def send(self, where, offset, body, checked):
        headers = (
            {"Upload-Checksum": checksum(body if checked == "right" else body + b"!")} if checked else {}
        )
        answer = patch(self.browser, where, offset, body, **headers)
        if where not in self.kept:
            assert answer.status_code in {404, 413}
            return
        size, so_far = self.kept[where]
        if checked and len(body) > 16:
            assert answer.status_code == 413
        elif offset != len(so_far):
            assert answer.status_code == 409
        elif len(so_far) + len(body) > size:
            assert answer.status_code == 413
        elif checked == "wrong" and body:
            assert answer.status_code == 460
        else:
            assert answer.status_code == 204
            self.kept[where] = (size, so_far + body)
        self.ask(where)

    @rule(where=whereabouts, body=st.binary(min_size=1, max_size=20))
    def go_on(self, where, body):
        if where in self.kept:
            size, so_far = self.kept[where]
            self.send(where, len(so_far), body[: size - len(so_far)], "")

    @rule(where=whereabouts)
    def ask(self, where):
        answer = self.browser.send("HEAD", where, headers=TUS)
        if where not in self.kept:
            assert answer.status_code == 404
            return
        size, so_far = self.kept[where]
        assert answer.headers["Upload-Offset"] == str(len(so_far))
        assert answer.headers["Upload-Length"] == str(size)
        assert self.service.content(where.rsplit("/", 1)[1]) == so_far

    @rule(where=consumes(whereabouts))
    def drop(self, where):
        answer = self.browser.send("DELETE", where, headers=TUS)
        size, so_far = self.kept.get(where, (0, b""))
        if where in self.kept and len(so_far) == size:
            assert answer.status_code == 409
        else:
            assert answer.status_code == (204 if where in self.kept else 404)
            self.kept.pop(where, None)

    @rule(where=whereabouts)
    def meddle(self, where):
        assert (
            self.browser.send(
                "PATCH", where, headers={**PATCH, "Upload-Offset": "0", "Origin": "http://evil.example"}
            ).status_code
            == 403
        )

    def teardown(self):
        if hasattr(self, "browser"):
            self.browser.__exit__()
            self.folder.cleanup()


Uploads.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestUploads = Uploads.TestCase
