"""Runs the patient's door over the fake service on a loopback port, as a process of its own that a test may kill."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from gateway.doors.http import DoorConfig, server
from gateway.doors.patient import create_app
from tests.fakes.patient_service import FakePatientService


class PatientServer:
    """The process from outside: it can be killed and started again on the same port over the same folder."""

    def __init__(self, folder: Path, *, delay_s: float = 0.0) -> None:
        self.folder = folder
        self.delay_s = delay_s
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.fakes.serve_patient",
            str(self.folder),
            str(self.port),
            str(self.delay_s),
        ]
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """kill -9, by process id."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def last_code(self) -> str:
        return (self.folder / "codes.txt").read_text().split()[-1]


def main() -> None:
    folder, port, delay_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    port = listener.getsockname()[1]
    config = DoorConfig(public_url=f"http://127.0.0.1:{port}", prefix="/p", default_language="en")
    app = create_app(FakePatientService(folder, delay_s=delay_s), config, max_file_bytes=1 << 32)
    print(port, flush=True)
    server(app, host="127.0.0.1", port=port).run(sockets=[listener])


if __name__ == "__main__":
    main()
