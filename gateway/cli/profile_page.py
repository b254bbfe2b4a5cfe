"""The annex of a profile as one page to print and sign: it needs nothing else, and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from anonymizer.annex import Annex, Described
from anonymizer.annex_words import KINDS

STYLE = """
:root { color-scheme: light; --ink: #1c2330; --soft: #5b6677; --line: #d9dee6; --head: #f3f5f8; }
* { box-sizing: border-box; }
body { margin: 2rem auto; padding: 0 1.5rem; max-width: 72rem; font: 15px/1.5 system-ui, "Segoe UI", sans-serif; color: var(--ink); }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { max-width: 46rem; margin: .4rem 0; } .soft, small { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: 13px; } caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th { text-align: left; background: var(--head); } th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word; }
td.tag { font-family: ui-monospace, monospace; font-size: 12px; } td.tag { white-space: nowrap; }
nav ol { columns: 2; } .sign { display: grid; grid-template-columns: 1fr 1fr; gap: 3rem; margin-top: 3.5rem; }
.sign div { border-top: 1px solid var(--ink); padding-top: .3rem; }
@media screen and (max-width: 40rem) {
  body { margin: 1rem auto; padding: 0 1rem; } nav ol { columns: 1; } .sign { grid-template-columns: 1fr; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } table, tbody, tr { display: block; } thead { display: none; }
  tr { padding: .35rem 0; border-bottom: 1px solid var(--line); } td { display: inline; border: 0; padding: 0; overflow-wrap: anywhere; } td + td::before { content: " · "; color: var(--soft); }
}
@page { size: A4; margin: 16mm 14mm; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 10pt; } table { font-size: 7pt; } thead { display: table-header-group; } tr, .sign { break-inside: avoid; } .wide tr { break-inside: auto; } h2 { break-after: avoid; } nav { display: none; } }
"""
TITLES = {
    "removed": "Removed",
    "emptied": "Emptied",
    "replaced": "Replaced by a stand-in",
    "shifted": "Shifted in time",
    "cleaned": "Cleaned",
    "in turn": "Decided item by item",
    "kept": "Kept",
}


#: Sources that decide each attribute on its own: a line for each. What the others decide alike is gathered.
ROW_BY_ROW = ("Table E.1-1", "house rule")


def page(made: Annex, rows: Sequence[Described], *, other: Annex | None, issued: str, version: str) -> str:
    """The whole page; with ``other`` each row also says what that profile does."""
    there = {} if other is None else {row.tag: row.words for row in other.rows}
    heads = ["Tag", "Attribute", "VR", "What happens", "By"]
    heads += [] if other is None else [f"Under {other.profile}"]
    groups, links = [], []
    for kind in dict.fromkeys((*TITLES, *KINDS.values())):
        chosen = [row for row in rows if row.kind == kind]
        if chosen:
            anchor = kind.replace(" ", "-")
            title = f"{TITLES[kind]} ({len(chosen)})"
            links.append(f'<li><a href="#{anchor}">{escape(title)}</a></li>')
            single = [row for row in chosen if other or row.source.startswith(ROW_BY_ROW)]
            cells = ([row.tag, row.name, row.vr, row.words, row.source] for row in single)
            lines = ((*line, there[line[0]]) if other else line for line in cells)
            told = _table(heads, lines) if single else ""
            told += _gathered(row for row in chosen if row not in single)
            groups.append(f'<h3 id="{anchor}">{escape(title)}</h3>{told}')
    subject = f"Profile {made.profile}" + (f", against {other.profile}" if other else "")
    shown = "" if len(rows) == len(made.rows) else f"; shown here: {len(rows):,}"
    body = [
        f"<header><h1>De-identification: {escape(subject)}</h1><p>{escape(made.summary)}</p>",
        _facts((
            ("Issued", issued),
            ("Made by", f"Consilium {version}"),
            ("Digest of the rules", made.digest),
            ("Attributes decided", f"{len(made.rows):,}{shown}"),
        )),
        "</header>",
        "<h2>Options</h2>",
        _table(["CID 7050", "Option"], made.options) if made.options else "<p>None: nothing is de-identified.</p>",
        "<h2>Rules in words</h2>",
        *(_rule(title, sentences) for title, sentences in made.rules),
        "<h2>What is not done</h2><ul>",
        *(f"<li>{escape(limit)}</li>" for limit in made.limits),
        "</ul><h2>Attribute by attribute</h2>",
        f"<nav><ol>{''.join(links)}</ol></nav>",
        *groups,
        _private(made),
        _concepts(made),
        "<h2>Tables and word lists</h2>",
        _table(["File", "Edition", "SHA-256"], made.tables),
        SIGNATURES,
    ]  # fmt: skip
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>De-identification: {escape(subject)}</title><style>{STYLE}</style></head>\n"
        f"<body>{''.join(body)}</body></html>\n"
    )


SIGNATURES = (
    "<h2>Approved</h2><p>This annex holds for the rules of the digest above and no others.</p>"
    '<div class="sign"><div>Privacy officer: name, signature, date</div>'
    "<div>Responsible for the exchange: name, signature, date</div></div>"
)


def _gathered(rows: Iterable[Described]) -> str:
    """Attributes that share their fate and its source, named one behind the other."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        alike.setdefault((row.words, row.source), []).append(f"{row.tag} {row.name}")
    lines = [(f"{told} ({len(names)})", source, "; ".join(names)) for (told, source), names in alike.items()]
    return _table(["What happens", "By", "Attributes"], lines, wide=2) if lines else ""


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    return (
        "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>" for name, said in pairs) + "</dl>"
    )


def _rule(title: str, sentences: Iterable[str]) -> str:
    return f"<h3>{escape(title)}</h3>" + "".join(f"<p>{escape(one)}</p>" for one in sentences)


def _private(made: Annex) -> str:
    if not made.private:
        return ""
    count = sum(len(one.elements) for one in made.private)
    lines = ((one.creator, one.source, "; ".join(one.elements)) for one in made.private)
    told = _table(["Creator", "By", "Elements"], lines, wide=2)
    return f"<h2>Private elements that stay ({count})</h2>{told}"


def _concepts(made: Annex) -> str:
    if not made.concepts:
        return ""
    return "<h2>Concepts of reports whose value is replaced</h2>" + _table(
        ["Scheme", "Code", "Meaning"], made.concepts
    )


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]], *, wide: int = 0) -> str:
    """A table; ``wide`` is the column that takes the room, the others stay narrow."""
    head = "".join(f"<th{_width(place, wide)}>{escape(one)}</th>" for place, one in enumerate(heads))
    body = "".join(f"<tr>{_cells(line, tagged=heads[0] == 'Tag')}</tr>" for line in lines)
    return (
        f"<table{' class=wide' if wide else ''}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _width(place: int, wide: int) -> str:
    return "" if not wide or place == wide else ' style="width:14%"'


def _cells(line: Sequence[str], *, tagged: bool) -> str:
    first, *rest = line
    opening = "<td class=tag>" if tagged else "<td>"
    return f"{opening}{escape(first)}</td>" + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
