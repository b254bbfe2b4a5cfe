"""Gathers from the source every sentence and code that a finding may bring to the coordinator; nothing is listed by hand."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("anonymizer", "gateway/journeys", "gateway/adapters", "gateway/domain/archive_refusal.py")
# A finding is made through these, and (code, sentence) is what they are given.
MAKERS = {"Unfit", "Quarantined", "Look", "Held", "Finding", "QuarantinedDocument"}
TABLE = re.compile(r"^_?(\w+_)?(REASONS|LOOKS)$")
# What is no finding: the job waits and is tried again, or an operator's mistake is told to the operator.
NOT_HELD = {"unknown_task", "unconfined", "unavailable", "misused"}
# Their sentences are parts of another one, whose code the finding has.
PARTS = {"archive_refusal.py"}
_LEAD = re.compile(r"^\{\w+\}: |^The text: ")


@lru_cache(maxsize=1)
def told() -> tuple[frozenset[str], frozenset[str]]:
    """Return (sentences, codes)."""
    sentences: set[str] = set()
    codes: set[str] = set()
    for place in PLACES:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for code, sentence in _of_module(ast.parse(file.read_text(encoding="utf-8"))):
                if code not in NOT_HELD:
                    codes |= {code} if code and file.name not in PARTS else set()
                    sentences |= {_LEAD.sub("", sentence)} if sentence else set()
    for code, sentence in _of_tables():
        codes.add(code)
        sentences.add(sentence)
    return frozenset(sentences), frozenset(codes)


def _of_module(tree: ast.Module) -> Iterator[tuple[str, str]]:
    constants = {
        target.id: value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and (value := _text(node.value, {})) is not None
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and TABLE.match(t.id) for t in targets):
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    is_part = any(isinstance(t, ast.Name) and t.id.endswith("_LOOKS") for t in targets)
                    code = _text(key, constants) if key is not None and not is_part else None
                    yield code or "", _text(value, constants) or ""
        elif isinstance(node, ast.Call) and _name(node.func) in MAKERS:
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            code = named.get("code") or (node.args[0] if node.args else None)
            sentence = named.get("reason") or (node.args[1] if len(node.args) > 1 else None)
            yield _text(code, constants) or "", _text(sentence, constants) or ""
        elif isinstance(node, ast.Call) and _name(node.func) == "hold" and len(node.args) > 2:
            yield _text(node.args[1], constants) or "", _text(node.args[2], constants) or ""
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            # looks["burned_in"] = "…"
            if _name(node.targets[0].value) == "looks" and _text(node.value, constants):
                yield _text(node.targets[0].slice, constants) or "", _text(node.value, constants) or ""
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "setdefault" and _name(node.func.value) == "looks" and len(node.args) == 2:
                yield _text(node.args[0], constants) or "", _text(node.args[1], constants) or ""
        elif isinstance(node, ast.Dict):
            plain = {_text(k, {}): v for k, v in zip(node.keys, node.values, strict=True) if k is not None}
            if {"code", "reason"} <= plain.keys():
                yield _text(plain["code"], constants) or "", _text(plain["reason"], constants) or ""


def _of_tables() -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / "anonymizer" / "tables").glob("*.json")):
        rows = json.loads(file.read_text(encoding="utf-8")).get("rows", [])
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("reason"), str) and "code" in row:
                yield str(row["code"]), row["reason"]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr | None, constants: dict[str, str]) -> str | None:
    """Return a text constant, one by its name, or one with a part replaced; None for what is only known while running."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
        base = _text(node.func.value, constants)
        parts = [_text(argument, constants) for argument in node.args]
        if base is not None and len(parts) == 2 and all(part is not None for part in parts):
            return base.replace(*parts)  # type: ignore[arg-type]  # two texts, looked at above
    return None
