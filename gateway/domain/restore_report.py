"""The report of a restore: what was brought back, what was found on reading all of it, and what nobody can bring back."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_NAMED = 200


@dataclass(slots=True, kw_only=True)
class RestoreReport:
    """What a restore did and found. ``lost`` are objects that are not whole; ``flaws`` whatever else is not as it was."""

    backup: str
    made_at: str
    restored_at: str = ""
    by: str = ""
    source: str = ""
    database: str = ""
    schema_version: int = 0
    audit_head: int = 0
    audit_hash: str = ""
    cases: int = 0
    objects: int = 0
    bytes: int = 0
    objects_verified: int = 0
    audit_events: int = 0
    holders_forgotten_again: int = 0
    cases_forgotten_again: int = 0
    with_register: bool = True
    register_lines: int = 0
    events_after_the_backup: int = 0
    sessions_ended: int = 0
    seconds: float = 0.0
    lost_count: int = 0
    lost: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.lost_count and not self.flaws

    def lose(self, object_id: str, why: str) -> None:
        """Take an object down that is not whole."""
        self.lost_count += 1
        if len(self.lost) < MOST_NAMED:
            self.lost.append(f"{object_id}: {why}")


def in_words(report: RestoreReport) -> str:
    """Return the report as a person reads it."""
    whole = (
        "everything is whole"
        if report.is_whole
        else f"{report.lost_count} objects lost, {len(report.flaws)} other flaws"
    )
    told = [
        f"Restored from backup {report.backup}: {whole}.",
        f"  source            {report.source}",
        f"  backed up at      {report.made_at}; what came later is not in it",
        f"  restored at       {report.restored_at}, in {report.seconds} s, by {report.by}",
        f"  records           {report.database}, schema version {report.schema_version}, {report.cases} cases",
        f"  objects           {report.objects_verified} of {report.objects} opened to their end and held against their digest",
        f"  audit trail       {report.audit_events} events verified; event {report.audit_head} was the last of the original",
        f"  forgotten again   {report.cases_forgotten_again} cases, by {report.register_lines} lines of registers",
        f"  sessions ended    {report.sessions_ended}",
    ]
    if not report.with_register:
        told.append(
            "  WITHOUT the newest register: what was forgotten after the newest backup whose papers can be read is back;"
            " forget it again by hand"
        )
    if report.events_after_the_backup:
        told.append(
            f"  lost for good     at least {report.events_after_the_backup} events that the witness saw after this backup"
        )
    told += [f"  LOST  {one}" for one in report.lost] + [f"  FLAW  {one}" for one in report.flaws]
    told += [
        "Look through what was withdrawn after the backup, for it is valid again: links, grants, staff, peers, legal holds.",
        "Not in a backup, bring them back yourself: master keys, consilium.env, tls/ (node.key, certificates), outbox/.",
    ]
    return "\n".join(told) + "\n"
