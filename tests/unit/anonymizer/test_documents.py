"""Documents come out without what was planted in them, and with their medicine; the rest is refused in words."""

from __future__ import annotations

import io
import unicodedata

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from anonymizer.documents import (
    DeidentifiedDocument,
    QuarantinedDocument,
    deidentify_document,
    kind_of,
    preview,
    verify_document,
)
from anonymizer.documents.values import REASONS
from anonymizer.errors import PreviewError
from anonymizer.known import Known, PersonName
from tests.unit.anonymizer import planted
from tests.unit.anonymizer.planted import CLINICAL, KNOWN, PDFS, left_in


def cleaned(content: bytes, known: Known = KNOWN, shift: int = 0) -> DeidentifiedDocument:
    made = deidentify_document(content, media_type=kind_of(content), known=known, pseudonyms_shift_days=shift)
    assert isinstance(made, DeidentifiedDocument), made
    return made


def refused(content: bytes, known: Known = KNOWN) -> str:
    made = deidentify_document(content, media_type="application/pdf", known=known, pseudonyms_shift_days=0)
    assert isinstance(made, QuarantinedDocument)
    assert made.reason == REASONS[made.code]
    return made.code


def words_of(content: bytes) -> str:
    document = pypdfium2.PdfDocument(content)
    try:
        return " ".join(" ".join(page.get_textpage().get_text_range().split()) for page in document)
    finally:
        document.close()


# -- PDF ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PDFS)
def test_no_planted_string_is_left_in_a_pdf(name: str) -> None:
    original = PDFS[name]()
    made = cleaned(original)
    assert left_in(made.content) == []
    assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()
    assert verify_document(original, media_type="application/pdf", known=KNOWN) != ()
    shown = words_of(made.content)
    assert not any(part.casefold() in shown.casefold() for part in planted.PLANTED)
    assert "Hemligt" not in shown
    if name not in ("nested", "scan"):
        assert all(" ".join(part.split()) in shown for part in CLINICAL), shown
    assert made.extension == ".pdf"


def test_two_patients_letters_become_the_same_bytes() -> None:
    """q and p, and all digits, are equally wide in Helvetica: if a trace of the letters were left, the copies would differ."""
    one, two = "Lindqvistova", "Lindpvistova"
    made = []
    for family, number in ((one, "19850312-9876"), (two, "19850312-9843")):
        known = Known.from_json(
            {
                "names": [family, planted.GIVEN],
                "identifiers": [number],
                "phones": [planted.PHONE],
                "emails": [planted.MAIL],
            }
        )
        made.append(cleaned(planted.plain_pdf(family=family, number=number), known).content)
    assert made[0] == made[1]


def test_text_covered_by_a_black_bar_is_not_brought_back() -> None:
    known = Known.from_json({"names": ["Nobody^Else"]})
    shown = words_of(cleaned(PDFS["black box"](), known).content)
    assert planted.FAMILY not in shown
    assert "segment IV" in shown


def test_dates_in_a_pdf_move_with_the_case() -> None:
    made = cleaned(planted.plain_pdf(), shift=14)
    assert "2024-03-26" in made.text
    assert "2024-03-26" in words_of(made.content)
    assert made.report.counts["date"] == 1


def test_a_pdf_says_what_a_human_must_look_at() -> None:
    assert cleaned(planted.plain_pdf()).look == ()
    assert cleaned(PDFS["scan"]()).look[0].startswith("Page 1: the machine read this page poorly")
    assert any("note" in look for look in cleaned(PDFS["everywhere"]()).look)


def test_a_pdf_is_written_the_same_way_twice() -> None:
    assert cleaned(planted.plain_pdf()).content == cleaned(planted.plain_pdf()).content


def test_a_page_keeps_its_size_and_its_other_words_their_place() -> None:
    original, made = planted.plain_pdf(), cleaned(planted.plain_pdf()).content
    before, after = (
        Image.open(io.BytesIO(preview(one, media_type="application/pdf"))) for one in (original, made)
    )
    assert before.size == after.size
    below = (0, before.height // 5, before.width, before.height)
    assert (
        ImageChops.difference(before.crop(below).convert("L"), after.crop(below).convert("L")).getextrema()[1]
        < 60
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (planted.xfa_pdf, "xfa"),
        (planted.portfolio_pdf, "portfolio"),
        (lambda: planted.encrypted_pdf("secret"), "encrypted"),
        (lambda: planted.encrypted_pdf(""), "encrypted"),
        (lambda: b"%PDF-1.7\nrubbish", "unreadable"),
        (lambda: planted.PdfBuilder().save(), "empty"),
        (lambda: planted.plain_pdf()[:400], "unreadable"),
    ],
)
def test_a_pdf_that_cannot_be_drawn_whole_is_refused(content, code: str) -> None:
    assert refused(content()) == code


def test_many_letters_of_many_scripts_come_back_from_the_text_layer() -> None:
    from anonymizer.documents.pdf_writer import Page, PdfWriter, Placed

    letters = "".join(chr(code) for code in range(0x21, 0x500) if chr(code).isalnum()) + "山田太郎𐍈"
    words = [letters[at : at + 20] for at in range(0, len(letters), 20)]
    writer = PdfWriter()
    placed = [
        Placed(text=word, box=(20, 20 + 14 * row, 400, 32 + 14 * row)) for row, word in enumerate(words)
    ]
    writer.add(
        Page(
            picture=Image.new("RGB", (600, 1400), "white"),
            width=600,
            height=1400,
            photographic=False,
            words=placed,
        )
    )
    shown = words_of(writer.save())
    assert [
        word
        for word in words
        if unicodedata.normalize("NFC", word) not in unicodedata.normalize("NFC", shown)
    ] == []


# -- pictures -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "media_type", "pages"),
    [(planted.photograph, "image/jpeg", 1), (planted.drawing, "image/png", 1), (planted.tiff_pages, "image/tiff", 2), (planted.webp, "image/png", 1)],
)  # fmt: skip
def test_no_planted_string_is_left_in_a_picture(make, media_type: str, pages: int) -> None:
    made = cleaned(make())
    assert (made.media_type, made.pages, kind_of(made.content)) == (media_type, pages, media_type)
    assert left_in(made.content) == []
    assert verify_document(made.content, media_type=media_type, known=KNOWN) == ()
    assert made.look
    picture = Image.open(io.BytesIO(made.content))
    assert not picture.getexif().get_ifd(0x8825)
    assert not {"comment", "xmp", "exif", "icc_profile", "photoshop"} & set(picture.info)


def test_a_photograph_is_turned_upright() -> None:
    assert Image.open(io.BytesIO(cleaned(planted.photograph((80, 48))).content)).size == (48, 80)


def test_a_drawing_keeps_its_very_pixels() -> None:
    made = Image.open(io.BytesIO(cleaned(planted.drawing()).content))
    original = Image.radial_gradient("L").transpose(Image.Transpose.ROTATE_270)
    assert made.tobytes() == original.tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "LA"])
def test_pictures_of_every_mode_are_taken(mode: str) -> None:
    kinds = {"CMYK": "TIFF"}
    out = io.BytesIO()
    picture = (
        Image.new("I;16", (20, 10), 40000)
        if mode == "I;16"
        else Image.radial_gradient("L").resize((20, 10)).convert(mode)
    )
    picture.save(out, kinds.get(mode, "PNG"))
    made = cleaned(out.getvalue())
    assert Image.open(io.BytesIO(made.content)).size == (20, 10)
    assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()


def test_what_lies_under_transparent_pixels_does_not_leave() -> None:
    hidden = Image.radial_gradient("L").convert("RGBA")
    hidden.putalpha(0)
    out = io.BytesIO()
    hidden.save(out, "PNG")
    assert Image.open(io.BytesIO(cleaned(out.getvalue()).content)).convert("L").getextrema() == (255, 255)


def test_a_name_that_may_be_a_clinical_word_is_shown_to_a_human() -> None:
    known = Known.from_json({"names": ["Stein^Anna"]})
    made = cleaned(b"Anna Stein, CT: Stein im Ureter", known)
    assert made.text == "[name], CT: Stein im Ureter"
    assert "clinical word" in made.look[0]
    assert cleaned(b"Anna Stein, CT Abdomen", known).look == ()


def test_moving_broken_and_huge_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("L", (9, 9), shade) for shade in (0, 99)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert refused(out.getvalue()) == "moving"
    assert refused(planted.photograph()[:300]) == "unreadable"
    assert refused(b"\x89PNG\r\n\x1a\n" + b"\0" * 50) == "unreadable"
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert refused(bomb.getvalue()) == "too_large"


# -- text ---------------------------------------------------------------------------------------------------------
SWEDISH = "Patient: Åsa Öberg, född 12 mars 1985. Överväg MR av ländryggen.\r\nMVH Jörgen Wåhlström"
POLISH = "Pacjentka: Żaneta Łęcka, ból brzucha, guz płuca."
RUSSIAN = "Пациент: Щербаков Юрий. Опухоль правой почки."


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "mac-roman", "cp850"],
)
def test_a_swedish_text_is_read_in_each_encoding(encoding: str) -> None:
    known = Known.from_json({"names": ["Öberg^Åsa", "Wåhlström^Jörgen"], "birth_date": "1985-03-12"})
    made = cleaned(SWEDISH.encode(encoding), known)
    assert made.text == "Patient: [name], född [date]. Överväg MR av ländryggen.\nMVH [name]"
    assert made.content == made.text.encode()
    assert verify_document(made.content, media_type="text/plain", known=known) == ()


@pytest.mark.parametrize(
    ("text", "encoding", "name", "clean"),
    [
        (POLISH, "cp1250", "Łęcka^Żaneta", "Pacjentka: [name], ból brzucha, guz płuca."),
        (POLISH, "iso8859-2", "Łęcka^Żaneta", "Pacjentka: [name], ból brzucha, guz płuca."),
        (RUSSIAN, "cp1251", "Щербаков^Юрий", "Пациент: [name]. Опухоль правой почки."),
        (RUSSIAN, "koi8-r", "Щербаков^Юрий", "Пациент: [name]. Опухоль правой почки."),
    ],
)
def test_other_alphabets_are_read_by_evidence(text: str, encoding: str, name: str, clean: str) -> None:
    assert cleaned(text.encode(encoding), Known.from_json({"names": [name]})).text == clean


def test_a_wrongly_guessed_encoding_hides_no_name() -> None:
    known = Known(names=(PersonName(family="Wałęsowski"),))
    content = "x Wałęsowski y".encode("cp1250")
    made = cleaned(content, known)
    assert content[4:10] not in made.content
    assert "sowski" not in made.text


def test_control_signs_do_not_part_a_name() -> None:
    assert (
        cleaned(b"Lind\x02qvist and Lind\x7fqvist, 12 mm", Known.from_json({"names": ["Lindqvist"]})).text
        == "[name] and [name], 12 mm"
    )


# -- kinds --------------------------------------------------------------------------------------------------------
ZIP_OF = "PK"


def zipped(*names: str) -> bytes:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"II*\0" + bytes(124) + b"DICM" + bytes(40), "application/dicom", "dicom"),
        (b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(20), "application/dicom", "dicom"),
        (b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100" + bytes(20), "application/dicom", "dicom"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic", "unreadable"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "video/mp4", "video"),
        (zipped("a.dcm"), "application/zip", "archive"),
        (zipped("[Content_Types].xml", "word/document.xml"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "unreadable"),
        (zipped("mimetype", "content.xml"), "application/vnd.oasis.opendocument.text", "unreadable"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "office"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "application/x-ole-storage", "old_office"),
        (b"<?xml version='1.0'?><ClinicalDocument/>", "application/hl7-cda+xml", "markup"),
        (b"<?xml version='1.0'?><letter/>", "text/xml", "markup"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "image/svg+xml", "svg"),
        (b"MSH|^~\\&|A|B\rPID|1||1", "x-application/hl7-v2+er7", "message"),
        (b"\x1f\x8b\x08" + bytes(30), "application/gzip", "archive"),
        (b"\x00\x01\x02\x03\xff\xfe\xfd" * 30, "application/octet-stream", "unknown"),
    ],
)  # fmt: skip
def test_what_is_not_cleaned_is_told_by_content_and_refused_in_words(
    content: bytes, kind: str, code: str
) -> None:
    assert kind_of(content) == kind
    assert refused(content) == code
    with pytest.raises(PreviewError):
        preview(content, media_type=kind)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"Hello, world", "text/plain"),
        ("Åsa".encode("utf-16"), "text/plain"),
        (b"a;b;c\n1;2;3\n", "text/plain"),
        (b"p < 0.05 and q > 3", "text/plain"),
        (b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0" + bytes(40), "image/bmp"),
    ],
)
def test_what_is_cleaned_is_told_by_content(content: bytes, kind: str) -> None:
    assert kind_of(content) == kind


def test_an_empty_file_is_refused() -> None:
    assert refused(b"") == "empty"
    assert refused(b"\r\n \r\n") == "empty"


def test_previews_are_small_pictures() -> None:
    for content in (planted.plain_pdf(), planted.photograph(), planted.tiff_pages(), SWEDISH.encode()):
        shown = Image.open(io.BytesIO(preview(content, media_type=kind_of(content), max_side=200)))
        assert shown.format == "PNG"
        assert max(shown.size) <= 201
    with pytest.raises(PreviewError):
        preview(planted.plain_pdf(), media_type="application/pdf", page=7)


# -- what must hold of anything ------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        [planted.plain_pdf, planted.photograph, planted.drawing, planted.tiff_pages, planted.webp]
    ),
    st.data(),
)
def test_a_damaged_document_is_cleaned_or_refused_but_never_raises(make, data: st.DataObject) -> None:
    content = bytearray(make())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content) - 1)) :]
    made = deidentify_document(bytes(content), media_type="", known=KNOWN, pseudonyms_shift_days=7)
    if isinstance(made, DeidentifiedDocument):
        assert left_in(made.content) == []


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_cleaned_or_refused(content: bytes) -> None:
    made = deidentify_document(content, media_type="", known=KNOWN, pseudonyms_shift_days=7)
    if isinstance(made, DeidentifiedDocument):
        assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()
