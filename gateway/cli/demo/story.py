"""The demo's story, step by step, as a person would tell it; each step ends with what was seen, or the demo ends there."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dicom_node.part10 import open_part10
from dicom_node.requestor import Call
from dicom_node.scu import OutboundInstance, echo, send
from gateway.cli.console import out
from gateway.cli.demo.exchange import Exchange
from gateway.cli.demo.material import Material
from gateway.cli.demo.proof import Searcher, check_package, insist, search_folder
from gateway.cli.demo.visitors import Patient, Reviewer
from gateway.settings import host_and_port

PACS = "KUNGSHOLMEN"
WORK_S = 150.0


@dataclass
class Story:
    """What the steps hand on to one another."""

    exchange: Exchange
    material: Material
    place: Path
    ref: str = ""
    proofs: list[tuple[str, object]] = field(default_factory=list)
    reviewer: dict[str, Any] = field(default_factory=dict)
    package: bytes = b""
    number: int = 0

    def step(self, title: str) -> None:
        """Begin a step."""
        self.number += 1
        out.print(f"\n[bold cyan]{self.number}.[/] [bold]{title}[/]")

    def saw(self, text: str) -> None:
        """Say what was seen."""
        out.print(f"   [green]✓[/] {text}")


def tell(story: Story) -> None:
    """Walk the whole main job."""
    for chapter in (
        _set_up,
        _open,
        _push,
        _patient_sends,
        _work,
        _judge,
        _release,
        _review,
        _answer,
        _nothing_in_the_clear,
        _audit,
    ):
        chapter(story)


def _set_up(story: Story) -> None:
    story.step("The exchange starts, and the operator lets people in")
    exchange = story.exchange
    story.saw(exchange.ready_line)
    exchange.call(
        "peer", "add", PACS, "--host", "127.0.0.1/32", "--description", "a referring hospital's PACS"
    )
    story.saw(f"the hospital's PACS may send as {PACS}, from its own address only")
    story.reviewer = exchange.call(
        "person", "add", "--role", "reviewer", "--email", "reviewer@consilium.example"
    )
    exchange.call("person", "add", "--role", "coordinator", "--email", "desk@consilium.example")
    story.saw("a coordinator and a reviewer were added: password and code app, both needed")


def _open(story: Story) -> None:
    story.step("The coordinator opens a case for an MDT opinion")
    exchange = story.exchange
    patient = json.dumps(story.material.patient_json)
    question = "Is surgery the right next step, or treatment first?"
    case = exchange.call(
        "case", "open", "--opinion", "mdt", "--patient", "-", "--questions", question, stdin=patient
    )
    story.ref = case["ref"]
    story.saw(
        f"case {story.ref}; hospitals may send to AE title {case['ae_title']}, which stands on the referral"
    )


def _push(story: Story) -> None:
    story.step("The hospital's PACS pushes a CT study with its contours and its report")
    host, port = host_and_port(story.exchange.dicom, what="the node")
    call = Call(host=host, port=port, called_ae="CONSILIUM", calling_ae=PACS)
    insist(echo(call).reached, "C-ECHO was not answered")
    story.saw("C-ECHO answered")
    stranger = Call(host=host, port=port, called_ae="CONSILIUM", calling_ae="STRANGER")
    insist(not echo(stranger).reached, "an unknown AE was let in")
    story.saw("an unknown AE title was refused (1,1,3: calling AE title not recognized)")
    objects = [*story.material.ct_slices, story.material.rtstruct, story.material.sr]
    began, size = time.monotonic(), sum(map(len, objects))
    with _bar() as bar:
        task = bar.add_task("   C-STORE", total=len(objects))
        for outcome in send(call, [_outbound(content) for content in objects]):
            insist(
                outcome.kept, f"an instance was not kept ({outcome.status}: {outcome.comment or outcome.why})"
            )
            bar.advance(task)
    took = time.monotonic() - began
    story.saw(
        f"{len(objects)} objects ({size / 1e6:.0f} MB) sealed, flushed to disk and answered in {took:.1f} s ({size / 1e6 / took:.0f} MB/s)"
    )


def _patient_sends(story: Story) -> None:
    story.step("The patient opens the link, types the code from the text message and sends her files")
    exchange = story.exchange
    link = exchange.call("case", "link", story.ref)["url"]
    patient = Patient(exchange)
    hint = patient.sign_in(link)
    story.saw(f"link opened (its secret is in the fragment, so no log ever sees it); the code came to {hint}")
    files = story.material.documents
    with _bar() as bar:
        for number, file in enumerate(files):
            task = bar.add_task(f"   {file.category:<17}", total=len(file.content))
            half = len(file.content) // 2 if number == len(files) - 1 else None
            broke = patient.send(
                file.name, file.category, file.media_type, file.content, _mover(bar, task), drop_at=half
            )
            if broke:
                bar.update(task, description=f"   {file.category:<17} (line broke, resumed)")
    receipt = patient.finish()
    story.saw(f"receipt {receipt['number']} for {receipt['files']} files")


def _work(story: Story) -> None:
    story.step("The exchange inspects, unpacks and de-identifies; nothing is released by itself")
    until = time.monotonic() + WORK_S
    with _bar() as bar:
        task = bar.add_task("   de-identified or held", total=None)
        while time.monotonic() < until:
            found = story.exchange.call("case", "show", story.ref)
            counts = found["instances"]
            waiting = [d for d in found["documents"] if d["state"] == "received"]
            total = counts["received"] + len(found["documents"])
            bar.update(task, total=total, completed=total - counts["waiting"] - len(waiting))
            settled = all(study["state"] == "settled" for study in found["studies"])
            if (
                settled
                and not waiting
                and not counts["waiting"]
                and not found["working"]
                and found["documents"]
            ):
                break
            time.sleep(0.5)
    insist(not found["failed_jobs"], "a job failed")
    insist(not found["working"], "the work was not done in time")
    story.saw(
        f"{counts['received']} images from hospital and disc: {counts['deidentified']} de-identified, {counts['quarantined']} held"
    )
    for document in found["documents"]:
        became = _BECAME.get(document["state"], document["state"])
        story.saw(
            f"document {document['category']:<17} {document['media_type']:<17} {became} {document['note']}"
        )


_VERDICTS = {"keep": "looked at, kept", "exclude": "left out (a verdict too: here to show it)"}
#: What became of a document, for somebody who has not read the glossary.
_BECAME = {"quarantined": "cleaned as far as a machine can; held for a human's look, in step 6"}


def _judge(story: Story) -> None:
    story.step("A human looks at what no machine may decide")
    findings = [f for f in story.exchange.call("finding", "list", story.ref) if f["state"] == "open"]
    documents = {
        d["id"]: d["media_type"] for d in story.exchange.call("case", "show", story.ref)["documents"]
    }
    looks = story.place / "looked-at"
    looks.mkdir(exist_ok=True)
    for number, finding in enumerate(findings, 1):
        if finding["can_keep"]:
            picture = looks / f"{number}-{finding['code']}.png"
            story.exchange.call("finding", "look", finding["id"], "--to", str(picture))
        # The names in the photographed letter are covered; it is left out all the same, so that both verdicts are seen.
        is_photo = documents.get(finding["subject"], "").startswith("image/")
        verdict = "exclude" if is_photo or not finding["can_keep"] else "keep"
        story.exchange.call("finding", "judge", finding["id"], verdict)
        story.saw(f"{finding['reason']} → {_VERDICTS[verdict]}")
    story.saw(
        "in your own exchange: /desk/, or `consilium finding list`; how to judge: docs/deidentification.md"
    )
    story.proofs.append(("what the coordinator looked at", looks))


def _release(story: Story) -> None:
    story.step("The coordinator builds, looks at and approves release 1, and grants it to the reviewer")
    built = story.exchange.call("release", "build", story.ref)
    story.saw(
        f"{built['instances']} images and {built['documents']} documents; every copy read again by other code before it entered"
    )
    approved = story.exchange.call(
        "release", "approve", story.ref, "--digest", built["digest"], "--reviewer", story.reviewer["email"]
    )
    insist(approved["grants"] == 1, "the reviewer was not granted the release")
    story.saw(
        f"approved, bound to digest {built['digest'][:16]}…: one byte more or less and the approval is void"
    )


def _review(story: Story) -> None:
    story.step("The reviewer signs in with two factors and downloads the package; the line breaks halfway")
    reviewer = _reviewer(story)
    reviewer.sign_in()
    (release,) = reviewer.releases()
    with _bar() as bar:
        task = bar.add_task("   package.zip", total=None)
        story.package, tag = reviewer.download(release, _mover(bar, task))
    path = story.place / f"{story.ref}-v1.zip"
    path.write_bytes(story.package)
    story.saw(f"{len(story.package) / 1e6:.0f} MB, resumed by range under tag {tag[:14]}…")
    story.proofs.append(("the package", path))
    exported = story.place / f"{story.ref}-v1-exported.zip"
    story.exchange.call("release", "export", story.ref, "--to", str(exported))
    insist(
        exported.read_bytes() == story.package, "the operator's export differs from the reviewer's download"
    )
    with _bar() as bar:
        task = bar.add_task("   members checked", total=None)
        planted = [*story.material.planted, *story.material.original_uids]
        count, complaints = check_package(story.package, planted, _mover(bar, task))
    insist(not complaints, "; ".join(complaints[:5]))
    story.saw(
        f"{count} files agree with the manifest, and none holds one of {len(planted)} planted identifiers or original UIDs"
    )
    reviewer.answer(
        release,
        question="Is surgery the right next step, or treatment first?",
        findings="A solitary lesion without signs of spread in the examinations that were sent.",
        recommendation="Surgery first, then a new conference with the pathology report.",
        alternatives="Stereotactic radiotherapy, if the lung function does not allow surgery.",
        confidence="high",
        further_examinations="Lung function tests before surgery.",
    )
    story.saw("the answer is signed; from now on it can only be followed by a new version")


def _answer(story: Story) -> None:
    story.step("The coordinator delivers the answer; the patient reads it through a fresh link and code")
    story.exchange.call("case", "deliver", story.ref)
    link = story.exchange.mails()[-1].split()
    patient = Patient(story.exchange)
    patient.sign_in(next(word for word in link if "#" in word))
    page = patient.page("/p/answer")
    insist("Surgery first" in page, "the patient's page does not show the answer")
    story.saw("read; the message that told her so held a link and no word of her case")


def _nothing_in_the_clear(story: Story) -> None:
    story.step("A thief's look at the home: is anything of the patient in the clear?")
    searcher = Searcher(story.material.planted)
    with _bar() as bar:
        task = bar.add_task("   files searched", total=None)
        hits = search_folder(story.exchange.home, searcher, _mover(bar, task))
    insist(not hits, f"found in the clear: {', '.join(hits[:5])}")
    story.saw(
        f"{len(story.material.planted)} identifiers, {len(searcher.needles)} byte strings: not one found"
    )
    story.proofs.append(("the home, all of it sealed", story.exchange.home))


def _audit(story: Story) -> None:
    story.step("The auditor verifies the trail")
    story.exchange.call("audit", "checkpoint")
    verdict = story.exchange.call("audit", "verify")
    insist(verdict["ok"] and verdict["checkpoints"], "the audit trail does not verify")
    story.saw(
        f"{verdict['events']} events, chained and counted; {verdict['checkpoints']} signed heads; nothing edited, missing or moved"
    )
    trail = story.place / "audit.json"
    trail.write_text(
        json.dumps(story.exchange.call("audit", "list", "--limit", "100000"), indent=1), encoding="utf-8"
    )
    story.proofs.append(("the audit trail", trail))
    story.proofs.append(("what hospital and patient sent", story.place / "sent"))
    story.proofs.append(("the exchange's log", story.exchange.log))


def _reviewer(story: Story) -> Reviewer:
    given = story.reviewer
    return Reviewer(
        story.exchange, email=given["email"], password=given["password"], totp_secret=given["totp_secret"]
    )


def _outbound(content: bytes) -> OutboundInstance:
    meta, _ = open_part10(BytesIO(content))

    class _DataSet:
        def __init__(self) -> None:
            self._stream = open_part10(BytesIO(content))[1]

        def read(self, size: int = -1, /) -> bytes:
            return self._stream.read(size)

        def close(self) -> None:
            """Nothing is held."""

    return OutboundInstance(
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        open=_DataSet,
    )


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=out, transient=False)


def _mover(bar: Progress, task: TaskID) -> Any:
    return lambda count: bar.advance(task, count)
