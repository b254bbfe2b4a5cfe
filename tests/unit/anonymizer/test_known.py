"""The shape of the known identifiers: lenient where people write, strict where they mistype."""

from __future__ import annotations

import json
import pickle
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.known import Identifier, Known, KnownShapeError, Person, PersonName

WHOLE = {
    "names": [{"family": "Lindqvist", "given": "Anna Maria"}],
    "identifiers": [{"value": "19850312-9876", "type": "personnummer", "issuer": "SE"}],
    "birth_date": "1985-03-12",
    "sex": "F",
    "addresses": [{"street": "Storgatan 12 B", "postal_code": "123 45", "city": "Uppsala"}],
    "phones": ["+46 70 123 45 67"],
    "emails": ["anna@example.se"],
    "relatives": [
        {"names": [{"family": "Hall", "given": "Björn"}], "relation": "father", "phones": ["018-123456"]}
    ],
    "physicians": [{"names": [{"family": "Ek", "given": "Karin"}], "institution": "Testsjukhuset"}],
    "institutions": ["Testsjukhuset"],
    "other": ["bicycle 77"],
    "kept": ["Berg"],
}


def test_the_documented_shape_is_read_and_written_back_unchanged() -> None:
    known = Known.from_json(WHOLE)
    assert known.to_json() == WHOLE
    assert Known.from_json(json.loads(json.dumps(known.to_json()))) == known
    assert known.birth_date == date(1985, 3, 12)


def test_a_known_value_crosses_to_another_process() -> None:
    known = Known.from_json(WHOLE)
    assert pickle.loads(pickle.dumps(known)) == known  # noqa: S301 - our own bytes
    assert hash(known) == hash(Known.from_json(WHOLE))


@pytest.mark.parametrize(
    ("written", "family", "given"),
    [
        ("Lindqvist^Anna Maria", "Lindqvist", "Anna Maria"),
        ("Anna Maria Lindqvist", "Lindqvist", "Anna Maria"),
        ("Lindqvist, Anna", "Lindqvist", "Anna"),
        ("Ludwig van Beethoven", "van Beethoven", "Ludwig"),
        ("de la Cruz^Juan", "de la Cruz", "Juan"),
        ("van Gogh", "van Gogh", ""),
        ("Lindqvist", "Lindqvist", ""),
        ({"family": "Lindqvist", "given": ["Anna", "Maria"]}, "Lindqvist", "Anna Maria"),
        ({"surname": "Lindqvist", "firstName": "Anna"}, "Lindqvist", "Anna"),
        ({"text": "Anna Lindqvist"}, "Lindqvist", "Anna"),
    ],
)
def test_a_name_may_be_written_in_every_usual_way(written: Any, family: str, given: str) -> None:
    (name,) = Known.from_json({"names": [written]}).names
    assert (name.family, name.given) == (family, given)


def test_the_groups_of_a_pn_are_names_each() -> None:
    known = Known.from_json({"name": "Yamada^Tarou=山田^太郎=やまだ^たろう"})
    assert [name.family for name in known.names] == ["Yamada", "山田", "やまだ"]


def test_single_values_stand_where_lists_may() -> None:
    known = Known.from_json({
        "name": "Ek^Bo", "address": {"street": "Gatan 1", "zip": "12345"}, "phone": "123456", "email": "a@b.se",
        "identifier": "MRN1", "dateOfBirth": "19850312", "relative": "Ek^Eva", "physician": {"family": "Y", "given": "X"},
    })  # fmt: skip
    assert known.addresses[0].postal_code == "12345"
    assert known.identifiers == (Identifier(value="MRN1"),)
    assert known.relatives[0].names == (PersonName(family="Ek", given="Eva"),)
    assert known.physicians[0].names[0].family == "Y"
    assert known.birth_date == date(1985, 3, 12)


def test_both_spellings_of_a_key_are_joined() -> None:
    assert Known.from_json({"phone": "1234567", "phones": ["7654321"]}).phones == ("1234567", "7654321")


def test_nothing_known_is_false_and_anything_known_is_true() -> None:
    assert not Known()
    assert not Known.from_json({"names": [], "phones": None, "sex": "F"})
    assert Known.from_json({"other": ["x"]})


def test_merging_keeps_everything_once_and_a_second_birth_date() -> None:
    one = Known.from_json(WHOLE)
    two = Known(
        names=one.names, birth_date=date(1986, 1, 2), phones=("08-55",), relatives=(Person(names=one.names),)
    )
    both = one.merged(two)
    assert both.names == one.names
    assert both.phones == (*one.phones, "08-55")
    assert both.birth_date == date(1985, 3, 12)
    assert "1986-01-02" in both.other
    assert one.merged(one) == one
    assert Known().merged(one) == one


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"nmae": "x"}, '"nmae"'),
        ([], "the file"),
        ({"names": [3]}, "names[0]"),
        ({"names": [{"famly": "x"}]}, '"famly"'),
        ({"phones": {"home": "1"}}, "phones"),
        ({"birth_date": "12/3 1985"}, "birth_date"),
        ({"birth_date": "1985-02-30"}, "birth_date"),
        ({"identifiers": [{"value": ["1"]}]}, "identifiers[0].value"),
        ({"relatives": [{"name": "A", "phone": [[]]}]}, "relatives[0].phones[0]"),
        ({"sex": True}, "sex"),
    ],
)
def test_a_mistyped_key_is_named_with_what_is_expected(wrong: Any, says: str) -> None:
    with pytest.raises(KnownShapeError) as caught:
        Known.from_json(wrong)
    assert says in str(caught.value)


def test_an_error_never_shows_a_value() -> None:
    for wrong in ({"19850312-9876": 1}, {"birth_date": "Lindqvist"}, {"phones": [{"Lindqvist": 1}]}):
        with pytest.raises(KnownShapeError) as caught:
            Known.from_json(wrong)
        assert "Lindqvist" not in str(caught.value)
        assert "9876" not in str(caught.value)


_TEXTS = st.text(max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WHOLE, "name", "value"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_read_or_refused_by_name(obj: Any) -> None:
    try:
        known = Known.from_json(obj)
    except KnownShapeError:
        return
    assert Known.from_json(known.to_json()) == known
