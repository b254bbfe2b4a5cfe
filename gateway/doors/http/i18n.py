"""The tongues of a door: sentences from .po files, dates and numbers from CLDR; English is the source text itself."""

from __future__ import annotations

import gettext as gettext_module
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import babel
from babel.dates import format_date, format_time, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LANGUAGE_COOKIE = "consilium-language"
SOURCE_LANGUAGE = "en"
# European English: day before month, 24 hours.
_CULTURES = {"en": "en-GB"}
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tongue:
    """One language as a page uses it. Dates are shown in the service's own time zone."""

    code: str
    culture: babel.Locale
    catalog: gettext_module.NullTranslations
    timezone: ZoneInfo

    @property
    def direction(self) -> str:
        """Return «ltr» or «rtl»."""
        return self.culture.text_direction

    @property
    def own_name(self) -> str:
        """Return the language's name in itself."""
        return (self.culture.get_language_name(self.culture) or self.code).capitalize()

    def gettext(self, text: str) -> str:
        return self.catalog.gettext(text) if text else ""

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.catalog.ngettext(one, many, count)

    def day(self, value: date | datetime, form: str = "long") -> str:
        """«14 December 2026»."""
        if isinstance(value, datetime):
            value = value.astimezone(self.timezone).date()
        return format_date(value, format=form, locale=self.culture)

    def moment(self, value: datetime, form: str = "medium") -> str:
        """«14 Dec 2026 09:05»."""
        here = value.astimezone(self.timezone)
        clock = format_time(here, format="short", tzinfo=self.timezone, locale=self.culture)
        return f"{format_date(here.date(), format=form, locale=self.culture)} {clock}"

    def since(self, value: datetime, now: datetime | None = None) -> str:
        """«3 hours ago»."""
        return format_timedelta(value - (now or datetime.now(UTC)), add_direction=True, locale=self.culture)

    def number(self, value: float) -> str:
        return format_decimal(value, locale=self.culture)

    def size(self, size_bytes: int) -> str:
        """«4.2 MB», in powers of ten as browsers and file managers show it to patients."""
        for unit, name in _SIZES:
            if size_bytes >= unit:
                return (
                    f"{format_decimal(size_bytes / unit, format='#,##0.#', locale=self.culture)}\u00a0{name}"
                )
        return f"{format_decimal(size_bytes, locale=self.culture)}\u00a0B"


class Tongues:
    """The languages that a door offers. ``folders`` hold «sv.po» and its like; an earlier folder's sentence wins."""

    def __init__(
        self, folders: Sequence[Path], *, codes: Sequence[str], default: str, timezone: ZoneInfo
    ) -> None:
        self.default = default
        self._tongues: dict[str, Tongue] = {
            code: Tongue(
                code=code,
                culture=babel.Locale.parse(_CULTURES.get(code, code), sep="-"),
                catalog=_catalog([folder / f"{code}.po" for folder in folders]),
                timezone=timezone,
            )
            for code in codes
        }

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204 - an iterator of tongues, said by its name
        return iter(self._tongues.values())

    def pick(self, *, asked: str | None, cookies: Mapping[str, str], accept: str) -> Tongue:
        """Choose: what was asked for on this page, else the browser's cookie, else its languages, else the default."""
        for wish in (asked, cookies.get(LANGUAGE_COOKIE)):
            if wish in self._tongues:
                return self._tongues[wish]
        wanted = _accepted(accept)
        found = babel.negotiate_locale(wanted, list(self._tongues), sep="-") if wanted else None
        return self._tongues[found or self.default]

    def offers(self, code: str | None) -> bool:
        """Tell whether the language is one of the door's."""
        return code in self._tongues


def _catalog(files: Sequence[Path]) -> gettext_module.NullTranslations:
    """Read .po files into one chain of translations; a language without a file speaks the source text."""
    first: gettext_module.NullTranslations | None = None
    for file in files:
        if not file.exists():
            continue
        compiled = io.BytesIO()
        with file.open("rb") as text:
            write_mo(compiled, read_po(text))
        compiled.seek(0)
        translations = gettext_module.GNUTranslations(compiled)
        if first is None:
            first = translations
        else:
            first.add_fallback(translations)
    return first or gettext_module.NullTranslations()


def _accepted(header: str) -> list[str]:
    """Return the languages of an Accept-Language header, best first (RFC 9110, section 12.5.4); nonsense is passed over."""
    ranked: list[tuple[float, str]] = []
    for entry in header[:512].split(",")[:20]:
        name, _, weight = entry.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name.strip() and quality > 0:
            ranked.append((-quality, name.strip()))
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
