"""What we ask of peers: C-ECHO, and C-STORE of many instances with an outcome for each; cases are not known here.

PS3.4 Annex A and B. Instances go out exactly as they are: a peer that does not accept their transfer syntax gets none
of them, and the outcome says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicom_node import command as dimse
from dicom_node import contexts, status
from dicom_node.association_request import MAX_CONTEXTS
from dicom_node.errors import AssociationOver, PeerUnreachable
from dicom_node.part10 import open_part10
from dicom_node.requestor import Call, OutboundAssociation
from dicom_node.streams import Replayed


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
    """What a C-ECHO showed: ``reached`` means Success, otherwise ``why`` says how far it came."""

    reached: bool
    why: str
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

    @classmethod
    def of_file(cls, path: Path) -> OutboundInstance:
        """From a Part 10 file; raises `NotDicomError`."""
        with path.open("rb") as file:
            meta, _ = open_part10(file)
        return cls(
            sop_class_uid=meta.sop_class_uid,
            sop_instance_uid=meta.sop_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            open=lambda: _FileDataSet(path),
        )


class _FileDataSet:
    """The data set of a Part 10 file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._stream: Replayed = open_part10(self._file)[1]

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """What became of one instance; ``status`` is None when no answer came."""

    sop_instance_uid: str
    status: int | None
    comment: str = ""
    why: str = ""

    @property
    def kept(self) -> bool:
        """Whether the peer took it; everything else must be sent again."""
        return self.status is not None and status.is_kept(self.status)


def echo(call: Call) -> EchoResult:
    """C-ECHO; raises nothing of the network's."""
    pair = (contexts.VERIFICATION, contexts.IMPLICIT_LITTLE)
    try:
        with OutboundAssociation(call, [pair]) as association:
            answer = association.answer
            if pair not in answer.contexts:
                return EchoResult(reached=False, why="the peer accepts the association but not Verification")
            started = time.monotonic()
            response = association.perform(pair, {dimse.COMMAND_FIELD: dimse.C_ECHO_RQ}, None)
            code = response.number(dimse.STATUS)
            return EchoResult(
                reached=code == status.SUCCESS,
                why=""
                if code == status.SUCCESS
                else f"status {code:04X}H {response.text(dimse.ERROR_COMMENT)}".strip(),
                round_trip_s=time.monotonic() - started,
                implementation_uid=answer.implementation_uid,
                implementation_version=answer.implementation_version,
            )
    except (PeerUnreachable, AssociationOver) as exc:
        return EchoResult(reached=False, why=str(exc))


def send(call: Call, instances: Sequence[OutboundInstance]) -> Iterator[SendOutcome]:
    """C-STORE every instance in order and yield one outcome for each, as soon as it is known.

    As many associations as the 128 presentation contexts demand. An association that breaks is opened once more for the
    instances behind the one it broke at; when that fails too, these are reported as not sent. To resume, call again
    with those that were not kept.
    """
    rest = list(instances)
    while rest:
        batch = _fits_one_association(rest)
        done = 0
        try:
            pairs = dict.fromkeys((item.sop_class_uid, item.transfer_syntax_uid) for item in batch)
            with OutboundAssociation(call, list(pairs)) as association:
                for item in batch:
                    done += 1
                    yield _send_one(association, item)
                    if not association.usable:
                        break
        except PeerUnreachable as exc:
            for item in rest:
                yield SendOutcome(sop_instance_uid=item.sop_instance_uid, status=None, why=f"not sent: {exc}")
            return
        rest = rest[done:]


def _fits_one_association(instances: Sequence[OutboundInstance]) -> list[OutboundInstance]:
    pairs: set[tuple[str, str]] = set()
    for count, item in enumerate(instances):
        pairs.add((item.sop_class_uid, item.transfer_syntax_uid))
        if len(pairs) > MAX_CONTEXTS:
            return list(instances[:count])
    return list(instances)


def _send_one(association: OutboundAssociation, item: OutboundInstance) -> SendOutcome:
    uid = item.sop_instance_uid
    pair = (item.sop_class_uid, item.transfer_syntax_uid)
    if pair not in association.answer.contexts:
        why = f"the peer does not accept this SOP class in transfer syntax {item.transfer_syntax_uid}"
        return SendOutcome(sop_instance_uid=uid, status=None, why=why)
    elements: dict[int, int | str] = {
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
        dimse.PRIORITY: 0,
        dimse.AFFECTED_SOP_INSTANCE_UID: uid,
    }
    try:
        with closing(item.open()) as data_set:
            response = association.perform(pair, elements, data_set)
            code = response.number(dimse.STATUS)
    except AssociationOver as exc:
        return SendOutcome(sop_instance_uid=uid, status=None, why=str(exc))
    except Exception as exc:  # noqa: BLE001 - what cannot be read must not stop what can
        return SendOutcome(sop_instance_uid=uid, status=None, why=f"could not be read ({type(exc).__name__})")
    return SendOutcome(sop_instance_uid=uid, status=code, comment=response.text(dimse.ERROR_COMMENT))
