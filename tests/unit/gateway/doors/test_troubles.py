"""What keeps the house from working is seen at the desk, says what it is and what to do, and goes by itself."""

from __future__ import annotations

import pytest

from gateway.domain.errors import UnavailableError
from gateway.domain.room import EndlessRoom, Lack
from gateway.domain.trouble import KIND_OF_ERROR, STANDS_FOR, trouble_of
from gateway.doors.desk.app import desk_app
from gateway.doors.desk.store_words import DOORS, TROUBLES
from gateway.doors.http import DoorConfig
from gateway.doors.troubles import NOTED_EVERY_S, Troubles
from gateway.journeys.tell_trouble import standing_troubles
from storage import (
    KeyForgottenError,
    KeyServiceError,
    ObjectMissingError,
    StoreDeniedError,
    StoreFullError,
    StoreLowError,
    StoreOutageError,
    TooLargeError,
    VolumeAwayError,
    VolumeFailedError,
    errors,
)
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.staffed_house import OPERATOR, PresentHouse

HER = "desk@example.org"
SAYS = {
    "failed": ("does not take writes", "går inte att skriva till", "kontrollera enheten"),
    "away": (
        "volume of the stored objects is not there",
        "Volymen med de lagrade objekten",
        "montera rätt volym",
    ),
    "outage": ("store does not answer", "Lagret svarar inte", "nätet och servern"),
    "denied": ("store refuses the exchange", "nekar oss", "åtkomstnyckeln"),
    "keys": ("master keys cannot be used", "Huvudnycklarna", "nyckeltjänsten"),
    "room": ("too little room", "för lite utrymme", "göra plats"),
}


class Lacking(EndlessRoom):
    """A gauge that says what it is told to say."""

    said: Lack | None = None

    def lack(self, wanted_bytes=0):
        return self.said


@pytest.fixture
def room():
    return Lacking()


@pytest.fixture
def desk(staffed, room):
    present = PresentHouse()
    present.house = staffed.house
    present.room = room
    config = DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en")
    with Browser(desk_app(present, config)) as browser:
        browser.http.cookies.set("consilium-desk", staffed.token(HER))
        browser.get("/desk/")
        yield browser


@pytest.fixture
def hand():
    """A monotonic clock that is moved by hand."""
    return [100.0]


@pytest.fixture
def dicom(staffed, hand):
    return Troubles(staffed.house, "dicom", monotonic=lambda: hand[0])


def _standing(staffed):
    return {one.kind: one for one in standing_troubles(records=staffed.house.records, clock=staffed.clock)}


def test_every_kind_and_every_door_has_its_words():
    assert set(TROUBLES) == set(KIND_OF_ERROR.values()) == set(SAYS)
    assert set(DOORS) == {"dicom", "machine", "patient", "review", "desk", "work"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreLowError("x"), "room"),
        (VolumeFailedError("x"), "failed"),
        (StoreOutageError("x"), "outage"),
        (StoreDeniedError("x"), "denied"),
        (KeyServiceError("sealed"), "keys"),
        (TooLargeError(), None),
        (ObjectMissingError(), None),
        (KeyForgottenError(), None),
        (RuntimeError(), None),
    ],
)
def test_only_what_tells_of_the_service_is_trouble(error, kind):
    assert trouble_of(error) == kind


def test_names_of_errors_are_those_of_storage():
    known = set(vars(errors))
    assert set(KIND_OF_ERROR) <= known


@pytest.mark.parametrize("kind", sorted(SAYS))
def test_the_board_and_the_store_page_say_it_in_both_languages(staffed, desk, dicom, kind):
    english, swedish, step = SAYS[kind]
    assert english not in desk.get("/desk/").text
    error = {
        "room": StoreLowError, "failed": VolumeFailedError, "away": VolumeAwayError,
        "outage": StoreOutageError, "denied": StoreDeniedError, "keys": KeyServiceError,
    }[kind]  # fmt: skip
    dicom.refused(error("x"))
    for path in ("/desk/", "/desk/store"):
        page = desk.get(f"{path}?lang=en").text
        assert english in page
        assert "DICOM" in page
        page = desk.get(f"{path}?lang=sv").text
        assert swedish in page
        assert step in page
        assert "Nekades senast" in page
        desk.get(f"{path}?lang=en")


def test_it_ends_with_the_next_success_at_that_door_and_not_at_another(staffed, dicom):
    other = Troubles(staffed.house, "machine")
    for one in (dicom, other):
        with pytest.raises(StoreOutageError), one.told():
            raise StoreOutageError("x")
    assert _standing(staffed)["outage"].doors == ("dicom", "machine")
    with dicom.told(proves=False):
        pass
    assert "dicom" in _standing(staffed)["outage"].doors
    with dicom.told():
        pass
    assert _standing(staffed)["outage"].doors == ("machine",)
    with other.told():
        pass
    assert _standing(staffed) == {}


def test_it_goes_by_its_time_and_stays_while_somebody_is_refused(staffed, dicom, hand):
    dicom.refused(StoreOutageError("x"))
    began = staffed.clock.now()
    for _ in range(3):
        staffed.clock.at += STANDS_FOR * 0.9
        hand[0] += STANDS_FOR.total_seconds() * 0.9
        dicom.refused(StoreOutageError("x"))
    assert _standing(staffed)["outage"].since == began
    staffed.clock.at += STANDS_FOR
    assert _standing(staffed) == {}
    hand[0] += STANDS_FOR.total_seconds()
    dicom.refused(StoreOutageError("x"))
    assert _standing(staffed)["outage"].since == staffed.clock.now()


def test_a_storm_of_refusals_is_written_once_in_ten_seconds(staffed, dicom, hand):
    kept = []
    real = staffed.house.records.keep_trouble
    staffed.house.records.keep_trouble = lambda one: (kept.append(one), real(one))
    for _ in range(100):
        dicom.refused(StoreOutageError("x"))
    assert len(kept) == 1
    hand[0] += NOTED_EVERY_S
    dicom.refused(StoreOutageError("x"))
    assert len(kept) == 2


def test_records_that_are_out_keep_no_refusal_from_its_sender(staffed, dicom):
    staffed.records.close()
    with pytest.raises(StoreOutageError), dicom.told():
        raise StoreOutageError("x")


def test_what_the_gauge_measures_stands_without_any_refusal(desk, room):
    for want, kind in (("bytes", "room"), ("failed", "failed"), ("unknown", "away")):
        room.said = Lack(place="objects", want=want)  # type: ignore[arg-type]
        assert SAYS[kind][0] in desk.get("/desk/").text
    room.said = None
    assert "alert" not in desk.get("/desk/").text


def test_work_that_waits_for_the_keys_stands_as_long_as_it_waits(staffed, desk):
    with staffed.house.records.change(by=OPERATOR) as change:
        owed = change.owe("settle_study", "1" * 32, due_at=change.now)
        change.jobs.set(owed, error="KeyServiceError")
        change.note("study_settled")
    staffed.clock.at += STANDS_FOR * 3
    assert _standing(staffed)["keys"].doors == ("work",)


def test_a_store_without_room_for_handles_tells_of_no_room(dicom):
    import errno

    error = StoreFullError("too many open files")
    error.__cause__ = OSError(errno.EMFILE, "x")
    assert trouble_of(error) in {None, "room"}


def test_a_page_that_needs_a_store_which_is_out_is_noted_and_does_not_speak_of_saving(staffed, desk):
    case = staffed.open()
    staffed.house.store.open_value = _out  # the patient's name is sealed
    answer = desk.get(f"/desk/cases/{case.ref}")
    assert answer.status_code == 503
    assert "What is kept is safe" in answer.text
    assert "Nothing of it was kept" not in answer.text
    assert SAYS["keys"][0] in answer.text
    assert SAYS["keys"][1] in desk.get(f"/desk/cases/{case.ref}?lang=sv").text
    assert "keys" in _standing(staffed)


def test_records_that_do_not_answer_are_named_on_the_page_in_swedish_too(staffed, desk):
    staffed.house.records.view = _closed
    answer = desk.get("/desk/?lang=sv")
    assert answer.status_code == 503
    assert "Registret svarar inte" in answer.text
    assert "OperationalError" not in answer.text


def _closed():
    raise UnavailableError("the records do not answer (OperationalError)")


def _out(*_args, **_more):
    raise KeyServiceError("sealed")
