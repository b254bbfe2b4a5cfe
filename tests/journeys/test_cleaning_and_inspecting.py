"""Cleaning and inspecting in process with the real craft: crashes at every port call, late identifiers, hostile files."""

import io
import zipfile
from dataclasses import replace

import pytest

from anonymizer.known import Known
from gateway.adapters import sandbox_tasks
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.people import Actor
from gateway.domain.upload import Session
from gateway.journeys import receive_document as files
from gateway.journeys.deidentify_study import deidentify_study, learn, reverify_case
from gateway.journeys.inspect_document import inspect_document
from gateway.journeys.judge_finding import judge_finding, preview_finding, reconsider_finding
from gateway.journeys.make_copy import known_digest, known_of, read_copy
from gateway.journeys.receive_instance import receive_instance
from gateway.ports import SandboxFailed, Scan
from tests import factories
from tests.factories.archives import Member, forge, quoted_overlap
from tests.fakes.journey_house import DESK, PACS, Killed, Trap, Trapped, TrappedRecords, arrival, open_house


def _study(house, count=2, **values):
    case = house.case()
    for number in range(1, count + 1):
        receive_instance(
            arrival(factories.ct_instance(number=number, **values), called_ae=case.ref), source=PACS,
            **house.ports("records", "store", "clock", "policy"),
        )  # fmt: skip
    return case, house.rows("studies")[0].id


def _clean(house, study, **ports):
    deidentify_study(study, workers=1, **(house.ports("records", "store", "sandbox", "clock") | ports))


def _document(house, case, content, *, name="fil.bin", category="labs"):
    session = Session(
        id="s", token_hash="t", kind="patient", subject_id="link", case_id=case.id, created_at=house.clock.now(),
        seen_at=house.clock.now(), expires_at=house.clock.now(),
    )  # fmt: skip
    upload = files.create_upload(
        session, name=name, size_bytes=len(content), category=category, media_type="", address="",
        **house.ports("records", "clock", "policy"),
    )  # fmt: skip
    files.append_part(
        session, upload.id, offset=0, chunk=content, sha256=None, address="",
        **house.ports("records", "store", "clock"),
    )  # fmt: skip
    return files.finish_upload(session, upload.id, address="", **house.ports("records", "store", "clock")).id


def _inspect(house, document, **ports):
    names = ("records", "store", "sandbox", "scanner", "clock", "policy")
    inspect_document(document, **(house.ports(*names) | ports))


def _get(house, document):
    return next(d for d in house.rows("documents") if d.id == document)


def _zip(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_study_is_harvested_cleaned_verified_and_its_words_are_gone(house):
    case, study = _study(house)
    _clean(house, study)
    assert {i.state for i in house.rows("instances")} <= {"deidentified", "quarantined"}
    copies = house.rows("copies", state="verified")
    assert len(copies) == 2
    words = factories.make_people(1)
    for copy in copies:
        content = read_copy(copy, **house.ports("records", "store"))
        left = [
            n
            for n in factories.planted_bytes((words.patient.family, words.personnummer.value))
            if n in content
        ]
        assert left == []
        assert copy.index["known"] == known_digest(known_of(house.rows("cases")[0]))
    assert house.rows("cases")[0].id == case.id
    assert set(house.sandbox.ran) >= {"harvest_instance", "deidentify_instance", "verify_instance"}
    before = (house.rows("copies"), house.objects(), house.events())
    _clean(house, study)  # again: nothing is left to do
    assert (house.rows("copies"), house.objects(), house.events()) == before


def test_cleaning_that_died_at_any_port_call_ends_as_if_it_had_not(tmp_path):
    ends, died = [], 0
    (tmp_path / "whole").mkdir()
    house = open_house(tmp_path / "whole")
    _, study = _study(house)
    trap = Trap()
    _clean(house, study, **_trapped(house, trap))
    calls = trap.calls
    house.close()
    assert calls >= 12
    (tmp_path / "dying").mkdir()
    house = open_house(tmp_path / "dying")
    for at in range(1, calls + 1):
        _, study = _study(house, study=at)
        with pytest.raises(Killed):
            _clean(house, study, **_trapped(house, Trap(at)))
        died += 1
        _clean(house, study)
        mine = {i.id: i for i in house.rows("instances", study_id=study)}
        assert {c.subject_id for c in house.rows("copies", state="verified")} >= set(mine)
        live = [c for c in house.rows("copies", state="verified") if c.subject_id in mine]
        assert len(live) == len(mine) == 2, f"call {at}"
        ends.append(sorted(i.state for i in mine.values()))
        with house.records.change(by=DESK) as change:  # the next round begins with an empty house
            for shelf in (change.instances, change.studies, change.copies, change.cases, change.findings):
                for row in shelf.find():
                    shelf.remove(id=row.id)
            change.note("case_forgotten")
    house.close()
    assert died == calls
    assert all(end == ends[0] for end in ends)


def _trapped(house, trap):
    return {
        "records": TrappedRecords(house.records, trap),
        "store": Trapped(house.store, trap, "seal", "open"),
        "sandbox": Trapped(house.sandbox, trap, "run"),
    }


def test_a_sandbox_that_cannot_work_holds_nothing_against_the_file(house):
    class Down:
        def run(self, *_):
            return SandboxFailed(code="unavailable", reason="x")

    _, study = _study(house)
    with pytest.raises(UnavailableError):
        _clean(house, study, sandbox=Down())
    assert {i.state for i in house.rows("instances")} == {"received"}
    assert house.rows("findings") == []


def test_an_object_that_kills_its_parser_is_held_with_a_reason_and_the_others_go_on(house):
    class DiesOfThird:
        def __init__(self, inner):
            self._inner, self._n = inner, 0

        def run(self, task, payload, options):
            if task == "deidentify_instance":
                self._n += 1
                if self._n == 1:
                    return SandboxFailed(code="memory", reason="It used too much memory.")
            return self._inner.run(task, payload, options)

    _, study = _study(house)
    _clean(house, study, sandbox=DiesOfThird(house.sandbox))
    assert "memory" in {f.code for f in house.rows("findings", state="open")}
    assert len(house.rows("copies", state="verified")) == 1


def test_a_copy_in_which_something_is_left_is_not_kept(house):
    class Finds:
        def __init__(self, inner):
            self._inner = inner

        def run(self, task, payload, options):
            result = self._inner.run(task, payload, options)
            if task == "verify_instance":
                return replace(result, meta={"leaks": ["(0008,1030): name"]})
            return result

    _, study = _study(house, 1)
    _clean(house, study, sandbox=Finds(house.sandbox))
    (finding,) = house.rows("findings")
    assert (finding.code, finding.copy_id, finding.can_keep) == ("identifier_left", None, False)
    assert house.rows("copies") == []
    with pytest.raises(ConflictError, match="no clean copy"):
        judge_finding(finding.id, "keep", by=DESK, **house.ports("records", "clock"))


LATE = Known.from_json({"names": [{"family": "Lateworth", "given": "Zebulonia"}]})


def _late(house, **values):
    """A study whose copies hold a word that only later turns out to be a name."""
    _, study = _study(house, 1, SeriesDescription="Thorax LATEWORTH", ProtocolName="LATEWORTH", **values)
    _clean(house, study)
    return house.rows("cases")[0], study


class _Blind:
    """Verification finds a word only once it is known; the craft leaves it in until then."""

    def __init__(self, house):
        self._inner, self._made = house.sandbox, 0

    def run(self, task, payload, options):
        self._made += task == "deidentify_instance"
        if task == "verify_instance":
            known = "Lateworth" in str(options["known"])
            first, self._made = not self._made, 0  # a reading of an earlier copy
            return replace(
                self._inner.run(task, payload, options),
                meta={"leaks": ["x: name"] if known and first else []},
            )
        return self._inner.run(task, payload, options)


def test_identifiers_that_come_late_make_copies_be_read_again_and_made_anew(house):
    house.sandbox = _Blind(house)
    case, _ = _late(house)
    (before,) = house.rows("copies", state="verified")
    learn(case, [LATE], **house.ports("records", "clock"))
    assert "reverify_case" in {j.kind for j in house.rows("jobs")}
    kinds = house.work()
    assert kinds.count("reverify_case") >= 1
    assert "deidentify_study" in kinds
    states = {c.id: c.state for c in house.rows("copies")}
    assert states.pop(before.id) == "replaced"
    (after,) = [c for c in house.rows("copies") if c.state == "verified"]
    assert after.index["known"] == known_digest(known_of(house.rows("cases")[0]))
    assert house.rows("instances")[0].state in {"deidentified", "quarantined"}
    assert learn(house.rows("cases")[0], [LATE], **house.ports("records", "clock")) == house.rows("cases")[0]


def test_what_a_human_left_out_stays_out_when_it_is_made_anew(house):
    house.sandbox = _Blind(house)
    case, _ = _late(house, BurnedInAnnotation="YES")
    (finding,) = [f for f in house.rows("findings") if f.state == "open"][:1] or [None]
    if finding is None:
        pytest.fail("the object with burned-in text was not shown to a human")
    judge_finding(finding.id, "exclude", by=DESK, **house.ports("records", "clock"))
    assert house.rows("instances")[0].state == "excluded"
    learn(case, [LATE], **house.ports("records", "clock"))
    house.work()
    assert house.rows("instances")[0].state == "excluded"


def test_a_verdict_on_a_copy_that_leaks_by_now_is_refused(house):
    house.sandbox = _Blind(house)
    case, _ = _late(house, BurnedInAnnotation="YES")
    finding = next(f for f in house.rows("findings") if f.state == "open")
    learn(case, [LATE], **house.ports("records", "clock"))
    reverify_case(case.id, **house.ports("records", "store", "sandbox", "clock"))
    with pytest.raises(ConflictError, match="replaced"):
        judge_finding(finding.id, "keep", by=DESK, **house.ports("records", "clock"))
    house.work()
    fresh = next(f for f in house.rows("findings") if f.state == "open")
    assert fresh.copy_id != finding.copy_id
    judge_finding(fresh.id, "keep", by=DESK, **house.ports("records", "clock"))
    assert house.rows("instances")[0].state == "deidentified"
    reconsider_finding(fresh.id, by=DESK, records=house.records)
    assert house.rows("instances")[0].state == "quarantined"
    with pytest.raises(ConflictError):
        reconsider_finding(fresh.id, by=DESK, records=house.records)
    picture = preview_finding(fresh.id, number=0, by=DESK, **house.ports("records", "store", "sandbox"))
    assert picture.startswith(b"\x89PNG")
    assert len(house.events("preview_read")) == 1


# files of a patient


def test_a_zipped_disc_becomes_instances_and_documents_and_programs_stay_out(house):
    case = house.case()
    disc = _zip(**{
        "DICOMDIR": b"x", "DICOM/IM1": factories.ct_instance(number=1), "DICOM/IM2": factories.ct_instance(number=2),
        "AUTORUN.INF": b"[autorun]", "viewer.exe": b"MZ" + bytes(64), "hidden.txt": b"\x7fELF" + bytes(64),
        "report.txt": "Svar: ingen förändring.".encode(),
    })  # fmt: skip
    document = _document(house, case, disc, category="imaging")
    for _ in range(2):
        _inspect(house, document)
    assert (_get(house, document).state, _get(house, document).note) == (
        "unpacked", "2 instances, 1 documents, 4 files left out",
    )  # fmt: skip
    assert len(house.rows("instances")) == 2
    (child,) = house.rows("documents", parent_id=document)
    assert (child.name, child.media_type) == ("report.txt", "text/plain")
    assert house.rows("instances")[0].case_id == case.id
    assert house.rows("studies")[0].sender.startswith("patient:link>")


def test_inspecting_that_died_at_any_port_call_adds_nothing_twice(tmp_path):
    disc = _zip(**{"IM1": factories.ct_instance(number=1), "a.txt": b"hello there", "b.txt": b"good bye"})
    at = 0
    while True:
        at += 1
        (tmp_path / str(at)).mkdir()
        house = open_house(tmp_path / str(at))
        document = _document(house, house.case(), disc)
        try:
            _inspect(house, document, **_trapped(house, Trap(at)))
        except Killed:
            _inspect(house, document)
        else:
            house.close()
            break
        assert len(house.rows("instances")) == 1
        assert len(house.rows("documents")) == 3
        assert _get(house, document).state == "unpacked"
        named = {r.object_id for kind in ("instances", "documents") for r in house.rows(kind)}
        assert named <= house.objects()
        house.close()
    assert at > 15


def test_an_office_file_is_a_document_and_not_an_archive(house):
    office = _zip(**{"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"})
    document = _document(house, house.case(), office)
    _inspect(house, document)
    assert house.rows("documents", parent_id=document) == []
    assert "deidentify_document" in {j.kind for j in house.rows("jobs")}
    house.work()
    assert _get(house, document).state == "quarantined"


def test_an_archive_in_an_archive_is_held_and_never_passed(house):
    document = _document(house, house.case(), _zip(**{"inner.zip": _zip(**{"a.txt": b"secret"})}))
    _inspect(house, document)
    house.work()
    (child,) = house.rows("documents", parent_id=document)
    assert child.state == "quarantined"
    assert house.rows("copies") == []


def test_a_single_dicom_file_goes_the_way_of_the_instances(house):
    document = _document(house, house.case(), factories.ct_instance())
    _inspect(house, document)
    assert _get(house, document).state == "dicom"
    assert len(house.rows("instances")) == 1


def test_a_dicom_file_that_cannot_be_read_is_held(house):
    document = _document(house, house.case(), factories.ct_instance()[:200])
    _inspect(house, document)
    assert _get(house, document).state == "quarantined"
    assert {f.code for f in house.rows("findings")} == {"unreadable_dicom"}
    assert house.rows("instances") == []


@pytest.mark.parametrize("content", [b"MZ" + bytes(100), b"\x7fELF" + bytes(100), b"#!/bin/sh\nrm -rf /"])
def test_a_program_is_ignored_whatever_it_is_called(house, content):
    document = _document(house, house.case(), content, name="svar.pdf")
    _inspect(house, document)
    assert _get(house, document).state == "ignored"
    assert house.rows("copies") == house.rows("findings") == []


def test_malware_is_held_before_anything_reads_it(house):
    house.scanner.verdict = Scan(verdict="found", what="Eicar-Test-Signature")
    document = _document(house, house.case(), factories.ct_instance())
    _inspect(house, document)
    (finding,) = house.rows("findings")
    assert (finding.code, finding.can_keep) == ("malware", False)
    assert (house.rows("instances"), house.sandbox.ran) == ([], [])
    assert house.scanner.seen == _get(house, document).size_bytes
    with pytest.raises(ConflictError):
        judge_finding(finding.id, "keep", by=DESK, **house.ports("records", "clock"))


HOSTILE = {
    "overlap": quoted_overlap(20, bytes(100_000)),
    "up": forge([Member(name=b"../../etc/passwd")]),
    "crc": forge([Member(local={"crc": 1}, central={"crc": 1})]),
    "encrypted": forge([Member(flags=1)]),
    "two directories": forge([Member()], suffix=forge([Member(name=b"b.txt")])),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_archive_is_held_with_its_reason(house, name):
    document = _document(house, house.case(), HOSTILE[name])
    _inspect(house, document)
    assert _get(house, document).state == "quarantined"
    (finding,) = house.rows("findings", state="open")
    assert finding.code == "archive_refused"
    assert not finding.can_keep


def test_the_sender_of_an_uploaded_instance_is_the_link_and_the_event_names_no_file(house):
    document = _document(house, house.case(), factories.ct_instance(), name="Anna Svensson.dcm")
    _inspect(house, document)
    (event,) = house.events("instance_kept")
    assert event.actor == str(Actor(kind="patient", id="link"))
    assert "Svensson" not in repr(house.events())


def test_what_only_a_document_names_goes_from_the_cases_objects_too_and_the_release_waits_for_it(house):
    case = house.case()
    content = factories.ct_instance(SeriesDescription="Abdomen Zyxworth late phase")
    receive_instance(
        arrival(content, called_ae=case.ref),
        source=PACS,
        **house.ports("records", "store", "clock", "policy"),
    )
    house.work()
    (before,) = house.rows("copies", state="verified")
    assert "Zyxworth" in before.index["SeriesDescription"]
    letter = b"Discharge letter\nPatient: Zebulonia Zyxworth\nPersonal number: 19811218-9876\nThe liver is normal.\n"
    _inspect(house, document := _document(house, case, letter, name="letter.txt"))
    house.work()
    known = known_of(house.rows("cases", id=case.id)[0])
    assert "Zyxworth" in {name.family for name in known.names}
    copies = {copy.subject_id: copy for copy in house.rows("copies", state="verified")}
    assert "Zyxworth" not in copies[before.subject_id].index["SeriesDescription"]
    assert {copy.index["known"] for copy in copies.values()} == {known_digest(known)}
    assert document in copies
    assert "harvest_document" in house.sandbox.ran
    assert house.rows("case_rules") == []


def test_a_document_whose_harvest_breaks_down_is_held_and_not_taken_for_one_that_names_nobody(
    house, monkeypatch
):
    def broken(content):
        raise MemoryError

    monkeypatch.setattr(sandbox_tasks, "harvest_document", broken)
    document = _document(house, house.case(), b"Patient: Zebulonia Zyxworth", name="letter.txt")
    house.work()
    assert _get(house, document).state == "quarantined"
    assert [f.code for f in house.rows("findings")] == ["crashed"]
    assert house.rows("copies") == []
