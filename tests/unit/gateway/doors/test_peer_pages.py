"""What the desk's pages for peers do: adding, changing, binding, calling, shutting out; and the refused stranger made a peer."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po

from dicom_node.meanings import REJECTIONS, STATUSES
from dicom_node.receiver import AssociationEnd
from gateway.domain.commitment import Commitment
from gateway.domain.peer import Expiry, Peer, TitleUsedError
from gateway.doors.desk import peer_words
from gateway.doors.desk.app import desk_app
from gateway.doors.desk.peer_form import slug_of, title_of
from gateway.doors.desk.sheet_file import sheet_html
from gateway.doors.http import DoorConfig
from gateway.journeys.know_peer import add_peer, note_association, remove_peer
from gateway.journeys.peer_sheet import peer_sheet
from tests.fakes.certificates import self_signed
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.staffed_house import OPERATOR, PresentHouse

CONFIG = DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en")
HER = "desk@example.org"
RIGHTS = {"may_echo": "1", "may_store": "1", "may_commit": "1"}


@pytest.fixture(scope="module")
def door():
    present = PresentHouse()
    return present, desk_app(present, CONFIG)


@pytest.fixture
def desk(staffed, door):
    present, app = door
    present.house = staffed.house
    with Browser(app) as browser:
        browser.http.cookies.set("consilium-desk", staffed.token(HER))
        browser.get("/desk/peers/new")
        yield browser


def peers(staffed):
    with staffed.records.view() as view:
        return view.peers.find()


def add(staffed, title="PACS", **more):
    return add_peer(
        **{"ae_title": title, "hosts": ["10.1.2.0/24"], **more},
        by=OPERATOR, records=staffed.records, clock=staffed.clock,
    )  # fmt: skip


def ended(staffed, how="refused", title="STRANGER", **more):
    end = {"association_id": "a1", "called_ae": "CONSILIUM", "address": "192.0.2.77", "instances_kept": 0}
    note_association(
        AssociationEnd(**{**end, **more}, calling_ae=title, how=how, why="A-ASSOCIATE-RJ 1,1,3: not known"),
        records=staffed.records,
    )


def text_of(answer):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def test_a_peer_is_added_with_its_certificate(staffed, desk, tmp_path):
    pin = self_signed("pacs", tmp_path, days=9000)
    form = {"ae_title": "PACS", "hosts": "10.1.2.3/32\r\n10.1.2.4/32", "certificate": pin.pem, **RIGHTS}
    answer = desk.post("/desk/peers", form | {"day_bytes": "50 GiB", "address": "pacs.example:104"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/desk/peers/of/PACS?done=peer_added"
    (peer,) = peers(staffed)
    assert (peer.hosts, peer.day_bytes, peer.address) == (
        ["10.1.2.3/32", "10.1.2.4/32"], 50 << 30, "pacs.example:104",
    )  # fmt: skip
    assert (peer.may_store, peer.may_receive, peer.calls_by_tls, len(peer.certificates)) == (
        True,
        False,
        False,
        1,
    )
    page = desk.get(answer.headers["location"])
    assert "The peer is known now" in page.text
    assert pin.spki_sha256[:16] in page.text
    assert "days left" in page.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"ae_title": ""}, "1 to 16 printable"), ({"hosts": "nonsense"}, "no address range"),
     ({"certificate": "x"}, "no PEM certificate"), ({"day_bytes": "much"}, "no amount"),
     ({"max_associations": "-1"}, "no number"), ({"address": "pacs"}, "no address of a peer")],
)  # fmt: skip
def test_what_is_not_right_is_said_and_nothing_written_is_lost(staffed, desk, wrong, said):
    form = {"ae_title": "PACS", "hosts": "10.0.0.0/8", "description": "Södra <sjukhuset>", **RIGHTS, **wrong}
    answer = desk.post("/desk/peers", form)
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert "Södra &lt;sjukhuset&gt;" in answer.text
    assert peers(staffed) == []


def test_a_title_that_is_taken_is_said(staffed, desk):
    add(staffed)
    answer = desk.post("/desk/peers", {"ae_title": "PACS", **RIGHTS})
    assert answer.status_code == 422
    assert "already" in answer.text


def test_a_title_of_an_earlier_peer_is_given_again_when_a_box_says_that_it_is_the_same_hospital(
    staffed, desk
):
    add(staffed)
    with staffed.records.change(by=OPERATOR) as change:
        change.commitments.add(
            Commitment(
                id="q", peer="PACS", called="CONSILIUM", transaction_uid="1.2.3", association_id="a1",
                asked_at=staffed.clock.now(),
            )
        )  # fmt: skip
        change.note("case_read")
    remove_peer(ae_title="PACS", by=OPERATOR, records=staffed.records)
    form = {"ae_title": "PACS", "hosts": "10.0.0.0/8", **RIGHTS}
    assert 'name="again"' not in desk.get("/desk/peers/new").text
    answer = desk.post("/desk/peers", form)
    assert answer.status_code == 422
    assert 'name="again"' in answer.text
    assert "It is the same hospital" in answer.text
    assert {TitleUsedError.__doc__, TitleUsedError.next_step} <= set(
        peer_words.REFUSALS
    )  # so they have their Swedish
    assert peers(staffed) == []
    assert desk.post("/desk/peers", {**form, "again": "1"}).status_code == 303
    assert [peer.ae_title for peer in peers(staffed)] == ["PACS"]


def test_the_form_holds_what_the_peer_is_and_changes_it_to_what_it_says(staffed, desk):
    add(staffed, day_bytes=5 << 30, max_instance_bytes=3 << 29, called=["CONSILIUM"], description="here")
    page = desk.get("/desk/peers/of/PACS").text
    assert 'value="5 GiB"' in page
    assert 'value="1.5 GiB"' in page
    form = {"hosts": "10.1.2.0/24", "day_bytes": "5 GiB", "max_instance_bytes": "1.5 GiB", "description": "there",
            "called": "", "may_echo": "1"}  # fmt: skip
    assert desk.post("/desk/peers/of/PACS", form).status_code == 303
    (peer,) = peers(staffed)
    assert (peer.day_bytes, peer.max_instance_bytes, peer.called) == (5 << 30, 3 << 29, [])
    assert (peer.may_store, peer.description) == (False, "there")
    wrong = desk.post("/desk/peers/of/PACS", form | {"hosts": "x", "description": "not lost"})
    assert wrong.status_code == 422
    assert "not lost" in wrong.text
    assert peers(staffed)[0].description == "there"


def test_a_peer_is_shut_out_and_let_in_again(staffed, desk):
    add(staffed)
    assert desk.post("/desk/peers/of/PACS/disable", {}).status_code == 303
    assert peers(staffed)[0].disabled_at
    assert "Shut out" in desk.get("/desk/peers").text
    assert desk.post("/desk/peers/of/PACS/enable", {}).status_code == 303
    assert peers(staffed)[0].disabled_at is None


def test_certificates_are_bound_and_taken_away(staffed, desk, tmp_path):
    add(staffed)
    one = self_signed("one", tmp_path, days=9000)
    assert desk.post("/desk/peers/of/PACS/pins", {"certificate": one.pem}).status_code == 303
    assert peers(staffed)[0].is_bound
    assert desk.post("/desk/peers/of/PACS/pins", {"certificate": "nothing"}).status_code == 422
    assert desk.post("/desk/peers/of/PACS/pins", {"unpin": "f" * 64}).status_code == 404
    assert desk.post("/desk/peers/of/PACS/pins", {"unpin": one.spki_sha256}).status_code == 303
    assert not peers(staffed)[0].is_bound


def test_a_stranger_is_shown_and_becomes_a_peer_with_one_click(staffed, desk):
    for _ in range(3):
        ended(staffed)
    ended(staffed, title="<b>&x=1")
    add(staffed)
    ended(staffed, title="PACS")
    page = desk.get("/desk/peers")
    assert "3 times" in page.text
    assert "<b>&x" not in page.text
    links = [unescape(link) for link in re.findall(r'href="(/desk/peers/new\?[^"]+)"', page.text)]
    asked = [dict(parse_qsl(urlsplit(link).query)) for link in links]
    assert asked == [
        {"ae_title": "<b>&x=1", "hosts": "192.0.2.77"},
        {"ae_title": "STRANGER", "hosts": "192.0.2.77"},
    ]
    form = desk.get(links[1]).text
    assert 'value="STRANGER"' in form
    assert "192.0.2.77" in form


def test_a_peers_page_tells_its_associations_and_refusals(staffed, desk):
    add(staffed)
    ended(staffed, "released", "PACS", instances_kept=214)
    ended(staffed, "refused", "PACS")
    page = text_of(desk.get("/desk/peers/of/PACS"))
    assert "214" in page
    assert "A-ASSOCIATE-RJ 1,1,3: not known" in page
    assert "ended in order" in page


def test_calling_a_peer_shows_how_far_it_came(staffed, desk):
    add(staffed)
    nowhere = desk.post("/desk/peers/of/PACS/call", {})
    assert nowhere.status_code == 422
    assert "no address to be called at" in text_of(nowhere)
    desk.post("/desk/peers/of/PACS", {"hosts": "10.1.2.0/24", "address": "127.0.0.1:9", **RIGHTS})
    answer = desk.post("/desk/peers/of/PACS/call", {})
    assert answer.status_code == 200
    assert "PACS does not answer" in answer.text
    assert "nothing listens there" in answer.text
    assert staffed.kinds()[-1] == "peer_called"


@pytest.mark.parametrize("title", ["PACS", "MR 2", "A/B", "100%", "~TILDE~", "../..", "a?b#c", "<i>", "+&=;"])
def test_every_title_has_a_page_of_its_own(staffed, desk, title):
    with staffed.records.change(
        by=OPERATOR
    ) as change:  # a title that is refused today may be there from before
        change.peers.add(Peer(ae_title=title, created_at=staffed.clock.now()))
        change.note("peer_added", subject=title)
    assert title_of(slug_of(title)) == title
    assert re.fullmatch(r"[A-Za-z0-9_.~-]+", slug_of(title))
    page = desk.get(f"/desk/peers/of/{slug_of(title)}")
    assert page.status_code == 200
    assert desk.get(f"/desk/peers/of/{slug_of(title)}/sheet").status_code == 200


def test_who_is_no_peer_has_no_page(desk):
    for slug in ("NOBODY", "~ZZ", "%00", "x" * 200):
        assert desk.get(f"/desk/peers/of/{slug}").status_code in {404, 400}


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_sheet_says_every_refusal_in_both_languages_and_stands_alone_as_a_file(
    staffed, desk, tmp_path, language
):
    add(staffed, certificates=[self_signed("pacs", tmp_path, days=9000).pem], day_bytes=1 << 40)
    page = desk.get(f"/desk/peers/of/PACS/sheet?lang={language}")
    house = staffed.house
    sheet = peer_sheet(
        ae_title="PACS", records=house.records, clock=house.clock, policy=house.policy, rules=house.calls
    )
    alone = sheet_html(sheet, language=language, timezone="Europe/Stockholm", public_url=ORIGIN)
    for html in (page.text, alone):
        assert f'<html lang="{language}"' in html
        for code in REJECTIONS:
            assert ", ".join(map(str, code)) in html
        for code in STATUSES:
            assert f"{code:04X}H" in html
    assert "@page" in alone
    assert "<link" not in alone
    assert "<script" not in alone
    assert ("What helps" in alone) == (language == "en")


def test_every_word_for_peers_has_its_swedish(staffed):
    base = Path(peer_words.__file__).parent
    with (
        (base / "locale" / "sv.po").open("rb") as po,
        (base.parent / "http" / "locale" / "sv.po").open("rb") as shared,
    ):
        known = {
            m.id if isinstance(m.id, str) else m.id[0]
            for file in (po, shared)
            for m in read_po(file)
            if m.string
        }
    with (base / "peer_words.py").open("rb") as source:
        said = {found[2] for found in extract_python(source, ["N_"], [], {})}
    said |= set(peer_words.FROM_THE_NODE)
    assert said - known == set()
    assert set(peer_words.EXPIRIES) == set(Expiry.__args__)


def test_pages_in_swedish_leave_no_english_behind(staffed, desk, tmp_path):
    add(staffed, certificates=[self_signed("pacs", tmp_path, days=9000).pem])
    ended(staffed, "released", "PACS")
    ended(staffed)
    for path in ("/peers", "/peers/new", "/peers/of/PACS"):
        text = text_of(desk.get(f"/desk{path}?lang=sv"))
        for english in (
            "Peers",
            "Add a",
            "Nothing",
            "Whose",
            "Certificates",
            "left",
            "never",
            "Last",
            "One a line",
        ):
            assert english not in text, (path, english)
