"""To version 2: what a peer may do and how it proves itself, storage commitments, deliveries, and how many a sender told of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "pre_0002"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_NONE = sa.text("'[]'")
_PEER_EVENTS = sa.text(
    "kind IN ('association_ended', 'association_refused', 'peer_added', 'peer_called', 'peer_disabled', 'peer_removed', "
    "'peer_token_made')"
)


def upgrade() -> None:
    """Add tables, columns and indexes. New columns have defaults in the database, for code of version 1 does not write them."""
    for column in (
        sa.Column("called", sa.JSON(), nullable=False, server_default=_NONE),
        sa.Column("certificates", sa.JSON(), nullable=False, server_default=_NONE),
        sa.Column("names", sa.JSON(), nullable=False, server_default=_NONE),
        sa.Column("may_commit", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("may_receive", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("sop_classes", sa.JSON(), nullable=False, server_default=_NONE),
        sa.Column("transfer_syntaxes", sa.JSON(), nullable=False, server_default=_NONE),
        sa.Column("max_associations", sa.BigInteger()),
        sa.Column("max_instance_bytes", sa.BigInteger()),
        sa.Column("day_bytes", sa.BigInteger()),
        sa.Column("address", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("calls_by_tls", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("token_hash", sa.Text(), nullable=False, server_default=sa.text("''")),
    ):
        op.add_column("peer", column)
    op.add_column("study", sa.Column("told", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column(
        "instance", sa.Column("sender_key", sa.Text(), nullable=False, server_default=sa.text("''"))
    )
    # Both keys are one where nothing was added to the sender's name; the others are filled by `index_originals`.
    op.execute(
        "UPDATE instance SET sender_key = sop_key WHERE study_id IN "
        "(SELECT id FROM study WHERE sender NOT LIKE '%>%' AND sender NOT LIKE '%#%')"
    )
    op.create_index("ix_instance_sender_key", "instance", ["sender_key"])
    op.create_index(
        "ix_audit_event_peers",
        "audit_event",
        ["kind", "seq"],
        sqlite_where=_PEER_EVENTS,
        postgresql_where=_PEER_EVENTS,
    )
    _commitments()
    _deliveries()


def _commitments() -> None:
    op.create_table(
        "commitment",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("called", sa.Text(), nullable=False),
        sa.Column("transaction_uid", sa.Text(), nullable=False),
        sa.Column("association_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("decided_at", _TIME),
        sa.Column("reported_at", _TIME),
        sa.Column("report_attempts", sa.BigInteger(), nullable=False),
        sa.Column("tried_at", _TIME),
        sa.Column("next_at", _TIME),
        sa.Column("claimed_until", _TIME),
        sa.Column("give_up_at", _TIME),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("committed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
    )
    op.create_table(
        "asked_instances",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("references", sa.LargeBinary(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
    )
    op.create_index("ix_commitment_state_peer", "commitment", ["state", "peer"])
    op.create_index("ix_commitment_association_id", "commitment", ["association_id"])
    op.create_index(
        "uq_commitment_peer_transaction_uid", "commitment", ["peer", "transaction_uid"], unique=True
    )


def _deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("give_up_at", _TIME, nullable=False),
        sa.Column("next_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("warned", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("left_out", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("outcomes", sa.JSON(), nullable=False),
    )
    op.create_index("ix_delivery_release_id", "delivery", ["release_id"])
    op.create_index("ix_delivery_case_id", "delivery", ["case_id"])
    op.create_index("ix_delivery_peer_state", "delivery", ["peer", "state"])
