"""The documents of the corpus: which letter, in which kind, under which file name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.corpus.paper import office, pdfs, photos, plain, scans
from tests.corpus.paper.hidden import Hidden
from tests.corpus.paper.letters import Letter

Writer = Callable[[Letter, Hidden], bytes]

MAY_BE_HELD = frozenset({"eml", "hl7"})
"""Kinds that no form of the exchange promises to clean; holding one with a reason is an answer."""
WRITERS: dict[str, tuple[str, Writer]] = {
    "txt": ("txt", plain.text_in("utf-8")),
    "txt-crlf-bom": ("txt", plain.text_in("utf-8-sig", line_end="\r\n")),
    "txt-latin1": ("txt", plain.text_in("cp1252")),
    "txt-utf16": ("txt", plain.text_in("utf-16")),
    "txt-cp1250": ("txt", plain.text_in("cp1250")),
    "txt-cp1251": ("txt", plain.text_in("cp1251")),
    "txt-broken": ("txt", plain.broken_lines),
    "html": ("html", plain.page),
    "cda": ("xml", plain.cda),
    "eml": ("eml", plain.mail),
    "hl7": ("hl7", plain.hl7),
    "docx": ("docx", office.docx),
    "odt": ("odt", office.odt),
    "rtf": ("rtf", office.rtf),
    "pdf": ("pdf", pdfs.text),
    "pdf-forms": ("pdf", pdfs.forms),
    "pdf-spread": ("pdf", pdfs.spread),
    "pdf-annotated": ("pdf", pdfs.annotated),
    "pdf-layers": ("pdf", pdfs.layered),
    "pdf-revised": ("pdf", pdfs.revised),
    "pdf-cda": ("pdf", pdfs.carrying_cda),
    "pdf-mixed": ("pdf", pdfs.mixed),
    "scan": ("pdf", pdfs.scanned(scans.CLEAN)),
    "scan-skewed": ("pdf", pdfs.scanned(scans.SKEWED)),
    "scan-noisy": ("pdf", pdfs.scanned(scans.NOISY)),
    "scan-faint": ("pdf", pdfs.scanned(scans.FAINT)),
    "scan-turned": ("pdf", pdfs.scanned(scans.TURNED)),
    "scan-page-turn": ("pdf", pdfs.scanned(scans.TURNED, page_turn=90)),
    "jpeg": ("jpg", photos.jpeg),
    "jpeg-turned": ("jpg", photos.jpeg_turned),
    "jpeg-label": ("jpg", photos.jpeg_label),
    "png": ("png", photos.png),
    "tiff": ("tif", photos.tiff),
    "heic": ("heic", photos.heic),
}
PLAN = """
sv referral  pdf txt-latin1 docx scan-skewed jpeg html hl7
sv discharge pdf-annotated rtf txt-utf16 odt scan
sv pathology cda pdf-revised png txt-broken jpeg-label
en referral  docx pdf-layers html txt scan-noisy heic eml
en discharge pdf-mixed odt txt-crlf-bom jpeg-turned cda
en radiology pdf-cda rtf tiff scan-faint
de referral  pdf-spread docx txt-latin1 scan-turned tiff
de discharge pdf-forms rtf html cda png
fr referral  pdf-layers docx txt scan jpeg
fr discharge pdf-forms odt rtf html scan-page-turn
es referral  pdf-annotated txt-latin1 docx scan-skewed png
es discharge pdf-revised rtf cda html jpeg-label
pl referral  pdf txt-cp1250 docx scan jpeg
pl discharge pdf-spread odt rtf cda tiff
fi referral  pdf-cda html docx scan-noisy heic
fi discharge pdf-mixed txt-utf16 rtf odt png
ru discharge pdf txt-cp1251 docx rtf scan
tr discharge pdf-annotated txt docx html scan
ar discharge txt-utf16 docx html cda scan
"""
QUICK = """
sv referral  pdf txt-latin1 docx
sv pathology jpeg-label
en discharge cda
en radiology rtf
de discharge pdf-forms
de referral  txt-latin1
fr discharge odt html
es discharge pdf-revised
pl referral  txt-cp1250
fi discharge txt-utf16
fi referral  scan
"""
"""The slice that every change is judged by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One document of the corpus."""

    case: str
    letter: str
    kind: str
    file_name: str

    @property
    def writer(self) -> Writer:
        return WRITERS[self.kind][1]


def documents(*, quick: bool = False) -> list[Planned]:
    """Every document of the plan, or of the slice, in order. Every seventh is named after its patient's number."""
    planned: list[Planned] = []
    for row in (QUICK if quick else PLAN).split("\n"):
        if not row:
            continue
        case, name, *kinds = row.split()
        for kind in kinds:
            serial = sum(1 for one in planned if one.case == case) + 1
            stem = f"{serial:02d}-{name}-{kind}"
            planned.append(
                Planned(case=case, letter=f"{case}-{name}", kind=kind, file_name=f"{stem}.{WRITERS[kind][0]}")
            )
    return planned
