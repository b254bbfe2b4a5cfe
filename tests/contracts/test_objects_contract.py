"""What every keeper of objects promises; an adapter joins by a fixture of its own name."""

import os
import threading

import pytest

from storage import DiskObjects, MemoryObjects, ObjectExistsError, ObjectMissingError
from storage.objects.ids import new_object_id
from storage.objects.port import Held
from tests.fakes import radosgw


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    if missing := radosgw.missing_programs():
        pytest.skip(
            f"Ceph's gateway is not installed ({', '.join(missing)}): apt-get install {radosgw.PACKAGES}"
        )
    with radosgw.shared(radosgw.folder_of(tmp_path_factory)) as running:
        yield running


@pytest.fixture(params=["disk", "memory", "s3"])
def objects(request, tmp_path):
    if request.param == "s3":
        gateway = request.getfixturevalue("gateway")
        return gateway.objects(gateway.bucket())
    return DiskObjects(tmp_path / "objects") if request.param == "disk" else MemoryObjects()


def read_all(objects, object_id: str) -> bytes:
    stored = objects.open(object_id)
    try:
        buffer = memoryview(bytearray(stored.size_bytes))
        assert stored.read_into(0, buffer) == len(buffer)
        return bytes(buffer)
    finally:
        stored.close()


def test_published_object_comes_back(objects):
    object_id, content = new_object_id(), os.urandom(100_000)
    assert objects.publish(object_id, [content[:1], content[1:70_000], b"", content[70_000:]]) == 100_000
    assert read_all(objects, object_id) == content
    assert list(objects.ids()) == [object_id]


def test_a_piece_may_be_reused_after_it_was_taken(objects):
    object_id, buffer = new_object_id(), memoryview(bytearray(4))

    def pieces():
        for number in range(5):
            buffer[:] = bytes([number]) * 4
            yield buffer

    objects.publish(object_id, pieces())
    assert read_all(objects, object_id) == b"".join(bytes([n]) * 4 for n in range(5))


def test_nothing_is_ever_overwritten(objects):
    object_id = new_object_id()
    objects.publish(object_id, [b"first"])
    with pytest.raises(ObjectExistsError):
        objects.publish(object_id, [b"second"])
    assert read_all(objects, object_id) == b"first"
    objects.publish(new_object_id(), [b"the volume is still good"])


def test_error_of_the_pieces_passes_through_and_leaves_nothing(objects):
    object_id = new_object_id()

    def pieces():
        yield b"begun"
        raise ConnectionResetError("hung up")

    with pytest.raises(ConnectionResetError):
        objects.publish(object_id, pieces())
    assert list(objects.ids()) == []
    with pytest.raises(ObjectMissingError):
        objects.open(object_id)
    objects.publish(object_id, [b"again"])


def test_even_an_interrupt_leaves_nothing(objects):
    def pieces():
        yield b"begun"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        objects.publish(new_object_id(), pieces())
    assert list(objects.ids()) == []


def test_missing_object_is_said_to_be_missing(objects):
    with pytest.raises(ObjectMissingError):
        objects.open(new_object_id())


def test_removal_is_idempotent_and_spares_others(objects):
    kept, gone = new_object_id(), new_object_id()
    for object_id in (kept, gone):
        objects.publish(object_id, [b"x"])
    objects.remove(gone)
    objects.remove(gone)
    assert list(objects.ids()) == [kept]


def test_ranges_read_right_and_stop_at_the_end(objects):
    object_id, content = new_object_id(), bytes(range(200))
    objects.publish(object_id, [content])
    stored = objects.open(object_id)
    for offset, length in ((0, 10), (5, 1), (190, 10), (190, 50), (200, 5), (500, 5), (0, 0)):
        buffer = memoryview(bytearray(length))
        count = stored.read_into(offset, buffer)
        assert bytes(buffer[:count]) == content[offset : offset + length]
    stored.close()
    stored.close()


def test_bytes_that_are_in_memory_are_those_that_would_be_read(objects):
    object_id, content = new_object_id(), bytes(range(200))
    objects.publish(object_id, [content])
    stored = objects.open(object_id)
    if isinstance(stored, Held):
        for offset, length in ((0, 200), (5, 1), (190, 10), (199, 1)):
            assert stored.view(offset, length) == content[offset : offset + length]
        for offset, length in ((190, 11), (200, 1), (500, 5)):
            assert stored.view(offset, length) is None
    stored.close()


def test_object_open_for_reading_outlives_its_removal(objects):
    object_id = new_object_id()
    objects.publish(object_id, [b"content"])
    stored = objects.open(object_id)
    objects.remove(object_id)
    buffer = memoryview(bytearray(7))
    assert stored.read_into(0, buffer) == 7
    assert buffer == b"content"
    stored.close()


@pytest.mark.parametrize(
    "object_id",
    [
        "",
        "abc",
        "A" * 32,
        "0" * 31,
        "0" * 33,
        "../" + "0" * 29,
        "0" * 31 + "/",
        "0" * 32 + "\n",
        "\0" * 32,
        "tmp",
    ],
)
def test_what_is_no_id_never_becomes_a_path(objects, object_id):
    for act in (objects.open, objects.remove, lambda i: objects.publish(i, [b"x"])):
        with pytest.raises(ValueError, match="32 lower-case"):
            act(object_id)


def test_many_threads_publish_at_once(objects):
    ids, errors = [new_object_id() for _ in range(64)], []

    def work(mine):
        try:
            for object_id in mine:
                objects.publish(object_id, [object_id.encode()] * 100)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(ids[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(objects.ids()) == sorted(ids)
    assert all(read_all(objects, i) == i.encode() * 100 for i in ids)


def test_one_of_many_racing_for_a_name_wins(objects):
    object_id, outcomes, gate = new_object_id(), [], threading.Barrier(8)

    def work(number):
        gate.wait()
        try:
            objects.publish(object_id, [b"%d" % number])
            outcomes.append(number)
        except ObjectExistsError:
            pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert read_all(objects, object_id) == b"%d" % outcomes[0]


def test_probe_leaves_nothing(objects):
    objects.probe()
    assert list(objects.ids()) == []
