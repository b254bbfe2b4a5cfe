"""Before and after, side by side, for the person who checks a run: distinct differences by attribute, and small pictures.

The page shows what was taken out. It is for the house that holds the originals and never leaves it.
"""

from __future__ import annotations

import base64
import difflib
import html
import io
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag

from anonymizer.documents import preview
from anonymizer.errors import AnonymizerError
from anonymizer.offline.report import FolderReport
from anonymizer.pixels import render_preview

logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values in what it logs
SIDE = 360
MOST_CHARS = 300
MOST_DIFFERENCES = 500
MOST_ROWS = 4000
SHOWN = frozenset(
    {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS", "AE", "AS", "DA", "DT", "TM", "DS", "IS", "UI", "UR"}
)

#: (place, before, after); an empty text is an absent value.
Difference = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one copy differs from its original."""

    differences: tuple[Difference, ...] = ()
    before: bytes = b""
    after: bytes = b""


def compare_instance(original: bytes, copy: bytes, *, pictured: bool) -> Comparison:
    """Differences in every element at every depth; pictures of the first frame where asked."""
    try:
        old = dict(_values(dcmread(io.BytesIO(original), force=True)))
        new = dict(_values(dcmread(io.BytesIO(copy), force=True)))
    except Exception:  # noqa: BLE001 - a viewer's help, not a judge: what cannot be shown is not shown
        old, new = {}, {}
    changed = dict.fromkeys(
        (_general(place), old.get(place, ""), new.get(place, ""))
        for place in sorted(old.keys() | new.keys())
        if old.get(place, "") != new.get(place, "")
    )
    pictures = (_picture(original), _picture(copy)) if pictured else (b"", b"")
    return Comparison(differences=tuple(changed)[:MOST_DIFFERENCES], before=pictures[0], after=pictures[1])


def compare_document(original: bytes, kind: str, copy: bytes, copy_kind: str) -> Comparison:
    """The first page of each."""
    return Comparison(before=_page(original, kind), after=_page(copy, copy_kind))


def _values(dataset: Any, path: str = "") -> Iterator[tuple[str, str]]:
    for element in [*(getattr(dataset, "file_meta", None) or ()), *dataset]:
        here = f"{path}({element.tag.group:04X},{element.tag.element:04X})"
        if element.VR == "SQ":
            for number, item in enumerate(element.value or ()):
                yield from _values(item, f"{here}[{number}]")
        elif element.VR in SHOWN and element.value is not None:
            values = element.value if isinstance(element.value, Sequence) else [element.value]
            text = str(element.value) if isinstance(values, str) else "\\".join(map(str, values))
            yield here, text[:MOST_CHARS]
        elif element.VR not in SHOWN:
            yield (
                here,
                f"{len(element.value or b'') if hasattr(element.value, '__len__') else 1} {element.VR}",
            )


def _general(place: str) -> str:
    """The place without item numbers, its last attribute by name."""
    plain = re.sub(r"\[\d+\]", " › ", place)
    last = re.findall(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)", place)[-1]
    return f"{plain} {keyword_for_tag(int(last[0] + last[1], 16))}"


def _picture(content: bytes) -> bytes:
    try:
        return render_preview(content, frame=0, max_side=SIDE)
    except AnonymizerError:
        return b""


def _page(content: bytes, kind: str) -> bytes:
    try:
        return preview(content, media_type=kind, page=0, max_side=SIDE)
    except AnonymizerError:
        return b""


# -- the page -----------------------------------------------------------------------------------------------------
_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>Before and after</title><style>
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:75rem;padding:1rem}
.warn{border:2px solid #b00020;border-radius:.5rem;padding:.6rem 1rem;font-weight:600}
table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}td,th{border-bottom:1px solid #8886;padding:.3rem .5rem;
text-align:left;vertical-align:top;overflow-wrap:anywhere}th{position:sticky;top:0;background:Canvas}
del{background:#b0002033}ins{background:#0a7d2833;text-decoration:none}.n{text-align:right}
figure{display:inline-grid;grid-template-columns:1fr 1fr;gap:.4rem;margin:0 1rem 1.5rem 0;max-width:46rem;vertical-align:top}
figure img{max-width:100%;border:1px solid #8886}figcaption{grid-column:1/3;overflow-wrap:anywhere}
.none{border:1px dashed #8886;padding:1rem}</style></head><body>"""


def page(report: FolderReport, comparisons: Sequence[tuple[str, Comparison]]) -> str:
    """One self-contained HTML page, without script."""
    totals = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in report.totals.items())
    parts = [
        _HEAD,
        _WARNING,
        f"<p>{html.escape(report.profile)}, {html.escape(report.edition)}. {html.escape(totals)}.</p>",
    ]
    held = [file for file in report.files if file.status != "deidentified"]
    if held:
        rows = "".join(f"<tr><td>{_e(file.input)}<td>{_e(file.reason)}" for file in held)
        parts.append(f"<h2>Not written</h2><table><tr><th>File<th>Why{rows}</table>")
    looks = [file for file in report.files if file.look and file.status == "deidentified"]
    if looks:
        rows = "".join(
            f"<tr><td>{_e(file.input)}<td>{_e(file.output)}<td>{_e(' '.join(file.look))}" for file in looks
        )
        parts.append(
            f"<h2>To look at before it is passed on</h2><table><tr><th>File<th>Copy<th>Why{rows}</table>"
        )
    parts += _pictures(comparisons)
    parts += _table(comparisons)
    return "".join(parts) + "</body></html>\n"


_WARNING = (
    "<h1>Before and after</h1><p class='warn'>This page shows the patient's data as it was received. "
    "Keep it where the originals are kept, and delete it when you have looked.</p>"
)


def _e(text: str) -> str:
    return html.escape(text)


def _pictures(comparisons: Sequence[tuple[str, Comparison]]) -> Iterator[str]:
    shown = [(name, one) for name, one in comparisons if one.before or one.after]
    if shown:
        yield "<h2>Pictures and pages</h2>"
    for name, one in shown:
        yield f"<figure>{_image(one.before, 'before')}{_image(one.after, 'after')}<figcaption>{_e(name)}</figcaption></figure>"


def _image(png: bytes, which: str) -> str:
    if not png:
        return f"<div class='none'>{which}: cannot be shown here</div>"
    return f"<img alt='{which}' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"


def _table(comparisons: Sequence[tuple[str, Comparison]]) -> Iterator[str]:
    counted: Counter[Difference] = Counter(
        difference for _, one in comparisons for difference in one.differences
    )
    if not counted:
        return
    yield f"<h2>What changed</h2><p>{len(counted)} distinct differences, each once.</p>"
    yield "<table><tr><th>Attribute<th>Before<th>After<th class='n'>Files"
    for (place, before, after), count in sorted(counted.items())[:MOST_ROWS]:
        old, new = _marked(before, after)
        yield f"<tr><td>{_e(place)}<td>{old}<td>{new}<td class='n'>{count}"
    yield "</table>"
    if len(counted) > MOST_ROWS:
        yield f"<p>{len(counted) - MOST_ROWS} more are not shown.</p>"


def _marked(before: str, after: str) -> tuple[str, str]:
    """Both texts, what went and what came marked word by word."""
    if not after:
        return f"<del>{_e(before)}</del>", ""
    if not before:
        return "", f"<ins>{_e(after)}</ins>"
    old, new = re.findall(r"\s+|\w+|[^\w\s]", before), re.findall(r"\s+|\w+|[^\w\s]", after)
    left, right = "", ""
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = _e("".join(old[a:b])), _e("".join(new[c:d]))
        left += gone if kind == "equal" or not gone else f"<del>{gone}</del>"
        right += come if kind == "equal" or not come else f"<ins>{come}</ins>"
    return left, right
