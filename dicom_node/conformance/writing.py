"""A conformance statement as values, and how it is written as Markdown, HTML and JSON; what it states stands beside it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CODE = re.compile(r"`([^`]+)`")
_STYLE = """
@page { size: A4; margin: 18mm 16mm 20mm; @bottom-right { content: counter(page); font: 8pt sans-serif; } }
* { box-sizing: border-box; }
body { font: 10pt/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #16202a; margin: 0 auto; max-width: 180mm;
  padding: 10mm 4mm; }
header { border-bottom: 2px solid #16202a; margin-bottom: 8mm; padding-bottom: 5mm; }
header p { margin: 0.2em 0; }
h1 { font-size: 20pt; line-height: 1.2; margin: 0 0 3mm; }
h2 { font-size: 14pt; margin: 9mm 0 2mm; border-bottom: 1px solid #9aa7b2; padding-bottom: 1mm; }
h3 { font-size: 11.5pt; margin: 6mm 0 1.5mm; }
h4, h5 { font-size: 10pt; margin: 5mm 0 1mm; }
h2, h3, h4, h5, caption { break-after: avoid; }
p { margin: 0 0 2mm; }
code { font: 0.92em ui-monospace, "DejaVu Sans Mono", monospace; background: #eef1f4; padding: 0 0.2em; border-radius: 2px; }
td code { background: none; padding: 0; }
table { border-collapse: collapse; width: 100%; margin: 2mm 0 5mm; font-size: 8.5pt; line-height: 1.35; }
caption { text-align: left; font-weight: 600; padding-bottom: 1mm; }
th, td { border: 0.5px solid #9aa7b2; padding: 0.8mm 1.6mm; text-align: left; vertical-align: top; overflow-wrap: break-word; }
th { background: #e4e9ee; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
nav ol { list-style: none; margin: 0; padding: 0; columns: 2; }
nav li { margin: 0.4mm 0; break-inside: avoid; }
nav li.deep { padding-left: 5mm; font-size: 9pt; }
a { color: inherit; }
@media print { body { max-width: none; padding: 0; } nav a { text-decoration: none; } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its caption; every row has as many cells as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of «{self.title}» does not fit its columns")


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered section: paragraphs and tables in their order. Text in `backticks` is a name or a value."""

    number: str
    title: str
    parts: tuple[str | Table, ...] = ()

    @property
    def depth(self) -> int:
        """1 for a chapter or an annex."""
        return self.number.removeprefix("A.").count(".") + 1

    @property
    def anchor(self) -> str:
        return "s" + re.sub(r"[^0-9a-z]", "-", self.number.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The whole: what stands on the cover, and the sections in order."""

    title: str
    cover: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]

    def markdown(self) -> str:
        """Write it for a repository or an editor."""
        return "\n\n".join([f"# {self.title}", *self._markdown_blocks()]) + "\n"

    def _markdown_blocks(self) -> Iterator[str]:
        yield "\n".join(["| | |", "|---|---|", *(_row(line) for line in self.cover)])
        for section in self.sections:
            yield f"{'#' * (section.depth + 1)} {_numbered(section)}"
            if section.number == "2":
                yield "\n".join(
                    f"{'  ' * (one.depth - 1)}- {_numbered(one)}" for one in _listed(self.sections)
                )
            for part in section.parts:
                if isinstance(part, str):
                    yield part
                    continue
                yield f"**{part.title}**"
                rule = "|" + "---|" * len(part.columns)
                yield "\n".join([_row(part.columns), rule, *(_row(row) for row in part.rows)])

    def html(self) -> str:
        """Write one page that needs nothing else, made for A4 paper."""
        cover = "".join(
            f"<p><strong>{_html(name)}:</strong> {_html(value)}</p>" for name, value in self.cover
        )
        body = "".join(_section_html(section, self.sections) for section in self.sections)
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{_html(self.title)}</title>'
            f"<style>{_STYLE}</style></head>\n<body><header><h1>{_html(self.title)}</h1>{cover}</header>\n"
            f"<main>{body}</main></body></html>\n"
        )

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values, for programs that compare statements."""
        return {
            "title": self.title,
            "cover": dict(self.cover),
            "sections": [
                {
                    "number": one.number,
                    "title": one.title,
                    "text": [part for part in one.parts if isinstance(part, str)],
                    "tables": [
                        {"title": part.title, "columns": part.columns, "rows": part.rows}
                        for part in one.parts
                        if isinstance(part, Table)
                    ],
                }
                for one in self.sections
            ],
        }

    def json(self) -> str:
        return json.dumps(self.as_json(), ensure_ascii=False, indent=1) + "\n"


def _numbered(section: Section) -> str:
    word = "Annex " if section.number.startswith("A.") and section.depth == 1 else ""
    return f"{word}{section.number} {section.title}"


def _listed(sections: Sequence[Section]) -> list[Section]:
    return [section for section in sections if section.depth <= 2]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _html(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", html.escape(text, quote=False))


def _section_html(section: Section, sections: Sequence[Section]) -> str:
    level = min(section.depth + 1, 5)
    parts = "".join(
        f"<p>{_html(part)}</p>" if isinstance(part, str) else _table_html(part) for part in section.parts
    )
    if section.number == "2":
        entries = "".join(
            f'<li{" class=deep" if one.depth > 1 else ""}><a href="#{one.anchor}">{_html(_numbered(one))}</a></li>'
            for one in _listed(sections)
        )
        parts += f"<nav><ol>{entries}</ol></nav>"
    return (
        f'<section><h{level} id="{section.anchor}">{_html(_numbered(section))}</h{level}>{parts}</section>\n'
    )


def _table_html(table: Table) -> str:
    head = "".join(f"<th>{_html(column)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_html(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f"<table><caption>{_html(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
