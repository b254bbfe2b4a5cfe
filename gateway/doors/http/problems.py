"""Errors as the web tells them: one table from error to status, problem details for programs (RFC 9457), nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.errors import (
    BusyError,
    ConflictError,
    ConsiliumError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SignInError,
    TooLargeError,
    TooManyError,
    UnavailableError,
)
from storage import BYTES_LOST, StorageError, StoreFullError, StoreLowError


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for «translate this later»
    """Mark a sentence for the translators."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One refusal: what a program reads (``status``, ``code``) and what a person reads (``title``, ``detail``, ``step``).

    The three sentences are English source texts that the page and the problem document translate.
    """

    status: int
    code: str
    title: str
    detail: str = ""
    step: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, object] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - it is an answer of the door, not a fault
    """A door's own refusal, raised where a handler stands; becomes a problem document or a page."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def problem_of_store(error: StorageError, *, is_reading: bool = False) -> Problem:
    """Return what a failure of the store is told as: no room is 507, anything else is ours to mend (D3, D13).

    Who was only reading is not told that nothing was kept.
    """
    if is_reading:
        return Problem(
            status=503,
            code="store_failed",
            title=N_("A part of the service does not answer"),
            step=N_("This cannot be read as it should be. Please tell your coordinator.")
            if isinstance(error, BYTES_LOST)
            else N_("What is kept is safe. Please try again in a few minutes."),
        )
    full = isinstance(error, StoreFullError)
    if isinstance(error, StoreLowError):
        return Problem(
            status=507,
            code="store_low",
            title=N_("There is no room at the moment"),
            detail=N_("Nothing that has arrived is lost, but nothing new can be taken right now."),
            step=N_(
                "Please try again later; what was half sent goes on from there. The staff can see it too."
            ),
        )
    return Problem(
        status=507 if full else 503,
        code="store_full" if full else "store_failed",
        title=N_("There is no room at the moment") if full else N_("A part of the service does not answer"),
        step=N_("Nothing of it was kept. Please try again in a few minutes; the staff can see it too."),
    )


_NAME_AT_END = re.compile(
    r" \([A-Za-z_]+\)$"
)  # the driver's word for it, for a log; without it the sentence has its Swedish

# What the records say of themselves, here so that it is translated (gateway/records/transaction.py).
OF_RECORDS: tuple[str, ...] = (
    N_("the records do not answer"),
    N_("Try again in a minute; `consilium doctor` tells the operator which part is down."),
    N_("there is no room for the records"),
    N_("Make room on their volume; nothing was written."),
    N_("the records may not be written"),
    N_("Give the user who runs this the right to write the file and its folder, or mount the volume for writing."),
    N_("the file of the records cannot be opened"),
    N_("Check its path, its folder and the rights of the user who runs this."),
    N_("the volume of the records fails"),
    N_("Check the device and its room; nothing was written."),
)  # fmt: skip

# First match wins, so a class stands above its base.
STATUS_OF: tuple[tuple[type[ConsiliumError], int, str, str], ...] = (
    (SignInError, 401, "sign_in", N_("Please sign in again")),
    (ForbiddenError, 403, "forbidden", N_("You may not do this")),
    (NotFoundError, 404, "not_found", N_("There is nothing here")),
    (ExpiredError, 410, "expired", N_("This is not valid any more")),
    (BusyError, 423, "busy", N_("Another transfer is still at work")),
    (ConflictError, 409, "conflict", N_("That cannot be done right now")),
    (TooLargeError, 413, "too_large", N_("That is too large")),
    (TooManyError, 429, "too_many", N_("Please wait a little")),
    (UnavailableError, 503, "unavailable", N_("A part of the service does not answer")),
    (InvalidError, 422, "invalid", N_("Something in the request is not right")),
    (ConsiliumError, 400, "refused", N_("That was refused")),
)

# What a page says when nobody said more: (title, next step) by status.
PLAIN_WORDS: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", N_("The request could not be understood"), N_("Go back, reload the page and try again.")),
    401: ("sign_in", N_("Please sign in again"), N_("Open your link again, or sign in again.")),
    403: ("forbidden", N_("You may not do this"), N_("Go back to the first page. If you should have access, ask your coordinator.")),
    404: ("not_found", N_("There is nothing here"), N_("Check the address, or go back to the first page.")),
    405: ("method", N_("That cannot be done here"), N_("Go back to the first page.")),
    406: ("answer_type", N_("No such kind of answer is given here"), N_("Ask for the kind of answer that this address gives.")),
    408: ("slow", N_("The connection was too slow"), N_("Check your connection and try again.")),
    409: ("conflict", N_("That cannot be done right now"), N_("Reload the page to see how things stand.")),
    410: ("expired", N_("This is not valid any more"), N_("Ask your coordinator for a new link.")),
    411: ("length", N_("The length of what is sent is missing"), N_("Send a Content-Length header.")),
    412: ("precondition", N_("The request does not fit what stands here"), N_("Reload the page and try again.")),
    413: ("too_large", N_("That is too large"), N_("Send it in smaller pieces, or ask your coordinator for another way.")),
    414: ("long_address", N_("The address is too long"), N_("Go back to the first page.")),
    415: ("media_type", N_("That kind of content is not taken here"), N_("Send the content type that this address takes.")),
    416: ("range", N_("That part does not exist"), N_("Start the download again from the beginning.")),
    421: ("host", N_("This address is not served here"), N_("Use the address that you were given.")),
    422: ("invalid", N_("Something in the request is not right"), N_("Check what you filled in and try again.")),
    423: ("busy", N_("Another transfer is still at work"), N_("Wait a few seconds and try again.")),
    429: ("too_many", N_("Please wait a little"), N_("Wait a while and try again.")),
    431: ("headers", N_("The request has too many headers"), N_("Clear this site's cookies in your browser and try again.")),
    460: ("checksum", N_("Something was damaged on the way"), N_("Send the same part again.")),
    500: ("fault", N_("Something went wrong on our side"), N_("Nothing of yours was lost. Try again in a minute. If it stays so, tell your coordinator the number below.")),
    503: ("unavailable", N_("A part of the service does not answer"), N_("Nothing of yours was lost. Try again in a minute.")),
}  # fmt: skip


def plain(
    status: int,
    *,
    code: str = "",
    detail: str = "",
    step: str = "",
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Problem:
    """Return a problem in the usual words of its status; each part can be said more exactly."""
    known, title, next_step = PLAIN_WORDS.get(status, PLAIN_WORDS[400])
    return Problem(
        status=status,
        code=code or known,
        title=title,
        detail=detail,
        step=step or next_step,
        headers=headers or {},
        more=more,
    )


def problem_of(error: ConsiliumError) -> Problem:
    """Map an error of the domain to what the web says; its message carries ids only, so it may be shown."""
    status, code, title = next((s, c, t) for kind, s, c, t in STATUS_OF if isinstance(error, kind))
    wait_s = getattr(error, "retry_after_s", 0)
    headers = {"Retry-After": str(wait_s)} if wait_s else {}
    more: dict[str, object] = {"retry_after_s": wait_s} if wait_s else {}
    return Problem(
        status=status,
        code=code,
        title=title,
        detail=_NAME_AT_END.sub("", str(error)) if isinstance(error, UnavailableError) else str(error),
        step=error.next_step,
        headers=headers,
        more=more,
    )
