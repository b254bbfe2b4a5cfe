"""What an id for a sealed object promises (D7): its batch is in the records before it is given, over SQLite and PostgreSQL."""

import io
import os
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from gateway.domain.errors import UnavailableError
from gateway.domain.people import HOUSE
from gateway.records import object_ids
from gateway.records.object_ids import RENEWED_AFTER, USED_FOR, BatchedIds
from storage import batch_of


@pytest.fixture
def ids(house):
    made = BatchedIds(house.records._write, house.clock)
    yield made
    made.give_back()


def _batches(house):
    """The batches as another connection sees them: committed ones."""
    return {batch.id: batch for batch in house.rows("object_batches")}


def test_every_id_is_new_and_under_a_batch_that_is_committed_before_it_is_given(house, ids):
    given = [ids() for _ in range(1000)]
    assert len(set(given)) == 1000
    assert {batch_of(one) for one in given} <= set(_batches(house))
    assert len(_batches(house)) == 1


def test_many_threads_share_one_batch_and_write_one_row(house, ids):
    given, start = [], threading.Barrier(20)

    def take():
        start.wait(30)
        given.extend(ids() for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(given)) == 1000
    assert {batch_of(one) for one in given} == set(_batches(house))
    assert len(_batches(house)) == 1


def test_the_next_batch_is_fetched_ahead_and_no_id_is_given_after_the_end_of_one(house, ids):
    first = ids()
    house.clock.forward(seconds=RENEWED_AFTER.total_seconds())
    assert batch_of(ids()) == batch_of(first)  # at once, while the next one is being written down
    ids.give_back()
    second = ids()
    assert batch_of(second) != batch_of(first)
    house.clock.forward(seconds=USED_FOR.total_seconds() * 3)
    third = ids()
    batches = _batches(house)
    assert batch_of(third) not in {batch_of(first), batch_of(second)}
    assert house.clock.now() < batches[batch_of(third)].until


def test_a_clock_that_is_put_back_does_not_keep_a_batch_until_it_comes_there_again(house, ids):
    house.clock.forward(days=365)
    ahead = ids()
    house.clock.forward(days=-365)
    ids()
    ids.give_back()
    now, batches = house.clock.now(), _batches(house)
    batch = batches[batch_of(ids())]
    assert batch.id != batch_of(ahead)
    assert now <= batch.until <= house.clock.now() + USED_FOR


def test_an_id_within_an_open_change_waits_for_nobody_while_its_batch_lasts(house, ids):
    ids()
    house.clock.forward(seconds=RENEWED_AFTER.total_seconds() + 1)
    with house.records.change(by=HOUSE) as change:
        began = time.monotonic()
        ids()
        waited = time.monotonic() - began
        change.note("house_opened")
    assert waited < 1


def test_records_that_do_not_answer_give_no_id(house, ids, monkeypatch):
    monkeypatch.setattr(object_ids, "PATIENCE_S", 0.3)
    with house.records._write.begin() as connection:
        connection.execute(text("ALTER TABLE object_batch RENAME TO gone"))
    with pytest.raises(UnavailableError, match="records do not answer"):
        ids()
    with house.records._write.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO object_batch"))
    assert batch_of(ids()) in _batches(house)


def test_a_child_after_a_fork_has_a_batch_of_its_own(house):
    if house.records._write.dialect.name == "postgresql":
        pytest.skip("a connection to the server does not survive a fork; the workers compose after it")
    ids = BatchedIds(house.records._write, house.clock)
    ids._lock.acquire()  # as if a thread of the parent held it at the moment of the fork
    ids._batch = None
    child = os.fork()
    if not child:
        try:
            house.records._write.dispose(close=False)
            code = 0 if batch_of(ids()) in _batches(house) else 1
        except BaseException:
            code = 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_a_house_seals_is_under_its_batches(house):
    house.case()
    with house.records.view() as view:
        key = view.key(view.cases.first().id, "originals")
    refs = [house.store.seal(io.BytesIO(b"x"), key=key, kind="original") for _ in range(3)]
    assert {batch_of(ref.object_id) for ref in refs} <= set(_batches(house))


def test_a_batch_is_over_a_day_after_its_last_id(house, ids):
    given = ids()
    batch = _batches(house)[batch_of(given)]
    assert not batch.is_over(batch.until + timedelta(hours=24))
    assert batch.is_over(batch.until + timedelta(hours=24, seconds=1))
