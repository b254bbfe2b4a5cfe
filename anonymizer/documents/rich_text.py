r"""Reads the visible text of a rich text file (RTF): hidden and deleted text, comments and information are not read.

References
----------
Rich Text Format Specification 1.9.1: destinations, character sets (``\\ansicpg``, ``\\fcharset``), Unicode (``\\u``, ``\\uc``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from anonymizer.documents.blocks import Script
from anonymizer.documents.unseen_ink import LEAST_POINTS
from anonymizer.documents.values import NotCleanable

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
_MOST_DEPTH = 400
#: Destinations whose content no reader sees on the page.
_SKIPPED = frozenset(["fonttbl", "colortbl", "stylesheet", "listtable", "listoverridetable", "revtbl", "rsidtbl", "generator", "info", "xmlnstbl", "themedata", "colorschememapping", "latentstyles", "datastore", "pict", "objdata", "objclass", "objname", "annotation", "atnid", "atnauthor", "atntime", "atnicn", "atnref", "atnparent", "atrfstart", "atrfend", "fldinst", "bkmkstart", "bkmkend", "filetbl", "datafield", "formfield", "private", "xe", "tc", "tcn", "rxe", "userprops", "docvar", "mmathPr", "wgrffmtfilter", "pgptbl", "ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "shppict", "nonshppict", "sp", "sn", "sv", "picprop", "blipuid", "mailmerge", "protusertbl", "passwordhash", "falt", "panose", "template", "title", "author", "operator", "keywords", "company", "manager", "category", "comment", "doccomm", "hlinkbase", "listname", "listtext", "pntext"])  # fmt: skip
_KEPT_LATER = (
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
    "footnote",
)
_LEFT_OUT = frozenset({"pict", "objdata", "object"})
_SIGNS = {"tab": "\t", "line": "\n", "emdash": "\u2014", "endash": "\u2013", "emspace": " ", "enspace": " ", "bullet": "\u2022", "lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d", "lbr": "\n", "softline": "\n"}  # fmt: skip
_CHARSETS = {0: "cp1252", 2: "cp1252", 77: "mac-roman", 128: "cp932", 129: "cp949", 134: "gbk", 136: "big5", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _State:
    skipped: bool = False
    hidden: bool = False
    deleted: bool = False
    tiny: bool = False
    white: bool = False
    in_table: bool = False
    uc: int = 1
    code_page: str = "cp1252"


def read_rich_text(content: bytes) -> Script:
    """The blocks of an RTF. Raises `NotCleanable`."""
    reader = _Reader()
    reader.read(content)
    return reader.script()


class _Reader:
    def __init__(self) -> None:
        self._body, self._notes = Script(), Script()
        self._state = _State()
        self._stack: list[_State] = []
        self._fonts: dict[int, str] = {}
        self._font = -1
        self._font_depth = 0
        self._colour_depth = 0
        self._colour: dict[str, int] = {}
        self._colours = 0
        self._white: set[int] = set()
        self._default = "cp1252"
        self._text: list[str] = []
        self._bytes = bytearray()
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._skip = 0
        self._note_depth: list[tuple[int, list[str]]] = []
        self._outline = 0

    def script(self) -> Script:
        self._paragraph()
        self._end_table()
        self._body.extend(self._notes)
        return self._body

    def read(self, content: bytes) -> None:
        at = 0
        while at < len(content):
            token = _TOKEN.match(content, at)
            if token is None:
                at += 1
                continue
            at = token.end()
            word, number, code, sign, brace, plain = token.groups()
            if word:
                at = self._word(word.decode("ascii"), int(number) if number else None, content, at)
            elif code:
                self._sign_byte(bytes([int(code, 16)]))
            elif sign:
                self._symbol(sign)
            elif brace:
                self._brace(brace)
            elif plain:
                self._plain(plain)

    # -- groups and text --------------------------------------------------------------------------------------------
    def _brace(self, brace: bytes) -> None:
        self._flush()
        if brace == b"{":
            if len(self._stack) >= _MOST_DEPTH:
                raise NotCleanable("too_deep")
            self._stack.append(self._state)
            return
        if self._note_depth and self._note_depth[-1][0] == len(self._stack):
            _, outer = self._note_depth.pop()
            self._notes.add("".join(self._text), "small")
            self._text = outer
        if self._font_depth == len(self._stack):
            self._font_depth = 0
        if self._colour_depth == len(self._stack):
            self._colour_depth = 0
        if self._stack:
            self._state = self._stack.pop()

    def _plain(self, raw: bytes) -> None:
        for _ in range(raw.count(b";") if self._colour_depth else 0):
            if set(self._colour.values()) == {255} and len(self._colour) == 3:
                self._white.add(self._colours)
            self._colours += 1
            self._colour = {}
        if self._skip:
            cut = min(self._skip, len(raw))
            raw, self._skip = raw[cut:], self._skip - cut
        if raw and self._shown():
            self._bytes += raw

    def _sign_byte(self, raw: bytes) -> None:
        if self._skip:
            self._skip -= 1
        elif self._shown():
            self._bytes += raw

    def _symbol(self, sign: bytes) -> None:
        if sign == b"*":
            self._state = replace(self._state, skipped=True)
        elif sign == b"~":
            self._say("\u00a0")
        elif sign == b"_":
            self._say("-")
        elif sign in (b"\n", b"\r"):
            self._paragraph()
        elif sign in (b"\\", b"{", b"}"):
            self._plain(sign)

    def _shown(self) -> bool:
        state = self._state
        return not (state.skipped or state.hidden or state.deleted or state.tiny or state.white)

    def _flush(self) -> None:
        """Decode the bytes that have gathered: double-byte signs come in two tokens."""
        if self._bytes:
            self._text.append(bytes(self._bytes).decode(self._state.code_page, "replace"))
            self._bytes.clear()

    def _say(self, text: str) -> None:
        self._flush()
        if self._shown():
            self._text.append(text)

    # -- control words ------------------------------------------------------------------------------------------------
    def _word(self, word: str, number: int | None, content: bytes, at: int) -> int:
        self._flush()
        if word == "bin":
            self._body.left_out = True
            return at + max(0, number or 0)
        if word == "u" and number is not None:
            self._unicode(number)
        elif word == "uc":
            self._state = replace(self._state, uc=min(max(0, number or 0), 16))
        elif word in _KEPT_LATER:
            self._state = replace(self._state, skipped=False)
            self._note_depth.append((len(self._stack), self._text))
            self._text = []
        elif word in _SKIPPED:
            self._body.left_out = self._body.left_out or word in _LEFT_OUT
            self._font_depth = len(self._stack) if word == "fonttbl" else self._font_depth
            self._colour_depth = len(self._stack) if word == "colortbl" else self._colour_depth
            self._state = replace(self._state, skipped=True)
        elif word in _SIGNS:
            self._say(_SIGNS[word])
        elif not self._look(word, number):
            self._break(word)
        return at

    def _look(self, word: str, number: int | None) -> bool:
        """Words that change how letters look; false for any other."""
        if word in ("v", "webhidden"):
            self._state = replace(self._state, hidden=number != 0)
        elif word == "deleted":
            self._state = replace(self._state, deleted=number != 0)
        elif word == "plain":
            self._state = replace(
                self._state, hidden=False, deleted=False, tiny=False, white=False, code_page=self._default
            )
        elif word in ("fs", "cf"):
            self._ink(word, number or 0)
        elif word in ("red", "green", "blue") and self._colour_depth:
            self._colour[word] = number or 0
        elif word == "outlinelevel":
            self._outline = min((number or 0) + 1, 6)
        elif word == "intbl":
            self._state = replace(self._state, in_table=True)
        elif word == "object":
            self._body.left_out = True
        else:
            return self._letters(word, number)
        return True

    def _letters(self, word: str, number: int | None) -> bool:
        """Words that change how bytes become letters; false for any other."""
        if word == "ansicpg":
            self._default = _known_page(f"cp{number}", self._default)
            self._state = replace(self._state, code_page=self._default)
        elif word in ("mac", "pc", "pca"):
            self._default = {"mac": "mac-roman", "pc": "cp437", "pca": "cp850"}[word]
            self._state = replace(self._state, code_page=self._default)
        elif word == "f" and number is not None:
            self._font = number
            if not self._font_depth:
                self._state = replace(self._state, code_page=self._fonts.get(number, self._default))
        elif word == "fcharset" and self._font_depth:
            # Charset 0 is ANSI, which is whatever the document's own code page is.
            self._fonts[self._font] = _CHARSETS.get(number or 0, self._default) if number else self._default
        else:
            return False
        return True

    def _ink(self, word: str, number: int) -> None:
        """Letters of a few half-points, or in a colour of the table that is white, are not seen."""
        if word == "fs":
            self._state = replace(self._state, tiny=0 < number < 2 * LEAST_POINTS)
        else:
            self._state = replace(self._state, white=number in self._white)

    def _unicode(self, number: int) -> None:
        code = number + 65536 if number < 0 else number
        sign = chr(code) if code < 0x110000 else "\ufffd"
        if (
            0xDC00 <= code < 0xE000
            and self._text
            and len(self._text[-1]) == 1
            and "\ud800" <= self._text[-1] < "\udc00"
        ):
            if self._shown():
                self._text[-1] = (
                    (self._text[-1] + sign).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                )
        else:
            self._say(sign)
        self._skip = self._state.uc

    # -- paragraphs and tables ----------------------------------------------------------------------------------------
    def _break(self, word: str) -> None:
        if word in ("par", "sect", "page", "column"):
            self._paragraph()
        elif word == "pard":
            self._state = replace(self._state, in_table=False)
            self._outline = 0
        elif word in ("cell", "nestcell"):
            self._cells.append(_whole("".join(self._text)))
            self._text = []
        elif word in ("row", "nestrow"):
            self._rows.append(self._cells)
            self._cells = []

    def _paragraph(self) -> None:
        self._flush()
        if self._note_depth or self._state.in_table:
            self._text.append("\n")
            return
        text = _whole("".join(self._text))
        self._text = []
        if text.strip():
            self._end_table()
            if self._outline:
                self._body.add(text, "heading", level=self._outline)
            else:
                self._body.add(text)

    def _end_table(self) -> None:
        if self._cells:
            self._rows.append(self._cells)
        if self._rows:
            self._body.add_table(self._rows)
        self._rows, self._cells = [], []


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _known_page(name: str, otherwise: str) -> str:
    try:
        b"".decode(name)
    except LookupError:
        return "utf-8" if name == "cp65001" else otherwise
    return name
