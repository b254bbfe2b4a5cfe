"""A whole house in a forked child, so that it may be traced, starved and killed: the real node and doors on real sockets.

The parent talks to it only as senders do, and over a pipe for what no sender may ask: the facts of its store. A fork of a
process that has imported everything starts in a tenth of the time that a fresh interpreter needs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from dicom_node.part10 import open_part10
from gateway.compose import Parts, compose
from gateway.compose.doors import dicom_node, doorway
from gateway.domain.people import Actor
from gateway.doors.http import server
from gateway.journeys.know_peer import add_peer, give_token
from gateway.journeys.open_case import open_case
from gateway.journeys.prove_identity import make_link, open_link, send_code, verify_code
from gateway.journeys.verify_audit import verify_audit
from gateway.settings import load_settings
from storage import SealedRef

PACS, HOST = "KUNGSHOLMEN", "127.0.0.1"
OPERATOR = Actor(kind="operator", id="test")


class LiveHouse:
    """A context manager; ``kill`` is kill -9, leaving it a graceful end. ``settings`` go into the child's environment."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home, self._settings = home, settings
        self.http = _free_port()

    def __enter__(self) -> Self:
        began = time.monotonic()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                ours.close()
                _live(self.home, theirs, self.http, self._settings)
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        self._link, self._lines = ours, ours.makefile("r")
        ours.settimeout(60)
        self.dicom = int(self._lines.readline())
        self.start_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._link.sendall(b'{"ask": "stop"}\n')
        self.await_end(20)
        self._lines.close()
        self._link.close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.http}"

    @property
    def is_alive(self) -> bool:
        """Whether it runs; one that was killed is buried on the way."""
        if self.pid:
            with suppress(ChildProcessError):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    self.pid = 0
        return bool(self.pid)

    def kill(self) -> None:
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
            self.await_end(20)

    def await_end(self, within_s: float) -> None:
        until = time.monotonic() + within_s
        while self.is_alive:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                assert time.monotonic() < until + 5, "what was killed does not end: is it traced?"
            time.sleep(0.005)

    def ask(self, what: str) -> Any:
        """Ask for ``facts`` or have something done (see `_ANSWERS`)."""
        self._link.sendall(json.dumps({"ask": what}).encode() + b"\n")
        return json.loads(self._lines.readline())


def prepare(home: Path, **settings: str) -> dict[str, str]:
    """Set up a home with a peer that has a token, and a case whose patient has signed in; in a child of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.close(reading)
            os.environ.update({f"CONSILIUM_{name.upper()}": value for name, value in settings.items()})
            told = _prepared(home)
            os.write(writing, json.dumps(told).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return dict(json.loads(said))


def copy_home(template: Path, home: Path) -> Path:
    """Copy a home that nobody runs; its ballast is made anew by whoever needs it."""
    return Path(shutil.copytree(template, home, ignore=shutil.ignore_patterns("ballast", "*.sock")))


def _prepared(home: Path) -> dict[str, str]:
    parts = compose(load_settings(home))
    try:
        house = parts.house
        base = {"records": house.records, "clock": house.clock}
        add_peer(ae_title=PACS, hosts=[], by=OPERATOR, **base)
        token = give_token(ae_title=PACS, by=OPERATOR, records=house.records, random=house.random)
        case = open_case(
            opinion="mdt",
            patient={"names": [{"family": "Exempelsson", "given": "Ebba"}], "phones": ["+46701740642"]},
            by=OPERATOR,
            store=house.store,
            random=house.random,
            **base,
        )
        rest = {**base, "random": house.random, "policy": house.policy}
        _, link = make_link(ref=case.ref, by=OPERATOR, **rest)
        shown = open_link(link.partition("#")[2], address=HOST, **rest)
        send_code(shown.token, address=HOST, store=house.store, texter=house.texter, **rest)
        text = json.loads((home / "outbox" / "texts.jsonl").read_text().splitlines()[-1])["text"]
        code = next(
            word.strip(".")
            for word in text.split()
            if word.strip(".").isdigit() and len(word.strip(".")) == 8
        )
        session = verify_code(shown.token, code, address=HOST, store=house.store, **rest)
        return {"token": token, "session": session, "ref": case.ref}
    finally:
        parts.close()


def _live(home: Path, link: socket.socket, port: int, settings: dict[str, str]) -> None:
    """The child: serve until told to stop."""
    log = os.open(home.parent / f"{home.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd in (1, 2):
        os.dup2(log, fd)
    os.environ.update({f"CONSILIUM_{name.upper()}": value for name, value in settings.items()})
    parts = compose(load_settings(home, http=f"{HOST}:{port}", dicom=f"{HOST}:0"))
    node = dicom_node(parts)
    ((_, dicom_port),) = node.start()
    listener = socket.create_server((HOST, port), backlog=64)
    web = server(doorway(parts), host=HOST, port=port)
    threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True).start()
    while not web.started:
        time.sleep(0.005)
    lines = link.makefile("rw")
    print(dicom_port, file=lines, flush=True)
    for line in lines:
        wanted = json.loads(line)["ask"]
        if wanted == "stop":
            break
        print(json.dumps(_ANSWERS[wanted](parts)), file=lines, flush=True)
    node.stop(timeout_s=2)


def _facts(parts: Parts) -> dict[str, Any]:
    """Everything that a row names, read to its end; and what lies there that none names."""
    house, folder = parts.house, parts.settings.home / "objects"
    instances: dict[str, str] = {}
    uploads: dict[str, tuple[int, str]] = {}
    broken: list[str] = []
    named: set[str] = set()
    twice = 0
    with house.records.view() as view:
        for row in view.instances.find():
            named.add(row.object_id)
            content = _read(parts, row, view.key(row.holder, "originals"), "original", broken)
            uid = row.head["sop_instance_uid"]
            twice += uid in instances
            if content is not None:
                instances[uid] = hashlib.sha256(open_part10(io.BytesIO(content))[1].read()).hexdigest()
        for upload in view.uploads.find():
            whole = b""
            for part in view.parts.find(upload_id=upload.id, order="offset_bytes"):
                named.add(part.object_id)
                whole += _read(parts, part, view.key(upload.holder, "originals"), "part", broken) or b""
            uploads[upload.id] = (upload.offset_bytes, hashlib.sha256(whole).hexdigest())
        named |= {row.object_id for shelf in (view.documents, view.copies) for row in shelf.find()} - {""}
    verdict = verify_audit(
        by=OPERATOR,
        records=house.records,
        store=house.store,
        witness=house.witness,
        origin=house.policy.tenant,
    )
    on_disk = {path.name for path in folder.glob("??/*")}
    with parts.records._read.connect() as connection:
        integrity = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    return {
        "instances": instances,
        "uploads": uploads,
        "broken": broken,
        "twice": twice,
        "orphans": len(on_disk - named),
        "missing": sorted(named - on_disk),
        "drafts": len(list((folder / "tmp").iterdir())),
        "flaws": [str(flaw) for flaw in verdict.flaws],
        "integrity": integrity,
    }


def _read(parts: Parts, row: Any, key: Any, kind: str, broken: list[str]) -> bytes | None:
    ref = SealedRef(
        object_id=row.object_id, size_bytes=row.size_bytes, digest=row.digest, generation=row.generation
    )
    try:
        parts.house.store.verify(ref, key=key, kind=kind)
        with parts.house.store.open(ref, key=key, kind=kind) as reader:
            return bytes(reader.read())
    except Exception as error:  # whatever it is, the test is told
        broken.append(f"{kind} {row.object_id}: {type(error).__name__}")
        return None


def _events(parts: Parts) -> list[str]:
    with parts.house.records.view() as view:
        return [event.kind for event in view.events()]


def _watch(parts: Parts) -> bool:
    """Do what the scheduler does each second; it is a process of its own in a real exchange."""
    from gateway.journeys.check_room import watch_room

    watch_room(records=parts.house.records, room=parts.house.room)
    return bool(parts.house.room.told_of)


def _ballast(parts: Parts) -> int:
    return sum(one.held_bytes for one in parts.gauge.ballasts)


_ANSWERS = {"facts": _facts, "events": _events, "watch": _watch, "ballast": _ballast}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
