from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.errors import PseudonymKeyError
from anonymizer.pseudonyms import Pseudonyms, SettledPseudonyms, is_uid

ONE, TWO = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


def test_golden_values_stay_across_versions():
    """A case may receive its second batch under a newer version: these must never change."""
    pseudonyms = Pseudonyms(bytes(range(32)))
    assert pseudonyms.uid("1.2.3.4") == GOLDEN_UID
    assert pseudonyms.shift_days == GOLDEN_SHIFT
    assert pseudonyms.patient_id() == GOLDEN_ID
    assert pseudonyms.accession("A1") == GOLDEN_ACCESSION


GOLDEN_UID = "2.25.54191729971038668052323035582848527329"
GOLDEN_SHIFT = -2121
GOLDEN_ID = "MDT-DRMRMXLLPR"
GOLDEN_ACCESSION = "AXDMLTLXDCP"


def test_same_key_same_mapping_other_key_other_mapping():
    again = Pseudonyms(b"1" * 32)
    for old in ("1.2.3", "1.2.3.4.5.19650312"):
        assert ONE.uid(old) == again.uid(old) != TWO.uid(old)
        assert is_uid(ONE.uid(old))
        assert ONE.uid(old).startswith("2.25.")
    assert ONE.patient_id() != TWO.patient_id()
    assert ONE.accession("A1") != TWO.accession("A1")
    assert ONE.accession("A1") != ONE.study_id("A1")


def test_uids_that_the_standard_registers_stay():
    assert ONE.uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"
    assert ONE.uid("") == ""
    assert ONE.uid("1.2.840.10008.Anna").startswith("2.25.")


@given(st.binary(min_size=32, max_size=32))
def test_shift_keeps_the_weekday_and_goes_back_one_to_ten_years(key):
    days = Pseudonyms(key).shift_days
    assert -3650 <= days <= -364
    assert days % 7 == 0


@given(
    st.dates(min_value=__import__("datetime").date(1930, 1, 1)),
    st.dates(min_value=__import__("datetime").date(1930, 1, 1)),
)
def test_intervals_between_dates_are_kept(one, other):
    from datetime import datetime

    shifted = [datetime.strptime(ONE.date(f"{day:%Y%m%d}"), "%Y%m%d").date() for day in (one, other)]
    assert shifted[1] - shifted[0] == other - one
    assert shifted[0].weekday() == one.weekday()


@pytest.mark.parametrize(
    "old",
    [
        "20260302",
        "20260302101112",
        "20260302101112.123456",
        "20260302101112.1+0100",
        "202603021011-0530",
        "202603",
        "2026",
    ],
)
def test_datetime_keeps_its_precision(old):
    new = ONE.datetime(old)
    assert len(new) == len(old)
    assert new[8:] == old[8:]
    assert new != old


@pytest.mark.parametrize("bad", ["Anna", "19651345", "", "2026030210111", "99999999", "1965031223801234567"])
def test_what_is_no_date_gives_nothing(bad):
    assert ONE.date(bad) == ""
    assert ONE.datetime(bad) == ""


def test_stand_ins_hold_no_digit_and_fit_a_short_string():
    for stand_in in (ONE.patient_id(), ONE.accession("A"), ONE.person("Anna Ek"), ONE.code("x", "y")):
        assert len(stand_in) <= 16
        assert not any(sign.isdigit() for sign in stand_in)
    assert ONE.accession("") == ""
    assert ONE.person("") == ""


def test_a_short_key_is_refused():
    with pytest.raises(PseudonymKeyError):
        Pseudonyms(b"short")


def test_settled_mapping_leaves_its_own_work_alone_and_maps_the_rest():
    settled = SettledPseudonyms(ONE)
    own = ONE.uid("1.2.3")
    assert settled.uid(own) == own
    assert settled.uid("1.2.3") == ONE.uid("1.2.3")
    assert settled.date("20260302") == "20260302"
    assert settled.accession(ONE.accession("A1")) == ONE.accession("A1")
    assert settled.person(ONE.person("Anna Ek")) == ONE.person("Anna Ek")
    assert settled.person("Anna Ek") == ONE.person("Anna Ek")


def test_seal_is_bound_to_key_and_instance():
    assert ONE.seal("1.2") == ONE.seal("1.2")
    assert len({ONE.seal("1.2"), ONE.seal("1.3"), TWO.seal("1.2")}) == 3
