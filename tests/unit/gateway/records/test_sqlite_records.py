"""What holds of the records on SQLite alone: nothing readable on disk, no lost update between processes, no old library."""

import multiprocessing
import sqlite3
import stat
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pysqlite3
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gateway.domain.document import Document
from gateway.domain.errors import UnavailableError
from gateway.domain.opinion import Answer
from gateway.domain.people import HOUSE
from gateway.domain.study import Instance, Study
from gateway.domain.upload import Upload
from gateway.journeys import open_case as way
from gateway.journeys.prove_identity import make_link
from gateway.journeys.sign_in import add_person
from gateway.records import SqlRecords, checkpoint, open_engines
from gateway.records import engine as engines
from gateway.records.engine import sqlite_is_safe
from gateway.records.schema import make_schema
from tests import factories
from tests.fakes.journey_house import DESK


def _strings(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str) and len(value) > 3:
        yield value


def test_no_field_of_a_patient_can_be_read_in_the_database_or_its_log(house, tmp_path):
    canaries = tuple(_strings(factories.patient()))
    name = canaries[0]
    case = house.case(questions=f"Vad gör vi med {name}?")
    way.pause_clock(ref=case.ref, reason=f"väntar på {name}", by=DESK, **house.ports("records", "clock"))
    make_link(ref=case.ref, by=DESK, **house.ports("records", "clock", "random", "policy"))
    add_person(
        role="reviewer", email="kanarie.fagel@example.org", by=DESK,
        **house.ports("records", "store", "clock", "random"),
    )  # fmt: skip
    now, head = house.clock.now(), {"patient_name": name, "study_description": f"{name} DT"}
    fixed = {"case_id": case.id, "holder": case.id}
    sealed = {"object_id": "a" * 32, "size_bytes": 1, "digest": b"d" * 32}
    with house.records.change(by=DESK) as change:
        change.cases.put(replace(change.cases.get(case.id), harvest={"names": [name]}))
        change.studies.add(
            Study(id="s", sender="peer:P", study_key="k", received_at=now, last_at=now, head=head, **fixed)
        )
        change.instances.add(
            Instance(
                id="i", study_id="s", sop_key="k", sop_class_uid="1.2", transfer_syntax_uid="1.2",
                received_at=now, head=head, **fixed, **sealed,
            )
        )  # fmt: skip
        change.documents.add(Document(id="d", name=f"{name}.pdf", received_at=now, **fixed, **sealed))
        change.uploads.add(
            Upload(
                id="u", link_id="l", category="labs", name=f"{name}.pdf", media_type="application/pdf",
                size_bytes=1, created_at=now, expires_at=now + timedelta(hours=1), **fixed,
            )
        )  # fmt: skip
        change.answers.add(
            Answer(id="a", release_id="r", version=1, person_id="p", body={"findings": name}, signed_at=now, **fixed)
        )  # fmt: skip
        change.note("case_moved", case_id=case.id)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"records.db", "records.db-wal"} <= {path.name for path in files}
    everything = b"".join(path.read_bytes() for path in files)
    words = (*canaries, "kanarie.fagel@example.org", "kanarie")
    left = [needle for needle in factories.planted_bytes(words) if needle in everything]
    assert left == []
    assert case.ref.encode() in everything  # the search does find what lies in the clear
    assert len(words) > 20


def test_the_database_and_its_log_are_for_their_owner_alone(house, tmp_path):
    house.case()
    for path in tmp_path.glob("records.db*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def _count_up(url, rounds):
    write, read = open_engines(url)
    for _ in range(rounds):
        with write.begin() as connection:
            value = int(connection.execute(text("SELECT value FROM meta WHERE name='n'")).scalar_one())
            connection.execute(text("UPDATE meta SET value=:v WHERE name='n'"), {"v": str(value + 1)})
    write.dispose()
    read.dispose()


def test_four_processes_that_read_and_write_lose_no_update(tmp_path):
    url = f"sqlite:///{tmp_path / 'r.db'}"
    write, read = open_engines(url)
    make_schema(write)
    with write.begin() as connection:
        connection.execute(text("INSERT INTO meta VALUES ('n', '0')"))
    write.dispose()
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=_count_up, args=(url, 300)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * 4
    with read.connect() as connection:
        assert connection.execute(text("SELECT value FROM meta WHERE name='n'")).scalar() == "1200"
    read.dispose()


def test_a_write_takes_its_lock_when_it_begins_and_a_reading_takes_none(house, tmp_path):
    other = pysqlite3.connect(str(tmp_path / "records.db"), timeout=0, isolation_level=None)
    with house.records.view() as view:
        view.cases.count()
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    with house.records.change(by=HOUSE) as change:
        change.note("case_read")
        with pytest.raises(pysqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.close()


def test_the_pragmas_that_durability_and_erasure_need_are_in_force(house):
    wanted = {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "trusted_schema": 0,
        "temp_store": 2,
    }  # fmt: skip
    for one in (house.records._write, house.records._read):
        with one.connect() as connection:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
        assert found == wanted


@pytest.mark.parametrize(
    ("version", "safe"),
    [("3.40.1", False), ("3.51.1", False), ("3.51.2", False), ("3.51.3", True), ("3.52.0", True), ("4.0.0", True)],
)  # fmt: skip
def test_a_sqlite_that_can_corrupt_its_log_is_refused(version, safe, monkeypatch, tmp_path):
    assert sqlite_is_safe(version) is safe
    monkeypatch.setattr(engines.pysqlite3, "sqlite_version", version)
    if not safe:
        with pytest.raises(UnavailableError, match=version) as caught:
            open_engines(f"sqlite:///{tmp_path / 'r.db'}")
        assert "pysqlite3" in caught.value.next_step


def test_records_without_a_file_and_of_another_version_are_refused(tmp_path):
    with pytest.raises(UnavailableError, match="file"):
        open_engines("sqlite://")
    write, read = open_engines(f"sqlite:///{tmp_path / 'r.db'}")
    assert make_schema(write) is True
    assert make_schema(write) is False
    with write.begin() as connection:
        connection.execute(text("UPDATE meta SET value='999' WHERE name='schema_version'"))
    with pytest.raises(UnavailableError, match="999"):
        make_schema(write)
    write.dispose()
    read.dispose()


def test_an_old_library_reads_the_trail_so_that_nobody_depends_on_us_to_check_it(house, tmp_path):
    house.case()
    with house.records._write.begin():
        pass
    connection = sqlite3.connect(f"file:{tmp_path / 'records.db'}?mode=ro", uri=True)
    kinds = [row[0] for row in connection.execute("SELECT kind FROM audit_event ORDER BY seq")]
    connection.close()
    assert kinds == ["house_opened", "case_opened"]


def test_a_busy_database_is_told_as_unavailable(house, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "BUSY_MS", 50)
    write, read = open_engines(f"sqlite:///{tmp_path / 'records.db'}")
    other = pysqlite3.connect(str(tmp_path / "records.db"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    records = SqlRecords(write=write, read=read, store=house.store, clock=house.clock, doorbell=house.bell)
    began = time.monotonic()
    try:
        with pytest.raises(UnavailableError), records.change(by=HOUSE) as change:
            change.note("case_read")
        with pytest.raises(UnavailableError):
            records.touch_session("s", now=house.clock.now())
    finally:
        other.close()
        records.close()
    assert time.monotonic() - began < 5


def test_a_change_waits_while_another_process_writes_and_lookups_keep_their_patience(house, tmp_path):
    other = pysqlite3.connect(str(tmp_path / "records.db"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    let_go = threading.Timer(0.2, other.execute, ("ROLLBACK",))
    began = time.monotonic()
    let_go.start()
    with house.records.change(by=HOUSE) as change:
        waited = time.monotonic() - began
        change.note("case_read")
        nap = change._connection.execute("PRAGMA busy_timeout").fetchone()[0]
    with house.records.view() as view:
        patience = view._connection.execute("PRAGMA busy_timeout").fetchone()[0]
    let_go.join()
    other.close()
    assert waited > 0.1
    assert nap == engines.NAP_MS
    assert patience == engines.BUSY_MS
    assert len(house.events("case_read")) == 1


def test_the_log_is_brought_home_behind_the_writers(house, tmp_path):
    for _ in range(3 * checkpoint.EVERY_COMMITS):
        with house.records.change(by=HOUSE) as change:
            change.note("case_read")
    log_file, main_file = tmp_path / "records.db-wal", tmp_path / "records.db"
    until = time.monotonic() + 20
    while main_file.stat().st_size < 20_000 and time.monotonic() < until:
        time.sleep(0.02)
    assert main_file.stat().st_size >= 20_000, "nothing was brought home"
    assert log_file.stat().st_size < checkpoint.PAGES_IN_A_COMMIT * 4096


@pytest.mark.parametrize("way_in", ["change", "engine"])
def test_a_connection_that_may_only_read_is_not_used_again(house, tmp_path, way_in):
    """As SQLite leaves one that could not open its log for writing: READONLY for life, while the file is as it was."""
    with house.records.change(by=DESK) as change:  # there is one connection that writes, and it is at hand
        change.note("case_read")
    records, engine = house.records, house.records._write
    held, records._writer._held = records._writer._held, None
    held.driver_connection.execute("PRAGMA query_only = ON")
    if way_in == "change":
        records._writer._held = held
    else:
        held.close()

    def write():
        if way_in == "change":
            with records.change(by=DESK) as change:
                change.note("case_read")
        else:
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO meta (name, value) VALUES ('x', 'y')"))

    with pytest.raises((UnavailableError, OperationalError)):
        write()
    write()
