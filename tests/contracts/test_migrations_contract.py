"""What bringing older records up to this version promises, tried on SQLite and on PostgreSQL."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from gateway.domain.errors import UnavailableError
from gateway.records import migrations, open_engines
from gateway.records.schema import make_schema, upgrade_schema
from gateway.records.tables import SCHEMA_VERSION
from tests.fakes.journey_house import open_house

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "records"
STEPS = Path(migrations.__file__).parent / "versions"
TAKEN = [f"pre_{version:04}" for version in range(2, SCHEMA_VERSION + 1)]
OF_VERSION_1 = (
    "INSERT INTO meta (name, value) VALUES ('schema_version', '1')",
    "INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000')",
    (
        "INSERT INTO peer (ae_title, hosts, may_echo, may_store, description, created_at)"
        " VALUES ('PACS', '[\"10.1.0.0/16\"]', true, false, 'Lund', '2026-10-01 08:00:00.000000')"
    ),
    (
        "INSERT INTO study (id, case_id, holder, sender, study_key, state, received_at, last_at, instances, match, head)"
        " VALUES ('s1', NULL, 's1', 'peer:PACS', 'k', 'settled', '2026-10-01 08:00:00.000000',"
        " '2026-10-01 08:00:00.000000', 3, '{}', '')"
    ),
)


@pytest.fixture
def engine(database_url):
    write, read = open_engines(database_url)
    yield write
    write.dispose()
    read.dispose()


@pytest.fixture
def first(engine):
    """Records as version 1 left them."""
    ddl = (VECTORS / f"schema-1.{engine.dialect.name}.sql").read_text().split("\n", 1)[1]
    with engine.begin() as connection:
        for statement in ddl.split(";\n--\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        for statement in OF_VERSION_1:
            connection.exec_driver_sql(statement)
    return engine


def _shape(engine):
    """Everything that the database knows of the schema, but not the order of columns, which nobody relies on."""
    shape = {}
    with engine.connect() as connection:
        found = inspect(connection)
        for table in found.get_table_names():
            shape[table] = {
                "columns": {
                    c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(table)
                },
                "key": found.get_pk_constraint(table)["constrained_columns"],
                "indexes": sorted(
                    (
                        i["name"],
                        i["column_names"],
                        bool(i["unique"]),
                        {k: str(v) for k, v in i.get("dialect_options", {}).items()},
                    )
                    for i in found.get_indexes(table)
                ),
                "checks": [found.get_unique_constraints(table), found.get_foreign_keys(table)],
            }
        guards = (
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            if engine.dialect.name == "sqlite"
            else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        )
        shape["guards"] = sorted(connection.execute(text(guards)).scalars())
        shape["steps"] = list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
        shape["version"] = connection.execute(
            text("SELECT value FROM meta WHERE name='schema_version'")
        ).scalar()
    return shape


def _version(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT value FROM meta WHERE name='schema_version'")).scalar()


def test_upgraded_records_have_the_very_schema_of_new_ones(first, other_url):
    upgrade_schema(first)
    write, read = open_engines(other_url)
    assert make_schema(write) is True
    made = _shape(write)
    write.dispose()
    read.dispose()
    assert _shape(first) == made
    assert {"peer", "commitment", "delivery"} < made.keys()
    assert made["version"] == str(SCHEMA_VERSION)
    assert made["steps"] == [f"pre_{SCHEMA_VERSION:04}"]


def test_rows_of_version_1_are_read_as_they_were_with_the_defaults_of_what_is_new(
    first, database_url, tmp_path
):
    assert upgrade_schema(first) == (1, TAKEN)
    house = open_house(tmp_path, database_url)
    with house.records.view() as view:
        peer = view.peers.get("PACS")
        assert (peer.hosts, peer.may_store, peer.description) == (["10.1.0.0/16"], False, "Lund")
        assert (peer.called, peer.certificates, peer.may_commit, peer.may_receive) == ([], [], True, False)
        assert (peer.max_associations, peer.day_bytes, peer.address, peer.token_hash) == (None, None, "", "")
        assert view.studies.pick(("instances", "told", "state")) == [(3, 0, "settled")]
    house.close()


def test_an_original_of_version_1_is_found_by_its_sender_where_its_study_says_no_more_than_that(first):
    senders = ("peer:PACS", "peer:PACS#2", f"peer:PACS>{'0' * 32}", "link:l1")
    with first.begin() as connection:
        for number, sender in enumerate(senders):
            study = OF_VERSION_1[3].replace("'peer:PACS'", f"'{sender}'").replace("'s1'", f"'t{number}'")
            connection.exec_driver_sql(study.replace("'k'", f"'k{number}'"))
            instance = {
                "id": f"i{number}", "study_id": f"t{number}", "holder": "h", "sop_key": f"k{number}", "sop_class_uid": "1.2",
                "transfer_syntax_uid": "1.2", "object_id": "o", "size_bytes": 1, "digest": b"", "generation": 1,
                "state": "received", "received_at": "2026-10-01 08:00:00.000000", "association_id": "", "head": b"",
            }  # fmt: skip
            names = ", ".join(instance)
            marks = ", ".join(f":{name}" for name in instance)
            connection.execute(text(f"INSERT INTO instance ({names}) VALUES ({marks})"), instance)  # noqa: S608  # names above
    upgrade_schema(first)
    with first.connect() as connection:
        keys = connection.execute(text("SELECT sender_key FROM instance ORDER BY id")).scalars().all()
    assert keys == ["k0", "", "", "k3"]


def test_code_of_version_1_goes_on_writing_beside_the_new_schema(first):
    upgrade_schema(first)
    with first.begin() as connection:
        for statement in OF_VERSION_1[2:]:
            connection.exec_driver_sql(
                statement.replace("'PACS'", "'CT2'").replace("('s1'", "('s2'").replace("'k'", "'k2'")
            )
        assert connection.execute(text("SELECT told FROM study ORDER BY id")).scalars().all() == [0, 0]


def test_a_home_of_its_own_is_upgraded_when_it_starts_and_a_shared_server_when_its_operator_says_so(first):
    if first.dialect.name == "sqlite":
        assert make_schema(first) is False
    else:
        with pytest.raises(UnavailableError, match="schema version 1") as caught:
            make_schema(first)
        assert "consilium records upgrade" in caught.value.next_step
        assert _version(first) == "1"
        upgrade_schema(first)
        assert make_schema(first) is False
    assert _version(first) == str(SCHEMA_VERSION)
    assert upgrade_schema(first) == (SCHEMA_VERSION, [])


def test_a_rehearsal_takes_every_step_and_takes_it_back(first):
    assert upgrade_schema(first, is_rehearsal=True) == (1, TAKEN)
    assert _version(first) == "1"
    with first.connect() as connection:
        assert not {"delivery", "alembic_version"} & set(inspect(connection).get_table_names())
    assert upgrade_schema(first) == (1, TAKEN)


def test_a_step_that_fails_leaves_the_records_as_they_were(first):
    with first.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE delivery (in_the_way INTEGER)")
    with pytest.raises(UnavailableError):
        upgrade_schema(first)
    assert _version(first) == "1"
    with first.begin() as connection:
        assert "told" not in {c["name"] for c in inspect(connection).get_columns("study")}
        connection.exec_driver_sql("DROP TABLE delivery")
    assert upgrade_schema(first) == (1, TAKEN)


def test_an_upgrade_that_is_killed_before_its_end_is_harmless(first, database_url):
    killed = (
        "import os, signal, sys\n"
        "from gateway.records import migrations, open_engines\n"
        "from gateway.records.schema import upgrade_schema\n"
        "take = migrations.take_steps\n"
        "def die(connection):\n"
        "    take(connection)\n"
        "    print('taken', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "migrations.take_steps = die\n"
        f"upgrade_schema(open_engines({database_url!r})[0])\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", killed],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
        env=os.environ,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "taken\n"), done.stderr
    assert _version(first) == "1"
    assert upgrade_schema(first) == (1, TAKEN)


def test_several_that_start_at_once_upgrade_once(first):
    results, start = [], threading.Barrier(4)

    def run():
        start.wait(20)
        results.append(upgrade_schema(first))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [(1, TAKEN), *[(SCHEMA_VERSION, [])] * 3]


@pytest.mark.parametrize("found", ["999", str(SCHEMA_VERSION + 1), "0", "1; DROP TABLE meta", "-1"])
@pytest.mark.parametrize("way", [make_schema, upgrade_schema])
def test_records_of_a_version_that_is_not_known_are_refused_in_words(engine, found, way):
    make_schema(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET value=:v WHERE name='schema_version'"), {"v": found})
    with pytest.raises(UnavailableError, match="knows up to") as caught:
        way(engine)
    assert found in str(caught.value)
    assert "backup" in caught.value.next_step
    assert _version(engine) == found


def test_there_is_nothing_to_upgrade_in_an_empty_database(engine):
    with pytest.raises(UnavailableError, match="empty"):
        upgrade_schema(engine)


def test_the_upgrade_is_one_line_in_the_log(first, capsys):
    import structlog

    with structlog.testing.capture_logs() as lines:
        upgrade_schema(first, is_rehearsal=True)
        upgrade_schema(first)
        upgrade_schema(first)
    assert [(line["event"], line["version_before"], line["version"]) for line in lines] == [
        ("records_upgraded", 1, SCHEMA_VERSION)
    ]


def test_steps_are_named_for_when_they_run_and_follow_one_another():
    names = sorted(path.stem for path in STEPS.glob("*.py") if path.stem != "__init__")
    assert names
    previous = None
    ordered = sorted(names, key=lambda name: (name.split("_")[1], name.startswith("post")))
    for name in ordered:
        space: dict = {}
        source = (STEPS / f"{name}.py").read_text()
        assert name.startswith(("pre_", "post_"))
        assert "gateway" not in source
        exec(compile(source, name, "exec"), space)  # noqa: S102  # our own file, read as Alembic reads it
        assert name.startswith(f"{space['revision']}_")
        assert space["down_revision"] == previous
        assert "downgrade" not in space
        previous = space["revision"]
    assert previous == f"pre_{SCHEMA_VERSION:04}"
