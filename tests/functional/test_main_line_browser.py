"""The whole main job with other people's programs: DCMTK is the hospital, Chromium is patient, coordinator and reviewer."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from gateway.cli.demo.exchange import Exchange
from gateway.cli.demo.material import Material, make_material
from gateway.cli.demo.proof import Searcher, check_package, search_folder
from gateway.settings import host_and_port
from tests.fakes.chromium import chromium
from tests.functional.people_at_browsers import (
    ANSWER,
    PACS,
    QUESTION,
    Coordinator,
    PatientAtPhone,
    Specialist,
    dcmtk,
    lay_out,
    newest_link,
    push,
)

pytestmark = pytest.mark.functional

SLICES = 60
SLOW_BYTES_A_SECOND = 100_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with Exchange(tmp_path / "home") as running:
        yield running


def the_hospital_pushes(exchange: Exchange, material: Material, folder: Path) -> None:
    host, port = host_and_port(exchange.dicom, what="the node")
    known = dcmtk("echoscu", "-v", "-aet", PACS, "-aec", "CONSILIUM", host, port)
    assert known.returncode == 0, known.stderr
    stranger = dcmtk("echoscu", "-v", "-aet", "STRANGER", "-aec", "CONSILIUM", host, port)
    assert stranger.returncode != 0
    said = stranger.stdout + stranger.stderr
    assert "Result: Rejected Permanent, Source: Service User" in said
    assert "Reason: Calling AE Title Not Recognized" in said
    sent = push(exchange, lay_out(material, folder))
    assert sent.returncode == 0, sent.stderr[-2000:]
    said = sent.stdout + sent.stderr
    assert said.count("Received Store Response (Success)") == SLICES + 2


def the_patient_sends(patient: PatientAtPhone, link: str, material: Material) -> None:
    page, exchange = patient.page, patient.exchange
    patient.open_link(link)
    assert "#" not in page.url, "the token stays in the address bar"
    assert not exchange.texts(), "a code was sent before the button was pressed"
    patient.fits()
    patient.type_code(patient.ask_code())
    expect(page.locator("html")).to_have_attribute("lang", "sv")
    patient.fits()
    for number, file in enumerate(material.documents, 1):
        slow = file.media_type == "image/jpeg"
        quick = patient.slow_line(SLOW_BYTES_A_SECOND) if slow else None
        patient.choose([file])
        if quick:
            row = page.locator("#list li", has_text=file.name)
            expect(row.locator(".file-status")).to_have_text(re.compile(r"^[1-9]\d?\s%$"))
            quick()
        expect(page.locator("#list .done")).to_have_count(number, timeout=30_000)
        patient.fits()
    receipt = patient.take_receipt()
    for file in material.documents:
        assert file.name in receipt
        assert hashlib.sha256(file.content).hexdigest() in receipt
    patient.fits()


def the_package_holds(package: Path, material: Material, folder: Path) -> None:
    content = package.read_bytes()
    count, complaints = check_package(content, [*material.planted, *material.original_uids], lambda _: None)
    assert complaints == []
    assert count > SLICES + 2
    tested = subprocess.run(
        ["/usr/bin/unzip", "-tq", str(package)], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    directory = dcmtk("dcmdump", folder / "DICOMDIR")
    assert directory.returncode == 0, directory.stderr
    named = re.findall(r"CS \[(DICOM\\[^\]]+)\]", directory.stdout)
    files = {name.replace("\\", "/") for name in named if name}
    assert len(files) > SLICES + 2
    assert all((folder / name).is_file() for name in files), "DICOMDIR names a file that is not there"
    one = next(path for path in sorted((folder / "DICOM").rglob("*")) if path.is_file())
    dumped = dcmtk("dcmdump", one)
    assert dumped.returncode == 0, dumped.stderr
    assert "PatientIdentityRemoved" in dumped.stdout
    listed = {row["name"] for row in json.loads((folder / "MANIFEST.json").read_text())["files"]}
    assert not any(name.endswith(".jpg") for name in listed), "the photographed letter went along"


def test_the_main_job_with_dcmtk_and_three_browsers(browser: Browser, exchange: Exchange, tmp_path: Path):
    material = make_material(None, seed=2026, slices=SLICES)
    exchange.call("peer", "add", PACS, "--host", "127.0.0.1/32")
    people = {
        role: exchange.call("person", "add", "--role", role, "--email", f"{role}@consilium.example")
        for role in ("coordinator", "reviewer")
    }
    patient_file = json.dumps(material.patient_json)
    ref = exchange.call(
        "case", "open", "--opinion", "mdt", "--patient", "-", "--questions", QUESTION, stdin=patient_file
    )["ref"]

    the_hospital_pushes(exchange, material, tmp_path / "pacs")

    her = Coordinator(browser, exchange, **people["coordinator"])
    her.sign_in("desk")
    expect(her.page.locator(f".case-card[data-case='{ref}']")).to_be_visible()
    link = her.make_link(ref)

    patient = PatientAtPhone(browser, exchange)
    the_patient_sends(patient, link, material)
    patient.close()

    her.wait_for_work(ref, documents=len(material.documents))
    judged = her.judge(ref)
    assert {kept for kept, _ in judged} == {True, False}
    assert all(width > 100 for _, width in judged), "a finding came without its picture"
    her.complete(ref)
    her.build(ref)
    her.approve("reviewer@consilium.example")

    he = Specialist(browser, exchange, **people["reviewer"])
    he.sign_in("review")
    he.open_release()
    assert material.people.patient.family not in he.page.content()
    package = he.download(tmp_path / "package.zip")
    the_package_holds(package, material, tmp_path / "unpacked")
    he.write(ANSWER)
    he.read_once_more()
    he.sign()

    her.deliver(ref)

    again = PatientAtPhone(browser, exchange)
    again.open_link(newest_link(exchange))
    again.type_code(again.ask_code())
    again.press("a[href$='/p/answer']")
    expect(again.page.locator("html")).to_have_attribute("lang", "sv")
    expect(again.page.get_by_text(ANSWER["recommendation"])).to_be_visible()
    expect(again.page.get_by_role("heading", name="Ditt svar")).to_be_visible()
    again.press(".languages a[hreflang=en]")
    expect(again.page.get_by_role("heading", name="Your answer")).to_be_visible()
    expect(again.page.get_by_text(ANSWER["recommendation"])).to_be_visible()
    again.fits()
    her.go(f"/desk/cases/{ref}/answer")
    assert exchange.call("case", "show", ref)["state"] == "delivered"

    exchange.call("audit", "checkpoint")
    verdict = exchange.call("audit", "verify")
    assert verdict["ok"], verdict
    faults = [*her.faults, *patient.faults, *he.faults, *again.faults]
    assert faults == []
    for one in (her, he, again):
        one.close()
    searcher = Searcher(material.planted)
    assert search_folder(exchange.home, searcher, lambda _: None) == []
    assert not searcher.finds(exchange.log.read_bytes()), "the log names the patient"
