"""The senders' side of a fault: what each was answered, kept outside the process that is killed, and held against what is there."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import Any

import httpx

from dicom_node.dial import Call
from dicom_node.part10 import open_part10
from dicom_node.scu import OutboundInstance, send
from tests.fakes.machine_server import RELATED, multipart
from tests.fakes.strace_house import HOST, PACS, LiveHouse

TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Content-Type": "application/offset+octet-stream"}
PIECE = 12_000
REJECTED = 0x231  # no status of DIMSE: the association was rejected as (2,3,1), and so is an answer


@dataclass
class Oracle:
    """Three senders: a PACS by C-STORE, a program by STOW-RS, a patient by tus. Each sends again what was not acknowledged.

    ``answers`` are all codes that came, as they came; an answer that did not come is None.
    """

    token: str
    session: str
    instances: list[bytes] = field(repr=False)
    stowed: list[bytes] = field(repr=False)
    document: bytes = field(repr=False)
    acknowledged: set[str] = field(default_factory=set)
    answers: list[int | None] = field(default_factory=list)
    comments: set[str] = field(default_factory=set)
    place: str = ""
    offset: int = 0
    timeout_s: float = 10.0
    one_by_one: bool = True

    def store(self, house: LiveHouse) -> None:
        """C-STORE what is left, once each: over one association, or each over its own."""
        left = [_outbound(one) for one in self.instances if uid_of(one) not in self.acknowledged]
        call = Call(
            host=HOST, port=house.dicom, called_ae="CONSILIUM", calling_ae=PACS, timeout_s=self.timeout_s
        )
        for group in [[one] for one in left] if self.one_by_one else [left]:
            for outcome in send(call, group):
                is_rejected = outcome.status is None and "rejected" in outcome.why
                self.answers.append(REJECTED if is_rejected else outcome.status)
                self.comments.add(outcome.comment or outcome.why)
                if outcome.status == 0:
                    self.acknowledged.add(outcome.sop_instance_uid)

    def stow(self, house: LiveHouse) -> None:
        """STOW-RS what is left, in one request."""
        left = [one for one in self.stowed if uid_of(one) not in self.acknowledged]
        if not left:
            return
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": RELATED}
        answer = self._ask(house, "POST", "/machine/studies", headers=headers, content=multipart(*left))
        if answer is not None and answer.status_code in {200, 202}:
            items = answer.json().get("00081199", {}).get("Value", [])
            self.acknowledged |= {item["00081155"]["Value"][0] for item in items}

    def upload(self, house: LiveHouse) -> None:
        """Send the document on from where the house says that it stands; each answered offset is remembered."""
        if not self.document:
            return
        if not self.place:
            size = {
                **TUS,
                "Upload-Length": str(len(self.document)),
                "Upload-Metadata": "filename QnJldi50eHQ=",
            }
            answer = self._ask(house, "POST", "/p/files/", headers=size)
            if answer is None or answer.status_code != 201:
                return
            self.place = answer.headers["Location"]
        answer = self._ask(house, "HEAD", self.place, headers=TUS)
        if answer is None or answer.status_code != 200:
            return
        at = int(answer.headers["Upload-Offset"])
        assert at >= self.offset, f"{self.offset} were acknowledged, {at} are there"
        while at < len(self.document):
            headers = {**PATCH, "Upload-Offset": str(at)}
            answer = self._ask(
                house, "PATCH", self.place, headers=headers, content=self.document[at : at + PIECE]
            )
            if answer is None or answer.status_code != 204:
                return
            at = self.offset = int(answer.headers["Upload-Offset"])
        self.offset = at

    def everything(self, house: LiveHouse) -> None:
        self.store(house)
        self.stow(house)
        self.upload(house)

    @property
    def is_done(self) -> bool:
        """Whether all was acknowledged."""
        wanted = {uid_of(one) for one in (*self.instances, *self.stowed)}
        return wanted <= self.acknowledged and (not self.document or self.offset == len(self.document))

    def violations(self, facts: dict[str, Any]) -> list[str]:
        """Say where the store is not what was acknowledged, or not what it says of itself."""
        sent = {uid_of(one): digest_of(one) for one in (*self.instances, *self.stowed)}
        found = [f"acknowledged and lost: {uid}" for uid in self.acknowledged - facts["instances"].keys()]
        found += [
            f"not what was sent: {uid}" for uid, it in facts["instances"].items() if sent.get(uid) != it
        ]
        if self.offset:
            upload_id = self.place.rpartition("/")[2]
            at, digest = facts["uploads"].get(upload_id, (0, ""))
            if at < self.offset or digest != hashlib.sha256(self.document[:at]).hexdigest():
                found.append(f"{self.offset} bytes of the document were acknowledged, {at} are there")
        found += facts["broken"] + facts["flaws"]
        found += [f"a row without its object: {one}" for one in facts["missing"]]
        found += [f"kept twice: {facts['twice']}"] * bool(facts["twice"])
        found += [f"drafts left: {facts['drafts']}"] * bool(facts["drafts"])
        found += [f"database: {facts['integrity']}"] * (facts["integrity"] != "ok")
        return found

    def _ask(
        self, house: LiveHouse, method: str, path: str, *, headers: dict[str, str], content: bytes = b""
    ) -> httpx.Response | None:
        cookie = (
            {"Cookie": f"consilium-patient=s.{self.session}", "Origin": house.url}
            if path.startswith("/p")
            else {}
        )
        try:
            answer = httpx.request(
                method,
                house.url + path,
                headers={**headers, **cookie, "Accept": "application/json"},
                content=content,
                timeout=self.timeout_s,
            )
        except httpx.TransportError:
            self.answers.append(None)
            return None
        self.answers.append(answer.status_code)
        return answer


def uid_of(content: bytes) -> str:
    return open_part10(io.BytesIO(content))[0].sop_instance_uid


def digest_of(content: bytes) -> str:
    return hashlib.sha256(open_part10(io.BytesIO(content))[1].read()).hexdigest()


def _outbound(content: bytes) -> OutboundInstance:
    meta, _ = open_part10(io.BytesIO(content))
    return OutboundInstance(
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        open=lambda: io.BytesIO(open_part10(io.BytesIO(content))[1].read()),
    )
