"""Orthanc from Debian as a running process: a PACS of the kind that hospitals know, without plugins and with a store of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx

PROGRAM = Path("/usr/sbin/Orthanc")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Orthanc:
    """A context manager; ``modalities`` are those of its configuration, ``http`` speaks to its REST API."""

    def __init__(self, folder: Path, *, ae_title: str, modalities: dict[str, Any], **settings: Any) -> None:
        folder.mkdir()
        self.dicom_port, http_port = _free_port(), _free_port()
        configuration = {
            "Name": ae_title,
            "DicomAet": ae_title,
            "DicomPort": self.dicom_port,
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StorageDirectory": str(folder / "store"),
            "IndexDirectory": str(folder / "store"),
            "Plugins": [],
            "DicomModalities": modalities,
            **settings,
        }
        self._configured = folder / "orthanc.json"
        self._configured.write_text(json.dumps(configuration), encoding="utf-8")
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=60)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [PROGRAM, self._configured],
            cwd=self._configured.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if self.http.get("/system").is_success:
                    return self
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError("Orthanc does not answer")

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._process.terminate()
        self._process.wait(20)

    def take(self, content: bytes) -> str:
        """Give it a Part 10 file; returns its name for it."""
        answer = self.http.post("/instances", content=content).raise_for_status().json()
        return str(answer["ID"])

    def send(self, modality: str, names: list[str], **how: Any) -> dict[str, Any]:
        """Have it send instances; what it says of it."""
        answer = self.http.post(f"/modalities/{modality}/store", json={"Resources": names, **how})
        return dict(answer.json()) | {"ok": answer.is_success}
