"""To version 3: batches of object ids, what scrubs found, epochs of master keys, holds and certificates of forgetting, backups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "pre_0003"
down_revision = "pre_0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add tables and columns. New columns have defaults in the database, for code of version 2 does not write them."""
    _batches()
    _backups()
    _forgetting()
    _epochs()
    _troubles()


def _batches() -> None:
    op.create_table(
        "object_batch",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
    )
    op.create_table(
        "store_finding",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("shelf", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("first_seen_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
    )
    op.create_index("ix_store_finding_state_kind", "store_finding", ["state", "kind"])
    op.create_index("ix_store_finding_object_id", "store_finding", ["object_id"])
    op.create_index("ix_store_finding_case_id", "store_finding", ["case_id"])
    op.create_table(
        "store_round",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("begun_at", _TIME, nullable=False),
        sa.Column("moved_at", _TIME, nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
    )


def _forgetting() -> None:
    op.create_table(
        "forgotten",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("at", _TIME, nullable=False),
    )
    op.create_index("ix_forgotten_holder", "forgotten", ["holder"], unique=True)
    op.create_table(
        "hold",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.LargeBinary, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("end_reason", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_hold_holder", "hold", ["holder"])
    op.create_table(
        "forgetting",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("ground", sa.Text, nullable=False),
        sa.Column("keys", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("objects", sa.BigInteger, nullable=False),
        sa.Column("commitments", sa.BigInteger, nullable=False),
        sa.Column("holders", sa.JSON, nullable=False),
        sa.Column("keks", sa.JSON, nullable=False),
        sa.Column("left", sa.JSON, nullable=False),
        sa.Column("certificate", sa.Text, nullable=False),
    )
    op.create_index("ix_forgetting_ref", "forgetting", ["ref"])


def _epochs() -> None:
    op.create_table(
        "epoch",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("kek_id", sa.Text(), nullable=False),
        sa.Column("kek_version", sa.BigInteger(), nullable=False),
        sa.Column("began_at", _TIME, nullable=False),
        sa.Column("retired_at", _TIME),
        sa.Column("ending_at", _TIME),
        sa.Column("destroyed_at", _TIME),
        sa.Column("backed_up_at", _TIME),
        sa.Column("drilled_at", _TIME),
        sa.Column("probe", sa.LargeBinary()),
    )
    op.create_index("uq_epoch_kek_id_kek_version", "epoch", ["kek_id", "kek_version"], unique=True)


def _backups() -> None:
    op.create_table(
        "backup",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("objects", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("missing", sa.BigInteger, nullable=False),
        sa.Column("verified_at", _TIME, nullable=True),
        sa.Column("data_read_at", _TIME, nullable=True),
    )
    op.create_index("ix_backup_made_at", "backup", ["made_at"])


def _troubles() -> None:
    op.create_table(
        "trouble",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
    )
