"""What is planted where a reader does not look: metadata, comments, attachments, revisions.

Everything here is said of the case's patient, of a relative and an author whom no form names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.corpus.paper.letters import Person, Planted


@dataclass(slots=True)
class Hidden:
    """Collects what a writer of documents has hidden in one."""

    person: Person
    planted: list[Planted] = field(default_factory=list)

    def _told(self, category: str, text: str) -> str:
        found = Planted(category=category, text=text)
        if found not in self.planted:
            self.planted.append(found)
        return text

    @property
    def patient(self) -> str:
        """The patient's first known name, in natural order."""
        name = self.person.known["names"][0]
        if isinstance(name, str):
            parts = name.replace(",", "^").split("^")
            family, given = parts[0].strip(), parts[1].strip()
        elif "text" in name:
            return self._told("hidden", str(name["text"]))
        else:
            family, given = name["family"], name["given"]
        return self._told("hidden", f"{given} {family}")

    @property
    def number(self) -> str:
        first = self.person.known["identifiers"][0]
        return self._told("num", first if isinstance(first, str) else str(first["value"]))

    @property
    def relative(self) -> str:
        return self._told("hidden", self.person.relative)

    @property
    def author(self) -> str:
        return self._told("hidden", self.person.author)

    @property
    def street(self) -> str:
        return self._told("hidden", self.person.street)

    @property
    def born(self) -> str:
        return self._told("birth", str(self.person.known["birth_date"]))

    @property
    def sentence(self) -> str:
        """One sentence with all of them."""
        return f"{self.patient} ({self.number}, {self.born}), {self.relative}, {self.street}. {self.author}"
