"""The tree of what can go wrong for a person, and never how a door words it.

::

    ConsiliumError
    ├── InvalidError            the request itself is wrong: say which part
    ├── NotFoundError           no such thing, or not for you (the two are told alike)
    │   └── UnknownCaseError    what a sender calls is no case that takes studies
    ├── ForbiddenError          you are known and may not
    │   └── SignInError         you are not (or no longer) signed in
    ├── ExpiredError            it was right once
    ├── TooManyError            wait, or ask a person
    ├── ConflictError           true, but not now
    │   ├── ImpossibleMoveError a state machine says no
    │   ├── UnreadableError     what was sealed of it does not open
    │   └── BusyError           somebody else is at it
    ├── TooLargeError           over a limit that is named
    └── UnavailableError        ours to mend: nothing was kept, try again

Messages carry ids, never a person's data; ``next_step`` tells the reader what to do.
"""

from __future__ import annotations


class ConsiliumError(Exception):
    """Something was refused."""

    next_step = "Read the message, mend what it names and try again."

    def __init__(self, message: str = "", *, next_step: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        if next_step is not None:
            self.next_step = next_step


class InvalidError(ConsiliumError):
    """The request is not of the form that this place takes."""


class NotFoundError(ConsiliumError):
    """There is no such thing here, or it is not yours to see."""

    next_step = "Check the reference; `consilium case list` shows the cases there are."


class UnknownCaseError(NotFoundError):
    """What was called names no case that takes studies."""


class ForbiddenError(ConsiliumError):
    """You may not do this."""

    next_step = "Ask the coordinator of the case, or the operator, for the right."


class SignInError(ForbiddenError):
    """You are not signed in, or not any more."""

    next_step = "Sign in again."


class ExpiredError(ConsiliumError):
    """It was valid once and is not any more."""

    next_step = "Ask the coordinator for a new link."


class TooManyError(ConsiliumError):
    """Too many tries."""

    next_step = "Wait a while and try again, or ask the coordinator for help."

    def __init__(self, message: str = "", *, retry_after_s: int = 0, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after_s = retry_after_s


class ConflictError(ConsiliumError):
    """It cannot be done in the present state."""


class ImpossibleMoveError(ConflictError):
    """The case cannot make this move from where it stands."""


class UnreadableError(ConflictError):
    """It cannot be read: its key does not open, or its row is damaged."""

    # No command in quotes: the desk says it too, and there it has its Swedish.
    next_step = "Ask the operator to bring it back from a backup (key unopened names its key). A case can also be forgotten."


class BusyError(ConflictError):
    """Somebody else is writing to the same thing."""

    next_step = "Wait until the other transfer has ended, then ask for the state and go on from there."


class TooLargeError(ConsiliumError):
    """It is larger than the limit."""

    next_step = "Send it in smaller pieces, or ask the coordinator for another way."


class UnavailableError(ConsiliumError):
    """A part that is needed does not answer; nothing was kept."""

    next_step = "Try again in a minute; `consilium doctor` tells the operator which part is down."
