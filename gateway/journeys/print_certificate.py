"""The certificate as one page for people: what was done, what was checked, what was left out, and how to verify the digests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "table:not(.counts) th{width:11rem}h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.4rem 0 .3rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #ccc}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.85em;overflow-wrap:anywhere}"
    "th{font-weight:600}table+table{margin-top:.8rem}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
    "@media screen and (max-width:36rem){body{margin:1rem auto}table:not(.counts) :is(tr,th,td){display:block}"
    "table:not(.counts) th{border:0;padding-bottom:0;width:auto}}"
    "@media print{body{margin:0;font-size:11px}}"
)
_ACTIONS = {
    "X": "removed",
    "Z": "emptied",
    "D": "replaced by a dummy value",
    "C": "cleaned of identifying content",
    "U": "replaced by a keyed UID",
    "I": "replaced by a keyed stand-in",
    "P": "person replaced by a keyed stand-in",
    "S": "date shifted by the case's secret number of days",
    "K": "kept",
}
_RULES = {
    "mask": "places masked in pictures",
    "clean": "pictures in which nothing identifies",
    "kept_word": "a word that does not identify",
    "removed_word": "a word that identifies",
}
_REACHES = {
    "picture": "one picture",
    "layout": "one device and size in the case",
    "device": "one device",
    "case": "the case",
}
_VERDICTS = {"kept": "kept after a look", "excluded": "left out"}
_KINDS = {"instance": "image", "document": "document", "study": "study"}


def print_certificate(told: dict[str, Any]) -> bytes:
    """Return one HTML page of a certificate; nothing on it is loaded from anywhere."""
    parts = [
        f"<h1>De-identification of case {escape(told['case'])}, release {told['release']}</h1>",
        (
            f"<p>Made {_when(told['made_at'])} by {escape(told['software']['name'].capitalize())} {escape(told['software']['version'])}, "
            f"after {escape(told['standard'])}. This page repeats CERTIFICATE.json for people; it names nobody.</p>"
        ),
        "<h2>What was done</h2>",
        _rows(
            [
                ("Profile", told["profile"]),
                ("Options (CID 7050)", "\n".join(f"{o['code']} {o['meaning']}" for o in told["options"])),
                ("Tables", "\n".join(f"{t['name']}: {t['edition']}" for t in told["tables"])),
                ("Digest of all rules", told["rules_sha256"]),
            ]
        ),
        _counts("Elements and words", [(_action(k), told["actions"][k]) for k in _in_order(told["actions"])]),
        _rows(
            [
                ("Pictures", _sentence(told["pixels"], "pictures", "with masked places", "masked_pictures")),
                ("Places masked in pictures", told["pixels"]["masked_places"]),
                ("Documents", _sentence(told["documents"], "documents", "pages", "pages")),
                ("Pages read by character recognition", told["documents"]["pages_read_by_ocr"]),
            ]
        ),
        "<h2>What was checked</h2>",
        (
            f"<p>{escape(told['verification']['how'])} Files read: {told['verification']['files']}; "
            f"with something left: {told['verification']['files_with_something_left']}.</p>"
        ),
        _counts(
            "Read again by version (last)",
            [
                (
                    f"{r['version'] or 'before 0.4'} ({_when(r['last_at']) if r['last_at'] else '-'})",
                    r["files"],
                )
                for r in told["verification"]["readings"]
            ],
        ),
        _counts(
            "Judged by humans",
            [
                (f"{j['role']}: {_VERDICTS.get(j['verdict'], j['verdict'])}", j["count"])
                for j in told["judged_by_humans"]
            ],
        ),
        _counts(
            "Reviewed rules used (files)",
            [
                (
                    f"{r['id'][:8]}: {_RULES.get(r['kind'], r['kind'])}, {_REACHES.get(r['reach'], r['reach'])}",
                    r["files"],
                )
                for r in told["reviewed_rules"]
            ],
        ),
        "<h2>What was left out</h2>",
        _counts(
            "Left out, and why",
            [(f"{_KINDS.get(x['kind'], x['kind'])}: {x['reason']}", x["count"]) for x in told["left_out"]],
        )
        or "<p>Nothing.</p>",
        "<h2>How to verify it</h2>",
        (
            "<p>In the folder of the unpacked package:</p>"
            "<pre><code>jq -r '.files[] | \"\\(.sha256)  \\(.name)\"' CERTIFICATE.json | sha256sum --check\n"
            "sha256sum CERTIFICATE.json</code></pre>"
            "<p>The second line must be the digest that the desk shows for this release and that stands in the exchange's audit "
            "trail. <code>consilium package verify FILE.zip</code> checks both, without a network.</p>"
        ),
    ]
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f"{view}<title>Certificate {escape(told['case'])} {told['release']}</title><style>{_STYLE}</style>"
    body = "\n".join(part for part in parts if part)
    page = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{head}</head><body>\n{body}\n</body></html>\n'
    return page.encode()


def _sentence(told: dict[str, int], count: str, words: str, other: str) -> str:
    return f"{told[count]} ({told[other]} {words})"


def _when(told: str) -> str:
    """A time of the certificate, which is UTC, to the minute."""
    return f"{escape(told[:16].replace('T', ' '))} UTC"


def _in_order(actions: Iterable[str]) -> list[str]:
    """What was done to elements in the order of the words above, then the kinds of words that were taken out of texts."""
    order = list(_ACTIONS)
    return sorted(actions, key=lambda code: (order.index(code) if code in order else len(order), code))


def _action(code: str) -> str:
    return _ACTIONS.get(code) or f"taken out of texts: {code.replace('_', ' ')}"


def _rows(pairs: Iterable[tuple[str, object]]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{_digest(str(value)) or '<br>'.join(map(escape, str(value).splitlines()))}</td></tr>"
        for name, value in pairs
    )
    return f"<table>{rows}</table>"


def _digest(value: str) -> str:
    return f"<code>{value}</code>" if re.fullmatch(r"[0-9a-f]{64}", value) else ""


def _counts(title: str, pairs: Sequence[tuple[str, int]]) -> str:
    """A table of what and how often; nothing where there is nothing to count."""
    if not pairs:
        return ""
    rows = "".join(f'<tr><td>{escape(what)}</td><td class="n">{count}</td></tr>' for what, count in pairs)
    return f'<table class="counts"><tr><th>{escape(title)}</th><th></th></tr>{rows}</table>'
