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


def _batches() -> None:
    op.create_table(
        "object_batch",
        sa.Column("id", sa.String(12), primary_key=True),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
    )
