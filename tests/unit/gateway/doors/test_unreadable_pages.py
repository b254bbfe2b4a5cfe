"""What the desk shows of a case or a study whose key does not open: its reference and a sentence, and all others as always."""

import pytest

from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig
from gateway.records.sealed_columns import KeyRing
from storage import KeyServiceError
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.spoilt_key import spoil_key
from tests.fakes.staffed_house import PresentHouse

HER = "desk@example.org"
SAYS = {"en": "cannot be read: its key does not open", "sv": "kan inte läsas: nyckeln öppnar inte"}
STEP = {"en": "Ask the operator to bring it back", "sv": "Be driften att hämta tillbaka"}


@pytest.fixture
def desk(staffed):
    present = PresentHouse()
    present.house = staffed.house
    app = desk_app(present, DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en"))
    with Browser(app) as one:
        one.http.cookies.set("consilium-desk", staffed.token(HER))
        one.get("/desk/")
        yield one


@pytest.mark.parametrize("tongue", ["en", "sv"])
def test_board_and_page_say_so_of_the_one_case_and_show_the_other(staffed, desk, tongue):
    good, bad = staffed.open(), staffed.open()
    assert SAYS[tongue] not in desk.get(f"/desk/?lang={tongue}").text
    spoil_key(staffed.house, bad.id)
    page = desk.get("/desk/")
    assert page.status_code == 200
    assert page.text.count(SAYS[tongue]) == 1
    assert STEP[tongue] in page.text
    assert f'data-case="{good.ref}"' in page.text
    assert bad.ref in page.text
    assert {one["ref"] for one in desk.get("/desk/board.json").json()["cases"]} == {good.ref, bad.ref}
    page = desk.get(f"/desk/cases/{bad.ref}")
    assert page.status_code == 409
    assert SAYS[tongue] in page.text
    assert STEP[tongue] in page.text
    assert desk.get(f"/desk/cases/{good.ref}").status_code == 200
    form = {"confirm": bad.ref, "ground": "consent_withdrawn"}
    assert bad.ref in desk.post(f"/desk/cases/{bad.ref}/forget", form).headers["location"]
    assert SAYS[tongue] not in desk.get("/desk/").text


@pytest.mark.parametrize("tongue", ["en", "sv"])
def test_inbox_says_so_of_the_one_study_and_fits_the_other_with_what_opens(staffed, desk, tongue):
    good, bad = staffed.open(), staffed.open()
    seen = staffed.study(None, number=1, own_key=True)
    hidden = staffed.study(None, number=2, own_key=True)
    spoil_key(staffed.house, bad.id)
    spoil_key(staffed.house, hidden.id)
    page = desk.get(f"/desk/inbox?lang={tongue}")
    assert page.status_code == 200
    assert page.text.count(SAYS[tongue]) == 1
    assert hidden.id in page.text
    assert f"/studies/{seen.id}/assign" in page.text
    assert f"<option>{good.ref}</option>" in page.text
    answer = desk.post(f"/desk/studies/{hidden.id}/assign", {"ref": good.ref})
    assert answer.status_code == 409
    assert SAYS[tongue] in answer.text


def test_an_outage_of_the_key_service_is_not_shown_as_damage(staffed, desk, monkeypatch):
    staffed.open()
    opened = KeyRing.open

    def away(self, connection, kind, holder, *more):
        if kind.table.name == "case_":
            raise KeyServiceError("timeout")
        return opened(self, connection, kind, holder, *more)

    monkeypatch.setattr(KeyRing, "open", away)
    page = desk.get("/desk/")
    assert page.status_code >= 500
    assert SAYS["en"] not in page.text
