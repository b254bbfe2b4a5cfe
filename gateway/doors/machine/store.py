"""STOW-RS as routes: who may store, which bodies are taken, and the answer's status; the objects go through a transaction.

PS3.18 10.5. The order of every request: HTTPS, token and address, what is asked for in the head, a place, and only then a
byte of the body.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dicom_node import status, stow
from dicom_node.ae import is_uid
from dicom_node.errors import AssociationOver, InstanceTooLarge, NodeStopping, PeerTooSlow
from dicom_node.multipart import MediaTypeError, boundary_of
from dicom_node.receiver import AssociationEnd
from dicom_node.stow import Cause, Failure
from gateway.domain.errors import ConsiliumError
from gateway.domain.ids import new_id
from gateway.doors.http import N_, Door, Problem, Refused, plain
from gateway.doors.http.problems import problem_of_store
from gateway.doors.machine.in_clear import came_in_clear
from gateway.doors.machine.pipe import BodyPipe, NoLongerAdmitted, Patience
from gateway.doors.machine.refusals import RefusalReporter
from gateway.doors.machine.transaction import STOW, StoreTransaction
from gateway.doors.peer_book import PeerBook
from gateway.doors.troubles import Troubles
from gateway.journeys.admit_sender import NotAdmitted, Sender, admit_sender
from gateway.journeys.check_room import refuse_if_low
from gateway.journeys.know_peer import note_association
from gateway.ports import House
from storage import StoreLowError

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 0.4
_TRY_AGAIN = {"Retry-After": "30"}
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.IGNORECASE)
_TAKEN = 'multipart/related; type="application/dicom"'
_ONLY_OBJECTS = N_(
    "Only whole DICOM objects are taken: neither metadata with bulk data, nor other documents."
)
_TOO_LARGE = N_("The request is larger than one request may be.")
_ONLY_ANSWERS = N_("The answer is written as application/dicom+json or application/dicom+xml.")


class Store:
    """The routes below ``/studies`` and ``/cases/{ref}/studies``."""

    def __init__(self, door: Door, house: House, *, at_once: int, patience: Patience) -> None:
        self.door, self.house, self.patience = door, house, patience
        self.at_once = at_once
        self.one_peer_at_once = max(1, at_once * 3 // 4)  # the rest is left for others
        self.most_bytes = 4 * house.policy.instance_limit_bytes
        self.refusals = RefusalReporter(partial(note_association, records=house.records))
        self.book = PeerBook(house)
        self.troubles = Troubles(house, "machine")
        self._open: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="stow")
        for base, call in (("/studies", self.store), ("/cases/{ref}/studies", self.store_for_case)):
            for path in (base, base + "/{study}"):
                door.routes.add_api_route(path, call, methods=["POST"])
                door.routes.add_api_route(path, self.capabilities, methods=["OPTIONS"])

    def capabilities(self) -> Response:
        """Say what is taken here (PS3.18 8.9); the only call without a token, and it tells nothing of the house."""
        told = {
            "transactions": ["Store Instances"],
            "consumes": [_TAKEN, stow.DICOM],
            "produces": [stow.DICOM_JSON, stow.DICOM_XML],
            "max_request_bytes": self.most_bytes,
            "max_instance_bytes": self.house.policy.instance_limit_bytes,
        }
        return JSONResponse(told, headers={"Allow": "POST, OPTIONS"})

    async def store(self, request: Request, study: str = "") -> Response:
        """Store instances, of one study where the address names it."""
        return await self._store(request, case_ref="", study_uid=study)

    async def store_for_case(self, request: Request, ref: str, study: str = "") -> Response:
        """Store instances into one case, as a called AE title C-XXXXXXXX does."""
        return await self._store(request, case_ref=ref, study_uid=study)

    async def _store(self, request: Request, *, case_ref: str, study_uid: str) -> Response:
        address = self.door.address(request)
        if self.door.config.is_https and came_in_clear(request, trusted=self.door.config.trusted_proxies):
            await self._note_refusal("", "", address, "not by HTTPS")
            raise Refused(_by_https(self.door.config.public_url))
        ask = partial(
            admit_sender,
            token=_token(request),
            address=address,
            case_ref=case_ref,
            records=self.house.records,
            policy=self.house.policy,
        )
        sender = await run_in_threadpool(ask)
        if isinstance(sender, NotAdmitted):
            await self._note_refusal(sender.ae_title, sender.called, address, sender.why)
            raise Refused(_refusal(sender, had_token=bool(_token(request))))
        with ExitStack() as held:
            try:
                boundary, media = self._judge_head(request, study_uid)
                held.enter_context(self._place(sender))
            except Refused as refused:
                why = f"{refused.problem.status}, {refused.problem.detail}"
                await self._note_refusal(sender.ae_title, sender.called, address, why)
                raise
            return await self._take(request, sender, boundary, media, address, study_uid, ask)

    def _judge_head(self, request: Request, study_uid: str) -> tuple[bytes | None, str]:
        """Return the boundary (None for a single object) and the media type to answer with, or refuse by the head alone."""
        if study_uid and not is_uid(study_uid):
            raise Refused(_said(400, N_("The address names a study by something that is no UID.")))
        try:
            kind = stow.payload_of(",".join(request.headers.getlist("content-type")))  # two of them are none
            boundary = boundary_of(kind) if kind is not None and kind.name == stow.RELATED else None
        except MediaTypeError as error:
            raise Refused(_said(400, str(error))) from None
        if kind is None:
            raise Refused(_said(415, _ONLY_OBJECTS, headers={"Accept-Post": _TAKEN}))
        media = stow.answer_type(",".join(request.headers.getlist("accept")))
        if media is None:
            raise Refused(_said(406, _ONLY_ANSWERS))
        if int(request.headers.get("content-length", "0")) > self.most_bytes:
            raise Refused(_said(413, _TOO_LARGE, limit_bytes=self.most_bytes))
        try:
            refuse_if_low(int(request.headers.get("content-length", "0")), room=self.house.room)
        except StoreLowError as error:
            raise Refused(replace(problem_of_store(error), headers=_TRY_AGAIN)) from None
        return boundary, media

    @contextmanager
    def _place(self, sender: Sender) -> Iterator[None]:
        """Hold one of the places for the time of a request; nobody waits for one with an open body."""
        most = min(sender.may.max_associations or self.one_peer_at_once, self.one_peer_at_once)
        if self._open[sender.ae_title] >= most or self._open.total() >= self.at_once:
            raise Refused(_said(503, N_("Too many requests at once."), headers=_TRY_AGAIN))
        self._open[sender.ae_title] += 1
        try:
            yield
        finally:
            self._open[sender.ae_title] -= 1
            self._open += Counter()  # forgets who has none open

    async def _take(
        self,
        request: Request,
        sender: Sender,
        boundary: bytes | None,
        media: str,
        address: str,
        study_uid: str,
        ask: Callable[..., Sender | NotAdmitted],
    ) -> Response:
        pipe = BodyPipe()
        transaction = StoreTransaction(
            self.house,
            sender,
            pipe,
            book=self.book,
            troubles=self.troubles,
            address=address,
            request_id=new_id(),
            boundary=boundary,
            study_uid=study_uid,
        )
        filling = asyncio.ensure_future(
            pipe.fill(request.receive, most_bytes=self.most_bytes, patience=self.patience)
        )
        watching = asyncio.ensure_future(_watch(pipe, lambda: ask(ae_title=sender.ae_title) == sender))
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, transaction.run)
        finally:
            filling.cancel()
            watching.cancel()
            await asyncio.gather(filling, watching, return_exceptions=True)
        return _answered(transaction, media)

    async def _note_refusal(self, ae_title: str, called: str, address: str, why: str) -> None:
        """Tell the audit of a request of which no byte of the body was asked for."""
        end = AssociationEnd(
            association_id=new_id(),
            calling_ae=ae_title,
            called_ae=called,
            address=address,
            how="refused",
            instances_kept=0,
            why=STOW + why,
        )
        await run_in_threadpool(self.refusals.report, end)


async def _watch(pipe: BodyPipe, is_still_admitted: Callable[[], bool]) -> None:
    """Cut a request short when its peer loses its rights; records that do not answer change nothing."""
    while True:
        await asyncio.sleep(ASK_AGAIN_S)
        try:
            is_admitted = await run_in_threadpool(is_still_admitted)
        except ConsiliumError:
            continue
        except Exception as error:  # noqa: BLE001  # a watch that ends would let a peer that is shut out go on
            log.error("peer_not_asked_again", error=type(error).__name__)
            continue
        if not is_admitted:
            pipe.cut(NoLongerAdmitted())
            return


def _token(request: Request) -> str:
    """Return the bearer token, or an empty text: no header, two of them, or another scheme are all none."""
    given = request.headers.getlist("authorization")
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return found[1] if found else ""


def _by_https(public_url: str) -> Problem:
    return Problem(
        status=403,
        code="https",
        title=N_("Only by HTTPS"),
        detail=N_("A token that came in clear may have been read on its way."),
        step=f"Call {public_url}, and ask the operator for a new token. A proxy has to say X-Forwarded-Proto: https.",
    )


def _refusal(refused: NotAdmitted, *, had_token: bool) -> Problem:
    if refused.kind == "unknown":
        challenge = 'Bearer realm="STOW-RS"' + (', error="invalid_token"' if had_token else "")
        return Problem(
            status=401,
            code="token",
            title=N_("A token is needed"),
            step=N_(
                "Send «Authorization: Bearer …» with the token of your peer, from the address that was agreed."
            ),
            headers={"WWW-Authenticate": challenge},
        )
    if refused.kind == "no_case":
        return _said(404, N_("The address names no case that takes studies."))
    return _said(403, N_("This peer may not store here."))


def _answered(transaction: StoreTransaction, media: str) -> Response:
    """Word what became of a request; where nothing at all was looked at, the reason itself is the answer."""
    answer, over = transaction.answer, transaction.over
    if over is not None and not (answer.kept or answer.failures):
        raise Refused(_broken(over))
    if over is not None:
        cause: Cause = "too_large" if isinstance(over, InstanceTooLarge) else ""
        reason = status.NOT_AUTHORISED if isinstance(over, NoLongerAdmitted) else stow.PROCESSING_FAILURE
        answer.failures.append(
            Failure(reason=reason, comment="The rest of the body was not read", cause=cause)
        )
    if answer.status == 400:
        raise Refused(_said(400, N_("There is no part in the body.")))
    headers = dict(_TRY_AGAIN) if answer.status == 503 else {}
    body = stow.encoded(stow.response_module(answer), media)
    return Response(body, status_code=answer.status, media_type=media, headers=headers)


def _broken(over: AssociationOver) -> Problem:
    if isinstance(over, InstanceTooLarge):
        return _said(413, _TOO_LARGE)
    if isinstance(over, PeerTooSlow):
        return _said(408, N_("The body came too slowly."))
    if isinstance(over, NoLongerAdmitted):
        return _said(403, N_("This peer may not store here any more."))
    if isinstance(over, NodeStopping):
        return _said(503, N_("The service is being stopped."), headers=_TRY_AGAIN)
    return _said(400, str(over))


# What the engineer at the other end can do about it; the title is the usual one of the status.
_STEPS = {
    400: N_("Mend the request as the detail says, and send it again; nothing of it was kept."),
    403: N_("Ask the operator for the right: consilium peer change AET."),
    404: N_("Check the case's reference, or send without it: /machine/studies."),
    406: N_("Send «Accept: application/dicom+json»."),
    408: N_("Send it again over a faster line, or fewer objects in a request; nothing of it was kept."),
    413: N_("Send fewer objects in a request."),
    415: N_("Send multipart/related with a part of type application/dicom for each object."),
    503: N_("Wait as Retry-After says and send it again; nothing of it was kept."),
}


def _said(
    code: int, detail: str, *, headers: Mapping[str, str] | None = None, limit_bytes: int | None = None
) -> Problem:
    more = {} if limit_bytes is None else {"limit_bytes": limit_bytes}
    return replace(plain(code, detail=detail, step=_STEPS[code], headers=headers), more=more)
