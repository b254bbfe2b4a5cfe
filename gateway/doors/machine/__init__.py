"""The door for programs: STOW-RS for known peers with a token; no pages, no cookies, nothing to be looked up."""

from gateway.doors.machine.app import machine_app

__all__ = ["machine_app"]
