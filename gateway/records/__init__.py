"""The records: rows of SQLite or PostgreSQL as the domain's values, one transaction per journey, and no rule of its own."""

from gateway.records.engine import open_engines
from gateway.records.jobs import JobRows
from gateway.records.unit import SqlRecords, UnauditedChangeError

__all__ = ["JobRows", "SqlRecords", "UnauditedChangeError", "open_engines"]
