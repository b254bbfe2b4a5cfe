from __future__ import annotations

import io
from datetime import date

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from anonymizer.byte_scan import Needles
from anonymizer.harvest import harvest_instance, harvest_uids
from anonymizer.known import Known
from anonymizer.verify import verify_bytes, verify_instance, verify_text
from tests.unit.anonymizer import made


def clean() -> bytes:
    return made.deidentified(made.planted_ct()).content


def changed(**values: object) -> bytes:
    ds = dcmread(io.BytesIO(clean()))
    for name, value in values.items():
        setattr(ds, name, value)
    return made.encoded(ds)


def test_harvest_finds_people_numbers_and_places_at_any_depth():
    known = harvest_instance(made.encoded(made.planted_ct()))
    assert {name.family for name in known.names} == {"Krasheninnikova", "SECRET"}
    values = {identifier.value for identifier in known.identifiers}
    assert {"19650312-2380", "QX7734410", "SECRET4711"} <= values
    assert known.birth_date == date(1965, 3, 12)
    assert "+46 70 174 06 05" in known.phones
    assert "Fjärdhälls lasarett" in known.institutions
    assert {name.family for person in known.physicians for name in person.names} >= {"Wallenstråle"}
    assert any("Blåklintsvägen" in address.street for address in known.addresses)


def test_harvest_of_a_report_knows_who_is_the_subject():
    known = harvest_instance(made.encoded(made.report()))
    assert "SECRET-ID-1" in known.other
    assert "SECRET 12" in known.other
    assert "Krasheninnikova" in {name.family for name in known.names}


def test_harvest_leaves_stand_ins_and_empty_names_out():
    assert harvest_instance(clean()).names == ()
    ds = made.ct()
    ds.PatientName, ds.ReferringPhysicianName = "Anonymous", "UNKNOWN^"
    known = harvest_instance(made.encoded(ds))
    assert known.names == ()
    assert known.physicians == ()


def test_harvest_does_not_take_a_procedure_for_a_number():
    ds = made.ct()
    ds.PatientID, ds.AccessionNumber = "PHANTOM", "4711"
    ds.RequestAttributesSequence = [made.code("1", "99L", "x")]
    ds.RequestAttributesSequence[0].RequestedProcedureID = "CT THORAX"
    ds.InstitutionalDepartmentName = "Radiology"
    known = harvest_instance(made.encoded(ds))
    assert {identifier.value for identifier in known.identifiers} == {"4711"}
    assert "Radiology" not in known.institutions


def test_harvest_alone_cleans_what_the_form_did_not_say():
    content = made.encoded(made.planted_ct())
    known = harvest_instance(content)
    out = made.deidentified(content, known=known)
    left = [
        found
        for found in made.secrets_in(out.content)
        if not found.startswith(("Oleg", "asa.k", "174", "1740"))
    ]
    assert left == []


def test_harvested_uids_are_those_that_name_instances():
    uids = harvest_uids(made.encoded(made.structure_set()))
    assert {made.STUDY, made.SERIES, made.FRAME, f"{made.ROOT}.9.60"} <= uids
    assert not any(uid.startswith("1.2.840.10008.") for uid in uids)


def test_a_clean_object_has_no_leak():
    uids = harvest_uids(made.encoded(made.planted_ct()))
    assert verify_instance(clean(), known=made.KNOWN, original_uids=uids) == ()


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"StudyDescription": "thorax Krasheninnikova"}, "(0008,1030)"),
        ({"ImageComments": "KRASHENINNIKOVA"}, "(0020,4000)"),
        ({"PatientComments": "650312 2380"}, "(0010,4000)"),
        ({"ReferringPhysicianName": "Birger Wallenstrale"}, "(0008,0090)"),
        ({"ImageComments": "född 12 mars 1965"}, "(0020,4000)"),
    ],
)
def test_each_planted_leak_is_named_by_its_place(values, place):
    leaks = verify_instance(changed(**values), known=made.KNOWN, original_uids=())
    assert place in {leak.place for leak in leaks}
    assert made.secrets_in(str(leaks).encode()) == []


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_encodings_that_no_copy_of_ours_has_are_not_passed(syntax):
    ds = dcmread(io.BytesIO(clean()))
    ds.file_meta.TransferSyntaxUID = syntax
    ds.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    written = io.BytesIO()
    ds.save_as(written, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    (leak,) = verify_instance(memoryview(written.getvalue()), known=Known(), original_uids=())
    assert (leak.place, leak.kind) == ("data set", "cannot be read back")


def test_what_does_not_say_its_encoding_is_not_passed():
    ds = dcmread(io.BytesIO(clean()))
    del ds.file_meta.TransferSyntaxUID
    written = io.BytesIO()
    ds.save_as(written, implicit_vr=False, little_endian=True)
    assert verify_instance(written.getvalue(), known=Known(), original_uids=())


def test_leaks_outside_any_element_are_found():
    dirty = clean()
    known, uids = made.KNOWN, (made.STUDY,)
    for hidden in ("Krasheninnikova", "Wallenstråle"):
        for codec in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
            tail = dirty + hidden.encode(codec)
            assert verify_instance(tail, known=known, original_uids=uids), (hidden, codec)
    assert verify_instance(b"Krasheninnikova".ljust(128, b"\0") + dirty[128:], known=known, original_uids=())
    assert verify_instance(changed(ImageComments=f"see {made.STUDY}"), known=known, original_uids=uids)
    assert not verify_instance(
        changed(ImageComments=f"see {made.STUDY}0.7"), known=Known(), original_uids=uids
    )
    assert verify_instance(b"\0" * 128 + b"DICM" + b"broken", known=known, original_uids=())


def test_nested_and_overlay_leaks_are_found():
    ds = dcmread(io.BytesIO(clean()))
    ds.ContributingEquipmentSequence[0].ContributionDescription = "Wallenstråle"
    leaks = verify_instance(made.encoded(ds), known=made.KNOWN, original_uids=())
    assert "(0018,A001)[0](0018,A003)" in {leak.place for leak in leaks}
    ds = dcmread(io.BytesIO(clean()))
    ds.add_new(0x60003000, "OW", b"\1\2")
    assert "overlay or curve" in {
        leak.kind for leak in verify_instance(made.encoded(ds), known=Known(), original_uids=())
    }


def test_text_and_bytes_of_documents():
    assert verify_text("a\nb Krasheninnikova\nc", made.KNOWN)[0].place == "line 2"
    assert verify_text("Hodgkin lymphoma", made.KNOWN) == ()
    assert verify_bytes(b"%PDF Krasheninnikova", made.KNOWN)
    assert verify_bytes(b"%PDF Hodgkin", made.KNOWN) == ()


def test_byte_scan_agrees_with_a_plain_search():
    rng = np.random.default_rng(7)
    needles = [b"Krasheninnikova", b"QX7734410", "Märta".encode("utf-16-le"), b"abcd", b"zz\0z"]
    for size in (100, 20_000, (1 << 20) + 12_345):
        buffer = bytearray(rng.integers(0, 256, size, dtype=np.uint8).tobytes())
        for needle in needles:
            for _ in range(3):
                at = int(rng.integers(0, size - 16))
                buffer[at : at + len(needle)] = needle
        if size > 1 << 20:
            edge = (1 << 20) - 4
            buffer[edge : edge + 15] = b"Krasheninnikova"
        whole = bytes(buffer)
        expected = {
            (at, needle)
            for needle in needles
            for at in range(size)
            if whole[at] == needle[0] and whole.startswith(needle, at)
        }
        assert set(Needles(needles).found(whole)) == expected


def test_a_short_number_inside_a_longer_one_is_no_hit():
    scan = Needles([b"4711", b"1.2.3.4"])
    for buffer in (b"a 14711 b", b"a 47112", b"2.25.4711", b"4711.5"):
        assert not scan.any_in(buffer)
        assert not scan.any_in(bytes(20_000) + buffer + bytes(20_000))
    assert scan.any_in(b"case 4711.")
    assert scan.any_in(b"uid 1.2.3.4 here")
    assert not scan.any_in(b"uid 1.2.3.4.5 here")


def test_harvest_reads_labels_private_names_coded_persons_and_machines():
    ds = made.ct()
    ds.DeviceSerialNumber = "SN-77001923"
    ds.PatientComments = "Anhörig: Torbjörn Krasheninnikov, tel 070-174 06 05"
    ds.add_new(0x00090010, "LO", "HOSPITAL SYSTEM")
    ds.add_new(0x00091001, "LO", "Stigsdotter^Vendela")
    ds.add_new(0x00091002, "LO", "Hodgkin lymphoma")
    coded, person = Dataset(), made.code("4711", "99HOSP", "Wallenstråle^Birger")
    coded.PersonIdentificationCodeSequence = [person]
    ds.ReferringPhysicianIdentificationSequence = [coded]
    ds.PatientAddress = "Blåklintsvägen 17, 413 22 Mölnlycke"
    found = harvest_instance(made.encoded(ds))
    people = {name.family for one in found.people for name in one.names}
    assert {"Stigsdotter", "Wallenstråle", "Krasheninnikov"} <= people
    assert "Hodgkin lymphoma" not in people
    assert "SN-77001923" in {one.value for one in found.identifiers}
    assert [(one.street, one.postal_code, one.city) for one in found.addresses] == [
        ("Blåklintsvägen 17", "413 22", "Mölnlycke")
    ]


def test_harvest_takes_no_maker_no_code_and_no_everyday_word_for_a_name():
    ds = made.ct()
    ds.PatientName, ds.OperatorsName = "Test^CT1", "operator"
    ds.InstitutionName, ds.ReferringPhysicianName = "GE MEDICAL SYSTEMS", "Philips"
    ds.PerformingPhysicianName = "JXD191021006"
    found = harvest_instance(made.encoded(ds))
    assert (found.names, found.people, found.institutions) == ((), (), ())
    assert "JXD191021006" in {one.value for one in found.identifiers}
    ds.InstitutionName = "Kuratorium OFFIS e.V."
    assert harvest_instance(made.encoded(ds)).institutions == ()


def test_bytes_that_are_text_are_read_and_noise_is_not():
    known = made.KNOWN
    clean_ct = dcmread(io.BytesIO(clean()))
    noise = np.random.default_rng(3)
    for value, leaks in (
        (b"<patient>Krasheninnikova, I</patient>", True),
        ("<patient>Wallenstråle</patient>".encode("utf-16-le"), True),
        (b"<finding>lesion 12 mm in the liver</finding>", False),
        *((noise.bytes(20_000), False) for _ in range(20)),
    ):
        clean_ct.add_new(0x00420011, "OB", value + b"\0" * (len(value) % 2))
        clean_ct.EncapsulatedDocumentLength = len(value)
        found = verify_instance(made.encoded(clean_ct), known=known, original_uids=())
        assert bool(found) == leaks, (value[:40], found)


def test_a_number_of_the_patient_in_a_binary_number_is_found():
    ds = dcmread(io.BytesIO(clean()))
    ds.add_new(0x00280106, "UL", 1)
    known = Known.from_json({"identifiers": ["77123456"]})
    assert verify_instance(made.encoded(ds), known=known, original_uids=()) == ()
    ds[0x00280106].value = 77123456
    assert [leak.kind for leak in verify_instance(made.encoded(ds), known=known, original_uids=())] == [
        "known identifier in a number"
    ]


def test_what_a_document_inside_an_object_names_is_gathered():
    ds = made.base("1.2.840.10008.5.1.4.1.1.104.2", "DOC")
    ds.MIMETypeOfEncapsulatedDocument = "text/XML"
    text = (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><component><section><text><paragraph>'
        "Patient: Zebulonia Zyxworth</paragraph></text></section></component></ClinicalDocument>"
    )
    ds.EncapsulatedDocument = text.encode() + b" " * (len(text) % 2)
    known = harvest_instance(made.encoded(ds))
    assert "Zyxworth" in {name.family for name in known.names}


def test_two_letters_that_also_mean_no_name_are_one_beside_a_name():
    ds = made.planted_ct()
    ds.ReferringPhysicianName, ds.OperatorsName = "Li^Na", "Ochtrup^NN"
    found = {(n.family, n.given) for one in harvest_instance(made.encoded(ds)).physicians for n in one.names}
    assert {("Li", "Na"), ("Ochtrup", "")} <= found
