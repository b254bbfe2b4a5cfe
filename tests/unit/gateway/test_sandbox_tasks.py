"""The table of tasks, run where it will run: in confined children."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file

from anonymizer.known import Known
from gateway.adapters.sandbox import ForkingSandbox
from gateway.adapters.sandbox_tasks import TASKS
from gateway.journeys import sandboxed
from gateway.journeys.sandboxed import Cleaned, Held
from gateway.ports import SandboxFailed

KNOWN = Known.from_json(
    {"names": ["Andersson^Anna"], "identifiers": ["19121212-1212"], "birth_date": "1912-12-12"}
)
KEY = bytes(range(32))
SAMPLES = [
    "CT_small.dcm",
    "MR_small.dcm",
    "JPEG2000.dcm",
    "SC_rgb_rle.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "rtplan.dcm",
]


@pytest.fixture(scope="module")
def sandbox():
    with ForkingSandbox(workers=2) as running:
        yield running


def sample(name):
    return Path(get_testdata_file(name, download=False)).read_bytes()


def picture(form, text="Anna Andersson"):
    page = Image.new("RGB", (400, 100), "white")
    ImageDraw.Draw(page).text((10, 10), text, fill="black")
    out = io.BytesIO()
    page.save(out, form)
    return out.getvalue()


@pytest.mark.parametrize("name", SAMPLES)
def test_an_instance_is_cleaned_read_again_and_shown(sandbox, name):
    made = sandboxed.clean_instance(sandbox, sample(name), known=KNOWN, key=KEY, profile="mdt-default")
    if isinstance(made, Held):
        assert made.code in {"not_dicom", "no_study", "damaged", "unknown_sop_class", "not_understood"}
        return
    assert made.content[128:132] == b"DICM"
    assert made.index["SOPInstanceUID"].startswith("2.25.")
    assert made.index["report"]["profile"] == "mdt-default"
    assert "entries" not in made.index["report"]
    assert sandboxed.leaks(sandbox, made.content, media_type="application/dicom", known=KNOWN) == ()


def test_a_slice_is_shown_as_a_picture(sandbox):
    assert sandboxed.preview(sandbox, sample("CT_small.dcm"), media_type="application/dicom").startswith(
        b"\x89PNG"
    )
    assert sandboxed.preview(sandbox, b"nothing", media_type="application/dicom") is None


def test_what_an_instance_names_is_gathered(sandbox):
    assert sandboxed.harvest_instance(sandbox, sample("CT_small.dcm")).known.names
    assert sandboxed.harvest_instance(sandbox, b"no DICOM").known == Known()


def test_what_a_document_and_a_scan_of_one_name_is_gathered(sandbox):
    for content in (b"Patient: Zebulonia Zyxworth\n", scanned("Patient: Zebulonia Zyxworth")):
        told = sandboxed.harvest_document(sandbox, content)
        assert isinstance(told, Known)
        assert "Zyxworth" in {name.family for name in told.names}
    assert sandboxed.harvest_document(sandbox, b"\x00\x01") == Known()


def scanned(text):
    page = Image.new("L", (1200, 300), 255)
    ImageDraw.Draw(page).text((60, 100), text, fill=0, font=ImageFont.load_default(40))
    out = io.BytesIO()
    page.save(out, "PNG")
    return out.getvalue()


def test_what_is_left_is_told_by_place(sandbox):
    known = sandboxed.harvest_instance(sandbox, sample("CT_small.dcm")).known
    left = sandboxed.leaks(sandbox, sample("CT_small.dcm"), media_type="application/dicom", known=known)
    assert left
    assert not [place for place in left if "CompressedSamples" in place]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (picture("PDF"), "application/pdf"),
        (picture("JPEG"), "image/jpeg"),
        (picture("PNG"), "image/png"),
        ("Patienten Anna Andersson, 19121212-1212, mår bra.".encode(), "text/plain"),
    ],
)
def test_a_document_is_told_cleaned_read_again_and_shown(sandbox, content, media_type):
    assert sandboxed.kind_of(sandbox, content) == media_type
    made = sandboxed.clean_document(
        sandbox, content, media_type=media_type, known=KNOWN, key=KEY, profile="mdt-default"
    )
    assert isinstance(made, Cleaned), made
    kind = made.index["media_type"]
    assert sandboxed.leaks(sandbox, made.content, media_type=kind, known=KNOWN) == ()
    assert sandboxed.preview(sandbox, made.content, media_type=kind).startswith(b"\x89PNG")
    assert b"Andersson" not in made.content


@pytest.mark.abuse
@pytest.mark.parametrize(
    "content", [b"%PDF-1.7\n" + b"[" * 100_000, b"\x89PNG\r\n\x1a\n" + b"\xff" * 500, b"", b"\0" * 9]
)
def test_rubbish_is_held_with_a_sentence(sandbox, content):
    held = sandboxed.clean_document(
        sandbox, content, media_type="", known=KNOWN, key=KEY, profile="mdt-default"
    )
    assert isinstance(held, Held)
    assert held.reason.endswith(".") or held.reason.endswith(")")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"known": {}, "key": "00", "profile": "mdt-default"},
        {"known": {"name": 1.5}, "key": KEY.hex(), "profile": "mdt-default"},
        {"known": {}, "key": KEY.hex(), "profile": "no such"},
    ],
)
def test_a_wrong_call_is_not_blamed_on_the_file(sandbox, options):
    failed = sandbox.run("deidentify_instance", sample("CT_small.dcm"), options)
    assert isinstance(failed, SandboxFailed)
    assert failed.code == "misused"


def test_every_word_of_the_journeys_has_its_task():
    assert TASKS.keys() == {
        *("harvest_instance", "deidentify_instance", "verify_instance", "render_preview"),
        "harvest_document",
        *("deidentify_document", "verify_document", "preview_document", "kind_of"),
    }
