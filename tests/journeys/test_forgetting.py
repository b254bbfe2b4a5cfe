"""Forgetting a case, to the last copy of its keys: holds, certificates, the register, kills at each step, and what stays whole."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.adapters.register_file import FileRegister
from gateway.domain.epoch import Epoch
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from gateway.domain.forgetting import GROUNDS, Tombstone, read_register_line, register_line
from gateway.journeys.certify_forgetting import (
    check_certificate,
    check_with_house,
    give_certificate,
    list_forgotten,
)
from gateway.journeys.forget_again import forget_again
from gateway.journeys.forget_case import forget_case, remove_objects
from gateway.journeys.hold_case import hold_case, standing_hold, unhold_case
from gateway.journeys.keep_register import keep_register, read_register
from gateway.journeys.match_study import assign_study, unassign_study
from gateway.journeys.open_release import download_release
from gateway.journeys.place_study import PlaceMemo
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.show_case import show_case
from gateway.journeys.verify_audit import verify_audit
from storage import KeyForgottenError, SealedRef, VolumeFailedError
from tests import factories
from tests.fakes.journey_house import (
    DESK,
    PACS,
    Killed,
    Trap,
    Trapped,
    TrappedRecords,
    arrival,
    open_house,
)
from tests.journeys.test_releasing_and_answering import Desk

WHY = "Klara Främling, dnr 2026:17"


def _receive(house, case, *numbers, seed=1, called_ae=""):
    for number in numbers:
        receive_instance(
            arrival(factories.ct_instance(seed, number=number), called_ae=called_ae or case.ref),
            source=PACS, **house.ports("records", "store", "clock", "policy"),
        )  # fmt: skip


def _forget(house, case, **values):
    fixed = {"ref": case.ref, "confirm": case.ref, "by": DESK, **house.ports("records", "store")}
    return forget_case(**(fixed | values))


def _certificate(house, ref, **values):
    fixed = {"by": DESK, **house.ports("records", "store", "register", "policy")}
    return give_certificate(ref, **(fixed | values))


def _blobs(house, holder):
    with house.records.view() as view:
        return [view.key(holder, purpose).blob for purpose in ("originals", "releases")]


def _full(house, seed=1, count=2):
    """A case with objects of every kind that the line makes."""
    case = house.case(seed)
    _receive(house, case, *range(1, count + 1), seed=seed)
    house.work()
    return case


# holds


def test_a_held_case_is_forgotten_by_nobody_and_all_of_it_stays(house):
    case = _full(house)
    hold_case(ref=case.ref, reason=WHY, by=DESK, records=house.records)
    rows = {kind: house.rows(kind) for kind in ("cases", "studies", "instances", "copies", "jobs", "holds")}
    with pytest.raises(ConflictError, match="legal hold") as caught:
        _forget(house, case)
    assert "unhold" in caught.value.next_step
    with pytest.raises(ConflictError, match="legal hold"), house.records.change(by=DESK) as change:
        change.destroy_keys(case.id)  # whoever asks: the refusal is where keys are destroyed
    assert {kind: house.rows(kind) for kind in rows} == rows
    assert house.events("case_forgotten") == []
    assert len(_blobs(house, case.id)) == 2
    file = show_case(ref=case.ref, by=DESK, **house.ports("records", "clock", "policy"))
    assert (file.hold.reason, file.to_json()["held_since"]) == (WHY, "2026-03-02T09:00:10+00:00")
    assert WHY not in json.dumps(file.to_json())


def test_a_hold_ends_with_a_reason_and_then_the_case_can_be_forgotten(house):
    case = house.case()
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(InvalidError):
            hold_case(ref=case.ref, reason=reason, by=DESK, records=house.records)
    with pytest.raises(ConflictError, match="no legal hold"):
        unhold_case(ref=case.ref, reason="x", by=DESK, records=house.records)
    hold_case(ref=case.ref, reason=WHY, by=DESK, records=house.records)
    with pytest.raises(ConflictError, match="already"):
        hold_case(ref=case.ref, reason="another", by=DESK, records=house.records)
    unhold_case(ref=case.ref, reason="Ärendet är avslutat", by=DESK, records=house.records)
    (kept,) = house.rows("holds")
    assert (kept.reason, kept.end_reason, kept.ended_by) == (WHY, "Ärendet är avslutat", "staff:coordinator")
    second = hold_case(ref=case.ref, reason="again", by=DESK, records=house.records)
    with house.records.view() as view:
        assert standing_hold(view, case.id) == second
    unhold_case(ref=case.ref, reason="over", by=DESK, records=house.records)
    _forget(house, case)
    assert house.rows("holds") == []
    assert [len(house.events(kind)) for kind in ("case_held", "case_unheld")] == [2, 2]


def test_why_a_case_is_held_is_in_no_file_in_the_clear(house):
    case = house.case()
    hold_case(ref=case.ref, reason=WHY, by=DESK, records=house.records)
    unhold_case(ref=case.ref, reason=WHY, by=DESK, records=house.records)
    files = [path for path in house.folder.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [
        path for path in files if b"Fr\xc3\xa4mling" in path.read_bytes() or b"2026:17" in path.read_bytes()
    ]


# what is forgotten, and what is not


def test_a_ground_is_one_of_the_laws_and_stands_in_the_trail(house):
    case = house.case()
    with pytest.raises(InvalidError, match="ground"):
        _forget(house, case, ground="tired of it")
    kept = _forget(house, case, ground="consent_withdrawn")
    assert kept.ground in GROUNDS
    (event,) = house.events("case_forgotten")
    assert event.details["ground"] == "consent_withdrawn"
    with pytest.raises(ConflictError, match="already") as caught:
        _forget(house, case)
    assert "certificate" in caught.value.next_step


def test_of_many_cases_one_is_gone_and_every_other_opens_whole(house):
    cases = [house.case(seed) for seed in range(1, 31)]
    for seed, case in enumerate(cases, 1):
        _receive(house, case, 1, seed=seed)
    gone = cases.pop(11)
    _forget(house, gone)
    assert len(house.rows("cases")) == len(cases) == 29
    instances = house.rows("instances")
    assert len(instances) == 29
    for instance in instances:
        with house.records.view() as view:
            key = view.key(instance.holder, "originals")
        house.store.verify(_ref(instance), key=key, kind="original")
    assert house.objects() == {one.object_id for one in instances}


def test_no_byte_of_a_destroyed_key_is_left_in_any_file_of_the_home(house):
    chance, cases, gone = random.Random(3), [], []
    for number in range(60):
        cases.append(house.case(number % 5 + 1))
        if chance.random() < 0.5:
            case = cases.pop(chance.randrange(len(cases)))
            gone += _blobs(house, case.id)
            _forget(house, case)
    alive = [blob for case in cases for blob in _blobs(house, case.id)]
    content = [path.read_bytes() for path in house.folder.rglob("*") if path.is_file()]
    assert len(gone) > 20
    assert all(any(blob in data for data in content) for blob in alive)  # that is how they would be found
    assert not [blob for blob in gone if any(blob[8:40] in data for data in content)]


def test_a_log_that_somebody_still_reads_is_cut_when_he_has_done(house):
    case = house.case()
    (blob, _) = _blobs(house, case.id)
    house.records.watch_forgotten()
    with house.records.view() as view:
        view.cases.count()
        began = time.monotonic()
        _forget(house, case)
        assert time.monotonic() - began < 2
        assert _found(house, blob)  # the page as the reader sees it
    until = time.monotonic() + 5
    while _found(house, blob) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _found(house, blob)


def test_what_a_killed_process_left_in_the_log_the_next_one_cuts(house, monkeypatch):
    case = house.case()
    (blob, _) = _blobs(house, case.id)
    monkeypatch.setattr(type(house.records._forgotten), "cut", lambda *_, **__: False)
    _forget(house, case)
    assert _found(house, blob)
    monkeypatch.undo()
    copy = house.folder.parent / "copy"
    shutil.copytree(house.folder, copy)
    from gateway.records import SqlRecords, open_engines
    from storage import open_disk_store

    write, read = open_engines(f"sqlite:///{copy / 'records.db'}")
    store = open_disk_store(copy, copy / "master.json", tenant="consilium")
    records = SqlRecords(write=write, read=read, store=store, clock=house.clock, doorbell=house.bell)
    records.watch_forgotten()
    until = time.monotonic() + 5
    while _found_in(copy, blob) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _found_in(copy, blob)
    records.close()


def _found(house, blob):
    return _found_in(house.folder, blob)


def _found_in(folder, blob):
    return any(blob in path.read_bytes() for path in folder.glob("records.db*"))


def test_a_key_and_an_object_that_were_put_back_open_nothing(house):
    case = _full(house, count=1)
    (instance,) = house.rows("instances")
    path = next(house.folder.joinpath("objects").rglob(instance.object_id))
    content = path.read_bytes()
    with house.records.view() as view:
        key = view.key(case.id, "originals")
    _forget(house, case)
    path.write_bytes(content)
    with house.records.change(by=DESK) as change:
        change.add_key(key, case_id=case.id)
        change.note("case_read")
    with house.records.view() as view:
        again = view.key(case.id, "originals")
    for attempt in (key, again):
        with pytest.raises(KeyForgottenError):
            house.store.open(_ref(instance), key=attempt, kind="original")
    with pytest.raises(KeyForgottenError):
        house.store.derive(key=key, label=b"pseudonyms")


def _ref(row):
    return SealedRef(
        object_id=row.object_id, size_bytes=row.size_bytes, digest=row.digest, generation=row.generation
    )


# objects: at once, or as a job


def test_objects_that_take_longer_are_owed_and_said_so(house):
    case = _full(house, count=3)
    before = house.objects()
    ticks = iter(range(100))
    kept = _forget(house, case, clock=lambda: next(ticks) * 0.4)
    assert kept.objects == len(before)
    assert 0 < len(kept.left) < kept.objects
    assert house.objects() == set(kept.left)
    house.clock.forward(seconds=10)
    assert house.work() == ["remove_objects"]
    assert house.objects() == set()
    assert house.rows("forgettings")[0].left == []
    assert remove_objects(case.id, **house.ports("records", "store")).left == []
    assert sum(e.details["objects"] for e in house.events("objects_removed")) == kept.objects


def test_a_volume_that_removes_nothing_does_not_unforget_the_case(house, monkeypatch):
    case = _full(house)

    def refuse(_):
        raise VolumeFailedError("EIO")

    monkeypatch.setattr(house.store, "forget", refuse)
    kept = _forget(house, case)
    assert len(kept.left) == kept.objects > 0
    with pytest.raises(NotFoundError), house.records.view() as view:
        view.key(case.id, "originals")
    monkeypatch.undo()
    house.clock.forward(seconds=10)
    house.work()
    assert house.objects() == set()


def test_what_of_two_thousand_objects_is_not_removed_at_once_is_owed(house):
    case = _full(house, count=1)
    (instance,) = house.rows("instances")
    with house.records.view() as view:
        key = view.key(case.id, "originals")
    from io import BytesIO

    for at in range(0, 2000, 500):
        with house.records.change(by=DESK) as change:
            for number in range(at, at + 500):
                ref = house.store.seal(BytesIO(b"x" * 100), key=key, kind="original")
                change.instances.add(
                    replace(instance, id=f"i{number}", sop_key=f"k{number}", sender_key=f"s{number}",
                            object_id=ref.object_id, digest=ref.digest, size_bytes=100)
                )  # fmt: skip
            change.note("case_read")
    kept = _forget(house, case)  # how long that takes: docs/benchmarks.md
    assert kept.objects >= 2001
    house.clock.forward(seconds=10)
    house.work()
    assert house.objects() == set()


# kills


@pytest.mark.parametrize("real", [False, True], ids=["crash", "SIGKILL"])
def test_killed_at_any_step_either_nothing_happened_or_the_case_is_unreadable(tmp_path, real):
    steps, outcomes, at = 1, set(), 0
    while at < steps:
        at += 1
        folder = tmp_path / f"{at}"
        folder.mkdir()
        house = open_house(folder)
        case = _full(house, count=1)
        with house.records.view() as view:
            key = view.key(case.id, "originals")
        instances, objects = house.rows("instances"), house.objects()
        if real:
            steps = max(steps, _killed_for_real(house, case, at))
        else:
            steps = max(steps, _killed(house, case, at))
        if house.rows("cases"):
            outcomes.add("nothing happened")
            assert house.objects() == objects
            for one in instances:
                house.store.verify(_ref(one), key=key, kind="original")
        else:
            outcomes.add("forgotten")
            assert not any(house.rows(kind) for kind in ("instances", "copies", "studies", "documents"))
            with pytest.raises(KeyForgottenError):
                house.store.open(_ref(instances[0]), key=key, kind="original")
            house.clock.forward(seconds=10)
            house.work()  # what was left is owed
            assert house.objects() == set()
            assert _certificate(house, case.ref).body["erased"]["objects"] == len(objects)
        verdict = verify_audit(by=DESK, origin="consilium", **house.ports("records", "store", "witness"))
        assert verdict.flaws == ()
        house.close()
    assert outcomes == {"nothing happened", "forgotten"}
    assert steps >= 8


def _killed(house, case, at):
    trap = Trap(at)
    with suppress(Killed):
        _forget(
            house,
            case,
            records=TrappedRecords(house.records, trap),
            store=Trapped(house.store, trap, "forget"),
        )
    counting = trap.calls
    return counting if trap.calls < at else at + 1


def _killed_for_real(house, case, at):
    house.close()
    program = (
        "import os, signal, sys; from tests.journeys.test_forgetting import forget_and_die; "
        "forget_and_die(sys.argv[1], sys.argv[2], int(sys.argv[3]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(house.folder), case.ref, str(at)], timeout=60, check=False
    )
    house.__dict__.update(open_house(house.folder).__dict__)
    assert done.returncode in {-signal.SIGKILL, 0}
    return at + 1 if done.returncode else at


def forget_and_die(folder, ref, at):
    """In a process of its own: forget, and be killed at a step."""
    from pathlib import Path

    house = open_house(Path(folder))
    trap = Trap(at)
    trap.step = lambda: _count_and_die(trap)
    forget_case(
        ref=ref, confirm=ref, by=DESK, records=TrappedRecords(house.records, trap),
        store=Trapped(house.store, trap, "forget"),
    )  # fmt: skip


def _count_and_die(trap):
    trap.calls += 1
    if trap.calls == trap.at:
        os.kill(os.getpid(), signal.SIGKILL)


# certificates


def test_a_certificate_says_what_was_forgotten_and_nothing_of_whom(house):
    case = _full(house)
    holders = sorted({one.holder for one in house.rows("studies")} | {case.id})
    kept = _forget(house, case, ground="consent_withdrawn")
    given = _certificate(house, case.ref)
    body = given.body
    (event,) = house.events("case_forgotten")
    assert (body["case"], body["case_id"], body["holders"]) == (case.ref, case.id, holders)
    assert (body["by"], body["ground"]) == ("staff:coordinator", "consent_withdrawn")
    assert body["event"] == {"seq": event.seq, "hash": event.hash}
    assert body["erased"] == {
        "keys": kept.keys, "rows": kept.rows, "objects": kept.objects, "commitments": 0
    }  # fmt: skip
    assert [set(one) for one in body["master_keys"]] == [{"id", "version", "destroyed_by"}]
    values = [word for word in _leaves(case.patient) if len(word) > 3]
    assert len(values) > 5
    assert not [word for word in values if word in given.text]


def _leaves(value):
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [leaf for one in inner for leaf in _leaves(one)]
    return [str(value)]


def test_a_certificate_is_the_same_for_ever_and_checked_without_a_house(house):
    case = _full(house)
    _forget(house, case)
    first = _certificate(house, case.ref)
    house.clock.forward(days=4000)
    assert _certificate(house, case.ref.lower()) == first
    assert _certificate(house, case.id) == first
    assert check_certificate(first.text, key=first.public_key.upper()).body == first.body
    assert check_with_house(first.text, **house.ports("records", "store")).body == first.body
    assert [e.outcome for e in house.events("forgetting_certified")] == ["ok", "again", "again"]
    assert [f.ref for f in list_forgotten(records=house.records)] == [case.ref]
    with pytest.raises(NotFoundError):
        _certificate(house, "C-00000000")


def test_a_stranger_checks_the_certificate_with_another_library_and_the_written_page(house):
    """The steps of docs/spec/forgetting-certificate.md, without a line of ours."""
    import base64

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    case = house.case()
    _forget(house, case)
    value = json.loads(_certificate(house, case.ref).text)
    message = b"consilium-forgetting-1\n" + json.dumps(
        value["certificate"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8")
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(value["signature"]["public_key"]))
    key.verify(base64.b64decode(value["signature"]["value"]), message)


def test_an_altered_certificate_and_one_of_another_hand_are_refused(house, tmp_path):
    case = _full(house, count=1)
    _forget(house, case)
    given = _certificate(house, case.ref)
    value = json.loads(given.text)
    for name, other in (
        ("case", "C-00000000"),
        ("by", "staff:other"),
        ("ground", "mistake"),
        ("origin", "south"),
    ):
        altered = json.dumps({**value, "certificate": {**value["certificate"], name: other}})
        with pytest.raises(ConflictError, match="altered"):
            check_certificate(altered, key=given.public_key)
    forged_folder = tmp_path / "forger"
    forged_folder.mkdir()
    forger = open_house(forged_folder)
    other = forger.case()
    _forget(forger, other)
    forged = _certificate(forger, other.ref)
    with pytest.raises(ConflictError, match="another key"):
        check_certificate(forged.text, key=given.public_key)
    renamed = json.loads(forged.text)
    renamed["signature"]["public_key"] = given.public_key
    with pytest.raises(ConflictError, match="altered"):
        check_certificate(json.dumps(renamed), key=given.public_key)
    forger.close()
    signature = given.text.index('"signature"')
    for at in range(signature, len(given.text)):  # the case of a letter of the key is a sign as any other
        bent = given.text[:at] + given.text[at].swapcase() + given.text[at + 1 :]
        with pytest.raises((ConflictError, InvalidError)) if bent != given.text else nullcontext():
            check_certificate(bent, key=given.public_key)
    for text in (
        "",
        "{}",
        "[]",
        "null",
        "[" * 5000,
        given.text[:-5],
        '{"certificate": {"format": 1}, "signature": {}}',
    ):
        with pytest.raises(InvalidError):
            check_certificate(text, key=given.public_key)
    for change in (("format", "consilium-forgetting-2"),):
        with pytest.raises(InvalidError, match="another format"):
            check_certificate(
                json.dumps({**value, "certificate": {**value["certificate"], change[0]: change[1]}}),
                key=given.public_key,
            )


def test_no_certificate_is_given_before_the_register_holds_the_case(house):
    case = house.case()
    _forget(house, case)

    class Refusing:
        def append(self, lines):
            raise UnavailableError("no room")

        def lines(self):
            return []

    with pytest.raises(UnavailableError):
        _certificate(house, case.ref, register=Refusing())
    assert house.events("forgetting_certified") == []
    assert house.rows("forgettings")[0].certificate == ""
    given = _certificate(house, case.ref)
    assert [given.text in line for line in house.register.kept] == [False, True]


# the register, and what a restore brings back


def test_the_register_is_a_file_that_is_only_appended_to(house, tmp_path):
    register = FileRegister(tmp_path / "audit" / "forgotten.jsonl")
    assert register.lines() == []
    case, other = house.case(), house.case(2)
    _forget(house, case)
    ports = house.ports("records", "store") | {"register": register}
    assert keep_register(**ports) == 1
    assert keep_register(**ports) == 0
    assert register.path.stat().st_mode & 0o777 == 0o600
    with register.path.open("ab") as file:
        file.write(b'{"at":"20')  # what a crash cuts
    _forget(house, other)
    assert keep_register(**ports) == 1
    read = read_register(register.lines(), **house.ports("records", "store"))
    assert [stone.holder for stone in read.stones] == [case.id, other.id]
    assert read.unread == 1
    content = register.path.read_text()
    assert factories.patient(1)["names"][0]["family"] not in content
    with pytest.raises(UnavailableError):
        FileRegister(tmp_path).append(["x"])


@pytest.fixture
def restored(house, tmp_path):
    """A backup of the home from before anything was forgotten, and how to bring it back."""

    def back_up():
        folder = tmp_path.parent / f"{tmp_path.name}-backup"
        assert house.records._forgotten.cut()
        shutil.copytree(house.folder, folder)
        opened = []

        def restore():
            made = open_house(folder)
            made.register, made.clock.at = house.register, house.clock.at
            opened.append(made)
            return made

        closers.append(lambda: [one.close() for one in opened])
        return restore

    closers = []
    yield back_up
    for close in closers:
        close()


def _again(house, lines=None):
    return forget_again(
        house.register.lines() if lines is None else lines, by=DESK, **house.ports("records", "store")
    )


def test_a_restored_backup_forgets_again_by_the_register(house, restored):
    gone, kept = _full(house, 1), _full(house, 2)
    hold_case(ref=gone.ref, reason="until the inquiry is over", by=DESK, records=house.records)
    restore = restored()
    house.clock.forward(seconds=1)
    unhold_case(ref=gone.ref, reason="over", by=DESK, records=house.records)
    later = house.case(3)
    for case in (gone, later):
        _forget(house, case)
    given = _certificate(house, gone.ref)
    back = restore()
    instances = [one for one in back.rows("instances") if one.case_id == gone.id]
    with back.records.view() as view:
        key = view.key(gone.id, "originals")
    back.store.verify(
        _ref(instances[0]), key=key, kind="original"
    )  # the backup opens, until it has forgotten again
    done = _again(back)
    assert (done.cases, done.holders) == (1, 2)
    with pytest.raises(KeyForgottenError):
        back.store.open(_ref(instances[0]), key=key, kind="original")
    assert {case.id for case in back.rows("cases")} == {kept.id}
    assert back.objects() == {
        row.object_id for kind in ("instances", "copies", "documents") for row in back.rows(kind)
    }
    for one in back.rows("instances"):
        with back.records.view() as view:
            back.store.verify(_ref(one), key=view.key(one.holder, "originals"), kind="original")
    assert _certificate(back, gone.ref).text == given.text  # it can be had after a restore too
    assert {stone.holder for stone in _stones(back)} >= {gone.id, later.id}
    assert back.events("forgotten_again")
    events = len(back.events())
    again = _again(back)
    assert (again.cases, again.keys, again.objects) == (0, 0, 0)
    assert len(back.events()) <= events + 1


def test_what_was_held_since_it_was_restored_stays_whole_and_all_else_is_forgotten(house, restored):
    """Records restored by hand, a court's order of today, and then the register: nobody forgets what is held (E9)."""
    gone, other = _full(house, 1), _full(house, 2)
    restore = restored()
    for case in (gone, other):
        _forget(house, case)
    given = _certificate(house, gone.ref)
    back = restore()
    back.clock.forward(days=1)
    hold_case(ref=gone.ref, reason=WHY, by=DESK, records=back.records)
    kinds = ("studies", "instances", "copies", "holds")
    rows = {kind: [one for one in back.rows(kind) if one.id not in _of(back, kind, other)] for kind in kinds}
    done = _again(back)
    assert (done.held, done.cases, done.holders) == ((gone.ref,), 1, 1)
    assert [case.id for case in back.rows("cases")] == [gone.id]
    assert {kind: back.rows(kind) for kind in kinds} == rows
    assert len(rows["holds"]) == 1
    for one in rows["instances"]:
        with back.records.view() as view:
            back.store.verify(_ref(one), key=view.key(one.holder, "originals"), kind="original")
    assert [stone.holder for stone in _stones(back)] == [other.id]
    assert [one.id for one in back.rows("forgettings")] == [other.id]
    assert [(e.outcome, e.subject) for e in back.events("forgotten_again") if e.case_id == gone.id] == [
        ("held", gone.ref)
    ]
    unhold_case(ref=gone.ref, reason="over", by=DESK, records=back.records)
    done = _again(back)
    assert (done.held, done.cases, done.holders) == ((), 1, 2)
    assert back.rows("cases") == []
    assert back.objects() == set()
    assert _certificate(back, gone.ref).text == given.text


def _of(house, kind, case):
    return {
        one.id
        for one in house.rows(kind)
        if case.id in (getattr(one, "case_id", ""), getattr(one, "holder", ""))
    }


@pytest.mark.parametrize("is_since", [True, False], ids=["held since", "held before"])
def test_a_study_that_lies_with_a_case_that_was_held_since_stays_there(house, restored, is_since):
    right, wrong = house.case(1), house.case(2)
    _receive(house, None, 1, seed=8, called_ae="CONSILIUM")
    (study,) = house.rows("studies")
    ports = house.ports("records", "clock")
    assign_study(study_id=study.id, ref=wrong.ref, by=DESK, **ports)
    house.work()
    if not is_since:
        hold_case(ref=wrong.ref, reason=WHY, by=DESK, records=house.records)
    restore = restored()
    unassign_study(study_id=study.id, by=DESK, **ports, store=house.store)
    assign_study(study_id=study.id, ref=right.ref, by=DESK, **ports)
    house.clock.forward(seconds=1)
    _forget(house, right)
    _certificate(house, right.ref)
    back = restore()
    back.clock.forward(seconds=1)
    if is_since:
        hold_case(ref=wrong.ref, reason=WHY, by=DESK, records=back.records)
    instances = back.rows("instances")
    done = _again(back)
    if is_since:
        assert (done.held, done.cases, done.studies) == ((wrong.ref,), 0, 0)
        assert back.rows("instances") == instances != []
        with back.records.view() as view:
            back.store.verify(_ref(instances[0]), key=view.key(study.id, "originals"), kind="original")
        assert _stones(back) == []
    else:  # it was moved away and forgotten although that hold stood
        assert (done.held, done.cases, done.studies) == ((), 1, 1)
        assert back.rows("instances") == []
        assert len(back.rows("holds", ended_at=None)) == 1


def test_a_hold_that_was_placed_in_the_instant_of_the_forgetting_counts(house, restored):
    """The clocks of two machines are not one: where it cannot be told which came first, nothing is destroyed."""
    case = house.case()
    restore = restored()
    kept = _forget(house, case)
    keep_register(**house.ports("records", "store", "register"))
    back = restore()
    back.clock.at = kept.at
    hold_case(ref=case.ref, reason=WHY, by=DESK, records=back.records)
    assert _again(back).held == (case.ref,)
    assert [one.id for one in back.rows("cases")] == [case.id]


def _stones(house):
    with house.records.view() as view:
        return view.tombstones()


def test_a_study_that_lay_elsewhere_when_the_backup_was_made_is_forgotten_too(house, restored):
    """In the backup it waits in the inbox, or with another patient's case; then it was moved, and forgotten."""
    right, wrong = house.case(1), house.case(2)
    for number in (1, 2):
        _receive(house, None, number, seed=7 + number, called_ae="CONSILIUM")
    inbox, misplaced = sorted(house.rows("studies"), key=lambda one: one.received_at)
    ports = house.ports("records", "clock")
    assign_study(study_id=misplaced.id, ref=wrong.ref, by=DESK, **ports)
    house.work()
    restore = restored()
    unassign_study(study_id=misplaced.id, by=DESK, **ports, store=house.store)
    for study in (inbox, misplaced):
        assign_study(study_id=study.id, ref=right.ref, by=DESK, **ports)
    _forget(house, right)
    _certificate(house, right.ref)
    back = restore()
    assert len(back.rows("studies")) == 2
    done = _again(back)
    assert (done.cases, done.studies) == (1, 2)
    assert back.rows("studies") == back.rows("instances") == back.rows("copies") == []
    assert back.objects() == set()
    assert [case.id for case in back.rows("cases")] == [wrong.id]
    for holder in (inbox.id, misplaced.id, right.id):
        with pytest.raises(NotFoundError), back.records.view() as view:
            view.key(holder, "originals")


def test_a_line_of_another_hand_destroys_nothing(house, restored):
    gone, kept = house.case(1), house.case(2)
    _forget(house, gone)
    keep_register(**house.ports("records", "store", "register"))
    (line,) = house.register.kept
    value = json.loads(line)
    forged = [
        json.dumps(value | {"holder": kept.id, "case": kept.id}),
        json.dumps(value | {"mac": "0" * 64, "holder": kept.id}),
        register_line(
            Tombstone(seq=0, holder=kept.id, case_id=kept.id, at=house.clock.now()), secret=bytes(32)
        ),
        "nonsense",
        "[1]",
        json.dumps(value | {"more": 1}),
    ]
    for one in forged:
        with pytest.raises(InvalidError, match="not written by this house"):
            _again(house, [line, one])
    false_certificate = json.dumps({"certificate": {"case_id": kept.id}, "signature": {}})
    assert _again(house, [line, false_certificate]).cases == 0
    assert [case.id for case in house.rows("cases")] == [kept.id]
    assert len(_blobs(house, kept.id)) == 2
    assert read_register_line(line, secret=bytes(32)) is None


def test_a_dropped_empty_study_leaves_a_tombstone_and_no_certificate(house):
    from gateway.journeys.drop_study import drop_empty_study

    _receive(house, None, 1, seed=9, called_ae="CONSILIUM")
    (study,) = house.rows("studies")
    with house.records.change(by=DESK) as change:
        change.instances.remove(study_id=study.id)
        change.studies.set(study.id, instances=0)
        change.note("study_dropped")
    assert drop_empty_study(study.id, by=DESK, records=house.records)
    assert [stone.holder for stone in _stones(house)] == [study.id]
    assert house.rows("forgettings") == []


def test_a_certificate_tells_when_old_backups_cannot_be_read_any_more(house):
    """By the rules: at most an epoch in use, a day to retire, then as long as a backup is kept (E8)."""
    begun = house.clock.now() - timedelta(days=12)
    cases = [house.case(seed) for seed in (1, 2, 3, 4)]
    ((_, kek_id, version), *_) = _keks(house, cases[0])
    with house.records.change(by=DESK) as change:
        change.epochs.remove(kek_id=kek_id)
        change.epochs.add(Epoch(id=f"{kek_id}/{version}", kek_id=kek_id, kek_version=version, began_at=begun))
        change.note("case_read")
    told = []
    for case, days, retired in (
        (cases[0], 30, None), (cases[1], 0, None), (cases[2], 0, house.clock.now()), (cases[3], 5, None)
    ):  # fmt: skip
        with house.records.change(by=DESK) as change:
            change.epochs.set(f"{kek_id}/{version}", retired_at=retired)
            change.note("case_read")
        _forget(house, case)
        policy = replace(house.policy, epoch_days=days, backup_days=14)
        (one,) = _certificate(house, case.ref, policy=policy).body["master_keys"]
        assert (one["id"], one["version"]) == (kek_id, version)
        told.append(one["destroyed_by"])
    now = house.clock.now()
    expected = [begun + timedelta(days=30 + 1 + 14), None, now + timedelta(days=14), now + timedelta(days=15)]
    assert told == [at and at.isoformat(timespec="microseconds") for at in expected]


def _keks(house, case):
    with house.records.change(by=DESK) as change:
        change.note("case_read")
        return change.keks_of(case.id)


def test_a_download_that_is_under_way_in_another_process_ends_with_its_next_piece(house):
    desk = Desk(house, 1, count=3)
    person, release, _ = desk.released()
    elsewhere = open_house(house.folder)
    elsewhere.clock.at = house.clock.at
    package = download_release(
        release.id, person_id=person, address="", span="all", **elsewhere.ports("records", "store", "clock")
    )
    pieces = package.read()
    got = len(next(pieces))
    _forget(house, desk.case)
    time.sleep(1.1)
    got += _sent_until_refused(pieces)
    assert 0 < got < package.total_bytes
    with pytest.raises(KeyForgottenError):
        next(package.read(package.total_bytes // 2))
    elsewhere.close()


def _sent_until_refused(pieces):
    sent = 0
    with suppress(KeyForgottenError):
        for piece in pieces:
            sent += len(piece)
        raise AssertionError("it came to its end")
    return sent


def test_a_sender_is_refused_who_was_in_the_midst_of_an_object_when_its_case_was_forgotten(house):
    """The place is remembered for a second, the key is not."""
    case, memo = house.case(), PlaceMemo()
    ports = house.ports("records", "store", "clock", "policy")
    receive_instance(
        arrival(factories.ct_instance(1, number=1), called_ae=case.ref), source=PACS, memo=memo, **ports
    )
    elsewhere = open_house(house.folder)
    _forget(elsewhere, case)
    before = house.objects()
    house.records._forgotten.look()
    with pytest.raises((KeyForgottenError, NotFoundError)):
        receive_instance(
            arrival(factories.ct_instance(1, number=2), called_ae=case.ref), source=PACS, memo=memo, **ports
        )
    assert house.objects() == before
    elsewhere.close()
