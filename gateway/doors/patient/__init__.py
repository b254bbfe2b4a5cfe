"""The patient's door: a link, a code, sending, a receipt, the answer; it shows what was sent and never reads it back (P15)."""

from gateway.doors.patient.app import create_app
from gateway.doors.patient.service import PatientService

__all__ = ["PatientService", "create_app"]
