"""The files of one demo case, made from a seed: what a hospital pushes, what a patient sends, and what must not leak."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.cli.demo.material_derived import make_rtstruct, make_sr
from gateway.cli.demo.material_disc import make_disc
from gateway.cli.demo.material_imaging import make_ct, make_mr, study_uid, uid
from gateway.cli.demo.material_papers import make_letter_photo, make_letter_text, make_report_pdf
from gateway.cli.demo.people import People, make_people

MR_SLICES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFile:
    """A file as the patient has it: the name says who, as such names do; the category is the checklist's."""

    name: str
    category: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One case's worth of generated input.

    ``planted`` holds every identifying string in every form written here, to be searched for in the home (in
    UTF-8, Latin-1 and UTF-16) and in the unpacked package; ``original_uids`` the UIDs that a release replaces.
    """

    people: People
    patient_json: dict[str, Any]
    ct_slices: list[bytes] = field(repr=False)
    rtstruct: bytes = field(repr=False)
    sr: bytes = field(repr=False)
    mr_slices: list[bytes] = field(repr=False)
    disc_zip: bytes = field(repr=False)
    report_pdf: bytes = field(repr=False)
    photo_jpeg: bytes = field(repr=False)
    letter_txt: bytes = field(repr=False)
    planted: tuple[str, ...]
    original_uids: tuple[str, ...]

    @property
    def documents(self) -> tuple[PatientFile, ...]:
        """What the patient sends, in the order of the checklist."""
        family = self.people.patient.family
        return (
            PatientFile(
                name=f"Patologi {family}.pdf",
                category="radiology_report",
                media_type="application/pdf",
                content=self.report_pdf,
            ),
            PatientFile(
                name="IMG_20250412_182207.jpg",
                category="labs",
                media_type="image/jpeg",
                content=self.photo_jpeg,
            ),
            PatientFile(
                name="Min historia och frågor.txt",
                category="doctors_notes",
                media_type="text/plain",
                content=self.letter_txt,
            ),
            PatientFile(
                name="Skiva från sjukhuset.zip",
                category="imaging",
                media_type="application/zip",
                content=self.disc_zip,
            ),
        )


def make_material(folder: Path | None, *, seed: int, slices: int = 64) -> Material:
    """Make the material for a seed, byte for byte the same each time; with a folder, write it there too.

    Parameters
    ----------
    folder
        Where to lay ``patient.json``, ``ct/*.dcm``, ``rtstruct.dcm``, ``sr.dcm`` and ``documents/*``; None keeps
        everything in memory. All people in it are invented.
    seed
        Fixes people, UIDs, noise and dates.
    slices
        Number of CT slices of 512 x 512.
    """
    people = make_people(seed)
    mr_slices = make_mr(people, seed=seed, slices=MR_SLICES)
    material = Material(
        people=people,
        patient_json=people.as_json(),
        ct_slices=make_ct(people, seed=seed, slices=slices),
        rtstruct=make_rtstruct(people, seed=seed, slices=slices),
        sr=make_sr(people, seed=seed, slices=slices),
        mr_slices=mr_slices,
        disc_zip=make_disc(people, mr_slices, seed=seed),
        report_pdf=make_report_pdf(people),
        photo_jpeg=make_letter_photo(people, seed=seed),
        letter_txt=make_letter_text(people),
        planted=people.planted(),
        original_uids=_original_uids(seed, slices),
    )
    if folder is not None:
        _write(material, folder)
    return material


def _original_uids(seed: int, slices: int) -> tuple[str, ...]:
    single = ("ct series", "frame of reference", "rtstruct", "rtstruct series", "sr", "sr series", "nodule")
    prior = ("mr study", "mr series", "mr frame of reference", "dicomdir")
    return (
        study_uid(seed),
        *(uid(seed, part) for part in (*single, *prior)),
        *(uid(seed, "ct instance", index) for index in range(slices)),
        *(uid(seed, "mr instance", index) for index in range(MR_SLICES)),
    )


def _write(material: Material, folder: Path) -> None:
    (folder / "ct").mkdir(parents=True, exist_ok=True)
    (folder / "documents").mkdir(exist_ok=True)
    text = json.dumps(material.patient_json, ensure_ascii=False, indent=2)
    (folder / "patient.json").write_text(text, encoding="utf-8")
    for index, content in enumerate(material.ct_slices, start=1):
        (folder / "ct" / f"IM{index:04d}.dcm").write_bytes(content)
    (folder / "rtstruct.dcm").write_bytes(material.rtstruct)
    (folder / "sr.dcm").write_bytes(material.sr)
    for document in material.documents:
        (folder / "documents" / document.name).write_bytes(document.content)
