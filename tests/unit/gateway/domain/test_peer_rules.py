"""A peer's own rules: names as they are compared, addresses, ends of certificates, amounts; no socket and no row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.amount import bytes_of, number_of, said_bytes
from gateway.domain.errors import InvalidError
from gateway.domain.peer import Peer, expiry, normal_name, where_it_listens

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def peer(**values):
    return Peer(**{"ae_title": "PACS", "created_at": NOW, **values})


@pytest.mark.parametrize(
    ("text", "kept"),
    [("pacs.example", "DNS:pacs.example"), ("DNS:PACS.Example.", "DNS:pacs.example"), (" dns:a ", "DNS:a"),
     ("URI:urn:x:Y", "URI:urn:x:Y"), ("uri:urn:x", "URI:urn:x"), ("IP:10.0.0.1", ""), ("email:a@b", ""), ("", ""),
     ("DNS:", ""), ("a b", ""), ("DNS:a\nb", ""), (".", "")],
)  # fmt: skip
def test_names_are_kept_as_they_are_compared(text, kept):
    assert normal_name(text) == kept
    if kept:
        assert normal_name(kept) == kept


@given(st.text(max_size=40))
def test_a_name_once_normal_stays_so(text):
    once = normal_name(text)
    assert once == "" or normal_name(once) == once


@pytest.mark.parametrize(
    ("text", "found"),
    [("pacs.example:104", ("pacs.example", 104)), ("10.0.0.1:65535", ("10.0.0.1", 65535)), ("[::1]:104", ("::1", 104))],
)  # fmt: skip
def test_where_a_peer_listens(text, found):
    assert where_it_listens(text) == found


@pytest.mark.parametrize(
    "text",
    ["", "pacs", ":104", "pacs:", "pacs:0", "pacs:65536", "pacs:1e3", "::1:104", "pa cs:1", "p:٣", "p:-1"],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidError):
        where_it_listens(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_an_address(text):
    try:
        host, port = where_it_listens(text)
    except InvalidError:
        return
    assert host
    assert 0 < port < 65536


@pytest.mark.parametrize(
    ("days", "word"),
    [(31, "far"), (30, "soon"), (7.1, "soon"), (7, "very_soon"), (1.1, "very_soon"), (1, "tomorrow"), (0.01, "tomorrow"),
     (0, "expired"), (-400, "expired")],
)  # fmt: skip
def test_the_end_of_a_certificate_is_told_by_how_near_it_is(days, word):
    assert expiry(NOW + timedelta(days=days), NOW)[0] == word


def test_a_name_counts_only_where_an_authority_vouches_for_it_and_a_pin_always():
    bound = peer(names=["DNS:pacs.example"])
    shown = {"spki_sha256": "a" * 64, "names": ["DNS:PACS.example"], "pins": []}
    assert bound.is_proven_by(**shown, is_pinned=False)
    assert not bound.is_proven_by(**shown, is_pinned=True)
    assert bound.is_proven_by(spki_sha256="b", names=[], is_pinned=True, pins=["b"])
    assert not peer().is_proven_by(**shown, is_pinned=False)
    assert not peer().is_proven_by(spki_sha256="", names=[""], is_pinned=False, pins=[])


def test_nothing_said_of_addresses_means_this_computer_only():
    assert peer().may_call_from("127.0.0.1")
    assert peer().may_call_from("::1")
    assert peer().may_call_from("::ffff:127.0.0.1")
    for elsewhere in ("10.0.0.1", "0.0.0.0", "", "localhost", "127.0.0.1 ", "fe80::1%eth0"):
        assert not peer().may_call_from(elsewhere)


@pytest.mark.parametrize(
    ("text", "found"),
    [("8GiB", 8 << 30), ("1.5 GiB", 3 << 29), ("500MB", 500_000_000), ("7", 7), ("2 tib", 2 << 40), ("none", None),
     ("", None), ("0,5 KiB", 512)],
)  # fmt: skip
def test_amounts_are_read(text, found):
    assert bytes_of(text) == found


@pytest.mark.parametrize("text", ["much", "-1", "1 PiB", "1e9", "GiB", "1.2345 GiB", "٣ GiB", "1" * 30])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InvalidError):
        bytes_of(text)
    with pytest.raises(InvalidError):
        number_of(text)


@given(st.integers(min_value=1, max_value=1 << 50))
def test_an_amount_is_said_so_that_it_reads_nearly_the_same(size):
    read = bytes_of(said_bytes(size))
    assert read is not None
    assert abs(read - size) <= size * 0.001 + 1
