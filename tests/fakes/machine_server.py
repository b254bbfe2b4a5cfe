"""The door for programs on a real socket, over a house in process; and the requests that a sender would write."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.doors.http import DoorConfig, House, server
from gateway.doors.machine.app import machine_app
from gateway.journeys.know_peer import add_peer, give_token
from tests.fakes.journey_house import DESK, JourneyHouse, open_house

BOUNDARY = "a-boundary"
RELATED = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'


@dataclass
class Answer:
    """What came back, and its body as JSON where it is."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def reasons(self, tag: str = "00081198") -> list[int]:
        """The failure reasons of a sequence of the answer."""
        items = self.json().get(tag, {}).get("Value", [])
        return [item["00081197"]["Value"][0] for item in items]

    def stored(self) -> list[str]:
        """The SOP instance UIDs that are told as kept."""
        items = self.json().get("00081199", {}).get("Value", [])
        return [item["00081155"]["Value"][0] for item in items]


def multipart(*parts: bytes, head: str = "Content-Type: application/dicom\r\n", close: bool = True) -> bytes:
    """A body as senders write it."""
    begun = b"".join(f"--{BOUNDARY}\r\n{head}\r\n".encode() + part + b"\r\n" for part in parts)
    return begun + (f"--{BOUNDARY}--\r\n".encode() if close else b"")


class MachineServer:
    """One door over one house, in this process."""

    def __init__(
        self,
        folder: Path,
        *,
        house: JourneyHouse | None = None,
        ports: Any = None,
        trusted: Iterable[str] = (),
        policy: Policy | None = None,
        **options: Any,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.house = house or open_house(folder)
        if policy is not None:
            self.house.policy = policy
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = DoorConfig(
            public_url=self.url, prefix="/machine", trusted_proxies=tuple(ip_network(one) for one in trusted)
        )
        self.ending = contextlib.ExitStack()
        self.app = machine_app(ports or self.house.as_house(), config, ending=self.ending, **options)
        self._uvicorn = server(
            House({"/machine": self.app}, front="/machine"), host="127.0.0.1", port=self.port
        )
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)
        self.token = ""

    def peer(self, ae_title: str = "PACS", **values: Any) -> Peer:
        """Add a peer with a token, which is used from now on."""
        ports = self.house.ports("records", "clock")
        made = add_peer(ae_title=ae_title, **{"hosts": [], **values}, by=DESK, **ports)
        self.token = give_token(ae_title=ae_title, by=DESK, **self.house.ports("records", "random"))
        return made

    def head(self, *, path: str = "/machine/studies", method: str = "POST", **fields: str) -> bytes:
        """The head of a request; a field of None is left out."""
        usual = {
            "Host": f"127.0.0.1:{self.port}",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": RELATED,
        }
        given = usual | {name.replace("_", "-"): value for name, value in fields.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in given.items() if v is not None)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def send(self, body: bytes | Iterable[bytes], *, path: str = "/machine/studies", **fields: Any) -> Answer:
        """POST a body; an iterable is sent in chunks."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        usual = {"Authorization": f"Bearer {self.token}", "Content-Type": RELATED}
        given = usual | {name.replace("_", "-"): value for name, value in fields.items()}
        headers = {name: value for name, value in given.items() if value is not None}
        try:
            link.request("POST", path, body, headers, encode_chunked=not isinstance(body, bytes))
            answer = link.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        finally:
            link.close()

    def store(self, *parts: bytes, **more: Any) -> Answer:
        """Store objects in one request."""
        return self.send(multipart(*parts), **more)

    def connect(self) -> socket.socket:
        link = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def drafts(self) -> list[Path]:
        """Objects that are being written."""
        return [path for path in (self.house.folder / "objects" / "tmp").glob("*") if path.is_file()]

    def close(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(30)
        self.ending.close()
        self.house.close()


@contextlib.contextmanager
def machine_server(folder: Path, **options: Any) -> Iterator[MachineServer]:
    """Serve for the time of a test, with one peer that may store from here."""
    served = MachineServer(folder, **options)
    try:
        served.peer()
        yield served
    finally:
        served.close()
