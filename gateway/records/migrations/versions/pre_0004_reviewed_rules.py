"""To version 4: what humans judged once and is used again, of a case and of a device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "pre_0004"
down_revision = "pre_0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add two tables, which code of version 3 neither reads nor writes."""
    op.create_table(
        "case_rule",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_case_rule_case_id_state", "case_rule", ["case_id", "state"])
    op.create_table(
        "device_rule",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("confirmed_by", sa.Text, nullable=False),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_device_rule_state", "device_rule", ["state"])
