"""Letters as word processors write them: DOCX, ODT and RTF, with all that such files carry unseen."""

from __future__ import annotations

import io
import zipfile
from xml.sax.saxutils import escape

from tests.corpus.paper import scans
from tests.corpus.paper.hidden import Hidden
from tests.corpus.paper.letters import Letter, Line

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STORY = "application/vnd.openxmlformats-officedocument.wordprocessingml"
PARTS = {
    "word/document.xml": f"{STORY}.document.main+xml",
    "word/comments.xml": f"{STORY}.comments+xml",
    "word/header1.xml": f"{STORY}.header+xml",
    "word/footer1.xml": f"{STORY}.footer+xml",
    "word/footnotes.xml": f"{STORY}.footnotes+xml",
    "docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml",
    "docProps/app.xml": "application/vnd.openxmlformats-officedocument.extended-properties+xml",
    "docProps/custom.xml": "application/vnd.openxmlformats-officedocument.custom-properties+xml",
}
RELATIONS = {
    "comments": "comments.xml", "header": "header1.xml", "footer": "footer1.xml", "footnotes": "footnotes.xml",
    "image": "media/image1.png", "customXml": "../customXml/item1.xml",
}  # fmt: skip


def _run(text: str, style: str = "") -> str:
    return f'<w:r>{f"<w:rPr>{style}</w:rPr>" if style else ""}<w:t xml:space="preserve">{escape(text)}</w:t></w:r>'


def _runs(line: Line) -> str:
    """Planted runs are split in the middle of a word, as editing leaves them."""
    parts: list[str] = []
    for text, mark in line.runs:
        if mark in {"", "clinical", "date"}:
            parts.append(_run(text))
        else:
            half = max(1, len(text) // 2)
            parts += [_run(text[:half], "<w:b/>"), '<w:proofErr w:type="spellStart"/>', _run(text[half:])]
    return "".join(parts)


def _story(letter: Letter) -> str:
    """Paragraphs, and one table of the labelled lines."""
    out: list[str] = []
    rows: list[str] = []
    for line in (*letter.lines, Line(runs=())):
        if line.labelled:
            cells = "".join(f"<w:tc><w:tcPr/><w:p>{_run(text)}</w:p></w:tc>" for text in line.labelled)
            rows.append(f"<w:tr>{cells}</w:tr>")
            continue
        if rows:
            out.append(
                f"<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/><w:gridCol/></w:tblGrid>{''.join(rows)}</w:tbl>"
            )
            rows = []
        out.append(f"<w:p>{_runs(line)}</w:p>")
    return "".join(out)


def docx(letter: Letter, hidden: Hidden) -> bytes:
    """A DOCX with tracked changes, comments, header, footer, footnote, text box, custom XML and a picture of a label."""
    white = '<w:color w:val="FFFFFF"/><w:sz w:val="2"/>'
    who, when = escape(hidden.author, {'"': "&quot;"}), "2024-01-01T00:00:00Z"
    tracked = (
        f'<w:p><w:del w:id="1" w:author="{who}" w:date="{when}"><w:r><w:delText>{escape(hidden.relative)}</w:delText></w:r></w:del>'
        f'<w:ins w:id="2" w:author="{who}" w:date="{when}">{_run("† ")}</w:ins>'
        f'<w:commentRangeStart w:id="0"/>{_run("‡")}<w:commentRangeEnd w:id="0"/><w:r><w:commentReference w:id="0"/></w:r>'
        f"{_run(hidden.sentence, '<w:vanish/>')}{_run(hidden.street, white)}"
        '<w:r><w:footnoteReference w:id="2"/></w:r>'
        f'<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>MERGEFIELD {escape(hidden.relative)}</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
        '<w:p><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox><w:txbxContent><w:p>'
        f"{_run(hidden.patient)}</w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r></w:p>"
    )
    drawing = (
        '<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        f'<wp:extent cx="4000000" cy="2571428"/><wp:docPr id="1" name="{escape(hidden.patient)}" descr="{who}"/>'
        '<a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        '<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture">'
        '<pic:pic xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:nvPicPr><pic:cNvPr id="1" name="p"/><pic:cNvPicPr/>'
        f'</pic:nvPicPr><pic:blipFill><a:blip xmlns:r="{R}" r:embed="rId5"/></pic:blipFill><pic:spPr/></pic:pic></a:graphicData></a:graphic>'
        "</wp:inline></w:drawing></w:r></w:p>"
    )
    name, head = escape(hidden.patient), '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    parts = {
        "word/document.xml": f"<w:document {W}><w:body>{_story(letter)}{tracked}{drawing}<w:sectPr>"
        f'<w:headerReference xmlns:r="{R}" w:type="default" r:id="rId2"/><w:footerReference xmlns:r="{R}" w:type="default" r:id="rId3"/>'
        "</w:sectPr></w:body></w:document>",
        "word/comments.xml": f'<w:comments {W}><w:comment w:id="0" w:author="{who}" w:date="{when}" w:initials="x"><w:p>'
        f"{_run(hidden.sentence)}</w:p></w:comment></w:comments>",
        "word/header1.xml": f"<w:hdr {W}><w:p>{_run(hidden.patient + ' ' + hidden.number)}</w:p></w:hdr>",
        "word/footer1.xml": f"<w:ftr {W}><w:p>{_run(hidden.number)}</w:p></w:ftr>",
        "word/footnotes.xml": f'<w:footnotes {W}><w:footnote w:id="2"><w:p>{_run(hidden.patient)}</w:p></w:footnote></w:footnotes>',
        "docProps/core.xml": '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>{escape(hidden.author)}</dc:creator><dc:title>{name}</dc:title>'
        f"<cp:lastModifiedBy>{escape(hidden.relative)}</cp:lastModifiedBy></cp:coreProperties>",
        "docProps/app.xml": '<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">'
        f"<Company>{escape(hidden.street)}</Company><Manager>{escape(hidden.author)}</Manager></Properties>",
        "docProps/custom.xml": '<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/custom-properties">'
        f'<property fmtid="{{D5CDD505-2E9C-101B-9397-08002B2CF9AE}}" pid="2" name="{name}"/></Properties>',
        "customXml/item1.xml": f"<patient>{escape(hidden.sentence)}</patient>",
    }
    kinds = "".join(f'<Override PartName="/{path}" ContentType="{kind}"/>' for path, kind in PARTS.items())
    ids = "".join(
        f'<Relationship Id="rId{n}" Type="{R}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(RELATIONS.items(), 1)
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = hidden.patient.encode()
        archive.writestr(
            "[Content_Types].xml",
            f'{head}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
            f'<Default Extension="png" ContentType="image/png"/>{kinds}</Types>',
        )
        space = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
        archive.writestr(
            "_rels/.rels",
            f'{head}<Relationships {space}><Relationship Id="r1" Type="{R}/officeDocument" Target="word/document.xml"/>'
            '<Relationship Id="r2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" '
            'Target="docProps/core.xml"/></Relationships>',
        )
        archive.writestr(
            "word/_rels/document.xml.rels", f"{head}<Relationships {space}>{ids}</Relationships>"
        )
        for path, part in parts.items():
            archive.writestr(path, head + part)
        archive.writestr("word/media/image1.png", scans.encoded(scans.label(letter), "PNG"))
    return out.getvalue()


def odt(letter: Letter, hidden: Hidden) -> bytes:
    """An ODT with tracked changes, annotations, a header, hidden text, metadata and a thumbnail."""
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in {"office": "office", "text": "text", "table": "table", "meta": "meta", "style": "style", "draw": "drawing"}.items()
    ) + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'  # fmt: skip
    body: list[str] = []
    for line in letter.lines:
        if line.labelled:
            cells = "".join(
                f"<table:table-cell><text:p>{escape(text)}</text:p></table:table-cell>"
                for text in line.labelled
            )
            body.append(f"<table:table><table:table-row>{cells}</table:table-row></table:table>")
            continue
        parts = []
        for text, mark in line.runs:
            half = 0 if mark in {"", "clinical", "date"} else len(text) // 2
            parts.append(
                f"<text:span>{escape(text[:half])}</text:span>{escape(text[half:])}" if half else escape(text)
            )
        body.append(
            f"<text:{'h' if line.heading else 'p'}>{''.join(parts)}</text:{'h' if line.heading else 'p'}>"
        )
    content = (
        f'<office:document-content {spaces} office:version="1.2"><office:body><office:text>'
        f'<text:tracked-changes><text:changed-region text:id="c1"><text:deletion><office:change-info><dc:creator>{escape(hidden.author)}'
        f"</dc:creator></office:change-info><text:p>{escape(hidden.sentence)}</text:p></text:deletion></text:changed-region></text:tracked-changes>"
        f"{''.join(body)}<text:p>‡<office:annotation><dc:creator>{escape(hidden.author)}</dc:creator><text:p>{escape(hidden.relative)}</text:p>"
        f'</office:annotation><text:hidden-text text:condition="" text:string-value={_quoted(hidden.street)}/></text:p>'
        f'<text:p><draw:frame draw:name={_quoted(hidden.patient)}><draw:image xlink:href="Pictures/1.png"/></draw:frame></text:p>'
        "</office:text></office:body></office:document-content>"
    )
    meta = (
        f"<office:document-meta {spaces}><office:meta><dc:creator>{escape(hidden.author)}</dc:creator><dc:title>{escape(hidden.patient)}"
        f'</dc:title><meta:user-defined meta:name="pnr">{escape(hidden.number)}</meta:user-defined></office:meta></office:document-meta>'
    )
    styles = (
        f'<office:document-styles {spaces}><office:master-styles><style:master-page style:name="Standard"><style:header><text:p>'
        f"{escape(hidden.patient)} {escape(hidden.number)}</text:p></style:header></style:master-page></office:master-styles></office:document-styles>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text", zipfile.ZIP_STORED)
        archive.writestr("content.xml", content)
        archive.writestr("meta.xml", meta)
        archive.writestr("styles.xml", styles)
        archive.writestr("Pictures/1.png", scans.encoded(scans.label(letter), "PNG"))
        archive.writestr(
            "Thumbnails/thumbnail.png", scans.encoded(scans.page(letter).resize((310, 438)), "PNG")
        )
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry '
            'manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.text"/></manifest:manifest>',
        )
    return out.getvalue()


def _quoted(text: str) -> str:
    return '"' + escape(text, {'"': "&quot;"}) + '"'


def rtf(letter: Letter, hidden: Hidden) -> bytes:
    r"""An RTF with \'xx and \u escapes, hidden text, a comment, a deletion, document information and user properties."""
    body = "\n".join(
        rf"\pard {_escaped(line.text, unicode=n % 2 == 0)}\par" for n, line in enumerate(letter.lines)
    )
    told = {
        name: _escaped(getattr(hidden, name), unicode=True)
        for name in ("patient", "author", "relative", "sentence", "number")
    }
    page = {"pl": 1250, "ru": 1251}.get(letter.language, 1252)
    return (
        rf"{{\rtf1\ansi\ansicpg{page}\deff0{{\fonttbl{{\f0\fswiss Helvetica;}}}}"
        rf"{{\info{{\title {told['patient']}}}{{\author {told['author']}}}{{\operator {told['relative']}}}{{\doccomm {told['sentence']}}}}}"
        rf"{{\*\userprops{{\propname pnr}}\proptype30{{\staticval {told['number']}}}}}"
        rf"{{\header {told['patient']} {told['number']}\par}}{{\*\revtbl {{{told['author']};}}}}"
        "\n" + body + "\n"
        rf"{{\v {told['sentence']}}}{{\deleted\revauthdel1 {told['relative']}}}"
        rf"{{\*\annotation {told['sentence']}}}{{\*\bkmkstart {told['relative']}}}"
        rf"{{\field{{\*\fldinst HYPERLINK "
        "mailto:{told['relative']}"
        "}}{{\fldrslt +}}}}"
        "}"
    ).encode("ascii")


def _escaped(text: str, *, unicode: bool) -> str:
    r"""Text in RTF's escapes: \uN? or, where the western code page has the sign, \'xx."""
    out: list[str] = []
    for sign in text:
        if sign in "\\{}":
            out.append("\\" + sign)
        elif ord(sign) < 128:
            out.append(sign)
        else:
            coded = b"" if unicode else sign.encode("cp1252", "ignore")
            out.append(
                rf"\'{coded[0]:02x}"
                if coded
                else rf"\u{ord(sign) if ord(sign) < 32768 else ord(sign) - 65536}?"
            )
    return "".join(out)
