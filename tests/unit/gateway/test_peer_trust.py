"""Whom the TLS port believes: how soon a change counts, what one look costs, and what holds when the records do not answer (N2)."""

from __future__ import annotations

import contextlib
import threading

import pytest

from gateway.adapters import peer_trust
from gateway.adapters.peer_trust import PeerTrust
from gateway.domain.errors import UnavailableError
from gateway.domain.tls_files import TlsFiles


class Rows:
    """The peers' shelf, with pins in memory."""

    def __init__(self):
        self.pins = [["PIN A\n"], ["PIN B\n", "PIN C\n"]]
        self.looks = 0
        self.error = None
        self.wait = None

    @contextlib.contextmanager
    def view(self):
        self.peers = self
        yield self

    def pick(self, columns, *, order, disabled_at):
        assert columns == ("certificates",)
        assert disabled_at is None
        self.looks += 1
        if self.wait is not None:
            self.wait.wait(5)
        if self.error is not None:
            raise self.error
        return [(pins,) for pins in self.pins]


@pytest.fixture
def now(monkeypatch):
    class Time:
        at = 100.0

        def monotonic(self):
            return self.at

    time = Time()
    monkeypatch.setattr(peer_trust, "time", time)
    return time


@pytest.fixture
def files(tmp_path):
    made = TlsFiles(
        certificate=tmp_path / "node.crt",
        key=tmp_path / "node.key",
        authorities=tmp_path / "authorities.pem",
        revoked=tmp_path / "revoked.pem",
    )
    made.certificate.write_text("CERT")
    made.key.write_text("KEY")
    return made


def test_pins_of_all_peers_and_what_the_files_hold_are_trusted(files, now):
    files.authorities.write_text("AUTHORITY")
    trust = PeerTrust(Rows(), files).trust()
    assert trust.pinned_pem == ("PIN A\n", "PIN B\n", "PIN C\n")
    assert trust.authorities_pem == "AUTHORITY"
    assert trust.revoked is None
    assert trust.identity.certificate == files.certificate


def test_a_folder_of_authorities_is_read_as_one(files, now, tmp_path):
    files.authorities.mkdir()
    (files.authorities / "b.crt").write_text("B")
    (files.authorities / "a.pem").write_text("A")
    (files.authorities / "notes.txt").write_text("no")
    source = PeerTrust(Rows(), files)
    assert source.trust().authorities_pem == "A\nB"
    (files.authorities / "a.pem").unlink()
    now.at += 0.5
    assert source.trust().authorities_pem == "B"


def test_a_crowd_costs_two_looks_a_second_and_gets_the_same_object(files, now):
    rows = Rows()
    source = PeerTrust(rows, files)
    first = source.trust()
    for _ in range(100):
        now.at += 0.01
        assert source.trust() is first
    assert rows.looks <= 4


@pytest.mark.parametrize(
    "change",
    [
        lambda rows, files: rows.pins.pop(),
        lambda rows, files: files.authorities.write_text("NEW"),
        lambda rows, files: files.revoked.write_text("LIST"),
        lambda rows, files: files.certificate.write_text("OTHER"),
        lambda rows, files: files.key.write_text("OTHER"),
    ],
    ids=["pin taken back", "authority", "list", "certificate", "key"],
)
def test_every_change_counts_within_half_a_second(files, now, change):
    rows = Rows()
    source = PeerTrust(rows, files)
    before = source.trust()
    change(rows, files)
    now.at += 0.5
    assert source.trust().version != before.version


def test_records_that_fail_leave_what_was_known_and_are_not_asked_by_everybody(files, now):
    rows = Rows()
    source = PeerTrust(rows, files)
    first = source.trust()
    rows.error = UnavailableError("down")
    now.at += 1
    for _ in range(10):
        assert source.trust() is first
    assert rows.looks == 2


def test_records_that_never_answered_trust_nobody(files, now):
    rows = Rows()
    rows.error = UnavailableError("down")
    source = PeerTrust(rows, files)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            source.trust()


def test_while_one_looks_the_others_do_not_wait(files, now):
    rows = Rows()
    source = PeerTrust(rows, files)
    first = source.trust()
    now.at += 1
    rows.wait = threading.Event()
    looking = threading.Thread(target=source.trust)
    looking.start()
    while rows.looks < 2:
        pass
    assert source.trust() is first
    rows.wait.set()
    looking.join(5)


def test_a_list_that_the_operator_named_and_that_is_gone_is_not_the_same_as_none(files, now, tmp_path):
    import dataclasses

    named = dataclasses.replace(files, lists_expected=True)
    source = PeerTrust(Rows(), named)
    assert source.trust().revoked == b""
    named.revoked.write_bytes(b"LIST")
    now.at += 1
    assert source.trust().revoked == b"LIST"
    named.revoked.unlink()
    now.at += 1
    assert source.trust().revoked == b""


def test_an_authority_that_cannot_be_read_is_not_trusted(files, now):
    files.authorities.write_text("AUTHORITY")
    source = PeerTrust(Rows(), files)
    assert source.trust().authorities_pem == "AUTHORITY"
    files.authorities.unlink()
    files.authorities.symlink_to(files.authorities)  # a loop: OSError whoever reads
    now.at += 1
    assert source.trust().authorities_pem == ""


def test_lists_that_were_there_once_are_missed_over_a_restart_until_the_operator_says_that_none_are_used(
    files, now, tmp_path
):
    """The file at its usual place, which nobody named: deleting it must not bring back who was revoked."""
    import dataclasses

    usual = dataclasses.replace(files, lists_mark=tmp_path / "lists.seen")
    source = PeerTrust(Rows(), usual)
    assert source.trust().revoked is None
    usual.revoked.write_bytes(b"LIST")
    now.at += 1
    assert source.trust().revoked == b"LIST"
    usual.revoked.unlink()
    now.at += 1
    assert source.trust().revoked == b""
    assert PeerTrust(Rows(), usual).trust().revoked == b""
    assert PeerTrust(Rows(), dataclasses.replace(usual, revoked=None)).trust().revoked is None
    usual.lists_mark.unlink()
    assert PeerTrust(Rows(), usual).trust().revoked is None


def test_where_no_mark_can_be_written_the_running_node_remembers_its_lists(files, now, tmp_path):
    import dataclasses

    usual = dataclasses.replace(files, lists_mark=tmp_path / "no folder" / "lists.seen")
    usual.revoked.write_bytes(b"LIST")
    source = PeerTrust(Rows(), usual)
    assert source.trust().revoked == b"LIST"
    usual.revoked.unlink()
    now.at += 1
    assert source.trust().revoked == b""
