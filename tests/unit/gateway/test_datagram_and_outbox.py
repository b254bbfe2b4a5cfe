"""Small adapters: the local datagram socket, the outbox that is a file, the clock and the absent scanner."""

import json
import os
import stat
from datetime import UTC

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.datagram import Mailslot, post
from gateway.adapters.mail_file import FileMailer
from gateway.adapters.outbox_file import masked
from gateway.adapters.scan_none import NoScanner
from gateway.adapters.text_file import FileTexter
from gateway.domain.errors import UnavailableError


def test_a_message_arrives_at_a_path_of_any_depth(tmp_path):
    for path in (tmp_path / "slot", tmp_path.joinpath(*["folder-with-a-long-name"] * 8) / "slot"):
        with Mailslot(path) as slot:
            assert post(path, b"one", timeout_s=1)
            assert post(path, b"two", timeout_s=1)
            assert list(slot.messages()) == [b"one", b"two"]
            assert list(slot.messages()) == []
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.exists()


def test_nobody_listening_is_told_at_once(tmp_path):
    assert not post(tmp_path / "slot", b"x", timeout_s=1)
    assert not post(tmp_path / "no" / "such" / "folder" / "slot", b"x", timeout_s=1)


def test_a_full_slot_blocks_no_longer_than_allowed(tmp_path):
    with Mailslot(tmp_path / "slot"):
        sent = 0
        while post(tmp_path / "slot", b"x", timeout_s=0.05):
            sent += 1
            assert sent < 10_000
    assert sent


def test_a_successor_takes_the_name_and_keeps_it(tmp_path):
    first = Mailslot(tmp_path / "slot")
    with Mailslot(tmp_path / "slot") as second:
        first.close()
        assert post(tmp_path / "slot", b"x", timeout_s=1)
        assert list(second.messages()) == [b"x"]


def test_an_outbox_line_holds_the_text_and_hardly_the_recipient(tmp_path):
    texter = FileTexter(tmp_path / "outbox" / "texts.jsonl")
    texter.send(to="+46701234567", text="Code 12345678")
    texter.send(to="+46707654321", text="Kod 87654321 åäö")
    first, second = texter.outbox.messages()
    assert (first["to"], first["text"]) == ("+46…67", "Code 12345678")
    assert second["text"] == "Kod 87654321 åäö"
    written = (tmp_path / "outbox" / "texts.jsonl").read_text()
    assert "1234567" not in written.replace("12345678", "")
    assert stat.S_IMODE((tmp_path / "outbox" / "texts.jsonl").stat().st_mode) == 0o600


def test_a_mail_is_a_line_as_well(tmp_path):
    mailer = FileMailer(tmp_path / "mails.jsonl")
    assert mailer.outbox.messages() == []
    mailer.send(to="anna.berg@example.org", subject="s\nBcc: x", text="t")
    assert len((tmp_path / "mails.jsonl").read_text().splitlines()) == 1
    assert json.loads((tmp_path / "mails.jsonl").read_text())["to"] == "a…@example.org"


@pytest.mark.parametrize(
    ("address", "shown"), [("+46701234567", "+46…67"), ("112", "…"), ("", "…"), ("@x", "…@x")]
)
def test_an_address_is_masked(address, shown):
    assert masked(address) == shown


def test_an_outbox_is_not_written_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnavailableError):
        FileTexter(tmp_path / "link").send(to="+46701234567", text="x")
    assert not os.path.lexists(tmp_path / "elsewhere")


def test_the_clock_knows_its_zone_and_no_scanner_says_so():
    assert SystemClock().now().tzinfo is UTC
    assert NoScanner().scan([b"x"]).verdict == "unscanned"
