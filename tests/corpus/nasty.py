"""The nastiest places: preamble, group 0002, tails, overlays and unused bits, icons, curves, UN sequences, wrong VRs, DICOMDIR."""

import io
from collections.abc import Callable

import numpy as np
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.corpus.base import Study, start
from tests.corpus.images import acquisition, ct, grey
from tests.corpus.made import Made, spread_uid
from tests.corpus.pictures import strokes


def preamble(made: Made) -> None:
    case = made.case
    said = f"{case.latin} {case.mrn}".encode("ascii", "replace")[:128].ljust(128, b"\0")
    made.bytes_after.append(lambda content: said + content[128:])
    made.check("whole", "preamble", forms=[f"{case.latin} {case.mrn}"])


def tail(made: Made) -> None:
    """Bytes after the data set, some as a padding element, some as nothing at all."""
    case = made.case
    made.ds.add_new(
        0xFFFCFFFC,
        "OB",
        f"{case.latin} {case.phone} padded".encode("ascii", "replace")
        + b" " * (len(f"{case.latin}{case.phone}") % 2),
    )
    made.check("whole", "trailing", forms=[f"{case.latin} {case.phone} padded"])


def tail_zeros(made: Made) -> None:
    made.bytes_after.append(lambda content: content + b"\0" * 512)


def file_meta(made: Made) -> None:
    case = made.case
    made.meta = [
        DataElement(0x00020016, "AE", f"AE_{case.latin}"[:16]),
        DataElement(0x00020017, "AE", f"PACS_{case.latin}"[:16]),
        DataElement(0x00020100, "UI", "1.2.752.99.1"),
        DataElement(
            0x00020102,
            "OB",
            f"exported for {case.latin}".encode("ascii", "replace") + b" " * (len(case.latin) % 2 ^ 1),
        ),
    ]
    made.check("whole", "file_meta", forms=[f"AE_{case.latin}"[:16], f"exported for {case.latin}"])


def sequence_as_un(made: Made) -> None:
    """A standard and a private sequence whose VR was lost on the way: UN with implicit items inside (PS3.5 6.2.2)."""
    case = made.case
    item = Dataset()
    item.PatientName = case.patient.split("=")[0] if case.latin != "Hongseong" else case.latin
    item.PatientID = case.number
    item.StudyDescription = f"CT {case.latin}"
    held = DicomBytesIO()
    held.is_little_endian, held.is_implicit_VR = True, True
    write_dataset(held, item, case.charsets[0] or "ISO_IR 6")
    body = held.getvalue()
    content = b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body
    made.gone(
        "RequestAttributesSequence",
        content,
        "un_sequence",
        [*case.fields["name"][1], case.number, case.latin],
        "UN",
    )
    made.gone(
        "0021{HOSPITAL RIS}40",
        content,
        "un_sequence",
        [*case.fields["name"][1], case.number, case.latin],
        "UN",
    )


def wrong_vr(made: Made) -> None:
    """Names and numbers under a VR that a table would let pass."""
    case = made.case
    made.gone("ProtocolName", case.latin.upper(), "wrong_vr", [case.latin], "CS")
    digits = "".join(c for c in case.number if c.isdigit())[:12]
    made.gone("NumberOfStudyRelatedSeries", digits, "wrong_vr", [digits], "IS")
    made.gone(
        "DataCollectionCenterPatient", f"{case.latin} {case.mrn}", "wrong_vr", [case.latin, case.mrn], "LO"
    )
    made.gone("PixelAspectRatio", f"{case.latin}", "wrong_vr", [case.latin], "SH")


def truncated(made: Made) -> None:
    """A name cut off by the sixteen letters of SH."""
    case = made.case
    shown = f"HEAD {case.latin}"[:16]
    tail_part = shown[5:]
    if len(tail_part) >= 5:
        made.gone("SequenceName", shown, "truncated_by_sh", [tail_part])
        made.check("kept", "clinical_words", "SequenceName", words=["HEAD"])
        made.gone(
            "ReceiveCoilName", f"COIL8_{case.latin}"[:16], "truncated_by_sh", [f"COIL8_{case.latin}"[6:16]]
        )


def uids_in_text(made: Made, other: str) -> None:
    """Instance UIDs of the case inside a private UI and inside text."""
    made.gone("0021{HOSPITAL RIS}30", other, "uids_in_private", [other], "UI")
    made.gone("ImageComments", f"derived from {other} series 2", "uids_in_text", [other])
    made.check("kept", "clinical_words", "ImageComments", words=["series 2"])
    made.uid("ReferencedImageSequence[0]/ReferencedSOPInstanceUID", other, "references", resolves=True)
    made.stays("ReferencedImageSequence[0]/ReferencedSOPClassUID", uid.CTImageStorage)
    made.stays("ProcedureCodeSequence[0]/ContextUID", "1.2.840.10008.6.1.1")
    made.keep("ProcedureCodeSequence[0]/CodeValue", "77477000", "codes")
    made.keep("ProcedureCodeSequence[0]/CodingSchemeDesignator", "SCT", "codes")
    made.keep("ProcedureCodeSequence[0]/CodeMeaning", "Computed tomography", "codes")
    made.stays("CodingSchemeIdentificationSequence[0]/CodingSchemeUID", "2.16.840.1.113883.6.96")
    made.put("CodingSchemeIdentificationSequence[0]/CodingSchemeDesignator", "SCT")


def overlay(made: Made, rows: int, columns: int) -> None:
    """The name drawn as an overlay plane of its own, with a label and a description (PS3.3 C.9.2)."""
    case = made.case
    plane = np.zeros((rows, columns), np.uint8)
    mask = strokes(case.latin, 12)[:, : columns - 6]
    plane[4 : 4 + mask.shape[0], 4 : 4 + mask.shape[1]] = mask
    packed = np.packbits(plane, bitorder="little").tobytes()
    made.put("60000010", rows, "US")
    made.put("60000011", columns, "US")
    made.put("60000040", "G", "CS")
    made.put("60000050", [1, 1], "SS")
    made.put("60000100", 1, "US")
    made.put("60000102", 0, "US")
    made.gone("60000022", f"Overlay {case.latin}", "overlay", [case.latin], "LO")
    made.gone("60001500", case.mrn, "overlay", [case.mrn], "LO")
    made.put("60003000", packed, "OW")
    made.check("bytes_gone", "overlay", "60003000")


def high_bit(study: Study, *, syntax: str) -> Made:
    """A CT whose bit 15 draws the name over each pixel, which no window shows and every export carries (retired 60xx,0102)."""
    made = start(study, "hibit", uid.CTImageStorage, "CT", syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"], "acquisition")
    acquisition(made)
    picture = grey(made, 96, 160, stored=12, clean=False)[0]
    mask = strokes(made.case.latin, 16)[:, :150]
    drawn = picture.copy()
    drawn[8 : 8 + mask.shape[0], 6 : 6 + mask.shape[1]] |= np.where(mask, 0x8000, 0).astype(np.uint16)
    made.ds.PixelData = drawn.tobytes()
    made.put("60000010", 96, "US")
    made.put("60000011", 160, "US")
    made.put("60000040", "G", "CS")
    made.put("60000050", [1, 1], "SS")
    made.put("60000100", 16, "US")
    made.put("60000102", 15, "US")
    made.check("unused_bits", "overlay_high_bit", bits=0xF000)
    made.check("pixels_same", "pixels_clean", bits=0x0FFF)
    for place, value in (("KVP", "120"), ("RescaleIntercept", "-1024"), ("RescaleSlope", "1")):
        made.keep(place, value, "acquisition")
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    return made


def icon(made: Made) -> None:
    picture = np.full((40, 120), 10, np.uint8)
    mask = strokes(made.case.latin, 12)[:36, :116]
    picture[2 : 2 + mask.shape[0], 2 : 2 + mask.shape[1]][mask] = 250
    item = "IconImageSequence[0]"
    for place, value in (
        ("SamplesPerPixel", 1),
        ("PhotometricInterpretation", "MONOCHROME2"),
        ("Rows", 40),
        ("Columns", 120),
        ("BitsAllocated", 8),
        ("BitsStored", 8),
        ("HighBit", 7),
        ("PixelRepresentation", 0),
    ):
        made.put(f"{item}/{place}", value)
    made.put(f"{item}/PixelData", picture.tobytes(), "OB")
    made.check("bytes_gone", "icon", f"{item}/PixelData")


def curve(made: Made) -> None:
    case = made.case
    made.put("50000005", 2, "US")
    made.gone("50000022", f"Curve {case.latin}", "curve", [case.latin], "LO")
    made.put(
        "50003000",
        f"ECG {case.latin} {case.mrn}".encode("ascii", "replace")
        + b" " * (len(case.latin + case.mrn) % 2 ^ 1),
        "OW",
    )
    made.check("bytes_gone", "curve", "50003000")


def signed(made: Made) -> None:
    """A digital signature with a certificate, encrypted attributes and a MAC, which none may outlive the change."""
    case = made.case
    made.put("DigitalSignaturesSequence[0]/MACIDNumber", 1)
    made.uid("DigitalSignaturesSequence[0]/DigitalSignatureUID", spread_uid(made.rng))
    made.checks.pop()
    made.gone(
        "DigitalSignaturesSequence[0]/CertificateOfSigner",
        f"CN={case.latin}".encode("ascii", "replace") + b" " * (len(case.latin) % 2 ^ 1),
        "signatures",
        [case.latin],
        "OB",
    )
    made.gone(
        "EncryptedAttributesSequence[0]/EncryptedContent",
        f"CMS {case.latin}".encode("ascii", "replace") + b" " * (len(case.latin) % 2),
        "signatures",
        [case.latin],
        "OB",
    )


def private_class(study: Study) -> Made:
    """A private SOP class: it comes out clean or is held with a reason, never skipped in silence."""
    made = start(study, "private", "1.3.12.2.1107.5.9.1", "OT")
    made.text("0029{SIEMENS MEDCOM HEADER2}60", "{name} {number}", "private", "LO")
    made.checks = [c for c in made.checks if c["kind"] in {"gone", "whole", "file_name"}]
    made.may_be_held = True
    return made


def without_meta(study: Study, *, syntax: str) -> Made:
    made = ct(study, series=spread_uid(study.rng), syntax=syntax)
    made.bytes_after.append(_data_set_only)
    return made


def _data_set_only(content: bytes) -> bytes:
    from pydicom.filereader import (
        _read_file_meta_info,
        read_preamble,
    )

    held = io.BytesIO(content)
    read_preamble(held, force=True)
    _read_file_meta_info(held)
    return content[held.tell() :]


def creators_and_links(made: Made) -> None:
    """A private creator that names the patient, an address with her number in it, and a value among several."""
    case = made.case
    made.put(f"0031{{EXPORT {case.latin}}}01", 7, "US")
    made.check("whole", "private_creators", forms=[f"EXPORT {case.latin}"])
    made.gone(
        "RetrieveURL", f"https://pacs.example/{case.mrn}?name={case.latin}", "links", [case.mrn, case.latin]
    )
    made.gone("SoftwareVersions", ["VB42A", case.latin, "R2"], "outside_the_table", [case.latin])
    made.check("kept", "clinical_words", "SoftwareVersions", words=["VB42A"])


def item_of_another_set(made: Made) -> None:
    """An item that declares a character set of its own (PS3.5 7.5.1.1)."""
    family, forms = made.case.fields["family"]
    item = "RequestAttributesSequence[0]"
    made.put(f"{item}/SpecificCharacterSet", "ISO_IR 192")
    made.gone(
        f"{item}/RequestedProcedureDescription", f"КТ грудной клетки {family}", "charset_of_item", forms
    )
    made.check("kept", "clinical_words", f"{item}/RequestedProcedureDescription", words=["КТ грудной клетки"])


PLANTS: tuple[Callable[[Made], None], ...] = (
    preamble,
    tail,
    tail_zeros,
    file_meta,
    sequence_as_un,
    wrong_vr,
    truncated,
    icon,
    curve,
    signed,
    creators_and_links,
    item_of_another_set,
)
