"""As much of JSON Schema 2020-12 as our own schema uses; a keyword that is not known here fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "integer": int}
_KNOWN = {
    "$schema", "$defs", "title", "$ref", "type", "const", "enum", "pattern", "minimum", "minItems", "items",
    "required", "properties", "additionalProperties",
}  # fmt: skip


def flaws(
    value: Any, schema: dict[str, Any], *, root: dict[str, Any] | None = None, at: str = ""
) -> Iterator[str]:
    """Say where a value is not what the schema says."""
    root = root or schema
    assert set(schema) <= _KNOWN, set(schema) - _KNOWN
    if "$ref" in schema:
        yield from flaws(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root=root, at=at)
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or isinstance(value, bool)):
        yield f"{at}: is no {kind}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: is none of {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{at}: is too small"
    if kind == "array":
        if len(value) < schema.get("minItems", 0):
            yield f"{at}: has too few items"
        for number, item in enumerate(value):
            yield from flaws(item, schema.get("items", {}), root=root, at=f"{at}/{number}")
    if kind == "object":
        named = schema.get("properties", {})
        yield from (f"{at}: lacks {name}" for name in schema.get("required", ()) if name not in value)
        more = schema.get("additionalProperties", True)
        for name, part in value.items():
            if name in named:
                yield from flaws(part, named[name], root=root, at=f"{at}/{name}")
            elif more is False:
                yield f"{at}: {name} is not known"
            elif isinstance(more, dict):
                yield from flaws(part, more, root=root, at=f"{at}/{name}")
