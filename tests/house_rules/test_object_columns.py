"""Every column that names a sealed object is in the one list that sweeps and scrubs go by, or it is said here why it is not."""

from gateway.domain.kept_object import NAMINGS
from gateway.records.tables import KINDS, metadata

# Columns that hold an object's id and yet do not keep the object: table.column -> why.
NO_NAMING = {"store_finding.object_id": "what was found about an object, which may be nobody's"}


def _columns():
    return {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if "object" in column.name and column.name.endswith("_id")
    }


def test_every_column_that_names_an_object_is_known():
    known = {f"{KINDS[naming.shelf].table.name}.{naming.object_id}" for naming in NAMINGS}
    assert _columns() - known == set(NO_NAMING), (
        "name the column in gateway/domain/kept_object.py, or its objects are taken for nobody's and removed"
    )
    assert known <= _columns()


def test_what_the_list_says_of_a_row_is_in_its_table():
    for naming in NAMINGS:
        columns = set(KINDS[naming.shelf].table.columns.keys())
        shelf, through = naming.through
        named = {naming.object_id, naming.size_bytes, naming.digest, naming.generation or naming.digest}
        assert named | ({through} if shelf else {"holder", "case_id"}) <= columns
        if shelf:
            assert {"holder", "case_id"} <= set(KINDS[shelf].table.columns.keys())
