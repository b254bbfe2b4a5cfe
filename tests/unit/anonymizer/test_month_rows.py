"""A moved date keeps the language of its text, also where several languages spell its month alike."""

from __future__ import annotations

import pytest

from anonymizer.known import Known
from anonymizer.text import Scrubber


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("L'échographie du 18 mars 2024 montrait un nodule.", "30 janvier 2017"),
        ("Röntgen den 18 mars 2024 visar inget nytt.", "30 januari 2017"),
        ("Tatt den 18. mars 2024, ikke noe nytt.", "30. januar 2017"),
        ("Osteosíntesis con clavo el 10 may 2023 por el cirujano.", "23 mar 2016"),
        ("Seen on 10 May 2023 in the clinic.", "23 March 2016"),
        ("Vu le 3 oct. 2023 avec les parents.", "16 août 2016"),
        ("Seen 3 oct. 2023 with the parents.", "16 aug. 2016"),
        ("Am 3. Sept. 2023 und der Befund", "17. Jul. 2016"),
        ("Kontrolle bei der Patientin\nam 18. März 2024", "30. Januar 2017"),
        ("Tomografía de control del 7 de agosto de 2023.", "20 de junio de 2016"),
        ("TAC di controllo del 7 agosto 2023.", "20 giugno 2016"),
        ("Badanie z dnia 8 sie 2023 bez zmian.", "21 cze 2016"),
        ("الفحص بتاريخ 12 كانون الثاني 2024", "25 تشرين الثاني 2016"),
        ("Nalaz od 31. listopada 2023", "13. rujna 2016"),
    ],
)
def test_a_moved_month_is_written_in_the_texts_language(text: str, moved: str) -> None:
    cleaned = Scrubber(Known(), shift_days=-2604).clean(text).text
    assert moved in cleaned, cleaned


def test_the_words_nearby_tell_the_language_of_a_text_in_two_languages() -> None:
    swedish = "Patienten har haft ont i magen och det är inte bättre efter kuren som avslutades. " * 20
    text = swedish + "\n" + "L'échographie du 18 mars 2024 ne montrait pas une lésion dans le foie."
    assert "30 janvier 2017" in Scrubber(Known(), shift_days=-2604).clean(text).text


def test_a_whole_name_and_a_short_one_stay_so_in_one_text() -> None:
    cleaned = Scrubber(Known(), shift_days=-2604).clean("Vu le 18 mars 2024, opérée le 3 oct. 2023.").text
    assert cleaned == "Vu le 30 janvier 2017, opérée le 16 août 2016."


def test_two_dates_in_a_row_do_not_share_their_year() -> None:
    cleaned = Scrubber(Known(), shift_days=-2604).clean("02 May 2024, May 8, 2024").text
    assert cleaned == "16 March 2017, March 22, 2017"
