"""The reviewer's door: granted releases, their package and the answer; it never knows who the patient is."""

from gateway.doors.reviewer.app import reviewer_app

__all__ = ["reviewer_app"]
