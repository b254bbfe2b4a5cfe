"""How long PostgreSQL may keep us waiting: no call without a bound, and none for what brings older records up."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gateway.domain.errors import UnavailableError
from gateway.domain.people import HOUSE
from gateway.records import SqlRecords, engine, open_engines
from gateway.records.schema import make_schema, upgrade_schema

psycopg = pytest.importorskip("psycopg", reason="the extra «postgres» is not installed")
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@contextmanager
def _opened(url):
    write, read = open_engines(url)
    try:
        yield write, read
    finally:
        write.dispose()
        read.dispose()


@contextmanager
def _records(house, url):
    with _opened(url) as (write, read):
        yield SqlRecords(write=write, read=read, store=house.store, clock=house.clock, doorbell=house.bell)


@contextmanager
def _another(url):
    """Another machine's session."""
    with psycopg.connect(url) as connection:
        try:
            yield connection
        finally:
            connection.rollback()


def _note(records, *, after_s=0.0):
    with records.change(by=HOUSE) as change:
        time.sleep(after_s)
        change.note("case_read")


def _shown(one):
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle")
    with one.connect() as connection:
        return [connection.execute(text(f"SHOW {name}")).scalar() for name in names]


def test_a_cut_network_is_noticed_by_both_ends(database_url):
    with _opened(database_url) as engines:
        for one in engines:
            with one.connect() as connection:
                descriptor = connection.connection.driver_connection.fileno()
                line = socket.socket(fileno=socket.dup(descriptor))
                with line:
                    assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                    assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
                    assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        write, read = engines
        assert _shown(write) == ["30s", "1min", "30"]
        assert _shown(read) == ["30s", "0", "30"]


def test_what_the_operator_wrote_into_the_address_goes_before_our_bounds(database_url):
    address = f"{database_url}?keepalives_idle=7&options=-c%20statement_timeout%3D9s"
    with _opened(address) as (write, _):
        assert _shown(write) == ["9s", "1min", "30"]
        with write.connect() as connection:
            assert connection.connection.driver_connection.info.get_parameters()["keepalives_idle"] == "7"


def test_a_server_that_does_not_answer_is_not_waited_for(database, monkeypatch):
    monkeypatch.setattr(engine, "CONNECT_S", 2)  # the least that the driver takes
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(OperationalError):
        open_engines(f"postgresql://consilium@127.0.0.1:{mute.getsockname()[1]}/records")
    assert time.monotonic() - began < 10


def test_a_change_behind_a_held_head_is_refused_in_time_and_the_next_gets_in(
    house, database_url, monkeypatch
):
    monkeypatch.setattr(engine, "STATEMENT_S", 0.2)
    with _records(house, database_url) as records:
        with _another(database_url) as other:
            other.execute("SELECT seq FROM audit_head WHERE id = 1 FOR UPDATE")
            with pytest.raises(UnavailableError, match=r"do not answer \(QueryCanceled\)"):
                _note(records)
        _note(records)
    assert len(house.events("case_read")) == 1


def test_a_change_that_lets_the_server_wait_is_ended_and_told_as_an_outage(house, database_url, monkeypatch):
    monkeypatch.setattr(engine, "IDLE_S", 0.2)
    with _records(house, database_url) as records:
        with pytest.raises(UnavailableError, match="do not answer"):
            _note(records, after_s=0.6)
        _note(records)
    assert len(house.events("case_read")) == 1


@pytest.mark.parametrize("bring_up", [make_schema, upgrade_schema])
def test_bringing_records_up_may_take_longer_than_a_statement(house, database_url, monkeypatch, bring_up):
    monkeypatch.setattr(engine, "STATEMENT_S", 0.2)
    monkeypatch.setattr(engine, "IDLE_S", 0.2)
    with _opened(database_url) as (write, _), _another(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(7246)")
        let_go = threading.Timer(0.8, other.rollback)
        let_go.start()
        bring_up(write)
        let_go.join()
