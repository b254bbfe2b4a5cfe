"""What a backup promises, tried on SQLite and on PostgreSQL: everything comes back as it was, or it is said what does not."""

import base64
import hashlib
import json
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from gateway.domain.backup import read_manifest
from gateway.domain.errors import BusyError, ConflictError, InvalidError, NotFoundError, UnavailableError
from gateway.journeys.forget_case import forget_case
from gateway.journeys.keep_register import keep_register
from gateway.journeys.verify_audit import verify_audit
from gateway.records import open_engines
from gateway.records.snapshot import facts_of, snapshots_of
from storage import KeyRefusedError, create_key_file, open_disk_store
from tests.fakes.backup_house import TENANT, BackedHouse, every_byte, flip, originals, package
from tests.fakes.journey_house import DESK


@pytest.fixture
def backed(house, database_url, tmp_path):
    return BackedHouse(house, database_url, tmp_path)


@pytest.fixture
def new(backed, other_url):
    return backed.new_home(other_url)


def _rows(url):
    """Every row of every table, as the driver gives them."""
    write, read = open_engines(url)
    try:
        with read.connect() as connection:
            names = facts_of(connection).rows
            return {
                name: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{name}"')).fetchall()))  # noqa: S608  # names of the schema
                for name in names
            }
    finally:
        write.dispose()
        read.dispose()


def _trail_verifies(house):
    return verify_audit(by=DESK, origin=TENANT, **house.ports("records", "store", "witness"))


def test_everything_comes_back_as_it_was(backed, new):
    ref = backed.fill()
    before, zipped, rows = originals(backed.house), package(backed.house, ref), _rows(backed.url)
    made = backed.create()
    assert made.manifest.objects == made.copied == len(before) >= 8
    assert made.manifest.facts.rows["part"] == 1
    assert backed.verify(read_data=True).flaws == []

    report = new.restore()
    assert report.is_whole, (report.lost, report.flaws)
    assert report.objects_verified == report.objects == len(before)
    restored = new.open()
    assert originals(restored) == before
    assert hashlib.sha256(package(restored, ref)).digest() == hashlib.sha256(zipped).digest()
    assert _trail_verifies(restored).flaws == ()
    changed = {"audit_event", "audit_head", "session", "backup", "object_batch", "duty"}
    after = _rows(new.url)
    assert {n: r for n, r in after.items() if n not in changed} == {
        n: r for n, r in rows.items() if n not in changed
    }
    assert set(rows["audit_event"]) <= set(after["audit_event"])
    assert restored.rows("sessions", ended_at=None) == []
    events = restored.events("house_restored")
    assert [e.outcome for e in events] == ["begun", "ok"]
    assert events[0].details["head"] == made.manifest.facts.head_seq
    restored.close()


def test_a_second_backup_copies_only_what_is_new(backed):
    backed.some()
    first = backed.create()
    backed.receive("CONSILIUM", 9, seed=4)
    second = backed.create()
    assert (second.copied, second.manifest.objects) == (1, first.manifest.objects + 1)
    assert backed.verify(first.manifest.id, read_data=True).is_sound
    assert backed.verify(second.manifest.id, read_data=True).is_sound
    assert [row.id for row in backed.house.rows("backups")] == [first.manifest.id, second.manifest.id]


def test_a_stolen_repository_holds_no_key_and_nothing_that_reads(backed):
    ref = backed.some()
    backed.create()
    stolen = every_byte(backed.folder / "repository")
    keys = json.loads((backed.house.folder / "master.json").read_bytes())
    assert not [
        k for k in keys["versions"].values() if k.encode() in stolen or k.strip("=").encode() in stolen
    ]
    assert not [k for k in keys["versions"].values() if base64.b64decode(k) in stolen]
    for clear in (ref, "SQLite format 3", "PGDMP", "CREATE TABLE", "case_opened"):
        assert clear.encode() not in stolen, clear
    other = backed.folder / "other.json"
    create_key_file(other)
    thief = open_disk_store(backed.folder / "thief", other, tenant=TENANT)
    with pytest.raises((UnavailableError, InvalidError)):
        backed.verify(store=thief)


def test_what_was_acknowledged_before_the_snapshot_is_in_it_while_intake_runs(backed, new):
    backed.some()
    stop, acknowledged = threading.Event(), []

    def sender(seed):
        number = 100
        while not stop.is_set():
            number += 1
            backed.receive("CONSILIUM", number, seed=seed)
            acknowledged.append(time.monotonic())

    threads = [threading.Thread(target=sender, args=(seed,)) for seed in (5, 6)]
    [thread.start() for thread in threads]
    try:
        while len(acknowledged) < 5:
            time.sleep(0.01)
        before = len(backed.house.rows("instances"))
        made = backed.create()
        meanwhile = len(acknowledged)
        while len(acknowledged) < meanwhile + 3:
            time.sleep(0.01)
    finally:
        stop.set()
        [thread.join() for thread in threads]
    assert made.manifest.facts.rows["instance"] >= before
    assert new.restore().is_whole
    restored = new.open()
    assert before <= len(restored.rows("instances")) < len(backed.house.rows("instances"))
    assert _trail_verifies(restored).flaws == ()
    restored.close()


def test_parts_that_became_a_document_during_the_backup_are_not_lost(backed, new):
    """The snapshot names the parts, and when they are to be copied they are gone: another snapshot names the document."""
    me, upload = backed.half_a_file(backed.house.case(8).ref)

    class Finishing:
        """Snapshots; when the first of them is taken, and nothing is copied yet, the patient finishes her file."""

        def __init__(self, snapshots):
            self.database, self._snapshots, self.taken = snapshots.database, snapshots, 0

        @contextmanager
        def take(self):
            with self._snapshots.take() as taken:
                yield taken
            self.taken += 1
            if self.taken == 1:
                backed.append(me, upload, 11, b" rontgen.")
                backed.house.work()

    finishing = Finishing(snapshots_of(backed.url))
    made = backed.create(snapshots=finishing)
    assert backed.house.rows("parts") == []
    assert (made.manifest.missing, made.snapshots, finishing.taken) == ((), 2, 2)
    assert new.restore().is_whole
    restored = new.open()
    assert b"Bilder fran rontgen." in originals(restored).values()
    restored.close()


def test_an_object_that_was_lost_before_is_named_and_the_rest_is_backed_up(backed, new):
    backed.some()
    lost = backed.house.rows("instances")[0].object_id
    backed.house.store.forget(lost)
    made = backed.create()
    assert (made.manifest.missing, made.snapshots) == ((lost,), 2)
    assert backed.house.events("backup_made")[-1].outcome == "incomplete"
    assert not backed.verify().is_sound
    report = new.restore()
    assert not report.is_whole
    assert report.lost == [f"{lost}: was lost before this backup was made"]
    assert new.home.chosen("") == made.manifest.id, "it must not start"
    assert new.restore(accept_losses=True).lost_count == 1
    assert new.home.chosen("") == ""


def test_what_was_forgotten_after_the_backup_is_forgotten_again(backed, new):
    ref = backed.some()
    kept = backed.house.rows("studies", case_id=None)[0]
    made = backed.create()
    case = next(c for c in backed.house.rows("cases") if c.ref == ref)
    gone = {i.object_id for i in backed.house.rows("instances", case_id=case.id)}
    forget_case(ref=ref, confirm=ref, by=DESK, **backed.house.ports("records", "store"))
    keep_register(**backed.house.ports("records", "store", "register"))
    report = new.restore(made.manifest.id, register=backed.house.register.lines())
    assert report.is_whole, (report.lost, report.flaws)
    assert report.cases_forgotten_again == 1
    restored = new.open()
    assert [c.ref for c in restored.rows("cases")] == [
        c.ref for c in backed.house.rows("cases") if c.ref != ref
    ]
    with restored.records.view() as view, pytest.raises(NotFoundError):
        view.key(case.holder if hasattr(case, "holder") else case.id, "originals")
    assert restored.rows("studies", id=kept.id)
    assert not gone & {p.name for p in (new.folder / "objects").rglob("*")}
    restored.close()


def test_the_register_of_a_newer_backup_is_used_without_being_given(backed, new):
    ref = backed.some()
    old = backed.create()
    forget_case(ref=ref, confirm=ref, by=DESK, **backed.house.ports("records", "store"))
    backed.create()
    report = new.restore(old.manifest.id, register=None)
    assert (report.with_register, report.cases_forgotten_again) == (False, 1)
    assert "WITHOUT the newest register" in (
        new.folder / "audit" / f"restored-{old.manifest.id}.txt"
    ).read_text(encoding="utf-8")


def test_only_an_empty_home_is_restored_into(backed, new):
    backed.some()
    backed.create()
    new.open().close()
    with pytest.raises(ConflictError, match="not empty"):
        new.restore()
    assert not (new.folder / "RESTORING").exists()
    restored = new.open()
    assert restored.rows("cases") == []
    restored.close()


def test_a_restored_house_is_backed_up_again_and_restored_again(backed, new):
    backed.some()
    backed.create()
    assert new.restore().is_whole
    restored = new.open()
    again = BackedHouse(restored, new.url, backed.folder)
    again.receive("CONSILIUM", 44, seed=4)
    made = again.create()
    assert made.copied == 1
    assert again.verify(read_data=True).is_sound
    restored.close()


def test_two_at_once_in_one_repository_are_refused(backed):
    with backed.place.alone(), pytest.raises(BusyError):
        backed.create()


def test_another_tenant_a_newer_schema_and_another_kind_of_records_are_refused(backed, new):
    backed.create()
    with pytest.raises(InvalidError, match="tenant"):
        new.restore(tenant="other")
    with pytest.raises(InvalidError, match="schema version"):
        new.restore(schema_version=1)

    class Other:
        database = "other"

    with pytest.raises(InvalidError, match="records in"):
        new.restore(snapshots=Other())
    assert not (new.folder / "RESTORING").exists()


def test_the_manifest_file_is_what_the_specification_says(backed):
    made = backed.create()
    content = backed.place.manifest(made.manifest.id)
    body, _, note = content.partition(b"\n\n")
    assert read_manifest(content) == made.manifest
    assert json.loads(body)["format"] == "consilium-backup/1"
    assert note.decode().splitlines()[:2] == [f"{TENANT}/backup", str(len(body))]


def test_pruning_never_takes_the_newest_good_one_nor_what_a_kept_one_needs(backed, new):
    backed.some()
    first = backed.create().manifest
    backed.house.clock.forward(days=20)
    second = backed.create().manifest
    case = backed.house.rows("cases")[0]
    forget_case(ref=case.ref, confirm=case.ref, by=DESK, **backed.house.ports("records", "store"))
    backed.house.clock.forward(days=20)
    dry = backed.prune(dry_run=True, trust_clock=True)  # 20 days without a backup, and they were
    assert (dry.removed, backed.place.ids()) == ((first.id,), [first.id, second.id])
    pruned = backed.prune(trust_clock=True)
    assert pruned.removed == (first.id,)
    assert pruned.objects == len(first.parts) == dry.objects
    assert backed.verify(second.id, read_data=True).is_sound
    backed.house.clock.forward(days=400)
    assert backed.prune().removed == ()
    third = backed.create().manifest
    flip(backed.folder / "repository" / "manifests" / third.id, 40)
    with pytest.raises(ConflictError, match="cannot be read"):
        backed.prune(keep_days=1)
    assert backed.place.ids() == [second.id, third.id]
    report = new.restore(second.id)
    assert (report.lost, len(report.flaws)) == ([], 1)
    assert third.id in report.flaws[0], "what only the third's register knew"


def test_a_key_of_another_house_opens_no_backup(backed):
    backed.create()
    manifest = read_manifest(backed.place.manifest(backed.place.ids()[0]))
    assert manifest.key.holder == "backup"
    stranger = open_disk_store(
        backed.folder / "stranger", backed.house.folder / "master.json", tenant="someone-else"
    )
    with pytest.raises(KeyRefusedError):
        stranger.derive(key=manifest.key, label=b"x")
