"""Who may do what at the desk: every route with every kind of visitor, deny by default; and no form without its token."""

from __future__ import annotations

import re

import pytest

from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig, csrf_token
from gateway.journeys.know_peer import add_peer
from gateway.journeys.prove_identity import end_session
from gateway.journeys.sign_in import disable_person
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.staffed_house import OPERATOR, make_house

CONFIG = DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en")
EVERYBODY, STAFF, COORDINATOR, PRIVACY = "everybody", "staff", "coordinator", "privacy"

# Every route, who may use it. What is not in here fails `test_no_route_is_forgotten`.
ROUTES: dict[tuple[str, str], str] = {
    ("GET", "/sign-in"): EVERYBODY,
    ("POST", "/sign-in"): EVERYBODY,
    ("POST", "/sign-out"): EVERYBODY,
    ("GET", "/"): STAFF,
    ("GET", "/audit"): PRIVACY,
    ("GET", "/conformance.html"): STAFF,
    ("GET", "/rules"): STAFF,
    ("POST", "/rules/{rule_id}/confirm"): PRIVACY,
    ("POST", "/rules/{rule_id}/revoke"): STAFF,
    ("GET", "/forgotten"): STAFF,
    ("GET", "/forgotten/{ref}"): STAFF,
    ("GET", "/forgotten/{ref}/certificate.json"): STAFF,
    **dict.fromkeys(
        [
            ("GET", "/board.json"),
            ("POST", "/jobs/{job_id}/retry"),
            ("GET", "/inbox"),
            ("POST", "/studies/{study_id}/assign"),
            ("POST", "/studies/{study_id}/unassign"),
            ("GET", "/cases/new"),
            ("POST", "/cases"),
            ("GET", "/cases/{ref}"),
            ("GET", "/cases/{ref}/live.json"),
            ("GET", "/cases/{ref}/link"),
            ("GET", "/cases/{ref}/answer"),
            ("GET", "/cases/{ref}/trail"),
            ("POST", "/cases/{ref}/complete"),
            ("POST", "/cases/{ref}/reopen"),
            ("POST", "/cases/{ref}/close"),
            ("POST", "/cases/{ref}/resume"),
            ("POST", "/cases/{ref}/pause"),
            ("POST", "/cases/{ref}/hold"),
            ("POST", "/cases/{ref}/unhold"),
            ("POST", "/cases/{ref}/forget"),
            ("POST", "/cases/{ref}/link"),
            ("POST", "/cases/{ref}/link/revoke"),
            ("POST", "/cases/{ref}/deliver"),
            ("GET", "/cases/{ref}/findings"),
            ("POST", "/cases/{ref}/findings"),
            ("GET", "/findings/{finding_id}"),
            ("POST", "/findings/{finding_id}"),
            ("POST", "/findings/{finding_id}/rules"),
            ("GET", "/cases/{ref}/rules"),
            ("POST", "/cases/{ref}/rules"),
            ("POST", "/cases/{ref}/rules/{rule_id}/revoke"),
            ("GET", "/findings/{finding_id}/picture.png"),
            ("POST", "/cases/{ref}/releases"),
            ("GET", "/cases/{ref}/releases/{number}"),
            ("POST", "/cases/{ref}/releases/{number}/approve"),
            ("POST", "/cases/{ref}/releases/{number}/grant"),
            ("POST", "/cases/{ref}/releases/{number}/withdraw"),
            ("POST", "/cases/{ref}/releases/{number}/grants/{grant_id}/revoke"),
            ("GET", "/peers"),
            ("POST", "/peers"),
            ("GET", "/peers/new"),
            ("GET", "/peers/of/{slug}"),
            ("POST", "/peers/of/{slug}"),
            ("GET", "/peers/of/{slug}/sheet"),
            ("POST", "/peers/of/{slug}/call"),
            ("POST", "/peers/of/{slug}/pins"),
            ("POST", "/peers/of/{slug}/disable"),
            ("POST", "/peers/of/{slug}/enable"),
            ("GET", "/cases/{ref}/deliveries/{delivery_id}"),
            ("POST", "/cases/{ref}/deliveries/{delivery_id}/again"),
            ("POST", "/cases/{ref}/deliveries/{delivery_id}/stop"),
            ("POST", "/cases/{ref}/releases/{number}/deliveries"),
            ("GET", "/commitments"),
            ("POST", "/commitments/{commitment_id}/retry"),
            ("GET", "/store"),
            ("POST", "/store/{finding_id}/settle"),
        ],
        COORDINATOR,
    ),
}
REFUSED = [key for key in ROUTES if ROUTES[key] != EVERYBODY]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    staffed = make_house(home)
    for role, email in (
        ("coordinator", "desk@example.org"),
        ("coordinator", "gone@example.org"),
        ("coordinator", "out@example.org"),
        ("privacy", "dpo@example.org"),
        ("reviewer", "rev@example.org"),
    ):
        staffed.add(role, email)
    case = staffed.open()
    study = staffed.study(case, look_at=1)
    staffed.document(case, "Journal.pdf")
    with staffed.house.records.view() as view:
        finding = view.findings.find(case_id=case.id)[0]
    tokens = {
        "expired": staffed.token("desk@example.org"),
    }
    staffed.clock.forward(hours=13)
    tokens |= {
        "disabled": staffed.token("gone@example.org"),
        "signed_out": staffed.token("out@example.org"),
        "reviewer": staffed.token("rev@example.org"),
        "privacy": staffed.token("dpo@example.org"),
        "coordinator": staffed.token("desk@example.org"),
        "anonymous": "a" * 64,
        "nobody": "",
    }
    house = staffed.house
    add_peer(ae_title="MR 2/x", hosts=[], by=OPERATOR, records=house.records, clock=house.clock)
    disable_person(
        email="gone@example.org", by=OPERATOR, records=house.records, store=house.store, clock=house.clock
    )
    end_session(tokens["signed_out"], address="127.0.0.1", records=house.records, clock=house.clock)
    values = {
        "ref": case.ref,
        "study_id": study.id,
        "finding_id": finding.id,
        "number": "1",
        "grant_id": "0" * 32,
        "job_id": "0" * 32,
        "commitment_id": "0" * 32,
        "delivery_id": "0" * 32,
        "rule_id": "0" * 32,
        "slug": "MR~202~2Fx",
    }
    app = desk_app(house, CONFIG)
    with Browser(app) as browser:
        yield staffed, (app, browser), tokens, values
    staffed.close()


def ask(app, method: str, path: str, token: str, *, form_token: bool = True):
    _, browser = app
    browser.http.cookies.clear()
    browser.token = csrf_token(token) if token and form_token else ""
    if token:
        browser.http.cookies.set("consilium-desk", token)
    return browser.get(f"/desk{path}") if method == "GET" else browser.post(f"/desk{path}", {})


def filled(path: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path)


def test_no_route_is_forgotten(place):
    _, (app, _), _, _ = place
    there = set()
    for route in app.app.app.routes:
        for one in _leaves(route):
            path = one.path.removeprefix("/desk")
            if path and not path.startswith("/static"):
                there |= {(method, path) for method in one.methods if method != "HEAD"}
    assert there == set(ROUTES)


def _leaves(route):
    """FastAPI keeps an included router as one route with routes of its own."""
    inner = getattr(route, "effective_candidates", None)
    if inner is None:
        return [route]
    return [leaf for one in inner() for leaf in _leaves(one)]


@pytest.mark.parametrize("visitor", ["nobody", "anonymous", "expired", "disabled", "signed_out"])
@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_without_a_live_session_nothing_is_shown(place, method, path, visitor):
    staffed, app, tokens, values = place
    before = len(staffed.kinds())
    answer = ask(app, method, filled(path, values), tokens[visitor])
    if (method, path) == ("GET", "/"):
        assert answer.status_code == 303
        assert answer.headers["location"] == "/desk/sign-in"
    else:
        assert answer.status_code == 401
    assert values["ref"] not in answer.text
    assert len(staffed.kinds()) == before


@pytest.mark.parametrize(
    ("method", "path", "visitor"),
    [
        (*key, visitor)
        for key in REFUSED
        for visitor in ("reviewer", "privacy", "coordinator")
        if ROUTES[key] not in {STAFF, visitor}
    ],
)
def test_another_role_opens_nothing(place, method, path, visitor):
    staffed, app, tokens, values = place
    before = len(staffed.kinds())
    answer = ask(app, method, filled(path, values), tokens[visitor])
    assert answer.status_code == 403
    for secret in ("Vinterqvist", values["ref"], "Journal.pdf", "surgery"):
        assert secret not in answer.text
    assert len(staffed.kinds()) == before


@pytest.mark.parametrize(("method", "path"), [key for key in REFUSED if key[0] == "GET"])
def test_the_right_role_gets_in(place, method, path):
    _, app, tokens, values = place
    role = ROUTES[method, path]
    answer = ask(app, method, filled(path, values), tokens["coordinator" if role == STAFF else role])
    absent = path.endswith(("{number}", "{delivery_id}")) or path.startswith("/forgotten/")
    assert answer.status_code == (404 if absent else 200)


@pytest.mark.parametrize(("method", "path"), [key for key in ROUTES if key[0] == "POST"])
def test_a_form_without_its_token_changes_nothing(place, method, path):
    staffed, app, tokens, values = place
    before = len(staffed.kinds())
    answer = ask(app, method, filled(path, values), tokens["coordinator"], form_token=False)
    assert answer.status_code == 403
    assert len(staffed.kinds()) == before


def test_a_reviewer_at_the_desk_is_refused_even_at_its_first_page(place):
    _, app, tokens, _ = place
    assert ask(app, "GET", "/", tokens["reviewer"]).status_code == 403


def test_the_privacy_officer_is_led_to_the_audit_and_sees_no_patient(place):
    _, app, tokens, _ = place
    first = ask(app, "GET", "/", tokens["privacy"])
    assert first.headers["location"] == "/desk/audit"
    page = ask(app, "GET", "/audit", tokens["privacy"])
    assert "The trail verifies" in page.text
    for secret in ("Vinterqvist", "Alfhilda", "19670725", "Journal.pdf", "surgery"):
        assert secret not in page.text
