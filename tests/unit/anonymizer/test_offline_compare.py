"""The page with before and after: what identifies comes first, what only holds references together is folded."""

from __future__ import annotations

import re

from anonymizer.offline.compare import Comparison, compare_instance, page
from anonymizer.offline.report import FileReport, FolderReport
from tests import factories

NAME, STUDY = "Ottosdotter^Eva", "2.25.4711"


def made(*files: FileReport) -> FolderReport:
    return FolderReport(profile="mdt-default", edition="2026c", profile_digest="", files=files)


def test_names_come_before_dates_and_words_and_uids_are_folded() -> None:
    before = factories.ct_instance(
        PatientName=NAME, StudyInstanceUID=STUDY, StudyDate="20240102", SeriesDescription="Thorax Ottosdotter"
    )
    after = factories.ct_instance(
        PatientName="MDT-X",
        StudyInstanceUID="2.25.1",
        StudyDate="20200203",
        SeriesDescription="Thorax [name]",
    )
    text = page(made(), [("a", compare_instance(before, after, pictured=False))])
    places = [text.index(word) for word in ("PatientName", "StudyDate", "SeriesDescription", "<details>")]
    assert places == sorted(places)
    folded = re.search(r"<details>.*</details>", text, re.DOTALL)
    assert folded
    assert "StudyInstanceUID" in folded[0]
    assert "StudyInstanceUID" not in text.replace(folded[0], "")
    assert "PatientName" not in folded[0]


def test_pictures_that_wait_for_a_look_stand_before_the_others() -> None:
    looked = FileReport(
        input="b<.dcm", output="images/2.dcm", status="deidentified", look=("Look for names.",)
    )
    plain = FileReport(input="a.dcm", output="images/1.dcm", status="deidentified")
    pictures = [
        (f"{one.input} → {one.output}", Comparison(before=b"x", after=b"y")) for one in (plain, looked)
    ]
    text = page(made(plain, looked), pictures)
    first, second = (text.index(f"<figcaption>{name} →") for name in ("b&lt;.dcm", "a.dcm"))
    assert first < second
    assert "b<.dcm" not in text
    assert "2 files: 2 de-identified (1 to be looked at), 0 held, 0 left out" in text
