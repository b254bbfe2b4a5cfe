"""The ways in: a patient's link and code, a patient's file piece by piece, a member of staff with password and code."""

import hashlib
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from gateway.domain.errors import (
    BusyError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SignInError,
    TooLargeError,
    TooManyError,
    UnavailableError,
)
from gateway.domain.upload import token_hash
from gateway.journeys import receive_document as files
from gateway.journeys.assemble_document import assemble
from gateway.journeys.prove_identity import (
    LinkRefusedError,
    end_session,
    live_session,
    make_link,
    open_link,
    revoke_links,
    send_code,
    verify_code,
)
from gateway.journeys.sign_in import SignInRefusedError, add_person, disable_person, sign_in
from tests.fakes.journey_house import DESK

PASSWORD = "a sentence that is a good password"


class Way:
    """A patient's steps, in short."""

    def __init__(self, house):
        self.house, self.case = house, house.case()

    def link(self, **values):
        made = make_link(
            ref=self.case.ref, by=DESK, **self.house.ports("records", "clock", "random", "policy"), **values
        )
        return made[1].rsplit("#", 1)[1]

    def open(self, token):
        return open_link(token, address="", **self.house.ports("records", "clock", "random", "policy")).token

    def ask(self, pre):
        send_code(
            pre, address="",
            **self.house.ports("records", "store", "clock", "random", "texter", "policy"),
        )  # fmt: skip
        return "".join(c for c in self.house.texter.sent[-1]["text"].split(".")[0] if c.isdigit())

    def give(self, pre, code):
        return verify_code(
            pre, code, address="", **self.house.ports("records", "store", "clock", "random", "policy")
        )

    def session(self, token, kind="patient"):
        return live_session(token, kind=kind, **self.house.ports("records", "clock", "policy"))

    def all_the_way(self):
        pre = self.open(self.link())
        return self.session(self.give(pre, self.ask(pre)))


@pytest.fixture
def way(house):
    return Way(house)


def _wrong(code):
    return f"{(int(code) + 1) % 10**8:08d}"


def test_a_link_and_a_code_are_worth_one_case(way):
    session = way.all_the_way()
    assert (session.kind, session.case_id) == ("patient", way.case.id)
    assert len(way.house.events("patient_signed_in")) == 1


def test_the_token_and_the_code_stand_nowhere_in_the_clear(way, tmp_path):
    token = way.link()
    pre = way.open(token)
    code = way.ask(pre)
    session = way.give(pre, code)
    assert len(code) == 8
    everything = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert not [t for t in (token, pre, session) if t.encode() in everything]
    assert code not in repr(way.house.events())
    assert token_hash(token).encode() in everything


def test_every_refusal_of_a_link_looks_alike(way):
    unknown, told = "f" * 64, []
    expired = way.link()
    way.house.clock.forward(days=31)
    replaced = way.link()
    revoked = way.link()
    revoke_links(ref=way.case.ref, by=DESK, **way.house.ports("records", "clock"))
    for token in (unknown, expired, replaced, revoked, "", "é" * 10):
        with pytest.raises(LinkRefusedError) as caught:
            way.open(token)
        told.append((str(caught.value), caught.value.next_step))
    assert len(set(told)) == 1
    assert len(way.house.events("link_refused")) == 6
    assert {e.case_id for e in way.house.events("link_refused")} == {""}


def test_opening_a_link_sends_nothing(way):
    token = way.link()
    for _ in range(20):
        way.open(token)
    assert way.house.texter.sent == []
    assert way.house.rows("challenges") == []


def test_a_code_counts_five_tries_and_the_right_one_afterwards_does_not_help(way):
    pre = way.open(way.link())
    code = way.ask(pre)
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(InvalidError) as caught:
            way.give(pre, _wrong(code))
        assert f"{left} tries" in caught.value.next_step
    with pytest.raises(ExpiredError):
        way.give(pre, code)
    assert way.house.rows("sessions", ended_at=None)[0].kind == "pre"
    assert Counter(e.details["why"] for e in way.house.events("code_refused")) == {"wrong": 5, "spent": 1}


def test_forty_wrong_tries_at_once_are_compared_five_times(way):
    pre = way.open(way.link())
    code = way.ask(pre)
    told, start = [], threading.Barrier(40)

    def guess():
        start.wait(60)
        try:
            way.give(pre, _wrong(code))
        except (InvalidError, ExpiredError) as error:
            told.append(type(error).__name__)

    threads = [threading.Thread(target=guess) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(told) == {"InvalidError": 5, "ExpiredError": 35}
    assert way.house.rows("links")[0].fails == 40


def test_a_code_lives_ten_minutes_and_is_used_once(way):
    pre = way.open(way.link())
    code = way.ask(pre)
    way.house.clock.forward(seconds=600)
    with pytest.raises(ExpiredError):
        way.give(pre, code)
    code = way.ask(pre)
    way.house.clock.forward(seconds=599)
    way.give(pre, code)
    with pytest.raises(LinkRefusedError):
        way.give(pre, code)


def test_a_code_counts_in_the_browser_that_asked_for_it_only(way):
    token = way.link()
    mine, theirs = way.open(token), way.open(token)
    code = way.ask(mine)
    with pytest.raises(ExpiredError):
        way.give(theirs, code)
    assert way.give(mine, f" {code[:4]} {code[4:]} ")


def test_a_new_code_ends_the_one_before(way):
    pre = way.open(way.link())
    first = way.ask(pre)
    way.house.clock.forward(seconds=30)
    second = way.ask(pre)
    with pytest.raises(InvalidError):
        way.give(pre, first if first != second else _wrong(second))
    assert way.give(pre, second)


def test_five_codes_a_day_with_a_growing_wait_between_them(way):
    pre, waits = way.open(way.link()), []
    for _ in range(4):
        way.ask(pre)
        with pytest.raises(TooManyError) as caught:
            way.ask(pre)
        waits.append(caught.value.retry_after_s)
        way.house.clock.forward(seconds=caught.value.retry_after_s)
    assert waits == [31, 61, 121, 241]
    way.ask(pre)
    with pytest.raises(TooManyError, match="today"):
        way.ask(pre)
    assert len(way.house.texter.sent) == 5
    way.house.clock.forward(days=1)
    with pytest.raises(LinkRefusedError):  # the browser's own hour is over
        way.ask(pre)
    assert way.ask(way.open(way.link()))


def test_fifty_failures_switch_a_link_off_for_good_and_another_case_is_not_touched(way):
    other = Way(way.house)
    token, other_token = way.link(), other.link()
    pre = way.open(token)
    for _ in range(50):
        with pytest.raises(ExpiredError):
            way.give(pre, "00000000")
    for step in (lambda: way.give(pre, "00000000"), lambda: way.ask(pre), lambda: way.open(token)):
        with pytest.raises(LinkRefusedError):
            step()
    assert other.open(other_token)


def test_a_new_link_ends_the_old_one_and_its_sessions_at_once(way):
    old = way.link()
    pre = way.open(old)
    token = way.give(pre, way.ask(pre))
    half_way = way.open(old)
    way.link()
    with pytest.raises(SignInError):
        way.session(token)
    with pytest.raises(LinkRefusedError):
        way.ask(half_way)
    with pytest.raises(LinkRefusedError):
        way.open(old)


def test_a_session_ends_of_idleness_of_age_of_its_link_and_of_signing_out(way):
    pre = way.open(way.link())
    token = way.give(pre, way.ask(pre))
    way.house.clock.forward(minutes=14)
    way.session(token)
    way.house.clock.forward(minutes=14)
    assert way.session(token)  # looking kept it awake
    for _ in range(50):
        way.house.clock.forward(minutes=10)
        try:
            way.session(token)
        except SignInError:
            break
    born = next(s for s in way.house.rows("sessions") if s.token_hash == token_hash(token)).created_at
    assert timedelta(hours=8) <= way.house.clock.now() - born < timedelta(hours=8, minutes=15)
    pre = way.open(way.link())
    token = way.give(pre, way.ask(pre))
    way.house.clock.forward(minutes=15)
    with pytest.raises(SignInError):
        way.session(token)
    pre = way.open(way.link())
    way.house.clock.forward(minutes=10)
    token = way.give(pre, way.ask(pre))
    for wrong in ("", "x", pre):
        with pytest.raises(SignInError):
            way.session(wrong)
    with pytest.raises(SignInError):
        way.session(token, kind="staff")
    for _ in range(2):
        end_session(token, address="", **way.house.ports("records", "clock"))
    with pytest.raises(SignInError):
        way.session(token)
    assert len(way.house.events("signed_out")) == 1


def test_without_a_number_to_send_to_there_is_no_link_and_a_dead_texter_is_told(way):
    from tests import factories

    nobody = way.house.case(patient={**factories.patient(), "phones": []})
    ports = way.house.ports("records", "clock", "random", "policy")
    with pytest.raises(InvalidError, match="telephone"):
        make_link(ref=nobody.ref, by=DESK, **ports)
    assert make_link(ref=nobody.ref, by=DESK, phone="+46701740647", **ports)
    pre = way.open(way.link())
    way.house.texter.error = UnavailableError("down")
    with pytest.raises(UnavailableError):
        way.ask(pre)


# a patient's file


class Sender:
    def __init__(self, house, session):
        self.house, self.me = house, session

    def create(self, size=10, **values):
        fixed = {"name": "svar.pdf", "size_bytes": size, "category": "labs", "media_type": "application/pdf"}
        ports = self.house.ports("records", "clock", "policy")
        return files.create_upload(self.me, address="", **ports, **(fixed | values)).id

    def append(self, upload, offset, chunk, sha256=None):
        ports = self.house.ports("records", "store", "clock")
        return files.append_part(
            self.me, upload, offset=offset, chunk=chunk, sha256=sha256, address="", **ports
        )

    def finish(self, upload):
        return files.finish_upload(
            self.me, upload, address="", **self.house.ports("records", "store", "clock")
        )

    def abandon(self, upload):
        files.abandon_upload(self.me, upload, address="", **self.house.ports("records", "store", "clock"))


@pytest.fixture
def sender(way):
    return Sender(way.house, way.all_the_way())


def test_a_file_comes_in_pieces_and_each_that_is_counted_is_sealed(sender):
    upload = sender.create(10)
    assert sender.append(upload, 0, b"01234") == 5
    assert len(sender.house.objects()) == 1
    with pytest.raises(files.OffsetError, match="stands at 5"):
        sender.append(upload, 0, b"01234")
    with pytest.raises(files.OffsetError):
        sender.append(upload, 6, b"6")
    with pytest.raises(TooLargeError):
        sender.append(upload, 5, b"567890")
    with pytest.raises(files.ChecksumError):
        sender.append(upload, 5, b"56789", hashlib.sha256(b"other").digest())
    with pytest.raises(ConflictError, match="5 bytes"):
        sender.finish(upload)
    assert sender.append(upload, 5, b"56789", hashlib.sha256(b"56789").digest()) == 10
    document = sender.finish(upload)
    assert sender.finish(upload) == document
    assert [(j.kind, j.subject_id) for j in sender.house.rows("jobs")] == [("inspect_document", upload)]
    whole = assemble(document, by=DESK, **sender.house.ports("records", "store"))
    assert whole.sha256 == hashlib.sha256(b"0123456789").hexdigest()
    assert sender.house.objects() == {whole.object_id}
    assert assemble(whole, by=DESK, **sender.house.ports("records", "store")) == whole


def test_two_workers_that_assemble_one_file_do_not_make_it_empty(sender):
    upload = sender.create(3)
    sender.append(upload, 0, b"abc")
    document = sender.finish(upload)
    whole = assemble(document, by=DESK, **sender.house.ports("records", "store"))
    with pytest.raises(BusyError):
        assemble(document, by=DESK, **sender.house.ports("records", "store"))
    assert sender.house.rows("documents") == [whole]
    assert sender.house.objects() == {whole.object_id}


def test_two_writers_at_one_offset_one_wins_and_the_other_is_told(sender):
    upload = sender.create(8)
    told, start = [], threading.Barrier(8)

    def send(number):
        start.wait(30)
        try:
            told.append(sender.append(upload, 0, b"abcd" if number % 2 else b"abcdefg"))
        except ConflictError:
            told.append("told")

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert told.count("told") == 7
    (part,) = sender.house.rows("parts")
    assert sender.house.rows("uploads")[0].offset_bytes == part.size_bytes
    assert sender.house.objects() == {part.object_id}


def test_a_foreign_upload_does_not_exist_and_an_old_one_is_gone(sender):
    upload = sender.create()
    other = Way(sender.house).all_the_way()
    stranger = Sender(sender.house, other)
    for step in (
        lambda: stranger.append(upload, 0, b"x"),
        lambda: stranger.finish(upload),
        lambda: stranger.abandon(upload),
        lambda: sender.append("0" * 32, 0, b"x"),
    ):
        with pytest.raises(NotFoundError):
            step()
    sender.house.clock.forward(hours=24)
    with pytest.raises(ExpiredError):
        sender.append(upload, 0, b"x")


def test_an_abandoned_file_is_gone_with_its_bytes_and_a_whole_one_cannot_be_given_up(sender):
    upload = sender.create(4)
    sender.append(upload, 0, b"ab")
    sender.abandon(upload)
    assert sender.house.objects() == set()
    with pytest.raises(NotFoundError):
        sender.append(upload, 2, b"cd")
    whole = sender.create(2)
    sender.append(whole, 0, b"ab")
    sender.finish(whole)
    with pytest.raises(ConflictError, match="arrived"):
        sender.abandon(whole)


def test_a_piece_that_was_on_its_way_while_its_file_was_given_up_is_not_counted(sender):
    upload = sender.create(4)

    class GivesUp:
        def __getattr__(self, name):
            return getattr(sender.house.store, name)

        def seal(self, *args, **values):
            ref = sender.house.store.seal(*args, **values)
            sender.abandon(upload)
            return ref

    with pytest.raises(BusyError):
        files.append_part(
            sender.me, upload, offset=0, chunk=b"abcd", sha256=None, address="", store=GivesUp(),
            **sender.house.ports("records", "clock"),
        )  # fmt: skip
    assert sender.house.rows("uploads")[0].state == "abandoned"
    assert sender.house.objects() == set()


def test_what_is_over_a_quota_is_refused_before_a_byte_is_sent(sender):
    house = sender.house
    house.policy = replace(house.policy, file_limit_bytes=100, link_limit_bytes=150, link_limit_files=3)
    for wrong, kind in (
        ({"size": 101}, TooLargeError), ({"size": 0}, InvalidError), ({"category": "x"}, InvalidError),
    ):  # fmt: skip
        with pytest.raises(kind):
            sender.create(**wrong)
    sender.create(100)
    with pytest.raises(TooLargeError, match="150 bytes"):
        sender.create(51)
    sender.create(25)
    sender.create(25)
    with pytest.raises(TooLargeError):
        sender.create(1)


def test_a_case_that_is_over_takes_no_file(sender):
    with sender.house.records.change(by=DESK) as change:
        change.cases.set(sender.me.case_id, state="closed")
        change.note("case_moved")
    with pytest.raises(ConflictError):
        sender.create()


@pytest.mark.parametrize(
    "media_type", ["Anna Svensson", "text/Anna Svensson", "text/plain; name=anna", "a" * 200, ""]
)
def test_a_media_type_that_is_none_stands_nowhere(sender, media_type):
    upload = sender.create(media_type=media_type)
    (row,) = [u for u in sender.house.rows("uploads") if u.id == upload]
    assert row.media_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\svar.pdf", "svar.pdf"),
        ("a\u202efdp.exe", "afdp.exe"),
        ("a\r\nb", "ab"),
    ],
)
def test_a_file_name_is_a_label_without_path_or_control_signs(sender, given, kept):
    upload = sender.create(name=given)
    assert [u.name for u in sender.house.rows("uploads") if u.id == upload] == [kept]


# staff


class Staff:
    def __init__(self, house):
        self.house = house
        self.made = add_person(
            role="reviewer", email="Rut@example.org", by=DESK, password=PASSWORD,
            **house.ports("records", "store", "clock", "random"),
        )  # fmt: skip

    def code(self, steps=0):
        totp = pyotp.TOTP(self.made.person.totp_seed)
        return totp.generate_otp(int(self.house.clock.now().timestamp()) // 30 + steps)

    def enter(self, *, email="rut@example.org", password=PASSWORD, code=None, roles=("reviewer",)):
        return sign_in(
            email=email, password=password, code=self.code() if code is None else code, roles=roles, address="",
            **self.house.ports("records", "store", "clock", "random", "policy"),
        )  # fmt: skip


@pytest.fixture
def staff(house):
    return Staff(house)


def test_staff_come_in_with_password_and_code_and_one_code_counts_once(staff):
    token, person = staff.enter()
    assert person.id == staff.made.person.id
    assert live_session(token, kind="staff", **staff.house.ports("records", "clock", "policy"))
    with pytest.raises(SignInRefusedError):
        staff.enter()
    with pytest.raises(SignInRefusedError):
        staff.enter(code=staff.code(-1))  # older than the one that was used
    staff.house.clock.forward(seconds=30)
    assert staff.enter()


def test_one_code_given_four_times_at_once_opens_one_session(staff):
    told, start = [], threading.Barrier(4)

    def enter():
        start.wait(30)
        try:
            staff.enter()
            told.append("in")
        except ForbiddenError:
            told.append("out")
        except TooManyError:
            told.append("wait")

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told.count("in") == 1


def test_every_refusal_of_a_sign_in_is_the_same_sentence(staff):
    told = set()
    for wrong in (
        {"email": "nobody@example.org"}, {"password": "wrong"}, {"code": "000000"}, {"code": "x"}, {"code": ""},
    ):  # fmt: skip
        with pytest.raises(SignInRefusedError) as caught:
            staff.enter(**wrong)
        told.add((str(caught.value), caught.value.next_step))
    assert len(told) == 1
    assert len(staff.house.events("sign_in_refused")) == 5


def test_the_wrong_role_and_a_disabled_person_are_refused_and_sessions_end(staff):
    with pytest.raises(SignInRefusedError):
        staff.enter(roles=("coordinator",))
    token, _ = staff.enter()
    disable_person(email="RUT@example.org", by=DESK, **staff.house.ports("records", "store", "clock"))
    with pytest.raises(SignInError):
        live_session(token, kind="staff", **staff.house.ports("records", "clock", "policy"))
    staff.house.clock.forward(seconds=60)
    with pytest.raises(SignInRefusedError):
        staff.enter()


def test_five_failures_lock_and_the_wait_grows(staff):
    waits = []
    for _ in range(5):
        with pytest.raises(SignInRefusedError):
            staff.enter(password="wrong")
    for _ in range(4):
        with pytest.raises(TooManyError) as caught:
            staff.enter()
        waits.append(caught.value.retry_after_s)
        staff.house.clock.forward(seconds=caught.value.retry_after_s)
        with pytest.raises(SignInRefusedError):
            staff.enter(password="wrong")
    assert waits == [31, 61, 121, 241]
    staff.house.clock.forward(hours=2)
    assert staff.enter()
    assert staff.house.rows("people")[0].fails == 0


def test_failures_at_the_same_moment_are_all_counted_and_a_right_one_among_them_comes_too_late(
    staff, monkeypatch
):
    from gateway.journeys import sign_in as module

    real, others = module._password_fits, [0]

    def slow(hashed, password):
        """While one request hashes, eight others fail."""
        if others[0] == 0:
            others[0] = 1
            for _ in range(8):
                with pytest.raises((SignInRefusedError, TooManyError)):
                    staff.enter(password="wrong")
        return password == PASSWORD if others[0] else real(hashed, password)

    monkeypatch.setattr(module, "_password_fits", slow)
    with pytest.raises((SignInRefusedError, TooManyError)):
        staff.enter()
    assert staff.house.rows("people")[0].fails >= 5


def test_a_person_is_added_once_with_a_password_that_is_long_enough(staff):
    ports = staff.house.ports("records", "store", "clock", "random")
    with pytest.raises(ConflictError):
        add_person(role="reviewer", email=" rut@EXAMPLE.org", by=DESK, **ports)
    for wrong in ({"email": "no address"}, {"email": "x@y.org", "password": "short"}):
        with pytest.raises(InvalidError):
            add_person(role="reviewer", by=DESK, **ports, **wrong)
    made = add_person(role="coordinator", email="x@y.org", by=DESK, **ports)
    assert len(made.password) >= 15
    assert made.password not in repr(staff.house.rows("people"))


def test_the_change_that_counts_the_last_piece_makes_the_document_and_owes_its_inspection(sender):
    upload = sender.create(4)
    sender.append(upload, 0, b"ab")
    assert not sender.house.rows("documents")
    sender.append(upload, 2, b"cd")  # and nothing more: the browser went away
    (document,) = sender.house.rows("documents")
    assert (document.id, document.state) == (upload, "received")
    assert [j.kind for j in sender.house.rows("jobs")] == ["inspect_document"]
    assert sender.finish(upload).sha256 == hashlib.sha256(b"abcd").hexdigest()
