"""Opens the parts of a zipped document and parses XML with every outward or expanding feature off; it knows no format.

References
----------
OWASP XML External Entity and zip bomb guidance: no DTD, no entities, no network, bounded sizes.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

from lxml import etree

from anonymizer.documents.values import NotCleanable

MAX_PART = 64 << 20
MAX_ALL = 256 << 20
MAX_PARTS = 5000
#: A part that unpacks to more than this many times its packed size, beyond a first megabyte, is a bomb.
MAX_RATIO = 200
MAX_DEPTH = 200
MAX_ELEMENTS = 2_000_000


class Package:
    """A zip file's parts by name, each read at most once and never beyond its bound."""

    def __init__(self, content: bytes) -> None:
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
            infos = self._archive.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, UnicodeError) as error:
            raise NotCleanable("unreadable") from error
        if len(infos) > MAX_PARTS or sum(info.file_size for info in infos) > MAX_ALL:
            raise NotCleanable("too_deep")
        if any(info.flag_bits & 1 for info in infos):
            raise NotCleanable("encrypted")
        self._infos = {info.filename.lstrip("/"): info for info in infos}
        self._left = MAX_ALL

    def names(self) -> tuple[str, ...]:
        return tuple(self._infos)

    def read(self, name: str) -> bytes:
        """One part's bytes; b"" when there is none. Raises `NotCleanable` for a bomb or damage."""
        info = self._infos.get(name)
        if info is None:
            return b""
        bound = min(MAX_PART, self._left, max(1 << 20, info.compress_size * MAX_RATIO))
        try:
            with self._archive.open(info) as part:
                content = part.read(bound + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise NotCleanable("unreadable") from error
        if len(content) > bound:
            raise NotCleanable("too_deep")
        self._left -= len(content)
        return content

    def xml(self, name: str) -> Any:
        """One part as an element tree; None when there is none."""
        content = self.read(name)
        return parsed(content) if content else None


def parsed(content: bytes) -> Any:
    """The root element of an XML document without DTD, entities, comments or processing instructions."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        recover=False,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise NotCleanable("unreadable") from error
    if root is None:
        raise NotCleanable("unreadable")
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotCleanable("too_deep")
    bounded(root)
    return root


def bounded(root: Any) -> None:
    """Raise when a tree is deeper or larger than a true document's: readers walk it by recursion."""
    depth = count = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        count += event == "start"
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            raise NotCleanable("too_deep")


def local(element: Any) -> str:
    """An element's or attribute's name without its namespace; "" for what is no element."""
    tag = element if isinstance(element, str) else element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """An attribute by its name, whatever its namespace."""
    for key, value in element.attrib.items():
        if local(key) == name:
            return str(value)
    return ""
