"""Matching, peers, grants, manifests and links: decisions that let something through, tried on both sides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidError
from gateway.domain.grant import Grant
from gateway.domain.matching import score
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.domain.release import Copy, DeidentifiedRef, Manifest, ManifestEntry, OriginalRef, verified_copy
from gateway.domain.upload import CodePolicy, Link, Session, code_hash, token_hash
from storage import SealedRef

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PATIENT = {
    "names": [{"family": "Åkervallius", "given": "Märta-Lovisanne"}],
    "identifiers": [{"value": "19670725-9989"}],
    "birth_date": "1967-07-25",
    "sex": "F",
}
LINE = Policy().match_score


def _head(**values):
    names = ("patient_id", "patient_name", "patient_birth_date", "patient_sex")
    return dict.fromkeys(names, "") | values


@pytest.mark.parametrize(
    "written", ["19670725-9989", "196707259989", "670725-9989", "670725 9989", "6707259989"]
)
def test_a_personal_number_fits_with_and_without_its_century_and_separators(written):
    assert "identifier" in score(_head(patient_id=written), PATIENT).reasons
    known = {**PATIENT, "identifiers": [{"value": written}]}
    for other in ("19670725-9989", "670725-9989"):
        assert "identifier" in score(_head(patient_id=other), known).reasons, (written, other)


def test_the_same_ten_digits_under_two_different_centuries_are_two_people():
    known = {**PATIENT, "identifiers": [{"value": "20670725-9989"}]}
    assert "identifier" not in score(_head(patient_id="19670725-9989"), known).reasons


@pytest.mark.parametrize(
    "name",
    [
        "Åkervallius^Märta-Lovisanne",
        "AKERVALLIUS^MARTA LOVISANNE",
        "A\u030akervallius^Ma\u0308rta",
        "Akervallius^Marta=山田^太郎",
    ],
)
def test_names_are_compared_folded(name):
    assert score(_head(patient_name=name), PATIENT).reasons == ("name",)


def test_a_name_in_the_file_without_a_family_name_fits_nobody_by_its_absence():
    known = {"names": [{"family": "", "given": "Märta"}]}
    assert score(_head(patient_name="Svensson^Anna"), known).score == 0


def test_an_identifier_alone_or_a_name_and_birth_date_alone_do_not_match_by_themselves():
    assert score(_head(patient_id="196707259989"), PATIENT).score < LINE
    by_name = _head(patient_name="Åkervallius^Märta", patient_birth_date="19670725")
    assert score(by_name, PATIENT).score < LINE
    assert score({**by_name, "patient_id": "6707259989"}, PATIENT).score >= LINE


def test_a_conflicting_birth_date_takes_a_match_back_below_the_line():
    head = _head(patient_id="196707259989", patient_name="Åkervallius^Märta", patient_birth_date="19670726")
    match = score(head, PATIENT)
    assert "birth_date_differs" in match.reasons
    assert match.score < LINE


@given(st.dictionaries(st.sampled_from(sorted(_head())), st.text(max_size=40)))
def test_a_score_lies_between_0_and_100_and_its_reasons_hold_no_value(values):
    match = score(_head(**values), PATIENT)
    assert 0 <= match.score <= 100
    kinds = {"identifier", "birth_date", "birth_date_differs", "name", "family_name", "sex_differs"}
    assert set(match.reasons) <= kinds


def test_a_grant_permits_exactly_one_row_of_its_truth_table():
    grant = Grant(
        id="g", release_id="r", case_id="c", person_id="p", granted_at=NOW, until=NOW + timedelta(days=30)
    )
    allowed = []
    for who, what, revoked, when in product(
        ("p", "q"), ("r", "s"), (None, NOW), (-1, 0, 1, 29 * 86400, 30 * 86400, 31 * 86400)
    ):
        now = NOW + timedelta(seconds=when)
        if replace(grant, revoked_at=revoked).permits(person_id=who, release_id=what, now=now):
            allowed.append((who, what, revoked, when))
    assert allowed == [("p", "r", None, 0), ("p", "r", None, 1), ("p", "r", None, 29 * 86400)]


def _ref():
    return SealedRef(object_id="a" * 32, size_bytes=3, digest=b"d" * 32, generation=1)


def _copy(state):
    return Copy(
        id="k", case_id="c", holder="c", subject_kind="instance", subject_id="i", object_id="a" * 32,
        size_bytes=3, digest=b"d" * 32, state=state, made_at=NOW,
    )  # fmt: skip


def _entry(content, **values):
    fixed = {"name": "DICOM/A", "size_bytes": 3, "crc32": 1, "sha256": "ff", "kind": "instance"}
    return ManifestEntry(content=content, **(fixed | values))


@pytest.mark.parametrize("state", ["made", "leaking", "replaced"])
def test_a_copy_that_is_not_verified_cannot_be_wrapped_for_a_manifest(state):
    with pytest.raises(ValueError, match=state):
        verified_copy(_copy(state))


def test_a_manifest_refuses_an_original_reference_and_a_bare_one():
    for content in (OriginalRef(ref=_ref(), holder="c"), _ref(), None):
        with pytest.raises(TypeError):
            _entry(content)


def test_a_manifest_reads_back_as_it_was_and_its_digest_moves_with_every_byte_it_names():
    def manifest(**values):
        entry = _entry(verified_copy(_copy("verified")), **values)
        return Manifest(case_ref="C-1", number=1, profile="p", made_at="t", entries=(entry,))

    whole = manifest()
    assert Manifest.from_json(whole.to_json()) == whole
    assert isinstance(Manifest.from_json(whole.to_json()).entries[0].content, DeidentifiedRef)
    others = [
        manifest(name="DICOM/B"), manifest(size_bytes=4), manifest(sha256="fe"), replace(whole, number=2),
        replace(whole, case_ref="C-2"), replace(whole, entries=()), replace(whole, entries=whole.entries * 2),
    ]  # fmt: skip
    assert len({m.digest() for m in [whole, *others]}) == len(others) + 1


@pytest.mark.parametrize(
    ("hosts", "address", "may"),
    [
        ([], "127.0.0.1", True), ([], "::1", True), ([], "::ffff:127.0.0.1", True), ([], "10.0.0.1", False),
        (["10.1.2.0/24"], "10.1.2.3", True), (["10.1.2.0/24"], "10.1.3.3", False),
        (["10.1.2.0/24"], "127.0.0.1", False), (["10.1.2.0/24"], "::ffff:10.1.2.9", True),
        (["10.1.2.3"], "10.1.2.3", True), (["2001:db8::/32"], "2001:db8::5", True),
        (["2001:db8::/32"], "10.1.2.3", False), (["0.0.0.0/0"], "::1", False),
        (["10.0.0.0/8"], "not an address", False), (["10.0.0.0/8"], "", False), ([], "", False),
    ],
)  # fmt: skip
def test_a_peer_calls_from_its_ranges_and_without_any_from_this_computer_only(hosts, address, may):
    assert Peer(ae_title="PACS", hosts=hosts, created_at=NOW).may_call_from(address) is may


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "A\nB", "A\x1b[31m", "PÄCS"])
def test_an_ae_title_that_the_standard_does_not_allow_is_refused(title):
    with pytest.raises(InvalidError):
        Peer(ae_title=title, created_at=NOW)


def test_a_range_that_is_none_is_named():
    with pytest.raises(InvalidError, match=r"10\.1\.2") as caught:
        Peer(ae_title="PACS", hosts=["10.1.2.0/99"], created_at=NOW)
    assert "CIDR" in caught.value.next_step


def test_a_link_is_open_until_its_end_its_revocation_or_its_fiftieth_failure():
    policy = CodePolicy()
    link = Link(
        id="l", case_id="c", token_hash="t", holder="c", created_at=NOW, expires_at=NOW + timedelta(days=30)
    )
    assert link.is_open(NOW, policy)
    assert replace(link, fails=49).is_open(NOW, policy)
    assert not replace(link, fails=50).is_open(NOW, policy)
    assert not replace(link, revoked_at=NOW).is_open(NOW, policy)
    assert not link.is_open(NOW + timedelta(days=30), policy)


def test_a_session_dies_of_idleness_of_age_and_of_its_end():
    session = Session(
        id="s", token_hash="t", kind="patient", subject_id="l", created_at=NOW, seen_at=NOW,
        expires_at=NOW + timedelta(hours=8),
    )  # fmt: skip
    idle = timedelta(minutes=15)
    assert session.is_live(NOW + timedelta(minutes=14), idle=idle)
    assert not session.is_live(NOW + timedelta(minutes=15), idle=idle)
    awake = replace(session, seen_at=NOW + timedelta(hours=8))
    assert not awake.is_live(NOW + timedelta(hours=8), idle=idle)
    assert not replace(session, ended_at=NOW).is_live(NOW, idle=idle)


def test_codes_and_tokens_are_kept_as_digests_bound_to_their_place():
    assert token_hash("ab") == "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"
    one = code_hash("12345678", challenge_id="a", key=b"k" * 32)
    assert one != code_hash("12345678", challenge_id="b", key=b"k" * 32)
    assert one != code_hash("12345678", challenge_id="a", key=b"l" * 32)
