"""The package's bytes are known before a member is opened, in whole and in every range."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import time
import tracemalloc
import zipfile
import zlib
from io import RawIOBase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.package import MemberMismatchError, PackageEntry, PackageError, PackageLayout

GIB = 1024**3


def package_of(contents, *, opened=None):
    entries = [PackageEntry(name=n, size_bytes=len(b), crc32=zlib.crc32(b)) for n, b in contents]

    def open_member(index, offset, length):
        if opened is not None:
            opened.append((index, offset, length))
        body = contents[index][1][offset : offset + length]
        yield from (body[i : i + 7] for i in range(0, len(body), 7))

    return PackageLayout(entries), open_member


def small_contents(rng):
    names = ["README.txt", "DICOM/IM000001", "DICOM/IM000002", "patient/Svar på frågor åäö.pdf", "empty"]
    return [(n, rng.randbytes(rng.choice([0, 1, 30, 333, 4096])) if n != "empty" else b"") for n in names]


class SeekableLayout(RawIOBase):
    """A layout as a file, so that zipfile can read 5 GiB that never exist."""

    def __init__(self, layout, open_member):
        self.layout, self.open_member, self.at = layout, open_member, 0

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        at = offset + (0, self.at, self.layout.total_bytes)[whence]
        if at < 0:
            raise OSError("before the start")
        self.at = at
        return at

    def readinto(self, buffer):
        end = min(self.at + len(buffer), self.layout.total_bytes)
        data = b"".join(self.layout.read(self.at, end, self.open_member))
        buffer[: len(data)] = data
        self.at = end
        return len(data)


def test_the_whole_opens_everywhere_and_says_its_length_first(tmp_path):
    contents = small_contents(random.Random(1))
    layout, open_member = package_of(contents)
    whole = b"".join(layout.read(0, layout.total_bytes, open_member))
    assert len(whole) == layout.total_bytes
    path = tmp_path / "case.zip"
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert [(i.filename, archive.read(i)) for i in archive.infolist()] == contents
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {i.create_version for i in archive.infolist()} == {20}
        assert all(i.flag_bits & 0x800 for i in archive.infolist())
    assert b"PK\x06\x06" not in whole, "no ZIP64 where it is not needed"
    for tool in (["unzip", "-tqq"], ["7z", "t"], ["bsdtar", "-tf"]):
        if shutil.which(tool[0]):
            subprocess.run([*tool, str(path)], check=True, capture_output=True, timeout=60)


def test_a_thousand_random_ranges_equal_the_whole():
    rng = random.Random(2)
    contents = [(f"DICOM/IM{i:06d}", rng.randbytes(rng.randrange(500))) for i in range(60)]
    layout, open_member = package_of(contents)
    whole = b"".join(layout.read(0, layout.total_bytes, open_member))
    for _ in range(1000):
        start, end = sorted(rng.randrange(layout.total_bytes + 1) for _ in range(2))
        assert b"".join(layout.read(start, end, open_member)) == whole[start:end]
    for start in range(layout.total_bytes - 100, layout.total_bytes):
        assert b"".join(layout.read(start, start + 1, open_member)) == whole[start : start + 1]


@given(sizes=st.lists(st.integers(0, 40), max_size=8), data=st.data())
def test_any_layout_cut_anywhere_joins_again(sizes, data):
    contents = [(f"m{i}", bytes([i]) * size) for i, size in enumerate(sizes)]
    layout, open_member = package_of(contents)
    cuts = sorted(data.draw(st.lists(st.integers(0, layout.total_bytes), max_size=5)))
    edges = [0, *cuts, layout.total_bytes]
    pieces = [b"".join(layout.read(start, end, open_member)) for start, end in itertools.pairwise(edges)]
    whole = b"".join(layout.read(0, layout.total_bytes, open_member))
    assert b"".join(pieces) == whole
    assert len(whole) == layout.total_bytes


def test_a_range_opens_only_the_members_it_touches_and_only_those_bytes():
    opened = []
    contents = [(f"m{i}", bytes([i]) * 1000) for i in range(10)]
    layout, open_member = package_of(contents, opened=opened)
    body_of_4 = 4 * 1032 + 32
    assert b"".join(layout.read(body_of_4 + 10, body_of_4 + 20, open_member)) == bytes([4]) * 10
    assert opened == [(4, 10, 10)]
    opened.clear()
    list(layout.read(layout.total_bytes - 200, layout.total_bytes, open_member))
    assert opened == []
    assert list(layout.read(5, 5, open_member)) == []
    layout.read(0, layout.total_bytes, open_member)
    assert opened == [], "nothing is opened before the first byte is asked for"


@pytest.mark.parametrize("bounds", [(-1, 5), (5, 4), (0, 10**9)])
def test_a_range_outside_is_refused_before_the_first_byte(bounds):
    layout, open_member = package_of([("a", b"x")])
    with pytest.raises(ValueError, match="do not lie"):
        layout.read(*bounds, open_member)


def test_the_tag_changes_with_any_name_size_checksum_or_order():
    def etag(*entries):
        return PackageLayout([PackageEntry(name=n, size_bytes=s, crc32=c) for n, s, c in entries]).etag

    one = etag(("a", 1, 2), ("b", 3, 4))
    assert one == etag(("a", 1, 2), ("b", 3, 4))
    others = [
        etag(("a", 1, 2), ("c", 3, 4)),
        etag(("a", 1, 2), ("b", 4, 4)),
        etag(("a", 1, 2), ("b", 3, 5)),
        etag(("b", 3, 4), ("a", 1, 2)),
        etag(("a", 1, 2)),
        etag(),
    ]
    assert len({one, *others}) == 7
    assert one.startswith('"')
    assert one.endswith('"')


def test_70002_members_need_zip64_ends_and_open(tmp_path):
    crc = zlib.crc32(b"x")
    start = time.perf_counter()
    tracemalloc.start()
    entries = [PackageEntry(name=f"DICOM/IM{i:06d}", size_bytes=1, crc32=crc) for i in range(70_002)]
    layout = PackageLayout(entries)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    path = tmp_path / "many.zip"
    with path.open("wb") as target:
        for piece in layout.read(0, layout.total_bytes, lambda i, o, n: iter([b"x"[o : o + n]])):
            target.write(piece)
    assert time.perf_counter() - start < 20
    assert peak < 64 * 1024**2
    assert path.stat().st_size == layout.total_bytes
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == 70_002
        assert archive.read("DICOM/IM070001") == b"x"
    if shutil.which("unzip"):
        done = subprocess.run(["unzip", "-tqq", str(path)], capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[:300]


def test_a_member_of_5_gib_and_what_lies_behind_it_are_read_by_range():
    size = 5 * GIB
    entries = [
        PackageEntry(name="before", size_bytes=3, crc32=zlib.crc32(b"abc")),
        PackageEntry(name="large", size_bytes=size, crc32=0),
        PackageEntry(name="behind", size_bytes=4, crc32=zlib.crc32(b"last")),
    ]

    def open_member(index, offset, length):
        if index == 1:
            left = length
            while left:
                piece = min(left, 1 << 20)
                yield bytes(piece)
                left -= piece
        else:
            yield (b"abc", b"", b"last")[index][offset : offset + length]

    layout = PackageLayout(entries)
    assert size < layout.total_bytes < size + 1000
    with zipfile.ZipFile(SeekableLayout(layout, open_member)) as archive:
        infos = archive.infolist()
        assert [i.file_size for i in infos] == [3, size, 4]
        assert [i.extract_version for i in infos] == [20, 45, 45]
        assert archive.read("before") == b"abc"
        assert archive.read("behind") == b"last"
        with archive.open("large") as large:
            assert large.read(100) == bytes(100)
    middle = 2 * GIB + 12345
    assert b"".join(layout.read(middle, middle + 10, open_member)) == bytes(10)


@pytest.mark.parametrize("size", [2**32 - 2, 2**32 - 1, 2**32])
def test_sizes_around_the_32_bit_edge_are_told_right(size):
    layout = PackageLayout(
        [PackageEntry(name="a", size_bytes=size, crc32=0), PackageEntry(name="b", size_bytes=0, crc32=0)]
    )

    def open_member(index, offset, length):
        yield from (bytes(min(1 << 20, length - i)) for i in range(0, length, 1 << 20))

    with zipfile.ZipFile(SeekableLayout(layout, open_member)) as archive:
        assert [i.file_size for i in archive.infolist()] == [size, 0]
        assert archive.read("b") == b""


@pytest.mark.parametrize("count", [65534, 65535, 65536])
def test_counts_around_the_16_bit_edge_are_told_right(count):
    layout = PackageLayout([PackageEntry(name=f"{i:05d}", size_bytes=0, crc32=0) for i in range(count)])
    with zipfile.ZipFile(SeekableLayout(layout, lambda i, o, n: iter(()))) as archive:
        assert len(archive.infolist()) == count


@pytest.mark.parametrize("given", [b"ab", b"abcd", b""])
def test_a_member_that_gives_another_number_of_bytes_cuts_the_transfer(given):
    layout = PackageLayout([PackageEntry(name="a", size_bytes=3, crc32=0)])
    with pytest.raises(MemberMismatchError):
        list(layout.read(0, layout.total_bytes, lambda i, o, n: iter([given])))


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "C:/a", "a\\b", "a\0", "a\nb", "å" * 513]
)
def test_names_that_are_no_plain_relative_path_are_refused(name):
    with pytest.raises(PackageError):
        PackageEntry(name=name, size_bytes=0, crc32=0)


@pytest.mark.parametrize(("one", "two"), [("a", "a"), ("DICOM/a", "dicom/A"), ("\u00e5", "a\u030a")])
def test_names_that_a_desktop_takes_for_one_are_refused(one, two):
    with pytest.raises(PackageError):
        PackageLayout([PackageEntry(name=n, size_bytes=0, crc32=0) for n in (one, two)])


def test_an_empty_package_is_an_empty_archive():
    layout = PackageLayout([])
    assert layout.total_bytes == 22
    with zipfile.ZipFile(SeekableLayout(layout, lambda i, o, n: iter(()))) as archive:
        assert archive.infolist() == []
