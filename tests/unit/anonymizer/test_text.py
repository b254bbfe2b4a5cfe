"""Cleaning prose: what must go, what must stay, and how the dates move."""

from __future__ import annotations

import time

import pytest

from anonymizer.known import Known
from anonymizer.text import PLACEHOLDERS, Scrubber

KNOWN = Known.from_json({
    "names": ["Lindqvist-O'Hollaranby^Anna Maria", "Krasheninnikov^Åsa"],
    "identifiers": [{"type": "personnummer", "issuer": "SE", "value": "19850312-9876"}, "MRN-00123A", "123456", "0007654321"],
    "birth_date": "1985-03-12",
    "addresses": [{"street": "Storgatan 12 B", "postal_code": "123 45", "city": "Uppsala"}],
    "phones": ["+46 70 123 45 67", "018-55 66 77"],
    "emails": ["anna.lq@example.se"],
    "relatives": [{"family": "Hall", "given": "Björn", "relation": "father"}],
    "physicians": [{"name": "Parkinson^James"}, {"name": "Müller^Jürgen", "institution": "Sahlgrenska universitetssjukhuset"}],
    "institutions": ["St Elsewhere General Hospital"],
})  # fmt: skip
SCRUBBER = Scrubber(KNOWN)
SHIFTING = Scrubber(KNOWN, shift_days=14)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        # names
        ("Anna Lindqvist kom idag", "[name] kom idag"),
        ("LINDQVIST ANNA HEAD", "[name] HEAD"),
        ("Lindqvist^Anna^^", "[name]^^"),
        ("lindqvist, a. knee", "[name], a. knee"),
        ("A. M. Lindqvist, knee", "[name], knee"),
        ("Lindqvist A, knee", "[name], knee"),
        ("Lindqvists remiss", "[name] remiss"),
        ("Lindqvist's knee", "[name]'s knee"),
        ("O'Hollaranby and OHollaranby and O\u2019HOLLARANBY", "[name] and [name] and [name]"),
        ("ANNA_LINDQVIST_CT1", "[name]_CT1"),
        ("AnnaLindqvist.dcm", "[name].dcm"),
        ("HEAD Krasheninn", "HEAD [name]"),
        ("Krasheninnikova och Krascheninnikow", "[name] och [name]"),
        ("Крашенинников, голова", "[name], голова"),
        ("Lind\u00adqvist and Lind\u200bqvist", "[name] and [name]"),
        ("ASA 75 mg; Åsa; ÅSA", "ASA 75 mg; [name]; [name]"),
        ("Dr Muller, Dr Mueller; Jürgen MÜLLER", "Dr [name], Dr [name]; [name]"),
        ("Dr. Sundholm says yes", "Dr. [name] says yes"),
        ("Patient: Karl Ottosson, right knee", "Patient: [name], right knee"),
        ("Remittent: Dr Karin Ek, Hallens VC", "Remittent: [name]"),
        # eponyms and words that are also names
        (
            "Parkinson disease, mb Parkinson, Parkinsons sjukdom",
            "Parkinson disease, mb Parkinson, Parkinsons sjukdom",
        ),
        ("Seen by Dr Parkinson; James Parkinson", "Seen by Dr [name]; [name]"),
        ("Müller cells and Müllerian duct", "Müller cells and Müllerian duct"),
        ("non-Hodgkin, Crohn, Alzheimer, Graves", "non-Hodgkin, Crohn, Alzheimer, Graves"),
        ("en björn i hallen", "en björn i hallen"),
        ("fadern Björn Hall ringde", "fadern [name] ringde"),
        # numbers
        ("198503129876 850312-9876 19850312 9876 850312+9876", "[number] [number] [number] [number]"),
        ("ID19850312987601", "ID[number]"),
        ("1.2.752.198503129876.4", "1.2.752.[number].4"),
        ("mrn 00123a, MRN00123A, MRN 00123 A", "[number], [number], [number]"),
        ("no 123 456, 123456 but 1234567 and 123456.7", "no [number], [number] but 1234567 and 123456.7"),
        ("7654321 0007654321", "[number] [number]"),
        ("PNR 850312-98", "PNR [number]"),
        # date of birth
        (
            "1985-03-12 12/3 1985 12.3.85 March 12, 1985 12 mars 1985 12MAR85",
            "[date] [date] [date] [date] [date] [date]",
        ),
        ("19850312 850312 120385 12031985", "[date] [date] [date] [date]"),
        ("den 12:e mars 1985, 12. März 1985, 12 de marzo de 1985", "den [date], [date], [date]"),
        (
            "12 marca 1985, 12 марта 1985, 12. maaliskuuta 1985, 12 Mart 1985",
            "[date], [date], [date], [date]",
        ),
        ("born March 1985; Född 3 april 1960", "born [date]; Född [date]"),
        # phones, mail, places
        ("070-123 45 67, 0701234567, 0046 70 1234567, +46(0)701234567", "[phone], [phone], [phone], [phone]"),
        ("018 556677 and 018-55 66 77", "[phone] and [phone]"),
        ("ANNA.LQ@example.se, x.y@foo.org, z (at) foo.org", "[email], [email], [email]"),
        ("https://a.example/x?y=1 www.foo.se", "[link] [link]"),
        ("Storgatan 12 B, 12345 Uppsala", "[address]"),
        ("Kungsgatan 4, 12 Baker Street", "[address], [address]"),
        ("Sahlgrenska universitetssjukhuset, sahlgrenska", "[institution], [institution]"),
        ("St. Elsewhere General Hospital CT", "[institution] CT"),
        # unknown people's numbers
        ("811218-9876", "[number]"),
        ("19900101-0017 901301-2392", "[number] 901301-2392"),
        ("131052-308T", "[number]"),
        ("44051401359", "[number]"),
        ("943 476 5919", "[number]"),
        ("SE45 5000 0000 0583 9825 7466", "[number]"),
        ("12345678Z", "[number]"),
    ],
)
def test_identifiers_go_and_the_rest_stays(text: str, clean: str) -> None:
    assert SCRUBBER.clean(text).text == clean


@pytest.mark.parametrize(
    "text",
    [
        "T1 TSE sag 3 mm 512x512 TR 500/TE 12 [0.5 0.5]",
        "AX T2 FLAIR", "Thorax PA/LAT", "MPR 3.0 B31f", "ISO_IR 100", "CHEST W/O CONTRAST", "0.625", "1.2.840.10008.5.1.4.1.1.2",
        "SUV max 12.3, 18F-FDG 350 MBq, 60 min p.i.", "Lesion 12 x 34 mm i segment IV, PI-RADS 4, T2aN0M0",
        "ER 90 %, PR 70 %, HER2 0, Ki67 25 %", "EKG 12-avledning, BT 120/80, puls 72", "Version VB60A 10.12.20 build 4",
        "Grön starr; rosa hud; per os; lång smal patient; may be benign; will follow", "C5-C6, L4/L5, 3/10, 5/5",
        "Hb 123 g/l, CRP 45, 100 000 celler", "series 001 002 003", "kV 120 mAs 200", "Hoffmann sign positive, Barrett esophagus",
        "Patient: Man 54 år", "Doctor's list", "Dr ordered MRI", "HFS", "ORIGINAL\\PRIMARY\\AXIAL",
    ],
)  # fmt: skip
def test_clinical_words_and_measures_stay(text: str) -> None:
    assert SCRUBBER.clean(text).text == text


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("CT 2024-03-20", "CT 2024-04-03"),
        ("CT 20240320 101112", "CT 20240403 101112"),
        ("20240320101112", "20240403101112"),
        ("3/4/2024 and 13.4.2024", "17/4/2024 and 27.4.2024"),
        ("24-03-20", "24-04-03"),
        ("20/3-24, 20/3 2024", "3/4-24, 3/4 2024"),
        ("3 januari 2024", "17 januari 2024"),
        ("den 20:e mars", "den 3:e april"),
        ("March 20th, 2024", "April 3rd, 2024"),
        ("20 MARCH 2024, 20-MAR-2024", "3 APRIL 2024, 3-APR-2024"),
        ("20. März 2024", "3. April 2024"),
        ("20 marca 2024", "3 kwietnia 2024"),
        ("20 марта 2024 г.", "3 апреля 2024 г."),
        ("20. maaliskuuta 2024", "3. huhtikuuta 2024"),
        ("20 de marzo de 2024", "3 de abril de 2024"),
        ("20 Mart 2024", "3 Nisan 2024"),
        ("mars 2024", "mars 2024"),
        ("28 februari 2024", "13 mars 2024"),
        ("Sie 12 Jahre, may 5 mm, mars 12 mm", "Sie 12 Jahre, may 5 mm, mars 12 mm"),
    ],
)
def test_other_dates_move_and_keep_their_form(text: str, shifted: str) -> None:
    assert SHIFTING.clean(text).text == shifted


def test_a_date_that_would_land_on_the_birth_date_goes() -> None:
    assert SHIFTING.clean("1985-02-26").text == "[date]"


def test_counts_are_told_by_kind_and_hold_no_value() -> None:
    cleaned = SCRUBBER.clean("Anna Lindqvist 850312-9876")
    assert cleaned.kinds == {"name": 1, "number": 1}
    assert cleaned.hits == 2


def test_spans_point_into_the_text_as_given() -> None:
    text = "Hos Lind\u00adqvist\u00a0a\u0308r ﬁn"
    (span,) = SCRUBBER.spans(text)
    assert text[span.start : span.end] == "Lind\u00adqvist"


def test_placeholders_fit_short_values_and_are_left_alone() -> None:
    for placeholder in PLACEHOLDERS.values():
        assert len(placeholder) <= 16
        assert SCRUBBER.clean(placeholder).text == placeholder


def test_a_name_without_spaces_around_is_found_in_scripts_that_write_none() -> None:
    scrubber = Scrubber(Known.from_json({"names": ["山田^太郎", "김^희중"]}))
    assert scrubber.clean("患者山田太郎様 胸部CT 김희중").text == "患者[name]様 胸部CT [name]"


def test_needles_hold_each_encoding_and_no_short_word() -> None:
    needles = SCRUBBER.byte_needles()
    assert "Lindqvist".encode("utf-16-le") in needles
    assert "KRASHENINNIKOV".encode("ascii") in needles
    assert b"198503129876" in needles
    assert all(len(needle) > 5 for needle in needles)
    assert not any(needle in (b"Parkinson", b"Hall") for needle in needles)


def test_a_line_of_a_text_is_also_read_alone() -> None:
    scrubber = Scrubber(Known.from_json({"names": ["Parkinson^James"], "identifiers": ["19850312-9876"]}))
    assert (
        scrubber.clean("Parkinson\nmb Parkinson\nPNR 850312-98\n").text
        == "[name]\nmb Parkinson\nPNR [number]\n"
    )


def test_needles_would_not_be_found_in_flat_pictures_or_contours() -> None:
    needles = Scrubber(
        Known.from_json({"names": ["Ssssssss^Aaaaaaa"], "identifiers": ["11111111111", "123456789"]})
    ).byte_needles()
    assert not any(needle.lower() in b"ssssssssaaaaaaa11111111111123456789" for needle in needles)


def test_nothing_known_still_recognises_by_pattern() -> None:
    scrubber = Scrubber(Known())
    assert scrubber.clean("811218-9876 x@y.se").text == "[number] [email]"
    assert not scrubber.known_left("811218-9876")
    assert not scrubber.finds("plain words")


def test_a_megabyte_is_cleaned_in_seconds_and_a_short_value_in_microseconds() -> None:
    prose = (
        "Patienten inkom med buksmärta sedan tre dagar. CT buk visar en 12 mm stor lesion i levern, segment IV. "
        * 9500
    )
    SCRUBBER.clean(prose[:2000])
    began = time.process_time()
    assert SCRUBBER.clean(prose).text == prose
    assert time.process_time() - began < 3
    began = time.process_time()
    for _ in range(2000):
        SCRUBBER.clean("KNÄ HÖGER axial")
    assert (time.process_time() - began) / 2000 < 200e-6


@pytest.mark.parametrize(
    "unit", ["1", "12 ", "Anna ", "[", "a@a.", "Dr. A", "12 mars ", "Patient: Xx ", "0701234567 ", "+46 ", "a\u0308", "山田", "mrn00123", "19850312", "A.M.", "(at)", "Anna Maria Karin ", "Ward ", "son Anna ", "a-\n", "l1", "Hospital de ", "12 rue ", "Ã¤", "æ", "92 y"]
)  # fmt: skip
def test_no_text_is_slow_to_clean(unit: str) -> None:
    began = time.process_time()
    SHIFTING.clean(unit * (30_000 // len(unit)))
    assert time.process_time() - began < 2


def test_a_word_that_a_clean_text_may_hold_is_no_needle_and_the_whole_name_is() -> None:
    """A patient named as a side is: "Vänster lunga" stays, so its bytes are no leak."""
    scrubber = Scrubber(Known.from_json({"names": ["Lång^Vänster", "Brandström^Gunilla"]}))
    assert scrubber.clean("Vänster lunga").text == "Vänster lunga"
    needles = scrubber.byte_needles()
    texts = ("Vänster", "vänster", "VÄNSTER", "vanster")
    assert not {text.encode(code) for text in texts for code in ("utf-8", "latin-1", "utf-16-le")} & set(
        needles
    )
    assert not [needle for needle in needles if needle in "Vänster lunga, vänster lång kateter".encode()]
    assert {"Lång^Vänster".encode(), "Brandström".encode("latin-1"), b"gunilla"} <= set(needles)
