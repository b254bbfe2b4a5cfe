"""Objects that carry something else: encapsulated PDF, CDA and STL, ECG waveforms, raw data, spectroscopy."""

import io
import struct

import numpy as np
import pikepdf
from pydicom import uid
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from tests.corpus.base import Study, start
from tests.corpus.made import Made
from tests.corpus.people import Case
from tests.corpus.pictures import FOLDERS

STL_CLASS = "1.2.840.10008.5.1.4.1.1.104.3"


def _font() -> str:
    from pathlib import Path

    if "Corpus" not in pdfmetrics.getRegisteredFontNames():
        path = next(p for f in FOLDERS if (p := Path(f) / "DejaVuSans.ttf").exists())
        pdfmetrics.registerFont(TTFont("Corpus", str(path)))
    return "Corpus"


def pdf(case: Case) -> bytes:
    """Two pages with CID-font text, an attachment, JavaScript, an annotation and metadata that all name the patient."""
    held = io.BytesIO()
    canvas = Canvas(held)
    canvas.setTitle(f"Report {case.latin}")
    canvas.setAuthor(case.fields["referrer"][0])
    lines = (
        f"Patient: {case.fields['name'][0]}",
        f"ID: {case.number}  MRN {case.mrn}",
        f"Born {case.birth}",
        f"Telephone {case.phone}",
        "Histology: adenocarcinoma, Gleason 3+4",
        "Conclusion: stable disease, follow-up in 6 months",
    )
    for sheet in range(2):
        canvas.setFont(_font(), 12)
        for i, line in enumerate(lines[sheet * 3 :]):
            canvas.drawString(60, 760 - 24 * i, line)
        canvas.showPage()
    canvas.save()
    with pikepdf.open(io.BytesIO(held.getvalue())) as document:
        document.attachments["letter.txt"] = f"Letter about {case.fields['name'][0]} {case.number}".encode()
        document.Root.OpenAction = pikepdf.Dictionary(
            S=pikepdf.Name.JavaScript, JS=f"app.alert('{case.latin} {case.mrn}')"
        )
        note = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot,
            Subtype=pikepdf.Name.Text,
            Rect=[10, 10, 40, 40],
            Contents=f"call {case.latin} {case.phone}",
        )
        document.pages[0].Annots = document.make_indirect(pikepdf.Array([note]))
        out = io.BytesIO()
        document.save(out)
    return out.getvalue()


def cda(case: Case) -> bytes:
    year, month, day = case.birth.split("-")
    family, _, given = case.patient.split("=")[0].partition("^")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:x="urn:local:ext" x:exportedBy="{case.fields["operator"][0]}">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id root="1.2.752.99.5" extension="{case.acc}"/>
<code code="18748-4" codeSystem="2.16.840.1.113883.6.1"/><title>Report on {given} {family}</title>
<effectiveTime value="20220304"/><recordTarget><patientRole><id root="1.2.752.129.2.1.3.1" extension="{case.number}"/>
<addr><streetAddressLine>{case.street}</streetAddressLine><city>{case.city}</city></addr><telecom value="tel:{case.phone.replace(" ", "")}"/>
<patient><name><given>{given}</given><family>{family}</family></name><administrativeGenderCode code="{case.sex}"/>
<birthTime value="{year}{month}{day}"/></patient></patientRole></recordTarget>
<component><structuredBody><component><section><title>Findings</title>
<text>Hodgkin lymphoma, stage IIA. {given} {family} tolerated ABVD well. No pleural effusion.</text></section></component></structuredBody></component>
</ClinicalDocument>""".encode()


def stl(case: Case) -> bytes:
    """A binary STL of one triangle whose 80 byte header names the patient."""
    header = f"{case.latin} {case.mrn}".encode("ascii", "replace")[:80].ljust(80, b" ")
    return header + struct.pack("<I12fH", 1, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 10, 0, 0)


def encapsulated(study: Study, kind: str) -> Made:
    case = study.case
    sop, modality, mime, content = {
        "pdf": (uid.EncapsulatedPDFStorage, "DOC", "application/pdf", pdf),
        "cda": (uid.EncapsulatedCDAStorage, "DOC", "text/XML", cda),
        "stl": (STL_CLASS, "M3D", "model/stl", stl),
    }[kind]
    made = start(study, kind, sop, modality)
    held = content(case)
    made.put("InstanceNumber", 1)
    made.put("BurnedInAnnotation", "YES")
    made.date("AcquisitionDateTime", f"{study.stamp()}090000", "datetimes")
    made.text("DocumentTitle", "<Discharge letter> {family}", "outside_the_table")
    made.gone(
        "HL7InstanceIdentifier", f"1.2.752.99.5^{case.acc}", "outside_the_table", [case.acc]
    ) if kind == "cda" else None
    for attribute, value in zip(
        ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
        ("18842-5", "LN", "Discharge summary"),
        strict=True,
    ):
        made.keep(f"ConceptNameCodeSequence[0]/{attribute}", value, "codes")
    made.keep("MIMETypeOfEncapsulatedDocument", mime, "acquisition")
    made.put("EncapsulatedDocument", held + b"\0" * (len(held) % 2), "OB")
    made.put("EncapsulatedDocumentLength", len(held))
    forms = (
        [case.latin, case.number, case.mrn]
        if kind == "stl"
        else [*case.fields["name"][1], case.number, case.birth, case.phone]
    )
    made.check("document_gone", f"encapsulated_{kind}", "EncapsulatedDocument", forms=forms)
    words = {
        "pdf": ["adenocarcinoma", "Gleason 3+4", "stable disease"],
        "cda": ["Hodgkin lymphoma", "stage IIA", "No pleural effusion"],
        "stl": [],
    }[kind]
    if words:
        made.check("document_kept", "encapsulated_words", "EncapsulatedDocument", words=words)
    made.present("MIMETypeOfEncapsulatedDocument", "EncapsulatedDocument")
    made.present("DocumentTitle", empty=True)
    return made


def ecg(study: Study) -> Made:
    made = start(study, "ecg", uid.TwelveLeadECGWaveformStorage, "ECG")
    made.date("AcquisitionDateTime", f"{study.stamp()}074500", "datetimes")
    group = "WaveformSequence[0]"
    for place, value in (
        ("WaveformOriginality", "ORIGINAL"),
        ("NumberOfWaveformChannels", 2),
        ("NumberOfWaveformSamples", 30000),
        ("SamplingFrequency", "500"),
        ("WaveformBitsAllocated", 16),
        ("WaveformSampleInterpretation", "SS"),
    ):
        made.keep(f"{group}/{place}", value, "acquisition")
    for i, lead in enumerate(("Lead I", "Lead II")):
        source = f"{group}/ChannelDefinitionSequence[{i}]"
        made.put(f"{source}/WaveformBitsStored", 16)
        made.put(f"{source}/ChannelSampleSkew", "0")
        for attribute, value in zip(
            ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
            (f"5.6.3-9-{i + 1}", "SCPECG", lead),
            strict=True,
        ):
            made.keep(f"{source}/ChannelSourceSequence[0]/{attribute}", value, "codes")
        made.text(f"{source}/ChannelLabel", "{latin}", "waveform_text", "SH")
    data = (1000 * np.sin(np.arange(60000) / 20)).astype("<i2").tobytes()
    made.keep(f"{group}/WaveformData", data, "waveform_samples", "OW")
    for i, sentence in enumerate(("<Sinus rhythm 72/min> {name}", "<QTc 431 ms>, confirmed by {reader}")):
        note = f"WaveformAnnotationSequence[{i}]"
        made.text(f"{note}/UnformattedTextValue", sentence, "waveform_text")
        made.put(f"{note}/ReferencedWaveformChannels", [1, 0])
    made.keep("WaveformAnnotationSequence[2]/NumericValue", "72", "sr_values")
    made.keep("WaveformAnnotationSequence[2]/ConceptNameCodeSequence[0]/CodeMeaning", "Heart rate", "codes")
    made.keep("WaveformAnnotationSequence[2]/ConceptNameCodeSequence[0]/CodeValue", "8867-4", "codes")
    made.put("AcquisitionContextSequence", [])
    return made


def raw(study: Study) -> Made:
    made = start(study, "raw", uid.RawDataStorage, "MR")
    case = study.case
    made.uid("CreatorVersionUID", f"1.2.752.99.8.{study.rng.randrange(10**15)}")
    made.put("ContentLabel", "RAW")
    made.text("ContentDescription", "<k-space> {name}", "outside_the_table")
    made.gone(
        "0033{ACME RAW}01",
        f"<patient>{case.latin};{case.mrn}</patient>".encode() + b" " * (len(f"{case.latin}{case.mrn}") % 2),
        "private",
        [case.latin, case.mrn],
        "OB",
    )
    return made


def spectroscopy(study: Study) -> Made:
    made = start(study, "mrs", uid.MRSpectroscopyStorage, "MR")
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "SPECTROSCOPY", "NONE"], "acquisition")
    made.date("AcquisitionDateTime", f"{study.stamp()}083000.000", "datetimes")
    made.keep("SpectroscopyData", np.arange(64, dtype="<f4").tobytes(), "acquisition", "OF")
    made.keep("ResonantNucleus", "1H", "acquisition")
    made.keep("TransmitterFrequency", 123.25, "acquisition")
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    return made
