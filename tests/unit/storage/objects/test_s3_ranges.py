"""An answer to a ranged read is taken only if it says, and is, exactly what was asked for."""

import io
import time

import pytest

from storage.objects.s3_errors import FOREIGN, S3RefusalError
from storage.objects.s3_wire import Parcel, _read_range


class Answer(io.BytesIO):
    """Headers and a body, as the client gives them."""

    def __init__(self, told, body):
        super().__init__(body)
        self.headers = {"Content-Range": told} if told else {}


def read(told, body, *, offset=10, length=5, within_s=10.0):
    got, total = _read_range(Answer(told, body), offset, length, time.monotonic() + within_s)
    return bytes(got), total


def test_what_was_asked_for_is_taken():
    assert read("bytes 10-14/100", b"12345") == (b"12345", 100)
    assert read("bytes 10-11/12", b"12") == (b"12", 12)
    assert read("bytes 10-14/100", b"12345 and what nobody asked for") == (b"12345", 100)


@pytest.mark.parametrize(
    ("told", "body"),
    [
        (None, b"12345"),
        ("bytes 0-4/100", b"12345"),
        ("bytes 11-15/100", b"12345"),
        ("bytes 10-13/100", b"1234"),
        ("bytes 10-15/100", b"123456"),
        ("bytes 10-99999999999/100", b"12345"),
        ("bytes 10-14/12", b"12345"),
        ("bytes 10-14/*", b"12345"),
        ("bytes */100", b""),
        ("items 10-14/100", b"12345"),
        ("bytes 10-14/100", b"1234"),
        ("bytes 10-14/100", b""),
        ("bytes", b"12345"),
        ("bytes -5-1/0", b""),
    ],
)
def test_anything_else_is_refused(told, body):
    with pytest.raises((S3RefusalError, *FOREIGN)):
        read(told, body)


def test_an_answer_that_never_ends_is_cut_off():
    with pytest.raises(S3RefusalError, match="too long"):
        read("bytes 10-14/100", b"12345", within_s=-1)


def test_a_parcel_is_handed_out_in_slices_again_and_again_and_not_for_ever():
    parcel = Parcel()
    parcel += bytes(150_000)
    for _ in range(2):
        parcel.rewind(within_s=10)
        slices = []
        while piece := parcel.read(16_384):
            slices.append(len(piece))
        assert slices == [65_536, 65_536, 18_928]
    parcel.rewind(within_s=-1)
    with pytest.raises(TimeoutError):
        parcel.read()
