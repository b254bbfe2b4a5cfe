"""A Ceph object gateway of Debian's packages: monitor, disk in memory and gateway on loopback, shared by all test workers of a run.

Run as a module it is the warden: it starts the three, says where they answer, and ends them by their process ids when
nobody holds the lock of users any more, however the users ended. If the warden itself is killed, the kernel ends the three.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from minio import Minio

from storage.objects.s3 import S3Objects
from storage.objects.s3_address import S3Address, S3Credentials
from tests.fakes.certificates import Authority

PACKAGES = "radosgw ceph-mon ceph-osd"
PROGRAMS = ("ceph-authtool", "monmaptool", "ceph-mon", "ceph-osd", "ceph", "radosgw", "radosgw-admin")
START_S = 90
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG

CONFIGURATION = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}]
mon initial members = a
keyring = {folder}/keyring
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
ms bind ipv6 = false
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
mon data avail crit = 1
mon data avail warn = 1
mon data = {folder}/mon
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
paxos propose interval = 0.02
paxos min wait = 0.01
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
log to stderr = false
err to stderr = false
admin socket =
pid file =
run dir = {folder}
crash dir = {folder}
rgw data = {folder}
rgw enable usage log = false
rgw bucket quota ttl = 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where it answers, and who may come."""

    port: int
    access_key: str
    secret_key: str
    folder: Path
    tls_port: int = 0

    @property
    def authority(self) -> Path:
        """Who vouches for the TLS port's certificate, which names 127.0.0.1 and nothing else."""
        return self.folder / "authority.pem"

    def bucket(self, *, at: int = 0, prefix: str = "one", region: str = "us-east-1") -> str:
        """Make an empty bucket and return its address; `at` is the port of a proxy before the gateway."""
        name = f"b{secrets.token_hex(8)}"
        endpoint = f"127.0.0.1:{self.port}"
        Minio(endpoint, self.access_key, self.secret_key, secure=False, region=region).make_bucket(name)
        return f"s3+http://127.0.0.1:{at or self.port}/{name}/{prefix}?region={region}"

    def objects(self, address: str, **kwargs: Any) -> S3Objects:
        """Open the store at an address with the right credentials."""
        credentials = S3Credentials(access_key=self.access_key, secret_key=self.secret_key)
        return S3Objects(S3Address.parse(address), credentials, **kwargs)

    def admin(self, *words: str) -> str:
        """Run ``radosgw-admin``; for quotas and what else an operator sets."""
        return _run("radosgw-admin", "-c", self.folder / "ceph.conf", *words)


def missing_programs() -> list[str]:
    """Return what is not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def folder_of(tmp_path_factory: Any) -> Path:
    """Return the one folder that all workers of this run of the tests share."""
    base: Path = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "radosgw"


@contextmanager
def shared(folder: Path) -> Iterator[Gateway]:
    """Use the gateway of this folder; start it where nobody has, and leave ending it to its warden."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("w") as users:
        with (folder / "start").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)  # one starts, the others wait
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a warden that is just leaving
            told = folder / "ready.json"
            if not told.exists():
                _start_warden(folder, told)
            ready = json.loads(told.read_text())
        yield Gateway(**{**ready, "folder": Path(ready["folder"])})


def _start_warden(folder: Path, told: Path) -> None:
    log = folder / "warden.log"
    with log.open("w") as out:
        warden = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.radosgw", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # it outlives the worker that began first
        )
    ends = time.monotonic() + START_S
    while not told.exists():
        if warden.poll() is not None or time.monotonic() > ends:
            warden.terminate()
            raise RuntimeError(f"Ceph's gateway did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)
    # Not waited for: the warden ends after the last user, of which this process may not be one.
    warden.returncode = 0


class Cluster:
    """The three programs, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        self.conf = folder / "ceph.conf"

    def start(self) -> dict[str, object]:
        mon_port, port, fsid = free_port(), free_port(), str(uuid.uuid4())
        keyring, monmap = self.folder / "keyring", self.folder / "monmap"
        self.conf.write_text(CONFIGURATION.format(folder=self.folder, mon_port=mon_port, fsid=fsid))
        for name in ("mon", "osd"):
            (self.folder / name).mkdir()
        _run(
            "ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"
        )
        everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
        _run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *everything)
        disk = ("--cap", "mon", "allow profile osd", "--cap", "osd", "allow *")
        _run("ceph-authtool", keyring, "--gen-key", "-n", "osd.0", *disk)
        _run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{mon_port}]", "--fsid", fsid, monmap)
        _run("ceph-mon", "-c", self.conf, "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._spawn("ceph-mon", "-i", "a")
        disk_id = str(uuid.uuid4())
        _run("ceph", "-c", self.conf, "--connect-timeout", "30", "osd", "new", disk_id)
        _run("ceph-osd", "-c", self.conf, "-i", "0", "--mkfs", "--osd-uuid", disk_id, "--no-mon-config")
        self._spawn("ceph-osd", "-i", "0")
        access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
        user = ("--uid=consilium", "--display-name=consilium", "--max-buckets=0")
        keys = (f"--access-key={access_key}", f"--secret-key={secret_key}")
        _run("radosgw-admin", "-c", self.conf, "user", "create", *user, *keys)
        tls_port, pem = free_port(), self.folder / "gateway.pem"
        authority = Authority(self.folder)
        (self.folder / "authority.pem").write_text(authority.pem)
        ours = authority.issue("127.0.0.1", sans=("127.0.0.1",))
        pem.write_text(ours.pem + ours.key_pem)
        ends = f"endpoint=127.0.0.1:{port} ssl_endpoint=127.0.0.1:{tls_port} ssl_certificate={pem} ssl_private_key={pem}"
        self._spawn("radosgw", "-n", "client.admin", f"--rgw-frontends=beast {ends}")
        self._wait_for(port)
        told = {"port": port, "tls_port": tls_port, "folder": str(self.folder)}
        return {**told, "access_key": access_key, "secret_key": secret_key}

    def stop(self) -> None:
        for child in reversed(self.children):
            child.kill()  # nothing in it is to be kept
            child.wait(10)

    def _spawn(self, program: str, *words: str) -> None:
        parent = os.getpid()
        out = (self.folder / f"{program}.out").open("wb")
        self.children.append(
            subprocess.Popen(
                [program, "-c", self.conf, "-f", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - the warden has one thread
            )
        )

    def _wait_for(self, port: int) -> None:
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            for child in self.children:
                if child.poll() is not None:
                    raise RuntimeError(f"{child.args!r} ended with {child.returncode}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        raise RuntimeError("the gateway does not answer")


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _run(*words: object) -> str:
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr[-1500:]}")
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unused(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(folder: Path) -> None:
    """Start all, tell where, and end all when nobody uses it."""
    memory = Path("/dev/shm")
    mine = Path(tempfile.mkdtemp(prefix="rgw", dir=memory if os.access(memory, os.W_OK) else None))
    cluster = Cluster(mine)
    told = folder / "ready.json"
    try:
        ready = cluster.start()
        draft = folder / "ready.draft"
        draft.write_text(json.dumps(ready))
        draft.rename(told)
        with (folder / "users").open() as users:
            while not _unused(users):
                time.sleep(0.5)
            told.unlink()  # under the lock: who comes now starts anew
            cluster.stop()
    finally:
        cluster.stop()
        shutil.rmtree(mine, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
