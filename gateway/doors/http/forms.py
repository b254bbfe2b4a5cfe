"""A page's form as it comes back: urlencoded, capped, with its token; no files and no multipart (F13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.doors.http.origin import FORM, csrf_matches
from gateway.doors.http.problems import N_, Refused, plain

MAX_FIELDS = 200
TOKEN_FIELD = "form_token"  # noqa: S105 - the field's name, not a secret


class Form(Mapping[str, str]):
    """The fields of one form. ``form["name"]`` is the last value of a name, ``form.all("name")`` every one."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._last = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def all(self, name: str) -> list[str]:
        """Return every value that was sent under the name, in order."""
        return [value for key, value in self._pairs if key == name]

    def text(self, name: str, *, at_most: int = 10_000) -> str:
        """Return a field stripped and with Unix line ends; an absent field is empty, a longer one is refused."""
        value = self._last.get(name, "").replace("\r\n", "\n").strip()
        if len(value) > at_most:
            raise Refused(plain(413, detail=N_("One of the fields is too long."), field=name, limit=at_most))
        return value


def read_form(request: Request, session: str | None) -> Form:
    """Parse the body that the guard has read, and check its token against the session that the cookie names.

    ``session`` is the value of the door's cookie; without one there is no form to trust, hence 401.
    """
    kind = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if kind != FORM:
        raise Refused(plain(415, detail=N_("This address takes a form.")))
    if session is None:
        raise Refused(plain(401))
    try:
        pairs = parse_qsl(
            request.state.body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=False,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise Refused(plain(400, detail=N_("The form could not be read."))) from None
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise Refused(plain(400, detail=N_("The form could not be read.")))
    form = Form(pairs)
    if not csrf_matches(session, form.get(TOKEN_FIELD, "")):
        raise Refused(
            plain(
                403,
                code="form_token",
                detail=N_("This form is from an earlier visit."),
                step=N_("Reload the page and send the form again."),
            )
        )
    return form
