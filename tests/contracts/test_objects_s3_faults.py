"""What the network and the server do to objects in S3: nothing acknowledged is lost, nothing half is seen, no parts are leaked."""

import json
import multiprocessing
import os
import threading
import time
import uuid
from dataclasses import replace

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from storage import (
    BYTES_LOST,
    ObjectBusyError,
    ObjectExistsError,
    StoreDeniedError,
    StoreFullError,
    StoreOutageError,
    VolumeUnfitError,
)
from storage.objects import s3_probe
from storage.objects.ids import new_object_id
from storage.objects.s3_address import S3Address, S3Credentials
from storage.objects.s3_errors import S3RefusalError
from storage.objects.s3_wire import Parcel, Patience, Wire
from tests.fakes import radosgw
from tests.fakes.tcp_proxy import Fault, TcpProxy

PART_BYTES = 5 << 20  # the least that servers take for all but the last part
QUICK = Patience(connect_s=1.0, answer_s=1.0, part_s=5.0)
BIG = 12 << 20


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    if missing := radosgw.missing_programs():
        pytest.skip(
            f"Ceph's gateway is not installed ({', '.join(missing)}): apt-get install {radosgw.PACKAGES}"
        )
    with radosgw.shared(radosgw.folder_of(tmp_path_factory)) as running:
        yield running


class Place:
    """One bucket, seen through a proxy that breaks things and, as a witness, without it."""

    def __init__(self, gateway, proxy):
        self.gateway, self.proxy = gateway, proxy
        self.address = gateway.bucket()
        self.through = self.address.replace(f":{gateway.port}/", f":{proxy.port}/")
        self.witness = gateway.objects(self.address, part_bytes=PART_BYTES)
        self.objects = gateway.objects(self.through, patience=QUICK, part_bytes=PART_BYTES)
        self.objects.publish(
            warm := new_object_id(), [b"warm"]
        )  # the question whether it heeds conditions is over
        self.witness.remove(warm)
        proxy.seen.clear()
        self.wire = Wire(
            S3Address.parse(self.address),
            S3Credentials(access_key=gateway.access_key, secret_key=gateway.secret_key),
            Patience(),
        )

    def left(self):
        """What is there: ids, and parts of uploads that nobody completes."""
        return list(self.witness.ids()), [one.key for one in self.wire.uploads("one/")]


@pytest.fixture
def place(gateway):
    with TcpProxy(gateway.port) as proxy:
        yield Place(gateway, proxy)


def read_all(objects, object_id):
    stored = objects.open(object_id)
    try:
        buffer = memoryview(bytearray(stored.size_bytes))
        assert stored.read_into(0, buffer) == len(buffer)
        return bytes(buffer)
    finally:
        stored.close()


def test_small_object_is_one_request(place):
    place.objects.publish(new_object_id(), [b"x" * 512 * 1024])
    assert [line.split()[0] for line in place.proxy.seen] == ["PUT"]


def test_large_object_goes_in_parts_and_is_looked_at_before_and_after(place):
    content, object_id = os.urandom(BIG), new_object_id()
    assert place.objects.publish(object_id, [content[i : i + 70_000] for i in range(0, BIG, 70_000)]) == BIG
    methods = [line.split()[0] for line in place.proxy.seen]
    assert methods == ["POST", "PUT", "PUT", "PUT", "HEAD", "POST", "HEAD"]
    assert read_all(place.witness, object_id) == content


def test_large_object_never_replaces_one_that_is_there(place):
    object_id = new_object_id()
    place.objects.publish(object_id, [b"first"])
    with pytest.raises(ObjectExistsError):
        place.objects.publish(object_id, [os.urandom(BIG)])
    assert read_all(place.witness, object_id) == b"first"
    assert place.left() == ([object_id], [])


@pytest.mark.parametrize("at", [0, 1, 3_000_000, PART_BYTES])
def test_part_that_is_reset_is_sent_again_and_the_object_is_whole(place, at):
    content, object_id = os.urandom(BIG), new_object_id()
    place.proxy.faults = [Fault(harm="reset", on="partNumber=2", at=at, times=2)]
    assert place.objects.publish(object_id, [content]) == BIG
    # Three parts, and one of them twice more; where the whole body has passed, the answer may be quicker than the reset.
    assert place.proxy.count("PUT") in ((3, 4, 5) if at == PART_BYTES else (5,))
    assert read_all(place.witness, object_id) == content
    assert place.left() == ([object_id], [])


def test_part_that_is_refused_with_503_is_sent_again(place):
    content, object_id = os.urandom(BIG), new_object_id()
    place.proxy.faults = [Fault(harm="status", on="partNumber=3", status=503, times=2)]
    place.objects.publish(object_id, [content])
    assert read_all(place.witness, object_id) == content


@pytest.mark.parametrize(
    "fault",
    [
        Fault(harm="reset", on="uploads", times=99),
        Fault(harm="reset", on="partNumber=2", at=100_000, times=99),
        Fault(harm="silent", on="partNumber=2", at=100_000, times=99),
        Fault(harm="lost", on="partNumber=3", times=99),
        Fault(harm="status", on="partNumber=1", status=500, times=99),
        Fault(harm="status", on="uploadId=", status=503, times=99),
    ],
    ids=["begin", "reset", "half-open", "no answer", "500", "503"],
)
def test_upload_that_cannot_be_mended_is_an_outage_and_leaves_nothing(place, fault):
    place.proxy.faults = [fault]
    begun = time.monotonic()
    with pytest.raises(StoreOutageError):
        place.objects.publish(new_object_id(), [os.urandom(BIG)])
    assert time.monotonic() - begun < 30
    place.witness.sweep_drafts(older_s=-60)
    assert place.left() == ([], [])
    place.proxy.faults = []
    place.objects.publish(new_object_id(), [b"the store heals by itself"])


def test_answer_to_completion_that_is_lost_is_no_success_and_leaves_nothing(place):
    place.proxy.faults = [Fault(harm="lost", on="POST", skip=1)]
    with pytest.raises(StoreOutageError):
        place.objects.publish(new_object_id(), [os.urandom(BIG)])
    assert place.left() == ([], [])


def test_whole_object_is_sent_again_only_where_the_server_says_that_it_did_nothing(place, monkeypatch):
    asked, put = [], place.objects._wire.put

    def refusing(*args, **kwargs):
        asked.append(args)
        if len(asked) < 3:
            raise S3RefusalError("again", "ConditionalRequestConflict")
        put(*args, **kwargs)

    monkeypatch.setattr(place.objects._wire, "put", refusing)
    place.objects.publish(object_id := new_object_id(), [b"content"])
    assert read_all(place.witness, object_id) == b"content"
    place.proxy.faults = [Fault(harm="status", on="PUT", status=503)]
    with pytest.raises(StoreOutageError):
        place.objects.publish(new_object_id(), [b"content"])
    assert len(asked) == 4


@pytest.mark.parametrize("harm", ["reset", "lost", "silent", "status"])
def test_small_object_whose_answer_is_lost_is_no_success_and_leaves_nothing(place, harm):
    place.proxy.faults = [Fault(harm=harm, on="PUT", at=1000)]
    with pytest.raises(StoreOutageError):
        place.objects.publish(new_object_id(), [b"x" * 100_000])
    assert place.left() == ([], [])


def test_clearing_up_never_takes_what_was_there_before(place):
    object_id = new_object_id()
    place.witness.publish(object_id, [b"another's"])
    place.proxy.faults = [Fault(harm="lost", on="PUT")]
    with pytest.raises(StoreOutageError):
        place.objects.publish(object_id, [b"ours"])
    assert read_all(place.witness, object_id) == b"another's"


@pytest.mark.parametrize("error", [ConnectionResetError("hung up"), KeyboardInterrupt()])
def test_sender_that_breaks_off_in_the_second_part_leaves_no_parts(place, error):
    def pieces():
        yield os.urandom(PART_BYTES + 1)
        yield os.urandom(PART_BYTES)
        raise error

    with pytest.raises(type(error)) as raised:
        place.objects.publish(new_object_id(), pieces())
    assert raised.value is error
    assert place.left() == ([], [])


def test_abort_that_fails_leaves_parts_only_until_the_sweep_and_never_an_object(place):
    place.proxy.faults = [Fault(harm="reset", on="DELETE", times=99)]

    def pieces():
        yield os.urandom(PART_BYTES + 1)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        place.objects.publish(object_id := new_object_id(), pieces())
    ids, uploads = place.left()
    assert (ids, uploads) == ([], [f"one/objects/{object_id}"])
    assert place.witness.sweep_drafts() == 0, "younger than a day: it may have a living writer"
    assert place.witness.sweep_drafts(older_s=-60) == 1
    assert place.left() == ([], [])


def test_sweep_spares_the_living_and_what_is_not_ours(place):
    object_id, content, mid = new_object_id(), os.urandom(BIG), threading.Event()
    go_on = threading.Event()

    def pieces():
        yield content[: PART_BYTES + 1]
        mid.set()
        assert go_on.wait(30)
        yield content[PART_BYTES + 1 :]

    writer = threading.Thread(target=lambda: place.objects.publish(object_id, pieces()))
    writer.start()
    assert mid.wait(30)
    place.wire.begin("elsewhere/object", ticket="x")
    deadline = time.monotonic() + 10
    while not place.left()[1] and time.monotonic() < deadline:
        place.objects.sweep_drafts()
    assert place.witness.sweep_drafts() == 0
    go_on.set()
    writer.join(30)
    assert read_all(place.witness, object_id) == content
    place.witness.sweep_drafts(older_s=-60)
    assert [one.key for one in place.wire.uploads("elsewhere/")] == ["elsewhere/object"]


def test_reads_survive_resets_cuts_and_503_and_give_the_right_bytes(place):
    content, object_id = os.urandom(BIG), new_object_id()
    place.witness.publish(object_id, [content])
    place.proxy.faults = [
        Fault(harm="cut", on="GET", at=200_000),
        Fault(harm="status", on="GET", status=503, skip=1),
        Fault(harm="reset", on="GET", skip=1),
        Fault(harm="cut", on="GET", at=10, skip=1),
        Fault(harm=None, on="GET", wait_s=0.5, skip=1),
    ]
    assert read_all(place.objects, object_id) == content
    assert all(fault.times == 0 for fault in place.proxy.faults)


@pytest.mark.parametrize("harm", ["reset", "cut", "silent", "status"])
def test_read_that_cannot_be_mended_says_nothing_of_the_object(place, harm):
    object_id = new_object_id()
    place.witness.publish(object_id, [os.urandom(BIG)])
    place.proxy.faults = [Fault(harm=harm, on="GET", at=0, times=99)]
    begun = time.monotonic()
    with pytest.raises(ObjectBusyError) as raised:
        place.objects.open(object_id)
    assert time.monotonic() - begun < 25
    assert not isinstance(raised.value, BYTES_LOST)


def test_outage_is_told_as_one_everywhere_and_heals(place):
    object_id = new_object_id()
    place.objects.publish(object_id, [b"kept"])
    place.proxy.darken()
    with pytest.raises(ObjectBusyError):
        place.objects.open(object_id)
    with pytest.raises(ObjectBusyError):
        list(place.objects.ids())
    for act in (
        lambda: place.objects.publish(new_object_id(), [b"x"]),
        lambda: place.objects.remove(object_id),
        place.objects.sweep_drafts,
        place.objects.probe,
    ):
        with pytest.raises(StoreOutageError):
            act()
    place.proxy.lighten()
    assert read_all(place.objects, object_id) == b"kept"


def test_twenty_senders_through_resets_lose_nothing_that_was_acknowledged(place):
    place.proxy.faults = [Fault(harm=harm, on="PUT", at=5_000, skip=7) for harm in ("reset", "lost") * 4]
    kept, refused = {}, []

    def send():
        for _ in range(10):
            object_id, content = new_object_id(), os.urandom(50_000)
            try:
                place.objects.publish(object_id, [content])
                kept[object_id] = content
            except StoreOutageError:
                refused.append(object_id)

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 8
    assert len(kept) == 192
    assert sorted(place.witness.ids()) == sorted(kept)
    assert all(read_all(place.witness, i) == content for i, content in kept.items())


def test_list_goes_on_after_a_page_that_failed(place):
    ids = sorted(new_object_id() for _ in range(1100))
    for object_id in ids:
        body = Parcel()
        body += b"x"
        place.wire.put(f"one/objects/{object_id}", body, ticket="x")
    place.proxy.faults = [
        Fault(harm="cut", on="list-type", at=900),
        Fault(harm="status", on="list-type", skip=1),
    ]
    assert list(place.objects.ids()) == ids
    assert all(fault.times == 0 for fault in place.proxy.faults)


def test_missing_bucket_is_no_missing_object(place):
    gone = place.gateway.objects(place.address.replace("/b", "/gone-", 1))
    for act in (
        lambda: gone.open(new_object_id()),
        lambda: gone.publish(new_object_id(), [b"x"]),
        lambda: list(gone.ids()),
    ):
        with pytest.raises(StoreDeniedError, match="NoSuchBucket"):
            act()
    with pytest.raises(VolumeUnfitError, match="no such bucket"):
        gone.probe()


def test_access_key_that_may_not_list_is_refused_by_the_name_of_the_right(place):
    bucket, other = S3Address.parse(place.address).bucket, f"u{uuid.uuid4().hex[:8]}"
    keys = ("--access-key", other, "--secret-key", "s" * 32)
    place.gateway.admin("user", "create", f"--uid={other}", f"--display-name={other}", *keys)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam:::user/{other}"]},
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    place.wire._client().set_bucket_policy(bucket, policy)
    theirs = replace(place.gateway, access_key=other, secret_key="s" * 32).objects(place.address)
    with pytest.raises(VolumeUnfitError, match="s3:ListBucket"):
        theirs.probe()
    with pytest.raises(StoreDeniedError, match="AccessDenied"):
        theirs.open(new_object_id())


def test_versions_are_remarked(place):
    place.wire._client().set_bucket_versioning(
        S3Address.parse(place.address).bucket, VersioningConfig(ENABLED)
    )
    place.witness.probe()
    assert s3_probe.VERSIONS in place.witness.remarks


def test_wrong_secret_is_told_as_one_and_never_shown(place):
    other = replace(place.gateway, secret_key="f" * 32).objects(place.address)
    object_id = new_object_id()
    place.witness.publish(object_id, [b"x"])
    for act in (lambda: other.open(object_id), lambda: other.publish(new_object_id(), [b"x"]), other.probe):
        with pytest.raises(StoreDeniedError) as raised:
            act()
        assert "f" * 32 not in f"{raised.value}{raised.value!r}{other!r}{vars(other)!r}"


def test_tls_is_verified_by_the_authority_that_is_named(place):
    gateway = place.gateway
    secure = place.address.replace("s3+http://", "s3+https://").replace(
        f":{gateway.port}/", f":{gateway.tls_port}/"
    )
    trusting = gateway.objects(f"{secure}&ca={gateway.authority}", part_bytes=PART_BYTES)
    trusting.probe()
    content, object_id = os.urandom(BIG), new_object_id()
    trusting.publish(object_id, [content])
    assert read_all(trusting, object_id) == content
    another_name = f"{secure.replace('127.0.0.1', 'localhost')}&ca={gateway.authority}"
    for address in (secure, another_name):
        with pytest.raises(StoreDeniedError, match="certificate does not verify"):
            gateway.objects(address).open(object_id)


def test_quota_is_a_full_store_and_heals(place):
    bucket = S3Address.parse(place.address).bucket
    quota = ("--uid=consilium", f"--bucket={bucket}", "--quota-scope=bucket")
    place.objects.publish(new_object_id(), [b"before"])
    place.gateway.admin("quota", "set", *quota, "--max-objects=1")
    place.gateway.admin("quota", "enable", *quota)
    for content in (b"small", os.urandom(BIG)):
        with pytest.raises(StoreFullError):
            place.objects.publish(new_object_id(), [content])
    place.gateway.admin("quota", "disable", *quota)
    place.objects.publish(new_object_id(), [b"after"])
    ids, uploads = place.left()
    assert (len(ids), uploads) == (2, [])


def _child(place, object_id, answers):
    try:
        place.objects.publish(new_object_id(), [b"child"])
        answers.put(read_all(place.objects, object_id))
    except BaseException as error:
        answers.put(repr(error))


def test_processes_that_fork_share_no_connection(place):
    object_id = new_object_id()
    place.objects.publish(object_id, [b"parent"])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    children = [context.Process(target=_child, args=(place, object_id, answers)) for _ in range(4)]
    for child in children:
        child.start()
    for _ in range(20):
        assert read_all(place.objects, object_id) == b"parent"
    assert [answers.get(timeout=30) for _ in children] == [b"parent"] * 4
    for child in children:
        child.join(10)


def test_reading_in_order_takes_few_requests_and_at_random_little(place):
    object_id, content = new_object_id(), os.urandom(24 << 20)
    place.witness.publish(object_id, [content])
    stored, piece = place.objects.open(object_id), memoryview(bytearray(256 * 1024))
    for at in range(0, len(content), len(piece)):
        assert stored.read_into(at, piece) == len(piece)
        assert piece == content[at : at + len(piece)]
    assert place.proxy.count("GET") <= 8
    assert len(stored._window) <= 4 << 20
    stored.read_into(5 << 20, piece)
    stored.read_into(1 << 20, piece)
    assert len(stored._window) <= 1 << 19
    assert piece == content[1 << 20 : (1 << 20) + len(piece)]


def test_bytes_that_are_held_are_given_without_a_copy_and_no_others(place):
    object_id, content = new_object_id(), os.urandom(3 << 20)
    place.witness.publish(object_id, [content])
    stored = place.objects.open(object_id)
    assert bytes(stored.view(1000, 70_000)) == content[1000:71_000]
    assert stored.view(0, 1 << 20) is not None
    for offset, length in ((1, 1 << 20), (1 << 20, 1), (2 << 20, 100)):
        assert stored.view(offset, length) is None
    early = stored.view(0, 100)
    stored.read_into(2 << 20, memoryview(bytearray(100)))
    assert stored.view(1000, 10) is None
    assert bytes(stored.view((2 << 20) + 5, 10)) == content[(2 << 20) + 5 :][:10]
    assert bytes(early) == content[:100], "what was given stays as it was"


@pytest.mark.parametrize("kept_bytes", [0, 5])
def test_length_after_completion_counts_and_not_the_answer(place, monkeypatch, kept_bytes):
    wire = place.objects._wire
    complete = wire.complete

    def forgetful(key, upload_id, tags):
        """Says yes, and has nothing, or less than was sent."""
        if kept_bytes:
            complete(key, upload_id, tags)
            short = Parcel()
            short += bytes(kept_bytes)
            wire.put(key, short, ticket=wire.head(key).ticket, only_new=False)

    monkeypatch.setattr(wire, "complete", forgetful)
    with pytest.raises(StoreOutageError, match="5 bytes are there of" if kept_bytes else "nothing is there"):
        place.objects.publish(new_object_id(), [os.urandom(BIG)])
    assert place.left() == ([], [])
