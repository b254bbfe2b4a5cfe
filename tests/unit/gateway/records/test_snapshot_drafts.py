"""What a killed backup leaves is a whole copy of the records: no later call and no start leaves it there, and no living one loses its own."""

import signal
import subprocess
import sys
import threading

import pytest

from gateway.cli.backup_parts import checker
from gateway.compose import compose
from gateway.domain.errors import UnavailableError
from gateway.records.snapshot_drafts import draft_beside, sweep_drafts
from gateway.settings import Settings

HOLD = """
import sys
from pathlib import Path
from gateway.records.snapshot_drafts import draft_beside
with draft_beside(Path(sys.argv[1])) as draft:
    draft.write_bytes(b"wrapped keys of a forgotten case")
    Path(f"{draft}-journal").write_bytes(b"pages")
    print(draft, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def maker():
    """Start a process that holds a draft in a folder."""
    running = []

    def start(folder):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(child)
        assert child.stdout.readline()
        return child

    yield start
    for child in running:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def _left(folder):
    return sorted(path.name for path in folder.rglob("*") if path.name.startswith((".snapshot-", ".look-")))


@pytest.mark.parametrize("inside", ["", ".look-abc"])
def test_a_living_draft_stays_with_its_side_files_and_a_dead_one_goes_with_them(tmp_path, maker, inside):
    folder = tmp_path / inside
    child = maker(folder)
    alive = _left(tmp_path)
    assert len([name for name in alive if name.startswith(".snapshot-")]) == 2
    assert sweep_drafts(tmp_path) == 0
    assert _left(tmp_path) == alive
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert _left(tmp_path) == alive, "a kill leaves it"
    assert sweep_drafts(tmp_path) == 1
    assert _left(tmp_path) == []


def test_what_lay_beside_a_draft_that_is_gone_goes_too(tmp_path):
    (tmp_path / ".snapshot-0123456789abcdef-wal").write_bytes(b"pages")
    sweep_drafts(tmp_path)
    assert _left(tmp_path) == []


def test_the_next_start_of_the_house_sweeps(tmp_path, maker):
    settings = Settings(home=tmp_path / "home", workers=1)
    compose(settings).close()
    for folder in (
        settings.home / "records",
        settings.home / "records" / ".look-x",
        settings.home / ".look-y",
    ):
        child = maker(folder)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert len(_left(settings.home)) == 8
    compose(settings).close()
    assert _left(settings.home) == []


def test_looking_at_a_snapshot_leaves_its_draft_only_where_a_start_sweeps(tmp_path):
    met = []

    class Meeting:
        def read(self, _size):
            met.extend(path.parent.parent for path in tmp_path.rglob(".snapshot-*"))
            return b""

    for folder in (tmp_path, tmp_path / "records"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(UnavailableError):  # nothing is no database
            checker(tmp_path)("sqlite", Meeting())
        assert met.pop() == folder
        assert not met
    assert _left(tmp_path) == []


def test_sweeps_that_run_while_drafts_are_made_take_none_of_them(tmp_path):
    stop = threading.Event()

    def sweeping():
        while not stop.is_set():
            sweep_drafts(tmp_path)

    threads = [threading.Thread(target=sweeping) for _ in range(2)]
    [thread.start() for thread in threads]
    try:
        for _ in range(300):
            with draft_beside(tmp_path) as draft:
                with draft.open("r+b") as file:
                    file.write(b"x")
                assert draft.stat().st_size == 1
    finally:
        stop.set()
        [thread.join() for thread in threads]
    assert _left(tmp_path) == []
