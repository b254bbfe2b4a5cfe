"""A DICOM node in a process of its own, so that its memory can be looked at: `NodeProcess` starts it, `main` is it."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from dicom_node.ae import Limits
from dicom_node.node import DicomNode, Listening
from dicom_node.receiver import Admitted, StoreOutcome
from dicom_node.tls import Identity, ServerTls, Trust

ROOT = Path(__file__).parents[2]


class NodeProcess:
    """A context manager; ``limits`` are those of `dicom_node.ae.Limits`, ``identity`` a certificate for a TLS listener."""

    def __init__(
        self, *, identity: tuple[Path, Path] | None = None, trusted_pem: str = "", **limits: Any
    ) -> None:
        tls = (
            {"identity": [str(path) for path in identity], "authorities_pem": trusted_pem}
            if identity
            else None
        )
        self._asked = json.dumps({"limits": limits, "tls": tls})

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.node_process", self._asked],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port, *rest = json.loads(self._process.stdout.readline())
        self.tls_port = rest[0] if rest else 0
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
        assert found
        return int(found[1])

    @property
    def resident_bytes(self) -> int:
        return self._status("VmRSS") * 1024

    @property
    def most_resident_bytes(self) -> int:
        """The most there was since the start."""
        return self._status("VmHWM") * 1024

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))


class _Receiver:
    """Admits everybody, reads everything, keeps nothing."""

    def admit(self, attempt: Any) -> Admitted:
        return Admitted(may_store=True, may_echo=True)

    def receive(self, instance: Any) -> StoreOutcome:
        buffer = bytearray(1 << 18)
        while instance.stream.readinto(buffer):
            pass
        return StoreOutcome(status=0)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class _Trust:
    def __init__(self, trust: Trust) -> None:
        self._trust = trust

    def trust(self) -> Trust:
        return self._trust


def main() -> None:
    asked = json.loads(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listening = [Listening(host="127.0.0.1", port=0)]
    if asked["tls"]:
        certificate, key = map(Path, asked["tls"]["identity"])
        trust = Trust(
            version="1",
            identity=Identity(certificate=certificate, key=key),
            authorities_pem=asked["tls"]["authorities_pem"],
        )
        listening.append(Listening(host="127.0.0.1", port=0, tls=ServerTls(_Trust(trust))))
    os.environ.pop("PYTHONWARNINGS", None)
    node = DicomNode(receiver=_Receiver(), listeners=listening, limits=Limits(**asked["limits"]))  # type: ignore[arg-type]
    print(json.dumps([port for _, port in node.start()]), flush=True)
    sys.stdin.read()
    node.stop(timeout_s=2)


if __name__ == "__main__":
    main()
