"""A house of records over each database that it may have; PostgreSQL's server is started once."""

import uuid

import pytest

from tests.fakes import postgres_server
from tests.fakes.journey_house import open_house


@pytest.fixture(scope="session")
def postgres_port():
    programs = postgres_server.binaries()
    if programs is None:
        pytest.skip(f"PostgreSQL's server is not installed: apt-get install {postgres_server.PACKAGE}")
    pytest.importorskip(
        "psycopg", reason="the extra «postgres» is not installed: pip install consilium[postgres]"
    )
    with postgres_server.running(programs) as port:
        yield port


def _database(request, tmp_path, name):
    """Return the URL of an empty database of the kind that the test is run for."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / name}.db"
    import psycopg

    port = request.getfixturevalue("postgres_port")
    database = f"t{uuid.uuid4().hex}"
    with psycopg.connect(f"postgresql://consilium@127.0.0.1:{port}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {database}")
    return f"postgresql://consilium@127.0.0.1:{port}/{database}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """Make empty databases of one kind, by name."""
    return lambda name: _database(request, tmp_path, name)


@pytest.fixture
def database_url(database):
    return database("records")


@pytest.fixture
def other_url(database):
    return database("other")


@pytest.fixture
def house(database_url, tmp_path):
    made = open_house(tmp_path, database_url)
    yield made
    made.close()
