"""The form in which a coordinator tells who the patient is, turned into the known-identifiers shape; it judges no value."""

from __future__ import annotations

from typing import Any

from gateway.doors.http import Form

_LINE, _LONG = 200, 10_000
# Rows that repeat: the prefix of their fields, and the fields.
IDENTIFIER_FIELDS = ("type", "issuer", "value")
RELATIVE_FIELDS = ("family", "given", "relation", "phone")
PHYSICIAN_FIELDS = ("family", "given", "institution")
ROWS = {"identifier": IDENTIFIER_FIELDS, "relative": RELATIVE_FIELDS, "physician": PHYSICIAN_FIELDS}
MOST_ROWS = 12
SINGLE = (
    "family", "given", "other_names", "birth_date", "sex", "street", "postal_code", "city", "country",
    "phones", "emails", "institutions", "other", "opinion", "language", "questions",
)  # fmt: skip


def rows(form: Form, prefix: str) -> list[dict[str, str]]:
    """Return the rows of a repeating part that hold anything but their type."""
    fields = ROWS[prefix]
    columns = [form.all(f"{prefix}_{field}")[:MOST_ROWS] for field in fields]
    found = []
    for values in zip(*columns, strict=False):
        row = {field: " ".join(value.split())[:_LINE] for field, value in zip(fields, values, strict=True)}
        if any(value for field, value in row.items() if field != "type"):
            found.append(row)
    return found


def given(form: Form | None) -> dict[str, Any]:
    """Return what was filled in, for showing the form again; all empty for a fresh one."""
    if form is None:
        single = dict.fromkeys(SINGLE, "")
        return {**single, "opinion": "mdt", "language": "sv", "country": "SE", **{p: [] for p in ROWS}}
    return {**{name: form.text(name, at_most=_LONG) for name in SINGLE}, **{p: rows(form, p) for p in ROWS}}


def patient(form: Form) -> dict[str, Any]:
    """Return the known-identifiers shape of a filled-in form (docs/spec/known-identifiers.md), empty parts left out."""
    names: list[Any] = []
    if form.text("family", at_most=_LINE) or form.text("given", at_most=_LINE):
        names.append({"family": form.text("family"), "given": form.text("given")})
    names += _lines(form, "other_names")
    address = {name: form.text(name, at_most=_LINE) for name in ("street", "postal_code", "city", "country")}
    shape: dict[str, Any] = {
        "names": names,
        "identifiers": [row for row in rows(form, "identifier") if row["value"]],
        "birth_date": form.text("birth_date", at_most=20),
        "sex": form.text("sex", at_most=1),
        "addresses": [address] if address["street"] or address["city"] or address["postal_code"] else [],
        "phones": _lines(form, "phones"),
        "emails": _lines(form, "emails"),
        "relatives": [_relative(row) for row in rows(form, "relative")],
        "physicians": [_physician(row) for row in rows(form, "physician")],
        "institutions": _lines(form, "institutions"),
        "other": _lines(form, "other"),
    }
    return {name: value for name, value in shape.items() if value}


def _lines(form: Form, name: str) -> list[str]:
    return [line.strip() for line in form.text(name, at_most=_LONG).splitlines() if line.strip()]


def _relative(row: dict[str, str]) -> dict[str, Any]:
    person: dict[str, Any] = {"names": [{"family": row["family"], "given": row["given"]}]}
    if row["relation"]:
        person["relation"] = row["relation"]
    if row["phone"]:
        person["phones"] = [row["phone"]]
    return person


def _physician(row: dict[str, str]) -> dict[str, Any]:
    person: dict[str, Any] = {"names": [{"family": row["family"], "given": row["given"]}]}
    if row["institution"]:
        person["institution"] = row["institution"]
    return person
