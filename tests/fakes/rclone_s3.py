"""``rclone serve s3``: a server that speaks S3 and lacks most of what makes it safe."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fakes.radosgw import Gateway, free_port


def program() -> Path | None:
    """Return the program of the pip package, or of the system."""
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    return Path(found) if found else None


@contextmanager
def running(rclone: Path, folder: Path) -> Iterator[Gateway]:
    """Serve a folder on loopback until the block ends."""
    access_key, secret_key, port = secrets.token_hex(8), secrets.token_hex(16), free_port()
    with (folder / "rclone.log").open("wb") as log:
        kept = folder / "kept"
        kept.mkdir()
        server = subprocess.Popen(
            [rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{access_key},{secret_key}", kept],
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "RCLONE_CONFIG": str(folder / "none.conf")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield Gateway(port=port, access_key=access_key, secret_key=secret_key, folder=folder)
    finally:
        server.kill()
        server.wait(10)
