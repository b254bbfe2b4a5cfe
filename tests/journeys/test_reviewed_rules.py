"""What a human judged once is used again: masks, clean pictures and words; revoked, it is undone; what is held is tried again."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread

from anonymizer.known import Known
from gateway.domain.errors import ConflictError, InvalidError
from gateway.domain.people import Actor
from gateway.journeys import release_case
from gateway.journeys.forget_case import forget_case
from gateway.journeys.judge_finding import judge_finding
from gateway.journeys.make_copy import known_of, read_copy
from gateway.journeys.match_study import assign_study, unassign_study
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.review_rules import confirm_rule, judge_picture, judge_word, revoke_rule
from gateway.journeys.try_again import try_again
from tests import factories
from tests.fakes.journey_house import DESK, PACS, arrival

PRIVACY = Actor(kind="staff", id="privacy")
PLACE = (4, 5, 6, 3)
SHOWN = {"BurnedInAnnotation": "YES", "Manufacturer": "Acme", "ManufacturerModelName": "Scan 1"}


def receive(house, case, number=1, **attributes):
    content = factories.ct_instance(number=number, **(SHOWN | attributes))
    ports = house.ports("records", "store", "clock", "policy")
    receive_instance(arrival(content, called_ae=case.ref), source=PACS, **ports)


def judged(house, finding, kind="mask", places=(PLACE,), reach="picture", reason="", by=DESK):
    return judge_picture(
        finding.id,
        kind,
        rectangles=places,
        reach=reach,
        reason=reason,
        by=by,
        **house.ports("records", "clock"),
    )


def opened(house, case=None, **where):
    return house.rows("findings", state="open", **({"case_id": case.id} if case else {}), **where)


def build(house, case):
    ports = house.ports("records", "store", "sandbox", "clock")
    return release_case.build_release(ref=case.ref, by=DESK, **ports)


def approve(house, case):
    ports = house.ports("records", "store", "clock", "policy")
    return release_case.approve_release(ref=case.ref, by=DESK, **ports)


def pixels(house, copy):
    return dcmread(io.BytesIO(read_copy(copy, **house.ports("records", "store")))).pixel_array


def is_masked(house, copy, place=PLACE):
    left, top, width, height = place
    return len(np.unique(pixels(house, copy)[top : top + height, left : left + width])) == 1


def copy_of(house, subject_id):
    (copy,) = house.rows("copies", subject_id=subject_id, state="verified")
    return copy


def test_a_mask_on_one_picture_blanks_that_one_and_asks_for_no_second_look(house):
    case = house.case()
    receive(house, case, 1)
    receive(house, case, 2)
    house.work()
    finding, other = opened(house)
    before = pixels(house, copy_of(house, finding.subject_id))
    rule = judged(house, finding)
    house.work()
    assert [f.id for f in opened(house)] == [other.id]
    copy = copy_of(house, finding.subject_id)
    assert copy.index["rules"] == [rule.id]
    assert is_masked(house, copy)
    after, outside = pixels(house, copy), np.ones_like(before, bool)
    outside[PLACE[1] : PLACE[1] + PLACE[3], PLACE[0] : PLACE[0] + PLACE[2]] = False
    assert (after[outside] == before[outside]).all()
    assert not is_masked(house, copy_of(house, other.subject_id))
    (used,) = house.events("rules_used")
    assert used.details["rules"] == rule.id


def test_a_mask_for_a_layout_holds_for_every_such_picture_of_the_case_and_for_what_comes_later(house):
    case, elsewhere = house.case(), house.case(2)
    for number, more in enumerate(({}, {}, {"ManufacturerModelName": "Scan 2"}, {"size": 24}), 1):
        receive(house, case, number, **more)
    receive(house, elsewhere, 5)
    house.work()
    like = {"model": "Scan 1", "columns": 16}
    chosen = next(
        f for f in opened(house, case) if like.items() <= copy_of(house, f.subject_id).index["layout"].items()
    )
    rule = judged(house, chosen, reach="layout")
    house.work()
    receive(house, case, 9)
    house.work()
    made = {c.subject_id: c for c in house.rows("copies", case_id=case.id, state="verified")}
    assert sum(c.index["rules"] == [rule.id] and is_masked(house, c) for c in made.values()) == 3
    assert len(opened(house, case)) == 2
    assert len(opened(house, elsewhere)) == 1


def test_a_mask_holds_for_a_picture_of_its_layout_in_which_the_machine_would_not_have_looked(house):
    case = house.case()
    receive(house, case, 1)
    receive(house, case, 2, BurnedInAnnotation="NO")
    house.work()
    (finding,) = opened(house)
    judged(house, finding, reach="layout")
    house.work()
    copies = house.rows("copies", state="verified")
    assert [is_masked(house, copy) for copy in copies] == [True, True]


def test_nothing_identifies_in_a_layout_so_that_nobody_need_look_and_no_pixel_changes(house):
    case = house.case()
    receive(house, case, 1)
    receive(house, case, 2)
    house.work()
    before = {c.subject_id: pixels(house, c) for c in house.rows("copies", state="verified")}
    judged(house, opened(house)[0], kind="clean", places=(), reach="layout")
    house.work()
    assert opened(house) == []
    for copy in house.rows("copies", state="verified"):
        assert (pixels(house, copy) == before[copy.subject_id]).all()
    assert build(house, case).totals["instances"] == 2


def test_a_revoked_rule_opens_the_look_again_and_the_picture_is_as_it_was(house):
    case = house.case()
    receive(house, case)
    house.work()
    rule = judged(house, opened(house)[0])
    house.work()
    assert opened(house) == []
    build(house, case)
    revoke_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    with pytest.raises(ConflictError):
        approve(house, case)
    house.work()
    (finding,) = opened(house)
    copy = copy_of(house, finding.subject_id)
    assert copy.index["rules"] == []
    assert not is_masked(house, copy)
    with pytest.raises(ConflictError, match="ended already"):
        revoke_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    assert [e.outcome for e in house.events("rule_ended")] == ["revoked"]


def test_a_rule_for_a_device_holds_elsewhere_only_when_somebody_else_has_confirmed_it(house):
    case, elsewhere = house.case(), house.case(2)
    receive(house, case, 1)
    receive(house, elsewhere, 2)
    house.work()
    with pytest.raises(InvalidError, match="needs a reason"):
        judged(house, opened(house, case)[0], reach="device")
    judged(house, opened(house, case)[0], reach="device", reason="The top line shows the name.")
    house.work()
    assert opened(house, case) == []
    (rule,) = house.rows("device_rules")
    assert rule.state == "proposed"
    assert len(opened(house, elsewhere)) == 1
    with pytest.raises(ConflictError, match="somebody else"):
        confirm_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    confirm_rule(rule.id, by=PRIVACY, **house.ports("records", "clock"))
    house.work()
    assert opened(house, elsewhere) == []
    (copy,) = house.rows("copies", case_id=elsewhere.id, state="verified")
    assert copy.index["rules"] == [rule.id]
    assert is_masked(house, copy)
    revoke_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    house.work()
    assert len(opened(house, elsewhere)) == 1


def test_a_declined_rule_holds_nowhere(house):
    case = house.case()
    receive(house, case)
    house.work()
    judged(house, opened(house)[0], reach="device", reason="x")
    house.work()
    (rule,) = house.rows("device_rules")
    assert revoke_rule(rule.id, by=PRIVACY, **house.ports("records", "clock")).state == "declined"
    with pytest.raises(ConflictError):
        confirm_rule(rule.id, by=PRIVACY, **house.ports("records", "clock"))


def test_a_mask_that_comes_after_a_release_takes_it_back(house):
    case = house.case()
    receive(house, case)
    house.work()
    (finding,) = opened(house)
    judge_finding(finding.id, "keep", by=DESK, **house.ports("records", "clock"))
    build(house, case)
    release, _ = approve(house, case)
    judged(house, finding)
    house.work()
    assert [r.state for r in house.rows("releases", id=release.id)] == ["withdrawn"]
    (asked,) = opened(house)
    assert asked.code == "release_recalled"


def test_saying_that_nothing_identifies_takes_no_release_back(house):
    case = house.case()
    receive(house, case)
    house.work()
    (finding,) = opened(house)
    judge_finding(finding.id, "keep", by=DESK, **house.ports("records", "clock"))
    build(house, case)
    release, _ = approve(house, case)
    judged(house, finding, kind="clean", places=())
    house.work()
    assert [r.state for r in house.rows("releases", id=release.id)] == ["approved"]


def test_nothing_is_built_from_copies_that_were_made_by_other_rules(house):
    case = house.case()
    receive(house, case)
    house.work()
    judged(house, opened(house)[0])
    with house.records.change(by=DESK) as change:  # the job is lost, and somebody keeps the old copy
        change.jobs.remove(case_id=case.id)
        for finding in change.findings.find(case_id=case.id):
            change.findings.set(finding.id, state="kept")
        for instance in change.instances.find(case_id=case.id):
            change.instances.set(instance.id, state="deidentified")
        change.note("finding_judged")
    with pytest.raises(ConflictError, match="still being worked on"):
        build(house, case)  # its third step makes them anew
    house.work()
    build(house, case)
    approve(house, case)


@pytest.mark.parametrize(
    ("kind", "places", "said"),
    [
        ("mask", (), "no place to mask"),
        ("mask", ((16, 0, 4, 4),), "beside the picture"),
        ("mask", ((0, 0, 1, 1),) * 41, "more than 40"),
        ("clean", (PLACE,), "nothing identifies"),
        ("kept_word", (), "no verdict on a picture"),
    ],
)
def test_a_verdict_that_means_nothing_is_refused(house, kind, places, said):
    case = house.case()
    receive(house, case)
    house.work()
    with pytest.raises(InvalidError, match=said):
        judged(house, opened(house)[0], kind=kind, places=places)
    assert house.rows("case_rules") == []


def test_a_place_is_cut_to_the_edge_of_the_picture(house):
    case = house.case()
    receive(house, case)
    house.work()
    rule = judged(house, opened(house)[0], places=((10, 10, 100, 100),))
    assert rule.body["rectangles"] == [[10, 10, 6, 6]]


def test_a_word_that_identifies_too_goes_and_comes_back_with_its_undo(house):
    case = house.case()
    receive(house, case, SeriesDescription="Abdomen Zyxwort late phase", BurnedInAnnotation="NO")
    house.work()
    description = "SeriesDescription"
    assert "Zyxwort" in house.rows("copies", state="verified")[0].index[description]
    build(house, case)
    release, _ = approve(house, case)
    rule = judge_word(
        ref=case.ref, word=" Zyxwort ", identifies=True, reason="", by=DESK, **house.ports("records", "clock")
    )
    house.work()
    (copy,) = house.rows("copies", state="verified", subject_kind="instance")
    assert "Zyxwort" not in copy.index[description]
    assert "late phase" in copy.index[description]
    assert [r.state for r in house.rows("releases", id=release.id)] == ["withdrawn"]
    with pytest.raises(ConflictError, match="rule for this word"):
        judge_word(
            ref=case.ref,
            word="zyxwort",
            identifies=False,
            reason="",
            by=DESK,
            **house.ports("records", "clock"),
        )
    revoke_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    house.work()
    (copy,) = house.rows("copies", state="verified", subject_kind="instance")
    assert "Zyxwort" in copy.index[description]
    assert copy.index["rules"] == []


def test_a_word_that_does_not_identify_stays_from_then_on_and_goes_again_with_its_undo(house):
    family = "Quorndale"
    case = house.case(patient={"names": [{"family": family, "given": "Anna"}]})
    receive(house, case, SeriesDescription=f"{family} protocol", BurnedInAnnotation="NO")
    house.work()
    assert family not in json.dumps(house.rows("copies", state="verified")[0].index)
    rule = judge_word(
        ref=case.ref,
        word=family,
        identifies=False,
        reason="a method",
        by=DESK,
        **house.ports("records", "clock"),
    )
    house.work()
    (copy,) = house.rows("copies", state="verified", subject_kind="instance")
    assert copy.index["SeriesDescription"] == f"{family} protocol"
    build(house, case)
    assert family in known_of(house.rows("cases", id=case.id)[0]).kept
    revoke_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    house.work()
    (copy,) = house.rows("copies", state="verified", subject_kind="instance")
    assert family not in copy.index["SeriesDescription"]
    assert known_of(house.rows("cases", id=case.id)[0]).kept == ()


def test_a_revoked_word_does_not_come_back_with_work_that_began_before(house):
    from gateway.journeys.deidentify_study import learn

    case = house.case()
    rule = judge_word(
        ref=case.ref, word="Zyxwort", identifies=False, reason="", by=DESK, **house.ports("records", "clock")
    )
    before = house.rows("cases", id=case.id)[0]
    revoke_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    told = Known.from_json({"names": [{"family": "Lateworth", "given": "Zebulonia"}]})
    after = learn(before, [told], **house.ports("records", "clock"))
    assert known_of(after).kept == ()


def test_judged_words_outlive_a_study_that_is_taken_out_of_the_case(house):
    case = house.case()
    content = factories.ct_instance(2, number=7)
    ports = house.ports("records", "store", "clock", "policy")
    receive_instance(arrival(content, called_ae="CONSILIUM"), source=PACS, **ports)
    house.work()
    (study,) = house.rows("studies", case_id=None)
    assign_study(study_id=study.id, ref=case.ref, by=DESK, **house.ports("records", "clock"))
    house.work()
    judge_word(
        ref=case.ref, word="Zyxwort", identifies=True, reason="", by=DESK, **house.ports("records", "clock")
    )
    judge_word(
        ref=case.ref, word="Abcwort", identifies=False, reason="", by=DESK, **house.ports("records", "clock")
    )
    unassign_study(study_id=study.id, by=DESK, **house.ports("records", "store", "clock"))
    known = known_of(house.rows("cases", id=case.id)[0])
    assert ("Zyxwort" in known.other, known.kept) == (True, ("Abcwort",))


@pytest.mark.parametrize("word", ["", " ", "x", "---", "y" * 101])
def test_what_is_no_word_is_no_rule(house, word):
    case = house.case()
    with pytest.raises(InvalidError, match="from 2 to 100"):
        judge_word(
            ref=case.ref, word=word, identifies=True, reason="", by=DESK, **house.ports("records", "clock")
        )


def test_a_verdict_on_bytes_that_did_not_change_is_not_asked_for_twice(house):
    case = house.case()
    receive(house, case, 1)
    house.work()
    (finding,) = opened(house)
    judge_finding(finding.id, "keep", by=PRIVACY, **house.ports("records", "clock"))
    judge_word(
        ref=case.ref, word="Zyxwort", identifies=True, reason="", by=DESK, **house.ports("records", "clock")
    )
    house.work()
    assert opened(house) == []
    (kept,) = house.rows("findings", state="kept")
    assert kept.decided_by == str(PRIVACY)
    assert kept.copy_id == copy_of(house, finding.subject_id).id


def test_what_was_left_out_stays_out_whatever_rule_comes(house):
    case = house.case()
    receive(house, case)
    house.work()
    (finding,) = opened(house)
    judge_finding(finding.id, "exclude", by=DESK, **house.ports("records", "clock"))
    judge_word(
        ref=case.ref, word="Zyxwort", identifies=True, reason="", by=DESK, **house.ports("records", "clock")
    )
    house.work()
    assert [i.state for i in house.rows("instances")] == ["excluded"]


def test_no_word_and_no_text_of_a_picture_stands_in_the_trail_or_in_findings_or_unsealed(house):
    case = house.case()
    receive(house, case)
    house.work()
    judged(house, opened(house)[0], reach="device", reason="Zyxwort says why")
    judge_word(
        ref=case.ref,
        word="Zyxwort",
        identifies=True,
        reason="Zyxwort",
        by=DESK,
        **house.ports("records", "clock"),
    )
    house.work()
    told = [json.dumps(dict(e.details)) + e.subject + e.outcome for e in house.events()]
    told += [repr(f) for f in house.rows("findings")]
    assert told
    assert not [text for text in told if "Zyxwort" in text]
    raw = b"".join(p.read_bytes() for p in house.folder.glob("records.db*"))
    assert b"Zyxwort" not in raw
    assert b"Scan 1" not in raw


def test_forgetting_a_case_forgets_its_rules_and_leaves_those_of_devices(house):
    case = house.case()
    receive(house, case)
    house.work()
    judged(house, opened(house)[0], reach="device", reason="x")
    forget_case(ref=case.ref, confirm=case.ref, by=DESK, **house.ports("records", "store"))
    assert house.rows("case_rules") == []
    assert len(house.rows("device_rules")) == 1


def test_what_is_held_is_cleaned_once_more_when_its_bytes_are_back(house):
    case = house.case()
    receive(house, case, BurnedInAnnotation="NO")
    house.work()
    (instance,) = house.rows("instances")
    (file,) = (house.folder / "objects").rglob(instance.object_id)
    with house.records.change(by=DESK) as change:
        change.copies.remove(subject_id=instance.id)
        change.instances.set(instance.id, state="received")
        change.owe("deidentify_study", instance.study_id, due_at=house.clock.now(), case_id=case.id)
        change.note("job_retried")
    content = file.read_bytes()
    file.unlink()
    house.work()
    (finding,) = opened(house)
    assert (finding.code, finding.copy_id) == ("unreadable_object", None)
    file.write_bytes(content)
    try_again(finding.id, by=DESK, **house.ports("records", "clock"))
    with pytest.raises(ConflictError, match="not held any more"):
        try_again(finding.id, by=DESK, **house.ports("records", "clock"))
    house.work()
    assert opened(house) == []
    assert [i.state for i in house.rows("instances")] == ["deidentified"]
    assert [e.subject for e in house.events("tried_again")] == [instance.id]


def test_of_two_objects_under_one_identifier_none_is_cleaned_free(house):
    case = house.case()
    receive(house, case, 1, BurnedInAnnotation="NO")
    receive(house, case, 1, BurnedInAnnotation="NO", SeriesDescription="other bytes")
    house.work()
    (finding,) = opened(house)
    assert finding.code == "uid_conflict"
    with pytest.raises(ConflictError, match="cannot be cleaned anew"):
        try_again(finding.id, by=DESK, **house.ports("records", "clock"))
    judge_word(
        ref=case.ref, word="Zyxwort", identifies=True, reason="", by=DESK, **house.ports("records", "clock")
    )
    house.work()
    assert [f.code for f in opened(house)] == ["uid_conflict"]
    assert sorted(i.state for i in house.rows("instances")) == ["deidentified", "quarantined"]


def own_word(house, case, word):
    return judge_word(
        ref=case.ref, word=word, identifies=False, reason="", by=DESK, **house.ports("records", "clock")
    )


PATIENT = {
    "names": [{"family": "Quorndale", "given": "Anna Maria"}],
    "identifiers": [{"value": "19811218-9876", "type": "personal number"}],
    "birth_date": "1981-12-18",
    "phones": ["070-123 45 67"],
    "emails": ["anna.q@example.org"],
}


@pytest.mark.parametrize(
    "word",
    [
        "19811218-9876",
        "811218-9876",
        "protocol 198112189876",
        "1981-12-18",
        "18 December 1981",
        "+46 70 123 45 67",
        "Anna.Q@example.org",
        "Anna Quorndale",
        "QUORNDALE, Maria",
    ],
)
def test_what_is_the_patient_herself_is_never_kept(house, word):
    case = house.case(patient=PATIENT)
    with pytest.raises(ConflictError, match="never kept"):
        own_word(house, case, word)
    assert known_of(house.rows("cases", id=case.id)[0]).kept == ()


def test_a_name_is_not_kept_part_by_part_and_a_part_of_it_may_be(house):
    case = house.case(patient=PATIENT)
    own_word(house, case, "Quorndale")
    own_word(house, case, "protocol 12")
    with pytest.raises(ConflictError, match="never kept"):
        own_word(house, case, "Anna")


def test_a_number_of_the_patient_that_only_the_material_told_is_not_kept(house):
    case = house.case()
    receive(house, case, PatientID="ZX-4471-09", AccessionNumber="ACC5512907")
    house.work()
    with pytest.raises(ConflictError, match="never kept"):
        own_word(house, case, "ZX-4471-09")
    own_word(house, case, "ACC5512907")


def confirmed(house, finding, **more):
    judged(house, finding, reach="device", reason="x", **more)
    (rule,) = house.rows("device_rules")
    return confirm_rule(rule.id, by=PRIVACY, **house.ports("records", "clock"))


def test_there_is_no_rule_for_a_device_that_does_not_tell_what_it_is(house):
    case = house.case()
    receive(house, case, Manufacturer="")
    house.work()
    with pytest.raises(InvalidError, match="no device"):
        judged(house, opened(house)[0], reach="device", reason="x")
    judged(house, opened(house)[0], reach="layout")


@pytest.mark.parametrize("lacks", ["ManufacturerModelName", "SoftwareVersions"])
def test_a_part_that_a_layout_does_not_tell_is_no_joker(house, lacks):
    case = house.case()
    receive(house, case, 1, **{lacks: ""})
    receive(house, case, 2, **{lacks: "Another"})
    house.work()
    (nameless,) = [
        f for f in opened(house) if "Another" not in copy_of(house, f.subject_id).index["layout"].values()
    ]
    judged(house, nameless, kind="clean", places=(), reach="layout")
    house.work()
    (left,) = opened(house)
    assert "Another" in copy_of(house, left.subject_id).index["layout"].values()
    assert copy_of(house, left.subject_id).index["rules"] == []


def test_a_revoked_mask_leaves_a_look_where_the_machine_sees_nothing(house):
    case, elsewhere = house.case(), house.case(2)
    receive(house, case, 1)
    receive(house, elsewhere, 2, BurnedInAnnotation="NO")
    house.work()
    rule = confirmed(house, opened(house)[0])
    house.work()
    assert opened(house) == []
    house.clock.forward(hours=1)
    revoke_rule(rule.id, by=DESK, **house.ports("records", "clock"))
    house.work()
    (asked,) = opened(house)
    assert (asked.case_id, asked.code) == (elsewhere.id, "mask_ended")
    assert not is_masked(house, copy_of(house, asked.subject_id))
    with pytest.raises(ConflictError):
        build(house, elsewhere)
    judge_word(  # the copy is made anew, and the look is not lost with the one before
        ref=elsewhere.ref,
        word="Zyxwort",
        identifies=True,
        reason="",
        by=DESK,
        **house.ports("records", "clock"),
    )
    house.work()
    (asked,) = opened(house)
    assert asked.code == "mask_ended"
    house.clock.forward(hours=1)
    receive(house, elsewhere, 9, BurnedInAnnotation="NO")  # was never masked by it
    judged(house, asked, kind="clean", places=())
    house.work()
    assert opened(house) == []


def without_layout(house, copy):
    with house.records.change(by=DESK) as change:
        index = {name: value for name, value in copy.index.items() if name != "layout"}
        change.copies.put(replace(copy, index=index))
        change.note("copies_checked")


def test_a_mask_reaches_and_recalls_a_copy_from_before_layouts_were_kept(house):
    case, elsewhere, other = house.case(), house.case(2), house.case(3)
    receive(house, case, 1)
    receive(house, elsewhere, 2, BurnedInAnnotation="NO")
    receive(house, other, 3, BurnedInAnnotation="NO", size=24)
    house.work()
    for one in (elsewhere, other):
        without_layout(house, house.rows("copies", case_id=one.id, state="verified")[0])
        build(house, one)
        approve(house, one)
    confirmed(house, opened(house, case)[0])
    house.work()
    (copy,) = house.rows("copies", case_id=elsewhere.id, state="verified", subject_kind="instance")
    assert is_masked(house, copy)
    assert [r.state for r in house.rows("releases", case_id=elsewhere.id)] == ["withdrawn"]
    assert [r.state for r in house.rows("releases", case_id=other.id)] == ["approved"]
    (copy,) = house.rows("copies", case_id=other.id, state="verified", subject_kind="instance")
    assert copy.index["layout"]["columns"] == 24
