"""Runs the patient's door over the fake service on a loopback port, as a process of its own that a test may kill."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from gateway.doors.http import DoorConfig, server
from gateway.doors.patient import create_app
from tests.fakes.patient_service import FakePatientService


def main() -> None:
    folder, port, delay_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    port = listener.getsockname()[1]
    config = DoorConfig(public_url=f"http://127.0.0.1:{port}", prefix="/p", default_language="en")
    app = create_app(FakePatientService(folder, delay_s=delay_s), config, max_file_bytes=1 << 32)
    print(port, flush=True)
    server(app, host="127.0.0.1", port=port).run(sockets=[listener])


if __name__ == "__main__":
    main()
