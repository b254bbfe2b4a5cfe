"""Whom a document's text names behind its labels; and the words that no label may teach us."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymizer.harvest_text import harvest_text
from anonymizer.known import Known
from anonymizer.text import Scrubber


def _names(text: str) -> set[str]:
    known = harvest_text(text)
    every = (*known.names, *(name for person in known.people for name in person.names))
    return {" ".join(part for part in (name.given, name.family) if part) for name in every}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Patient: Anna Maria Lindqvist, 77 år", {"Anna Maria Lindqvist"}),
        ("Namn: Krasheninnikova, Åsa   Född: 12 mars 1985", {"Åsa Krasheninnikova"}),
        ("Efternamn   Ottosson\nFörnamn\tGreta", {"Ottosson", "Greta"}),
        ("Name: O'Hollaranby, Maeve; right knee", {"Maeve O'Hollaranby"}),
        ("Patient name: JÜRGEN GROSS-ÜBERSCHÄR", {"JÜRGEN GROSS-ÜBERSCHÄR"}),
        ("Nachname: Weißhäupl", {"Weißhäupl"}),
        ("Nom : Étienne Lefebvre-Ozanne", {"Étienne Lefebvre-Ozanne"}),
        ("Paciente: María José Ibáñez de la Fuente", {"María José Ibáñez de la Fuente"}),
        ("Pacjent: Jan Kowalski, ur. 3.4.1960", {"Jan Kowalski"}),
        ("Imię i nazwisko: Świętosława Wąchocka", {"Świętosława Wąchocka"}),
        ("Potilas: Äijö Hyväoja", {"Äijö Hyväoja"}),
        ("ФИО: Крашенинникова Анна", {"Крашенинникова Анна"}),
        ("Hasta: Ayşegül Yıldırımoğlu", {"Ayşegül Yıldırımoğlu"}),
        ("Remittent: Dr Karin Ek, Hallens VC", {"Karin Ek"}),
        ("Anhörig: Björn Hall (far)", {"Björn Hall"}),
        ("Läkare: Tor Ek", {"Tor Ek"}),
        ("Dr. Sundholm har ordinerat", {"Sundholm"}),
        ("Überweisender Arzt: Frau Dr. Annegret Weißhäupl", {"Annegret Weißhäupl"}),
        ("Médico: Dra. Inés Barrenetxea", {"Inés Barrenetxea"}),
        ("Patient: محمد علي حسن الخطيب", {"محمد علي حسن الخطيب"}),
        ("Patient name: יוסף משה דוד כהן", {"יוסף משה דוד כהן"}),
    ],
)
def test_a_labelled_name_is_harvested(text: str, names: set[str]) -> None:
    assert _names(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "Patient: Kvinna med diabetes", "Patient: Right Knee", "Patient: Facialispares Höger", "Name: Left Breast", "Pat: HEAD",
        "To: Radiology", "From: Onkologen", "CC: Mottagningen", "Patient: Supine", "Name: Spiral", "Patient: diabetes mellitus",
        "Patient: Cholezystektomie Links", "Hasta: Erkek", "Operator: CT1", "Patient: Multipel Skleros. En skleros hos multipel patient",
        "Dr ordered MRI", "Dr. on call", "Sehr geehrte Frau Kollegin", "the patient has Crohn disease", "Potilas: Mies",
        "Patient: [name]", "Läkare: Överläkare", "",
    ],
)  # fmt: skip
def test_a_clinical_word_is_never_harvested_as_a_name(text: str) -> None:
    assert _names(text) == set()


def test_numbers_dates_and_places_behind_labels() -> None:
    known = harvest_text(
        """MRN: 00123A7   Accession no 4471182
Född: 12 mars 1985, personnummer 811218-9876
Adress: Storgatan 12 B, 752 37 Uppsala
Tel: 018 55 66 77  anna.lq@example.se
Sjukhus: Sahlgrenska universitetssjukhuset
Anschrift: Schönhauser Straße 8, 10119 Pankow"""
    )
    assert {one.value for one in known.identifiers} == {"00123A7", "4471182", "811218-9876"}
    assert known.birth_date == date(1985, 3, 12)
    assert [(one.street, one.postal_code, one.city) for one in known.addresses] == [
        ("Storgatan 12 B", "752 37", "Uppsala"),
        ("Schönhauser Straße 8", "10119", "Pankow"),
    ]
    assert known.phones == ("018 55 66 77",)
    assert known.emails == ("anna.lq@example.se",)
    assert known.institutions == ("Sahlgrenska universitetssjukhuset",)


def test_the_only_personal_number_tells_the_date_of_birth_and_of_two_neither_does() -> None:
    assert harvest_text("811218-9876").birth_date == date(1981, 12, 18)
    assert harvest_text("811218-9876 och 19900101-0017").birth_date is None
    assert harvest_text("född 1.2.1950, 811218-9876").birth_date == date(1950, 2, 1)
    assert harvest_text("180178-9876").birth_date is None


@pytest.mark.parametrize(
    "text",
    [
        "Institution: Röntgenkliniken", "Hospital: yes", "Adress: okänd", "Address: see above", "Tel: se ovan", "MRN: pending", "PID: 12",
        "CT buk 2024-03-20: 12 x 14 x 9 mm, HU 45, SNOMED 363680008, 1.2.840.10008.5.1.4.1.1.2, PSA 4,2, ICD C50.9",
    ],
)  # fmt: skip
def test_what_describes_and_names_nobody_is_left(text: str) -> None:
    assert not harvest_text(text)


def test_what_was_harvested_is_then_found_without_its_label() -> None:
    letter = (
        "Patient: Svea Nordenskjöld\nAdress: Ekorrvägen 9, 752 37 Knivsta\nLäkare: Tor Rydqvist\nMRN: 4471182"
    )
    scrubber = Scrubber(harvest_text(letter))
    cleaned = scrubber.clean(
        "NORDENSKJOLD^SVEA, Ekorrvagen 9 Knivsta, tor rydqvist, x4471182; caput pancreatis"
    ).text
    assert cleaned == "[name], [address], [name], x[number]; caput pancreatis"


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Patient: ", "Född ", "\n", ", ", "Tel: ", "1985", "-03-", "12", "Dr. ", "MRN "])
        | st.text(max_size=9),
        max_size=12,
    )
)
def test_any_text_is_harvested_without_an_error_and_its_harvest_can_be_compiled(pieces: list[str]) -> None:
    known = harvest_text("".join(pieces))
    assert len(Known.from_json(known.to_json()).phones) == len(known.phones)
    assert not Scrubber(known).known_left(Scrubber(known).clean("".join(pieces)).text)
