"""The coordinator's door: cases, inbox, findings, releases and answers as pages; every change is a journey's, none is ours."""

from gateway.doors.desk.app import desk_app

__all__ = ["desk_app"]
