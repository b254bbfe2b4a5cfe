"""The certificate in a package: its documented shape, what binds it, that it names nobody, and that a changed package is told."""

import hashlib
import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli.main import command_line
from gateway.domain.package_check import check_package
from gateway.domain.people import Actor
from gateway.domain.release import Copy
from gateway.journeys import release_case
from gateway.journeys.certify_package import File, Judged, certificate
from gateway.journeys.judge_finding import judge_finding
from gateway.journeys.open_release import export_release
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.show_release import contents_of, show_release
from gateway.journeys.sign_in import add_person
from tests import factories
from tests.fakes.journey_house import DESK, PACS, arrival
from tests.fakes.json_schema import flaws

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec"
SCHEMA = json.loads((SPEC / "deidentification-certificate.schema.json").read_text())


@pytest.fixture
def released(house, tmp_path):
    """An approved release of four slices: two clean, one kept after a look, one left out; its case, and the package as a file."""
    case = house.case()
    ports = house.ports("records", "store", "clock", "policy")
    for number in range(1, 5):
        more = {"BurnedInAnnotation": "YES"} if number > 2 else {}
        content = factories.ct_instance(number=number, **more)
        receive_instance(arrival(content, called_ae=case.ref), source=PACS, **ports)
    house.work()
    people = house.ports("records", "store", "clock", "random")
    her = add_person(role="coordinator", email="her@example.org", by=DESK, **people).person
    by = Actor(kind="staff", id=her.id)
    kept, left = house.rows("findings", state="open")[:2]
    judge_finding(kept.id, "keep", by=by, **house.ports("records", "clock"))
    judge_finding(left.id, "exclude", by=by, **house.ports("records", "clock"))
    release_case.build_release(ref=case.ref, by=DESK, **house.ports("records", "store", "sandbox", "clock"))
    release, _ = release_case.approve_release(ref=case.ref, by=DESK, **ports)
    package = export_release(ref=case.ref, number=None, by=DESK, **house.ports("records", "store"))
    file = tmp_path / "package.zip"
    file.write_bytes(b"".join(package.read()))
    return case, release, file


def _told(file):
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("CERTIFICATE.json"))


def _changed(file, changes, *, drop=(), add=()):
    """The same package with other bytes in some members."""
    out = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(out, "w") as made:
        for info in archive.infolist():
            if info.filename not in drop:
                made.writestr(info.filename, changes.get(info.filename, archive.read(info)))
        for name in add:
            made.writestr(name, b"x")
    target = file.with_name("changed.zip")
    target.write_bytes(out.getvalue())
    return target


def test_a_certificate_has_the_documented_shape(released):
    told = _told(released[2])
    assert list(flaws(told, SCHEMA)) == []
    page = (SPEC / "deidentification-certificate.md").read_text()
    assert all(f"`{name}`" in page for name in SCHEMA["required"])


def test_the_schema_refuses_what_is_not_of_this_form(released):
    told = _told(released[2])
    assert list(flaws(told | {"patient": "x"}, SCHEMA))
    assert list(flaws({k: v for k, v in told.items() if k != "verification"}, SCHEMA))
    assert list(flaws(told | {"rules_sha256": "short"}, SCHEMA))


def test_it_tells_what_was_done_checked_judged_and_left_out(released):
    case, release, file = released
    told = _told(file)
    assert (told["case"], told["release"], told["profile"]) == (case.ref, 1, "mdt-default")
    assert {"113100", "113105", "113107"} <= {option["code"] for option in told["options"]}
    assert next(t for t in told["tables"] if t["name"] == "annex_e.json")["edition"].startswith("PS3.15")
    assert told["actions"]["U"] > 0
    assert told["verification"]["files"] == 3 == release.totals["instances"]
    assert [r["files"] for r in told["verification"]["readings"]] == [3]
    assert told["verification"]["readings"][0]["version"] == told["software"]["version"] != ""
    assert {(j["role"], j["verdict"]): j["count"] for j in told["judged_by_humans"]} == {
        ("coordinator", "kept"): 1,
        ("coordinator", "excluded"): 1,
    }
    (left,) = told["left_out"]
    assert (left["kind"], left["code"], left["count"]) == ("instance", "burned_in", 1)


def test_every_file_but_the_two_lists_stands_in_it_and_standard_tools_agree(released, tmp_path):
    file = released[2]
    told = _told(file)
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
        assert {f["name"] for f in told["files"]} == set(archive.namelist()) - {
            "CERTIFICATE.json",
            "MANIFEST.json",
        }
    lines = "".join(f"{f['sha256']}  {f['name']}\n" for f in told["files"])
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet"],
        input=lines,
        text=True,
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_its_digest_stands_in_the_audit_and_in_the_manifest(released, house):
    with zipfile.ZipFile(released[2]) as archive:
        digest = hashlib.sha256(archive.read("CERTIFICATE.json")).hexdigest()
        manifest = json.loads(archive.read("MANIFEST.json"))
    assert {f["name"]: f["sha256"] for f in manifest["files"]}["CERTIFICATE.json"] == digest
    for kind in ("release_built", "release_approved"):
        assert [event.details["certificate"] for event in house.events(kind)] == [digest]


def test_neither_form_of_it_names_anybody(released, house):
    case, _, file = released
    patient = json.dumps(case.patient)
    with zipfile.ZipFile(file) as archive:
        texts = [archive.read(name).decode() for name in ("CERTIFICATE.json", "CERTIFICATE.html")]
    words = {
        value
        for person in (case.patient, *case.patient.get("relatives", ()), *case.patient.get("physicians", ()))
        for name in person.get("names", ())
        for value in name.values()
        if len(value) > 3
    } | {one["value"] for one in case.patient["identifiers"]}
    assert words
    assert patient
    for text in texts:
        assert not [word for word in words if word in text]
        assert "her@example.org" not in text


def test_the_page_for_people_is_whole_and_loads_nothing(released):
    with zipfile.ZipFile(released[2]) as archive:
        page = archive.read("CERTIFICATE.html").decode()
    assert "What was left out" in page
    assert "The sender states that text is burned into the picture." in page
    assert "sha256sum --check" in page
    assert not any(word in page for word in ("<script", "http:", "https:", "src=", "url("))


def test_a_package_as_it_left_is_as_certified(released):
    checked = check_package(released[2])
    assert checked.flaws == ()
    assert (checked.case, checked.release) == (released[0].ref, 1)


@pytest.mark.parametrize(
    ("changes", "drop", "add", "said"),
    [
        ({"README.txt": b"another"}, (), (), "is not what the certificate says"),
        ({"DICOM/ST000001/SE000001/IM000001": b"another"}, (), (), "is not what the manifest says"),
        ({}, ("DICOM/ST000001/SE000001/IM000001",), (), "is missing"),
        ({}, (), ("EXTRA.txt",), "is not in the certificate"),
        ({}, (), ("EXTRA.txt",), "is not in the manifest"),
    ],
)
def test_a_changed_package_is_told_by_file(released, changes, drop, add, said):
    checked = check_package(_changed(released[2], changes, drop=drop, add=add))
    assert said in {what for _, what in checked.flaws}
    assert not checked.is_whole


def test_a_certificate_that_was_written_anew_is_not_the_one_that_the_exchange_tells(released):
    file = released[2]
    told = _told(file)
    told["judged_by_humans"] = []
    forged = json.dumps(told).encode()
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("MANIFEST.json"))
        true = hashlib.sha256(archive.read("CERTIFICATE.json")).hexdigest()
    for entry in manifest["files"]:
        if entry["name"] == "CERTIFICATE.json":
            entry |= {"sha256": hashlib.sha256(forged).hexdigest(), "size": len(forged)}
    changes = {"CERTIFICATE.json": forged, "MANIFEST.json": json.dumps(manifest).encode()}
    changed = _changed(file, changes)
    assert check_package(changed).is_whole
    assert [name for name, _ in check_package(changed, certificate_sha256=true).flaws] == ["CERTIFICATE.json"]


def test_the_command_needs_no_home_and_says_what_differs(released, tmp_path, monkeypatch):
    monkeypatch.setenv("CONSILIUM_HOME", str(tmp_path / "none"))
    file = released[2]
    app = command_line(["package"])
    done = CliRunner().invoke(app, ["--json", "package", "verify", str(file)])
    assert done.exit_code == 0, done.output
    digest = json.loads(done.stdout)["certificate_sha256"]
    done = CliRunner().invoke(app, ["package", "verify", str(file), "--certificate", digest.upper()])
    assert (done.exit_code, "as certified" in done.stdout) == (0, True)
    changed = _changed(file, {"README.txt": b"another"})
    done = CliRunner().invoke(app, ["package", "verify", str(changed)])
    assert (done.exit_code, "README.txt is not what" in done.stdout) == (1, True)
    (tmp_path / "no.zip").write_bytes(b"PK no archive")
    assert CliRunner().invoke(app, ["package", "verify", str(tmp_path / "no.zip")]).exit_code == 2
    assert not (tmp_path / "none").exists()
    structlog.reset_defaults()


def test_the_gist_is_shown_to_who_approves_and_who_reads(released, house):
    case, release, _ = released
    ports = house.ports("records", "store")
    _, shown, manifest = show_release(ref=case.ref, number=release.number, **ports)
    gist = contents_of(shown, manifest, **ports).certificate
    assert gist.profile == "mdt-default"
    assert gist.actions["U"] > 0
    assert "113100" in dict(gist.options)
    assert gist.verified == 3
    assert [(kind, count) for kind, _, _, count in gist.left_out] == [("instance", 1)]
    assert len(gist.sha256) == 64


def test_every_masked_place_is_counted_once_also_those_that_the_list_of_boxes_has_no_room_for(released):
    case = released[0]
    copy = Copy(
        id="c", case_id="c", holder="c", subject_kind="instance", subject_id="i", object_id="o", size_bytes=1, digest="d",
        generation=1, crc32=0, profile="mdt-default", state="verified", made_at=case.opened_at,
        index={"masked": 950, "boxes": [{"state": "doubtful"}] * 390 + [{"state": "masked"}] * 10, "rules": ["r"]},
    )  # fmt: skip
    file = File(name="f", kind="imaging", media_type="application/dicom", size_bytes=1, sha256="", copy=copy)
    judged = Judged(rules=(("r", "mask", "layout", 3),))
    told = certificate([file], case=case, number=1, made_at=case.opened_at, judged=judged)
    assert (told["pixels"]["masked_pictures"], told["pixels"]["masked_places"]) == (1, 950)


def _damage(file, how):
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        info = next(
            i for i in archive.infolist() if i.filename.endswith(".dcm") or i.filename.startswith("DICOM")
        )
        start = (
            info.header_offset
            + 30
            + int.from_bytes(content[info.header_offset + 26 : info.header_offset + 28], "little")
        )
    if how == "password":
        at = content.index(b"PK\x01\x02")
        while content[at + 46 : at + 46 + len(info.filename)] != info.filename.encode():
            at = content.index(b"PK\x01\x02", at + 4)
        content[at + 8] |= 1
        content[info.header_offset + 6] |= 1
    else:
        at = content.index(b"PK\x01\x02")
        while content[at + 46 : at + 46 + len(info.filename)] != info.filename.encode():
            at = content.index(b"PK\x01\x02", at + 4)
        content[at + 10] = content[info.header_offset + 8] = (
            8  # said to be deflated: what follows is no stream of that
        )
        content[start + 8 : start + 40] = b"\xff" * 32
    target = file.with_name("damaged.zip")
    target.write_bytes(content)
    return target, info.filename


@pytest.mark.parametrize("how", ["password", "stream"])
def test_a_member_that_cannot_be_unpacked_is_a_flaw_and_no_crash(released, how):
    target, name = _damage(released[2], how)
    assert name in {flaw for flaw, _ in check_package(target).flaws}
