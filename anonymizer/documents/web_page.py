"""Reads the visible text of a web page (HTML): scripts, comments, attributes and hidden parts are not read.

References
----------
HTML Living Standard, section 15.3.1 (hidden elements).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from lxml import etree, html

from anonymizer.documents.blocks import Script
from anonymizer.documents.packed import bounded
from anonymizer.documents.plain import SINGLE_BYTE, decoded
from anonymizer.documents.unseen_ink import is_tiny, is_white
from anonymizer.documents.values import NotCleanable

_SKIPPED = frozenset({"script", "style", "head", "template", "noscript", "iframe", "frame", "object", "embed", "applet", "svg", "math", "canvas", "audio", "video", "input", "select", "textarea", "button", "datalist", "map", "link", "meta", "title", "noframes", "rp", "rt"})  # fmt: skip
_LEFT_OUT = frozenset({"iframe", "frame", "object", "embed", "applet", "svg", "canvas", "audio", "video", "input", "select", "textarea"})  # fmt: skip
_BLOCKS = frozenset({"p", "div", "section", "article", "main", "header", "footer", "aside", "nav", "body", "html", "blockquote", "pre", "address", "figure", "figcaption", "form", "fieldset", "legend", "details", "summary", "dl", "dt", "dd", "ul", "ol", "li", "center", "hr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "caption"})  # fmt: skip
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])|"
    r"(?:max-)?(?:height|width)\s*:\s*0(?:px|em|pt|%)?\s*(?:;|$)|(?:left|top|text-indent|margin-left)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_\-]{2,30})""", re.IGNORECASE)
_DATA = re.compile(r"\s*data:image/[\w.+\-]+;base64,", re.IGNORECASE)


def read_web_page(content: bytes) -> Script:
    """The blocks of a web page. Raises `NotCleanable`."""
    return read_markup(_text(content))


def read_markup(text: str) -> Script:
    """The blocks of HTML that is text already."""
    parser = html.HTMLParser(
        remove_comments=True, remove_pis=True, no_network=True, huge_tree=False, encoding="utf-8"
    )
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError) as error:
        raise NotCleanable("unreadable") from error
    bounded(root)
    reader = _Reader()
    reader.block(root)
    reader.end()
    return reader.script


def _text(content: bytes) -> str:
    """Decode by mark or evidence, then by what the page says of itself; a single-byte page may lie in either."""
    read = decoded(content)
    if read is None:
        raise NotCleanable("not_text")
    named = _CHARSET.search(content[:4096])
    if read.certain or named is None or named[1].decode("ascii").lower() not in (*SINGLE_BYTE, "windows-1252", "windows-1250", "windows-1251", "windows-1254", "iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-9", "iso-8859-15"):  # fmt: skip
        return read.text
    return content.decode(named[1].decode("ascii"), "replace")


class _Reader:
    def __init__(self) -> None:
        self.script = Script()
        self._line: list[str] = []
        self._style: tuple[str, int, str] = ("plain", 0, "")
        self._pre = False

    def end(self) -> None:
        """Close the paragraph that is being read."""
        text = "".join(self._line)
        self._line = []
        style, level, mark = self._style
        self.script.add(text, style, level=level, mark=mark)  # type: ignore[arg-type]  # only styles of our own
        if mark:
            self._style = (style, level, "")

    def block(self, element: Any, *, depth: int = -1) -> None:
        self._say(element.text)
        counter = 0
        for child in element:
            name = child.tag if isinstance(child.tag, str) else ""
            if not name or name in _SKIPPED or _hidden(child):
                self.script.left_out |= name in _LEFT_OUT
            elif name == "br":
                self._line.append("\n")
            elif name == "img":
                self._image(child)
            elif name == "table":
                self.end()
                self._table(child)
            elif name in _BLOCKS:
                counter += name == "li"
                self._own_block(child, name, element.tag, depth, counter)
            else:
                self.block(child, depth=depth)
            self._say(child.tail)

    def _own_block(self, child: Any, name: str, parent: str, depth: int, counter: int) -> None:
        self.end()
        held = self._style, self._pre
        if re.fullmatch(r"h[1-6]", name):
            self._style = ("heading", int(name[1]), "")
        elif name == "li":
            self._style = ("item", max(depth, 0), f"{counter}." if parent == "ol" else "\u2022")
        self._pre = self._pre or name == "pre"
        self.block(child, depth=depth + 1 if name in ("ul", "ol") else depth)
        self.end()
        self._style, self._pre = held

    def _say(self, text: str | None) -> None:
        if text:
            self._line.append(text if self._pre else re.sub(r"[ \t\r\n\f]+", " ", text))

    def _image(self, element: Any) -> None:
        source = element.get("src") or ""
        match = _DATA.match(source)
        if not match:
            self.script.left_out = True
            return
        try:
            content = base64.b64decode(source[match.end() :].encode("ascii", "replace"), validate=False)
        except (binascii.Error, ValueError):
            self.script.left_out = True
            return
        self.end()
        self.script.add_picture(content)

    def _table(self, table: Any) -> None:
        rows: list[list[str]] = []
        pictures: list[bytes] = []
        head = False
        for row in table.iter("tr"):
            if next(row.iterancestors("table"), None) is not table or _hidden(row):
                continue
            cells: list[str] = []
            for cell in row:
                if cell.tag not in ("td", "th") or _hidden(cell):
                    continue
                inner = _Reader()
                inner.block(cell)
                inner.end()
                cells.append(inner.script.text.replace("\t", " \u2502 "))
                pictures += [one.content for one in inner.script.blocks if hasattr(one, "content")]
                self.script.left_out |= inner.script.left_out
            head = head or (not rows and len(row) > 0 and all(cell.tag == "th" for cell in row))
            rows.append(cells)
        for caption in table.iter("caption"):
            self.script.add(" ".join(caption.itertext()))
        self.script.add_table(rows, head=head)
        for picture in pictures:
            self.script.add_picture(picture)


def _hidden(element: Any) -> bool:
    style = element.get("style") or ""
    return (
        element.get("hidden") is not None
        or (element.get("aria-hidden") or "").lower() == "true"
        or bool(_HIDING.search(style))
        or _unseen(element, style)
    )


def _unseen(element: Any, style: str) -> bool:
    """White letters with no ground of their own in sight, or letters too small to be read."""
    told = {
        name.strip().lower(): value.replace("!important", "").strip()
        for name, _, value in (part.partition(":") for part in style.split(";"))
    }
    if is_tiny(told.get("font-size", "")):
        return True
    if not is_white(told.get("color") or element.get("color") or ""):
        return False
    around = " ".join(
        (one.get("style") or "") + (one.get("bgcolor") or "") for one in (element, *element.iterancestors())
    )
    return not re.search(
        r"background|#[0-9a-f]{3,6}", around.replace(told.get("color", "#fff"), ""), re.IGNORECASE
    )
