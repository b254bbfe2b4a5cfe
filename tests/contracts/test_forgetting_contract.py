"""Forgetting over each database, with real processes: whoever holds a key elsewhere drops it, and a hold is never run over."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.adapters.backup_home import begun_restore
from gateway.domain.errors import ConsiliumError
from gateway.domain.forgetting import Tombstone, register_line
from gateway.journeys.forget_case import forget_case
from gateway.journeys.hold_case import hold_case, unhold_case
from gateway.journeys.lookup import house_secret
from gateway.records.forgotten import BOUND_S, ForgottenHolders
from storage import KeyForgottenError, KeyUnconfirmedError, SealedRef, StorageError, WrappedKey
from tests.fakes.backup_house import BackedHouse
from tests.fakes.journey_house import DESK, open_house

BOUND = 2.0
BYTES = 3 << 20


def _ref(told):
    return SealedRef(**(told | {"digest": bytes.fromhex(told["digest"])}))


def _key(told):
    return WrappedKey(**(told | {"blob": bytes.fromhex(told["blob"])}))


def hold_the_key(folder, url, told):
    """In a process of its own, as a web or DICOM part does: keep the key in hand, read on and on, and say how each reading went."""
    house = open_house(Path(folder), url)
    if "idle" not in told:
        house.records.watch_forgotten()
    with house.records.view() as view:
        key = view.key(told["key"]["holder"], "originals")
    ref = _ref(told["ref"])
    running = house.store.open(ref, key=key, kind="original")  # a download that goes on
    running.read(1)
    print(json.dumps({"at": time.time(), "open": "ok", "running": "ok"}), flush=True)
    while True:
        said = {"at": time.time(), "open": "ok", "running": "ok", "cached": len(house.store._cache._entries)}
        if "idle" not in told:
            try:
                with house.store.open(ref, key=key, kind="original") as reader:
                    reader.read(10)
            except StorageError as error:
                said["open"] = type(error).__name__
        try:
            running.read(1 << 17)
            if running.tell() >= BYTES:
                running.seek(0)
        except StorageError as error:
            said["running"] = type(error).__name__
        print(json.dumps(said), flush=True)
        time.sleep(0.02)


@contextmanager
def _elsewhere(house, url, told):
    program = (
        "import json, sys; from tests.contracts.test_forgetting_contract import hold_the_key; "
        "hold_the_key(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(house.folder), url, json.dumps(told)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = []

    def read():
        for line in child.stdout:
            with suppress(ValueError):
                lines.append(json.loads(line))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        yield child, lines
    finally:
        child.kill()
        child.wait(10)
        reading.join(5)
        child.stdout.close()


def _until(condition, seconds=15.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def sealed(house):
    """A case with one object of a dozen segments, and what another process needs to read it."""
    case = house.case()
    with house.records.view() as view:
        key = view.key(case.id, "originals")
    ref = house.store.seal(BytesIO(os.urandom(BYTES)), key=key, kind="original")
    return case, key, ref, {
        "ref": {"object_id": ref.object_id, "size_bytes": ref.size_bytes, "digest": ref.digest.hex(), "generation": 1},
        "key": {"holder": key.holder, "purpose": key.purpose, "kek_id": key.kek_id, "kek_version": key.kek_version,
                "blob": key.blob.hex()},
    }  # fmt: skip


def _forget(house, case):
    return forget_case(ref=case.ref, confirm=case.ref, by=DESK, **house.ports("records", "store"))


def test_a_process_that_holds_the_key_refuses_within_two_seconds_though_all_was_put_back(
    house, database_url, sealed
):
    case, key, ref, told = sealed
    path = next(house.folder.joinpath("objects").rglob(ref.object_id))
    content = path.read_bytes()
    with _elsewhere(house, database_url, told) as (_, lines):
        _until(lambda: len(lines) > 5)
        assert all(line["open"] == line["running"] == "ok" for line in lines)
        _forget(house, case)
        forgotten_at = time.time()
        path.write_bytes(content)
        with house.records.change(by=DESK) as change:
            change.add_key(key, case_id=case.id)
            change.note("case_read")
        _until(lambda: lines[-1]["at"] > forgotten_at + BOUND + 1)
        late = [line for line in lines if line["at"] > forgotten_at + BOUND]
        assert {(line["open"], line["running"]) for line in late} == {
            ("KeyForgottenError", "KeyForgottenError")
        }
        last = max(line["at"] for line in lines if "ok" in {line["open"], line["running"]})
        print(f"last use of the key {last - forgotten_at:.2f} s after")
    with pytest.raises(KeyForgottenError):  # a process that begins now refuses it too
        open_house(house.folder, database_url).store.open(ref, key=key, kind="original")


def test_where_nobody_watches_whoever_uses_the_key_looks_himself(house, database_url, sealed):
    """The thread starves: what is read on still ends, for the reader looks where nobody has for a second."""
    case, _, _, told = sealed
    with _elsewhere(house, database_url, told | {"idle": True}) as (_, lines):
        _until(lambda: len(lines) > 5)
        _forget(house, case)
        forgotten_at = time.time()
        _until(lambda: lines[-1]["at"] > forgotten_at + BOUND + 1)
        late = [line for line in lines if line["at"] > forgotten_at + BOUND]
        assert {line["running"] for line in late} == {"KeyForgottenError"}
        assert {line["cached"] for line in late} == {0}  # the key itself is gone from its memory's cache


def test_records_that_do_not_answer_end_the_use_of_a_key_within_two_seconds(house, sealed):
    """A database that is gone, or hangs, could tell of a forgetting: what is in hand is not used for longer."""
    _, key, ref, _ = sealed
    with house.store.open(ref, key=key, kind="original") as reader:
        reader.read(1)
        guard = house.records._forgotten
        release = threading.Event()
        asked = guard._run
        guard._run = lambda ask: release.wait(30) and asked(ask)
        hanging = threading.Thread(target=guard.look, daemon=True)
        hanging.start()
        began, ended, position = time.monotonic(), None, 0
        while ended is None and time.monotonic() - began < 10:
            try:
                reader.seek(position := (position + (1 << 18)) % BYTES)
                reader.read(1)
            except KeyUnconfirmedError:
                ended = time.monotonic() - began
            time.sleep(0.01)
        assert ended is not None
        assert ended < BOUND_S + 1.5  # the rest is a busy machine's
        release.set()
        hanging.join(10)
        reader.seek(0)
        assert reader.read(1)  # the records answer again


def test_a_hold_and_a_forgetting_at_once_end_in_one_of_the_two(house, database_url):
    """Two processes would be two SqlRecords over the same database: here they are."""
    other = open_house(house.folder, database_url)
    outcomes = set()
    for seed in range(12):
        case = house.case(seed % 5 + 1)
        barrier, said = threading.Barrier(2), {}

        def attempt(name, act, barrier=barrier, said=said):
            barrier.wait()
            try:
                act()
                said[name] = "done"
            except (ConsiliumError, StorageError) as error:
                said[name] = type(error).__name__

        acts = {
            "hold": lambda ref=case.ref: hold_case(ref=ref, reason="r", by=DESK, records=other.records),
            "forget": lambda case=case: _forget(house, case),
        }
        threads = [threading.Thread(target=attempt, args=item) for item in acts.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(said) == ["forget", "hold"]
        assert list(said.values()).count("done") == 1, said
        winner = next(name for name, what in said.items() if what == "done")
        outcomes.add(winner)
        assert bool(house.rows("cases", id=case.id)) == (winner == "hold")
        assert house.rows("holds", holder=case.id, ended_at=None) == [] or winner == "hold"
        if winner == "hold":
            unhold_case(ref=case.ref, reason="r", by=DESK, records=house.records)
            _forget(house, case)
    other.close()
    assert house.rows("cases") == []


def test_a_backup_of_a_case_that_was_held_since_can_be_restored_and_the_report_tells_of_it(
    house, database_url, other_url, tmp_path
):
    """A register that knows of its forgetting neither destroys the held case nor keeps the house from coming back."""
    backed = BackedHouse(house, database_url, tmp_path)
    case = house.case()
    forgotten = register_line(
        Tombstone(seq=0, holder=case.id, case_id=case.id, at=house.clock.now()),
        secret=_register_secret(house),
    )
    house.clock.forward(days=1)
    hold_case(ref=case.ref, reason="court order", by=DESK, records=house.records)
    backed.create()
    new = backed.new_home(other_url if "postgres" in other_url else "")
    report = new.restore(register=[forgotten])
    assert not report.is_whole
    (flaw,) = report.flaws
    assert case.ref in flaw
    assert begun_restore(new.folder)  # nothing starts before a person has decided
    assert new.restore(register=[forgotten], accept_losses=True).cases_forgotten_again == 0
    assert not begun_restore(new.folder)
    back = new.open()
    assert [one.id for one in back.rows("cases")] == [case.id]
    assert len(back.rows("holds", ended_at=None)) == 1
    back.close()


def _register_secret(house):
    with house.records.view() as view:
        return house_secret(view, house.store, b"forgotten-register")


def test_tombstones_are_numbered_in_the_order_of_commits_and_one_for_each_holder(house):
    cases = [house.case(seed) for seed in (1, 2, 3)]
    for case in cases:
        _forget(house, case)
    with house.records.change(by=DESK) as change:
        assert change.bury(cases[0].id, case_id=cases[0].id) == 0
        assert change.bury("f" * 32, case_id="f" * 32) == 0
        change.note("case_read")
    with house.records.view() as view:
        stones = view.tombstones()
        assert [stone.seq for stone in stones] == [1, 2, 3, 4]
        assert [stone.holder for stone in stones] == [*(case.id for case in cases), "f" * 32]
        assert view.tombstones(after=3) == stones[3:]


def test_a_change_that_fails_forgets_nothing_and_no_process_is_told_so(house):
    case = house.case()
    with suppress(RuntimeError), house.records.change(by=DESK) as change:
        change.destroy_keys(case.id)
        change.note("case_read")
        raise RuntimeError
    time.sleep(1.1)
    assert house.rows("cases") == [case]
    with house.records.view() as view:
        assert view.tombstones() == []


def test_a_key_in_hand_costs_no_question_to_the_records(house, sealed):
    """Once a second at most, however often it is used."""
    _, key, _, _ = sealed
    guard = ForgottenHolders(write=house.records._write, read=house.records._read, ring=house.records._ring)
    questions = []
    asked = guard._run
    guard._run = lambda ask: questions.append(1) or asked(ask)
    guard(key.holder, False)
    before = len(questions)
    began = time.monotonic()
    for _ in range(20_000):
        guard(key.holder, True)
    took = time.monotonic() - began
    assert len(questions) - before <= 1 + took
    guard.close()


def test_the_deleted_key_is_not_in_the_table_s_file_any_more(house, request):
    if house.records._write.dialect.name == "sqlite":
        pytest.skip("SQLite's files: tests/journeys/test_forgetting.py")
    cases = [house.case(seed) for seed in range(1, 11)]
    with house.records.view() as view:
        blobs = [view.key(case.id, "originals").blob for case in cases]
    assert all(blob in _table_file(house) for blob in blobs)
    for case in cases[::2]:
        _forget(house, case)
    content = _table_file(house)
    assert [blob[8:40] in content for blob in blobs] == [False, True] * 5


def test_a_key_that_somebody_may_still_see_is_not_said_to_be_cut_until_it_is(house):
    """A backup that stands keeps the deleted row in PostgreSQL's table and the page in SQLite's log: it is tried again."""
    cases = [house.case(seed) for seed in range(1, 6)]
    with house.records.view() as view:
        blob = view.key(cases[1].id, "originals").blob
    guard = house.records._forgotten
    with capture_logs() as logs:
        with house.records.view() as standing:
            standing.cases.count()  # its snapshot is taken
            _forget(house, cases[1])
            assert not guard.cut(for_s=0.0)
            assert _is_in_the_database(house, blob)
            house.records.watch_forgotten()
            _until(lambda: any(one["event"] == "key_bytes_left" for one in logs))
        _until(lambda: guard._is_cut)
    assert not _is_in_the_database(house, blob)
    (told,) = [one for one in logs if one["event"] == "key_bytes_left"]
    assert (told["log_level"], told["reason"]) == ("warning", "read")
    assert guard.cut(for_s=0.0)


def test_bytes_that_stay_are_told_of_once_a_minute_and_not_where_a_reader_just_passes(house):
    now, said = [100.0], []
    guard = ForgottenHolders(
        write=house.records._write, read=house.records._read, ring=house.records._ring, clock=lambda: now[0]
    )
    case = house.case()
    with capture_logs() as logs, house.records.view() as standing:
        standing.cases.count()
        _forget(house, case)
        for after in (0.0, 0.9, 1.5, 30.0, 61.0, 61.6, 90.0, 122.0):
            now[0] = 100.0 + after
            assert not guard.cut(for_s=0.0)
            said += [after] * (len([one for one in logs if one["event"] == "key_bytes_left"]) - len(said))
    assert said == [1.5, 61.6, 122.0]
    assert guard.cut()
    guard.close()


def _is_in_the_database(house, blob):
    if house.records._write.dialect.name == "sqlite":
        return any(blob[8:40] in path.read_bytes() for path in house.folder.glob("records.db*"))
    return blob[8:40] in _table_file(house)


def _table_file(house):
    with house.records._write.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("CHECKPOINT"))
        read = "SELECT pg_read_binary_file(pg_relation_filepath('case_key'))"
        return bytes(connection.execute(text(read)).scalar())


def test_a_killed_forgetting_never_leaves_a_tombstone_without_its_deletion(house, database_url, sealed):
    """SIGKILL in the middle of the transaction: both, or neither."""
    case, _, _, _ = sealed
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.fakes.journey_house import open_house, DESK\n"
        "house = open_house(Path(sys.argv[1]), sys.argv[2])\n"
        "with house.records.change(by=DESK) as change:\n"
        "    change.destroy_keys(sys.argv[3]); change.note('case_read')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(house.folder), database_url, case.id], timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    with house.records.view() as view:
        assert view.tombstones() == []
        assert view.key(case.id, "originals")
    assert house.rows("cases") == [case]
