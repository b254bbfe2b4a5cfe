"""What cannot be judged is held with a sentence that a coordinator reads in her language, and no release is built before she decides.

In the real confined sandbox, with the real craft; where a fault of the computer is meant, the craft is told of it.
"""

import io
from html import unescape

import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from gateway.adapters.sandbox import ForkingSandbox
from gateway.adapters.sandbox_seam import Limits
from gateway.domain.errors import ConflictError
from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig
from gateway.journeys import release_case
from gateway.journeys.judge_finding import judge_finding
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.try_again import try_again
from tests import factories
from tests.fakes.desk_person import person
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.journey_house import DESK, PACS, arrival

BLIND = """
from anonymizer import ocr
ocr.folders = lambda: ()
from gateway.adapters.sandbox_tasks import TASKS
"""
SLOW = """
import time
from gateway.adapters.sandbox_tasks import TASKS as REAL

def never(payload, options):
    if b"SLOWLY" in payload:
        time.sleep(600)
    return REAL["deidentify_instance"](payload, options)

TASKS = REAL | {"deidentify_instance": never}
"""
BUSY = SLOW.replace("time.sleep(600)", "sum(iter(int, 1))")
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"


def unknown_class():
    return factories.ct_instance(number=2, SOPClassUID="1.2.826.0.1.3680043.9.7.1")


def broken_picture():
    """An ultrasound whose frame is no JPEG."""
    ds = factories.read(factories.ct_instance(number=2, SOPClassUID=ULTRASOUND, Modality="US"))
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([b"\xff\xd8 this is no picture at all \xff\xd9"])
    ds["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def ultrasound():
    """A picture in which a clinical word stands."""
    picture = Image.new("L", (320, 240), 10)
    ImageDraw.Draw(picture).text((60, 100), "LIVER", fill=240, font=ImageFont.load_default(40))
    return factories.ct_instance(
        number=2, SOPClassUID=ULTRASOUND, Modality="US", Rows=240, Columns=320, BitsAllocated=8, BitsStored=8,
        HighBit=7, PixelData=picture.tobytes(),
    )  # fmt: skip


def slowly():
    return factories.ct_instance(number=2, SeriesDescription="SLOWLY")


# what is sent, the craft of the sandbox, its limits, the finding's code, how its sentence begins in both languages
CASES = {
    "unknown class": (
        unknown_class, "", Limits(), "unknown_sop_class",
        "This kind of object is unknown or private to a vendor", "Objektets slag är okänt eller leverantörens eget",
    ),
    "unreadable picture": (
        broken_picture, "", Limits(), "pixels_unreadable",
        "The picture is damaged, so nobody can say what it shows", "Bilden är skadad, så ingen kan säga vad den visar",
    ),
    "no reader of text": (
        ultrasound, BLIND, Limits(), "text_unread",
        "Text in pictures cannot be read on this computer", "Text i bilder kan inte läsas på den här datorn",
    ),
    "too slow": (
        slowly, SLOW, Limits(wall_s=6.0), "time_limit",
        "The file was put aside: reading it took longer than one file may take.", "Filen lades åt sidan",
    ),
    "too much computing": (
        slowly, BUSY, Limits(cpu_s=3), "cpu_limit",
        "The file was put aside: reading it took more computing time", "Filen lades åt sidan",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_held_said_in_both_languages_and_holds_the_release(house, tmp_path, name):
    make, craft, limits, code, english, swedish = CASES[name]
    more = {}
    if craft:
        (tmp_path / "craft_of_this_test.py").write_text(craft)
        more = {"tasks": "craft_of_this_test", "search_path": (tmp_path,)}
    case = house.case()
    ports = house.ports("records", "store", "clock", "policy")
    for content in (factories.ct_instance(number=1), make()):
        receive_instance(arrival(content, called_ae=case.ref), source=PACS, **ports)
    with ForkingSandbox(workers=1, limits=limits, **more) as sandbox:
        house.sandbox = sandbox
        house.work()
        found = house.rows("findings", state="open")
        assert code in {f.code for f in found}
        assert sorted(i.state for i in house.rows("instances")) == ["deidentified", "quarantined"]
        token = person(house, "coordinator", "her@example.org")
        with Browser(desk_app(house.as_house(), DoorConfig(public_url=ORIGIN, prefix="/desk"))) as browser:
            browser.http.cookies.set("consilium-desk", token)
            for language, sentence in (("en", english), ("sv", swedish)):
                page = unescape(browser.get(f"/desk/cases/{case.ref}/findings?lang={language}").text)
                assert sentence in page
        build = {"ref": case.ref, "by": DESK, **house.ports("records", "store", "sandbox", "clock")}
        with pytest.raises(ConflictError, match="wait for a human"):
            release_case.build_release(**build)
        for finding in found:
            judge_finding(finding.id, "exclude", by=DESK, **house.ports("records", "clock"))
        release = release_case.build_release(**build)
    assert release.totals["instances"] == 1


def test_what_was_held_for_want_of_a_reader_is_clean_once_there_is_one(house, tmp_path):
    (tmp_path / "craft_of_this_test.py").write_text(BLIND)
    case = house.case()
    ports = house.ports("records", "store", "clock", "policy")
    receive_instance(arrival(ultrasound(), called_ae=case.ref), source=PACS, **ports)
    with ForkingSandbox(workers=1, tasks="craft_of_this_test", search_path=(tmp_path,)) as sandbox:
        house.sandbox = sandbox
        house.work()
    finding = next(f for f in house.rows("findings", state="open") if f.code == "text_unread")
    try_again(finding.id, by=DESK, **house.ports("records", "clock"))
    with ForkingSandbox(workers=1) as sandbox:
        house.sandbox = sandbox
        house.work()
    assert house.rows("findings", state="open") == []
    assert [i.state for i in house.rows("instances")] == ["deidentified"]
