"""The pipe between the edge and the thread that keeps objects: bounded, and never waiting for ever."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dicom_node.errors import AssociationOver, InstanceTooLarge, NodeStopping, PeerLost, PeerTooSlow
from gateway.domain.errors import UnavailableError
from gateway.doors.machine import store
from gateway.doors.machine.pipe import BodyPipe, NoLongerAdmitted, Patience

MOST = 1 << 40


def messages(*pieces, last=None):
    """A ``receive`` that gives these pieces and then the end, or what ``last`` says."""
    left = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    left.append(last or {"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        if left:
            return left.pop(0)
        return await asyncio.Event().wait()

    receive.left = left
    return receive


def run(receive, thread, *, most=MOST, patience=None, capacity=1 << 20, also=None):
    """Fill a pipe while a thread empties it; return what the thread returned."""
    found = {}

    async def both():
        pipe = BodyPipe(capacity_bytes=capacity)
        filling = asyncio.ensure_future(pipe.fill(receive, most_bytes=most, patience=patience or Patience()))

        def work():
            try:
                found["value"] = thread(pipe)
            except AssociationOver as over:
                found["over"] = over

        working = asyncio.get_running_loop().run_in_executor(None, work)
        if also is not None:
            await also(pipe, filling)
        await asyncio.wait_for(working, 10)
        filling.cancel()
        await asyncio.wait({filling})

    asyncio.run(both())
    return found


def everything(pipe):
    got = b""
    while piece := pipe.take():
        got += piece
    return got


def test_what_goes_in_comes_out():
    pieces = [bytes([n]) * (n + 1) for n in range(200)]
    assert run(messages(*pieces), everything) == {"value": b"".join(pieces)}
    assert run(messages(b"", b"a", b""), everything) == {"value": b"a"}
    assert run(messages(), everything) == {"value": b""}


def test_a_single_object_is_read_into_a_buffer():
    def into(pipe):
        got, buffer = b"", bytearray(7)
        while count := pipe.readinto(memoryview(buffer)):
            got += buffer[:count]
        return got

    assert run(messages(b"0123456789", b"abc", b"d" * 100), into) == {"value": b"0123456789abc" + b"d" * 100}


def test_the_edge_waits_while_the_thread_does_not_read():
    receive = messages(*[b"x" * 100] * 50)
    reading = threading.Event()

    def late(pipe):
        assert reading.wait(5)
        return len(everything(pipe))

    async def also(pipe, filling):
        await asyncio.sleep(0.2)
        assert pipe.came_bytes == 1000  # the capacity, and not a piece more
        assert not filling.done()
        reading.set()

    assert run(receive, late, capacity=1000, also=also) == {"value": 5000}


@pytest.mark.parametrize(
    ("last", "most", "patience", "kind"),
    [
        ({"type": "http.disconnect"}, MOST, None, PeerLost),
        ({"type": "http.request", "body": b"x" * 100, "more_body": False}, 50, None, InstanceTooLarge),
    ],
)
def test_why_a_body_is_not_whole_is_raised_behind_what_came(last, most, patience, kind):
    def work(pipe):
        assert pipe.take() == b"first"
        return everything(pipe)

    assert isinstance(run(messages(b"first", last=last), work, most=most, patience=patience)["over"], kind)


def test_silence_is_not_waited_for_for_ever():
    async def receive():
        await asyncio.Event().wait()

    assert isinstance(run(receive, everything, patience=Patience(silence_s=0.05))["over"], PeerTooSlow)


def test_a_dripping_sender_is_cut_off_and_one_that_we_keep_waiting_is_not():
    patience = Patience(grace_s=0.1, slowest_bytes_s=1000)

    async def drip():
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert isinstance(run(drip, everything, patience=patience)["over"], PeerTooSlow)

    def slow_reader(pipe):
        got = 0
        while piece := pipe.take():
            got += len(piece)
            threading.Event().wait(0.05)
        return got

    assert run(messages(*[b"x"] * 20), slow_reader, patience=patience, capacity=1) == {"value": 20}


def test_a_cut_ends_it_in_the_midst_and_drops_what_was_not_read():
    receive = messages(*[b"x" * 100] * 50)

    async def also(pipe, filling):
        await asyncio.sleep(0.1)
        pipe.cut(NoLongerAdmitted())
        await asyncio.wait_for(asyncio.shield(filling), 5)  # nobody waits for room that will not come

    got = []

    def late(pipe):
        threading.Event().wait(0.3)
        while True:
            got.append(pipe.take())

    found = run(receive, late, capacity=200, also=also)
    assert isinstance(found["over"], NoLongerAdmitted)
    assert got == []


def test_a_door_that_closes_ends_it_for_the_thread():
    async def receive():
        await asyncio.Event().wait()

    async def also(pipe, filling):
        await asyncio.sleep(0.05)
        filling.cancel()

    assert isinstance(run(receive, everything, also=also)["over"], NodeStopping)


def test_a_fault_of_the_edge_ends_it_for_the_thread():
    async def receive():
        raise OSError

    async def also(pipe, filling):
        await asyncio.wait({filling})
        assert isinstance(filling.exception(), OSError)

    assert isinstance(run(receive, everything, also=also)["over"], PeerLost)


def test_draining_has_an_end():
    receive = messages(*[b"x" * 100] * 50)

    def some(pipe):
        pipe.drain(250)
        return "drained"

    assert run(receive, some, capacity=100) == {"value": "drained"}
    assert len(receive.left) > 30


def test_a_watch_goes_on_whatever_was_wrong_when_it_asked(monkeypatch):
    monkeypatch.setattr(store, "ASK_AGAIN_S", 0.01)
    answers = iter([KeyError("PLANTED"), UnavailableError(), True, OSError(), False])

    def is_still_admitted():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watched(pipe, _):
        await asyncio.wait_for(store._watch(pipe, is_still_admitted), 5)

    async def silent():
        return await asyncio.Event().wait()

    found = run(silent, everything, also=watched)
    assert isinstance(found["over"], NoLongerAdmitted)
