"""Takes words out of three-dimensional models (STL, Wavefront OBJ and MTL); it never moves a point.

References
----------
PS3.3 A.85 (Encapsulated STL), A.100 (OBJ), A.101 (MTL).
"""

from __future__ import annotations

import re
import struct

from anonymizer.cleaner import Cleaner

HEADER, FACET = 80, 50
#: OBJ and MTL statements that carry words of the author's own (names and files); the others are numbers.
WORDY = frozenset(
    {"o", "g", "usemtl", "mtllib", "newmtl", "maplib", "usemap", "call", "csh", "shadow_obj", "trace_obj"}
)
#: The other statements: numbers, indices ("3/1/2") and a few words of the format's own.
STATEMENTS = frozenset("v vt vn vp p l f s mg cstype deg bmat step curv curv2 surf parm trim hole scrv sp end con bevel c_interp d_interp lod ctech stech bsp bzp cdc cdp res Ka Kd Ks Ke Tf Tr Ns Ni Pr Pm Ps Pc Pcr d illum sharpness aniso anisor".split())  # noqa: SIM905  # fmt: skip
_NUMBER = r"[+-]?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:[eE][+-]?\d{1,4})?"
_VALUE = rf"(?:-?\d{{1,12}}(?:/-?\d{{0,12}}){{1,2}}|{_NUMBER}|on|off|rat|bmatrix|bezier|bspline|cardinal|taylor|u|v|xyz|-halo|cparma|cparmb|cspace|curv)"
_STATED = re.compile(rf"\s*[A-Za-z_0-9]+(?:\s+{_VALUE}(?=\s|$))*", re.ASCII)
_PICTURE = re.compile(r"map_[A-Za-z]{1,8}|(?:map_)?[Bb]ump|disp|decal|refl|norm", re.ASCII)
_GOES_ON = re.compile(r"\\[ \t]*\r?\n")
_LONG = re.compile(r"(?<![\d.])\d{8,}(?![\d.])", re.ASCII)
#: The lines of an ASCII STL between the two that name it.
_FACET = re.compile(
    rf"\s*(?:facet\s+normal(?:\s+{_NUMBER}){{3}}|outer\s+loop|vertex(?:\s+{_NUMBER}){{3}}|endloop|endfacet)(?=\s|$)",
    re.IGNORECASE | re.ASCII,
)


def clean_stl(content: bytes, cleaner: Cleaner) -> bytes | None:
    """A binary STL with an empty header, or an ASCII one without names; None when it is neither."""
    if len(content) >= HEADER + 4:
        (count,) = struct.unpack_from("<L", content, HEADER)
        size = HEADER + 4 + count * FACET
        if size <= len(content) and len(content) - size <= 1:
            return bytes(HEADER) + _plain_facets(content[HEADER:size], count, cleaner)
    text = _text(content)
    if text is None or not text.lstrip().lower().startswith("solid"):
        if len(content) >= HEADER + 4 and HEADER + 4 < size <= len(content):  # bytes after the last facet
            return bytes(HEADER) + _plain_facets(content[HEADER:size], count, cleaner)
        return None
    lines = []
    for line in text.splitlines():
        word = line.strip().split(" ", 1)[0].lower()
        if word in {"solid", "endsolid"}:
            lines.append(word)
        elif (stated := _FACET.match(line)) and not _is_somebodys(stated.group(), cleaner):
            lines.append(stated.group())
    return ("\n".join(lines) + "\n").encode("ascii", "replace")


def _plain_facets(body: bytes, count: int, cleaner: Cleaner) -> bytes:
    """The facets; their two spare bytes (colour, by some) are cleared when they spell something known."""
    spare = (
        b"".join(body[4 + at * FACET + 48 : 4 + at * FACET + 50] for at in range(count))
        if count < 1 << 22
        else b""
    )
    if not cleaner.needles.any_in(spare) and not cleaner.known_left(spare[:4096].decode("latin-1")):
        return body
    clear = bytearray(body)
    for at in range(count):
        clear[4 + at * FACET + 48 : 4 + at * FACET + 50] = b"\0\0"
    return bytes(clear)


def clean_obj(content: bytes, cleaner: Cleaner) -> bytes | None:
    return _cleaned_lines(content, cleaner)


def clean_mtl(content: bytes, cleaner: Cleaner) -> bytes | None:
    return _cleaned_lines(content, cleaner)


def _cleaned_lines(content: bytes, cleaner: Cleaner) -> bytes | None:
    """Statements up to their last number; comments, names and file names cleaned; what is no statement is dropped."""
    text = _text(content)
    if text is None:
        return None
    lines = []
    for line in _GOES_ON.sub(" ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word.startswith("#"):
            lines.append("#" + cleaner.clean(line.strip()[1:])[0])
        elif word in WORDY or _PICTURE.fullmatch(word):
            lines.append(f"{word} {_one_word(rest, cleaner)}")
        elif not word:
            lines.append("")
        elif (
            word in STATEMENTS
            and (stated := _STATED.match(line))
            and not _is_somebodys(stated.group(), cleaner)
        ):
            lines.append(stated.group().rstrip())
    return ("\n".join(lines) + "\n").encode("utf-8")


def _is_somebodys(numbers: str, cleaner: Cleaner) -> bool:
    """Whether a number is written like somebody's: points have fewer digits before their decimals."""
    return any(cleaner.finds(digits) or cleaner.known_left(digits) for digits in _LONG.findall(numbers))


def _one_word(name: str, cleaner: Cleaner) -> str:
    """A name that its users still find: the same name gives the same clean one; underscores part words."""
    cleaned = cleaner.clean(name)[0]
    if cleaned == name and not cleaner.known_left(re.sub(r"[_.\-/\\]+", " ", name)):
        return name
    cleaned = re.sub(r"\s+", "_", cleaner.clean(re.sub(r"[_\-/\\]+", " ", cleaned))[0])
    return cleaned if not cleaner.known_left(cleaned.replace("_", " ")) else "removed"


def _text(content: bytes) -> str | None:
    if b"\0" in content.rstrip(b"\0"):
        return None
    content = content.rstrip(b"\0")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
