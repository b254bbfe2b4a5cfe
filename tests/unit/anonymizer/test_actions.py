from __future__ import annotations

import pytest

from anonymizer.actions import Actor, cap_age, resolve
from anonymizer.attribute_types import ROOT, types_for
from anonymizer.charset import charset_for
from anonymizer.cleaner import cleaner_for
from anonymizer.elements import Element
from anonymizer.pseudonyms import Pseudonyms
from tests.unit.anonymizer import made

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def actor():
    pseudonyms = Pseudonyms(made.KEY)
    return Actor(pseudonyms, cleaner_for(made.KNOWN, pseudonyms.shift_days))


@pytest.mark.parametrize(
    ("code", "type_", "simple"),
    [
        ("X", "3", "X"), ("X", "2", "Z"), ("X", "1", "D"), ("X", "1C", "D"),
        ("Z", "1", "D"), ("Z", "2", "Z"), ("Z", "3", "Z"), ("Z/D", "1", "D"), ("Z/D", "2", "Z"),
        ("X/Z", "3", "X"), ("X/Z", "2", "Z"), ("X/Z", "1", "D"), ("X/D", "3", "X"), ("X/D", "1", "D"),
        ("X/Z/D", "3", "X"), ("X/Z/D", "2C", "Z"), ("X/Z/D", "1", "D"), ("X/Z/U*", "3", "U"),
        ("U", "1", "U"), ("K", "3", "K"), ("C", "1", "C"),
    ],
)  # fmt: skip
def test_compound_codes_follow_the_type(code, type_, simple):
    assert resolve(code, type_) == simple


def test_types_come_from_the_iod_and_from_the_sequence():
    types = types_for(CT)
    assert types.type_of(0x00080018) == "1"
    assert types.type_of(0x00100010) == "2"
    assert types.type_of(0x00081030) == "3"
    assert types.type_of(0x00081155, 0x00081140) == "1"
    assert types.type_of(0x0040A075, 0x0040A073) == "1"
    assert types_for("1.2.840.10008.5.1.4.1.1.4").type_of(0x00181078, ROOT) == "3"


def apply(actor, action, vr, value, type_="3", tag=0x00081030):
    return actor.apply(action, Element(tag, vr, value), charset_for("ISO_IR 192"), type_)


def test_a_type_1_value_is_never_emptied(actor):
    for vr, dummy in (
        ("LO", b"REMOVED"),
        ("DA", b"19000101"),
        ("DS", b"1"),
        ("UI", b"2.25."),
        ("US", b"\0\0"),
    ):
        outcome = apply(actor, resolve("X", "1"), vr, b"")
        assert outcome.action == "D"
        assert bytes(outcome.element.value).startswith(dummy)
    named = apply(actor, "C", "LO", "Märta Krasheninnikova".encode(), "1")
    assert bytes(named.element.value)


def test_dates_that_are_none_do_not_pass(actor):
    assert apply(actor, "S", "DA", b"QX7734410").element is None
    assert bytes(apply(actor, "S", "DA", b"QX7734410", "1").element.value) == b"19000101"
    assert bytes(apply(actor, "S", "DA", b"2026.03.02").element.value).isdigit()
    assert apply(actor, "C", "TM", b"10:11:12").action == "K"
    assert apply(actor, "C", "TM", b"Krasheninn").element is None


def test_numbers_and_codes_pass_only_in_their_form(actor):
    assert apply(actor, "K", "DS", b"0.5\\-1.25E3").action == "K"
    assert apply(actor, "K", "DS", b"0.5\\asa").element is None
    assert apply(actor, "K", "DS", b"196503122380").element is None
    assert apply(actor, "K", "IS", b"6503122380").element is None
    assert apply(actor, "K", "CS", b"ORIGINAL\\PRIMARY").action == "K"
    assert apply(actor, "K", "CS", b"KRASHENINNIKOVA").element is None
    assert apply(actor, "K", "CS", b"krasheninnikova").element is None
    assert bytes(apply(actor, "K", "CS", b"CHEST KRASHENINN").element.value) == b"CHEST"
    assert bytes(apply(actor, "K", "CS", b"M\\KRASHENINNIKOVA").element.value) == b"M\\REMOVED"
    assert apply(actor, "K", "CS", b"Brain").action == "K"
    assert apply(actor, "K", "AS", b"old").element is None


def test_a_hidden_nul_does_not_hide_a_name(actor):
    hidden = "\0".join("Krasheninnikova").encode()
    outcome = apply(actor, "C", "LO", hidden)
    assert outcome.element is None or b"K\0r" not in bytes(outcome.element.value)


def test_cleaned_text_fits_its_representation(actor):
    outcome = apply(actor, "C", "SH", b"Krasheninn 650312-2380")
    assert len(bytes(outcome.element.value)) <= 16
    values = apply(actor, "C", "LO", "one\\Märta\\three".encode())
    assert bytes(values.element.value).split(b"\\")[0] == b"one"
    assert bytes(values.element.value).split(b"\\")[2] == b"three"


def test_a_name_split_over_two_values_is_not_left(actor):
    outcome = apply(actor, "C", "LO", "Blåklintsvägen\\17".encode())
    assert outcome.element is None or b"klint" not in bytes(outcome.element.value)


def test_bytes_that_hold_a_known_identifier_do_not_pass(actor):
    profile = b"ICC" + "Krasheninnikova".encode("utf-16-be") + b"end"
    assert apply(actor, "K", "OB", profile, tag=0x00282000).element is None
    assert apply(actor, "K", "OB", b"ICC plain bytes", tag=0x00282000).action == "K"


def test_persons_keep_one_stand_in_whatever_the_spelling(actor):
    first = apply(actor, "P", "PN", "Wallenstråle^Birger".encode(), tag=0x00080090)
    second = apply(actor, "P", "PN", b"WALLENSTRALE^BIRGER", tag=0x00080090)
    assert bytes(first.element.value) == bytes(second.element.value)
    patient = apply(actor, "P", "PN", "Märta Krasheninnikova^Åsa".encode(), tag=0x0040A123)
    assert bytes(patient.element.value).decode() == actor.pseudonyms.patient_name()


def test_ages():
    assert cap_age("089Y") == "089Y"
    assert cap_age("104Y") == "090Y"
    assert cap_age("999M") == "999M"
    assert cap_age("700W") == "700W"


def test_a_pixel_ratio_that_is_no_ratio_goes_since_one_to_one_is_told_by_absence(actor):
    lost = actor.lost(Element(0x00280034, "IS", b"Ek"), "1C")
    assert lost.element is None
    assert actor.lost(Element(0x00200013, "IS", b"Ek"), "1C").element is not None


def test_equal_short_values_are_judged_once_and_by_all_that_decides():
    pseudonyms = Pseudonyms(made.KEY)
    actor = Actor(pseudonyms, cleaner_for(made.KNOWN, pseudonyms.shift_days))
    latin, greek = charset_for("ISO_IR 100"), charset_for("ISO_IR 126")
    raw = "κνήμη".encode("iso8859_7")
    first = actor.apply("C", Element(0x00081030, "LO", memoryview(raw)), greek, "3")
    assert actor.apply("C", Element(0x00081030, "LO", memoryview(raw)), greek, "3") is first
    assert bytes(first.element.value).decode() == "κνήμη"
    assert actor.apply("C", Element(0x00081030, "LO", raw), latin, "3").element.value != first.element.value
    assert actor.apply("X", Element(0x00081030, "LO", raw), greek, "3").element is None
    assert actor.apply("U", Element(0x00080018, "UI", b"1.2.3.4.5"), latin, "1").element.value.startswith(
        b"2.25."
    )


def test_what_is_remembered_holds_no_byte_of_a_buffer_that_is_read_into_again():
    pseudonyms = Pseudonyms(made.KEY)
    actor = Actor(pseudonyms, cleaner_for(made.KNOWN, pseudonyms.shift_days))
    buffer, charset = bytearray(b"CT thorax "), charset_for("")
    kept = actor.apply("C", Element(0x00081030, "LO", memoryview(buffer)), charset, "3")
    buffer[:] = b"overwritten"[:10]
    assert bytes(kept.element.value) == b"CT thorax "
