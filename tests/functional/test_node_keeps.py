"""What comes over the network and what then lies sealed: the real node, the real door, real records; a raw peer sends.

Day-one rows 13 to 17 and 21 to 27; docs/security.md F7, N7. Every object is read back through `SealedStore`.
"""

from __future__ import annotations

import io
import itertools
import socket
import struct
import threading
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import AllTransferSyntaxes

from dicom_node import contexts
from dicom_node.part10 import open_part10
from gateway.domain.peer import Peer
from gateway.doors.dimse import DimseDoor
from storage import SealedRef
from tests.fakes.journey_house import open_house
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    KeepingReceiver,
    RawPeer,
    command,
    context,
    contexts_of,
    data_set,
    explicit,
    p_data,
    pdu,
    pdv,
    running,
    timed_echo,
)
from tests.unit.dicom_node.test_head import CHARSETS, ENCODINGS, patient, written

pytestmark = pytest.mark.functional

CANARY = b"Kanariefagel-8f3a"
ABORT = 0x07


class Site:
    """A house with its node."""

    def __init__(self, house, port):
        self.house, self.port = house, port

    def kept(self):
        """(instance row, data set) of every sealed object, oldest first."""
        found = []
        with self.house.records.view() as view:
            for row in view.instances.find(order="received_at"):
                key = view.key(row.holder, "originals")
                ref = SealedRef(
                    object_id=row.object_id, size_bytes=row.size_bytes, digest=row.digest, generation=row.generation
                )  # fmt: skip
                with self.house.store.open(ref, key=key, kind="original") as sealed:
                    meta, stream = open_part10(io.BytesIO(sealed.read()))
                    assert meta.transfer_syntax_uid == row.transfer_syntax_uid
                    found.append((row, stream.read()))
        return found

    def residue(self):
        """Drafts and sealed objects that no row names, and files that hold the canary in the clear."""
        files = [path for path in self.house.folder.rglob("*") if path.is_file()]
        named = {row.object_id for row in self.house.rows("instances")}
        sealed = [
            p
            for p in files
            if "objects" in p.relative_to(self.house.folder).parts
            and len(p.name) >= 32
            and p.name not in named
        ]
        drafts = [p for p in files if "tmp" in p.relative_to(self.house.folder).parts]
        clear = [p for p in files if CANARY in p.read_bytes()]
        return sealed + drafts + clear


@pytest.fixture
def site(tmp_path):
    house = open_house(tmp_path)
    with house.records.change(by=_desk()) as change:
        for title in ("MODALITY", "OTHERPACS"):
            change.peers.add(Peer(ae_title=title, created_at=house.clock.now()))
            change.note("peer_added", subject=title)
    with running(DimseDoor(house.as_house()), artim_s=2, idle_s=2) as port:
        yield Site(house, port)
    house.close()


def _desk():
    from tests.fakes.journey_house import DESK

    return DESK


# --- bytes untouched (21-23, 27) -----------------------------------------------------------------------------------


def encoded(charset, name):
    """The bytes of a name as its sender writes them."""
    from pydicom.charset import convert_encodings, encode_string

    encodings = convert_encodings(charset if charset is not None else "")
    return b"=".join(
        b"^".join(encode_string(part, encodings) for part in group.split("^")) for group in name.split("=")
    )


MISDECLARED = [
    ("ISO_IR 100 declared, UTF-8 sent", "ISO_IR 100", "Åkesson^Örjan".encode()),
    ("ISO_IR 192 declared, Latin-1 sent", "ISO_IR 192", "Åkesson^Örjan".encode("latin-1")),
    ("nothing declared, Latin-1 sent", None, "Åkesson^Örjan".encode("latin-1")),
    ("unknown set", "ISO_IR 4711", b"\xc5kesson^\xd6rjan"),
    ("bytes of no set", "ISO_IR 192", bytes(range(0x80, 0xC0))),
]
NAMES = [(str(charset), charset, encoded(charset, name)) for charset, name in CHARSETS] + MISDECLARED


def test_names_in_every_character_set_lie_sealed_as_they_were_sent(site):
    sent = {}
    with RawPeer(site.port) as peer:
        peer.associate()
        for n, (_, charset, name) in enumerate(NAMES):
            uid = f"1.2.3.4.{n}"
            declared = (
                "" if charset is None else "\\".join([charset] if isinstance(charset, str) else charset)
            )
            plain = data_set(sop_instance=uid, study=f"1.2.3.{n}")
            begun = explicit(0x00080005, "CS", declared) if charset is not None else b""
            at, end = plain.index(b"\x08\0\x16\0"), plain.index(b"\x10\0\x20\0LO")
            sent[uid] = (
                begun
                + plain[at : plain.index(b"\x10\0\x10\0PN")]
                + explicit(0x00100010, "PN", name)
                + plain[end:]
            )
            assert peer.store(sent[uid], **{"1000": uid}) == (0, ""), charset
    assert {row.head["sop_instance_uid"]: data for row, data in site.kept()} == sent


def test_every_transfer_syntax_of_pydicoms_list_is_sealed_or_refused_by_its_context(site):
    accepted = {}
    for syntax in sorted({*map(str, AllTransferSyntaxes), *contexts.TRANSFER_SYNTAXES}):
        with RawPeer(site.port) as peer:
            kind, body = peer.associate(context(1, CT, syntax))
            assert kind == 2
            result, _ = contexts_of(body)[1]
            if syntax not in contexts.TRANSFER_SYNTAXES:
                assert result == 4, syntax  # of JPIP and the like no pixel would arrive
                continue
            assert result == 0, syntax
            like = {
                "implicit": contexts.IMPLICIT_LITTLE,
                "big": contexts.EXPLICIT_BIG,
                "deflated": contexts.DEFLATED_LITTLE,
            }
            accepted[syntax] = written(
                patient(), like.get(contexts.encoding_of(syntax), contexts.EXPLICIT_LITTLE)
            )
            assert peer.store(accepted[syntax], **{"1000": "1.2.3.4.5.6"}) == (0, ""), syntax
    kept = site.kept()
    assert {row.transfer_syntax_uid: data for row, data in kept} == accepted
    assert set(ENCODINGS) <= set(accepted)
    assert (
        sum(row.conflict_of is not None for row, _ in kept) == len(accepted) - 1
    )  # one UID, other bytes: all are held


@pytest.mark.parametrize(
    "sop_class",
    [
        "1.2.840.10008.5.1.4.1.1.6",  # retired ultrasound
        "1.2.840.10008.5.1.4.1.1.3",
        "1.2.840.10008.5.1.4.1.1.5",  # retired nuclear medicine
        "1.2.840.10008.5.1.1.29",  # hardcopy
        "1.3.12.2.1107.5.9.1",  # Siemens CSA
        "1.2.840.113619.4.30",  # GE
        "1.3.46.670589.11.0.0.12.1",  # Philips
        "1.2.840.10008.5.1.4.1.1.104.1",  # encapsulated PDF
        "1.2.840.10008.5.1.4.1.1.77.1.6",  # whole slide
        "1.2.840.10008.5.1.4.1.1.481.3",  # RT structure set
    ],
)
def test_retired_private_and_unusual_sop_classes_are_sealed(site, sop_class):
    with RawPeer(site.port) as peer:
        _, body = peer.associate(context(1, sop_class, EXPLICIT))
        assert contexts_of(body)[1][0] == 0
        content = data_set(sop_class=sop_class)
        assert peer.store(content, **{"0002": sop_class}) == (0, "")
    ((row, data),) = site.kept()
    assert (row.sop_class_uid, data) == (sop_class, content)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_values_split_at_odd_points_over_values_and_pdus_are_one_object(one_node, data):
    port, receiver = one_node
    content = data_set(pixels=data.draw(st.binary(max_size=3000)) * 2)
    encoded_command = command()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=25)))
    early = sorted(data.draw(st.lists(st.integers(0, len(encoded_command)), max_size=8)))
    values = [
        *((1, piece) for piece in split(encoded_command, early)),
        *((0, piece) for piece in split(content, cuts)),
    ]
    last_command = len(early)
    marked = [
        pdv(1, control | (2 if n in (last_command, len(values) - 1) else 0), piece)
        for n, (control, piece) in enumerate(values)
    ]
    with RawPeer(port) as peer:
        peer.associate()
        while marked:
            together = data.draw(st.integers(1, len(marked)))
            body, marked = b"".join(marked[:together]), marked[together:]
            peer.send(pdu(4, body))
        assert peer.status() == (0, "")
        assert peer.echo() == 0
    assert receiver.kept.pop()[1] == content


def split(content, cuts):
    points = [0, *cuts, len(content)]
    return [content[a:b] for a, b in itertools.pairwise(points)]


@pytest.fixture(scope="module")
def one_node():
    receiver = KeepingReceiver(reads="into", read_bytes=777)
    with running(receiver) as port:
        yield port, receiver


# --- names that are no names (27, F7) --------------------------------------------------------------------------------

PATHS = [
    "../../../../tmp/x", "/etc/passwd", "..", ".", "1.2/../../3", "1.2\\..\\3", "C:\\x", "1.2.3\nroot", "%2e%2e%2f", "1.2.3;rm",
    "$(id)", "1.2.é", "", " ", "a" * 64, "1." * 40, "1.2.3.4." + "5" * 70, "../objects/00", "NUL", "\x1b[2J",
]  # fmt: skip


def test_uids_that_are_paths_too_long_empty_or_letters_are_refused_and_name_no_file(site):
    before = {path for path in site.house.folder.rglob("*") if "objects" in path.parts}
    with RawPeer(site.port) as peer:
        peer.associate()
        for text in PATHS:
            for where in ("sop_instance", "study", "series"):
                raw = text.encode("latin-1", "replace").decode("latin-1")
                changes = {"1000": raw.encode("latin-1")} if where == "sop_instance" else {}
                content = data_set(**{where: raw.encode("latin-1")})
                status, comment = peer.store(content, **changes)
                assert status in (0x0117, 0xC000, 0xA900), (text, where, hex(status))
                assert comment.isascii()
                assert 10 < len(comment) <= 64
                assert text.strip(" .") == "" or text not in comment  # nor is it told back
    assert site.kept() == []
    assert {path for path in site.house.folder.rglob("*") if "objects" in path.parts} == before
    refused = site.house.events("instance_refused")
    assert len(refused) == 3 * len(PATHS)
    assert {event.actor for event in refused} == {"peer:MODALITY"}


def test_uids_that_real_senders_make_are_taken(site):
    """Leading zeros and an odd length padded with a space: wrong, and no reason to lose an examination."""
    with RawPeer(site.port) as peer:
        peer.associate()
        content = data_set(sop_instance="1.2.03.004", study="1.2.840.0113", series=b"1.2.3 ")
        assert peer.store(content, **{"1000": "1.2.03.004"}) == (0, "")
    assert [data for _, data in site.kept()] == [content]


# --- the same and nearly the same (13-16) -----------------------------------------------------------------------------


def test_the_same_object_ten_times_at_once_is_kept_once_and_answered_ten_times(site):
    content = data_set(pixels=b"\1\2" * 60_000)
    answers, ready = [], threading.Barrier(10)

    def one():
        with RawPeer(site.port) as peer:
            peer.associate()
            ready.wait(10)
            answers.append(peer.store(content))

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [(0, "")] * 10
    assert [data for _, data in site.kept()] == [content]
    assert len(site.house.events("instance_repeated")) == 9
    assert site.residue() == []


def test_the_same_uid_with_other_bytes_is_kept_beside_the_first_and_shown(site):
    first, other = data_set(pixels=b"\1\1" * 100), data_set(pixels=b"\2\2" * 100)
    with RawPeer(site.port) as peer:
        peer.associate()
        assert [peer.store(content) for content in (first, other, first, other)] == [(0, "")] * 4
    kept = site.kept()
    assert [data for _, data in kept] == [first, other]
    assert [row.state for row, _ in kept] == ["received", "quarantined"]
    assert len(site.house.events("instance_conflict")) == 1


def test_the_same_study_from_two_senders_is_two_studies(site):
    for title in ("MODALITY", "OTHERPACS"):
        with RawPeer(site.port) as peer:
            assert peer.associate(calling=title)[0] == 2
            assert peer.store() == (0, "")
    studies = site.house.rows("studies")
    assert len({study.sender for study in studies}) == len(studies) == 2
    assert [row.state for row, _ in site.kept()] == ["received"] * 2


# --- cut in the middle (17, N7) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "cable", "reset", "release", "silence", "too large"])
def test_what_is_cut_in_the_middle_leaves_nothing_and_what_was_acknowledged_stays(site, how):
    earlier = data_set(sop_instance="1.2.3.4.1")
    big = data_set(sop_instance="1.2.3.4.2", pixels=CANARY + bytes(8 << 20))
    with RawPeer(site.port) as peer:
        peer.associate()
        assert peer.store(earlier, **{"1000": "1.2.3.4.1"}) == (0, "")
        peer.send(p_data(1, 3, command(**{"1000": "1.2.3.4.2"})))
        for at in range(0, 6 << 20, 60_000):
            peer.send(p_data(1, 0, big[at : at + 60_000]))
        deadline = time.monotonic() + 5
        while not list((site.house.folder / "objects").rglob("tmp/*")) and time.monotonic() < deadline:
            time.sleep(0.02)  # its draft is being written, sealed
        if how == "abort":
            peer.send(pdu(7, bytes(4)))
        elif how == "release":
            peer.send(pdu(5, bytes(4)))
            assert peer.read()[0] == ABORT
        elif how == "silence":
            assert peer.read()[0] == ABORT
        elif how == "too large":
            peer.send(struct.pack(">BxI", 4, 0xFFFFFFF0))
            assert peer.read()[0] == ABORT
        elif how == "reset":
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + 10
    while len(site.house.events("association_ended")) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [data for _, data in site.kept()] == [earlier]
    assert site.residue() == []
    (ended,) = site.house.events("association_ended")
    assert ended.details["kept"] == 1
    assert ended.address == "127.0.0.1"
    assert timed_echo(site.port) < 1


# --- bombs in the first attributes (25, F4) -----------------------------------------------------------------------------


def deflated(content):
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(content) + packer.flush()


def test_a_deflated_bomb_in_front_of_the_attributes_is_refused_with_little_memory(site):
    bomb = explicit(0x00080005, "CS", "ISO_IR 100")
    bomb += b"\x08\0\x08\0UN\0\0" + struct.pack("<I", 64 << 20) + bytes(64 << 20)
    squeezed = deflated(bomb)
    del bomb
    assert len(squeezed) < 100_000
    before = resident()
    with RawPeer(site.port) as peer:
        peer.associate(context(1, CT, contexts.DEFLATED_LITTLE), context(3, contexts.VERIFICATION, EXPLICIT))
        began = time.monotonic()
        status, comment = peer.store(squeezed)
        assert time.monotonic() - began < 2
        assert (status, comment[:21]) == (0xC000, "Data set unreadable: ")
        assert peer.echo() == 0
    assert resident() - before < 32 << 20
    assert site.kept() == []
    assert site.residue() == []


def test_a_deflated_bomb_of_pixels_is_sealed_as_it_came(site):
    """Nobody looks into it here; what does so later runs confined (`unit/gateway/test_sandbox.py`)."""
    squeezed = deflated(data_set(pixels=bytes(32 << 20)))
    with RawPeer(site.port) as peer:
        peer.associate(context(1, CT, contexts.DEFLATED_LITTLE))
        assert peer.store(squeezed) == (0, "")
    assert [data for _, data in site.kept()] == [squeezed]


def resident():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096
