"""The patient's service without a house: one case in a folder, durable enough to be killed and started again."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.domain.errors import (
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SignInError,
    TooLargeError,
    TooManyError,
)
from gateway.doors.patient import service as seam

TOKEN = "a" * 64
OTHER_TOKEN = "b" * 64


class FakePatientService:
    """Implements `seam.PatientService`. ``calls`` counts what was asked; ``codes`` is the telephone."""

    def __init__(self, folder: Path, *, quota_bytes: int = 1 << 40, delay_s: float = 0.0) -> None:
        self.folder = folder
        self.quota_bytes = quota_bytes
        self.delay_s = delay_s
        self.lock = threading.RLock()
        self.calls: list[str] = []
        self.codes_per_day = 100
        self.now = lambda: datetime.now(UTC)
        self.state: dict[str, Any] = {
            "links": {TOKEN: "link-1", OTHER_TOKEN: "link-2"},
            "pre": {},
            "sessions": {},
            "uploads": {},
            "checklist": {
                "doctors_notes": "wanted",
                "labs": "wanted",
                "imaging": "wanted",
                "radiology_report": "wanted",
            },
            "case_state": "collecting",
            "finished_at": None,
            "answer_read": None,
        }
        kept = folder / "state.json"
        if kept.exists():
            self.state = json.loads(kept.read_text())

    # helpers of tests

    def codes(self) -> list[str]:
        file = self.folder / "codes.txt"
        return file.read_text().split() if file.exists() else []

    def content(self, upload_id: str) -> bytes:
        return (self.folder / f"{upload_id}.bin").read_bytes()

    def keep(self) -> None:
        fresh = self.folder / "state.json.new"
        fresh.write_text(json.dumps(self.state))
        fresh.replace(self.folder / "state.json")

    def expire_upload(self, upload_id: str) -> None:
        self.state["uploads"][upload_id]["expires_at"] = (self.now() - timedelta(seconds=1)).isoformat()

    # the seam

    def open_link(self, token: str, *, address: str) -> seam.PreSession:
        self.calls.append("open_link")
        link = self.state["links"].get(token)
        if link is None:
            raise ForbiddenError
        with self.lock:
            pre = secrets.token_hex(32)
            self.state["pre"][pre] = {"link": link, "code": None, "tries": 0}
            self.keep()
        return seam.PreSession(token=pre, channel_hint="•••• 42")

    def send_code(self, pre_session: str, *, address: str) -> datetime:
        self.calls.append("send_code")
        with self.lock:
            known = self.state["pre"].get(pre_session)
            if known is None:
                raise ForbiddenError
            if len(self.codes()) >= self.codes_per_day:
                raise TooManyError("too many", retry_after_s=60)
            known["code"] = f"{secrets.randbelow(10**8):08d}"
            known["tries"] = 0
            known["ends"] = (self.now() + timedelta(minutes=10)).isoformat()
            with (self.folder / "codes.txt").open("a") as phone:
                phone.write(known["code"] + "\n")
            self.keep()
            return datetime.fromisoformat(known["ends"])

    def verify_code(self, pre_session: str, code: str, *, address: str) -> str:
        self.calls.append("verify_code")
        with self.lock:
            known = self.state["pre"].get(pre_session)
            if known is None:
                raise ForbiddenError
            if known["code"] is None or known["tries"] >= 5:
                raise ExpiredError
            known["tries"] += 1
            if code != known["code"]:
                raise InvalidError
            del self.state["pre"][pre_session]
            session = secrets.token_hex(32)
            self.state["sessions"][session] = known["link"]
            self.keep()
            return session

    def session(self, session_id: str, *, address: str) -> seam.PatientView | None:
        if session_id not in self.state["sessions"]:
            return None
        return seam.PatientView(case_ref="C-7K3M9QXA", expires_at=self.now() + timedelta(hours=8))

    def end_session(self, session_id: str, *, address: str) -> None:
        self.state["sessions"].pop(session_id, None)
        self.keep()

    def _link(self, session_id: str) -> str:
        try:
            return self.state["sessions"][session_id]
        except KeyError:
            raise SignInError from None

    def view(self, session_id: str, *, address: str) -> seam.CaseView:
        link = self._link(session_id)
        mine = [u for u in self.state["uploads"].values() if u["link"] == link]
        at = self.now()
        delivered = self.state["case_state"] in {"delivered", "closed"}
        clock = seam.ClockView(days=15)
        if self.state["case_state"] in {"in_review", "complete"}:
            clock = seam.ClockView(days=15, expected_by=date(2026, 12, 14))
        if self.state.get("paused"):
            clock = seam.ClockView(days=15, paused_because=self.state["paused"])
        return seam.CaseView(
            ref="C-7K3M9QXA",
            state=self.state["case_state"],
            opinion="mdt",
            receives=not delivered,
            clock=clock,
            documents=tuple(
                seam.DocumentView(
                    name=u["name"],
                    size_bytes=u["size"],
                    category=u["category"],
                    state=u.get("doc_state", "arrived"),
                    received_at=at,
                )
                for u in mine
                if u["done"]
            ),
            unfinished=tuple(
                self._state(key, u)
                for key, u in self.state["uploads"].items()
                if u["link"] == link and not u["done"]
            ),
            studies=(
                seam.StudyView(modality="CT", study_date=date(2026, 5, 12), images=1284, sender="RADIOLOGY1"),
            )
            if self.state.get("studies")
            else (),
            checklist=tuple(
                seam.ChecklistItem(item=item, state=state) for item, state in self.state["checklist"].items()
            ),
            opened_by=(
                seam.Opening(at=at - timedelta(hours=20), role="coordinator"),
                seam.Opening(at=at - timedelta(hours=2), role="reviewer"),
            )
            if self.state.get("opened")
            else (),
            answer=seam.AnswerNotice(delivered_at=at) if delivered else None,
        )

    def read_answer(self, session_id: str, *, address: str) -> seam.AnswerView:
        self._link(session_id)
        if self.state["case_state"] != "delivered":
            raise NotFoundError
        return seam.AnswerView(
            delivered_at=self.now(),
            signed_at=self.now(),
            parts=(
                ("question", "Is surgery possible?"),
                ("findings", "One lesion of 18 mm.\n\nNo sign of spread <b>in these images</b>."),
                ("recommendation", "Resection of the lower left lobe."),
                ("alternatives", ""),
                ("confidence", "High."),
            ),
        )

    def _state(self, upload_id: str, u: dict[str, Any]) -> seam.UploadState:
        file = self.folder / f"{upload_id}.bin"
        return seam.UploadState(
            id=upload_id,
            name=u["name"],
            category=u["category"],
            media_type=u["media_type"],
            size_bytes=u["size"],
            offset=file.stat().st_size if file.exists() else 0,
            expires_at=datetime.fromisoformat(u["expires_at"]),
        )

    def create_upload(
        self, session_id: str, *, name: str, size_bytes: int, category: str, media_type: str, address: str
    ) -> seam.UploadState:
        self.calls.append("create_upload")
        with self.lock:
            link = self._link(session_id)
            if sum(u["size"] for u in self.state["uploads"].values()) + size_bytes > self.quota_bytes:
                raise TooLargeError
            upload_id = secrets.token_hex(16)
            self.state["uploads"][upload_id] = {
                "link": link,
                "name": name,
                "size": size_bytes,
                "category": category,
                "media_type": media_type,
                "done": False,
                "expires_at": (self.now() + timedelta(hours=24)).isoformat(),
            }
            (self.folder / f"{upload_id}.bin").touch()
            self.keep()
            return self._state(upload_id, self.state["uploads"][upload_id])

    def upload(self, session_id: str, upload_id: str, *, address: str) -> seam.UploadState:
        link = self._link(session_id)
        known = self.state["uploads"].get(upload_id)
        if known is None or known["link"] != link:
            raise NotFoundError
        if not known["done"] and datetime.fromisoformat(known["expires_at"]) < self.now():
            raise ExpiredError
        return self._state(upload_id, known)

    def append(self, session_id: str, upload_id: str, *, offset: int, chunk: bytes, address: str) -> int:
        self.calls.append("append")
        if self.delay_s:
            threading.Event().wait(self.delay_s)
        with self.lock:
            state = self.upload(session_id, upload_id, address=address)
            if offset != state.offset:
                raise ConflictError
            with (self.folder / f"{upload_id}.bin").open("ab") as file:
                file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            return offset + len(chunk)

    def finish_upload(self, session_id: str, upload_id: str, *, address: str) -> None:
        self.calls.append("finish_upload")
        with self.lock:
            state = self.upload(session_id, upload_id, address=address)
            if state.offset != state.size_bytes:
                raise ConflictError
            self.state["uploads"][upload_id]["done"] = True
            if self.state["checklist"].get(state.category):
                self.state["checklist"][state.category] = "received"
            self.keep()

    def abandon_upload(self, session_id: str, upload_id: str, *, address: str) -> None:
        with self.lock:
            self.upload(session_id, upload_id, address=address)
            if self.state["uploads"][upload_id]["done"]:
                raise ConflictError
            del self.state["uploads"][upload_id]
            (self.folder / f"{upload_id}.bin").unlink()
            self.keep()

    def mark_missing(self, session_id: str, item: str, *, address: str) -> None:
        self._link(session_id)
        now = self.state["checklist"].get(item)
        if now == "received":
            raise ConflictError
        self.state["checklist"][item] = "wanted" if now == "not_available" else "not_available"
        self.keep()

    def finish(self, session_id: str, *, address: str) -> seam.Receipt:
        self.calls.append("finish")
        for upload_id, known in self.state["uploads"].items():
            if not known["done"] and self._state(upload_id, known).offset == known["size"]:
                known["done"] = True
        self.state["finished_at"] = self.now().isoformat()
        self.keep()
        return self.receipt(session_id, address=address)

    def receipt(self, session_id: str, *, address: str) -> seam.Receipt:
        link = self._link(session_id)
        return seam.Receipt(
            number="K7Q2-M9XA",
            case_ref="C-7K3M9QXA",
            made_at=self.now(),
            lines=tuple(
                seam.ReceiptLine(
                    name=u["name"],
                    size_bytes=u["size"],
                    sha256=hashlib.sha256(self.content(key)).hexdigest(),
                    category=u["category"],
                    received_at=self.now(),
                )
                for key, u in self.state["uploads"].items()
                if u["link"] == link and u["done"]
            ),
        )
