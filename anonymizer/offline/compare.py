"""Before and after, side by side, for the person who checks a run: differences, those that identify first, and small pictures.

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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag

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
_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>Before and after</title><style>
:root{color-scheme:light dark}*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:80rem;padding:1rem}
.warn{border:2px solid #b00020;border-radius:.5rem;padding:.6rem 1rem;font-weight:600}
table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}td,th{border-bottom:1px solid #8886;padding:.3rem .5rem;
text-align:left;vertical-align:top}td{overflow-wrap:anywhere}th{white-space:nowrap}.n{text-align:right;white-space:nowrap}
.changes{table-layout:fixed}.changes th:first-child{width:26%}.changes th.n{width:4.5rem}
td[data-h=Copy]{white-space:nowrap}td[data-h=File]{min-width:12rem}small{color:GrayText}summary{font-size:1.17rem;font-weight:700;cursor:pointer;padding:.3rem 0}
del{background:#b0002033}ins{background:#0a7d2833;text-decoration:none}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,34rem),1fr));gap:1.5rem 1rem}
figure{display:grid;grid-template-columns:1fr 1fr;gap:.4rem;margin:0;align-content:start}
figure img{max-width:100%;border:1px solid #8886}figcaption{grid-column:1/3;overflow-wrap:anywhere}
.none{border:1px dashed #8886;padding:1rem}
@media(max-width:40rem){tr:has(th){display:none}td{display:block;border:0;padding:.1rem 0;text-align:left}
tr{display:block;border-bottom:1px solid #8886;padding:.4rem 0}td[data-h]:not(:empty)::before{content:attr(data-h) ": ";color:GrayText}}
</style></head><body>"""

#: What a difference is about, in the order of the page: a title, and the value representations of it.
_KINDS = (
    ("Names, numbers and places", ("PN",)),
    ("Dates, times and ages", ("DA", "DT", "TM", "AS")),
    ("Other words", ("LO", "SH", "ST", "LT", "UT", "UC", "AE", "UR", "CS")),
    ("Figures, private elements and bytes", ()),
    ("UIDs", ("UI",)),
)
_WHO = re.compile(
    r"Patient(?!Position|Orientation)|Physician|Person|Operator|Institution|Department|Station|Accession|Address|Phone|"
    r"StudyID|SerialNumber|Issuer|Insurance|Request(?:er|ing)|EntityTitle|Username|Occupation|Religious|Residence"
)


def page(report: FolderReport, comparisons: Sequence[tuple[str, Comparison]]) -> str:
    """One self-contained HTML page, without script."""
    parts = [
        _HEAD,
        _WARNING,
        f"<p>{_e(report.said)}. Profile {_e(report.profile)}, {_e(report.edition)}.</p>",
    ]
    held = [file for file in report.files if file.status != "deidentified"]
    if held:
        parts.append("<h2>Not written</h2>" + _rows(("File", "Why"), ((f.input, f.reason) for f in held)))
    looks = [file for file in report.files if file.look and file.status == "deidentified"]
    if looks:
        lines = ((f.input, f.output, " ".join(f.look)) for f in looks)
        parts.append("<h2>To look at before it is passed on</h2>" + _rows(("File", "Copy", "Why"), lines))
    marked = {f"{file.input} → {file.output}" for file in looks}
    parts += _pictures("Their pictures and pages", [one for one in comparisons if one[0] in marked])
    parts += _table(comparisons)
    parts += _pictures("Other pictures and pages", [one for one in comparisons if one[0] not in marked])
    return "".join(parts) + "</body></html>\n"


def _rows(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{one}" for one in heads)
    cells = (
        "".join(f"<td data-h='{name}'>{_e(cell)}" for name, cell in zip(heads, line, strict=True))
        for line in lines
    )
    return f"<table><tr>{head}{''.join(f'<tr>{one}' for one in cells)}</table>"


_WARNING = (
    "<h1>Before and after</h1><p class='warn'>This page shows the patient's data as it was received. "
    "Keep it where the originals are kept, and delete it when you have looked.</p>"
)


def _e(text: str) -> str:
    return html.escape(text)


def _pictures(title: str, comparisons: Sequence[tuple[str, Comparison]]) -> Iterator[str]:
    shown = [(name, one) for name, one in comparisons if one.before or one.after]
    if not shown:
        return
    yield f"<h2>{title}</h2><p>The original stands left, its copy right.</p><div class='pictures'>"
    for name, one in shown:
        yield f"<figure>{_image(one.before, 'before')}{_image(one.after, 'after')}<figcaption>{_e(name)}</figcaption></figure>"
    yield "</div>"


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
    left = MOST_ROWS
    for number, (title, _) in enumerate(_KINDS):
        rows = sorted(((one, n) for one, n in counted.items() if _kind(one[0]) == number), key=_order)
        shown, left = rows[:left], max(0, left - len(rows))
        if not rows:
            continue
        more = f"<p>{len(rows) - len(shown)} more are not shown.</p>" if len(rows) > len(shown) else ""
        last = number == len(_KINDS) - 1  # what only keeps references together is folded
        yield (
            f"<details><summary>{title} ({len(rows)})</summary>"
            if last
            else f"<h3>{title} ({len(rows)})</h3>"
        )
        yield _changes(shown) + more + ("</details>" if last else "")


def _changes(rows: Sequence[tuple[Difference, int]]) -> str:
    parts = ["<table class='changes'><tr><th>Attribute<th>Before<th>After<th class='n'>Files"]
    for (place, before, after), count in rows:
        old, new = _marked(before, after)
        tags, _, name = place.rpartition(" ")
        parts.append(
            f"<tr><td>{_e(name or 'private or unknown')} <small>{_e(tags)}</small><td data-h='Before'>{old}"
            f"<td data-h='After'>{new}<td class='n' data-h='Files'>{count}"
        )
    return "".join(parts) + "</table>"


def _order(row: tuple[Difference, int]) -> tuple[bool, bool, Difference]:
    """The patient first, the file's header last."""
    place = row[0][0]
    return not place.startswith("(0010,"), place.startswith("(0002,"), row[0]


def _kind(place: str) -> int:
    """Tell which of the page's tables a difference stands in, by the last attribute of its place."""
    group, element = re.findall(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)", place)[-1]
    tag = int(group + element, 16)
    known = dictionary_has_tag(tag)
    vr = dictionary_VR(tag) if known else ""
    if known and (vr == "PN" or (vr not in ("AS", "UI") and _WHO.search(keyword_for_tag(tag)))):
        return 0
    return next((number for number, (_, kinds) in enumerate(_KINDS) if vr in kinds), 3)


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
