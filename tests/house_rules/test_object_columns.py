"""Every column that names a sealed object is in the one list that sweeps and scrubs go by, or it is said here why it is not.

Its name proves nothing, so every column that could hold an id is listed: a new one fails here until somebody has said what
it holds. A row's ids of objects stand in columns of text, nowhere else: they are asked for with an index, as text.
"""

import pytest
from sqlalchemy import JSON, Column, LargeBinary, MetaData, String, Table, Text

from gateway.domain.kept_object import NAMINGS
from gateway.records.tables import KINDS, metadata

# Columns that hold an object's id and yet do not keep the object: table.column -> why.
NO_NAMING = {"store_finding.object_id": "what was found about an object, which may be nobody's"}

# What never is an object's id: ids of rows and people, words of a fixed list, names, hashes, tokens, numbers of DICOM and keys.
# JSON and sealed values belong here too: nothing may keep an object alive from within one, because no sweep can read it.
# A release's manifest and a backup's inventory name objects from outside the records; neither keeps one here.
NO_OBJECT = {
    "answer": "id case_id holder release_id person_id state body",
    "asked_instances": "id holder references",
    "audit_event": "kind actor address case_id subject outcome details previous hash",
    "audit_head": "hash",
    "backup": "id place",
    "case_": "id ref opinion state language checklist profile patient harvest questions pauses",
    "case_key": "holder purpose case_id kek_id blob",
    "case_rule": "id case_id holder kind scope subject_id state made_by ended_by body reason",
    "challenge": "id link_id pre_session_id code_hash",
    "commitment": "id peer called transaction_uid association_id state error marks",
    "copy_": "id case_id holder subject_kind subject_id profile state digest index",
    "delivery": "id release_id case_id peer state asked_by run error outcomes",
    "device_rule": "id holder kind state made_by confirmed_by ended_by body reason",
    "document": "id case_id holder parent_id link_id category media_type state note digest name sha256",
    "duty": "name",
    "epoch": "id kek_id probe",
    "finding": "id case_id subject_kind subject_id code reason place copy_id state decided_by",
    "forgetting": "id ref by ground holders keks left certificate",
    "forgotten": "holder case_id",
    "grant_": "id release_id case_id person_id",
    "hold": "id holder by ended_by reason end_reason",
    "instance": (
        "id study_id case_id holder sop_key sop_class_uid transfer_syntax_uid state association_id conflict_of sender_key"
        " digest head"
    ),
    "job": "id kind subject_id case_id state dedup_key owner error",
    "link": "id case_id token_hash holder phone",
    "meta": "name value",
    "object_batch": "id",
    "part": "id upload_id digest",
    "peer": (
        "ae_title hosts called certificates names sop_classes transfer_syntaxes address token_hash description"
    ),
    "person": "id role email_key password holder email totp_seed",
    "release_": "id case_id holder state built_by approved_by manifest_digest totals manifest_mac",
    "session": "id token_hash kind subject_id case_id",
    "store_finding": "id kind shelf row_id case_id state",
    "store_round": "id cursor report",
    "study": "id case_id holder sender study_key state match head",
    "trouble": "id door kind",
    "upload": "id case_id holder link_id category media_type state name",
}


def _could_name_an_object(tables):
    return {
        f"{table.name}.{column.name}"
        for table in tables.values()
        for column in table.columns
        if isinstance(column.type, (String, JSON, LargeBinary))
    }


def _known():
    return {f"{KINDS[naming.shelf].table.name}.{naming.object_id}" for naming in NAMINGS}


def _said():
    return {f"{table}.{column}" for table, columns in NO_OBJECT.items() for column in columns.split()}


def test_of_every_column_that_could_name_an_object_it_is_said_whether_it_does():
    assert _could_name_an_object(metadata.tables) - _known() - _said() - set(NO_NAMING) == set(), (
        "if it names an object, add it to NAMINGS in gateway/domain/kept_object.py, or its objects are taken for nobody's and"
        " removed; if not, say so here"
    )


def test_what_is_said_of_columns_is_of_columns_that_are_there_and_of_each_once():
    assert (_known() | _said() | set(NO_NAMING)) - _could_name_an_object(metadata.tables) == set()
    assert not _known() & _said()
    assert not (_known() | _said()) & set(NO_NAMING)


def test_a_column_of_any_name_is_looked_at():
    tables = MetaData()
    Table("t", tables, Column("thumbnail", Text), Column("blob", LargeBinary), Column("all", JSON))
    assert _could_name_an_object(tables.tables) == {"t.thumbnail", "t.blob", "t.all"}


@pytest.mark.parametrize("naming", NAMINGS, ids=lambda naming: naming.shelf)
def test_what_the_list_says_of_a_row_is_in_its_table(naming):
    columns = set(KINDS[naming.shelf].table.columns.keys())
    shelf, through = naming.through
    named = {naming.object_id, naming.size_bytes, naming.digest, naming.generation or naming.digest}
    assert named | ({through} if shelf else {"holder", "case_id"}) <= columns
    if shelf:
        assert {"holder", "case_id"} <= set(KINDS[shelf].table.columns.keys())
