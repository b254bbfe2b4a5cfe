"""Office files, web pages, mails and clinical XML: what no page shows does not leave, what is said stays, in a new PDF/A."""

from __future__ import annotations

import io
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from anonymizer.documents import (
    DeidentifiedDocument,
    QuarantinedDocument,
    deidentify_document,
    kind_of,
    preview,
    verify_document,
)
from anonymizer.documents.blocks import Table, Text
from anonymizer.documents.flow import clean_blocks
from anonymizer.documents.judges import judges_for
from anonymizer.documents.read import script_of
from anonymizer.documents.rich_text import read_rich_text
from anonymizer.documents.right_to_left import drawn_order
from anonymizer.documents.typeset import typeset
from anonymizer.documents.values import REASONS, NotCleanable
from anonymizer.known import Known
from tests.unit.anonymizer import papers
from tests.unit.anonymizer.planted import FAMILY, GIVEN, KNOWN, MAIL, NUMBER, PLANTED, left_in
from tests.unit.anonymizer.test_documents import words_of

CLINICAL = ("Remiss till onkologen", "12 mm lesion i levern, segment IV", "Overvag MR. Crohn, Hodgkin.")
WRITTEN: dict[str, Callable[[], bytes]] = {
    "docx": lambda: papers.word(papers.letter_body()),
    "odt": papers.open_text,
    "rtf": papers.rich_text,
    "html": papers.web_page,
    "eml": papers.mail,
    "cda": papers.clinical_xml,
}


def made_of(content: bytes, media_type: str = "", shift: int = 14) -> DeidentifiedDocument:
    made = deidentify_document(content, media_type=media_type, known=KNOWN, pseudonyms_shift_days=shift)
    assert isinstance(made, DeidentifiedDocument), made
    return made


def code_of(content: bytes, media_type: str = "") -> str:
    made = deidentify_document(content, media_type=media_type, known=KNOWN, pseudonyms_shift_days=0)
    assert isinstance(made, QuarantinedDocument), made
    assert made.reason == REASONS[made.code]
    return made.code


@pytest.mark.parametrize("name", WRITTEN)
def test_no_planted_string_is_left_and_the_medicine_stays(name: str) -> None:
    made = made_of(WRITTEN[name]())
    assert (made.media_type, made.extension) == ("application/pdf", ".pdf")
    assert left_in(made.content) == []
    assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()
    shown = words_of(made.content)
    for hidden in (*PLANTED, "Ekelundius", "Hemligt", "raderad"):
        assert hidden.casefold() not in shown.casefold()
    kept = [part for part in CLINICAL if not (name == "cda" and part.startswith("Remiss"))]
    assert [part for part in kept if part not in shown] == []
    if name in ("docx", "odt", "rtf", "html", "cda"):
        assert "2024-03-26" in shown
        assert "2024-03-12" not in shown
    assert Image.open(io.BytesIO(preview(made.content, media_type=made.media_type))).format == "PNG"


def test_what_is_said_in_tables_boxes_lists_and_headers_is_kept_in_shape() -> None:
    shown = words_of(made_of(WRITTEN["docx"]()).content)
    for part in ("Onkologiska kliniken", "Hb", "131 g/L", "Punkt ett", "om provsvar", "Remittent [name]"):
        assert part in shown


def test_parts_that_are_no_text_are_said_to_be_missing() -> None:
    assert any("left out" in look for look in made_of(papers.rich_text()).look)
    assert any("left out" in look for look in made_of(papers.web_page()).look)
    assert not any("left out" in look for look in made_of(papers.open_text()).look)


def test_a_picture_in_a_letter_is_cleaned_and_shown() -> None:
    body = papers.run("Se bild") + '<w:r><w:drawing><a:blip r:embed="r9"/></w:drawing></w:r>'
    relations = f'<Relationships xmlns="{papers.RELATIONS}"><Relationship Id="r9" Type="image" Target="media/i.png"/></Relationships>'
    content = papers.zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "word/document.xml": f"<w:document {papers.W} {papers.A}><w:body><w:p>{body}</w:p></w:body></w:document>",
            "word/_rels/document.xml.rels": relations,
            "word/media/i.png": papers.encoded(papers.page()),
        }
    )
    made = made_of(content)
    assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()
    assert made.report.counts["name"] >= 1
    assert made.report.counts["number"] >= 1


def test_a_value_in_another_cell_than_its_label_is_found() -> None:
    judges = judges_for(Known(), 0)
    table = Table((("Remittent", "Diagnos"), ("Torbjorn Ekelundius", "Crohns sjukdom")), head=True)
    (cleaned,) = clean_blocks([table], judges, {})
    assert cleaned == Table((("Remittent", "Diagnos"), ("[name]", "Crohns sjukdom")), head=True)


def test_a_name_that_two_paragraphs_part_is_found() -> None:
    blocks = clean_blocks([Text(f"Hej {GIVEN}"), Text(f"{FAMILY}, 12 mm")], judges_for(KNOWN, 0), {})
    assert not any(part in block.text for block in blocks for part in (GIVEN, FAMILY))  # type: ignore[union-attr]
    assert blocks[1].text.endswith("12 mm")  # type: ignore[union-attr]


UNSEEN = {
    "docx white": lambda: papers.word("<w:p>" + papers.run("Synligt ") + papers.run("vaxelord", "<w:color w:val='FFFFFF'/>") + "</w:p>"),
    "docx tiny": lambda: papers.word("<w:p>" + papers.run("Synligt ") + papers.run("vaxelord", "<w:sz w:val='2'/>") + "</w:p>"),
    "html white": lambda: b"<html><p>Synligt <span style='color: #FFF'>vaxelord</span></p>",
    "html tiny": lambda: b"<html><p>Synligt <span style='font-size:1px'>vaxelord</span></p>",
    "rtf white": lambda: rb"{\rtf1{\colortbl;\red0\green0\blue0;\red255\green255\blue255;}Synligt {\cf2 vaxelord}}",
    "rtf tiny": lambda: rb"{\rtf1 Synligt {\fs2 vaxelord}}",
}  # fmt: skip
SEEN = {
    "docx on blue": lambda: papers.word("<w:p>" + papers.run("vaxelord", "<w:color w:val='FFFFFF'/><w:shd w:fill='1F3864'/>") + "</w:p>"),
    "html on blue": lambda: b"<html><div style='background:#1f3864'><b style='color:white'>vaxelord</b></div>",
    "rtf black": lambda: rb"{\rtf1{\colortbl;\red0\green0\blue0;\red255\green255\blue255;}{\cf1\fs22 vaxelord}}",
}  # fmt: skip


@pytest.mark.parametrize("name", [*UNSEEN, *SEEN])
def test_letters_that_nobody_sees_are_not_read(name: str) -> None:
    content = (UNSEEN | SEEN)[name]()
    text = script_of(content, kind_of(content)).text
    assert ("vaxelord" in text) == (name in SEEN)
    assert "Synligt" in text or name in SEEN


# -- RTF -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "text"),
    [
        (rb"{\rtf1\ansi\ansicpg1252 \'c5sa}", "Åsa"),
        (rb"{\rtf1\ansi\ansicpg1251 \'d9\'e5}", "Ще"),
        (rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset238 B;}}{\f1 \'a3\'f3d\'9f} \'f6}", "Łódź ö"),
        (rb"{\rtf1\uc1 \u321?\u243?d\u378?}", "Łódź"),
        (rb"{\rtf1\uc2 \u321\'81\'82dz}", "Łdz"),
        (rb"{\rtf1 a\par b{\*\unknown c}\line d}", "a\nb\nd"),
        (rb"{\rtf1 a{\v b}{\deleted c}\plain d}", "ad"),
        (rb"{\rtf1 a\bin3 }}}b}", "ab"),
        (rb"{\rtf1 \u-10179?\u-8704?}", "\U0001f600"),
    ],
)  # fmt: skip
def test_rich_text_is_read_as_it_is_written(source: bytes, text: str) -> None:
    assert read_rich_text(source).text == text


# -- letters ---------------------------------------------------------------------------------------------------------
def test_every_script_that_can_be_set_can_be_found_again() -> None:
    lines = ["Łódź, Żółć, ÅÄÖ, ß", "Опухоль правой почки", "Όγκος του νεφρού", "المريض يعاني من السعال"]
    shown = words_of(typeset([Text(line) for line in lines]).content)
    assert [line for line in lines if line not in shown] == []


def test_a_script_without_letters_of_ours_is_refused_in_words() -> None:
    with pytest.raises(NotCleanable, match="script"):
        typeset([Text("患者さんは右腎に腫瘍があります")])
    assert typeset([Text("Kidney tumour, right side (腎)")]).missing == 1


def test_arabic_letters_are_joined_and_numbers_keep_their_order() -> None:
    assert drawn_order("لا 12", right=True) == "12 \ufefb"
    assert drawn_order("CT (بطن) 5", right=False) == "CT (\ufee6\ufec4\ufe91) 5"


# -- CDA -------------------------------------------------------------------------------------------------------------
def test_a_clinical_document_comes_back_as_one_when_its_carrier_asks() -> None:
    made = made_of(papers.clinical_xml(), "text/xml")
    assert (made.media_type, made.extension) == ("text/xml", ".xml")
    assert left_in(made.content) == []
    assert verify_document(made.content, media_type="text/xml", known=KNOWN) == ()
    root = ET.fromstring(made.content)  # noqa: S314 - our own output
    space = {"h": "urn:hl7-org:v3"}
    assert root.find("h:templateId", space).get("root") == "2.16.840.1.113883.10.20.22.1.1"
    assert root.find("h:effectiveTime", space).get("value") == "20240326093000+0100"
    patient = root.find("h:recordTarget/h:patientRole", space)
    assert patient.find("h:id", space).attrib == {"nullFlavor": "MSK"}
    assert patient.find("h:patient/h:name", space).attrib == {"nullFlavor": "MSK"}
    assert patient.find("h:patient/h:administrativeGenderCode", space).get("code") == "F"
    text = "".join(root.itertext())
    assert "[name]" in text
    assert all(part in text for part in CLINICAL[1:])
    assert root.find(".//h:value", space).get("value") == "12"
    paragraph, reference = root.find(".//h:paragraph", space), root.find(".//h:reference", space)
    assert reference.get("value") == "#" + paragraph.get("ID")
    assert b"deceasedInd" not in made.content
    assert b"<!--" not in made.content


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("xsi:type='PQ' value='198112189876' unit='mm'", None),
        ("xsi:type='PQ' value='811218-9876' unit='mm'", None),
        ("xsi:type='PQ' value='12' unit='Lundgren'", None),
        ("xsi:type='PQ' value='12' unit='lundgren'", None),
        ("xsi:type='CD' code='Lundgren'", None),
        ("xsi:type='CD' code='198112189876'", None),
        ("xsi:type='ST' value='a.b@example.se'", None),
        ("xsi:type='PQ' value='12' unit='mmol/L'", {"value": "12", "unit": "mmol/L"}),
        ("xsi:type='PQ' value='1.5' unit='[arb&apos;U]/mL'", {"value": "1.5", "unit": "[arb'U]/mL"}),
        ("xsi:type='PQ' value='3' unit='10*3/uL'", {"value": "3", "unit": "10*3/uL"}),
        ("xsi:type='CD' code='736110001000004106' codeSystem='2.16.840.1.113883.6.96'", {"code": "736110001000004106", "codeSystem": "2.16.840.1.113883.6.96"}),
        ("xsi:type='CD' code='00071015523' codeSystem='2.16.840.1.113883.6.69'", {"code": "00071015523", "codeSystem": "2.16.840.1.113883.6.69"}),
        ("xsi:type='CD' code='C34.1'", {"code": "C34.1"}),
        ("xsi:type='TS' value='202403121015'", {"value": "202403261015"}),
    ],
)  # fmt: skip
def test_attributes_are_judged_as_text_is_and_measures_stay(value: str, left: dict[str, str] | None) -> None:
    old = "<value xsi:type='PQ' value='12' unit='mm'/>"
    content = papers.clinical_xml().decode().replace(old, f"<value {value}/>")
    assert old not in content
    made = made_of(content.encode(), "text/xml")
    assert verify_document(made.content, media_type="text/xml", known=KNOWN) == ()
    found = ET.fromstring(made.content).find(".//{urn:hl7-org:v3}value").attrib  # noqa: S314 - our own output
    told = {key: one for key, one in found.items() if not key.startswith("{")}
    if left is None:
        assert told.pop("nullFlavor") == "MSK"
        assert told in ({}, {"unit": "mm"})
    else:
        assert told == left
        harmed = made.content.replace(
            next(iter(left.values())).replace("'", "&apos;").encode(), b"811218-9876"
        )
        if harmed != made.content:
            assert "attribute" in " ".join(verify_document(harmed, media_type="text/xml", known=KNOWN))


def test_a_clinical_document_around_another_file_is_refused_in_words() -> None:
    packed = papers.clinical_xml().replace(
        b"<structuredBody>", b"<nonXMLBody><text mediaType='application/pdf' representation='B64'>AAAA</text></nonXMLBody><structuredBody>"
    )  # fmt: skip
    assert code_of(packed) == "packed"
    assert code_of(packed, "text/xml") == "packed"


@pytest.mark.parametrize(
    "harm",
    [
        lambda xml: xml.replace(b"</ClinicalDocument>", b"<!-- x --></ClinicalDocument>"),
        lambda xml: xml.replace(b'<id nullFlavor="MSK"/>', b'<id extension="7"/>', 1),
        lambda xml: xml.replace(b"12 mm", FAMILY.encode() + b" 12 mm"),
        lambda xml: xml.replace(b'displayName="Consult note"', f'displayName="{NUMBER}"'.encode()),
        lambda xml: xml.replace(b"<title>", b"<x xmlns='urn:other'/><title>"),
        lambda xml: xml.replace(b"<ClinicalDocument", b"<!DOCTYPE x><ClinicalDocument", 1),
    ],
)
def test_the_check_of_clinical_documents_finds_what_should_not_be_there(harm) -> None:
    clean = made_of(papers.clinical_xml(), "text/xml").content
    assert harm(clean) != clean
    assert verify_document(harm(clean), media_type="text/xml", known=KNOWN) != ()


# -- mail ------------------------------------------------------------------------------------------------------------
def test_a_mail_takes_simple_attachments_and_refuses_the_others() -> None:
    made = made_of(papers.mail(papers.rich_text(), f"{FAMILY}.rtf"))
    assert "segment IV" in words_of(made.content)
    assert made.text.count("12 mm") + made.text.count("12\u00a0mm") == 2
    assert left_in(made.content) == []
    assert code_of(papers.mail(b"%PDF-1.7 x", "a.pdf")) == "mail_attachments"
    assert code_of(papers.mail(papers.mail(), "b.eml")) == "mail_attachments"


# -- what is hostile -------------------------------------------------------------------------------------------------
LAUGHS = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lambda: papers.word("<w:p/>", word__big_xml=b"\0" * 300_000_000), "too_deep"),
        (lambda: papers.word("<w:p>" + papers.run(" " * 60_000_000) + "</w:p>"), "too_deep"),
        (lambda: papers.word("<w:sdt>" * 5000), "unreadable"),
        (lambda: papers.word("<w:sdt>" * 240 + papers.run("x") + "</w:sdt>" * 240), "too_deep"),
        (lambda: papers.word("", word__document_xml=LAUGHS + b"<r>&b;</r>"), "too_deep"),
        (lambda: papers.word("", word__document_xml=b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>'), "too_deep"),
        (lambda: papers.clinical_xml().replace(b"<ClinicalDocument", LAUGHS + b"<ClinicalDocument", 1), "too_deep"),
        (lambda: b"<html><body>" + b"<div>" * 100_000 + b"x", "too_deep"),
        (lambda: b"{\\rtf1" + b"{" * 100_000, "too_deep"),
        (lambda: b"{\\rtf1 }", "empty"),
        (lambda: b"<html><script>x</script></html>", "empty"),
    ],
)  # fmt: skip
def test_bombs_and_empty_documents_are_refused_in_words(content: Callable[[], bytes], code: str) -> None:
    assert code_of(content()) == code


def test_nothing_outside_the_file_is_fetched() -> None:
    body = (
        '<w:p><w:r><w:drawing><a:blip r:link="r9" r:embed="r9"/></w:drawing></w:r>'
        + papers.run("Text")
        + "</w:p>"
    )
    relations = f'<Relationships xmlns="{papers.RELATIONS}"><Relationship Id="r9" Type="image" TargetMode="External" Target="file:///etc/passwd"/></Relationships>'
    made = made_of(papers.word(body, **{"word___rels__document_xml.rels": relations}))
    assert any("left out" in look for look in made.look)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(WRITTEN)), st.data())
def test_a_damaged_letter_is_cleaned_or_refused_but_never_raises(name: str, data: st.DataObject) -> None:
    content = bytearray(WRITTEN[name]())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content) - 1)) :]
    media_type = data.draw(st.sampled_from(["", "text/xml"]))
    made = deidentify_document(bytes(content), media_type=media_type, known=KNOWN, pseudonyms_shift_days=7)
    if isinstance(made, DeidentifiedDocument):
        assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["{\\rtf1 ", "<html>", "From: a\nTo: b\nDate: c\n\n"]), st.text(max_size=200))
def test_any_words_in_any_frame_are_cleaned_or_refused(frame: str, text: str) -> None:
    content = (frame + text + f" {FAMILY} {MAIL}").encode("utf-8", "replace")
    made = deidentify_document(content, media_type=kind_of(content), known=KNOWN, pseudonyms_shift_days=0)
    if isinstance(made, DeidentifiedDocument):
        assert FAMILY not in made.text
        assert verify_document(made.content, media_type=made.media_type, known=KNOWN) == ()


def test_the_readers_agree_on_the_same_letter() -> None:
    texts = {
        name: script_of(WRITTEN[name](), kind_of(WRITTEN[name]())).text.replace(",", " ").split()
        for name in ("docx", "odt", "rtf")
    }
    assert all({FAMILY, GIVEN, "lesion", "Hodgkin."} <= set(words) for words in texts.values())
