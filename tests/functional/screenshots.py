"""Takes a picture of every page of the three doors, at a phone's and a desk's width, from one exchange with demo material; no test."""

from __future__ import annotations

import io
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, expect
from pydicom import dcmread
from pydicom.uid import generate_uid

from gateway.cli.demo.exchange import Exchange
from gateway.cli.demo.material import Material, make_material
from gateway.compose import compose
from gateway.doors.troubles import Troubles
from gateway.settings import load_settings
from storage import StoreOutageError
from tests.fakes.chromium import DESK, PHONE, chromium
from tests.functional.people_at_browsers import (
    ANSWER,
    PACS,
    QUESTION,
    Coordinator,
    PatientAtPhone,
    Person,
    Specialist,
    lay_out,
    newest_link,
    push,
)

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
SHAPES = {"phone": PHONE["viewport"], "desk": DESK["viewport"]}
TALLEST = {"phone": 2600, "desk": 1800}
MOST_BYTES = 300_000
SLICES = 12
TYPE = Path(__file__).resolve().parents[2] / "anonymizer" / "documents" / "fonts" / "DejaVuSans.ttf"


@dataclass
class Album:
    """The pictures taken so far, in the order of the walk."""

    folder: Path
    pages: list[tuple[str, str]] = field(default_factory=list)

    def take(self, person: Person, name: str, told: str) -> None:
        """Picture the page that a person sees, at both widths, from its top."""
        page = person.page
        for shape, size in SHAPES.items():
            page.set_viewport_size(size)
            page.evaluate("touch => document.body.classList.toggle('touch', touch)", shape == "phone")
            page.evaluate("scrollTo(0, 0); document.activeElement && document.activeElement.blur()")
            page.wait_for_timeout(150)
            person.fits()
            tall = page.evaluate("document.documentElement.scrollHeight")
            height = min(max(tall, size["height"]), TALLEST[shape])
            shot = page.screenshot(
                full_page=True,
                animations="disabled",
                clip={"x": 0, "y": 0, "width": size["width"], "height": height},
            )
            (self.folder / f"{name}-{shape}.png").write_bytes(_small(shot))
        page.set_viewport_size(SHAPES["desk" if isinstance(person, Coordinator | Specialist) else "phone"])
        self.pages.append((name, told))

    def write_list(self) -> None:
        """Write the README beside the pictures; pictures of pages that are no more go away."""
        kept = {f"{name}-{shape}.png" for name, _ in self.pages for shape in SHAPES}
        for old in self.folder.glob("*.png"):
            if old.name not in kept:
                old.unlink()
        lines = [
            "# What the pages look like",
            "",
            "Made by `make screenshots` from a running exchange with generated people; nobody in them exists.",
            "Patients meet Swedish or English, as their browser asks; so do the desk and the reviewers.",
            "",
            "| Page | Phone, 390 wide | Desk, 1440 wide |",
            "|---|---|---|",
            *(
                f"| {told} | [{name}-phone.png]({name}-phone.png) | [{name}-desk.png]({name}-desk.png) |"
                for name, told in self.pages
            ),
            "",
        ]
        (self.folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _small(shot: bytes) -> bytes:
    """Return the picture with a palette: text and flat areas lose nothing that an eye sees, images in it a little."""
    with Image.open(io.BytesIO(shot)) as picture:
        for colors in (128, 48, 24):
            out = io.BytesIO()
            flat = picture.convert("RGB").quantize(colors=colors, method=Image.Quantize.MEDIANCUT, dither=0)
            flat.save(out, format="PNG", optimize=True)
            if len(out.getvalue()) <= MOST_BYTES:
                return out.getvalue()
    raise SystemExit(
        f"a picture is {len(out.getvalue())} bytes large; at most {MOST_BYTES} go into the repository"
    )


@dataclass
class Scene:
    """One exchange with its people and its case."""

    browser: Browser
    exchange: Exchange
    material: Material
    album: Album
    place: Path
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    refs: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def done(self, *people: Person) -> None:
        for one in people:
            self.faults += one.faults
            one.close()

    def open_case(self, material: Material, opinion: str, question: str) -> str:
        patient = json.dumps(material.patient_json)
        case = self.exchange.call(
            "case", "open", "--opinion", opinion, "--patient", "-", "--questions", question, stdin=patient
        )
        self.refs.append(case["ref"])
        return str(case["ref"])


def set_up(scene: Scene) -> None:
    """People, two cases, and what the hospital sends: one study for a case, one that fits none."""
    call = scene.exchange.call
    call("peer", "add", PACS, "--host", "127.0.0.1/32")
    for role in ("coordinator", "reviewer", "privacy"):
        scene.people[role] = call("person", "add", "--role", role, "--email", f"{role}@consilium.example")
    scene.open_case(scene.material, "mdt", QUESTION)


def her_first_look(scene: Scene, her: Coordinator) -> str:
    """The coordinator signs in, opens a case, makes a link; the house is still empty."""
    take, (ref, *_) = scene.album.take, scene.refs
    her.fill_sign_in("desk")
    her.page.fill("#f-code", "")
    take(her, "desk-sign-in", "Desk: sign in with password and code")
    her.sign_in("desk")
    her.go("/desk/cases/new")
    take(her, "desk-new-case", "Desk: open a case from a referral")
    her.go(f"/desk/cases/{ref}")
    take(her, "desk-case-empty", "Desk: a case that waits for its material")
    link = her.make_link(ref)
    take(her, "desk-link", "Desk: the patient's link, shown once")
    return link


def the_patient_sends(scene: Scene, link: str) -> None:
    take = scene.album.take
    patient = PatientAtPhone(scene.browser, scene.exchange)
    patient.go("/p/")
    expect(patient.page.locator("[data-view=none]")).to_be_visible()
    take(patient, "patient-no-link", "Patient: the door without a link")
    patient.open_link(link)
    take(patient, "patient-link", "Patient: the link is opened")
    code = patient.ask_code()
    take(patient, "patient-code", "Patient: the code from the text message")
    patient.type_code(code)
    take(patient, "patient-case-empty", "Patient: what is needed, before anything was sent")
    files = scene.material.documents
    for file in files[:3]:
        patient.choose([file])
    expect(patient.page.locator("#list .done")).to_have_count(3, timeout=30_000)
    quick = patient.slow_line(30_000)
    patient.choose([files[3]])
    row = patient.page.locator("#list li", has_text=files[3].name)
    expect(row.locator(".file-status")).to_contain_text("%")
    patient.page.locator("#pause").click()
    take(patient, "patient-sending", "Patient: files on their way, paused by her")
    quick()
    patient.page.locator("#resume").click()
    expect(patient.page.locator("#list .done")).to_have_count(4, timeout=30_000)
    patient.take_receipt()
    take(patient, "patient-receipt", "Patient: the receipt with a digest for each file")
    patient.go("/p/case")
    take(patient, "patient-case-uploads", "Patient: the case with what has arrived")
    scene.done(patient)
    stranger = PatientAtPhone(scene.browser, scene.exchange)
    stranger.page.goto(f"{scene.exchange.url}/p/#{'0' * 64}")
    expect(stranger.page.locator("#problem")).to_be_visible()
    take(stranger, "patient-link-refused", "Patient: a link that does not count (any more)")
    stranger.faults.clear()  # the browser notes the refusal that was meant
    scene.done(stranger)


def her_second_look(scene: Scene, her: Coordinator) -> None:
    """Material is there: board, inbox, case, findings, release."""
    take, exchange, (ref, *_) = scene.album.take, scene.exchange, scene.refs
    her.go("/desk/inbox")
    take(her, "desk-inbox", "Desk: studies that came without a case's AE title")
    her.wait_for_work(ref, documents=4)
    her.go("/desk/")
    take(her, "desk-board", "Desk: all cases, and what each waits for")
    her.go(f"/desk/cases/{ref}")
    take(her, "desk-case-held", "Desk: a case with findings to decide on")
    her.go(f"/desk/cases/{ref}/findings")
    for picture in her.page.locator(".look img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
    take(her, "desk-findings", "Desk: held for a look, with the picture of the de-identified copy")
    the_house_learns(scene, her)
    her.judge(ref)
    her.complete(ref)
    her.build(ref)
    take(her, "desk-release", "Desk: a release to approve, bound to its digest")
    her.approve("reviewer@consilium.example")
    take(her, "desk-release-approved", "Desk: an approved release and who may read it")
    assert exchange.call("case", "show", ref)["ref"] == ref


def the_house_learns(scene: Scene, her: Coordinator) -> None:
    """A place is drawn in a picture and proposed for its device; a word is judged; the privacy officer confirms."""
    take, (ref, *_) = scene.album.take, scene.refs
    her.page.get_by_role("link", name="Titta närmare").first.click()
    expect(her.page.locator(".canvas img")).to_have_js_property("complete", True)
    for side, value in zip(("left", "top", "width", "height"), (24, 300, 210, 48), strict=True):
        her.page.locator(f".place input[name={side}]").nth(1).fill(str(value))
    her.page.locator("[name=reach][value=device]").check()
    her.page.fill("#f-reason", "Sköterskan skriver för hand längst ned")
    take(her, "desk-look", "Desk: what the machine masked in a picture, and a place that a human draws")
    her.press("button[name=kind][value=mask]")
    her.go(f"/desk/cases/{ref}/rules")
    her.page.fill("#f-word", "Lungkliniken")
    her.page.locator("input[name=identifies][value=no]").check()
    her.press("#word form button[type=submit]")
    take(her, "desk-rules", "Desk: the reviewed rules of a case")
    officer = Coordinator(scene.browser, scene.exchange, **scene.people["privacy"])
    officer.sign_in("desk")
    officer.go("/desk/rules")
    take(officer, "desk-device-rules", "Desk: a rule for a device, which the privacy officer confirms")
    officer.press("form[action$='/confirm'] button")
    scene.done(officer)
    her.wait_for_work(ref, documents=4)


def papers(scene: Scene) -> None:
    """Pages that lie in files: the certificate in the package, the annex of a profile, before and after of a folder."""
    call, (ref, *_) = scene.exchange.call, scene.refs
    package, annex, compared = (scene.place / name for name in ("package.zip", "annex.html", "compared.html"))
    call("release", "export", ref, "--to", str(package))
    said = [sys.executable, "-m", "gateway.cli.main", "describe", "mdt-default", "--html", str(annex)]
    subprocess.run(said, check=True, capture_output=True)
    few = replace(scene.material, ct_slices=scene.material.ct_slices[4:6])
    folder = lay_out(few, scene.place / "a folder")
    (folder / "SC.dcm").write_bytes(captured(scene.material))
    (folder / "letter.pdf").write_bytes(scene.material.report_pdf)
    known = scene.place / "known.json"
    known.write_text(json.dumps(scene.material.patient_json), encoding="utf-8")
    told = ("--known", str(known), "--compare", str(compared))
    call("deidentify", str(folder), str(scene.place / "clean"), *told)
    with zipfile.ZipFile(package) as files:
        certificate = files.read("CERTIFICATE.html").decode()
    reader = Person(scene.browser, scene.exchange, shape=DESK)
    for name, page, title in (
        ("paper-certificate", certificate, "Paper: the certificate of de-identification in a package"),
        ("paper-annex", annex.read_text(encoding="utf-8"), "Paper: what a profile does, to be signed"),
        ("paper-before-and-after", compared.read_text(encoding="utf-8"), "Paper: a folder before and after"),
    ):
        reader.page.set_content(page)
        scene.album.take(reader, name, title)
    scene.done(reader)


def captured(material: Material) -> bytes:
    """A screen of the same patient, captured at the scanner: her name in the banner, harmless words, and a scrawl below."""
    image = dcmread(io.BytesIO(material.ct_slices[0]))
    wide, high = 640, 400
    picture = Image.new("L", (wide, high), 18)
    drawing = ImageDraw.Draw(picture)
    drawing.ellipse((210, 70, 430, 290), fill=70, outline=150, width=3)
    drawing.ellipse((290, 140, 350, 200), fill=140)
    type_ = ImageFont.truetype(str(TYPE), 20)
    drawing.text((14, 10), str(image.PatientName).replace("^", ", "), font=type_, fill=230)
    drawing.text((14, 40), str(image.PatientID), font=type_, fill=230)
    drawing.text((560, 180), "L", font=ImageFont.truetype(str(TYPE), 34), fill=230)
    drawing.text((450, 360), "W: 400  L: 40", font=type_, fill=230)
    drawing.line(
        [(36 + 5 * i, 324 + 13 * math.sin(i * 1.3) + 4 * math.sin(i * 3)) for i in range(36)],
        fill=235,
        width=3,
    )
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    image.SOPInstanceUID = generate_uid(prefix=None, entropy_srcs=["screen", image.SOPInstanceUID])
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.SeriesInstanceUID = generate_uid(prefix=None, entropy_srcs=["screens", image.SeriesInstanceUID])
    image.Modality, image.ConversionType, image.ImageType = "OT", "WSD", ["DERIVED", "SECONDARY"]
    image.BurnedInAnnotation = "YES"
    image.Rows, image.Columns = high, wide
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    for name in (
        "RescaleSlope",
        "RescaleIntercept",
        "WindowCenter",
        "WindowWidth",
        "SmallestImagePixelValue",
    ):
        if name in image:
            delattr(image, name)
    image.PixelData = picture.tobytes()
    image["PixelData"].VR = "OB"
    out = io.BytesIO()
    image.save_as(out)
    return out.getvalue()


def her_peers(scene: Scene, her: Coordinator) -> None:
    """Who may send, who tried, what is called, and a release on its way to a reviewer's PACS."""
    take, call, (ref, *_) = scene.album.take, scene.exchange.call, scene.refs
    subprocess.run(
        ["/usr/bin/echoscu", "-aet", "UNKNOWN_CT", *_node(scene)], check=False, capture_output=True
    )
    with _storescp(scene.place / "review-pacs") as port:
        call("peer", "add", "REVIEW_PACS", "--receive", "--no-store", "--address", f"127.0.0.1:{port}")
        her.go("/desk/peers")
        take(her, "desk-peers", "Desk: who may send, and strangers who tried")
        her.go("/desk/peers/new")
        take(her, "desk-peer-new", "Desk: a new peer")
        her.go("/desk/peers/of/REVIEW_PACS")
        her.page.locator("form[action$='/call'] button").click()
        take(her, "desk-peer", "Desk: one peer, just called with C-ECHO")
        her.go(f"/desk/peers/of/{PACS}/sheet")
        take(her, "desk-peer-sheet", "Desk: the onboarding sheet of a peer, for printing")
        her.go("/desk/commitments")
        take(her, "desk-commitments", "Desk: what senders asked for storage commitment")
        call("release", "send", ref, "--to", "REVIEW_PACS", "--wait")
        her.go(f"/desk/cases/{ref}/releases/1")
        her.page.locator("a[href*='/deliveries/']").first.click()
        take(her, "desk-delivery", "Desk: a release sent to a reviewer's PACS")


def _node(scene: Scene) -> list[str]:
    host, _, port = scene.exchange.dicom.rpartition(":")
    return ["-aec", "CONSILIUM", host, port]


@contextmanager
def _storescp(folder: Path) -> Iterator[int]:
    """A reviewer's PACS that takes everything."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(["/usr/bin/storescp", "-od", str(folder), str(port)])
    try:
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def the_reviewer_answers(scene: Scene) -> None:
    take = scene.album.take
    he = Specialist(scene.browser, scene.exchange, **scene.people["reviewer"])
    he.fill_sign_in("review")
    he.page.fill("#f-code", "")
    take(he, "review-sign-in", "Reviewer: sign in with password and code")
    he.sign_in("review")
    take(he, "review-releases", "Reviewer: what may be read now")
    he.open_release()
    take(he, "review-release", "Reviewer: a release with its package")
    he.write(ANSWER)
    take(he, "review-answer", "Reviewer: writing the answer")
    he.read_once_more()
    take(he, "review-answer-check", "Reviewer: read once more, then sign")
    he.sign()
    take(he, "review-answer-signed", "Reviewer: the signed answer")
    scene.done(he)


def the_answer_arrives(scene: Scene, her: Coordinator) -> None:
    take, ref = scene.album.take, scene.refs[0]
    her.go(f"/desk/cases/{ref}/answer")
    take(her, "desk-answer", "Desk: the answer before it is delivered")
    her.deliver(ref)
    patient = PatientAtPhone(scene.browser, scene.exchange)
    patient.open_link(newest_link(scene.exchange))
    patient.type_code(patient.ask_code())
    take(patient, "patient-case-answer", "Patient: the case when the answer is here")
    patient.press("a[href$='/p/answer']")
    take(patient, "patient-answer", "Patient: the answer")
    patient.press(".languages a[hreflang=en]")
    take(patient, "patient-answer-english", "Patient: the answer's page in English")
    scene.done(patient)
    her.go(f"/desk/cases/{ref}")
    take(her, "desk-case-delivered", "Desk: a case whose answer is delivered")
    her.go(f"/desk/cases/{ref}/trail")
    take(her, "desk-trail", "Desk: who did what in a case")
    her.go("/desk/cases/C-AAAAAAAA")
    take(her, "desk-not-found", "Desk: a case that does not exist")
    her.faults[:] = [fault for fault in her.faults if "404" not in fault]  # meant
    officer = Coordinator(scene.browser, scene.exchange, **scene.people["privacy"])
    officer.sign_in("desk")
    take(officer, "desk-audit", "Desk: the privacy officer's audit, verified")
    scene.done(officer)


def the_store(scene: Scene, her: Coordinator) -> None:
    """What is known of the sealed objects, and how it looks when the store does not answer."""
    take, call = scene.album.take, scene.exchange.call
    call("store", "sweep")
    call("store", "scrub")
    her.go("/desk/store")
    take(her, "desk-store", "Desk: the sealed objects, held against the records and read whole")
    parts = compose(load_settings(scene.exchange.home))
    door = Troubles(parts.house, "dicom")
    door.refused(StoreOutageError("for the picture"))
    her.go("/desk/")
    take(her, "desk-trouble", "Desk: the board while the store does not answer")
    her.go("/desk/store")
    take(her, "desk-store-trouble", "Desk: the same on the page of the store")
    door.went_well()
    parts.close()


def the_case_ends(scene: Scene, her: Coordinator) -> None:
    """A legal hold, its end, forgetting, and the certificate."""
    take, ref = scene.album.take, scene.refs[1]
    her.go(f"/desk/cases/{ref}")
    her.page.locator("[name=hold_reason]").evaluate("one => one.closest('details')?.setAttribute('open', '')")
    her.page.fill("[name=hold_reason]", "Inspektionen, dnr 7")
    her.press("form[action$='/hold'] button")
    take(her, "desk-hold", "Desk: a case under a legal hold")
    her.page.locator("[name=unhold_reason]").evaluate(
        "one => one.closest('details')?.setAttribute('open', '')"
    )
    her.page.fill("[name=unhold_reason]", "Inspektionen är klar")
    her.press("form[action$='/unhold'] button")
    her.page.locator("[name=confirm]").evaluate("one => one.closest('details')?.setAttribute('open', '')")
    take(her, "desk-forget", "Desk: forgetting a case, which asks for its reference once more")
    her.page.fill("[name=confirm]", ref)
    her.press("form[action$='/forget'] button")
    take(her, "desk-certificate", "Desk: the certificate of erasure, for printing")
    her.go("/desk/forgotten")
    take(her, "desk-forgotten", "Desk: what was forgotten")


def main() -> int:
    """Take all pictures; a page that complains or is too wide is named, and the exit code is 1."""
    began = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    material, other = make_material(None, seed=2026, slices=SLICES), make_material(None, seed=7, slices=3)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        place = Path(folder)
        with Exchange(place / "home") as exchange:
            scene = Scene(browser, exchange, material, Album(FOLDER), place)
            set_up(scene)
            her = Coordinator(browser, exchange, **scene.people["coordinator"])
            link = her_first_look(scene, her)
            scene.open_case(other, "written", "Does the biopsy change the treatment?")
            stranger = make_material(None, seed=11, slices=2)
            for name, one in (("his", material), ("nobody", stranger)):
                sent = push(exchange, lay_out(one, place / name))
                if sent.returncode:
                    raise SystemExit(f"storescu: {sent.stderr[-500:]}")
            screen = place / "screen"
            screen.mkdir()
            (screen / "SC.dcm").write_bytes(captured(material))
            push(exchange, screen, called=scene.refs[0])
            the_patient_sends(scene, link)
            her_second_look(scene, her)
            papers(scene)
            her_peers(scene, her)
            the_reviewer_answers(scene)
            the_answer_arrives(scene, her)
            the_store(scene, her)
            the_case_ends(scene, her)
            scene.done(her)
    scene.album.write_list()
    for fault in dict.fromkeys(scene.faults):
        print(fault, file=sys.stderr)
    print(f"{2 * len(scene.album.pages)} pictures in docs/screenshots, {time.monotonic() - began:.0f} s")
    return 1 if scene.faults else 0


if __name__ == "__main__":
    sys.exit(main())
