"""The rules of one service as numbers: what an operator may set, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from gateway.domain.upload import CodePolicy

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Defaults of the embedded house; ``compose`` fills it from the settings.

    ``dicom_at`` and ``dicom_tls_at`` are the addresses that the node listens on (empty: it does not), ``dicom_host`` is the
    name under which peers reach it; ``contact`` is whom their engineers ask. They stand on what is printed for peers.
    """

    tenant: str = "consilium"
    ae_title: str = "CONSILIUM"
    public_url: str = "http://127.0.0.1:8080"
    dicom_at: str = ""
    dicom_tls_at: str = ""
    dicom_host: str = ""
    contact: str = ""
    quiet_s: float = 10.0
    code: CodePolicy = field(default_factory=CodePolicy)
    link_valid: timedelta = timedelta(days=30)
    patient_idle: timedelta = timedelta(minutes=15)
    patient_session: timedelta = timedelta(hours=8)
    staff_idle: timedelta = timedelta(minutes=30)
    staff_session: timedelta = timedelta(hours=12)
    upload_valid: timedelta = timedelta(hours=24)
    file_limit_bytes: int = 4 * GIB
    link_limit_bytes: int = 20 * GIB
    link_limit_files: int = 50_000
    instance_limit_bytes: int = 8 * GIB
    grant_days: int = 30
    match_score: int = 70
    epoch_days: int = 30
    backup_days: int = 30
    days: dict[str, int] = field(default_factory=lambda: {"written": 10, "mdt": 15})
