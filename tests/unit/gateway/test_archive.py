"""What desktops and hospitals write is read, entry by entry, as they wrote it."""

from __future__ import annotations

import random
import shutil
import subprocess
import zipfile
import zlib
from io import BytesIO, RawIOBase

import pytest

from gateway.domain.archive import LIMITS, ArchiveLimits, ArchiveRefusedError, open_entry, read_directory
from gateway.domain.package import PackageEntry, PackageLayout
from tests.factories import material, traced
from tests.factories.archives import DEFLATED, UTF8, Member, forge, streamed, zip64_extra

SWEDISH = "Svar på frågor åäö.pdf"


def unpacked(content):
    file = BytesIO(content)
    return [(entry.name, b"".join(open_entry(file, entry))) for entry in read_directory(file).entries]


class Unseekable(RawIOBase):
    def __init__(self):
        self.parts = []

    def writable(self):
        return True

    def write(self, data):
        self.parts.append(bytes(data))
        return len(data)


def test_the_patients_disc_is_read_in_order_with_its_folders():
    disc = material().disc_zip
    file = BytesIO(disc)
    archive = read_directory(file)
    with zipfile.ZipFile(BytesIO(disc)) as other:
        infos = other.infolist()
        assert [entry.name for entry in archive.entries] == [
            info.filename.removesuffix("/") for info in infos
        ]
        assert [entry.is_directory for entry in archive.entries] == [info.is_dir() for info in infos]
        for entry, info in zip(archive.entries, infos, strict=True):
            assert b"".join(open_entry(file, entry)) == other.read(info)
        assert archive.total_bytes == sum(info.file_size for info in infos)


def test_python_writers_of_both_kinds_are_read():
    for target in (BytesIO(), Unseekable()):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as writer:
            writer.mkdir("folder")
            writer.writestr(f"folder/{SWEDISH}", b"answer" * 100)
            with writer.open("folder/large", "w", force_zip64=True) as stream:
                stream.write(b"streamed " * 1000)
        content = target.getvalue() if isinstance(target, BytesIO) else b"".join(target.parts)
        assert unpacked(content) == [
            ("folder", b""), (f"folder/{SWEDISH}", b"answer" * 100), ("folder/large", b"streamed " * 1000),
        ]  # fmt: skip


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
@pytest.mark.parametrize("style", ["file", "pipe", "zip64"])
def test_info_zip_is_read(style, tmp_path):
    folder = tmp_path / "disc"
    folder.mkdir()
    (folder / SWEDISH).write_bytes(b"answer" * 200)
    (folder / "stored.bin").write_bytes(b"")
    (folder / "sub").mkdir()
    (folder / "sub" / "IM000001").write_bytes(bytes(range(256)) * 40)
    expected = {
        SWEDISH: b"answer" * 200,
        "stored.bin": b"",
        "sub/IM000001": bytes(range(256)) * 40,
        "sub": b"",
    }
    if style == "pipe":
        content = subprocess.run(["zip", "-qr", "-", "."], capture_output=True, check=True, cwd=folder).stdout
    else:
        options = ["-fz"] if style == "zip64" else []
        subprocess.run(["zip", "-qr", *options, "../out.zip", "."], check=True, cwd=folder)
        content = (tmp_path / "out.zip").read_bytes()
    assert dict(unpacked(content)) == expected


def test_our_own_packages_are_read():
    bodies = {"README.txt": b"read me", SWEDISH: b"", "DICOM/IM000001": bytes(1000)}
    entries = [PackageEntry(name=n, size_bytes=len(b), crc32=zlib.crc32(b)) for n, b in bodies.items()]
    layout = PackageLayout(entries)
    contents = list(bodies.values())
    whole = b"".join(layout.read(0, layout.total_bytes, lambda i, o, n: iter([contents[i][o : o + n]])))
    assert dict(unpacked(whole)) == bodies


@pytest.mark.parametrize(
    ("raw", "flags", "name"),
    [
        (SWEDISH.encode(), UTF8, SWEDISH),
        (SWEDISH.encode(), 0, SWEDISH),  # macOS sets no flag
        (SWEDISH.encode("cp437"), 0, SWEDISH),  # older Windows
        ("A\u030akesson".encode(), UTF8, "Åkesson"),  # macOS decomposes
        (b"Dr. Svensson, intyg.", 0, "Dr. Svensson, intyg."),
        (b"console.log", 0, "console.log"),
        (b"com10", 0, "com10"),
        (b"auxiliary/..hidden/x", 0, "auxiliary/..hidden/x"),
        (b"bild 10:32.jpg", 0, "bild 10:32.jpg"),
        ("صورة.jpg".encode(), UTF8, "صورة.jpg"),
        (b"x" * 255, 0, "x" * 255),
    ],
)
def test_names_come_out_as_the_sender_saw_them(raw, flags, name):
    assert unpacked(forge([Member(name=raw, flags=flags)])) == [(name, b"hello, desk")]


@pytest.mark.parametrize("layout", ["<4sIII", "<III", "<4sIQQ", "<IQQ"])
def test_all_four_forms_of_data_descriptor_are_read(layout):
    member = streamed(Member(method=DEFLATED, data=b"streamed " * 100), layout)
    assert unpacked(forge([member, Member(name=b"b")]))[0] == ("a.txt", b"streamed " * 100)


def test_zip64_written_without_need_but_without_contradiction_is_read():
    wide = Member(
        central={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF},
        local={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF},
        extra=zip64_extra(11, 11),
        local_extra=zip64_extra(11, 11),
    )
    assert unpacked(forge([wide], zip64=True)) == [("a.txt", b"hello, desk")]


def test_a_comment_and_a_list_in_another_order_than_the_members_are_read():
    whole = forge([Member(name=b"a"), Member(name=b"b", data=b"second")], comment=b"from the ward")
    start = whole.index(b"PK\1\2")
    middle = whole.index(b"PK\1\2", start + 1)
    end = whole.index(b"PK\5\6")
    turned = whole[:start] + whole[middle:end] + whole[start:middle] + whole[end:]
    assert unpacked(turned) == [("b", b"second"), ("a", b"hello, desk")]


def test_an_archive_stored_in_an_archive_is_no_second_end():
    inner = forge([Member()])
    assert unpacked(forge([Member(name=b"inner.zip", data=inner)])) == [("inner.zip", inner)]


def test_a_blank_slice_that_deflates_by_a_thousand_is_no_bomb():
    slice_bytes = bytes(512 * 512 * 2)
    members = [Member(name=b"IM%d" % i, method=DEFLATED, data=slice_bytes) for i in range(3)]
    assert [len(data) for _, data in unpacked(forge(members))] == [524_288] * 3


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"entries": 1}, "too_many"),
        ({"entry_bytes": 10}, "entry_too_large"),
        ({"total_bytes": 21}, "too_large"),
    ],
)
def test_limits_are_exact_to_one(limit, code):
    whole = forge([Member(name=b"a"), Member(name=b"b")])
    name, value = next(iter(limit.items()))
    with pytest.raises(ArchiveRefusedError) as refused:
        read_directory(BytesIO(whole), limits=ArchiveLimits(**limit))
    assert refused.value.code == code
    assert len(read_directory(BytesIO(whole), limits=ArchiveLimits(**{name: value + 1})).entries) == 2


def test_50000_entries_are_taken():
    whole = forge(
        [Member(name=b"DICOM/ST000001/SE%06d/IM%06d" % (i // 500, i)) for i in range(LIMITS.entries)]
    )
    archive = read_directory(BytesIO(whole))
    assert len(archive.entries) == LIMITS.entries
    assert archive.entries[49_999].name == "DICOM/ST000001/SE000099/IM049999"


def test_a_large_member_streams_in_small_pieces():
    data = random.Random(3).randbytes(65_536) * 300
    file = BytesIO(forge([Member(data=data, method=DEFLATED)]))
    entry = read_directory(file).entries[0]
    with traced() as peak:
        pieces = [(len(piece), zlib.crc32(piece)) for piece in open_entry(file, entry)]
    assert sum(size for size, _ in pieces) == len(data)
    assert max(size for size, _ in pieces) <= 64 * 1024
    assert peak() < 2 * 1024**2


def test_a_refusal_and_an_entry_never_show_a_name():
    whole = forge([Member(name="Öberg Märta.pdf".encode(), flags=UTF8), Member(name=b"../x")])
    with pytest.raises(ArchiveRefusedError) as refused:
        read_directory(BytesIO(whole))
    assert refused.value.entry_number == 2
    assert "Öberg" not in str(refused.value) + refused.value.reason + refused.value.next_step
    entry = read_directory(BytesIO(forge([Member(name="Öberg Märta.pdf".encode(), flags=UTF8)]))).entries[0]
    assert "Öberg" not in repr(entry)
