"""What we ask of peers: C-ECHO, and C-STORE of many instances with an outcome for each; cases are not known here.

PS3.4 Annex A and B. Instances go out exactly as they are, nothing is transcoded: a peer that does not accept their
transfer syntax gets none of them, and the outcome says so.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, Protocol

from dicom_node import command as dimse
from dicom_node import contexts, status
from dicom_node.association_request import MAX_CONTEXTS
from dicom_node.dial import Call, Step
from dicom_node.errors import AssociationOver, PeerRejected, PeerUnreachable
from dicom_node.requestor import OutboundAssociation
from dicom_node.streams import Replayed

_PAUSE_SLICE_S = 0.25
_OUT_OF_RESOURCES = "the peer is out of resources"
_TRIES_OF_ONE = 2  # an instance at which the association broke twice stands back for the others


def _nothing() -> None:
    """Default of `beat`."""


class ClosableStream(Protocol):
    """A data set to send."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, empty at the end."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoResult:
    """What a C-ECHO showed: ``reached`` means Success, otherwise ``why`` says what failed.

    ``steps`` are those that were taken, in order: name, connection, tls (if it is called by TLS), association,
    verification. Only the last can be one that failed.
    """

    reached: bool
    why: str
    steps: tuple[Step, ...] = ()
    round_trip_s: float | None = None
    implementation_uid: str = ""
    implementation_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundInstance:
    """One instance to send; ``open`` yields its data set without File Meta, and is called when its turn comes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    open: Callable[[], ClosableStream]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """What became of one instance; ``status`` is None when no answer came.

    ``how`` tells why there is no status: no presentation context was accepted, our side could not read it, or the
    association ended (or never was). ``lasting`` tells that the same would happen again.
    """

    sop_instance_uid: str
    status: int | None
    how: Literal["answered", "not_accepted", "unreadable", "unanswered"] = "answered"
    comment: str = ""
    why: str = ""
    lasting: bool = False

    @property
    def kept(self) -> bool:
        """Whether the peer took it, with a warning perhaps; everything else must be sent again."""
        return self.status is not None and status.is_kept(self.status)

    @property
    def warned(self) -> bool:
        """Whether the peer took it and changed or doubted something (B000, B006, B007 of PS3.4 B.2.3)."""
        return self.kept and self.status != status.SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many setbacks in a row are endured, and how long is waited after each.

    A setback is a call that is not taken, an association that breaks, or the answer «out of resources» (A7xx). After
    ``wait_s``, doubled each time up to ``most_wait_s``, it goes on over a new association with what has no answer.
    An instance that was answered otherwise ends the row.
    """

    setbacks: int = 0
    wait_s: float = 1.0
    most_wait_s: float = 30.0

    def wait_after(self, setbacks: int) -> float:
        """Seconds to wait after so many setbacks in a row."""
        return min(self.wait_s * 2.0 ** max(setbacks - 1, 0), self.most_wait_s)


def echo(call: Call) -> EchoResult:
    """C-ECHO; raises nothing of the network's."""
    pair = (contexts.VERIFICATION, contexts.IMPLICIT_LITTLE)
    association = OutboundAssociation(call, [pair])
    steps, why, round_trip_s = association.steps, "", None
    try:
        with association, steps.step("verification") as told:
            started = time.monotonic()
            _verify(association, pair)
            round_trip_s = time.monotonic() - started
            told.append("status 0000H")
    except (PeerUnreachable, AssociationOver) as exc:
        why = str(exc)
    return EchoResult(
        reached=not why,
        why=why,
        steps=steps.ended,
        round_trip_s=round_trip_s,
        implementation_uid=association.answer.implementation_uid,
        implementation_version=association.answer.implementation_version,
    )


def _verify(association: OutboundAssociation, pair: tuple[str, str]) -> None:
    if pair not in association.answer.contexts:
        raise PeerUnreachable("the peer accepts the association but not Verification")
    response = association.perform(pair, {dimse.COMMAND_FIELD: dimse.C_ECHO_RQ}, None)
    code = response.number(dimse.STATUS)
    if code != status.SUCCESS:
        raise PeerUnreachable(f"status {code:04X}H {response.text(dimse.ERROR_COMMENT)}".strip())


def send(
    call: Call,
    instances: Iterable[OutboundInstance],
    *,
    patience: Patience | None = None,
    beat: Callable[[], None] = _nothing,
) -> Generator[SendOutcome, None, None]:
    """C-STORE every instance in order and yield one outcome for each, as soon as it is known.

    As many associations as the 128 presentation contexts demand, and a new one for the rest when one breaks. What was
    answered is not sent again. To resume later, call again with those that were not kept.

    Parameters
    ----------
    beat
        Called before each association, each instance and each piece of one, and at least twice a second while waiting.
        What it raises ends everything at once: the association is aborted, and it passes through.
    """
    return _Sending(call, deque(instances), patience or Patience(), beat).outcomes()


class _Sending:
    """One run of `send`: what is left, and how many setbacks there were in a row."""

    def __init__(
        self, call: Call, rest: deque[OutboundInstance], patience: Patience, beat: Callable[[], None]
    ) -> None:
        self._call, self._rest, self._patience, self._beat = call, rest, patience, beat
        self._setbacks = 0
        self._tries = 0  # of the first that is left

    def outcomes(self) -> Generator[SendOutcome, None, None]:
        """Associations until nothing is left, or patience is at its end."""
        lasting = False
        while self._rest:
            self._beat()
            try:
                setback = yield from self._over_one_association()
            except PeerUnreachable as exc:
                setback, lasting = str(exc), isinstance(exc, PeerRejected) and exc.lasting
            if not setback:
                continue
            self._setbacks += 1
            if lasting or self._setbacks > self._patience.setbacks:
                for item in self._rest:
                    yield SendOutcome(
                        sop_instance_uid=item.sop_instance_uid,
                        status=None,
                        how="unanswered",
                        why=f"not sent: {setback}",
                        lasting=lasting,
                    )
                return
            self._pause(self._patience.wait_after(self._setbacks))

    def _over_one_association(self) -> Generator[SendOutcome, None, str]:
        """Send until nothing is left, or this association cannot go on; return why if that was a setback."""
        patient = self._patience.setbacks > 0
        pairs = _that_fit(self._rest)
        with OutboundAssociation(self._call, pairs, beat=self._beat) as association:
            while self._rest and _pair(self._rest[0]) in pairs:
                self._beat()
                outcome, broke = _send_one(association, self._rest[0])
                self._tries += broke
                busy = outcome.status is not None and status.is_busy(outcome.status)
                again = busy or (broke and self._tries < _TRIES_OF_ONE)
                setback = (outcome.why or _OUT_OF_RESOURCES) if patient and (busy or broke) else ""
                if setback and again and self._setbacks < self._patience.setbacks:
                    return setback
                self._rest.popleft()
                self._tries = 0
                if outcome.status is not None and not busy:
                    self._setbacks = 0
                yield outcome
                if setback or not association.usable:
                    return setback
        return ""

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            self._beat()
            time.sleep(min(left_s, _PAUSE_SLICE_S))


def _pair(item: OutboundInstance) -> tuple[str, str]:
    return item.sop_class_uid, item.transfer_syntax_uid


def _that_fit(instances: Iterable[OutboundInstance]) -> list[tuple[str, str]]:
    """The kinds of the first instances, as many as one association can carry."""
    pairs: dict[tuple[str, str], None] = {}
    for item in instances:
        if _pair(item) not in pairs and len(pairs) == MAX_CONTEXTS:
            break
        pairs[_pair(item)] = None
    return list(pairs)


class _SourceFailedError(Exception):
    """The object could not be read on our side."""


class _Guarded:
    """A data set whose failures can be told from the network's and from those of `beat`."""

    def __init__(self, stream: ClosableStream) -> None:
        self._stream = Replayed(b"", stream)

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as exc:
            raise _SourceFailedError(type(exc).__name__) from exc

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        try:
            return self._stream.readinto(buffer)
        except Exception as exc:
            raise _SourceFailedError(type(exc).__name__) from exc


def _send_one(association: OutboundAssociation, item: OutboundInstance) -> tuple[SendOutcome, bool]:
    """The outcome, and whether the association broke at it."""
    uid, pair = item.sop_instance_uid, _pair(item)
    if pair not in association.answer.contexts:
        why = f"the peer does not accept this SOP class in transfer syntax {item.transfer_syntax_uid}"
        return SendOutcome(
            sop_instance_uid=uid, status=None, how="not_accepted", why=why, lasting=True
        ), False
    elements: dict[int, int | str] = {
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
        dimse.PRIORITY: 0,
        dimse.AFFECTED_SOP_INSTANCE_UID: uid,
    }
    try:
        with closing(_opened(item)) as data_set:
            response = association.perform(pair, elements, _Guarded(data_set))
            code = response.number(dimse.STATUS)
    except AssociationOver as exc:
        return SendOutcome(sop_instance_uid=uid, status=None, how="unanswered", why=str(exc)), True
    except _SourceFailedError as exc:  # what cannot be read must not stop what can
        why = f"could not be read ({exc})"
        return SendOutcome(sop_instance_uid=uid, status=None, how="unreadable", why=why), False
    comment = response.text(dimse.ERROR_COMMENT)
    lasting = not status.is_kept(code) and not status.is_busy(code)
    return SendOutcome(sop_instance_uid=uid, status=code, comment=comment, lasting=lasting), False


def _opened(item: OutboundInstance) -> ClosableStream:
    try:
        return item.open()
    except Exception as exc:
        raise _SourceFailedError(type(exc).__name__) from exc
