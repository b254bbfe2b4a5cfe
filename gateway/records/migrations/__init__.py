"""Bringing older records up to this version's schema, step by step; a new home is made whole and only stamped.

A release carries two kinds of steps. ``pre_N`` adds what the code of version N needs, in such a way that code of version
N-1 can go on reading and writing beside it: it runs before the new code starts. ``post_N`` takes away what only older code
needed; it is carried by the release after, whose upgrade begins with it, for then nobody runs that older code.

A step is never changed once it is released, and imports nothing of ``tables``: it says what was, not what is.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_HERE = Path(__file__).parent


def steps_after(connection: Connection) -> list[str]:
    """Return the steps that are left for these records, in their order."""
    scripts = ScriptDirectory.from_config(_config())
    here = MigrationContext.configure(connection).get_current_revision() or "base"
    left = [step for step in scripts.walk_revisions(here, "heads") if step.revision != here]
    return [step.revision for step in reversed(left)]


def take_steps(connection: Connection) -> None:
    """Take all steps that are left, in the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def stamp_newest(connection: Connection) -> None:
    """Write down that these tables were made as the newest step leaves them."""
    scripts = ScriptDirectory.from_config(_config())
    MigrationContext.configure(connection).stamp(scripts, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config
