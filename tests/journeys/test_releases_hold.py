"""What holds a release back or takes it back: late knowledge, work overtaken, damaged objects, two objects under one UID."""

import io
from dataclasses import replace

import pytest

from anonymizer.known import Known
from gateway.domain.document import Document
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.journeys import judge_finding as judging
from gateway.journeys import match_study, release_case
from gateway.journeys.deidentify_study import learn, reverify_case
from gateway.journeys.make_copy import known_digest, known_of, read_copy, record_copy
from gateway.journeys.open_release import download_release, read_manifest
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.sandboxed import Cleaned
from gateway.journeys.sign_in import add_person
from gateway.ports import SandboxFailed, SandboxResult
from tests import factories
from tests.fakes.journey_house import DESK, PACS, arrival

LATE = Known.from_json({"names": [{"family": "Lateworth", "given": "Zebulonia"}]})


class Told:
    """The real craft, some answers of which are changed: ``rules`` is task -> function of (result, payload, options)."""

    def __init__(self, house):
        self._inner, self.rules, self.asked = house.sandbox, {}, []
        house.sandbox = self

    def run(self, task, payload, options):
        self.asked.append((task, options))
        result = self._inner.run(task, payload, options)
        rule = self.rules.get(task)
        return result if rule is None else rule(result, payload, options)


def _receive(house, content, ref="CONSILIUM", **values):
    ports = house.ports("records", "store", "clock", "policy")
    return receive_instance(
        arrival(content, called_ae=ref), **({"source": PACS, "case": None} | values), **ports
    )


def _case(house, count=2, **values):
    case = house.case(**values)
    for number in range(1, count + 1):
        _receive(house, factories.ct_instance(number=number), case.ref)
    return case


def _build(house, case):
    ports = house.ports("records", "store", "sandbox", "clock")
    return release_case.build_release(ref=case.ref, by=DESK, **ports)


def _approve(house, case, **values):
    ports = house.ports("records", "store", "clock", "policy")
    return release_case.approve_release(ref=case.ref, by=DESK, **ports, **values)


def _reviewer(house):
    ports = house.ports("records", "store", "clock", "random")
    return add_person(role="reviewer", email="rut@example.org", by=DESK, **ports).person.id


def _learn(house, case):
    learn(house.rows("cases", id=case.id)[0], [LATE], **house.ports("records", "clock"))


def _reverify(house, case):
    reverify_case(case.id, **house.ports("records", "store", "sandbox", "clock"))


def _judge(house, finding, verdict):
    return judging.judge_finding(finding.id, verdict, by=DESK, **house.ports("records", "clock"))


def _leak_once(told):
    """The next reading of a copy finds something; those after it find nothing."""
    left = [SandboxResult(meta={"leaks": ["(0008,103E): known"]}, content=b"")]
    told.rules["verify_instance"] = lambda result, *_: left.pop() if left else result


def _take_back(house, study):
    ports = house.ports("records", "store", "clock")
    return match_study.unassign_study(study_id=study.id, by=DESK, **ports)


def _look(result, *_):
    return replace(result, meta=result.meta | {"look": [{"code": "burned_in", "reason": "x"}]})


def test_a_release_is_not_approved_while_a_copy_was_not_read_against_all_that_is_known(house):
    case = _case(house)
    house.work()
    _build(house, case)
    _learn(house, case)
    job = house.jobs.claim_job(now=house.clock.now(), owner="x", lease_s=60)
    assert job.kind == "reverify_case"
    house.jobs.fail_job(job.id, owner="x", now=house.clock.now(), error="E", retry_at=None)
    with pytest.raises(ConflictError, match="more is known"):
        _approve(house, case)
    _build(house, case)
    assert _approve(house, case)[0].number == 2


def test_a_copy_that_cannot_be_read_keeps_no_other_from_being_read_again_and_is_made_anew(house):
    case = _case(house, 3)
    house.work()
    lost = house.rows("copies", state="verified")[0]
    house.store.forget(lost.object_id)
    _learn(house, case)
    _reverify(house, case)
    digest = known_digest(known_of(house.rows("cases")[0]))
    copies = house.rows("copies", state="verified")
    assert [c.index["known"] for c in copies] == [digest, digest]
    house.work()
    assert len(house.rows("copies", state="verified")) == 3
    assert house.rows("findings") == []
    assert _build(house, case).totals["instances"] == 3


def test_what_is_found_late_in_an_approved_release_takes_it_back(house):
    case = _case(house)
    house.work()
    person = _reviewer(house)
    _build(house, case)
    release, _ = _approve(house, case, reviewers=["rut@example.org"])
    built = _build(house, case)
    _leak_once(Told(house))
    _learn(house, case)
    _reverify(house, case)
    assert {r.id: r.state for r in house.rows("releases")} == {release.id: "withdrawn", built.id: "withdrawn"}
    told = house.events("release_withdrawn")
    assert [e.outcome for e in told] == ["recalled", "recalled"]
    with pytest.raises(NotFoundError):
        download_release(
            release.id, person_id=person, address="", span="all", **house.ports("records", "store", "clock")
        )
    house.work()
    (finding,) = house.rows("findings", state="open")
    assert (finding.code, finding.can_keep) == ("release_recalled", True)
    with pytest.raises(ConflictError, match="release_recalled"):
        _build(house, case)
    _judge(house, finding, "keep")
    assert _build(house, case).number == 3
    assert _approve(house, case)[1][0].person_id == person


def test_a_release_that_does_not_name_the_leaking_copy_stays(house):
    case = _case(house, 1)
    house.work()
    _build(house, case)
    release, _ = _approve(house, case)
    _receive(house, factories.ct_instance(number=2), case.ref)
    house.work()
    first = {e.content.copy_id for e in _manifest(house, release).entries}
    new = next(c for c in house.rows("copies", subject_kind="instance") if c.id not in first)
    with house.records.change(by=DESK) as change:
        for copy in change.copies.find(subject_kind="instance"):
            known = "old" if copy.id == new.id else known_digest(known_of(change.cases.get(case.id)))
            change.copies.put(replace(copy, index={**copy.index, "known": known}))
        change.note("case_read")
    _leak_once(Told(house))
    _reverify(house, case)
    assert house.rows("copies", id=new.id)[0].state == "leaking"
    assert house.rows("releases")[0].state == "approved"


def _manifest(house, release):
    return release_case.read_manifest(release, **house.ports("records", "store"))


def test_a_copy_of_what_was_taken_from_the_case_meanwhile_is_not_recorded(house):
    case = house.case()
    _receive(house, factories.ct_instance(number=1))
    study = house.rows("studies")[0]
    if study.case_id is None:
        match_study.assign_study(study_id=study.id, ref=case.ref, by=DESK, **house.ports("records", "clock"))
    told, taken = Told(house), []

    def take(result, *_):
        if not taken:
            taken.append(_take_back(house, study))
        return result

    told.rules["deidentify_instance"] = take
    house.work()
    (instance,) = house.rows("instances")
    assert (instance.state, instance.case_id) == ("received", None)
    assert house.rows("copies") == house.rows("findings") == []
    assert house.objects() == {instance.object_id}
    assert [e.outcome for e in house.events("copy_made")] == ["superseded"]
    match_study.assign_study(study_id=study.id, ref=case.ref, by=DESK, **house.ports("records", "clock"))
    house.work()
    assert _build(house, case).totals["instances"] == 1


def test_something_cleared_without_a_copy_is_told_and_not_a_fault(house):
    case = _case(house, 1)
    house.work()
    with house.records.change(by=DESK) as change:
        change.copies.remove(subject_kind="instance")
        change.note("case_read")
    with pytest.raises(ConflictError, match="have no copy") as told:
        _build(house, case)
    assert told.value.next_step


def test_the_state_that_was_really_set_is_returned(house):
    _case(house, 1)
    Told(house).rules["deidentify_instance"] = _look
    house.work()
    _judge(house, house.rows("findings", state="open")[0], "exclude")
    (instance,) = house.rows("instances")
    told = {
        "case": house.rows("cases")[0], "known": known_of(house.rows("cases")[0]), "subject_kind": "instance",
        "subject_id": instance.id, "media_type": "application/dicom", "original_uids": (), "now": house.clock.now(),
    }  # fmt: skip
    ports = house.ports("records", "store", "sandbox")
    content = read_copy(house.rows("copies", state="verified")[0], **house.ports("records", "store"))
    assert record_copy(Cleaned(content=content), **told, **ports) == "superseded"
    with house.records.change(by=DESK) as change:
        change.instances.set(instance.id, state="received")
        change.note("case_read")
    assert record_copy(Cleaned(content=content), **told, **ports) == "excluded"
    assert house.rows("instances")[0].state == "excluded"


def test_a_verdict_on_a_copy_that_was_made_anew_is_obsolete_and_cannot_be_taken_back(house):
    case = _case(house, 1)
    told = Told(house)
    told.rules["deidentify_instance"] = _look
    house.work()
    (first,) = house.rows("findings")
    _judge(house, first, "keep")
    _leak_once(told)
    _learn(house, case)
    _reverify(house, case)
    with pytest.raises(ConflictError, match="not the one"):
        judging.reconsider_finding(first.id, by=DESK, records=house.records)
    assert house.rows("instances")[0].state == "received"
    house.work()
    states = {f.id: f.state for f in house.rows("findings")}
    assert states.pop(first.id) == "obsolete"
    assert list(states.values()) == ["open"]
    with pytest.raises(ConflictError, match="no verdict"):
        judging.reconsider_finding(first.id, by=DESK, records=house.records)
    assert house.rows("instances")[0].state == "quarantined"


def test_what_was_left_out_and_made_anew_can_be_taken_back_in(house):
    case = _case(house, 1)
    told = Told(house)
    told.rules["deidentify_instance"] = _look
    house.work()
    (first,) = house.rows("findings")
    _judge(house, first, "exclude")
    _leak_once(told)
    _learn(house, case)
    house.work()
    assert house.rows("instances")[0].state == "excluded"
    for finding in house.rows("findings", state="open"):
        _judge(house, finding, "keep")
    judging.reconsider_finding(first.id, by=DESK, records=house.records)
    _judge(house, first, "keep")
    assert house.rows("instances")[0].state == "deidentified"


def test_a_verdict_does_not_end_the_wait_for_a_copy(house):
    _case(house, 1)
    Told(house).rules["deidentify_instance"] = _look
    house.work()
    (finding,) = house.rows("findings")
    with house.records.change(by=DESK) as change:
        change.instances.set(finding.subject_id, state="received")
        change.note("case_read")
    _judge(house, finding, "exclude")
    assert house.rows("instances")[0].state == "received"


def test_a_case_that_cannot_be_prepared_has_nothing_sealed_for_it(house):
    case = _case(house, 1)
    house.work()
    with house.records.change(by=DESK) as change:
        change.cases.set(case.id, state="answered")
        change.note("case_moved", case_id=case.id)
    before = house.objects()
    with pytest.raises(ConflictError, match="cannot"):
        _build(house, case)
    assert house.objects() == before


def test_what_is_learnt_while_a_release_is_built_is_asked_of_its_own_files(house, monkeypatch):
    case = _case(house, 1)
    house.work()
    real = release_case.reverify_case

    def late(case_id, **ports):
        if len(house.rows("releases")) == 0:
            _learn(house, case)
        real(case_id, **ports)
        house.work()

    monkeypatch.setattr(release_case, "reverify_case", late)
    _build(house, case)
    digest = known_digest(known_of(house.rows("cases")[0]))
    assert {c.index["known"] for c in house.rows("copies", state="verified")} == {digest}
    assert _approve(house, case)


def test_a_damaged_original_is_held_and_the_rest_of_the_study_goes_on(house):
    case = _case(house, 3)
    lost = house.rows("instances")[0]
    house.store.forget(lost.object_id)
    house.work()
    (finding,) = house.rows("findings", state="open")
    assert (finding.subject_id, finding.code, finding.can_keep) == (lost.id, "unreadable_object", False)
    assert len(house.rows("copies", state="verified")) == 2
    _judge(house, finding, "exclude")
    assert _build(house, case).totals["instances"] == 2


@pytest.mark.parametrize("task", ["harvest_instance", "deidentify_instance", "verify_instance"])
@pytest.mark.parametrize("code", ["killed", "crashed"])
def test_an_object_that_kills_its_reader_is_held_and_the_rest_goes_on(house, task, code):
    case = _case(house, 2)
    told, failed = Told(house), []

    def fail_first(result, *_):
        if failed:
            return result
        failed.append(SandboxFailed(code=code, reason="The computer ran short of memory."))
        return failed[0]

    told.rules[task] = fail_first
    house.work()
    (finding,) = house.rows("findings", state="open")
    assert finding.code == code
    assert not finding.can_keep
    assert len(house.rows("copies", state="verified")) == 1
    _judge(house, finding, "exclude")
    assert _build(house, case).totals["instances"] == 1


def test_a_damaged_document_is_held(house):
    case = house.case()
    document = _paper(house, case, b"Svar: ingen ting.")
    house.store.forget(document.object_id)
    house.work()
    (finding,) = house.rows("findings", state="open")
    assert (finding.subject_id, finding.code) == (document.id, "unreadable_object")


def _paper(house, case, content):
    with house.records.view() as view:
        key = view.key(case.id, "originals")
    ref = house.store.seal(io.BytesIO(content), key=key, kind="original")
    document = Document(
        id=new_id(), case_id=case.id, holder=case.id, category="labs", name="a.txt", media_type="text/plain",
        object_id=ref.object_id, size_bytes=ref.size_bytes, digest=ref.digest, generation=ref.generation,
        received_at=house.clock.now(),
    )  # fmt: skip
    with house.records.change(by=DESK) as change:
        change.documents.add(document)
        change.owe("deidentify_document", document.id, due_at=house.clock.now(), case_id=case.id)
        change.note("document_received", case_id=case.id, subject=document.id)
    return document


def test_the_original_uids_of_the_whole_case_are_looked_for_in_every_copy(house):
    case = _case(house, 2)
    told = Told(house)
    house.work()
    asked = [set(options["original_uids"]) for task, options in told.asked if task == "verify_instance"]
    heads = [i.head for i in house.rows("instances")]
    sops = {head["sop_instance_uid"] for head in heads}
    assert len(sops) == 2
    assert all(sops < uids and len(uids) > 4 for uids in asked)
    _learn(house, case)
    told.asked.clear()
    _reverify(house, case)
    again = [set(options["original_uids"]) for task, options in told.asked if task == "verify_instance"]
    assert all(sops < uids for uids in again)
    assert len(again) == 2


@pytest.mark.parametrize("surname", ["Second", "Screen", "Found", "Table", "Image", "Series"])
def test_a_surname_that_is_a_word_of_ours_does_not_keep_a_case_from_release(house, surname):
    case = _case(house, 1, patient={"names": [{"family": surname, "given": "Zebulonia"}]})
    house.work()
    assert house.rows("findings") == []
    assert _build(house, case).totals["instances"] == 1


def test_an_identifier_that_equals_a_size_or_a_number_of_the_package_is_chance(house):
    case = house.case()
    picture = {"Rows": 100, "Columns": 100, "PixelData": bytes(20_000)}
    _receive(house, factories.ct_instance(number=1, **picture), case.ref)
    house.work()
    size = house.rows("copies", subject_kind="instance")[0].size_bytes
    assert size > 20_000
    more = Known.from_json({"identifiers": [{"value": str(size), "type": "patient id"}]})
    learn(house.rows("cases")[0], [more], **house.ports("records", "clock"))
    house.work()
    assert _build(house, case).totals["instances"] == 1


@pytest.mark.parametrize("name", ["StudyDescription", "AccessionNumber", "StudyDate", "SeriesNumber"])
def test_an_identifier_in_what_a_copy_says_of_itself_is_still_caught(house, name):
    case = _case(house, 1)
    house.work()
    family = factories.make_people(1).patient.family
    with house.records.change(by=DESK) as change:
        copy = change.copies.first(subject_kind="instance")
        change.copies.put(replace(copy, index={**copy.index, name: family.upper()}))
        change.note("case_read")
    before = house.objects()
    with pytest.raises(ConflictError, match="would name the patient"):
        _build(house, case)
    assert house.objects() == before


def _from_patient(house, case, content):
    _receive(house, content, source=Actor(kind="patient", id="link"), case=case)


def test_the_same_object_from_two_senders_enters_a_release_once(house):
    case = _case(house, 2)
    _from_patient(house, case, factories.ct_instance(number=1))
    house.work()
    assert len(house.rows("copies", state="verified")) == 3
    assert _build(house, case).totals["instances"] == 2


def test_two_objects_under_one_uid_hold_the_release_until_one_is_left_out(house):
    case = _case(house, 1)
    _from_patient(house, case, factories.ct_instance(number=1, SliceThickness="3"))
    house.work()
    with pytest.raises(ConflictError, match="identifier of another"):
        _build(house, case)
    (finding,) = house.rows("findings", state="open")
    assert (finding.code, finding.can_keep) == ("uid_conflict", False)
    with pytest.raises(ConflictError, match="wait for a human"):
        _build(house, case)
    _judge(house, finding, "exclude")
    assert _build(house, case).totals["instances"] == 1


@pytest.mark.parametrize(("profile", "state"), [("strict", "quarantined"), ("mdt-default", "deidentified")])
def test_the_strict_profile_takes_no_document_and_the_report_names_the_profile(house, profile, state):
    case = house.case(profile=profile)
    _paper(house, case, b"Svar: ingen ting.")
    house.work()
    assert house.rows("documents")[0].state == state
    if profile == "strict":
        assert [f.code for f in house.rows("findings", state="open")] == ["profile_forbids"]
        assert house.rows("copies") == []
    else:
        assert house.rows("copies")[0].index["report"]["profile"] == profile


def test_a_case_that_is_not_to_be_deidentified_is_refused_in_clear_words(house):
    case = _case(house, 1)
    with house.records.change(by=DESK) as change:
        change.cases.set(case.id, profile="identified")
        change.note("case_read")
    Told(house).rules["deidentify_instance"] = lambda *_: SandboxResult(meta={"index": {}}, content=b"x")
    house.work()
    (finding,) = house.rows("findings", state="open")
    assert (finding.code, house.rows("copies")) == ("profile_forbids", [])
    with pytest.raises(ConflictError, match="identity in"):
        _build(house, case)


def test_a_release_with_a_member_that_is_not_what_was_sealed_is_not_approved(house):
    case = _case(house)
    house.work()
    built = _build(house, case)
    manifest = read_manifest(built, **house.ports("records", "store"))
    house.store.forget(manifest.entries[-1].content.ref.object_id)
    with pytest.raises(ConflictError, match="not what was sealed"):
        _approve(house, case)
