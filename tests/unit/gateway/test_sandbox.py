"""F4: what a parser that was taken over may try stays inside its child, and comes back as words."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.adapters import kernel, seccomp
from gateway.adapters.sandbox import ForkingSandbox
from gateway.adapters.sandbox_seam import MIB, Limits
from gateway.ports import SandboxFailed, SandboxResult

HOSTILE = Path(__file__).parent / "hostile"


def hostile_sandbox(**settings):
    return ForkingSandbox(tasks="hostile_tasks", search_path=(HOSTILE,), **settings)


@pytest.fixture(scope="module")
def sandbox():
    with hostile_sandbox(limits=Limits(cpu_s=1, wall_s=20)) as running:
        yield running


def failure(sandbox, task, **options):
    outcome = sandbox.run(task, b"", options)
    assert isinstance(outcome, SandboxFailed), outcome
    return outcome


def test_a_task_gives_back_its_values_and_bytes(sandbox):
    assert sandbox.run("echo", b"abc", {"a": [1]}) == SandboxResult(
        meta={"size": 3, "options": {"a": [1]}}, content=b"abc"
    )


def test_a_payload_may_come_in_pieces(sandbox):
    assert sandbox.run("echo", iter([b"ab", b"", b"c"]), {}).content == b"abc"
    assert sandbox.run("echo", memoryview(b"abc"), {}).content == b"abc"


def test_large_payloads_pass_whole(sandbox):
    payload = os.urandom(MIB) * 40
    assert sandbox.run("echo", payload, {}).content == payload


@pytest.mark.abuse
@pytest.mark.parametrize(
    ("task", "codes"),
    [
        ("open_socket", {"forbidden_call", "unreadable"}),
        ("open_unix_socket", {"forbidden_call", "unreadable"}),
        ("run_program", {"forbidden_call", "unreadable"}),
        ("trace_parent", {"forbidden_call"}),
        ("kill_parent", {"forbidden_call"}),
        ("become_root_elsewhere", {"forbidden_call"}),
        ("write_password_file", {"unreadable"}),
        ("fork_bomb", {"unreadable"}),
        ("start_thread", {"unreadable"}),
        ("memory_file", {"unreadable"}),
        ("read_parent_memory", {"unreadable"}),
        ("raise_limits", {"unreadable"}),
        ("allocate", {"memory_limit"}),
        ("spin", {"cpu_limit"}),
        ("spin_on", {"cpu_limit"}),
        ("nest", {"too_deep", "crashed"}),
        ("crash", {"crashed"}),
        ("abort", {"crashed"}),
        ("break_down", {"unreadable"}),
        ("lie_about_size", {"output_limit"}),
        ("answer_nonsense", {"crashed"}),
        ("claim_another_code", {"crashed"}),
        ("no_such_task", {"unknown_task"}),
    ],
)
@pytest.mark.skipif(not seccomp.supported(), reason="no system-call filter for this processor")
def test_an_escape_is_contained_and_told_in_words(sandbox, task, codes):
    outcome = failure(sandbox, task)
    assert outcome.code in codes
    assert "Andersson" not in outcome.reason
    assert sandbox.run("echo", b"still here", {}).content == b"still here"


@pytest.mark.abuse
def test_nothing_is_written_where_the_user_may_write(sandbox, tmp_path):
    target = tmp_path / "leak"
    failure(sandbox, "write_file", path=str(target))
    assert not target.exists()


@pytest.mark.abuse
@pytest.mark.skipif(not kernel.landlock_version(), reason="this kernel has no Landlock")
def test_only_the_program_itself_can_be_read(sandbox, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    for path in (secret, Path("/etc/passwd"), Path("/proc/self/environ")):
        failure(sandbox, "read_file", path=str(path))
    failure(sandbox, "list_folder", path="/tmp")
    assert isinstance(sandbox.run("read_file", b"", {"path": kernel.__file__}), SandboxResult)


def test_a_child_holds_no_descriptor_environment_or_core_dump_of_its_owner(sandbox, monkeypatch):
    monkeypatch.setenv("CONSILIUM_SECRET", "x")
    with hostile_sandbox(workers=1) as fresh:
        seen = fresh.run("look_around", b"", {}).meta
    assert seen["open"] == 6  # three that lead nowhere, the request, the payload, the answer
    assert not [name for name in seen["environment"] if name.startswith("CONSILIUM")]
    assert seen["core"] == [0, 0]


def test_no_task_finds_what_an_earlier_one_left(sandbox):
    assert [sandbox.run("remember", b"", {}).meta["before"] for _ in range(3)] == ["", "", ""]


def test_a_child_that_sleeps_is_killed_at_the_deadline(sandbox):
    begun = time.monotonic()
    outcome = sandbox.run("sleep", b"", {}, limits=Limits(wall_s=0.3))
    assert isinstance(outcome, SandboxFailed)
    assert outcome.code == "time_limit"
    assert time.monotonic() - begun < 5


def test_more_output_than_allowed_is_refused(sandbox):
    outcome = sandbox.run("flood", b"", {}, limits=Limits(output_bytes=MIB))
    assert isinstance(outcome, SandboxFailed)
    assert outcome.code == "output_limit"


def test_many_threads_share_one_sandbox(sandbox):
    outcomes = []

    def work(number):
        for _ in range(5):
            outcome = sandbox.run("echo", b"%d" % number, {})
            outcomes.append(outcome.content == b"%d" % number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 40


def test_no_descriptor_is_left_open(sandbox):
    sandbox.run("echo", b"", {})
    before = len(list(Path("/proc/self/fd").iterdir()))
    for task in ("echo", "crash", "spin", "lie_about_size"):
        sandbox.run(task, b"x", {})
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_killed_sandbox_is_started_again():
    with hostile_sandbox(workers=1) as fresh:
        assert fresh.run("echo", b"a", {}).content == b"a"
        fresh._parent._process.kill()
        fresh._parent._process.wait()
        assert fresh.run("echo", b"b", {}).content == b"b"


def test_a_task_whose_sandbox_is_killed_is_nobodys_fault():
    with hostile_sandbox(workers=1) as fresh:
        fresh.start()
        threading.Timer(0.5, fresh._parent._process.kill).start()
        assert failure(fresh, "sleep").code == "unavailable"


def test_a_sandbox_that_cannot_start_is_a_value(capfd):
    with ForkingSandbox(tasks="no_such_module") as broken:
        assert failure(broken, "echo").code == "unavailable"
        assert broken.describe() == {"running": False}


def test_it_says_what_is_in_force(sandbox):
    told = sandbox.describe()
    assert told["running"]
    assert told["network"]
    assert (told["system_calls"] == "allow list") == seccomp.supported()
    assert ("Landlock" in told["files"]) == bool(kernel.landlock_version())


def test_children_die_with_a_killed_owner(tmp_path):
    program = f"""
import sys
from gateway.adapters.sandbox import ForkingSandbox
from pathlib import Path
sandbox = ForkingSandbox(tasks="hostile_tasks", search_path=(Path({str(HOSTILE)!r}),), workers=1)
sandbox.start()
print(sandbox._parent._process.pid, flush=True)
sandbox.run("sleep", b"", {{}})
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with owner:
        childrens_parent = int(owner.stdout.readline())
        children = Path(f"/proc/{childrens_parent}/task/{childrens_parent}/children")
        assert _soon(lambda: children.read_text().split())
        child = children.read_text().split()[0]
        owner.kill()
        owner.wait()
        assert _soon(lambda: _gone(childrens_parent) and _gone(child))


def _others_can_run_python():
    folders = [
        folder
        for place in (Path(sys.base_prefix), Path(sys.prefix), HOSTILE)
        for folder in (place, *place.parents)
    ]
    return all(folder.stat().st_mode & 0o001 for folder in folders)


@pytest.mark.skipif(
    os.geteuid() != 0 or not _others_can_run_python(), reason="needs root, and a Python that others may run"
)
def test_it_confines_an_ordinary_user_as_well():
    program = f"""
import os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from gateway.adapters.sandbox import ForkingSandbox
from pathlib import Path
with ForkingSandbox(tasks="hostile_tasks", search_path=(Path({str(HOSTILE)!r}),), workers=1) as sandbox:
    print(sandbox.run("echo", b"abc", {{}}).content.decode())
    for task in ("open_socket", "write_password_file", "fork_bomb"):
        print(sandbox.run(task, b"", {{}}).code)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["abc", "forbidden_call", "unreadable", "unreadable"], done.stderr


def _gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _soon(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False
