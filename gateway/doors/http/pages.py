"""Renders a door's pages: one Jinja environment per language over the door's templates and the shared ones; no data of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from gateway.doors.http.forms import TOKEN_FIELD
from gateway.doors.http.i18n import Tongue, Tongues
from gateway.doors.http.static_files import StaticFiles


class Pages:
    """``folders`` are searched in order, so a door's template stands before a shared one of the same name.

    In a template, beside what the handler gives: ``_()``/``{% trans %}``, ``lang`` (`Tongue`), ``languages``,
    ``static(name)``, ``nonce``, ``prefix``, and the filters ``date``, ``moment``, ``since``, ``size``, ``number``,
    ``said``. A sentence that stands in the template is ``_("…")``; one that comes in a variable is ``{{ text | said }}``
    (``_()`` would read a per cent sign in it as a placeholder).
    Everything is escaped; a name that was not given is an error, not an empty string.
    """

    def __init__(
        self, folders: Sequence[Path], *, tongues: Tongues, static: StaticFiles, values: Mapping[str, object]
    ) -> None:
        loader = jinja2.FileSystemLoader(folders)
        self._environments = {
            tongue.code: _environment(loader, tongue=tongue, tongues=tongues, static=static, values=values)
            for tongue in tongues
        }

    def render(self, template: str, *, tongue: Tongue, **values: object) -> str:
        """Return the page as text."""
        return self._environments[tongue.code].get_template(template).render(**values)


def _environment(
    loader: jinja2.BaseLoader,
    *,
    tongue: Tongue,
    tongues: Tongues,
    static: StaticFiles,
    values: Mapping[str, object],
) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_callables(tongue.gettext, tongue.ngettext, newstyle=True)  # type: ignore[attr-defined]  # the i18n extension adds it
    environment.globals.update(
        lang=tongue, languages=list(tongues), static=static.url, token_field=TOKEN_FIELD, **values
    )
    environment.filters.update(
        date=tongue.day,
        moment=tongue.moment,
        since=tongue.since,
        size=tongue.size,
        number=tongue.number,
        said=tongue.gettext,
    )
    return environment
