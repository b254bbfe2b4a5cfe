"""The command line as scripts rely on it: names, options, JSON, exit codes, the ready line, and how an exchange starts and ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicom_node.requestor import Call
from dicom_node.scu import echo
from gateway.cli.demo.material import make_material
from gateway.cli.demo.proof import Searcher, search_folder
from gateway.settings import host_and_port
from tests.factories import patient
from tests.functional.conftest import Commands, descendants, is_alive, wait_for

pytestmark = pytest.mark.functional
SCRIPT = Path(sys.executable).with_name("consilium")

FIXED = {
    "up": ("--http", "--dicom"),
    "doctor": (),
    "peer add": ("--host",),
    "case open": ("--opinion", "--patient"),
    "case show": (),
    "case link": (),
    "release build": (),
    "release approve": (),
    "release export": ("--to",),
    "person add": ("--role", "--email"),
    "audit verify": (),
    "deidentify": ("--known", "--profile", "--report"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def patient_file(tmp_path: Path) -> Path:
    path = tmp_path / "patient.json"
    path.write_text(json.dumps(patient(7)), encoding="utf-8")
    return path


# -- names, options, JSON and exit codes ---------------------------------------------------------------------


@pytest.mark.parametrize("command", FIXED)
def test_the_fixed_commands_and_their_options_are_there(consilium: Commands, command: str) -> None:
    said = consilium(*command.split(), "--help", columns="200")
    assert said.code == 0
    assert not [option for option in FIXED[command] if option not in said.out]


def test_the_installed_script_takes_the_home_before_and_after_the_command(home: Path) -> None:
    before = subprocess.run(
        [SCRIPT, "--home", home, "--json", "peer", "list"], capture_output=True, text=True, check=True
    )
    after = subprocess.run(
        [SCRIPT, "peer", "list", f"--home={home}", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(before.stdout) == json.loads(after.stdout) == []
    assert (home / "records" / "records.db").exists()


def test_a_case_from_opening_to_link_in_json(consilium: Commands, home: Path, patient_file: Path) -> None:
    opened = consilium("case", "open", "--opinion", "mdt", "--patient", patient_file, "--json", home=home)
    assert opened.code == 0
    ref = opened.json()["ref"]
    assert opened.json() == {"ref": ref, "ae_title": ref, "state": "collecting", "opinion": "mdt"}
    shown = consilium("--json", "case", "show", ref.lower(), home=home).json()
    assert shown["state"] == "collecting"
    assert shown["documents"] == []
    assert {name: shown["instances"][name] for name in ("received", "deidentified", "quarantined")} == {
        "received": 0,
        "deidentified": 0,
        "quarantined": 0,
    }
    link = consilium("case", "link", ref, "--json", home=home, public_url="https://exchange.example").json()
    assert re.fullmatch(r"https://exchange\.example/p/[^#]*#[\w-]{22,}", link["url"])
    assert [case["ref"] for case in consilium("case", "list", "--json", home=home).json()] == [ref]
    assert ref in consilium("case", "show", ref, home=home).out


def test_peers_and_people_come_and_go(consilium: Commands, home: Path) -> None:
    added = consilium(
        "peer", "add", "PACS1", "--host", "10.1.0.0/16", "--host", "::1/128", "--json", home=home
    )
    assert added.json() | {"ae_title": "PACS1", "hosts": ["10.1.0.0/16", "::1/128"]} == added.json()
    assert consilium("peer", "add", "PACS1", "--json", home=home).code in {0, 1}
    assert [p["ae_title"] for p in consilium("peer", "list", "--json", home=home).json()] == ["PACS1"]
    assert consilium("peer", "remove", "PACS1", "--json", home=home).json() == {"removed": "PACS1"}
    assert consilium("peer", "list", "--json", home=home).json() == []
    for role in ("coordinator", "reviewer", "privacy"):
        made = consilium("person", "add", "--role", role, "--email", f"{role}@x.example", "--json", home=home)
        assert made.json()["otpauth"].startswith("otpauth://totp/")
        assert len(made.json()["password"]) >= 15
    twice = consilium(
        "person", "add", "--role", "reviewer", "--email", "Reviewer@x.example", "--json", home=home
    )
    assert twice.code == 1
    assert twice.json()["next_step"]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["nonsense"], 2),
        ([], 2),
        (["case"], 2),
        (["case", "show"], 2),
        (["case", "open", "--opinion", "third", "--patient", "-"], 2),
        (["case", "open", "--opinion", "mdt", "--patient", "/nowhere.json"], 2),
        (["person", "add", "--role", "king", "--email", "a@b.example"], 2),
        (["peer", "add", "A TITLE THAT IS TOO LONG"], 2),
        (["peer", "add", "PACS", "--host", "not-a-network"], 2),
        (["up", "--http", "nowhere"], 2),
        (["case", "show", "C-22222222"], 3),
        (["case", "link", "C-22222222"], 3),
        (["release", "build", "C-22222222"], 3),
        (["release", "approve", "C-22222222"], 3),
        (["release", "export", "C-22222222", "--to", "/nowhere/x.zip"], 3),
        (["finding", "judge", "0000", "keep"], 3),
        (["job", "retry", "0000"], 3),
        (["peer", "remove", "NOBODY"], 3),
        (["deidentify", "/nowhere", "/nowhere-else"], 2),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else None,
)
def test_what_is_refused_is_one_json_value_with_a_code(
    consilium: Commands, home: Path, argv: list[str], code: int
) -> None:
    said = consilium("--json", *argv, home=home)
    assert said.code == code, said
    told = said.json()
    assert told.keys() == {"error", "message", "next_step"}
    assert told["message"]
    assert told["next_step"]
    words = consilium(*argv, home=home)
    assert words.code == code
    assert "Traceback" not in words.err
    assert words.err.strip() or not argv or len(argv) == 1


def test_a_wrong_patient_file_says_what_to_do(consilium: Commands, home: Path) -> None:
    for text in ("no json", "[]", '{"names": 3}', '{"nonsense": true}', "{}"):
        said = consilium(
            "--json", "case", "open", "--opinion", "mdt", "--patient", "-", home=home, stdin=text
        )
        assert said.code == 2, (text, said)
        assert re.search(r"known-identifiers\.md|names", said.json()["next_step"]), (text, said.out)


def test_a_check_that_fails_is_code_1_and_a_lost_key_code_75(consilium: Commands, home: Path) -> None:
    assert consilium("peer", "add", "PACS", "--json", home=home).code == 0
    assert consilium("audit", "verify", "--json", home=home).json()["ok"] is True
    key = home / "keys" / "master.json"
    key.rename(home / "elsewhere")
    lost = consilium("audit", "verify", "--json", home=home)
    assert lost.code == 75
    assert "backup" in lost.json()["next_step"]
    (home / "elsewhere").rename(key)
    assert consilium("case", "show", "C-22222222", home=home, mode="nonsense").code == 2


def test_a_home_that_others_can_look_into_is_refused(consilium: Commands, home: Path) -> None:
    home.mkdir(mode=0o700)
    home.chmod(0o750)
    said = consilium("peer", "list", "--json", home=home)
    assert said.code == 2
    assert f"chmod 700 {home}" in said.json()["next_step"]
    assert not list(home.iterdir())


# -- up ------------------------------------------------------------------------------------------------------


class Up:
    """``consilium up`` as a script starts it: ports chosen by the system, the ready line waited for."""

    def __init__(self, home: Path, *more: str) -> None:
        self.home = home
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CONSILIUM_")}
        argv = [SCRIPT, "up", "--home", home, "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", *more]
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=kept
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().strip()
        self.told = dict(word.split("=", 1) for word in self.line.split()[1:])

    def healthz(self) -> dict[str, str]:
        with urllib.request.urlopen(f"{self.told['http']}/healthz", timeout=5) as answer:  # noqa: S310 - our own loopback address
            return json.loads(answer.read())

    def echo(self) -> bool:
        title, _, address = self.told["dicom"].partition("@")
        host, port = host_and_port(address, what="the node")
        return echo(Call(host=host, port=port, called_ae=title, calling_ae="PACS")).reached

    def stop(self) -> float:
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.rest = self.process.communicate(timeout=30)[0]
        return time.monotonic() - began


@pytest.fixture
def up(home: Path) -> Iterator[Callable[[], Up]]:
    started: list[Up] = []

    def begin() -> Up:
        started.append(Up(home))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.stop()
        assert one.process.stdout is not None
        one.process.stdout.close()


def test_up_on_ports_of_its_own_choice_from_ready_to_stop(
    consilium: Commands, home: Path, patient_file: Path, up: Callable[[], Up]
) -> None:
    stopped = consilium("doctor", "--json", home=home)
    assert stopped.code == 0
    assert _check(stopped.json(), "exchange")["state"] == "warning"
    assert consilium("peer", "add", "PACS", home=home).code == 0
    running = up()
    # The very moment of the line: everything answers.
    assert running.healthz() == {"status": "ok"}
    assert running.echo()
    assert running.line.startswith("ready ")
    page = urllib.request.urlopen(f"{running.told['http']}/p/", timeout=5)  # noqa: S310 - our own loopback address
    assert page.status == 200
    page.close()
    checks = consilium("doctor", "--json", home=home).json()
    assert checks["ok"]
    assert _check(checks, "web")["state"] == _check(checks, "dicom")["state"] == "ok"
    # Links lead to the exchange that runs, whatever port it has.
    ref = consilium(
        "case", "open", "--opinion", "written", "--patient", patient_file, "--json", home=home
    ).json()["ref"]
    assert consilium("case", "link", ref, "--json", home=home).json()["url"].startswith(running.told["http"])
    second = consilium("up", "--json", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", home=home)
    assert second.code == 75
    assert str(running.process.pid) in second.json()["message"]
    assert running.healthz() == {"status": "ok"}
    for option, address in (
        ("--http", running.told["http"].partition("//")[2]),
        ("--dicom", running.told["dicom"].partition("@")[2]),
    ):
        wanted = {"--http": "127.0.0.1:0", "--dicom": "127.0.0.1:0", option: address}
        words = [word for pair in wanted.items() for word in pair]
        taken = consilium("up", "--json", *words, home=home.with_name("other"))
        assert taken.code == 75
        assert option in taken.json()["next_step"]
    # A part that is killed comes back at the same address.
    (web,) = [p for p in _status(home)["parts"].items() if p[0] == "web"]
    os.kill(web[1]["pid"], signal.SIGKILL)
    wait_for(lambda: _answers(running, other_than=web[1]["pid"]), within_s=60)
    family = descendants(running.process.pid)
    took = running.stop()
    print(f"stopped in {took:.1f} s")
    assert took < 30
    assert running.process.returncode == 0
    assert running.rest == "", "one line, and only one"
    assert not any(map(is_alive, family))


def test_everything_dies_with_a_killed_supervisor_and_starts_again(home: Path, up: Callable[[], Up]) -> None:
    first = up()
    family = descendants(first.process.pid)
    assert len(family) >= 4
    first.process.kill()
    wait_for(lambda: not any(map(is_alive, family)), within_s=5)
    first.process.wait()
    assert up().healthz() == {"status": "ok"}


def _check(told: dict[str, list[dict[str, str]]], what: str) -> dict[str, str]:
    return next(check for check in told["checks"] if check["what"] == what)


def _status(home: Path) -> dict[str, dict[str, dict[str, int]]]:
    return json.loads((home / "run" / "status.json").read_text(encoding="utf-8"))


def _answers(running: Up, *, other_than: int) -> bool:
    web = _status(running.home)["parts"]["web"]
    return web["state"] == "ready" and web["pid"] != other_than and running.healthz() == {"status": "ok"}


# -- deidentify ----------------------------------------------------------------------------------------------


def test_a_folder_is_deidentified_offline(consilium: Commands, tmp_path: Path) -> None:
    source, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.json"
    material = make_material(None, seed=11, slices=3)
    (source / "bilder").mkdir(parents=True)
    for number, content in enumerate([*material.ct_slices, material.rtstruct, material.sr]):
        (source / "bilder" / f"IM{number}").write_bytes(content)
    for document in material.documents:
        (source / document.name).write_bytes(document.content)
    (source / "broken.dcm").write_bytes(material.ct_slices[0][:4000])
    known = tmp_path / "known.json"
    known.write_text(json.dumps(material.patient_json), encoding="utf-8")
    call = (
        "deidentify",
        source,
        out,
        "--known",
        known,
        "--profile",
        "mdt-default",
        "--report",
        report,
        "--json",
    )
    said = consilium(*call)
    assert said.code == 0, said
    told = said.json()
    assert told == json.loads(report.read_text(encoding="utf-8"))
    rows = {row["input"]: row for row in told["files"]}
    assert told["totals"]["deidentified"] >= 7
    assert rows["broken.dcm"]["status"] == "quarantined"
    assert rows["broken.dcm"]["reason"]
    for row in rows.values():
        written = row["output"] is not None and (out / row["output"]).is_file()
        assert written == (row["status"] == "deidentified"), row
    assert sum(path.is_file() for path in out.rglob("*")) == told["totals"]["deidentified"]
    assert not search_folder(out, Searcher([*material.planted, *material.original_uids]), lambda _: None)
    again = consilium(*call)
    assert again.code == 2
    assert "empty" in again.json()["next_step"]
    inside = consilium("deidentify", source, source / "out", "--json")
    assert inside.code == 2
    unknown = consilium("deidentify", source, tmp_path / "other", "--profile", "nonsense", "--json")
    assert unknown.code == 2
    assert unknown.json()["next_step"]
    assert consilium("deidentify", source, tmp_path / "third", "--known", report, "--json").code == 2


def test_only_the_house_itself_mends_a_backup_and_a_clock_in_doubt_prunes_nothing(
    consilium: Commands, home: Path, tmp_path: Path
) -> None:
    repository = str(tmp_path / "repository")
    (tmp_path / "link").symlink_to(home)
    for inside in (home / "b", tmp_path / "x" / ".." / home.name / "b", tmp_path / "link" / "b"):
        for group in ("backup", "key"):
            words = (group, "backup") if group == "key" else (group, "create")
            inwards = consilium(*words, "--to", str(inside), "--json", home=home)
            assert (inwards.code, "lost with it" in inwards.json()["message"]) == (2, True)
    made = consilium("backup", "create", "--to", repository, "--json", home=home).json()["id"]
    assert (
        consilium("backup", "verify", "--from", repository, "--mend", "--json", home=home).json()["mended"]
        == 0
    )
    elsewhere = ("--keys", str(home / "keys" / "master.json"))
    refused = consilium("backup", "verify", "--from", repository, "--mend", *elsewhere, "--json", home=home)
    assert refused.code == 2
    assert "without --keys" in refused.json()["next_step"]
    for folder in ("manifests", "lists"):  # a name of long ago; what it holds is not asked for
        shutil.copy(
            tmp_path / "repository" / folder / made,
            tmp_path / "repository" / folder / f"20200101T000000Z{made[16:]}",
        )
    doubted = consilium("backup", "prune", "--from", repository, "--json", home=home)
    assert doubted.code == 1
    assert "--trust-clock" in doubted.json()["next_step"]
    pruned = consilium("backup", "prune", "--from", repository, "--trust-clock", "--json", home=home).json()
    assert (len(pruned["removed"]), pruned["kept"]) == (1, [made])
