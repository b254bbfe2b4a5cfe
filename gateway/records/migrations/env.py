"""What Alembic runs for one call: the steps that are left, over the connection and in the transaction that it is lent."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
