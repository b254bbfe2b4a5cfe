"""What can be seen on a page is read: scans, pictures, drawn names; what OCR reads poorly is shown to a human."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace

import numpy as np
import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name, String
from PIL import Image, ImageDraw

from anonymizer.documents import (
    DeidentifiedDocument,
    QuarantinedDocument,
    archival,
    check_words,
    deidentify_document,
    kind_of,
    reading,
    verify_document,
)
from anonymizer.documents.harvest import harvest_document
from anonymizer.documents.judged import judge_words
from anonymizer.documents.judges import judges_for
from anonymizer.documents.misread import Misread
from anonymizer.documents.page_ink import unread
from anonymizer.documents.page_skew import skew_degrees
from anonymizer.documents.reading import Budget, read_page
from anonymizer.known import Known
from anonymizer.ocr import OcrTimeError, Word, languages
from tests.unit.anonymizer import papers, planted
from tests.unit.anonymizer.planted import FAMILY, GIVEN, KNOWN, NUMBER, left_in
from tests.unit.anonymizer.test_documents import words_of

pytestmark = pytest.mark.skipif(not languages(), reason="no language packs of tesseract on this computer")
CLINICAL = ("lesion", "levern", "segment", "metastaser", "Crohns", "hypertoni", "biopsi", "konferens")


def scan_pdf(picture: Image.Image, *, text: str = "", invisible: bool = False) -> bytes:
    """A page that is a picture, with a text layer if asked."""
    builder = planted.PdfBuilder()
    width, height = picture.width * 72 / 150, picture.height * 72 / 150
    mode = "3 Tr" if invisible else ""
    layer = f"BT {mode} /F1 9 Tf 10 10 Td ({text}) Tj ET".encode() if text else b""
    page = builder.page(f"q {width} 0 0 {height} 0 0 cm /Im0 Do Q ".encode() + layer)
    page.MediaBox = Array([0, 0, width, height])
    image = builder.pdf.make_stream(papers.encoded(picture, "JPEG", quality=90))
    image.Type, image.Subtype, image.Filter = Name.XObject, Name.Image, Name.DCTDecode
    image.Width, image.Height, image.BitsPerComponent = picture.width, picture.height, 8
    image.ColorSpace = Name.DeviceGray if picture.mode == "L" else Name.DeviceRGB
    page.Resources.XObject = Dictionary(Im0=image)
    return builder.save()


def made_of(content: bytes, known: Known = KNOWN, shift: int = 14) -> DeidentifiedDocument:
    made = deidentify_document(content, media_type=kind_of(content), known=known, pseudonyms_shift_days=shift)
    assert isinstance(made, DeidentifiedDocument), made
    return made


def seen_in(content: bytes) -> str:
    """The words that can be seen on the first page, as OCR reads them."""
    if content.startswith(b"%PDF"):
        document = pypdfium2.PdfDocument(content)
        picture = document[0].render(scale=200 / 72).to_pil().convert("L")
        document.close()
    else:
        picture = Image.open(io.BytesIO(content)).convert("L")
    return read_page(picture, Budget(60)).text


SCANS = {
    "straight": lambda page: page,
    "skewed": lambda page: page.rotate(2.4, expand=True, fillcolor=255, resample=Image.Resampling.BICUBIC),
    "upside down": lambda page: page.rotate(180),
    "turned": lambda page: page.rotate(90, expand=True),
    "faint": lambda page: page.point(lambda value: 120 + value // 2),
}


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_is_cleaned_and_its_medicine_stays(name: str) -> None:
    made = made_of(scan_pdf(SCANS[name](papers.page())))
    assert left_in(made.content) == []
    assert verify_document(made.content, media_type="application/pdf", known=KNOWN) == ()
    for words in (words_of(made.content), seen_in(made.content)):
        assert not any(
            part.casefold() in words.casefold() for part in (FAMILY, GIVEN, NUMBER, "0312-98", "123 45")
        )
        assert sum(part in words for part in CLINICAL) >= len(CLINICAL) - 1, words
    assert "2024-03-26" in words_of(made.content)
    assert made.report.counts["name"] >= 1
    assert made.look == () or name == "faint"


def test_a_hidden_text_layer_over_a_scan_is_not_believed() -> None:
    made = made_of(
        scan_pdf(papers.page(), text=f"helt andra ord om {FAMILY} och hennes vaxel", invisible=True)
    )
    assert "vaxel" not in words_of(made.content)
    assert "metastaser" in words_of(made.content)
    assert made.look == ()


def test_a_name_that_is_drawn_as_a_picture_on_a_page_of_text_is_covered() -> None:
    label = papers.page((f"{GIVEN} {FAMILY}",), size=14).crop((0, 40, 870, 120))
    builder = planted.PdfBuilder()
    text = "BT /F1 12 Tf 72 700 Td (CT buk visar en lesion i levern och inga metastaser alls.) Tj ET "
    page = builder.page(text.encode() + b"q 300 0 0 28 72 600 cm /Im0 Do Q")
    image = builder.pdf.make_stream(label.tobytes())
    image.Type, image.Subtype, image.Width, image.Height = Name.XObject, Name.Image, *label.size
    image.ColorSpace, image.BitsPerComponent = Name.DeviceGray, 8
    page.Resources.XObject = Dictionary(Im0=image)
    content = builder.save()
    assert FAMILY in seen_in(content)
    made = made_of(content)
    assert FAMILY not in seen_in(made.content)
    assert "metastaser" in words_of(made.content)


def test_letters_that_are_called_by_other_names_are_read_as_they_are_drawn() -> None:
    """The page draws the name; its text layer says other words, by a map of letters that lies."""
    builder = planted.PdfBuilder()
    line = f"Patient {GIVEN} {FAMILY} har en lesion i levern sedan mars och inga metastaser alls"
    builder.page(f"BT /F1 11 Tf 40 700 Td ({line}) Tj ET".encode())
    pairs = "\n".join(
        f"<{code:02X}> <{code + 1 if chr(code).isalpha() else code:04X}>" for code in range(32, 122)
    )
    cmap = f"begincmap 1 begincodespacerange <00> <FF> endcodespacerange 90 beginbfchar\n{pairs}\nendbfchar endcmap"
    builder.font.ToUnicode = builder.pdf.make_stream(cmap.encode())
    content = builder.save()
    assert FAMILY not in words_of(content)
    made = made_of(content)
    assert FAMILY not in seen_in(made.content)
    assert "metastaser" in words_of(made.content)
    assert any("not what the file says" in look for look in made.look)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_picture_of_a_page_is_cleaned_and_needs_no_look(kind: str) -> None:
    made = made_of(papers.encoded(papers.page().convert("RGB"), kind))
    shown = seen_in(made.content)
    assert FAMILY not in shown
    assert "metastaser" in shown
    assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()
    assert made.look == ()


def test_a_heic_picture_is_refused_in_words_where_its_reader_may_not_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
    for start, code in ((threading.Thread.start, "unreadable"), (_refused, "heic")):
        monkeypatch.setattr(threading.Thread, "start", start)
        made = deidentify_document(content, media_type="", known=KNOWN, pseudonyms_shift_days=0)
        assert isinstance(made, QuarantinedDocument)
        assert made.code == code


def _refused(thread: threading.Thread) -> None:
    raise RuntimeError


def test_a_photograph_waits_for_a_human_and_its_label_is_covered() -> None:
    photo = Image.radial_gradient("L").resize((900, 700)).convert("RGB")
    photo.paste(papers.page((f"{GIVEN} {FAMILY}", NUMBER)).crop((0, 30, 600, 160)), (150, 260))
    made = made_of(papers.encoded(photo, "JPEG", quality=92))
    assert any("photograph" in look for look in made.look)
    assert FAMILY not in seen_in(made.content)


def test_handwriting_on_a_page_is_shown_to_a_human() -> None:
    page = papers.page()
    draw = ImageDraw.Draw(page)
    steps = np.linspace(0, 14 * np.pi, 400)
    curve = [(500 + 9 * step + 14 * np.cos(3 * step), 560 + 26 * np.sin(2.1 * step)) for step in steps]
    draw.line(curve, fill=40, width=4)
    made = made_of(scan_pdf(page))
    assert any("handwriting" in look for look in made.look)
    assert any("handwriting" in look for look in made_of(papers.encoded(page)).look)


def test_light_words_on_a_dark_bar_are_read() -> None:
    page = papers.page()
    bar = papers.page((f"{GIVEN} {FAMILY}",)).crop((0, 40, 870, 110)).point(lambda value: 255 - value)
    page.paste(bar, (0, page.height - 90))
    made = made_of(scan_pdf(page))
    assert made.report.counts["name"] >= 2
    assert FAMILY not in seen_in(made.content)


def test_pale_words_are_read() -> None:
    """A name hardly darker than the paper is gone to the eye, and plain to anybody who turns up the contrast."""
    pale = papers.page((f"{GIVEN} {FAMILY}",), size=16).point(lambda value: 240 if value < 128 else 255)
    for content in (scan_pdf(pale), papers.encoded(pale)):
        made = made_of(content)
        assert made.report.counts["name"] == 1
        assert left_in(made.content) == []
    builder = planted.PdfBuilder()
    builder.page(
        b"0.93 g BT /F1 14 Tf 3 Tr 0 0 Td (x) Tj 0 Tr 60 700 Td (vit) Tj ET 0 g "
        + planted._text(planted.lines())
    )
    assert made_of(builder.save()).report.counts["name"] >= 1


def _nested_forms(levels: int, times: int) -> bytes:
    builder = planted.PdfBuilder()
    inner = builder.form(b"0 0 10 10 re f", (0, 0, 500, 500))
    for _ in range(levels):
        outer = builder.form(b"/F Do " * times, (0, 0, 500, 500))
        outer.Resources = Dictionary(XObject=Dictionary(F=inner))
        inner = outer
    page = builder.page(b"/F Do ")
    page.Resources.XObject = Dictionary(F=inner)
    return builder.save()


def test_a_page_that_draws_more_than_a_true_one_is_refused_before_it_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(made_of(_nested_forms(3, 3)), DeidentifiedDocument)
    bombs = [_nested_forms(9, 10)]
    builder = planted.PdfBuilder()
    builder.page(b"BT /F1 9 Tf " + b"(a ) Tj " * 160_000 + b"ET")
    for content in (*bombs, builder.save()):
        made = deidentify_document(content, media_type="", known=KNOWN, pseudonyms_shift_days=0)
        assert isinstance(made, QuarantinedDocument)
        assert made.code == "too_large"


def test_without_language_packs_a_human_reads_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pdf_page", "picture_words"):
        monkeypatch.setattr(f"anonymizer.documents.{module}.can_read", lambda: False)
    monkeypatch.setattr(check_words, "languages", lambda: ())
    (look,) = made_of(scan_pdf(papers.page())).look
    assert look.startswith("Page 1: no text that a machine can read")
    (look,) = made_of(papers.encoded(papers.page())).look
    assert "text recognition is missing" in look


def test_pages_beyond_the_time_are_told_and_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonymizer.documents.pdf.READING_S", 0.0)
    assert made_of(scan_pdf(papers.page())).look == (
        "Page 1: too many pages to be read by the machine at once. Look for names, numbers and dates.",
    )


# -- judging words --------------------------------------------------------------------------------------------------
MISREAD = Misread(KNOWN)


@pytest.mark.parametrize(
    "text",
    ["Krasheninnlkova", "Krasheninn1kova", "KRASHENINNIK0VA", "Krasheninni kova", "lngegerd", "1ngegerd", "Ingegerc",
     "l985O312-9876", "19B50312-9876", "8503l2 9876", "O70-l23 45 67", "ingegerd.k©example.se", "640823-3234"],
)  # fmt: skip
def test_misread_identifiers_are_known_again(text: str) -> None:
    (first, *_) = MISREAD.spans(f"vid {text} idag")
    assert first.start >= 4
    assert MISREAD.spans(text)


@pytest.mark.parametrize(
    "text",
    ["CT 2024-03-12 visar 12 mm", "Inga metastaser i levern", "Hb 131 g/L, kreatinin 85", "12-17 mm, 3+2+2=7", "Krasch mot trad"],
)  # fmt: skip
def test_clinical_words_and_measures_are_not_taken_for_misread_ones(text: str) -> None:
    assert MISREAD.spans(text) == []


def word(text: str, left: int, top: int, line: int) -> Word:
    return Word(text, 95.0, left, top, 12 * len(text), 20, line)


def test_a_label_in_one_column_and_its_value_in_another_are_judged_together() -> None:
    judges = judges_for(Known(), 0)
    words = [word("Remittent:", 0, 0, 0), word("Diagnos:", 0, 40, 1), word("Ekelundius", 400, 2, 2), word("Crohn", 400, 41, 3)]  # fmt: skip
    judged = judge_words(words, judges.scrubber, judges.plain, judges.misread)
    assert set(judged.covers) == {2}


def test_a_birth_date_in_another_column_is_covered_and_not_moved() -> None:
    judges = judges_for(Known(), 7)
    words = [word("Född:", 0, 0, 0), word("Undersökt:", 0, 40, 1), word("1961-02-03", 400, 2, 2), word("2024-03-12", 400, 41, 3)]  # fmt: skip
    judged = judge_words(words, judges.scrubber, judges.plain, judges.misread)
    assert judged.covers == {2: "[date]", 3: "2024-03-19"}


def test_the_lean_of_a_page_is_measured() -> None:
    page = papers.page()
    for degrees in (-4.0, 1.5, 3.0):
        turned = page.rotate(degrees, expand=True, fillcolor=255, resample=Image.Resampling.BICUBIC)
        assert abs(skew_degrees(np.asarray(turned)) + degrees) < 0.35
    assert skew_degrees(np.asarray(page)) == 0
    assert skew_degrees(np.asarray(Image.radial_gradient("L"))) == 0


def test_unread_ink_is_found_and_rules_and_specks_are_not() -> None:
    page = Image.new("L", (1600, 1100), 255)
    draw = ImageDraw.Draw(page)
    draw.line((50, 50, 1550, 50), fill=0, width=3)
    draw.rectangle((100, 100, 1500, 400), outline=0, width=2)
    draw.ellipse((300, 600, 304, 604), fill=0)
    assert unread(np.asarray(page), []) == []
    page.paste(papers.page(("Hej du",)).crop((50, 40, 250, 110)), (700, 700))
    (patch,) = unread(np.asarray(page), [])
    assert not patch.picture
    assert unread(np.asarray(page), [(690, 700, 900, 770)]) == []


# -- PDF/A and the check ----------------------------------------------------------------------------------------------
def test_a_pdf_leaves_as_pdf_a() -> None:
    with pikepdf.open(io.BytesIO(made_of(planted.plain_pdf()).content)) as pdf:
        assert pdf.Root.Metadata.read_bytes() == archival.XMP
        assert b"pdfaid:part>2<" in archival.XMP
        (intent,) = pdf.Root.OutputIntents
        assert intent.S == "/GTS_PDFA1"
        assert intent.DestOutputProfile.N == 3
        profile = intent.DestOutputProfile.read_bytes()
        assert profile[36:40] == b"acsp"
        assert profile[16:20] == b"RGB "
        assert "/ID" in pdf.trailer
        assert "/Info" not in pdf.trailer
        assert not pdf.is_encrypted


def _tampered(harm) -> bytes:
    with pikepdf.open(io.BytesIO(made_of(planted.plain_pdf()).content)) as pdf:
        harm(pdf)
        out = io.BytesIO()
        pdf.save(out, fix_metadata_version=False)
        return out.getvalue()


HARMS = {
    "info": lambda pdf: pdf.docinfo.__setitem__("/Title", String("x")),
    "metadata": lambda pdf: pdf.Root.Metadata.write(archival.XMP.replace(b"pdfaid:part", b"pdfaid:xpart", 1)),
    "attachment": lambda pdf: pdf.attachments.__setitem__("a", b"x"),
    "script": lambda pdf: pdf.Root.__setitem__("/OpenAction", Dictionary(S=Name.JavaScript, JS=String("x"))),
    "note": lambda pdf: pdf.pages[0].obj.__setitem__("/Annots", Array([])),
    "thumbnail": lambda pdf: pdf.pages[0].obj.__setitem__("/Thumb", pdf.make_stream(b"x")),
    "form": lambda pdf: pdf.pages[0].obj.Resources.XObject.__setitem__("/Fm", pdf.make_stream(b"x", Subtype=Name.Form)),
    "layer": lambda pdf: pdf.Root.__setitem__("/OCProperties", Dictionary()),
    "profile": lambda pdf: pdf.Root.OutputIntents[0].DestOutputProfile.write(b"x"),
    "intent": lambda pdf: pdf.Root.OutputIntents[0].__setitem__("/Info", String(FAMILY)),
    "mask": lambda pdf: pdf.pages[0].obj.Resources.XObject.Im0.__setitem__("/SMask", pdf.make_stream(b"x")),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMS)
def test_the_check_finds_whatever_ours_never_holds(name: str) -> None:
    assert verify_document(_tampered(lambda pdf: None), media_type="application/pdf", known=KNOWN) == ()
    assert verify_document(_tampered(HARMS[name]), media_type="application/pdf", known=KNOWN) != ()


def test_the_check_reads_what_can_be_seen() -> None:
    known = Known.from_json({"names": ["Nobody^Else"]})
    left = made_of(
        scan_pdf(papers.page(("Inga kända ord har dolts", f"Patient {FAMILY}", "i levern"))), known
    )
    places = verify_document(left.content, media_type="application/pdf", known=KNOWN)
    assert "page 1: words in the picture" in places
    picture = made_of(papers.encoded(papers.page(("Remiss", f"till {FAMILY}"))), known)
    assert verify_document(picture.content, media_type="image/png", known=KNOWN) == (
        "picture 1: words in the picture",
    )


# -- harvest -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content",
    [
        lambda: scan_pdf(papers.page((f"Patient: {GIVEN} {FAMILY}", "Personnr: 19850312-9876", "CT buk utan anmarkning"))),
        lambda: papers.encoded(papers.page((f"Patient: {GIVEN} {FAMILY}", "Personnr: 19850312-9876", "CT buk"))),
        lambda: f"Patient: {GIVEN} {FAMILY}\nPersonnr: 19850312-9876".encode("utf-16"),
        lambda: papers.word(f"<w:p>{papers.run(f'Patient: {GIVEN} {FAMILY}')}</w:p><w:p>{papers.run('Personnr: 19850312-9876')}</w:p>"),
    ],
)  # fmt: skip
def test_what_a_document_names_is_gathered(content) -> None:
    known = harvest_document(content())
    assert FAMILY in {name.family for name in known.names}
    assert any("9876" in item.value for item in known.identifiers)


def test_gathering_never_raises_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not harvest_document(b"")
    assert not harvest_document(b"%PDF-1.7 rubbish")
    assert not harvest_document(bytes(range(256)))
    monkeypatch.setattr("anonymizer.documents.harvest.READING_S", 0.0)
    assert not harvest_document(scan_pdf(papers.page()))


def test_reading_is_bounded() -> None:
    assert Budget(0).spent()
    assert not Budget(60).spent()
    assert reading.MOST_SIDE <= 2600


# -- what was not read again -------------------------------------------------------------------------------------------
def _two_pages() -> bytes:
    """A cleaned document of two scanned pages."""
    with pikepdf.open(io.BytesIO(made_of(scan_pdf(papers.page())).content)) as pdf:
        pdf.pages.append(pdf.pages[0])
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def _late(*args: object, **options: object) -> tuple[Word, ...]:
    raise OcrTimeError("late")


def _broken(*args: object, **options: object) -> tuple[Word, ...]:
    raise RuntimeError("a reader that breaks")


@pytest.mark.parametrize("reader", [_late, _broken])
def test_a_page_that_is_not_read_again_is_told(reader: object, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, picture = _two_pages(), made_of(papers.encoded(papers.page()))
    monkeypatch.setattr(check_words, "read_words", reader)
    places = verify_document(pages, media_type="application/pdf", known=KNOWN)
    assert {"page 1: not read again", "page 2: not read again"} <= set(places)
    assert verify_document(picture.content, media_type=picture.media_type, known=KNOWN) == (
        "picture 1: not read again",
    )


def test_pages_after_the_time_of_the_check_are_told_each(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = _two_pages()
    monkeypatch.setattr(check_words, "_LIMIT_S", 0.5)
    places = verify_document(pages, media_type="application/pdf", known=KNOWN)
    assert {"page 1: not read again", "page 2: not read again"} <= set(places)


def test_a_scan_of_ten_pages_is_read_again_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    page = papers.page(papers.LINES * 3, size=9)
    judges, clock = judges_for(Known(), 0), check_words.Clock()
    began = time.process_time()
    assert check_words.shown_words_left(page, judges, clock) == ""
    assert 20 * (time.process_time() - began) < clock.left_s()


def test_what_was_left_unread_on_a_page_of_text_and_pictures_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = papers.page(("Crohns sjukdom i levern", "Inga metastaser"))
    content = scan_pdf(picture, text="CT buk visar en lesion i levern segment IV utan metastaser i skelettet")
    assert not any("read this page poorly" in look for look in made_of(content).look)
    real = reading._with_leftovers
    monkeypatch.setattr(reading, "_with_leftovers", lambda *args: replace(real(*args), unfinished=True))
    assert any(look.startswith("Page 1: the machine read this page poorly") for look in made_of(content).look)
