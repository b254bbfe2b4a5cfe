"""Releasing, opening, answering and forgetting: what may leave is bound to what was looked at, and each look is told."""

import io
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.errors import (
    ConflictError,
    ImpossibleMoveError,
    InvalidError,
    NotFoundError,
    SignInError,
    UnavailableError,
)
from gateway.journeys import answer_case, release_case
from gateway.journeys import open_case as way
from gateway.journeys.forget_case import forget_case
from gateway.journeys.make_copy import read_copy
from gateway.journeys.open_release import download_release, export_release, open_release
from gateway.journeys.prove_identity import live_session, make_link, open_link, send_code, verify_code
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.sign_in import add_person, disable_person
from storage import SealBrokenError, StorageError
from tests import factories
from tests.fakes.journey_house import DESK, PACS, arrival

BODY = {"question": "q", "findings": "f", "recommendation": "r", "confidence": "high"}


class Desk:
    """The steps of a coordinator and a reviewer, in short."""

    def __init__(self, house, seed=1, count=2):
        self.house, self.case = house, house.case(seed)
        self.receive(*range(1, count + 1), seed=seed)
        house.work()

    def receive(self, *numbers, seed=1, **values):
        for number in numbers:
            receive_instance(
                arrival(factories.ct_instance(seed, number=number, **values), called_ae=self.case.ref),
                source=PACS, **self.house.ports("records", "store", "clock", "policy"),
            )  # fmt: skip

    def build(self):
        ports = self.house.ports("records", "store", "sandbox", "clock")
        return release_case.build_release(ref=self.case.ref, by=DESK, **ports)

    def approve(self, **values):
        ports = self.house.ports("records", "store", "clock", "policy")
        return release_case.approve_release(ref=self.case.ref, by=DESK, **ports, **values)

    def reviewer(self, email="rut@example.org"):
        ports = self.house.ports("records", "store", "clock", "random")
        return add_person(role="reviewer", email=email, by=DESK, **ports).person.id

    def released(self):
        person = self.reviewer()
        self.build()
        release, grants = self.approve(reviewers=["rut@example.org"])
        return person, release, grants

    def open(self, release, person):
        return open_release(
            release, person_id=person, address="", **self.house.ports("records", "store", "clock")
        )

    def download(self, release, person, **ports):
        return download_release(
            release, person_id=person, address="", span="all",
            **(self.house.ports("records", "store", "clock") | ports),
        )  # fmt: skip

    def sign(self, release, person, body=None):
        ports = self.house.ports("records", "clock")
        return answer_case.sign_answer(release, body or BODY, person_id=person, address="", **ports)

    def state(self):
        return next(c.state for c in self.house.rows("cases") if c.id == self.case.id)


@pytest.fixture
def desk(house):
    made = Desk(house)
    assert house.rows("findings") == []
    return made


def test_a_release_holds_every_cleared_copy_its_own_files_and_a_digest(desk):
    release = desk.build()
    assert (release.number, release.state, release.totals["instances"]) == (1, "built", 2)
    assert desk.state() == "preparing"
    assert desk.build().number == 2
    assert len(desk.house.events("release_built")) == 2


def test_an_empty_case_has_nothing_to_release(house):
    case = house.case()
    with pytest.raises(ConflictError, match="nothing to release"):
        release_case.build_release(
            ref=case.ref, by=DESK, **house.ports("records", "store", "sandbox", "clock")
        )


def test_nothing_is_built_while_work_is_pending_or_failed_or_a_finding_is_open(desk):
    desk.receive(7)
    with pytest.raises(ConflictError, match="still being worked on"):
        desk.build()
    job = desk.house.jobs.claim_job(now=desk.house.clock.now() + timedelta(minutes=1), owner="w", lease_s=60)
    desk.house.jobs.fail_job(job.id, owner="w", now=desk.house.clock.now(), error="E", retry_at=None)
    with pytest.raises(ConflictError, match="failed"):
        desk.build()
    with desk.house.records.change(by=DESK) as change:
        change.jobs.remove(id=job.id)
        change.note("job_retried")
    with desk.house.records.change(by=DESK) as change:
        change.owe("deidentify_study", job.subject_id, due_at=desk.house.clock.now(), case_id=desk.case.id)
        change.note("job_retried")
    desk.house.work()
    desk.receive(8, BurnedInAnnotation="YES")
    desk.house.work()
    with pytest.raises(ConflictError, match="wait for a human"):
        desk.build()


def test_an_approval_is_bound_to_the_digest_that_was_looked_at(desk):
    release = desk.build()
    with pytest.raises(ConflictError, match="not the one you looked at"):
        desk.approve(digest="0" * 64)
    approved, _ = desk.approve(digest=release.manifest_digest)
    assert approved.state == "approved"
    with pytest.raises(ConflictError, match="waits for approval"):
        desk.approve()


def test_a_manifest_that_was_exchanged_is_not_approved_and_not_opened(desk):
    desk.build()
    release = desk.build()
    first = desk.house.rows("releases", number=1)[0]
    with desk.house.records.change(by=DESK) as change:
        change.releases.set(
            release.id, manifest_object_id=first.manifest_object_id, manifest_mac=first.manifest_mac,
            manifest_size_bytes=first.manifest_size_bytes,
        )  # fmt: skip
        change.note("case_read")
    with pytest.raises(ConflictError, match="not the one that was approved"):
        desk.approve(number=2)


@pytest.mark.parametrize("state", ["leaking", "replaced"])
def test_a_version_of_which_a_copy_leaks_by_now_is_not_approved(desk, state):
    desk.build()
    with desk.house.records.change(by=DESK) as change:
        copy = change.copies.first(subject_kind="instance")
        change.copies.set(copy.id, state=state)
        change.note("copy_replaced")
    with pytest.raises(ConflictError, match="changed since it was built"):
        desk.approve()


def test_a_version_that_names_what_was_left_out_since_is_not_approved(desk):
    desk.build()
    with desk.house.records.change(by=DESK) as change:
        change.instances.set(change.instances.first().id, state="excluded")
        change.note("finding_judged")
    with pytest.raises(ConflictError, match="changed"):
        desk.approve()
    desk.build()
    assert desk.approve()[0].totals["instances"] == 1


def test_two_approvals_at_once_approve_one_version_once(desk):
    desk.build()
    told, start = [], threading.Barrier(6)

    def approve():
        start.wait(30)
        try:
            told.append(desk.approve()[0].number)
        except ConflictError:
            told.append(None)

    threads = [threading.Thread(target=approve) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(told, key=str) == [1, *[None] * 5]
    assert len(desk.house.events("release_approved")) == 1


def test_a_version_that_was_withdrawn_while_it_was_being_approved_stays_withdrawn(desk, monkeypatch):
    release = desk.build()
    real = release_case.read_manifest

    def withdraws(*args, **ports):
        release_case.withdraw_release(release_id=release.id, by=DESK, **desk.house.ports("records", "clock"))
        return real(*args, **ports)

    monkeypatch.setattr(release_case, "read_manifest", withdraws)
    with pytest.raises(ConflictError):
        desk.approve()
    assert desk.house.rows("releases")[0].state == "withdrawn"


def test_a_reviewer_opens_what_she_was_granted_and_the_case_moves_on(desk):
    person, release, grants = desk.released()
    assert [g.person_id for g in grants] == [person]
    for _ in range(2):
        found, manifest = desk.open(release.id, person)
    assert found.id == release.id
    assert desk.state() == "in_review"
    assert len(desk.house.events("release_opened")) == 2
    package = b"".join(desk.download(release.id, person).read())
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [e.name for e in manifest.entries]


@pytest.mark.parametrize(
    "how", ["stranger", "expired", "revoked", "withdrawn", "disabled", "not approved", "none"]
)
def test_without_a_right_a_release_does_not_exist_and_the_try_is_told(desk, how):
    person, release, grants = desk.released()
    ports = desk.house.ports("records", "clock")
    wanted = release.id
    if how == "stranger":
        person = desk.reviewer("other@example.org")
    elif how == "expired":
        desk.house.clock.forward(days=30)
    elif how == "revoked":
        release_case.revoke_grant(grant_id=grants[0].id, by=DESK, **ports)
    elif how == "withdrawn":
        release_case.withdraw_release(release_id=release.id, by=DESK, **ports)
    elif how == "disabled":
        disable_person(email="rut@example.org", by=DESK, store=desk.house.store, **ports)
    elif how == "not approved":
        wanted = desk.build().id
    else:
        wanted = "0" * 32
    for step in (desk.open, desk.download, desk.sign):
        with pytest.raises(NotFoundError, match="no such release for you"):
            step(wanted, person)
    assert len(desk.house.events("access_refused")) == 3
    assert desk.house.events("release_opened") == desk.house.events("release_downloaded") == []


def test_not_a_byte_is_given_when_the_audit_cannot_be_written(desk):
    person, release, _ = desk.released()

    class NoAudit:
        view = desk.house.records.view

        @contextmanager
        def change(self, *, by):
            raise UnavailableError
            yield

    class Watched:
        opened = 0

        def __getattr__(self, name):
            if name == "open":
                Watched.opened += 1
            return getattr(desk.house.store, name)

    with pytest.raises(UnavailableError):
        desk.download(release.id, person, records=NoAudit(), store=Watched())
    with pytest.raises(UnavailableError):
        open_release(
            release.id,
            person_id=person,
            address="",
            records=NoAudit(),
            store=Watched(),
            clock=desk.house.clock,
        )
    assert Watched.opened == 0


def test_the_event_of_a_download_is_committed_before_the_first_byte_is_read(desk):
    person, release, _ = desk.released()
    package = desk.download(release.id, person)
    assert len(desk.house.events("release_downloaded")) == 1
    assert next(iter(package.read(10, 20)))


def test_a_right_goes_over_to_the_next_version_unless_it_ended(desk):
    person, _, grants = desk.released()
    desk.build()
    _, carried = desk.approve()
    assert [g.person_id for g in carried] == [person]
    desk.house.clock.forward(days=31)
    desk.build()
    assert desk.approve()[1] == []
    for grant in [*grants, *carried]:
        release_case.revoke_grant(grant_id=grant.id, by=DESK, **desk.house.ports("records", "clock"))
    desk.build()
    with pytest.raises(NotFoundError, match="no such reviewer"):
        desk.approve(reviewers=["nobody@example.org"])
    assert desk.house.rows("releases", state="built")


def test_a_disabled_reviewer_gets_no_next_version(desk):
    desk.released()
    disable_person(email="rut@example.org", by=DESK, **desk.house.ports("records", "store", "clock"))
    desk.build()
    assert desk.approve()[1] == []


def test_only_an_approved_release_is_granted_and_only_once_withdrawn(desk):
    ports = desk.house.ports("records", "clock")
    release = desk.build()
    desk.reviewer()
    more = desk.house.ports("store", "policy")
    with pytest.raises(ConflictError):
        release_case.grant_release(release_id=release.id, email="rut@example.org", by=DESK, **ports, **more)
    desk.approve()
    assert release_case.grant_release(
        release_id=release.id, email="rut@example.org", by=DESK, **ports, **more
    )
    release_case.withdraw_release(release_id=release.id, by=DESK, **ports)
    with pytest.raises(ConflictError):
        release_case.withdraw_release(release_id=release.id, by=DESK, **ports)


def test_an_export_is_of_an_approved_release_and_is_told(desk):
    ports = desk.house.ports("records", "store")
    desk.build()
    with pytest.raises(ConflictError, match="no approved release"):
        export_release(ref=desk.case.ref, number=None, by=DESK, **ports)
    desk.approve()
    package = export_release(ref=desk.case.ref.lower(), number=1, by=DESK, **ports)
    content = b"".join(package.read())
    assert len(content) == package.total_bytes
    assert b"".join(package.read(1000, 5000)) == content[1000:5000]
    words = factories.make_people(1)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    needles = factories.planted_bytes((words.patient.family, words.patient.given, words.personnummer.value))
    assert [n for n in needles if n in whole] == []
    assert len(desk.house.events("release_exported")) == 1


# the answer


def test_an_answer_is_signed_versioned_delivered_and_read(desk):
    person, release, _ = desk.released()
    desk.open(release.id, person)
    with pytest.raises(InvalidError, match="findings"):
        desk.sign(release.id, person, {**BODY, "findings": " "})
    with pytest.raises(InvalidError, match="no such parts"):
        desk.sign(release.id, person, {**BODY, "price": "1"})
    assert desk.sign(release.id, person).version == 1
    assert desk.sign(release.id, person, {**BODY, "findings": "better"}).version == 2
    assert desk.state() == "answered"
    session = _patient(desk)
    assert answer_case.read_answer(session, address="", **desk.house.ports("records", "clock")) is None
    ports = desk.house.ports("records", "clock", "random", "mailer", "policy")
    delivered = answer_case.deliver_answer(ref=desk.case.ref, by=DESK, **ports)
    assert (delivered.version, desk.state()) == (2, "delivered")
    (mail,) = desk.house.mailer.sent
    assert "better" not in mail["text"]
    assert factories.make_people(1).patient.family not in mail["text"] + mail["subject"]
    for refused in (
        lambda: answer_case.deliver_answer(ref=desk.case.ref, by=DESK, **ports),
        lambda: desk.sign(release.id, person),
    ):
        with pytest.raises(ConflictError):
            refused()
    session = _patient(desk)
    read = answer_case.read_answer(session, address="", **desk.house.ports("records", "clock"))
    assert read.body["findings"] == "better"
    assert read.read_at == desk.house.clock.now()
    assert len(desk.house.events("answer_read")) == 1


def _patient(desk):
    ports = desk.house.ports("records", "clock", "random", "policy")
    _, url = make_link(ref=desk.case.ref, by=DESK, **ports)
    pre = open_link(url.rsplit("#", 1)[1], address="", **ports).token
    more = desk.house.ports("store")
    send_code(pre, address="", texter=desk.house.texter, **ports, **more)
    code = "".join(c for c in desk.house.texter.sent[-1]["text"].split(".")[0] if c.isdigit())
    token = verify_code(pre, code, address="", **ports, **more)
    return live_session(token, kind="patient", **desk.house.ports("records", "clock", "policy"))


def test_an_answer_that_was_not_signed_is_not_delivered(desk):
    ports = desk.house.ports("records", "clock", "random", "mailer", "policy")
    with pytest.raises(NotFoundError):
        answer_case.deliver_answer(ref=desk.case.ref, by=DESK, **ports)
    with pytest.raises(ImpossibleMoveError):
        way.close_case(ref=desk.case.ref, by=DESK, **desk.house.ports("records", "clock"))


def test_the_clock_starts_stands_and_runs_on(desk):
    ports = desk.house.ports("records", "clock")
    case = way.complete_case(ref=desk.case.ref, by=DESK, **ports)
    day = timedelta(days=1)

    def due(case):
        return way.deadline_of(case, policy=desk.house.policy, now=desk.house.clock.now()).due_at

    start = desk.house.clock.now()
    assert due(case) == start + 15 * day
    way.pause_clock(ref=case.ref, reason="x", by=DESK, **ports)
    with pytest.raises(ConflictError):
        way.pause_clock(ref=case.ref, reason="x", by=DESK, **ports)
    desk.house.clock.forward(days=3)
    case = way.resume_clock(ref=case.ref, by=DESK, **ports)
    assert due(case) == start + 18 * day
    with pytest.raises(ConflictError):
        way.resume_clock(ref=case.ref, by=DESK, **ports)
    with pytest.raises(InvalidError):
        way.pause_clock(ref=case.ref, reason=" ", by=DESK, **ports)
    way.reopen_case(ref=case.ref, by=DESK, **ports)
    desk.house.clock.forward(days=1)
    again = way.complete_case(ref=case.ref, by=DESK, **ports)
    assert again.clock_started_at == start


@pytest.mark.parametrize(
    "patient", [{}, {"names": []}, {"names": [{"family": "x"}], "unknown": 1}, {"names": 5}]
)
def test_a_case_without_a_patient_is_not_opened(house, patient):
    with pytest.raises(InvalidError):
        house.case(patient=patient)
    assert house.events("case_opened") == []


# forgetting


def test_a_forgotten_case_opens_nowhere_and_the_case_beside_it_is_whole(house):
    gone, kept = Desk(house, 1), Desk(house, 2)
    person, release, _ = gone.released()
    kept.build()
    instances = [i for i in house.rows("instances") if i.case_id == gone.case.id]
    copies = house.rows("copies", case_id=gone.case.id)
    with house.records.view() as view:
        key = view.key(gone.case.id, "originals")
    session = _patient(gone)
    with pytest.raises(ConflictError, match="cannot be undone"):
        forget_case(ref=gone.case.ref, confirm="", by=DESK, **house.ports("records", "store"))
    kept_of_it = forget_case(
        ref=gone.case.ref, confirm=gone.case.ref, by=DESK, **house.ports("records", "store")
    )
    assert kept_of_it.objects >= len(instances) + len(copies) + 1
    assert kept_of_it.left == []
    with pytest.raises(NotFoundError), house.records.view() as view:
        view.key(gone.case.id, "originals")
    with pytest.raises(NotFoundError):
        read_copy(copies[0], **house.ports("records", "store"))
    with (
        pytest.raises(StorageError),
        house.store.open(_ref(instances[0]), key=key, kind="original") as reader,
    ):
        reader.read()
    with pytest.raises(NotFoundError):
        gone.open(release.id, person)
    with pytest.raises(SignInError):
        live_session("x", kind="patient", **house.ports("records", "clock", "policy"))
    assert [s for s in house.rows("sessions") if s.id == session.id] == []
    for kind in (
        "cases",
        "studies",
        "instances",
        "documents",
        "copies",
        "findings",
        "links",
        "jobs",
        "releases",
    ):
        rows = house.rows(kind)
        assert not [r for r in rows if getattr(r, "case_id", getattr(r, "id", "")) == gone.case.id], kind
    assert {i.object_id for i in house.rows("instances")} <= house.objects()
    assert kept.build().number == 2
    for copy in house.rows("copies", case_id=kept.case.id, state="verified"):
        assert read_copy(copy, **house.ports("records", "store"))
    named = {r.object_id for kind in ("instances", "copies") for r in house.rows(kind)}
    named |= {r.manifest_object_id for r in house.rows("releases")}
    assert house.objects() == named
    (event,) = house.events("case_forgotten")
    assert event.details["keys"] == 2


def test_bytes_of_a_forgotten_case_from_a_backup_do_not_open_with_another_key(house):
    gone, kept = Desk(house, 1, count=1), Desk(house, 2, count=1)
    instance = next(i for i in house.rows("instances") if i.case_id == gone.case.id)
    path = next(p for p in (house.folder / "objects").rglob(instance.object_id))
    backup = path.read_bytes()
    forget_case(ref=gone.case.ref, confirm=gone.case.ref, by=DESK, **house.ports("records", "store"))
    path.write_bytes(backup)
    with house.records.view() as view:
        other = view.key(kept.case.id, "originals")
    for key in (other, replace(other, holder=gone.case.id)):
        with (
            pytest.raises((SealBrokenError, StorageError)),
            house.store.open(_ref(instance), key=key, kind="original") as r,
        ):
            r.read()


def _ref(row):
    from storage import SealedRef

    return SealedRef(
        object_id=row.object_id, size_bytes=row.size_bytes, digest=row.digest, generation=row.generation
    )


def test_somebody_who_lost_her_telephone_is_let_in_again_with_a_new_password_and_seed(desk):
    from gateway.journeys.sign_in import add_person, disable_person, reset_person

    ports = desk.house.ports("records", "store", "clock")
    first = add_person(role="reviewer", email="lost@example.org", by=DESK, random=desk.house.random, **ports)
    disable_person(email="lost@example.org", by=DESK, **ports)
    again = reset_person(email="lost@example.org", by=DESK, random=desk.house.random, **ports)
    assert again.person.id == first.person.id
    assert again.person.disabled_at is None
    assert again.password != first.password
    assert again.person.totp_seed != first.person.totp_seed
