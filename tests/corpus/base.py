"""What every object of a case carries: patient, study, series and equipment, and what must become of each."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

from pydicom.datadict import dictionary_VR

from tests.corpus.made import Made, spread_uid, writable
from tests.corpus.paths import tag_of
from tests.corpus.people import Case, dense
from tests.corpus.words import DATED, DESCRIPTORS, NATIVE, NESTED, OUTSIDE, PRIVATE, RECOGNISED, STANDARD

MAKERS = (
    ("SIEMENS", "SOMATOM Force", "VB20A"),
    ("GE MEDICAL SYSTEMS", "Revolution CT", "revo_ct_22"),
    ("Philips", "Ingenia", "5.7.1"),
    ("Canon", "Aplio i800", "V6.5"),
)
PARTS = ("CHEST", "ABDOMEN", "HEAD", "KNEE", "PELVIS", "BREAST")


@dataclass
class Study:
    """What the objects of one study share."""

    case: Case
    rng: random.Random
    day: date
    uid: str
    frame: str
    number: int
    made: list[Made] = field(default_factory=list)
    turn: int = 0

    def stamp(self, days: int = 0) -> str:
        return (self.day + timedelta(days=days)).strftime("%Y%m%d")


def new_study(case: Case, rng: random.Random, number: int) -> Study:
    day = date(2019 + number % 4, 1 + rng.randrange(12), 1 + rng.randrange(28))
    told = (
        dense(case.number)
        if number % 2 and dense(case.number).isdigit() and dense(case.number)[0] != "0"
        else ""
    )
    return Study(case, rng, day, spread_uid(rng, told), spread_uid(rng), number)


def start(
    study: Study,
    name: str,
    sop_class: str,
    modality: str,
    *,
    series: str = "",
    syntax: str = "",
    days: int = 0,
) -> Made:
    """A new object of the study with its common modules, registered there."""
    case, rng = study.case, study.rng
    study.turn += 1
    index = study.turn + 7 * study.number
    stem = f"{name}_{study.number}{study.turn:02d}"
    if index % 5 == 0:
        stem = f"{case.latin}_{case.mrn}_{stem}"
    made = Made(case, f"{stem}.dcm", rng)
    if syntax:
        made.syntax = syntax
    study.made.append(made)
    made.stays("SOPClassUID", sop_class)
    made.uid("SOPInstanceUID", spread_uid(rng, "19850312" if index % 9 == 0 else ""), resolves=True)
    made.uid("StudyInstanceUID", study.uid, resolves=True)
    made.uid("SeriesInstanceUID", series or spread_uid(rng))
    if index % 5 == 0:
        made.check("file_name", "file_names", forms=[case.latin, case.mrn])
    patient(made)
    maker = MAKERS[(index + study.number) % len(MAKERS)]
    made.keep("Modality", modality, "modality")
    made.keep("Manufacturer", maker[0], "equipment")
    made.keep("ManufacturerModelName", maker[1], "equipment")
    made.keep("SoftwareVersions", maker[2], "equipment")
    made.gone("DeviceSerialNumber", f"{rng.randrange(10**6, 10**7)}", "standard", [])
    made.checks[-1]["forms"] = [str(made.ds.DeviceSerialNumber)]
    made.gone("StudyID", f"{case.acc[-6:]}", "standard", [case.acc[-6:]])
    made.gone("AccessionNumber", case.acc, "standard", [case.acc])
    made.put("SeriesNumber", study.turn)
    made.put("InstanceNumber", 1)
    made.date("StudyDate", study.stamp())
    made.put("StudyTime", "081530")
    made.date("SeriesDate", study.stamp(days))
    made.put("SeriesTime", "082000.120")
    made.date("ContentDate", study.stamp(days))
    made.put("ContentTime", "082205")
    made.keep("BodyPartExamined", PARTS[index % len(PARTS)], "body_part")
    for place in ("StudyTime", "SeriesTime", "ContentTime", "SeriesNumber"):
        made.check("kept", "acquisition", place)
    made.check("interval", "intervals", "StudyDate", other="ContentDate")
    made.present("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality")
    made.present(
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
        "ReferringPhysicianName",
        empty=True,
    )
    plant(made, index)
    return made


def patient(made: Made) -> None:
    """The Patient module and its characteristics: who goes, sex, age, size and weight stay."""
    case = made.case
    made.gone("PatientName", case.patient, "standard", case.fields["name"][1])
    if "=" in case.patient:
        groups = case.patient.split("=")[1:]
        made.check("gone", "charset_groups", "PatientName", forms=[p for g in groups for p in g.split("^")])
    made.gone("PatientID", case.mrn, "standard", [case.mrn])
    made.check("pseudonym", "one_pseudonym", "PatientID")
    made.gone("PatientBirthDate", case.birth.replace("-", ""), "standard", [case.birth.replace("-", "")])
    made.keep("PatientSex", case.sex, "patient_characteristics")
    made.put("PatientAge", case.age)
    made.check(
        "kept",
        "patient_characteristics",
        "PatientAge",
        any_of=["090Y", case.age] if int(case.age[:3]) > 89 else [case.age],
    )
    if int(case.age[:3]) > 89:
        made.check("gone", "standard", "PatientAge", forms=[case.age])
    made.keep("PatientSize", "1.72", "patient_characteristics")
    made.keep("PatientWeight", "74.5", "patient_characteristics")


def plant(made: Made, index: int) -> None:
    """A turn of the plants of each kind, so that every one of them stands somewhere in every few cases."""
    turn_of(made, STANDARD, index, 9 if index % 3 else len(STANDARD), _field, "standard")
    turn_of(made, NESTED, index, 5 if index % 3 else len(NESTED), _field, "nested")
    for place, template, *vr in some(DESCRIPTORS, index, 8):
        made.text(place, template, "descriptors", *vr)
    for place, template, *vr in some(OUTSIDE, index * 3, 5):
        category = "code_meanings" if "Code" in place else "outside_the_table"
        made.text(place, template, category, *vr)
        if "CodeSequence" in place:
            _code(made, place)
    for place, template in some(RECOGNISED, index, 2):
        made.text(place, template, "recognised")
    native(made)
    if index % 4 == 1:
        for place, template, form in some(DATED, index // 4, 1):
            made.dated(place, template, date(2017, 1 + index % 12, 1 + index % 28), form)
    for place, vr, template in some(PRIVATE, index, 3):
        _private(made, place, vr, template)


def native(made: Made) -> None:
    """A finding in the case's own letters beside the name: both by one reading of the character set."""
    family, forms = made.case.fields["family"]
    words = NATIVE[made.case.country if made.case.code != "c18" else "ES"]
    made.gone("ReasonForTheRequestedProcedure", f"{words}: {family}", "native_text", forms)
    made.check("kept", "native_words", "ReasonForTheRequestedProcedure", words=[words])


def some(table: tuple, index: int, count: int) -> list:
    return [table[(index * count + i) % len(table)] for i in range(min(count, len(table)))]


def turn_of(made, table, index, count, action, category) -> None:
    for place, told in some(table, index, count):
        action(made, place, told, category)


def _field(made: Made, place: str, told: str, category: str) -> None:
    case = made.case
    vr = dictionary_VR(tag_of(place.rsplit("/", 1)[-1]))
    text, forms = case.fields[told]
    if vr == "PN" and told in {"former", "relative", "referrer", "operator", "reader"}:
        text = case.told[told]
    elif vr == "PN":
        text = case.patient
    if vr in {"SH", "AE"}:
        text = text[:16].strip()
        forms = [f for f in forms if f in text]
    if writable(text, case) or vr == "PN":
        made.gone(
            place,
            text,
            {
                "OriginalAttributesSequence[0]": "original_attributes",
                "ContributingEquipmentSequence[0]": "contributing_equipment",
            }.get(place.split("/", maxsplit=1)[0], category),
            forms,
        )
        if place.endswith("CodeMeaning") and "IdentificationSequence" not in place:
            _code(made, place)


def _code(made: Made, place: str) -> None:
    """Complete a code item around its meaning, a code of a well-known scheme that must stay."""
    parent = (
        place.rsplit("/", 1)[0]
        if place.endswith("CodeMeaning")
        else place.split("/", maxsplit=1)[0] + "/" + "/".join(place.split("/")[1:-2])
    )
    parent = parent.rstrip("/")
    while "CodeSequence" not in parent.rsplit("/", 1)[-1]:
        parent = parent.rsplit("/", 1)[0]
    made.keep(f"{parent}/CodeValue", "RID1301", "codes")
    made.keep(f"{parent}/CodingSchemeDesignator", "RADLEX", "codes")
    if not place.endswith("CodeMeaning") or not place.startswith(parent):
        made.keep(f"{parent}/CodeMeaning", "lung", "codes")


def _private(made: Made, place: str, vr: str, template: str) -> None:
    if vr in {"UN", "CS"}:
        field = template.strip("{}")
        text, forms = made.case.fields[field]
        encoding = "utf-8" if vr == "UN" else ""
        value = (
            (text.encode(encoding) + b" " * (len(text.encode(encoding)) % 2))
            if encoding
            else text[:16].upper()
        )
        made.gone(place, value, "private", forms, vr)
    elif vr == "PN":
        made.gone(place, made.case.patient, "private", made.case.fields["name"][1], vr)
    else:
        made.text(place, template, "private", vr)
