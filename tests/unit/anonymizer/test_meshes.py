"""Three-dimensional models keep their points and nothing else: what is no number of theirs does not leave."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anonymizer.cleaner import Cleaner, cleaner_for
from anonymizer.known import Known
from anonymizer.meshes import clean_mtl, clean_obj, clean_stl

CLEANER = cleaner_for(Known.from_json({"names": ["Lindqvist^Anna"], "identifiers": ["19811218-9876"]}), 0)
STL = """solid Erik Lundgren
  facet normal 0 0 -1.0{facet}
    outer loop{loop}
      vertex 0 0 0{vertex}
      vertex 1.5e-3 +2 -.5
      vertex 4. 5 6
    endloop
  endfacet
{line}endsolid Erik Lundgren
"""
BARE = {"facet": "", "loop": "", "vertex": "", "line": ""}


def made(clean: Callable[[bytes, Cleaner], bytes | None], text: str) -> list[str]:
    content = clean(text.encode(), CLEANER)
    assert content is not None
    return content.decode("ascii").splitlines()


@pytest.mark.parametrize(
    "planted",
    [
        {"vertex": " Erik Lundgren"},
        {"vertex": "\t# Lundgren"},
        {"facet": " 19811218-9876"},
        {"loop": " of Lundgren"},
        {"line": "vertex Lundgren 1 2\n"},
        {"line": "  color 1 2 3 Lundgren\n"},
        {"line": "vertexLundgren\n"},
    ],
)
def test_lines_of_an_ascii_stl_end_with_their_last_number(planted: dict[str, str]) -> None:
    bare = made(clean_stl, STL.format(**BARE))
    assert bare[1:-1] == STL.format(**BARE).splitlines()[1:-1]
    assert (bare[0], bare[-1]) == ("solid", "endsolid")
    assert made(clean_stl, STL.format(**(BARE | planted))) == bare


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("v 1 2 3 Erik Lundgren", ["v 1 2 3"]),
        ("v 1 2 3 # Lundgren", ["v 1 2 3"]),
        ("v 19811218-9876", ["v"]),
        ("v 198112189876 0 0", []),
        ("v 12 -98 \u0661\u0669", ["v 12 -98"]),
        ("Lundgren 1 2 3", []),
        ("19811218-9876 1 2", []),
        ("map_Lundgren/19811218-9876 1", []),
        ("f 1/2/3 4//6 -1/-2/-3", ["f 1/2/3 4//6 -1/-2/-3"]),
        ("f 1 2 \\\n 3 4", ["f 1 2 3 4"]),
        ("cstype rat bspline", ["cstype rat bspline"]),
        ("s off", ["s off"]),
        ("vn -0.5 1e-7 .25", ["vn -0.5 1e-7 .25"]),
        ("usemtl bone", ["usemtl bone"]),
    ],
)
def test_a_statement_of_an_obj_is_numbers_or_goes(line: str, left: list[str]) -> None:
    lines = made(clean_obj, f"v 0 0 0\n{line}\nv 9 9 9\n")
    assert [" ".join(one.split()) for one in lines[1:-1]] == left
    assert (lines[0], lines[-1]) == ("v 0 0 0", "v 9 9 9")


def test_a_material_keeps_its_colours_and_loses_who_chose_them() -> None:
    lines = made(clean_mtl, "newmtl Lindqvist\nKd 0.8 0.1 0.1 Lundgren\nd -halo 0.5\nillum 2\nby Lundgren\n")
    assert lines == ["newmtl [name]", "Kd 0.8 0.1 0.1", "d -halo 0.5", "illum 2"]


def test_a_long_run_of_digits_ends() -> None:
    assert made(clean_obj, f"v {'1' * 300_000}x\n") == ["v"]
