"""What the patient's door asks of the house, as one protocol with its values; how it is done is the journeys' affair.

Every method is blocking and safe to call from many threads; the door calls them in its thread pool. Errors are those of
``gateway.domain.errors``; the door words them for a patient itself, by class. A ``session_id`` that does not count (any
more) raises ``SignInError`` wherever it is given, checked on every call (P17).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

ItemState = Literal["wanted", "received", "not_available"]
DocumentState = Literal["arrived", "checked", "waiting", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreSession:
    """A browser that showed a link that counts. ``channel_hint`` is masked: «•••• 42»."""

    token: str
    channel_hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientView:
    """A session that counts, worth one case."""

    case_ref: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """One file on its way. ``offset`` counts durable bytes; ``name`` is the patient's own, shown and never used as a path."""

    id: str
    name: str
    category: str
    media_type: str
    size_bytes: int
    offset: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockView:
    """When the answer is expected; ``paused_because`` is set while the exchange waits for somebody."""

    days: int
    expected_by: date | None = None
    paused_because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """A document that arrived: arrived, checked (fit to be used), waiting (a person will look at it) or refused."""

    name: str
    size_bytes: int
    category: str
    state: DocumentState
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """An examination that was found among what arrived, or that a hospital sent: «CT, 12 May 2026, 1 284 images»."""

    modality: str
    study_date: date | None
    images: int
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """One thing that the case needs; ``item`` is a category."""

    item: str
    state: ItemState


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Somebody opened the case's documents: when, and in which role («coordinator», «reviewer»)."""

    at: datetime
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerNotice:
    """The answer is here."""

    delivered_at: datetime
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """The answer itself: ``parts`` are (field of ``gateway.domain.opinion.ANSWER_FIELDS``, text), in order."""

    delivered_at: datetime
    signed_at: datetime
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """Everything that the patient may see of the case."""

    ref: str
    state: str
    opinion: Literal["written", "mdt"]
    receives: bool
    clock: ClockView
    documents: tuple[DocumentView, ...] = ()
    unfinished: tuple[UploadState, ...] = ()
    studies: tuple[StudyView, ...] = ()
    checklist: tuple[ChecklistItem, ...] = ()
    opened_by: tuple[Opening, ...] = ()
    answer: AnswerNotice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLine:
    """One received file. ``sha256`` is hexadecimal."""

    name: str
    size_bytes: int
    sha256: str
    category: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What arrived, to keep and to hold against us. ``number`` is read aloud when something is asked about."""

    number: str
    case_ref: str
    made_at: datetime
    lines: tuple[ReceiptLine, ...]


class PatientService(Protocol):
    """The journeys behind the patient's door."""

    def open_link(self, token: str, *, address: str) -> PreSession:
        """Take a link's token; sends nothing (P3). Any link that does not count raises one and the same ``ForbiddenError``."""

    def send_code(self, pre_session: str, *, address: str) -> datetime:
        """Send a fresh code on the other channel; returns when it ends. Raises ``TooManyError``, ``ForbiddenError``."""

    def verify_code(self, pre_session: str, code: str, *, address: str) -> str:
        """Return a new session id for the right code.

        A wrong code raises ``InvalidError``, one too old ``ExpiredError``, too many tries ``TooManyError``, a
        pre-session that does not count ``ForbiddenError``.
        """

    def session(self, session_id: str, *, address: str) -> PatientView | None:
        """Return who this is, or None; called on every request, moves the idle time on."""

    def end_session(self, session_id: str, *, address: str) -> None:
        """Sign out; a session that has ended already is no error."""

    def view(self, session_id: str, *, address: str) -> CaseView:
        """Return the case as the patient may see it."""

    def read_answer(self, session_id: str, *, address: str) -> AnswerView:
        """Return the delivered answer, audited as read before it is returned; ``NotFoundError`` before delivery."""

    def create_upload(
        self, session_id: str, *, name: str, size_bytes: int, category: str, media_type: str, address: str
    ) -> UploadState:
        """Reserve room for one file (F2). Raises ``TooLargeError`` over a quota, ``ConflictError`` when nothing is taken."""

    def upload(self, session_id: str, upload_id: str, *, address: str) -> UploadState:
        """Return how far a file is; ``NotFoundError`` (also another link's), ``ExpiredError``."""

    def append(self, session_id: str, upload_id: str, *, offset: int, chunk: bytes, address: str) -> int:
        """Make one part of at most 4 MiB durable at exactly ``offset`` and return the new offset.

        Another offset, or a second writer in another process, raises ``ConflictError`` with nothing kept.
        """

    def finish_upload(self, session_id: str, upload_id: str, *, address: str) -> None:
        """Turn an upload whose every byte is durable into a document; doing so twice is no error."""

    def abandon_upload(self, session_id: str, upload_id: str, *, address: str) -> None:
        """Drop an unfinished upload and its bytes; a finished one raises ``ConflictError``."""

    def mark_missing(self, session_id: str, item: str, *, address: str) -> None:
        """Note that the patient does not have this item; ``InvalidError`` when it was not asked for."""

    def finish(self, session_id: str, *, address: str) -> Receipt:
        """The patient has sent what there is: finish what is whole, tell the desk, return the receipt. May be repeated."""

    def receipt(self, session_id: str, *, address: str) -> Receipt:
        """Return the receipt of everything that has arrived so far."""
