"""Writes the corpus: per case a folder ``in``, what the form knows (``known.json``), and the key of it all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.corpus.paper import photos
from tests.corpus.paper.hidden import Hidden
from tests.corpus.paper.letters import letter, person
from tests.corpus.paper.plan import MAY_BE_HELD, documents

SHOWN_IN = {"jpeg-label": True}
"""Kinds that show the labelled lines of their letter only."""


def make(out: Path, *, quick: bool = False) -> list[str]:
    """Write the corpus below ``out``; returns what could not be made, and why."""
    left_out: list[str] = []
    key: list[dict[str, object]] = []
    for planned in documents(quick=quick):
        if planned.kind == "heic" and not photos.can_make_heic():
            left_out.append(f"{planned.file_name}: no {photos.HEIC_ENCODER} (Debian: libheif-examples)")
            continue
        case = out / planned.case
        text, hidden = letter(planned.letter), Hidden(person(planned.case))
        content = planned.writer(text, hidden)
        (case / "in").mkdir(parents=True, exist_ok=True)
        (case / "in" / planned.file_name).write_bytes(content)
        (case / "known.json").write_text(json.dumps(hidden.person.known, ensure_ascii=False), "utf-8")
        label_only = planned.kind in SHOWN_IN
        shown = "\n".join(line.text for line in text.lines if line.labelled) if label_only else text.text
        key.append(
            {
                "case": planned.case,
                "file": planned.file_name,
                "kind": planned.kind,
                "may_be_held": planned.kind in MAY_BE_HELD,
                "planted": [asdict(p) for p in text.planted if p.text in shown]
                + [asdict(p) for p in hidden.planted],
                "days": [asdict(day) for day in text.days if day.text in shown],
                "clinical": [word for word in text.clinical if word in shown],
            }
        )
    (out / "key.json").write_text(json.dumps(key, ensure_ascii=False, indent=1), "utf-8")
    return left_out
