"""Writes the corpus: each case a folder with KNOWN.json, its objects, and the key of what is planted in them."""

import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydicom import uid

from tests.corpus import carried, colour, discs, images, nasty, related, reports
from tests.corpus.base import Study, new_study
from tests.corpus.encode import COLOUR, GREY, LOSSY_GREY, part10, possible
from tests.corpus.foreign import write_foreign
from tests.corpus.made import Made, spread_uid
from tests.corpus.people import Case, cases


class Turns:
    """Hands out transfer syntaxes in turn over the whole corpus, so that each meets every kind of picture."""

    def __init__(self) -> None:
        self.grey_turn = self.colour_turn = 0

    def grey(self) -> str:
        self.grey_turn += 1
        return self._of((*GREY, *LOSSY_GREY), self.grey_turn)

    def colour(self) -> str:
        self.colour_turn += 1
        return self._of(COLOUR, self.colour_turn)

    @staticmethod
    def _of(table: tuple[str, ...], turn: int) -> str:
        usable = [syntax for syntax in table if possible(syntax)]
        return usable[turn % len(usable)]


def _ct_rt(study: Study, turns: Turns) -> None:
    series = spread_uid(study.rng)
    cts = [images.ct(study, series=series, slice_at=5.0 * i, syntax=turns.grey()) for i in range(3)]
    struct = related.structures(study, cts)
    plan = related.plan(study, struct)
    related.dose(study, plan)
    related.registration(study, cts[0], spread_uid(study.rng))
    reports.report(study, "comprehensive", cts)
    nasty.uids_in_text(
        images.ct(study, series=series, slice_at=20.0, syntax=turns.grey()), str(cts[0].ds.SOPInstanceUID)
    )


def _mr_seg(study: Study, turns: Turns) -> None:
    series = spread_uid(study.rng)
    mrs = [images.mr(study, series=series, slice_at=4.0 * i, syntax=turns.grey()) for i in range(2)]
    images.enhanced(study, "MR", series=spread_uid(study.rng), syntax=turns.grey())
    images.enhanced(study, "CT", series=spread_uid(study.rng), syntax=turns.grey())
    related.segmentation(study, mrs)
    related.presentation(study, mrs[1])
    related.parametric(study, mrs[0])
    reports.report(study, "enhanced", mrs)
    reports.key_objects(study, mrs)
    carried.spectroscopy(study)


def _petnm(study: Study, turns: Turns) -> None:
    series = spread_uid(study.rng)
    pets = [images.pet(study, series=series, late=late, syntax=turns.grey()) for late in (False, True)]
    images.nm(study, syntax=turns.grey())
    images.ct(study, series=spread_uid(study.rng), syntax=turns.grey())
    reports.report(study, "basic", pets)
    carried.raw(study)


def _us(study: Study, turns: Turns) -> None:
    colour.us(study, syntax=turns.colour())
    colour.us(study, syntax=turns.colour())
    colour.cine(study, syntax=turns.colour())
    colour.clean_us(study, syntax=turns.colour())


def _xr(study: Study, turns: Turns) -> None:
    for i, kind in enumerate(("CR", "DX", "MG", "XA", "RF", "IO")):
        images.projection(study, kind, syntax=turns.grey(), burned=i % 3 == study.number % 3)
    reports.dose_report(study)
    colour.capture(study, kind="dose", syntax=turns.colour())


def _scphoto(study: Study, turns: Turns) -> None:
    colour.capture(study, syntax=turns.colour())
    colour.capture_frames(study, syntax=turns.colour())
    colour.visible(study, kind="XC", syntax=uid.JPEGBaseline8Bit)
    colour.visible(study, kind="ES", syntax=uid.JPEG2000Lossless)
    colour.visible(study, kind="GM", syntax=uid.JPEGLSLossless)
    colour.slide(study, syntax=turns.colour())


def _docs(study: Study, turns: Turns) -> None:
    for kind in ("pdf", "cda", "stl"):
        carried.encapsulated(study, kind)
    carried.ecg(study)


def _ecgwave(study: Study, turns: Turns) -> None:
    carried.ecg(study)
    carried.encapsulated(study, "pdf")
    carried.raw(study)


def _nasty(study: Study, turns: Turns) -> None:
    series = spread_uid(study.rng)
    made: list[Made] = []
    for i, action in enumerate(nasty.PLANTS):
        one = (images.ct, images.mr)[i % 2](
            study,
            series=series,
            slice_at=5.0 * i,
            syntax=(uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)[i % 4 == 3],
        )
        action(one)
        made.append(one)
    nasty.overlay(images.ct(study, series=series, slice_at=99.0), 96, 96)
    nasty.high_bit(study, syntax=uid.ExplicitVRLittleEndian)
    nasty.high_bit(study, syntax=uid.RLELossless)
    nasty.private_class(study)
    nasty.without_meta(study, syntax=uid.ImplicitVRLittleEndian)
    study.made.append(discs.dicomdir(study, made[:3]))


BUNDLES = {
    "ct_rt": _ct_rt,
    "mr_seg": _mr_seg,
    "petnm": _petnm,
    "us": _us,
    "xr": _xr,
    "scphoto": _scphoto,
    "docs": _docs,
    "ecgwave": _ecgwave,
    "nasty": _nasty,
}


def compose(case: Case, number: int, seed: int, turns: Turns, only: Iterable[str] = ()) -> list[Made]:
    """All objects of one case, each bundle a study of its own."""
    made: list[Made] = []
    for i, bundle in enumerate(case.bundles):
        if only and bundle not in only:
            continue
        rng = random.Random(f"{seed} {case.code} {bundle}")
        study = new_study(case, rng, number * 2 + i)
        BUNDLES[bundle](study, turns)
        made += study.made
    return made


def write_case(folder: Path, case: Case, made: list[Made]) -> int:
    """Write one case folder: objects/, KNOWN.json and key.json. Returns how many objects."""
    (folder / "objects").mkdir(parents=True)
    checks = []
    for one in made:
        (folder / "objects" / one.file).write_bytes(part10(one))
        checks += one.checks
    (folder / "KNOWN.json").write_text(json.dumps(case.known, ensure_ascii=False, indent=1), encoding="utf-8")
    key = {
        "case": case.code,
        "secrets": case.secrets,
        "uids": _uids(checks),
        "may_be_held": [m.file for m in made if m.may_be_held],
        "checks": checks,
    }
    (folder / "key.json").write_text(json.dumps(key, ensure_ascii=False, indent=1), encoding="utf-8")
    return len(made)


def _uids(checks: list[dict]) -> list[str]:
    return sorted({c["value"] for c in checks if c["kind"] == "mapped"})


def make(
    out: Path,
    *,
    seed: int = 1,
    objects: int = 240,
    only: Iterable[str] = (),
    people: Iterable[str] = (),
    pydicom_files: bool = False,
    whole_round: bool = False,
) -> dict[str, int]:
    """Write cases until `objects` are there, further rounds of the same people with new studies if need be.

    `only` names bundles and `people` cases; `pydicom_files` adds pydicom's own test objects as a case without plants;
    `whole_round` takes every chosen case once, however few objects were asked for.
    """
    shutil.rmtree(out, ignore_errors=True)
    foreign = write_foreign(out / "cases" / "pydicom") if pydicom_files else 0
    turns, total, counts, round_ = Turns(), 0, {}, 0
    chosen = [(number, c) for number, c in enumerate(cases()) if not people or c.code in people]
    while total < objects:
        for number, case in chosen:
            if total >= objects and not whole_round:
                break
            made = compose(case, number, seed + 1000 * round_, turns, only)
            if not made:
                continue
            code = case.code if not round_ else f"{case.code}r{round_}"
            counts[code] = write_case(out / "cases" / code, case, made)
            total += len(made)
        round_ += 1
    if foreign:
        counts["pydicom"] = foreign
    return counts
