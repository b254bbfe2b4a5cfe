"""Words that no list holds, told by their form: those of medicine, those that are surnames; and what a case learns from them."""

from __future__ import annotations

import pytest

from anonymizer.folding import fold
from anonymizer.harvest_text import harvest_text
from anonymizer.known import Known, Person, PersonName
from anonymizer.name_runs import without_strangers
from anonymizer.text import Scrubber
from anonymizer.word_forms import medical, surname_form

_MEDICAL = """
Hüftprothese Oberarm Handgelenk Schädelbasis Halswirbelsäule Perikarderguss Appendizitis Kreuzbandruptur Sprunggelenksfraktur Meniskusriss Kopfschmerzen Nierenstein Spinalkanalstenose Gefahrenzustand
Knäprotes Achillesseneruptur Handledsfraktur Ljumskbråck Urinvägsinfektion Hoftebrudd Hjernesvulst Kneprotese
Gonarthrose Tendinopathie Cholécystite Lombosciatique Méniscectomie Gonartrosi Coxartrosis Lumbalgia Hidronefrosis
Heupfractuur Schouderluxatie Slikklachten Polviproteesi Lonkkamurtuma Keuhkoembolia Nivelrikko
Koksartroza Cholecystektomia Złamanie Hidronefroz Divertikülit Сколиоз Остеохондроз Менингиома Холецистит Гонартроз
Γοναρθρίτιδα Χολοκυστίτιδα Νεφρολιθίαση Osteoarthritis Cholelithiasis Splenomegaly Chondromalacia
"""
_NAMES = """
Weißmüller Schröder Hartenstein Hallstein Oberhauser Unterberger Steiner Kniesmeyer Hartmann Herzog Kopfmann Halsey Wittgenstein Müllichen Lungstedt Åkerlund Björkqvist Handberg
Lefèvre Guérin Prévost Charcot Núñez Mendoza Valencia Albornoz Aguirre Ferrari Paloma Angiolello
Turongkinanon Vandekerckhove Radhakrishnan Zālītis Hogendoorn Verboom Neuteboom Virtanen Hakkarainen Wójcik Leśniak Krzystek Кузнецова Мороз Щербаков Берия Шевченко
Παπαδόπουλος Κεφαλάς Χονδρολίδης Yıldırım Karagöz Hamilton Manning Florence Lawrence Stephanie Antonia Eugenie
"""


@pytest.mark.parametrize("word", _MEDICAL.split())
def test_a_word_of_medicine_is_told_by_its_form(word: str) -> None:
    if fold(word) != "zlamanie":  # in a list, and so told without its form
        assert medical(fold(word))
    assert not surname_form(fold(word))


@pytest.mark.parametrize("name", _NAMES.split())
def test_a_name_is_no_word_of_medicine(name: str) -> None:
    assert not medical(fold(name))


def _names(known: Known) -> set[str]:
    every = (*known.names, *(name for person in known.people for name in person.names))
    return {" ".join(part for part in (name.given, name.family) if part) for name in every}


HEADER = Known(
    names=(PersonName(family="Weißmüller", given="Jürgen"),),
    physicians=(Person(names=(PersonName(family="Schröder", given="Käthe"),)),),
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("OA Dr. Ochtrup Kreuzbandruptur", {"Ochtrup"}),
        ("Op av Per-Olof Åkerlund Knäprotes", {"Per-Olof Åkerlund"}),
        ("Mme Charpentrat Gonarthrose", {"Charpentrat"}),
        ("Dr. Anna Maria Ochtrup-Kranz", {"Anna Maria Ochtrup-Kranz", "Anna Maria Ochtrup"}),
        ("Patient: Jürgen Ochtrup Lüdenscheidt", {"Jürgen Ochtrup Lüdenscheidt"}),
        ("Mme Charpentrat Dupont", {"Charpentrat Dupont"}),
    ],
)
def test_a_text_teaches_names_without_the_words_of_medicine_behind_them(text: str, names: set[str]) -> None:
    assert _names(harvest_text(text)) == names


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("Jürgen Weißmüller Seltsames links", ["Seltsames"], []),
        ("Weißmüller Jürgen Seltsames links", ["Seltsames"], []),
        ("Patient: Weißmüller, Jürgen Seltsames", ["Seltsames"], []),
        ("OA Dr. Schröder Seltsames, bitte", ["Seltsames"], []),
        ("Jürgen Weißmüller-Ochtrup kam", [], ["Ochtrup"]),
        ("Patient: Jürgen Weißmüller Lüdenscheidt", [], ["Lüdenscheidt"]),
        ("Ehefrau Dr. Hannelore Ochtrup kam", [], ["Ochtrup"]),
    ],
)
def test_what_stands_behind_a_whole_known_person_is_not_learnt(
    text: str, kept: list[str], gone: list[str]
) -> None:
    case = Scrubber(HEADER.merged(without_strangers(harvest_text(text), HEADER, text)))
    for word in kept:
        assert case.clean(f"{word} links").text == f"{word} links"
    for word in gone:
        assert word not in case.clean(f"mit {word} links").text
