"""Reads the visible text of a word processor's file (DOCX): what was deleted, hidden, commented or linked is not read.

References
----------
ISO/IEC 29500-1 section 17 (WordprocessingML).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import Any

from anonymizer.documents.blocks import Script
from anonymizer.documents.packed import Package, attribute, local
from anonymizer.documents.unseen_ink import LEAST_POINTS, is_white
from anonymizer.documents.values import NotCleanable

_SKIPPED = frozenset({"del", "moveFrom", "instrText", "delText", "delInstrText", "Fallback", "rPr", "pPr", "sectPr", "commentReference", "annotationRef", "sdtPr", "sdtEndPr", "tblPr", "tblGrid", "trPr", "tcPr", "ruby"})  # fmt: skip
_LEFT_OUT = frozenset({"object", "altChunk", "chart", "relIds", "control", "subDoc", "contentPart", "movie"})
_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "sym": "\u2022"}
_FRAMES = frozenset({"rPr", "pPr", "tcPr", "tblPr"})
_ON = ("", "1", "true", "on")


def read_word(content: bytes) -> Script:
    """The blocks of a DOCX: headers first, then the body, then notes, then footers. Raises `NotCleanable`."""
    package = Package(content)
    main = _main_part(package)
    return _Reader(package, main).script()


def _main_part(package: Package) -> str:
    relations = package.xml("_rels/.rels")
    if relations is not None:
        for relation in relations:
            if attribute(relation, "Type").endswith("/officeDocument"):
                return attribute(relation, "Target").lstrip("/")
    return "word/document.xml"


class _Reader:
    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._main = main
        self._script = Script()
        self._hidden_styles: set[str] = set()
        self._headings: dict[str, int] = {}
        self._numbers: dict[tuple[str, int], str] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._related: dict[str, str] = {}
        self._notes: list[tuple[str, str]] = []

    def script(self) -> Script:
        root = self._package.xml(self._main)
        if root is None:
            raise NotCleanable("unreadable")
        self._styles()
        self._numbering()
        parts = sorted(
            name for name in self._package.names() if name.startswith(posixpath.dirname(self._main))
        )
        for part in parts:
            if posixpath.basename(part).startswith("header") and part.endswith(".xml"):
                self._part(part)
        self._part(self._main)
        for kind in ("footnotes", "endnotes"):
            self._note_part(kind)
        for part in parts:
            if posixpath.basename(part).startswith("footer") and part.endswith(".xml"):
                self._part(part)
        return self._script

    def _part(self, name: str) -> None:
        root = self._package.xml(name)
        if root is None:
            return
        self._relations(name)
        body = next((child for child in root if local(child) == "body"), root)
        self._blocks(body)

    def _relations(self, name: str) -> None:
        folder, base = posixpath.split(name)
        relations = self._package.xml(f"{folder}/_rels/{base}.rels")
        self._related = {
            attribute(relation, "Id"): posixpath.normpath(
                posixpath.join(folder, attribute(relation, "Target"))
            ).lstrip("/")
            for relation in (relations if relations is not None else ())
            if attribute(relation, "TargetMode") != "External"
        }

    def _styles(self) -> None:
        root = self._package.xml(posixpath.join(posixpath.dirname(self._main), "styles.xml"))
        for style in root if root is not None else ():
            if local(style) != "style":
                continue
            ident = attribute(style, "styleId")
            if any(_hides(part) for part in style.iter() if local(part) == "rPr"):
                self._hidden_styles.add(ident)
            for part in style.iter():
                if local(part) == "outlineLvl" and attribute(part, "val").isdigit():
                    self._headings[ident] = min(int(attribute(part, "val")) + 1, 6)
                elif local(part) == "name" and attribute(part, "val").lower() == "title":
                    self._headings[ident] = 1

    def _numbering(self) -> None:
        root = self._package.xml(posixpath.join(posixpath.dirname(self._main), "numbering.xml"))
        kinds: dict[tuple[str, int], str] = {}
        for part in root if root is not None else ():
            if local(part) == "abstractNum":
                for level in part:
                    if local(level) == "lvl" and attribute(level, "ilvl").isdigit():
                        form = next((attribute(one, "val") for one in level if local(one) == "numFmt"), "")
                        kinds[attribute(part, "abstractNumId"), int(attribute(level, "ilvl"))] = form
            elif local(part) == "num":
                base = next((attribute(one, "val") for one in part if local(one) == "abstractNumId"), "")
                for (abstract, level), form in kinds.items():
                    if abstract == base:
                        self._numbers[attribute(part, "numId"), level] = form

    # -- blocks ---------------------------------------------------------------------------------------------------
    def _blocks(self, parent: Any) -> None:
        for child in parent:
            name = local(child)
            if name == "p":
                self._paragraph(child)
            elif name == "tbl":
                self._table(child)
            elif name in _LEFT_OUT:
                self._script.left_out = True
            elif name not in _SKIPPED:  # content controls, tracked insertions, choices: what is inside counts
                self._blocks(child)

    def _paragraph(self, paragraph: Any) -> None:
        style, level, mark = self._look(paragraph)
        boxes: list[Any] = []
        text = "".join(self._inline(paragraph, boxes, hidden=False))
        if style in self._hidden_styles:
            text = ""
        if style in self._headings:
            self._script.add(text, "heading", level=self._headings[style])
        elif mark:
            self._script.add(text, "item", level=level, mark=mark)
        else:
            self._script.add(text)
        for box in boxes:
            if isinstance(box, bytes):
                self._script.add_picture(box)
            else:
                self._blocks(box)

    def _look(self, paragraph: Any) -> tuple[str, int, str]:
        properties = next((child for child in paragraph if local(child) == "pPr"), ())
        style = next((attribute(one, "val") for one in properties if local(one) == "pStyle"), "")
        numbered = next((one for one in properties if local(one) == "numPr"), None)
        if numbered is None:
            return style, 0, "\u2022" if style.lower().startswith("listbullet") else ""
        told = {local(one): attribute(one, "val") for one in numbered}
        level = int(told["ilvl"]) if told.get("ilvl", "").isdigit() else 0
        key = told.get("numId", ""), level
        if self._numbers.get(key, "bullet") in ("bullet", "none"):
            return style, level, "\u2022"
        self._counts[key] = self._counts.get(key, 0) + 1
        return style, level, f"{self._counts[key]}."

    def _table(self, table: Any) -> None:
        rows: list[list[str]] = []
        pictures: list[bytes] = []
        for row in _named(table, "tr"):
            cells: list[str] = []
            for cell in _named(row, "tc"):
                inner = _Reader(self._package, self._main)
                inner._related, inner._hidden_styles = self._related, self._hidden_styles
                inner._blocks(cell)
                cells.append(inner._script.text.replace("\t", " \u2502 "))
                pictures += [block.content for block in inner._script.blocks if hasattr(block, "content")]
                self._script.left_out |= inner._script.left_out
                self._notes += inner._notes
            rows.append(cells)
        head = len(rows) > 1 and any(local(part) == "tblHeader" for part in table.iter())
        self._script.add_table(rows, head=head)
        for picture in pictures:
            self._script.add_picture(picture)

    # -- runs -----------------------------------------------------------------------------------------------------
    def _inline(self, parent: Any, boxes: list[Any], *, hidden: bool) -> Iterator[str]:
        for child in parent:
            name = local(child)
            if name == "r":
                yield from self._inline(child, boxes, hidden=hidden or self._invisible(child))
            elif name == "t":
                yield "" if hidden else child.text or ""
            elif name in _SIGNS:
                yield _SIGNS[name]
            elif name in ("footnoteReference", "endnoteReference"):
                self._notes.append((name.removesuffix("Reference") + "s", attribute(child, "id")))
                yield f" ({len(self._notes)})"
            elif name == "txbxContent":
                boxes += [] if hidden else [child]
            elif name in ("blip", "imagedata"):
                boxes += self._picture(child)
            elif name in _LEFT_OUT:
                self._script.left_out = True
            elif name not in _SKIPPED:
                yield from self._inline(child, boxes, hidden=hidden)

    def _invisible(self, run: Any) -> bool:
        properties = next((one for one in run if local(one) == "rPr"), None)
        if properties is None:
            return False
        return _hides(properties) or self._styled_away(properties) or _unseen(run, properties)

    def _styled_away(self, properties: Any) -> bool:
        return any(
            local(one) == "rStyle" and attribute(one, "val") in self._hidden_styles for one in properties
        )

    def _picture(self, element: Any) -> Iterable[bytes]:
        target = self._related.get(attribute(element, "embed") or attribute(element, "id"), "")
        content = self._package.read(target) if target else b""
        if not content:
            self._script.left_out = True
            return ()
        return (content,)

    def _note_part(self, kind: str) -> None:
        wanted = {ident: index for index, (of, ident) in enumerate(self._notes, start=1) if of == kind}
        name = posixpath.join(posixpath.dirname(self._main), f"{kind}.xml")
        root = self._package.xml(name) if wanted else None
        if root is None:
            return
        self._relations(name)
        for note in root:
            index = wanted.get(attribute(note, "id"))
            if index is not None:
                boxes: list[Any] = []
                text = " ".join(
                    "".join(self._inline(one, boxes, hidden=False))
                    for one in note.iter()
                    if local(one) == "p"
                )
                self._script.add(f"({index}) {text}", "small")


def _named(parent: Any, name: str) -> Iterator[Any]:
    """Children of a name, also inside content controls and tracked insertions."""
    for child in parent:
        if local(child) == name:
            yield child
        elif local(child) in ("sdt", "sdtContent", "ins", "customXml", "smartTag", "moveTo"):
            yield from _named(child, name)


def _hides(properties: Any) -> bool:
    return any(
        local(one) in ("vanish", "webHidden", "specVanish") and attribute(one, "val").lower() in _ON
        for one in properties
    )


def _unseen(run: Any, properties: Any) -> bool:
    """White letters on nothing coloured, or letters of a few half-points (17.3.2.6, 17.3.2.38)."""
    told = {local(one): attribute(one, "val") for one in properties}
    if told.get("sz", "").isdigit() and int(told["sz"]) / 2 < LEAST_POINTS:
        return True
    if not is_white(told.get("color", "")) or "highlight" in told:
        return False
    around = [run, *run.iterancestors()]
    fills = (attribute(one, "fill") for part in around for frame in part if local(frame) in _FRAMES for one in frame if local(one) == "shd")  # fmt: skip
    return not any(fill and fill.lower() != "auto" and not is_white(fill) for fill in fills)
