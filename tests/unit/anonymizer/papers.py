"""Written documents and scans with planted identifiers, made in memory: office files, web pages, mails, pictures of pages."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

from tests.unit.anonymizer.planted import FAMILY, GIVEN, MAIL, NUMBER, PHONE

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
LINES = (
    "Remiss till onkologen",
    f"Patient: {GIVEN} {FAMILY} {NUMBER}",
    "CT buk 2024-03-12 visar en 12 mm lesion i levern, segment IV.",
    "Inga tecken till metastaser i lungorna eller i skelettet.",
    f"Tel {PHONE}, {MAIL}",
    "Patienten har en Crohns sjukdom och hypertoni sedan tio ar.",
    "Overvag biopsi och fornyad bedomning vid konferens.",
)


def zipped(parts: Mapping[str, bytes | str], *, stored: tuple[str, ...] = ()) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            kind = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, compress_type=kind)
    return out.getvalue()


def run(text: str, style: str = "") -> str:
    return f'<w:r>{f"<w:rPr>{style}</w:rPr>" if style else ""}<w:t xml:space="preserve">{text}</w:t></w:r>'


def word(body: str, **more: bytes | str) -> bytes:
    """A DOCX with this body, and with names in every part that no page shows."""
    parts: dict[str, bytes | str] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f"<w:document {W} {A}><w:body>{body}</w:body></w:document>",
        "word/comments.xml": f'<w:comments {W}><w:comment w:author="{GIVEN}">{run(FAMILY)}</w:comment></w:comments>',
        "word/header1.xml": f"<w:hdr {W}><w:p>{run('Onkologiska kliniken')}</w:p><w:p>{run(NUMBER)}</w:p></w:hdr>",
        "docProps/core.xml": f"<p><creator>{GIVEN} {FAMILY}</creator></p>",
        "customXml/item1.xml": f"<c>{NUMBER}</c>",
    }
    return zipped(
        parts | {name.replace("__", "/").replace("_xml", ".xml"): value for name, value in more.items()}
    )


def letter_body() -> str:
    """Split runs, a tracked deletion and insertion, hidden text, a field, a text box and a table."""
    half = len(FAMILY) // 2
    return "".join(
        (
            f"<w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr>{run('Remiss till onkologen')}</w:p>",
            f"<w:p>{run('Patient: ')}{run(GIVEN)} {run(' ' + FAMILY[:half], '<w:b/>')}{run(FAMILY[half:])}</w:p>",
            (f"<w:p><w:del w:author='{GIVEN}'><w:r><w:delText>{FAMILY} raderad</w:delText></w:r></w:del>"
            f"<w:ins w:author='{GIVEN}'>{run('CT buk 2024-03-12: 12 mm lesion i levern, segment IV.')}</w:ins></w:p>"),
            f"<w:p>{run(f'Hemligt ord {FAMILY}', '<w:vanish/>')}{run('Overvag MR. Crohn, Hodgkin.')}</w:p>",
            f"<w:p><w:r><w:instrText>MAILTO {MAIL}</w:instrText></w:r>{run('Brev')}</w:p>",
            f"<w:p><w:r><w:pict><w:txbxContent><w:p>{run(f'Ring {FAMILY} om provsvar')}</w:p></w:txbxContent></w:pict></w:r></w:p>",
            "<w:tbl><w:tr><w:tc><w:p>" + run("Remittent") + "</w:p></w:tc><w:tc><w:p>" + run("Torbjorn Ekelundius")
            + "</w:p></w:tc></w:tr><w:tr><w:tc><w:p>" + run("Hb") + "</w:p></w:tc><w:tc><w:p>" + run("131 g/L") + "</w:p></w:tc></w:tr></w:tbl>",
            "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr></w:pPr>" + run("Punkt ett") + "</w:p>",
        )
    )  # fmt: skip


def open_text() -> bytes:
    office = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    content = (
        f"<office:document-content {office}><office:automatic-styles><style:style style:name='H'><style:text-properties text:display='none'/></style:style></office:automatic-styles>"
        f"<office:body><office:text><text:tracked-changes><text:deletion><text:p>{FAMILY} raderad</text:p></text:deletion></text:tracked-changes>"
        f"<text:h text:outline-level='1'>Remiss till onkologen</text:h><text:p>Patient: {GIVEN}<text:s/><text:span>{FAMILY[:5]}</text:span>{FAMILY[5:]}"
        f"<office:annotation><dc:creator>{GIVEN}</dc:creator><text:p>{FAMILY}</text:p></office:annotation></text:p>"
        f"<text:p>CT buk 2024-03-12: 12 mm lesion i levern, segment IV.<text:span text:style-name='H'>Hemligt ord {FAMILY}</text:span></text:p>"
        f"<text:list><text:list-item><text:p>Overvag MR. Crohn, Hodgkin.</text:p></text:list-item></text:list>"
        f"<table:table><table:table-row><table:table-cell><text:p>Remittent</text:p></table:table-cell><table:table-cell><text:p>Torbjorn Ekelundius</text:p></table:table-cell></table:table-row></table:table>"
        "</office:text></office:body></office:document-content>"
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": content,
            "meta.xml": f"<m>{FAMILY}</m>",
            "META-INF/manifest.xml": "<m/>",
        },
        stored=("mimetype",),
    )


def rich_text() -> bytes:
    return (
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\author " + FAMILY + r"}}{\*\annotation " + FAMILY + "}"
        r"{\header " + NUMBER + r"\par}\pard\outlinelevel0 Remiss till onkologen\par\pard "
        r"Patient: {\b " + GIVEN + " " + FAMILY[:6] + "}" + FAMILY[6:] + r", f\'f6dd\par "
        r"CT buk 2024-03-12: 12\~mm lesion i levern, segment IV. \u197?terbes\'f6k{\v Hemligt ord " + FAMILY + r"}{\deleted raderad " + FAMILY + r"}\par "
        r"Overvag MR. Crohn, Hodgkin.\par\trowd\intbl Remittent\cell Torbjorn Ekelundius\cell\row\pard\par{\pict\pngblip 89504e47}}"
    ).encode("ascii")  # fmt: skip


def web_page() -> bytes:
    return (
        f"<!DOCTYPE html><html><head><title>{FAMILY}</title><style>p {{}} /* {FAMILY} */</style><script>var who = '{FAMILY}'</script></head><body onload=\"{GIVEN}()\">"
        f"<!-- {NUMBER} --><h1>Remiss till onkologen</h1><p title='{FAMILY}'>Patient: {GIVEN} <b>{FAMILY[:7]}</b>{FAMILY[7:]}</p>"
        f"<p style='display: none'>Hemligt ord {FAMILY}</p><p hidden>Hemligt</p><p>CT buk 2024-03-12: 12 mm lesion i levern, segment IV.</p>"
        f"<ul><li>Overvag MR. Crohn, Hodgkin.</li></ul><table><tr><th>Remittent</th></tr><tr><td>Torbjorn Ekelundius</td></tr></table>"
        f"<img src='http://example.org/{FAMILY}.png'></body></html>"
    ).encode()


def mail(attached: bytes = b"", name: str = "") -> bytes:
    head = f'From: {GIVEN} {FAMILY} <{MAIL}>\r\nTo: x@example.se\r\nSubject: Remiss till onkologen\r\nDate: Tue, 12 Mar 2024 09:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="B"\r\n\r\n'
    body = f"--B\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPatient: {GIVEN} {FAMILY}\r\n12 mm lesion i levern, segment IV. Overvag MR. Crohn, Hodgkin.\r\n"
    part = (
        f'--B\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(attached).decode()}\r\n'
        if attached
        else ""
    )
    return (head + body + part + "--B--\r\n").encode()


def clinical_xml(extra: str = "", body: str = "") -> bytes:
    return (
        f"<?xml version='1.0' encoding='UTF-8'?><?xml-stylesheet href='{FAMILY}.xsl'?><!-- {FAMILY} -->"
        "<ClinicalDocument xmlns='urn:hl7-org:v3' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:sdtc='urn:hl7-org:sdtc'>"
        "<realmCode code='SE'/><typeId root='2.16.840.1.113883.1.3' extension='POCD_HD000040'/><templateId root='2.16.840.1.113883.10.20.22.1.1'/>"
        f"<id root='1.2.752.1' extension='{NUMBER}'/><code code='11488-4' codeSystem='2.16.840.1.113883.6.1' displayName='Consult note'/><title>Remiss {FAMILY}</title>"
        "<effectiveTime value='20240312093000+0100'/><confidentialityCode code='N'/><languageCode code='sv'/>"
        f"<recordTarget><patientRole><id root='1.2.752.129.2.1.3.1' extension='{NUMBER}'/><addr><city>Uppsala</city></addr><telecom value='tel:{PHONE}'/>"
        f"<patient><name><given>{GIVEN}</given><family>{FAMILY}</family></name><administrativeGenderCode code='F'/><birthTime value='19850312'/><sdtc:deceasedInd value='false'/></patient></patientRole></recordTarget>"
        "<author><time value='20240312'/><assignedAuthor><id extension='7'/><assignedPerson><name>Torbjorn Ekelundius</name></assignedPerson></assignedAuthor></author>"
        "<custodian><assignedCustodian><representedCustodianOrganization><id root='1.2'/><name>Sjukhuset</name></representedCustodianOrganization></assignedCustodian></custodian>"
        + extra
        + "<component><structuredBody>"
        + (body or "<component><section><code code='1'/><title>Fynd</title>"
        f"<text><paragraph ID='{FAMILY}1'>{GIVEN} <content styleCode='Bold'>{FAMILY[:7]}</content>{FAMILY[7:]}: 12 mm lesion i levern, segment IV.</paragraph>"
        "<list><item>Overvag MR. Crohn, Hodgkin.</item></list><table><tbody><tr><td>CT buk</td><td>2024-03-12</td></tr></tbody></table></text>"
        f"<entry><observation classCode='OBS' moodCode='EVN'><id root='1' extension='9'/><code code='21889-1'/><text><reference value='#{FAMILY}1'/></text><value xsi:type='PQ' value='12' unit='mm'/></observation></entry></section></component>")
        + "</structuredBody></component></ClinicalDocument>"
    ).encode()  # fmt: skip


# -- pictures of pages ---------------------------------------------------------------------------------------------
def page(lines: tuple[str, ...] = LINES, *, dpi: int = 150, size: int = 13) -> Image.Image:
    """An A5 page of printed lines, black on white."""
    picture = Image.new("L", (int(5.8 * dpi), int(4.2 * dpi)), 255)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size * dpi / 72)
    for row, line in enumerate(lines):
        draw.text((0.4 * dpi, 0.4 * dpi + row * 0.42 * dpi), line, fill=0, font=font)
    return picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()
