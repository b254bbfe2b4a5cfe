"""Texts that say a name to a person but not to a naive cleaner: in letters, escapes and parts of office files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

from tests.corpus.paper import office, scans
from tests.corpus.paper.office import R, W
from tests.corpus.paper.sly import CLINICAL, FAMILY, GIVEN, NAME, NUMBER, drawn


def text(shown: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    """A text file of one sentence."""
    return lambda: f"{CLINICAL}.\n{shown} kom till mottagningen.\n".encode(encoding)


def page(shown: str) -> Callable[[], bytes]:
    """A web page of one sentence."""
    return f"<!DOCTYPE html><html><body><p>{CLINICAL}</p><p>{shown} kom.</p></body></html>".encode


def rtf(shown: str, *, head: str = "") -> Callable[[], bytes]:
    """An RTF of one sentence."""
    return lambda: (
        rf"{{\rtf1\ansi\ansicpg1252\deff0{{\fonttbl{{\f0 Arial;}}{head}}}\pard {CLINICAL}\par {shown} kom.\par}}".encode(
            "latin-1"
        )
    )


def rtf_picture() -> bytes:
    """An RTF with a picture of the name in hexadecimal."""
    return rtf(rf"{{\pict\pngblip {scans.encoded(drawn(NAME), 'PNG').hex()}}}")()


def word(body: str, *, extra: dict[str, bytes] | None = None, relations: str = "") -> Callable[[], bytes]:
    """A DOCX with this body and these further parts."""

    def write() -> bytes:
        out = io.BytesIO()
        head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        space = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                "[Content_Types].xml",
                f'{head}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
                'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="png" ContentType="image/png"/>'
                '<Default Extension="xml" ContentType="application/xml"/><Default Extension="html" ContentType="text/html"/>'
                f'<Default Extension="bin" ContentType="application/octet-stream"/><Override PartName="/word/document.xml" ContentType="{office.PARTS["word/document.xml"]}"/></Types>',
            )
            archive.writestr(
                "_rels/.rels",
                f'{head}<Relationships {space}><Relationship Id="r1" Type="{R}/officeDocument" Target="word/document.xml"/></Relationships>',
            )
            archive.writestr(
                "word/_rels/document.xml.rels", f"{head}<Relationships {space}>{relations}</Relationships>"
            )
            archive.writestr(
                "word/document.xml",
                f'{head}<w:document {W} xmlns:r="{R}"><w:body><w:p><w:r><w:t>{CLINICAL}</w:t></w:r></w:p>{body}</w:body></w:document>',
            )
            for name, part in (extra or {}).items():
                archive.writestr(name, part)
        return out.getvalue()

    return write


def _run(inner: str) -> str:
    return f"<w:p><w:r>{inner}</w:r></w:p>"


ZWSP, SHY, ZWJ, RLO, POP = "\u200b", "\u00ad", "\u200d", "\u202e", "\u202c"
FULLWIDTH = "".join(chr(ord(sign) + 0xFEE0) for sign in FAMILY)
BOLD = "".join(
    chr(0x1D400 + ord(sign) - 65 if sign.isupper() else 0x1D41A + ord(sign) - 97) for sign in FAMILY
)
CYRILLIC = FAMILY.replace("i", "і").replace("s", "ѕ")
DIAGRAM = f'<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:t>{NAME}</a:t></dgm:dataModel>'

SLY_TEXTS: dict[str, Callable[[], bytes]] = {
    "zero-width.txt": text(ZWSP.join(FAMILY)),
    "soft-hyphen.txt": text(FAMILY.replace("q", SHY + "q")),
    "joined.txt": text(ZWJ.join(FAMILY)),
    "fullwidth.txt": text(FULLWIDTH),
    "bold-letters.txt": text(BOLD),
    "cyrillic-letters.txt": text(CYRILLIC),
    "reversed.txt": text(RLO + FAMILY[::-1] + POP),
    "spaced.txt": text(" ".join(FAMILY)),
    "dotted.txt": text(".".join(FAMILY)),
    "utf32.txt": text(NAME, "utf-32"),
    "utf16-no-bom.txt": text(NAME, "utf-16-le"),
    "utf7.txt": text(f"{NAME} ä", "utf-7"),
    "camel.txt": text(f"{GIVEN}{FAMILY}"),
    "snake.txt": text(f"{GIVEN}_{FAMILY}_{NUMBER.replace('-', '')}"),
    "percent.txt": text("https://journal.example/?n=Annika%20Lindqvist&p=19620417%2D2388"),
    "entities.html": page("".join(f"&#x{ord(sign):x};" for sign in FAMILY)),
    "reversed.html": page(f"<bdo dir=rtl>{FAMILY[::-1]}</bdo>"),
    "shy.html": page("Lind&shy;qvist"),
    "wbr.html": page("Lind<wbr>qvist"),
    "tags.html": page("<b>L</b>ind<!-- x -->q<i>vist</i>"),
    "svg.html": page(f"<svg><text>{NAME}</text></svg>"),
    "iframe.html": page(f'<iframe srcdoc="&lt;p&gt;{NAME}&lt;/p&gt;"></iframe>'),
    "textarea.html": page(f"<textarea>{NAME}</textarea>"),
    "title.html": page(f'<abbr title="{NAME}">pat</abbr>'),
    "optional-hyphen.rtf": rtf(r"Lind\-qvist"),
    "unicode.rtf": rtf(r"\uc2 Lind\u113??vist"),
    "split.rtf": rtf(r"{\b Lind}{\i q}vist"),
    "hex.rtf": rtf("".join(rf"\'{ord(sign):02x}" for sign in FAMILY)),
    "picture.rtf": rtf_picture,
    "object.rtf": rtf(rf"{{\object\objemb{{\*\objdata {NAME.encode().hex()}}}}}"),
    "caps.rtf": rtf(rf"\caps {FAMILY.lower()}"),
    "soft-hyphen.docx": word(_run("<w:t>Lind</w:t><w:softHyphen/><w:t>qvist</w:t>")),
    "hyphen.docx": word(_run("<w:t>Lind</w:t><w:noBreakHyphen/><w:t>qvist</w:t>")),
    "runs.docx": word("<w:p>" + "".join(f"<w:r><w:t>{sign}</w:t></w:r>" for sign in FAMILY) + "</w:p>"),
    "control.docx": word(
        f'<w:sdt><w:sdtPr><w:alias w:val="{NAME}"/></w:sdtPr><w:sdtContent>{_run(f"<w:t>{NAME}</w:t>")}</w:sdtContent></w:sdt>'
    ),
    "smart-tag.docx": word(
        f'<w:p><w:smartTag w:element="person"><w:r><w:t>{NAME}</w:t></w:r></w:smartTag></w:p>'
    ),
    "inserted.docx": word(f'<w:p><w:ins w:id="1" w:author="x"><w:r><w:t>{NAME}</w:t></w:r></w:ins></w:p>'),
    "moved.docx": word(f'<w:p><w:moveTo w:id="1" w:author="x"><w:r><w:t>{NAME}</w:t></w:r></w:moveTo></w:p>'),
    "symbols.docx": word(
        _run("".join(f'<w:sym w:font="Symbol" w:char="F0{ord(sign):02X}"/>' for sign in FAMILY))
    ),
    "field.docx": word(
        f'<w:p><w:fldSimple w:instr="AUTHOR"><w:r><w:t>{NAME}</w:t></w:r></w:fldSimple></w:p>'
    ),
    "alternate.docx": word(
        _run(
            f'<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice Requires="wps"><w:t>{NAME}</w:t></mc:Choice><mc:Fallback><w:t>{NAME}</w:t></mc:Fallback></mc:AlternateContent>'
        )
    ),
    "diagram.docx": word(
        "",
        extra={"word/diagrams/data1.xml": DIAGRAM.encode()},
        relations=f'<Relationship Id="d1" Type="{R}/diagramData" Target="diagrams/data1.xml"/>',
    ),
    "chunk.docx": word(
        '<w:altChunk r:id="c1"/>',
        extra={"word/part.html": f"<p>{NAME}</p>".encode()},
        relations=f'<Relationship Id="c1" Type="{R}/aFChunk" Target="part.html"/>',
    ),
    "picture.docx": word(
        '<w:p><w:r><w:drawing><a:blip xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" r:embed="i1"/></w:drawing></w:r></w:p>',
        extra={"word/media/i.png": scans.encoded(drawn(NAME), "PNG")},
        relations=f'<Relationship Id="i1" Type="{R}/image" Target="media/i.png"/>',
    ),
}
