"""The conformance statement says what the node does: held against the tables, the limits, and the negotiation itself."""

import ast
import json
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dicom_node import contexts, meanings, status
from dicom_node.ae import Limits
from dicom_node.association_request import AssociationRequest
from dicom_node.conformance import network, statement
from dicom_node.conformance.writing import Section, Statement, Table
from dicom_node.negotiation import ABSTRACT_NOT_SUPPORTED, ACCEPTED, _abstract_result
from dicom_node.receiver import Admitted
from dicom_node.tls import PROFILES
from gateway.domain.calls import CallRules
from gateway.domain.delivery import KEPT
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.journeys import state_conformance as journey
from gateway.journeys.refuse_instance import REFUSALS
from gateway.settings import Settings

ROOT = Path(__file__).parents[3]
ANNEX_N = [
    "1", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "2", "3", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "4", "4.1",
    "5", "5.1", "5.2", "5.3", "5.4", "5.5", "5.6", "5.7", "6", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "7", "7.1", "7.2",
    "7.3", "8", "8.1", "8.2", "8.3", "8.4", "8.5", "8.6", "8.7", "A.A", "A.B", "A.C", "A.D", "A.E",
]  # fmt: skip


def stated(policy=None, rules=None, **given):
    return journey.state_conformance(policy=policy or Policy(), rules=rules or CallRules(), **given)


def facts(monkeypatch):
    caught = []
    monkeypatch.setattr(journey, "statement", caught.append)
    stated(Policy(dicom_at="127.0.0.1:104"))
    return caught[0]


def table(made, title):
    return next(
        part
        for section in made.sections
        for part in section.parts
        if isinstance(part, Table) and part.title.startswith(title)
    )


def test_the_document_in_the_repository_is_the_statement_of_the_defaults():
    made = stated(Settings.model_construct().policy())

    assert (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8") == made.markdown(), (
        "run `make conformance`"
    )


def test_the_sections_are_those_of_annex_n_in_their_order():
    found = [section.number for section in stated().sections]

    assert [number for number in found if number in ANNEX_N] == ANNEX_N
    assert len(found) == len(set(found))


def test_every_class_that_is_stated_is_accepted_and_the_others_are_not():
    made = stated()
    rows = [*table(made, "Table 1-3").rows, *table(made, "Table 1-4").rows]
    uids = {row[1].strip("`") for row in rows}
    peer = Admitted(may_store=True, may_echo=True, may_commit=True)

    assert uids == contexts.STORAGE_SOP_CLASSES
    assert len(rows) == len(uids)
    assert all(row[0] and "Retired" not in row[0] for row in rows)
    asked = AssociationRequest(protocol_version=1, called_ae="A", calling_ae="B", echoed=b"")
    assert {_abstract_result(uid, asked, peer) for uid in uids} == {ACCEPTED}
    for uid, name in contexts.KNOWN_SOP_CLASSES.items():
        if "FIND" in name or "MOVE" in name or "GET" in name:
            assert _abstract_result(uid, asked, peer) == ABSTRACT_NOT_SUPPORTED


def test_every_transfer_syntax_is_stated_once():
    rows = table(stated(), "Table 7-2").rows

    assert sorted(row[1].strip("`") for row in rows) == sorted(contexts.TRANSFER_SYNTAXES)
    assert ("Explicit VR Big Endian", "`1.2.840.10008.1.2.2`", "retired") in rows


@pytest.mark.parametrize("limit", [one.name for one in fields(Limits)])
def test_every_limit_is_stated(limit, monkeypatch):
    before = facts(monkeypatch)
    value = getattr(before.limits, limit)
    words = {"ignore": "refuse", "refuse": "ignore"}
    other = words.get(value) or (value // 2 + 1 if isinstance(value, int) else value + 0.5)
    if limit == "max_instance_bytes":
        other = 1 << 20

    changed = replace(before, limits=replace(before.limits, **{limit: other}))

    assert statement(changed).markdown() != statement(before).markdown()


def _statuses_in(module):
    """Return the names of `status` that a module mentions."""
    tree = ast.parse((ROOT / "dicom_node" / module).read_text(encoding="utf-8"))
    return {
        getattr(status, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "status"
        and node.attr.isupper()
        and node.attr != "COMMENT_LIMIT"
    }


@pytest.mark.parametrize(
    ("title", "modules"),
    [
        ("Table 7-8", ["handlers/store.py"]),
        ("Table 7-10", ["handlers/commitment.py", "commitment.py"]),
        ("Table 7-13", ["stow.py"]),
    ],
)
def test_every_status_that_the_code_answers_is_stated_where_it_belongs(title, modules):
    rows = {int(row[0], 16) for row in table(stated(), title).rows}

    answered = set().union(*(_statuses_in(module) for module in modules))
    assert answered
    assert answered <= rows


def test_every_error_comment_of_the_exchange_is_stated():
    rows = table(stated(), "Table 7-9").rows

    assert rows == tuple((f"{code:04X}", comment) for _, code, comment in REFUSALS)
    assert all(len(comment) <= status.COMMENT_LIMIT for _, comment in rows)
    store = {row[0] for row in table(stated(), "Table 7-8").rows}
    assert {code for code, _ in rows} <= store
    assert {f"{code:04X}" for code in meanings.STATUSES} <= store


def test_every_rejection_is_stated():
    rows = table(stated(), "Table 7-6").rows

    assert {tuple(map(int, row[0].split(", "))) for row in rows} == set(meanings.REJECTIONS)


def test_what_a_peers_status_means_to_a_release_is_stated():
    rows = dict(table(stated(), "Table 7-11").rows)

    assert set(rows) >= KEPT
    assert all(len(code) == 4 for code in rows)


def test_every_permission_and_quota_of_a_peer_is_stated():
    bookkeeping = {"ae_title", "description", "created_at", "disabled_at"}

    assert {one.name for one in fields(Peer)} - bookkeeping == set(journey.PEER_WORDS)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_statement_is_that_of_the_configuration(profile):
    policy = Policy(
        ae_title="REGION", dicom_at="", dicom_tls_at="10.0.0.4:2762", public_url="https://exchange.example/"
    )

    text = stated(policy, CallRules(profile=profile, plain_elsewhere=True), issued="2026-05-04").markdown()

    assert "REGION" in text
    assert "10.0.0.4:2762" in text
    assert "`https://exchange.example/machine/studies`" in text
    assert f"(PS3.15 B.{profile[1:]});" in text
    assert "| Issued | 2026-05-04 |" in text
    assert ("AES128-CCM" in text) == (profile == "b13")
    assert "CONSILIUM_PLAIN_DICOM_ELSEWHERE | yes" in text


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.anchors, self.links = [], set(), set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given["id"]} if "id" in given else set()
        self.links |= {given["href"]} if tag == "a" else set()
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_its_contents_lead_somewhere():
    reader = _Reader()
    text = stated().html()
    reader.feed(text)

    assert reader.open == []
    assert reader.links
    assert {link.removeprefix("#") for link in reader.links} <= reader.anchors
    assert "http-equiv" not in text
    assert "<script" not in text
    assert "src=" not in text


def test_what_stands_in_a_value_is_never_markup():
    rows = (("<b>|`x`", "y"),)
    made = Statement(
        title="<T>",
        cover=(),
        sections=(Section("1", "One", ("a < b", Table(title="t", columns=("c", "d"), rows=rows))),),
    )

    assert "<td>&lt;b&gt;|<code>x</code></td>" in made.html()
    assert "<h1>&lt;T&gt;</h1>" in made.html()
    assert "| <b>\\|`x` | y |" in made.markdown()
    with pytest.raises(ValueError, match="does not fit"):
        Table(title="t", columns=("c",), rows=rows)


def test_as_json_it_holds_the_same():
    made = stated()

    told = json.loads(made.json())

    assert [one["number"] for one in told["sections"]] == [section.number for section in made.sections]
    tables = [one for section in told["sections"] for one in section["tables"]]
    assert {one["title"] for one in tables} == {
        part.title for section in made.sections for part in section.parts if isinstance(part, Table)
    }


def test_aborts_are_stated_for_every_source_and_reason_that_is_sent():
    sent = {"0, 0"}
    for module in ("scp.py", "data_plane.py", "pdu.py", "errors.py"):
        tree = ast.parse((ROOT / "dicom_node" / module).read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            given = {
                word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)
            }
            if getattr(call.func, "id", "") == "ProtocolViolation":
                sent.add(f"{given.get('source', 2)}, {given.get('reason', 6)}")

    assert sent <= {row[0] for row in network.ABORTS}
