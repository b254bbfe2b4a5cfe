"""A house of records over each database that it may have; PostgreSQL's server is started once."""

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


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request, tmp_path):
    url = ""
    if request.param == "postgresql":
        import psycopg

        port = request.getfixturevalue("postgres_port")
        name = f"t{abs(hash(request.node.name)) % 10**12}"
        with psycopg.connect(f"postgresql://consilium@127.0.0.1:{port}/postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")
        url = f"postgresql://consilium@127.0.0.1:{port}/{name}"
    made = open_house(tmp_path, url)
    yield made
    made.close()
