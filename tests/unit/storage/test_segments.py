"""FLOE segments: order, finality, lengths, rotation."""

import pytest

from storage.errors import SealBrokenError, TooLargeError
from storage.format import MAX_SEGMENTS, FloeParameters, canonical
from storage.segments import floe_info, start_opening, start_sealing

KEY = bytes(range(32))
PARAMETERS = FloeParameters(segment_bytes=64)


def started(parameters=PARAMETERS):
    header, sealer = start_sealing(key=KEY, aad=b"context", parameters=parameters)
    return sealer, start_opening(key=KEY, aad=b"context", parameters=parameters, header=header)


def seal(sealer, plain: bytes, *, position: int, final: bool) -> memoryview:
    out = memoryview(bytearray(64))
    return out[: sealer.seal_into(position=position, final=final, plain=memoryview(plain), out=out)]


def open_(opener, sealed, *, position: int, final: bool) -> bytes:
    out = memoryview(bytearray(64))
    return bytes(out[: opener.open_into(position=position, final=final, sealed=memoryview(sealed), out=out)])


def test_segments_open_in_any_order():
    sealer, opener = started()
    segments = [seal(sealer, bytes([n]) * 32, position=n, final=False) for n in range(4)]
    for n in (3, 0, 2, 1, 1):
        assert open_(opener, segments[n], position=n, final=False) == bytes([n]) * 32


def test_final_segment_may_be_empty_or_full():
    sealer, opener = started()
    for plain in (b"", b"x" * 32):
        sealed = seal(sealer, plain, position=0, final=True)
        assert int.from_bytes(sealed[:4], "big") == len(sealed) == 32 + len(plain)
        assert open_(opener, sealed, position=0, final=True) == plain


def test_internal_segment_must_be_full_and_final_not_more():
    sealer, _ = started()
    for plain, final in ((b"x" * 31, False), (b"x" * 33, False), (b"x" * 33, True)):
        with pytest.raises(ValueError, match="full"):
            seal(sealer, plain, position=0, final=final)


def test_segment_opens_only_at_its_position_and_finality():
    sealer, opener = started()
    sealed = seal(sealer, b"x" * 32, position=5, final=False)
    with pytest.raises(SealBrokenError):
        open_(opener, sealed, position=4, final=False)
    with pytest.raises(SealBrokenError, match="another length"):
        open_(opener, sealed, position=5, final=True)
    last = bytearray(sealed)
    last[:4] = (64).to_bytes(4, "big")
    with pytest.raises(SealBrokenError, match="does not verify"):
        open_(opener, last, position=5, final=True)


@pytest.mark.parametrize("length", [0, 31, 63, 65])
def test_segment_of_another_length_is_refused(length):
    _, opener = started()
    for final in (False, True):
        with pytest.raises(SealBrokenError):
            open_(opener, bytes(length), position=0, final=final)


def test_key_rotates_every_two_to_the_rotation_bits_segments():
    sealer, opener = started(FloeParameters(segment_bytes=64, rotation_bits=2))
    keys = []
    for n in range(12):
        seal(sealer, bytes(32), position=n, final=False)
        keys.append(sealer._aead)
    assert [len({id(k) for k in keys[n : n + 4]}) for n in (0, 4, 8)] == [1, 1, 1]
    assert len({id(k) for k in keys}) == 3
    far = seal(sealer, b"far" + bytes(29), position=(1 << 20) + 1, final=False)
    assert open_(opener, far, position=(1 << 20) + 1, final=False)[:3] == b"far"


def test_more_segments_than_floe_allows_are_refused():
    sealer, _ = started()
    with pytest.raises(TooLargeError):
        seal(sealer, bytes(32), position=MAX_SEGMENTS, final=False)


def test_header_of_another_length_or_parameters_is_refused():
    header, _ = start_sealing(key=KEY, aad=b"", parameters=PARAMETERS)
    for wrong in (header[:-1], header + b"\0", b"", b"\0" * 74):
        with pytest.raises(SealBrokenError, match="parameters"):
            start_opening(key=KEY, aad=b"", parameters=PARAMETERS, header=wrong)


@pytest.mark.parametrize("label", [b"consilium-digest", b"consilium-value", b"consilium-derive"])
def test_our_labels_never_equal_those_of_floe(label):
    for segment_bytes in (64, 96, 1 << 20, 1 << 24):
        info = floe_info(FloeParameters(segment_bytes=segment_bytes), bytes(32), b"", b"")
        assert info[6:10] == b"\0\0\0\x20" != canonical(label, 1)[6:10]


def test_short_internal_segment_is_refused_before_its_tag():
    _, opener = started()
    with pytest.raises(SealBrokenError, match="segment 0 is short"):
        open_(opener, b"\xff" * 4 + bytes(59), position=0, final=False)


def test_segment_that_does_not_verify_leaves_zeros():
    sealer, opener = started()
    sealed = bytearray(seal(sealer, b"x" * 32, position=0, final=False))
    sealed[-1] ^= 1
    out = memoryview(bytearray(b"\xee" * 64))
    with pytest.raises(SealBrokenError, match="does not verify"):
        opener.open_into(position=0, final=False, sealed=memoryview(sealed), out=out)
    assert out == bytes(32) + b"\xee" * 32
