"""Letters in seven languages and more: every planted identifier goes, every clinical word stays."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import pytest

from anonymizer.known import Known
from anonymizer.text import Scrubber


@dataclass(frozen=True, slots=True)
class Letter:
    language: str
    known: dict[str, object]
    text: str
    gone: tuple[str, ...]
    stays: tuple[str, ...]


LETTERS = [
    Letter(
        "swedish",
        {"names": ["Bergström^Märta Kristina"], "identifiers": ["19470223-4186"], "birth_date": "1947-02-23",
         "addresses": [{"street": "Åkervägen 14", "postal_code": "752 37", "city": "Knivsta"}], "phones": ["018-34 56 78"],
         "relatives": [{"name": "Gösta Bergström", "relation": "make"}],
         "physicians": [{"name": "Elsa Dahlqvist", "institution": "Knivsta vårdcentral"}]},
        """Remiss. Patient: Märta Bergström, 470223-4186, Åkervägen 14, 752 37 Knivsta. Tel 018-345678.
Född den 23 februari 1947. Maken Gösta uppger att MÄRTA har gått ned 8 kg i vikt. Anamnes: 77-årig kvinna med Mb Crohn
och misstänkt tumör i caput pancreatis. CT buk visar en 23 mm stor lesion, ingen ascites. PSA 4,2. Hb 112 g/l.
Frågeställning: resektabel? Remitterande läkare: Elsa Dahlqvist, Knivsta vårdcentral. Fru Bergströms make nås på 0046 18 345678.""",
        ("Bergström", "Märta", "MÄRTA", "Gösta", "470223", "4186", "Åkervägen", "Knivsta", "345678", "23 februari 1947", "Dahlqvist", "Elsa"),
        ("gått ned 8 kg", "77-årig kvinna", "Mb Crohn", "caput pancreatis", "23 mm stor lesion", "ascites", "PSA 4,2", "Hb 112 g/l", "resektabel"),
    ),
    Letter(
        "english",
        {"names": ["Featherstonehaugh^Imogen"], "identifiers": [{"value": "943 476 5919", "type": "NHS"}, "RXH-448210"],
         "birth_date": "1952-11-03", "addresses": [{"street": "7 Larkspur Road", "postal_code": "SW1A 2ZZ", "city": "Tunbridge Wells"}],
         "emails": ["imogen.f@example.org"], "physicians": [{"name": "Rupert Blenkinsop"}]},
        """Dear Dr Blenkinsop, thank you for referring Mrs Imogen Featherstonehaugh (NHS 9434765919, Hosp no rxh448210),
born 3rd November 1952, of 7 Larkspur Road, Tunbridge Wells SW1A 2ZZ. Mrs F. has Hodgkin lymphoma, stage IIB, and a
Hoffmann sign on the right. Deauville 4 after 2 cycles of ABVD. Contact imogen.f@example.org. DOB 03/11/52.
Her LV ejection fraction was 55 %. She may be eligible for a trial; Parkinson disease was excluded.""",
        ("Blenkinsop", "Imogen", "Featherstonehaugh", "9434765919", "448210", "November 1952", "Larkspur", "Tunbridge", "SW1A", "03/11/52", "@"),
        ("Hodgkin lymphoma, stage IIB", "Hoffmann sign on the right", "Deauville 4 after 2 cycles", "55 %", "may be eligible", "Parkinson disease"),
    ),
    Letter(
        "german",
        {"names": ["Groß-Überschär^Jörg"], "identifiers": ["A123456780"], "birth_date": "1961-07-09",
         "addresses": [{"street": "Schönhauser Straße 8", "postal_code": "10119", "city": "Pankow"}], "phones": ["+49 30 9012345"],
         "physicians": [{"name": "Prof. Dr. Annegret Weißhäupl"}]},
        """Sehr geehrte Frau Prof. Weißhäupl, wir berichten über Herrn Jörg Groß-Überschär, geb. 9. Juli 1961, wohnhaft
Schönhauser Straße 8, 10119 Pankow, Tel. 030/9012345, Vers.-Nr. A 123456780. Herr GROSS-UEBERSCHAER klagt über Schmerzen im linken Bein.
MRT der LWS: Bandscheibenvorfall L4/L5 mit Kompression der Wurzel. Kein Nachweis eines Nierensteins. Klassifikation nach Wilson.""",
        ("Weißhäupl", "Jörg", "Groß", "Überschär", "GROSS", "UEBERSCHAER", "9. Juli 1961", "Schönhauser", "Pankow", "9012345", "123456780"),
        ("Schmerzen im linken Bein", "Bandscheibenvorfall L4/L5", "Kompression der Wurzel", "Nierensteins"),
    ),
    Letter(
        "finnish",
        {"names": ["Hyväoja^Äijö Tapani"], "identifiers": ["090561-308E"], "birth_date": "1961-05-09", "phones": ["040 765 4321"]},
        """Potilas: Äijö Hyväoja, 090561-308E, synt. 9.5.1961. Puh. +358 40 7654321. Hyväojan vasemmassa keuhkossa on 14 mm
kasvain. Ei etäpesäkkeitä maksassa. Kontrolli 9. toukokuuta 1961 syntyneelle sovittu.""",
        ("Äijö", "Hyväoja", "090561", "308E", "9.5.1961", "7654321", "9. toukokuuta 1961"),
        ("vasemmassa keuhkossa on 14 mm", "kasvain", "maksassa"),
    ),
    Letter(
        "polish",
        {"names": ["Wąchocka^Świętosława"], "identifiers": ["44051401359"], "birth_date": "1944-05-14",
         "addresses": [{"street": "ul. Źródlana 3", "postal_code": "31-005", "city": "Łęczyca"}]},
        """Pacjentka: Świętosława Wąchocka, PESEL 44051401359, ur. 14 maja 1944, zam. ul. Źródlana 3, 31-005 Łęczyca.
Rozpoznanie: rak płuca lewego, przerzuty do wątroby. Wąchockiej zalecono TK klatki piersiowej. SWIETOSLAWA WACHOCKA 14.05.1944""",
        ("Świętosława", "Wąchock", "44051401359", "14 maja 1944", "Źródlana", "31-005", "Łęczyca", "SWIETOSLAWA", "WACHOCKA", "14.05.1944"),
        ("rak płuca lewego", "przerzuty do wątroby", "zalecono TK klatki piersiowej"),
    ),
    Letter(
        "spanish",
        {"names": ["Ibáñez de la Fuente^María José"], "identifiers": ["12345678Z"], "birth_date": "1970-01-31", "phones": ["+34 912 345 678"]},
        """Paciente: María José Ibáñez de la Fuente, DNI 12345678-Z, nacida el 31 de enero de 1970, tel. 912 34 56 78.
Acude por dolor torácico. La señora IBANEZ refiere disnea. TC de tórax: nódulo de 8 mm en el lóbulo superior derecho.""",
        ("María", "José", "Ibáñez", "IBANEZ", "12345678", "31 de enero de 1970", "912 34 56 78"),
        ("dolor torácico", "refiere disnea", "nódulo de 8 mm en el lóbulo superior derecho"),
    ),
    Letter(
        "russian",
        {"names": ["Щербаков^Юрий", "Shcherbakov^Yury"], "birth_date": "1958-08-17", "phones": ["+7 495 123-45-67"]},
        """Пациент: Щербаков Юрий, дата рождения 17 августа 1958. Тел. 8 (495) 123-45-67. У Щербакова опухоль правой почки
размером 34 мм. Метастазов в печени нет. Shcherbakov Y., MRI 17.08.1958""",
        ("Щербаков", "Юрий", "17 августа 1958", "123-45-67", "Shcherbakov", "17.08.1958"),
        ("опухоль правой почки", "34 мм", "Метастазов в печени нет"),
    ),
    Letter(
        "turkish",
        {"names": ["Kılıçdağ^İsmail Işık"], "identifiers": ["10000000146"], "birth_date": "1949-12-01"},
        """Hasta: İsmail Işık KILIÇDAĞ, TC kimlik no 10000000146, doğum tarihi 1 Aralık 1949. Kılıçdağ'ın sol böbreğinde 3 cm kitle.
Karaciğer normal. ISMAIL KILICDAG""",
        ("İsmail", "KILIÇDAĞ", "Kılıçdağ", "10000000146", "1 Aralık 1949", "ISMAIL", "KILICDAG"),
        ("sol böbreğinde 3 cm kitle", "Karaciğer normal"),
    ),
    Letter(
        "arabic",
        {"names": ["الخوارزمي^محمد"], "birth_date": "1966-06-06"},
        "المريض محمد الخوارزمي (06/06/1966) يعاني من ألم في البطن. مُحَمَّد",
        ("الخوارزمي", "محمد", "06/06/1966", "مُحَمَّد"),
        ("يعاني من ألم في البطن",),
    ),
]  # fmt: skip


@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: letter.language)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_letter_loses_its_identifiers_and_keeps_its_medicine(letter: Letter, form: str) -> None:
    scrubber = Scrubber(Known.from_json(letter.known))
    text = unicodedata.normalize(form, letter.text)
    cleaned = unicodedata.normalize("NFC", scrubber.clean(text).text)
    left = [
        part for part in letter.gone if unicodedata.normalize("NFC", part).casefold() in cleaned.casefold()
    ]
    lost = [part for part in letter.stays if part not in cleaned]
    assert (left, lost) == ([], []), cleaned
    assert not scrubber.known_left(cleaned)
    assert scrubber.known_left(text)
