"""One parent, its children, and what each does when the other ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.cli.supervisor import HomeBusyError, run_tree, running_parts

CHILD = """
import os, signal, sys, time
from gateway.cli.supervisor import announce_ready
def end(*_):
    print("stopping", flush=True)
    time.sleep({stop_s})
    with open({log!r}, "a") as log: log.write(os.environ["CONSILIUM_PART"] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
announce_ready("here:" + str(os.getpid()))
print("hello", flush=True)
time.sleep(600)
"""
TREE = """
import sys, json
from pathlib import Path
from gateway.cli.supervisor import run_tree
commands = json.loads(sys.argv[2])
sys.exit(run_tree(commands, home=Path(sys.argv[1]), grace_s=float(sys.argv[3])))
"""


class Tree:
    def __init__(self, home, commands, *, grace_s=10.0, environment=None):
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-c", TREE, str(home), json.dumps(commands), str(grace_s)],
            stdout=subprocess.PIPE,
            stderr=(home / "stderr").open("wb"),
            text=True,
            env=os.environ | (environment or {}),
        )

    def ready(self):
        return self.process.stdout.readline()

    def status(self):
        return running_parts(self.home)

    def pid(self, name):
        return self.status()["parts"][name]["pid"]

    def stderr(self):
        return (self.home / "stderr").read_text()

    def stop(self, timeout_s=20):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@pytest.fixture
def grow(tmp_path):
    trees = []

    def start(commands, **settings):
        (tmp_path / "run").mkdir(exist_ok=True)
        trees.append(Tree(tmp_path, commands, **settings))
        return trees[-1]

    yield start
    for tree in trees:
        tree.process.kill()
        tree.process.wait()
        tree.process.stdout.close()


@pytest.fixture
def child(tmp_path):
    def command(*, stop_s=0.0, code=None):
        program = code or CHILD.format(log=str(tmp_path / "ends"), stop_s=stop_s)
        return [sys.executable, "-c", program]

    return command


def soon(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_one_ready_line_when_all_parts_answer_then_a_clean_stop_doors_first(grow, child, tmp_path):
    tree = grow({name: child() for name in ("scheduler", "worker", "web", "dicom")})
    line = tree.ready()
    assert line.startswith("ready ")
    assert f"web=here:{tree.pid('web')}" in line
    assert {part["state"] for part in tree.status()["parts"].values()} == {"ready"}
    assert tree.stop() == 0
    ends = (tmp_path / "ends").read_text().split()
    assert set(ends[:2]) == {"web", "dicom"}
    assert ends[2:] == ["worker", "scheduler"]
    assert tree.status() == {}
    assert "web       | hello" in tree.stderr()


def test_a_killed_child_is_back_within_two_seconds(grow, child):
    tree = grow({"web": child(), "worker": child()})
    tree.ready()
    first, other = tree.pid("web"), tree.pid("worker")
    begun = time.monotonic()
    os.kill(first, signal.SIGKILL)
    assert soon(
        lambda: tree.pid("web") not in {None, first} and tree.status()["parts"]["web"]["state"] == "ready"
    )
    assert time.monotonic() - begun < 2
    assert tree.pid("worker") == other
    assert tree.status()["parts"]["web"]["restarts"] == 1


def test_children_and_what_they_started_die_with_a_killed_supervisor(grow, child):
    tree = grow({name: child() for name in ("web", "worker")})
    tree.ready()
    pids = [tree.pid("web"), tree.pid("worker")]
    tree.process.kill()
    tree.process.wait()
    assert soon(lambda: all(gone(pid) for pid in pids), 2.0)


def test_what_a_dead_child_started_is_cleared_away(grow, child, tmp_path):
    grandchild = tmp_path / "grandchild"
    code = f"""
import subprocess, sys, time
from pathlib import Path
from gateway.cli.supervisor import announce_ready
started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path({str(grandchild)!r}).write_text(str(started.pid))
announce_ready()
time.sleep(600)
"""
    tree = grow({"worker": child(code=code)})
    tree.ready()
    pid = int(grandchild.read_text())
    os.kill(tree.pid("worker"), signal.SIGKILL)
    assert soon(lambda: gone(pid))


def test_a_second_tree_on_the_same_home_is_told_who_holds_it(grow, child, tmp_path):
    tree = grow({"web": child()})
    tree.ready()
    with pytest.raises(HomeBusyError, match=f"process {tree.process.pid}"):
        run_tree({"web": child()}, home=tmp_path)


def test_a_killed_supervisor_leaves_a_home_that_starts_again(grow, child):
    tree = grow({"web": child()})
    tree.ready()
    tree.process.kill()
    tree.process.wait()
    again = grow({"web": child()})
    assert again.ready().startswith("ready")
    assert again.stop() == 0


def test_a_child_that_will_not_stop_is_killed_in_time(grow, child):
    tree = grow({"web": child(stop_s=600), "worker": child()}, grace_s=1.0)
    tree.ready()
    pid = tree.pid("web")
    begun = time.monotonic()
    assert tree.stop() == 1
    assert time.monotonic() - begun < 4
    assert gone(pid)
    assert "time to stop was over: web" in tree.stderr()


def test_a_second_signal_ends_the_wait(grow, child):
    tree = grow({"web": child(stop_s=600)}, grace_s=60)
    tree.ready()
    tree.process.send_signal(signal.SIGINT)
    assert soon(lambda: "stopping" in tree.stderr())
    tree.process.send_signal(signal.SIGINT)
    assert tree.process.wait(5) == 1


def test_a_part_that_refuses_its_settings_ends_the_start(grow, child):
    tree = grow({"web": child(), "dicom": child(code="import sys; print('no such port'); sys.exit(2)")})
    assert tree.process.wait(10) == 1
    assert "dicom cannot start (exit code 2)" in tree.stderr()
    assert "dicom     | no such port" in tree.stderr()
    assert tree.ready() == ""


def test_a_part_that_never_answers_is_given_up_after_five_tries(grow, child):
    tree = grow({"dicom": child(code="import sys; sys.exit(3)")})
    assert tree.process.wait(20) == 1
    assert tree.stderr().count("it is started again") == 4


def test_lines_of_json_are_handed_on_as_they_are(grow, child):
    code = 'from gateway.cli.supervisor import announce_ready as a; print(\'{"event": "x"}\', flush=True); a(); import time; time.sleep(9)'
    tree = grow({"web": child(code=code)})
    tree.ready()
    assert soon(lambda: '\n{"event": "x"}\n' in "\n" + tree.stderr())


def test_a_deep_home_is_no_obstacle(tmp_path, child):
    home = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 6)
    home.mkdir(parents=True)
    tree = Tree(home, {"web": child()})
    try:
        assert tree.ready().startswith("ready web=here:")
        assert tree.stop() == 0
    finally:
        tree.process.kill()
        tree.process.wait()
        tree.process.stdout.close()


def test_the_service_manager_is_told(grow, child, tmp_path):
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        told = []

        def listen():
            while "STOPPING=1" not in told:
                told.append(manager.recv(100).decode())

        listener = threading.Thread(target=listen)
        listener.start()
        tree = grow({"web": child()}, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        tree.ready()
        assert tree.stop() == 0
        listener.join(10)
    assert [word for word in told if word != "WATCHDOG=1"] == ["READY=1", "STOPPING=1"]
    assert "WATCHDOG=1" in told
