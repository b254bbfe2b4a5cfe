"""Reads the visible text of an open document text (ODT): what was deleted, hidden or annotated is not read.

References
----------
OASIS OpenDocument 1.3 part 3, sections 5 (text), 9 (tables), 10 (graphics), 14 (annotations).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anonymizer.documents.blocks import MAX_COLUMNS, Script
from anonymizer.documents.packed import Package, attribute, local
from anonymizer.documents.unseen_ink import is_tiny, is_white
from anonymizer.documents.values import NotCleanable

_SKIPPED = frozenset({"tracked-changes", "annotation", "annotation-end", "hidden-text", "hidden-paragraph", "sequence-decls", "variable-decls", "user-field-decls", "forms", "desc", "title", "change", "change-start", "change-end", "bookmark", "soft-page-break", "meta", "ruby-text", "script"})  # fmt: skip
_MOST_REPEATED = 60


def read_opentext(content: bytes) -> Script:
    """The blocks of an ODT: page headers first, then the body, then page footers. Raises `NotCleanable`."""
    package = Package(content)
    manifest = package.read("META-INF/manifest.xml")
    if b"encryption-data" in manifest:
        raise NotCleanable("encrypted")
    root = package.xml("content.xml")
    if root is None:
        raise NotCleanable("unreadable")
    styles = package.xml("styles.xml")
    reader = _Reader(package, [tree for tree in (root, styles) if tree is not None])
    for kind in ("header", "header-left", "header-first"):
        reader.masters(styles, kind)
    for body in root.iter():
        if local(body) == "text" and local(body.getparent()) == "body":
            reader.blocks(body)
    for kind in ("footer", "footer-left", "footer-first"):
        reader.masters(styles, kind)
    reader.finish()
    return reader.script


class _Reader:
    def __init__(self, package: Package, trees: list[Any]) -> None:
        self._package = package
        self.script = Script()
        self._notes: list[str] = []
        self._hidden = {
            attribute(style, "name")
            for tree in trees
            for style in tree.iter()
            if local(style) == "style"
            and any(
                attribute(part, "display") == "none" for part in style if local(part) == "text-properties"
            )
        }
        self._numbered = {
            attribute(style, "name")
            for tree in trees
            for style in tree.iter()
            if local(style) == "list-style" and any("number" in local(part) for part in style)
        }

    def masters(self, styles: Any, kind: str) -> None:
        for part in styles.iter() if styles is not None else ():
            if local(part) == kind and local(part.getparent()) == "master-page":
                self.blocks(part)

    def finish(self) -> None:
        for index, note in enumerate(self._notes, start=1):
            self.script.add(f"({index}) {note}", "small")

    def blocks(self, parent: Any, *, depth: int = -1, mark: str = "") -> None:
        for child in parent:
            name = local(child)
            if name in ("p", "h"):
                self._paragraph(child, depth, mark)
                mark = "" if depth < 0 else " "
            elif name == "list":
                self._list(child, depth + 1)
            elif name == "table":
                self._table(child)
            elif name in {"object", "plugin"}:
                self.script.left_out = True
            elif name == "section" and attribute(child, "display") == "none":
                continue
            elif name not in _SKIPPED:
                self.blocks(child, depth=depth, mark=mark)

    def _paragraph(self, element: Any, depth: int, mark: str) -> None:
        boxes: list[Any] = []
        text = "".join(self._inline(element, boxes))
        if attribute(element, "style-name") in self._hidden:
            text = ""
        if local(element) == "h":
            level = attribute(element, "outline-level")
            self.script.add(text, "heading", level=int(level) if level.isdigit() else 1)
        elif depth >= 0:
            self.script.add(text, "item", level=depth, mark=mark.strip())
        else:
            self.script.add(text)
        for box in boxes:
            self._frame(box)

    def _list(self, element: Any, depth: int) -> None:
        numbered = attribute(element, "style-name") in self._numbered
        for index, item in enumerate(
            (one for one in element if local(one) in ("list-item", "list-header")), start=1
        ):
            self.blocks(item, depth=depth, mark=f"{index}." if numbered else "\u2022")

    def _table(self, element: Any) -> None:
        rows: list[list[str]] = []
        pictures: list[bytes] = []
        for row in element.iter():
            if local(row) != "table-row" or next(_above(row, "table")) is not element:
                continue
            cells: list[str] = []
            for cell in row:
                if local(cell) not in ("table-cell", "covered-table-cell"):
                    continue
                inner = _Reader(self._package, [])
                inner._hidden, inner._notes = self._hidden, self._notes
                inner.blocks(cell)
                pictures += [block.content for block in inner.script.blocks if hasattr(block, "content")]
                self.script.left_out |= inner.script.left_out
                repeated = attribute(cell, "number-columns-repeated")
                times = min(int(repeated), MAX_COLUMNS) if repeated.isdigit() else 1
                text = inner.script.text.replace("\t", " \u2502 ")
                cells += [text] * (times if text else min(times, 1))
            repeated = attribute(row, "number-rows-repeated")
            times = min(int(repeated), _MOST_REPEATED) if repeated.isdigit() and any(cells) else 1
            rows += [cells] * times
        self.script.add_table(rows, head=any(local(part) == "table-header-rows" for part in element))
        for picture in pictures:
            self.script.add_picture(picture)

    def _inline(self, parent: Any, boxes: list[Any]) -> Iterator[str]:
        yield parent.text or ""
        for child in parent:
            name = local(child)
            if name == "s":
                count = attribute(child, "c")
                yield " " * min(int(count) if count.isdigit() else 1, 20)
            elif name == "tab":
                yield "\t"
            elif name == "line-break":
                yield "\n"
            elif name == "frame" or name in ("custom-shape", "rect", "g"):
                boxes.append(child)
            elif name == "note":
                body = next((one for one in child if local(one) == "note-body"), ())
                self._notes.append(" ".join("".join(self._inline(one, boxes)) for one in body))
                yield f" ({len(self._notes)})"
            elif name not in _SKIPPED and attribute(child, "style-name") not in self._hidden:
                yield from self._inline(child, boxes)
            yield child.tail or ""

    def _frame(self, frame: Any) -> None:
        image = next((one for one in frame.iter() if local(one) == "image"), None)
        if image is not None:
            target = attribute(image, "href").removeprefix("./")
            content = self._package.read(target) if "Pictures/" in target else b""
            if content:
                self.script.add_picture(content)
            else:
                self.script.left_out = True
            return
        if any(local(one) in ("object", "object-ole", "plugin", "control") for one in frame.iter()):
            self.script.left_out = True
        for box in frame.iter():
            if local(box) in ("text-box", "custom-shape", "rect"):
                self.blocks(box)
                return


def _above(element: Any, name: str) -> Iterator[Any]:
    yield from (one for one in element.iterancestors() if local(one) == name)


def _unseen(properties: Any) -> bool:
    """Text that is switched off, white on nothing coloured, or too small (OpenDocument 1.3 part 3, 20.188, 20.191, 20.196)."""
    white = is_white(attribute(properties, "color"))
    ground = attribute(properties, "background-color")
    return (
        attribute(properties, "display") == "none"
        or (white and (not ground or is_white(ground)))
        or is_tiny(attribute(properties, "font-size"))
    )
