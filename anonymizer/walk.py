"""Walks one object's tree and gives every element its decision, at any depth; how an action works is `actions`' matter.

References
----------
PS3.15 E.1.1: actions apply at every nesting level; PS3.5 7.5 (items), 7.8 (private blocks).
"""

from __future__ import annotations

from anonymizer import structured_report as sr
from anonymizer.actions import Actor, resolve
from anonymizer.attribute_types import ROOT, AttributeTypes
from anonymizer.charset import Charset, charset_for
from anonymizer.elements import (
    PIXEL_TAGS,
    DataSet,
    Element,
    dictionary_vr,
    is_private,
    spell,
)
from anonymizer.method import code_item
from anonymizer.private import Creators, creator_tag, is_creator
from anonymizer.profile import Profile, Rule
from anonymizer.report import Notebook
from anonymizer.retyping import contradicts, converted_number, held_as

CHARACTER_SET = 0x00080005
CODE_KEYS = (0x00080100, 0x00080119, 0x00080120)
MEASURED, NUMBER, UNITS = 0x0040A300, 0x0040A30A, 0x004008EA
SR_RULE = Rule(action="C", source="content item (PS3.3 C.17.3)")


class Walk:
    """One pass over one object."""

    def __init__(self, profile: Profile, actor: Actor, types: AttributeTypes, notebook: Notebook) -> None:
        self.profile = profile
        self.actor = actor
        self.types = types
        self.notes = notebook
        self.keep_private = "retain_safe_private" in profile.options
        self.dates_kept = bool({"retain_modified_dates", "retain_full_dates"} & profile.options)
        self.structure_kept = "clean_structured_content" in profile.options

    def dataset(self, source: DataSet, parent: int, charset: Charset, path: str) -> DataSet:
        """The data set (or item of the sequence ``parent``) as it may leave."""
        own = source.get(CHARACTER_SET)
        if own is not None and own.items is None:
            charset = charset_for(bytes(own.value).decode("latin-1"))
        result = DataSet()
        creators: Creators | None = None
        content = self._content_actions(source, charset)
        for element in source:
            tag = element.tag
            if tag == CHARACTER_SET:
                continue
            if is_private(tag):
                if creators is None:
                    creators = Creators(source, charset)
                self._private(element, creators, source, result, charset, path)
                continue
            if content is not None and tag in content and element.items is None:
                rule = Rule(action=content[tag], source=SR_RULE.source)
            else:
                rule = self.profile.rule(tag, element.vr)
            self._standard(element, rule, result, charset, parent, path)
        if source.out_of_place:
            self.notes.note(path or "data set", "X", "a second copy of an attribute")
        return result

    def _content_actions(self, source: DataSet, charset: Charset) -> dict[int, str] | None:
        if sr.CONCEPT_NAME not in source:
            return None
        actions = sr.item_actions(source, charset, dates_kept=self.dates_kept)
        if actions is not None and not self.structure_kept:
            actions = actions | {sr.TEXT_VALUE: "D"}
        if sr.is_age(source, charset):
            self._cap_measured_age(source)
        return actions

    def _cap_measured_age(self, source: DataSet) -> None:
        for measured in source.items(MEASURED):
            units = [unit.ascii(0x00080100) for unit in measured.items(UNITS)]
            if measured.number(NUMBER) > 89 and (not units or units[0] == "a"):
                measured.put(Element(NUMBER, "DS", b"90"))
                self.notes.note(spell(NUMBER), "C", "age over 89")

    # -- standard attributes -----------------------------------------------------------------------------------
    def _standard(
        self, element: Element, rule: Rule, result: DataSet, charset: Charset, parent: int, path: str
    ) -> None:
        tag = element.tag
        if rule.forced:
            self.notes.note(path + spell(tag), "X", rule.source)
            return
        type_ = self.types.type_of(tag, parent)
        action = resolve(rule.action, type_)
        if element.items is not None:
            self._sequence(element, action, rule, result, charset, type_, path)
            return
        if tag in PIXEL_TAGS and parent != ROOT:
            self.notes.note(path + spell(tag), "X", "a picture inside a sequence")
            return
        if element.fragments is not None:
            if action in {"K", "C"}:
                result.elements[tag] = element
                self.notes.kept()
            else:
                self.notes.note(path + spell(tag), "X", rule.source)
            return
        if contradicts(tag, element.vr):
            right = dictionary_vr(tag).split(" or ")[0]
            converted = converted_number(element, right)
            if converted is None:
                self._contradicted(Element(tag, right), result, type_, path)
                return
            element = converted
            action = resolve(self.profile.rule(tag, right).action, type_)
        outcome = self.actor.apply(action, element, charset, type_)
        if outcome.element is not None:
            result.elements[tag] = outcome.element
        if outcome.action == "K":
            self.notes.kept()
        else:
            self.notes.note(path + spell(tag), outcome.action, rule.source)

    def _contradicted(self, element: Element, result: DataSet, type_: str, path: str) -> None:
        outcome = self.actor.lost(element, type_) if element.vr != "SQ" else None
        if outcome is not None and outcome.element is not None:
            result.elements[element.tag] = outcome.element
        place = path + spell(element.tag)
        self.notes.note(place, "X", "its value representation contradicts the data dictionary")

    def _sequence(
        self,
        element: Element,
        action: str,
        rule: Rule,
        result: DataSet,
        charset: Charset,
        type_: str,
        path: str,
    ) -> None:
        tag, place = element.tag, path + spell(element.tag)
        items = element.items or []
        if dictionary_vr(tag) not in {"SQ", ""} or action == "X":
            self.notes.note(place, "X", rule.source)
            return
        if action == "Z":
            result.elements[tag] = Element(tag, "SQ", items=[])
            self.notes.note(place, "Z", rule.source)
            return
        if action == "D" and any(key in item for item in items for key in CODE_KEYS):
            result.elements[tag] = Element(
                tag, "SQ", items=[self._coded_stand_in(item, charset) for item in items]
            )
            self.notes.note(place, "D", rule.source)
            return
        cleaned = [
            self.dataset(item, tag, charset, f"{place}[{number}]") for number, item in enumerate(items)
        ]
        if items and not any(item.elements for item in cleaned):
            if resolve("X", type_) == "X":
                self.notes.note(place, "X", "nothing of it may stay")
                return
            if resolve("X", type_) == "Z":
                cleaned = []
        result.elements[tag] = Element(tag, "SQ", items=cleaned)
        self.notes.kept()

    def _coded_stand_in(self, item: DataSet, charset: Charset) -> DataSet:
        """A code that names somebody (PS3.3 10.1, Person Identification) as a keyed code of our own."""
        old = next((item.ascii(key) for key in CODE_KEYS if key in item), "")
        code = self.actor.pseudonyms.code("coded person", f"{item.ascii(0x00080102)}|{old}", "P")
        return code_item(code or "P-REMOVED", "Removed", "99CONSILIUM")

    # -- private attributes ------------------------------------------------------------------------------------
    def _private(
        self,
        element: Element,
        creators: Creators,
        source: DataSet,
        result: DataSet,
        charset: Charset,
        path: str,
    ) -> None:
        tag = element.tag
        if is_creator(tag):
            return  # kept together with the first safe element of its block
        safe = creators.safe(tag) if self.keep_private else None
        vr = "" if safe is None else held_as(element, safe.vr)
        if safe is None or not vr:
            self.notes.note(path + spell(tag), "X", "private, not on a safe list")
            return
        if element.items is not None:
            cleaned = [
                self.dataset(item, tag, charset, f"{path}{spell(tag)}[{number}]")
                for number, item in enumerate(element.items)
            ]
            kept: Element | None = Element(tag, "SQ", items=cleaned)
            action = "C"
        else:
            outcome = self.actor.apply("C", Element(tag, vr, element.value), charset, "3")
            kept, action = outcome.element, outcome.action
        if kept is None:
            self.notes.note(
                path + spell(tag), "X", f"safe list, but it holds what is not safe: {safe.source}"
            )
            return
        result.elements[tag] = kept
        creator = source.get(creator_tag(tag))
        if creator is not None and creator.tag not in result:
            text, _ = charset.decode(bytes(creator.value), "LO")
            result.put(Element(creator.tag, "LO", text.strip(" \0").encode("utf-8")))
        if action == "K":
            self.notes.kept()
        else:
            self.notes.note(path + spell(tag), action, safe.source)


__all__ = ["ROOT", "Walk"]
