"""Structured reports of four kinds, dose report and key objects: findings, codes and references stay, people go."""

from pydicom import uid

from tests.corpus.base import Study, start
from tests.corpus.images import reference
from tests.corpus.made import Made, spread_uid
from tests.corpus.related import key_object_evidence

KINDS = {
    "basic": uid.BasicTextSRStorage,
    "enhanced": uid.EnhancedSRStorage,
    "comprehensive": uid.ComprehensiveSRStorage,
    "dose": uid.XRayRadiationDoseSRStorage,
}


class Tree:
    """Appends content items under one parent and says where each of them stands."""

    def __init__(self, made: Made, parent: str = "") -> None:
        self.made, self.parent, self.count = made, parent, 0

    def item(self, kind: str, relation: str, code: tuple[str, str, str]) -> str:
        place = f"{self.parent}ContentSequence[{self.count}]"
        self.count += 1
        self.made.put(f"{place}/RelationshipType", relation)
        self.made.put(f"{place}/ValueType", kind)
        name = f"{place}/ConceptNameCodeSequence[0]"
        for attribute, value in zip(
            ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), code, strict=True
        ):
            self.made.keep(f"{name}/{attribute}", value, "codes")
        return place

    def text(self, code: tuple[str, str, str], template: str, relation: str = "CONTAINS") -> None:
        place = self.item("TEXT", relation, code)
        if not self.made.text(f"{place}/TextValue", template, "sr_text", kept="sr_findings"):
            self.made.keep(f"{place}/TextValue", "No finding", "sr_findings")

    def person(self, code: tuple[str, str, str], who: str) -> None:
        place = self.item("PNAME", "HAS OBS CONTEXT", code)
        words = self.made.case.fields["name" if who == "patient" else who][1]
        self.made.gone(f"{place}/PersonName", self.made.case.pn(who), "sr_pname", words)
        self.made.present(f"{place}/PersonName")

    def number(self, code: tuple[str, str, str], value: str, unit: tuple[str, str, str]) -> None:
        place = self.item("NUM", "CONTAINS", code)
        measured = f"{place}/MeasuredValueSequence[0]"
        self.made.keep(f"{measured}/NumericValue", value, "sr_values")
        for attribute, told in zip(("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), unit, strict=True):
            self.made.keep(f"{measured}/MeasurementUnitsCodeSequence[0]/{attribute}", told, "codes")

    def uid(self, code: tuple[str, str, str], value: str, *, resolves: bool) -> None:
        place = self.item("UIDREF", "HAS OBS CONTEXT", code)
        self.made.uid(f"{place}/UID", value, "sr_uidref", resolves=resolves)

    def when(self, code: tuple[str, str, str], kind: str, value: str) -> None:
        place = self.item(kind, "HAS OBS CONTEXT", code)
        if kind == "TIME":
            self.made.keep(f"{place}/Time", value, "sr_values")
        else:
            self.made.date(f"{place}/{'Date' if kind == 'DATE' else 'DateTime'}", value, "sr_dates")

    def image(self, target: Made, relation: str = "CONTAINS") -> str:
        place = self.item("IMAGE", relation, ("121112", "DCM", "Source of Measurement"))
        reference(self.made, f"{place}/ReferencedSOPSequence[0]", target)
        return place


def _document(made: Made, study: Study, title: tuple[str, str, str]) -> None:
    made.put("ValueType", "CONTAINER")
    made.put("ContinuityOfContent", "SEPARATE")
    for attribute, value in zip(("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), title, strict=True):
        made.keep(f"ConceptNameCodeSequence[0]/{attribute}", value, "codes")
    made.keep("CompletionFlag", "COMPLETE", "sr_values")
    made.keep("VerificationFlag", "VERIFIED", "sr_values")
    case = made.case
    observer = "VerifyingObserverSequence[0]"
    made.gone(f"{observer}/VerifyingObserverName", case.pn("reader"), "sr_pname", case.fields["reader"][1])
    made.gone(f"{observer}/VerifyingOrganization", case.hospital, "nested", [case.hospital])
    made.date(f"{observer}/VerificationDateTime", f"{study.stamp(1)}113000", "sr_dates")
    made.put(f"{observer}/VerifyingObserverIdentificationCodeSequence", [])
    author = "AuthorObserverSequence[0]"
    made.put(f"{author}/ObserverType", "PSN")
    made.gone(f"{author}/PersonName", case.pn("referrer"), "sr_pname", case.fields["referrer"][1])
    made.put(f"{author}/InstitutionName", "")
    made.put(f"{author}/InstitutionCodeSequence", [])
    made.put("ReferencedPerformedProcedureStepSequence", [])
    made.put("PerformedProcedureCodeSequence", [])
    request = "ReferencedRequestSequence[0]"
    made.uid(f"{request}/StudyInstanceUID", study.uid, "references", resolves=True)
    made.gone(f"{request}/PlacerOrderNumberImagingServiceRequest", case.acc, "nested", [case.acc])
    made.gone(f"{request}/AccessionNumber", case.acc, "nested", [case.acc])
    made.put(f"{request}/FillerOrderNumberImagingServiceRequest", "")
    made.put(f"{request}/RequestedProcedureID", "")
    made.put(f"{request}/RequestedProcedureCodeSequence", [])
    made.text(f"{request}/RequestedProcedureDescription", "<CT thorax and abdomen> {family}", "nested_text")
    made.present(
        f"{observer}/VerifyingObserverName",
        f"{observer}/VerifyingOrganization",
        f"{observer}/VerificationDateTime",
        "CompletionFlag",
        f"{request}/StudyInstanceUID",
    )


def report(study: Study, kind: str, images: list[Made]) -> Made:
    """A report with every kind of content item in which somebody's name, number or date comes to stand."""
    made = start(study, f"sr{kind}", KINDS[kind], "SR")
    _document(made, study, ("18748-4", "LN", "Diagnostic imaging study"))
    key_object_evidence(made, images)
    tree = Tree(made)
    tree.person(("121036", "DCM", "Mother of fetus"), "relative")
    tree.person(("121029", "DCM", "Subject Name"), "patient")
    tree.person(("121008", "DCM", "Person Observer Name"), "operator")
    tree.uid(("121012", "DCM", "Device Observer UID"), spread_uid(study.rng, "19850312"), resolves=False)
    tree.uid(("121028", "DCM", "Subject UID"), str(study.uid), resolves=True)
    tree.when(("111526", "DCM", "DateTime Started"), "DATETIME", f"{study.stamp()}082200.000")
    tree.when(("111060", "DCM", "Study Date"), "DATE", study.stamp())
    tree.when(("111061", "DCM", "Study Time"), "TIME", "081530")
    tree.text(
        ("121071", "DCM", "Finding"), "<Hodgkin lymphoma>, {name} ({number}), <12 mm node in the mediastinum>"
    )
    tree.text(
        ("121073", "DCM", "Impression"),
        "<Parkinson disease unlikely>; {reversed} <return in 6 months>, tel {phone}",
    )
    tree.text(("121060", "DCM", "History"), "<Smoker, 30 pack years>. Seen by {referrer} at {hospital}")
    tree.text(("121077", "DCM", "Conclusion"), "<Progressive disease with new liver metastases>")
    tree.text(("121106", "DCM", "Comment"), "Compared with UID-free prior; {latin} {mrn} <stable>")
    if kind != "basic":
        tree.number(("121206", "DCM", "Distance"), "12.5", ("mm", "UCUM", "millimeter"))
        tree.number(("410668003", "SCT", "Length"), "87", ("mm", "UCUM", "millimeter"))
    place = tree.item("CODE", "CONTAINS", ("121071", "DCM", "Finding"))
    code = f"{place}/ConceptCodeSequence[0]"
    made.keep(f"{code}/CodeValue", "L-0001", "codes")
    made.keep(f"{code}/CodingSchemeDesignator", "99LOCAL", "codes")
    if not made.text(f"{code}/CodeMeaning", "<Nodule> {family}", "code_meanings"):
        made.keep(f"{code}/CodeMeaning", "Nodule", "codes")
    tree.image(images[0])
    if kind == "comprehensive":
        place = tree.item("SCOORD", "CONTAINS", ("111030", "DCM", "Image Region"))
        made.keep(f"{place}/GraphicData", [10.5, 20.25, 30.5, 44.0], "sr_values")
        made.keep(f"{place}/GraphicType", "POLYLINE", "sr_values")
        Tree(made, f"{place}/").image(images[-1], "SELECTED FROM")
    if kind in {"comprehensive", "enhanced"}:
        place = tree.item("CONTAINER", "CONTAINS", ("121070", "DCM", "Findings"))
        made.put(f"{place}/ContinuityOfContent", "SEPARATE")
        deep = Tree(made, f"{place}/")
        deep.text(("121071", "DCM", "Finding"), "<No pleural effusion>. Discussed with {reader}")
        deep.number(("103339001", "SCT", "Long Axis"), "23", ("mm", "UCUM", "millimeter"))
        deep.person(("121008", "DCM", "Person Observer Name"), "reader")
    return made


def dose_report(study: Study) -> Made:
    made = start(study, "srdose", KINDS["dose"], "SR")
    _document(made, study, ("113701", "DCM", "X-Ray Radiation Dose Report"))
    tree = Tree(made)
    tree.uid(("121012", "DCM", "Device Observer UID"), spread_uid(study.rng), resolves=False)
    tree.person(("113870", "DCM", "Person Name"), "operator")
    tree.text(("121013", "DCM", "Device Observer Name"), "{latin}", "HAS OBS CONTEXT")
    place = tree.item("CONTAINER", "CONTAINS", ("113819", "DCM", "CT Acquisition"))
    made.put(f"{place}/ContinuityOfContent", "SEPARATE")
    deep = Tree(made, f"{place}/")
    deep.text(("125203", "DCM", "Acquisition Protocol"), "<Thorax 100 kV> {family}")
    deep.uid(("113769", "DCM", "Irradiation Event UID"), spread_uid(study.rng), resolves=False)
    deep.number(("113838", "DCM", "DLP"), "412.6", ("mGy.cm", "UCUM", "mGy.cm"))
    deep.number(("113830", "DCM", "Mean CTDIvol"), "8.3", ("mGy", "UCUM", "mGy"))
    deep.when(("111526", "DCM", "DateTime Started"), "DATETIME", f"{study.stamp()}082130.500")
    return made


def key_objects(study: Study, images: list[Made]) -> Made:
    made = start(study, "kos", uid.KeyObjectSelectionDocumentStorage, "KO")
    made.put("ValueType", "CONTAINER")
    made.put("ContinuityOfContent", "SEPARATE")
    for attribute, value in zip(
        ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), ("113000", "DCM", "Of Interest"), strict=True
    ):
        made.keep(f"ConceptNameCodeSequence[0]/{attribute}", value, "codes")
    made.put("ReferencedPerformedProcedureStepSequence", [])
    key_object_evidence(made, images)
    tree = Tree(made)
    tree.text(("113012", "DCM", "Key Object Description"), "<Largest lesion>, show to {referrer} {phone2}")
    tree.person(("121008", "DCM", "Person Observer Name"), "reader")
    for image in images:
        tree.image(image)
    return made
