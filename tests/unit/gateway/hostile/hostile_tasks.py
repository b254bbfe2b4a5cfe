"""What a parser that was taken over might try, one task each."""

import ctypes
import os
import resource
import signal
import socket
import stat
import time
from pathlib import Path

from gateway.adapters.sandbox_child import FRAME, FRAME_MAGIC


def echo(payload, options):
    return {"size": len(payload), "options": options}, payload


def break_down(payload, options):
    raise ValueError("Anna Andersson 19121212-1212")


def crash(payload, options):
    ctypes.string_at(0)


def abort(payload, options):
    os.abort()


def nest(payload, options):
    return nest(payload, options)


def write_password_file(payload, options):
    with Path("/etc/passwd").open("a") as file:
        file.write("x")


def write_file(payload, options):
    with Path(options["path"]).open("w") as file:
        file.write("x")


def read_file(payload, options):
    with Path(options["path"]).open("rb") as file:
        return {}, file.read()


def list_folder(payload, options):
    return {"names": [path.name for path in Path(options["path"]).iterdir()]}, b""


def open_socket(payload, options):
    socket.socket()


def open_unix_socket(payload, options):
    socket.socket(socket.AF_UNIX)


def fork_bomb(payload, options):
    while True:
        os.fork()


def start_thread(payload, options):
    import threading

    threading.Thread(target=time.sleep, args=(1,)).start()


def run_program(payload, options):
    os.execv("/bin/true", ["true"])  # noqa: S606 - the attack


def allocate(payload, options):
    return {}, bytes(bytearray(2 << 30)[:1])


def memory_file(payload, options):
    os.write(os.memfd_create("x"), b"x")


def spin(payload, options):
    while True:
        pass


def spin_on(payload, options):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


def sleep(payload, options):
    time.sleep(600)


def trace_parent(payload, options):
    attach = 16
    ctypes.CDLL(None).ptrace(attach, os.getppid(), 0, 0)


def read_parent_memory(payload, options):
    with Path(f"/proc/{os.getppid()}/mem").open("rb") as memory:
        memory.read(1)


def kill_parent(payload, options):
    os.kill(os.getppid(), signal.SIGKILL)


def raise_limits(payload, options):
    resource.setrlimit(resource.RLIMIT_CPU, (600, 600))


def become_root_elsewhere(payload, options):
    new_user_namespace = 0x10000000
    ctypes.CDLL(None).unshare(new_user_namespace)


def flood(payload, options):
    return {}, bytes(64 << 20)


def look_around(payload, options):
    open_files = []
    for fd in range(64):
        try:
            os.fstat(fd)
        except OSError:
            continue
        open_files.append(fd)
    return {
        "open": len(open_files),
        "environment": sorted(os.environ),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
    }, b""


def remember(payload, options):
    before = os.environ.get("REMEMBERED", "")
    os.environ["REMEMBERED"] = "yes"
    return {"before": before}, b""


def lie_about_size(payload, options):
    os.write(_answer_pipe(), FRAME.pack(FRAME_MAGIC, 2, 1 << 62) + b"{}")
    os._exit(0)


def answer_nonsense(payload, options):
    os.write(_answer_pipe(), b"\xff" * 4096)
    os._exit(0)


def claim_another_code(payload, options):
    head = b'{"failed": "<script>", "kind": "Anna Andersson"}'
    os.write(_answer_pipe(), FRAME.pack(FRAME_MAGIC, len(head), 0) + head)
    os._exit(0)


def _answer_pipe():
    return next(fd for fd in range(3, 1024) if _is_open(fd) and stat.S_ISFIFO(os.fstat(fd).st_mode))


def _is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


TASKS = {name: task for name, task in list(globals().items()) if callable(task) and not name.startswith("_")}
