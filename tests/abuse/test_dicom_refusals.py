"""What bad input gets (docs/security.md, N3; day-one rows 1, 11, 12): the exact rejection, or the exact status and comment."""

from __future__ import annotations

import errno

import pytest

from dicom_node.receiver import StoreOutcome
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    KeepingReceiver,
    RawPeer,
    context,
    contexts_of,
    data_set,
    explicit,
    only,
    running,
)

pytestmark = pytest.mark.abuse

REJECT = 0x03


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ({"calling": "STRANGER"}, b"\0\1\1\3"),
        ({"called": "OTHER"}, b"\0\1\1\7"),
        ({"calling": " "}, b"\0\1\1\3"),
        ({"version": 2}, b"\0\1\2\2"),
        ({"application": "1.2.3"}, b"\0\1\1\2"),
    ],
)
def test_a_rejection_names_its_exact_reason(how, body):
    receiver = KeepingReceiver(admitted=only())
    with running(receiver) as port, RawPeer(port) as peer:
        assert peer.associate(**how) == (REJECT, body)
        end = receiver.wait_for_end()
        assert (end.how, end.address) == ("refused", "127.0.0.1")


def test_a_receiver_that_cannot_decide_is_congestion():
    with running(KeepingReceiver(admitted=RuntimeError("database is down"))) as port, RawPeer(port) as peer:
        assert peer.associate() == (REJECT, b"\0\2\3\1")


def test_128_contexts_and_all_of_them_usable():
    proposed = [context(2 * n + 1, CT if n % 2 else VERIFICATION, EXPLICIT, IMPLICIT) for n in range(128)]
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        kind, body = peer.associate(*proposed)
        assert kind == 2
        assert len(contexts_of(body)) == 128
        assert peer.store(number=255)[0] == 0
        assert peer.echo(number=253) == 0


# --- objects (day-one 12) ----------------------------------------------------------------------------------------------


MISMATCHES = {
    "other instance": (
        data_set(sop_instance="1.2.9"),
        {},
        0xA900,
        "SOP Instance UID in data set differs from command",
    ),
    "other class": (
        data_set(sop_class="1.2.840.10008.5.1.4.1.1.4"),
        {},
        0xA900,
        "SOP Class UID in data set differs from command",
    ),
    "class of another context": (
        data_set(),
        {"0002": "1.2.840.10008.5.1.4.1.1.4"},
        0x0122,
        "SOP Class UID is not that of the presentation context",
    ),
    "no study": (data_set(study=""), {}, 0xC000, "Study Instance UID is missing in the data set"),
    "no series": (data_set(series=""), {}, 0xC000, "Series Instance UID is missing in the data set"),
    "path as study": (data_set(study="../../etc"), {}, 0xC000, "Study Instance UID is not a valid UID"),
    "path as instance": (
        data_set(sop_instance="../../../x"),
        {"1000": "../../../x"},
        0x0117,
        "Affected SOP Instance UID is not a valid UID",
    ),
    "no instance": (data_set(), {"1000": ""}, 0x0117, "Affected SOP Instance UID is not a valid UID"),
    "long instance": (
        data_set(),
        {"1000": "1." * 33},
        0x0117,
        "Affected SOP Instance UID is not a valid UID",
    ),
    "text": (b"this is no data set at all, sorry", {}, 0xC000, None),
    "empty": (b"", {}, 0xC000, "SOP Class UID is missing in the data set"),
    "a file": (bytes(128) + b"DICM" + bytes(400), {}, 0xC000, None),
    "cut off": (data_set()[:40], {}, 0xC000, None),
    "a bomb": (
        explicit(0x00080005, "CS", "") + b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" * 900,
        {},
        0xC000,
        None,
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_an_object_that_does_not_fit_gets_its_exact_status(name):
    data, changes, status, comment = MISMATCHES[name]
    receiver = KeepingReceiver()
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        found = peer.store(data, **changes)
        assert found[0] == status, found
        assert len(found[1]) <= 64
        if comment:
            assert found[1] == comment
        assert receiver.kept == []
        ((attempt, told),) = (
            receiver.refusals
        )  # so that the audit knows: who, from where, which status and why
        assert (attempt.calling_ae, attempt.called_ae, attempt.address) == (
            "MODALITY",
            "CONSILIUM",
            "127.0.0.1",
        )
        assert (told.status, told.comment) == found
        assert peer.store() == (0, "")  # the association lives
    assert receiver.wait_for_end().instances_kept == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, "no space for Åkesson"), 0xA700),
        (MemoryError(), 0xA700),
        (ValueError("bad value: Åkesson 19121212-1212"), 0xC001),
        (KeyError("19121212-1212"), 0xC001),
    ],
)
@pytest.mark.parametrize("reads", ["all", "some"])
def test_a_receiver_that_fails_gives_a_status_and_no_residue(error, status, reads, capfd, caplog):
    receiver = KeepingReceiver(raises=error, reads=reads)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        found = peer.store(data_set(pixels=bytes(400_000)))
        assert found[0] == status
        receiver.raises, receiver.reads = None, "all"
        assert peer.store()[0] == 0
    said = found[1] + "".join(capfd.readouterr()) + caplog.text
    assert "kesson" not in said
    assert "19121212" not in said


@pytest.mark.parametrize("reads", ["none", "some"])
def test_success_without_having_read_the_object_is_not_passed_on(reads):
    receiver = KeepingReceiver(reads=reads)
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set(pixels=bytes(400_000)))[0] == 0xC000
        assert peer.echo() == 0


def test_a_refusal_may_leave_the_object_unread():
    receiver = KeepingReceiver(
        reads="none", answer=StoreOutcome(status=0x0124, comment="Peer may not store to this case")
    )
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set(pixels=bytes(400_000))) == (0x0124, "Peer may not store to this case")
        assert peer.echo() == 0


def test_a_comment_never_passes_64_characters_nor_the_default_repertoire():
    receiver = KeepingReceiver(answer=StoreOutcome(status=0xA700, comment="å\\\n" + "x" * 100))
    with running(receiver) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store()[1] == "???" + "x" * 61
