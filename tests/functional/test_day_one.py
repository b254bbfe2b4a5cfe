"""What a hospital tries on its first day (35 rows): each with what must happen, and the tests that show it.

`DAY_ONE` is the table; a row names tests of this repository, or says what of it stands elsewhere and why. The rows whose
whole story is short are told here, over raw sockets against the real node with the real door and real records.
"""

from __future__ import annotations

import ast
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from gateway.domain.peer import Peer
from gateway.doors.dimse import DimseDoor
from tests.fakes.journey_house import DESK, open_house
from tests.functional.conftest import wait_for
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    RawPeer,
    context,
    contexts_of,
    data_set,
    explicit,
    item,
    running,
)

pytestmark = pytest.mark.functional

TESTS = Path(__file__).resolve().parents[1]
HERE = "functional/test_day_one.py"


@dataclass(frozen=True, slots=True)
class Row:
    """One test of the first day."""

    tried: str
    expected: str
    shown_by: tuple[str, ...]  # FILE::TEST below tests/
    elsewhere: str = ""  # what of the row is not the node's, and where it is


STATES, FLOOD, ENDS = "abuse/test_dicom_states.py", "abuse/test_dicom_flood.py", "abuse/test_dicom_ends.py"
REFUSALS, DIMSE, DEADLINES = (
    "abuse/test_dicom_refusals.py",
    "abuse/test_dicom_dimse.py",
    "abuse/test_dicom_deadlines.py",
)
SIZES, TLS, TRUTH = "abuse/test_dicom_sizes.py", "abuse/test_dicom_tls.py", "abuse/test_peer_truth_table.py"
KEEPS, CLIENTS, FOREIGN = (
    "functional/test_node_keeps.py", "functional/test_node_clients.py", "functional/test_foreign_clients.py",
)  # fmt: skip
COMMIT, COMMIT_CLIENTS = "journeys/test_storage_commitment.py", "functional/test_commitment_clients.py"
RECEIVING, NEGOTIATION = "journeys/test_receiving_instances.py", "unit/dicom_node/test_negotiation.py"
ENGINE, READER = "unit/anonymizer/test_engine.py", "unit/anonymizer/test_reader.py"

DAY_ONE = {
    1: Row(
        "C-ECHO from a known and an unknown peer, and to a wrong title",
        "0000; (1,1,3); (1,1,7); all in the audit with address and AE titles",
        (
            f"{HERE}::test_row_1_an_echo_from_friends_and_strangers",
            f"{CLIENTS}::test_echoscu_is_answered_and_told_apart",
            f"{FOREIGN}::test_gdcm_echoes_and_is_told_apart",
        ),
    ),
    2: Row(
        "TLS: 1.2, 1.3, wrong and expired certificates, plaintext, a port scan, a silent peer",
        "refused in words with the subject; others unaffected",
        (
            f"{TLS}::test_day_one_2_what_is_no_tls_is_refused_in_words_and_others_are_undisturbed",
            f"{TLS}::test_31_a_bad_certificate_is_refused_and_the_audit_names_it",
            f"{TLS}::test_n1_the_matrix_of_versions_and_suites_with_openssl",
            f"{FLOOD}::test_a_flood_of_twelve_thousand_connections_stops_nobody",
            "journeys/test_tls_peers.py::test_day_one_2_a_strangers_certificate_stands_in_the_audit_by_its_subject",
        ),
    ),
    3: Row(
        "the right AE title from a wrong address or with a wrong certificate",
        "rejected: title, network and certificate together",
        (
            f"{TRUTH}::test_only_the_right_title_from_the_right_place_with_the_right_key_gets_in",
            "journeys/test_tls_peers.py::test_day_one_3_a_right_title_with_another_peers_certificate_is_rejected",
            f"{RECEIVING}::test_peers_are_admitted_by_title_address_and_called_title_together",
        ),
    ),
    4: Row(
        "more associations than allowed",
        "transient (2,3,2); a peer's own limit holds over all its addresses; who releases frees a place",
        (
            f"{FLOOD}::test_too_many_associations_are_rejected_as_transient",
            f"{FLOOD}::test_one_peer_cannot_take_every_place",
            "unit/dicom_node/test_transport.py::test_a_peers_limit_holds_over_all_its_addresses_and_for_nobody_else",
            "journeys/test_peers.py::test_too_many_at_once_are_rejected_for_the_time_being",
        ),
    ),
    5: Row(
        "silence, dripping, a peer that vanishes",
        "ARTIM and idle deadlines, the place is freed; pauses are allowed",
        (
            f"{DEADLINES}::test_artim_cuts_a_connection_that_asks_for_nothing",
            f"{DEADLINES}::test_artim_is_absolute_for_one_byte_at_a_time",
            f"{DEADLINES}::test_an_idle_association_is_aborted_and_its_place_freed",
            f"{DEADLINES}::test_a_pause_between_objects_is_allowed",
        ),
    ),
    6: Row(
        "unknown abstract syntaxes, no common transfer syntax",
        "results 3 and 4 per context; the association stands if any other does",
        (f"{HERE}::test_row_6_each_context_is_answered_for_itself",),
    ),
    7: Row(
        "128 contexts, one abstract syntax with many transfer syntaxes",
        "one each, the sender's first: nothing is transcoded",
        (
            f"{REFUSALS}::test_128_contexts_and_all_of_them_usable",
            f"{HERE}::test_row_7_the_senders_own_compression_is_taken",
            f"{CLIENTS}::test_pynetdicom_proposes_all_that_can_be_negotiated",
        ),
    ),
    8: Row(
        "PDU sizes 0, 4 KiB, 1 MiB; values split oddly; garbage",
        "works, or A-ABORT of source 2; never a crash",
        (
            f"{CLIENTS}::test_pdu_sizes_from_4_kib_to_1_mib",
            f"{KEEPS}::test_values_split_at_odd_points_over_values_and_pdus_are_one_object",
            f"{SIZES}::test_an_oversized_p_data_is_aborted_with_reason_6",
            f"{STATES}::test_the_acceptor_awaiting_a_request_and_on_an_association",
            "abuse/test_dicom_fuzz.py::test_twenty_thousand_mutated_conversations_find_nothing",
        ),
    ),
    9: Row(
        "asynchronous operations, user identity, roles",
        "1/1; (1,1,1) for an identity unless the operator says otherwise; roles answered, SCP for commitment alone",
        (
            f"{HERE}::test_row_9_what_else_is_negotiated",
            "unit/dicom_node/test_commitment.py::test_the_peer_is_scu_of_commitment_here_and_nothing_else",
        ),
    ),
    10: Row(
        "what does Success mean?",
        "sealed, flushed and committed: there after kill -9",
        (
            "functional/test_crash.py::test_nothing_acknowledged_is_lost_at_any_of_many_kills",
            "abuse/test_storage_crash.py::test_killed_at_each_call_of_the_write_path",
            f"{RECEIVING}::test_a_crash_at_any_call_leaves_no_row_without_its_bytes_and_the_next_try_succeeds",
        ),
    ),
    11: Row(
        "disk full, records down, keys down",
        "A700 with a comment, nothing half stored; records down: (2,3,1)",
        (
            f"{RECEIVING}::test_the_door_tells_an_error_as_status_comment_and_event",
            "abuse/test_storage_crash.py::test_lack_of_room_is_told_and_heals",
            f"{REFUSALS}::test_a_receiver_that_fails_gives_a_status_and_no_residue",
            f"{REFUSALS}::test_a_receiver_that_cannot_decide_is_congestion",
        ),
        "no reserve is held back: new associations are let in while the disk fills, and each object is told A700",
    ),
    12: Row(
        "an object that is not what the command says; no Study or Series UID",
        "A900; C000; each with its comment, and the association lives",
        (f"{REFUSALS}::test_an_object_that_does_not_fit_gets_its_exact_status",),
    ),
    13: Row(
        "exactly the same again",
        "0000, one copy, an event",
        (f"{RECEIVING}::test_the_same_bytes_again_are_kept_once_and_the_event_says_so",),
    ),
    14: Row(
        "the same SOP Instance UID with other bytes",
        "both kept, the second held and shown to a human, 0000",
        (
            f"{KEEPS}::test_the_same_uid_with_other_bytes_is_kept_beside_the_first_and_shown",
            f"{RECEIVING}::test_other_bytes_under_the_same_uid_are_kept_held_and_shown_to_a_human",
        ),
    ),
    15: Row(
        "the same UIDs from two hospitals or for two cases",
        "stored apart, never merged",
        (f"{KEEPS}::test_the_same_study_from_two_senders_is_two_studies",),
    ),
    16: Row(
        "the same object ten times at once",
        "one stored, ten times 0000",
        (f"{KEEPS}::test_the_same_object_ten_times_at_once_is_kept_once_and_answered_ten_times",),
    ),
    17: Row(
        "abort or cable pull in the middle of an object",
        "nothing of it left, what was acknowledged before stays",
        (
            f"{KEEPS}::test_what_is_cut_in_the_middle_leaves_nothing_and_what_was_acknowledged_stays",
            f"{ENDS}::test_an_object_cut_in_the_middle_is_thrown_away_and_earlier_ones_stay",
        ),
    ),
    18: Row(
        "storage commitment: all, some, wrong class, second use of a Transaction UID, 10,000 references",
        "the complete set with its reasons, on the same or another association, for days, over restarts",
        (
            f"{COMMIT}::test_each_reference_gets_the_reason_of_its_own_failure",
            f"{COMMIT}::test_the_same_question_is_one_and_another_under_its_uid_is_refused",
            f"{COMMIT_CLIENTS}::test_ten_thousand_references_are_taken_on_and_answered_within_seconds",
            f"{COMMIT_CLIENTS}::test_the_answer_comes_on_the_association_that_asked_while_it_is_open",
            f"{COMMIT_CLIENTS}::test_the_answer_comes_on_an_association_of_ours_when_the_sender_has_gone",
            f"{COMMIT_CLIENTS}::test_a_question_survives_the_death_of_the_node_and_of_the_worker",
            f"{COMMIT_CLIENTS}::test_orthanc_sends_a_study_and_hears_that_it_is_committed",
        ),
    ),
    19: Row(
        "commitment asked before the object has landed",
        "waited for, within bounds; the durable object's digest is verified",
        (
            f"{COMMIT}::test_what_is_asked_before_it_has_landed_is_waited_for",
            f"{COMMIT_CLIENTS}::test_an_object_that_was_damaged_on_disk_is_reported_as_failed",
        ),
    ),
    20: Row(
        "commitment for what is only a copy, or another's",
        "failure",
        (f"{COMMIT}::test_what_another_sender_stored_and_what_was_copied_is_not_committed",),
    ),
    21: Row(
        "very large objects, undefined lengths",
        "constant memory: 512 MiB through the whole exchange with every byte kept, 1 GiB through the node",
        (
            "functional/test_large_instance.py::test_a_very_large_object_passes_in_constant_memory",
            f"{SIZES}::test_a_gigabyte_passes_in_constant_memory",
        ),
        "2 to 6 GB are the same way with CONSILIUM_LARGE_MIB=6144, which no gate does",
    ),
    22: Row(
        "names in every character set, and declared wrongly",
        "bytes untouched; shown with repair; the copy is clean",
        (
            f"{KEEPS}::test_names_in_every_character_set_lie_sealed_as_they_were_sent",
            "unit/dicom_node/test_head.py::test_names_are_read_in_their_character_set",
            "unit/anonymizer/test_charset.py::test_a_swedish_name_is_found_whatever_the_declaration_says",
        ),
    ),
    23: Row(
        "every transfer syntax, big endian and deflated among them; JPIP",
        "stored as it is; JPIP refused by its context; bombs bounded",
        (
            f"{KEEPS}::test_every_transfer_syntax_of_pydicoms_list_is_sealed_or_refused_by_its_context",
            f"{KEEPS}::test_a_deflated_bomb_in_front_of_the_attributes_is_refused_with_little_memory",
            f"{READER}::test_every_native_encoding_gives_the_same_copy",
        ),
    ),
    24: Row(
        "retired SOP classes, overlays, curves",
        "taken; removed or cleaned in the copy",
        (
            f"{KEEPS}::test_retired_private_and_unusual_sop_classes_are_sealed",
            f"{ENGINE}::test_overlays_curves_icons_and_originals_are_gone_at_every_depth",
        ),
    ),
    25: Row(
        "private SOP classes",
        "taken; not released where no rule can judge them",
        (
            f"{KEEPS}::test_retired_private_and_unusual_sop_classes_are_sealed",
            f"{ENGINE}::test_what_no_rule_can_judge_is_held_with_a_reason",
        ),
    ),
    26: Row(
        "encapsulated documents, structured reports, presentation states, RT, waveforms",
        "taken, each with its rule",
        (
            f"{KEEPS}::test_retired_private_and_unusual_sop_classes_are_sealed",
            f"{CLIENTS}::test_what_storescu_sends_is_what_is_kept",
            "unit/anonymizer/test_structured_report.py::test_persons_and_identifiers_get_stand_ins",
            f"{ENGINE}::test_references_between_objects_of_a_case_hold",
        ),
    ),
    27: Row(
        "UIDs that are paths, too long, empty, with letters; leading zeros",
        "refused with a reason and no file name, or taken where real senders do it",
        (
            f"{KEEPS}::test_uids_that_are_paths_too_long_empty_or_letters_are_refused_and_name_no_file",
            f"{KEEPS}::test_uids_that_real_senders_make_are_taken",
            f"{READER}::test_mutated_objects_never_raise_and_never_leak_what_must_go",
        ),
    ),
    28: Row(
        "a file with a program in its preamble",
        "zeroed in what is released, told",
        (
            f"{ENGINE}::test_file_meta_preamble_and_tail_are_new",
            "unit/dicom_node/test_part10.py::test_content_in_the_preamble_is_told",
            "abuse/test_stow_attacks.py::test_a_preamble_that_is_a_program_is_not_kept_and_the_data_set_is_kept_to_the_byte",
        ),
    ),
    29: Row(
        "CDs and archives",
        "by content, within bounds, nothing outside",
        ("abuse/test_archive_attacks.py::test_a_hostile_archive_is_refused_at_once_in_plain_words",),
        "comes over the patient's door, not over the network",
    ),
    30: Row(
        "STOW-RS with some failures",
        "202 with a reason for each; 409, 413, 507 as they are",
        (
            "unit/dicom_node/test_stow.py::test_the_status_tells_whether_all_some_or_nothing_was_kept",
            "abuse/test_stow_attacks.py::test_one_bad_object_does_not_cost_the_others",
            "abuse/test_stow_attacks.py::test_when_the_house_cannot_keep_anything_it_says_so",
        ),
    ),
    31: Row(
        "coercion of identifiers on release",
        "Original Attributes Sequence",
        (f"{ENGINE}::test_patient_gets_one_pseudonym_and_no_birth_date",),
        "nothing is coerced: the received object is never changed, and a released copy is de-identified, where an Original"
        " Attributes Sequence would give back what was taken away (PS3.15 Table E.1-1 removes it)",
    ),
    32: Row(
        "flags of a de-identified object",
        "(0012,0062), (0012,0063), (0012,0064), new UIDs, no person in File Meta",
        (f"{ENGINE}::test_method_says_what_was_done", f"{ENGINE}::test_file_meta_preamble_and_tail_are_new"),
    ),
    33: Row(
        "audit of what happened",
        "an event for every association, instance and refused instance; other refusals, the first and then a sum; chained",
        (
            f"{RECEIVING}::test_every_association_stands_in_the_audit_with_how_it_ended",
            f"{HERE}::test_row_33_every_refusal_has_a_comment_and_an_event_with_address_and_titles",
            "unit/dicom_node/test_transport.py::test_repeated_ends_are_summed_up_and_none_is_lost",
            "abuse/test_stow_attacks.py::test_a_peers_request_that_is_refused_by_its_head_stands_in_the_audit",
            "abuse/test_stow_attacks.py::test_thousands_of_addresses_are_a_few_lines_and_a_peers_own_refusals_stand_apart",
            "abuse/test_audit_tampering.py::test_an_edit_a_gap_and_a_cut_are_found",
        ),
        "the message format of PS3.15 A.5 over syslog is not part of the node; what the web's doorframe refuses by size or host"
        " before anybody is known is in no audit",
    ),
    34: Row(
        "C-FIND, C-MOVE, C-GET",
        "no context",
        (
            f"{FOREIGN}::test_queries_and_retrievals_find_no_context",
            f"{FOREIGN}::test_no_service_but_echo_storage_and_commitment_is_negotiated",
        ),
    ),
    35: Row(
        "clocks that are wrong, studies of the future",
        "received at our time in UTC; study dates as claimed",
        (f"{HERE}::test_row_35_the_time_of_receipt_is_ours_and_the_study_date_the_senders",),
    ),
}


@lru_cache
def skippable(file):
    """The tests of a file by name, and whether a machine without some program would skip them."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    marks = {
        target.id: ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def skips(function):
        words = [marks.get("pytestmark", ""), *map(ast.unparse, function.body)]
        words += [marks.get(ast.unparse(mark), ast.unparse(mark)) for mark in function.decorator_list]
        needed = [functions[one.arg] for one in function.args.args if one.arg in functions]
        return any("skip" in text for text in words) or any(map(skips, needed))

    return {name: skips(function) for name, function in functions.items() if name.startswith("test_")}


def test_the_table_is_whole():
    assert list(DAY_ONE) == list(range(1, 36))


@pytest.mark.parametrize("number", DAY_ONE)
def test_the_row_is_shown_by_tests_that_exist_and_run_on_every_machine(number):
    row = DAY_ONE[number]
    run_everywhere = 0
    for shown in row.shown_by:
        file, _, name = shown.partition("::")
        assert (TESTS / file).is_file(), f"row {number}, {row.tried}: there is no {file}"
        assert name in skippable(file), f"row {number}, {row.tried}: there is no {name} in {file}"
        run_everywhere += not skippable(file)[name]
    assert run_everywhere, f"row {number}, {row.tried}: each of its tests may be skipped"


def test_a_test_that_may_be_skipped_is_known_as_one():
    assert skippable("functional/test_tls_exchange.py")
    assert all(skippable("functional/test_tls_exchange.py").values())  # by its module's mark
    assert skippable("functional/test_foreign_clients.py")[
        "test_gdcm_echoes_and_is_told_apart"
    ]  # by a named mark
    assert not skippable(HERE)["test_row_6_each_context_is_answered_for_itself"]


# --- rows that are told here -------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    house = open_house(tmp_path)
    with house.records.change(by=DESK) as change:
        change.peers.add(Peer(ae_title="MODALITY", created_at=house.clock.now()))
        change.note("peer_added", subject="MODALITY")
    with running(DimseDoor(house.as_house())) as port:
        yield house, port
    house.close()


def told(house, kind, count=1):
    """The events of a kind, once there are as many."""
    wait_for(lambda: len(house.events(kind)) >= count, within_s=5)
    return house.events(kind)


def test_row_1_an_echo_from_friends_and_strangers(site):
    house, port = site
    with RawPeer(port) as friend:
        assert friend.associate()[0] == 2
        assert friend.echo() == 0
        friend.release()
    for how, reason in (({"calling": "STRANGER"}, 3), ({"called": "ELSEWHERE"}, 7)):
        with RawPeer(port) as peer:
            assert peer.associate(**how) == (3, bytes([0, 1, 1, reason]))
    # each was refused by a thread of its own, which wrote its event when its turn came
    refused = told(house, "association_refused", 2)
    elsewhere, stranger = sorted(refused, key=lambda event: str(event.actor))
    assert (stranger.actor, stranger.address, stranger.details["called"]) == (
        "peer:STRANGER",
        "127.0.0.1",
        "CONSILIUM",
    )
    assert (elsewhere.actor, elsewhere.details["called"]) == ("peer:MODALITY", "ELSEWHERE")
    assert "1,1,3" in stranger.details["why"]
    (echoed,) = told(house, "association_ended")
    assert (echoed.actor, echoed.address, echoed.outcome) == ("peer:MODALITY", "127.0.0.1", "released")


def test_row_6_each_context_is_answered_for_itself(site):
    _, port = site
    proposed = (
        context(1, "1.2.840.10008.5.1.4.1.2.1.1", IMPLICIT),  # a query
        context(3, CT, "1.2.840.10008.1.2.4.94"),  # JPIP
        context(5, CT, "1.2.3.4.5"),
        context(7, CT, EXPLICIT),
    )
    with RawPeer(port) as peer:
        kind, body = peer.associate(*proposed)
        assert kind == 2
        assert {number: result for number, (result, _) in contexts_of(body).items()} == {
            1: 3,
            3: 4,
            5: 4,
            7: 0,
        }
        assert peer.store(number=7) == (0, "")


def test_row_7_the_senders_own_compression_is_taken(site):
    _, port = site
    jpeg = "1.2.840.10008.1.2.4.70"
    with RawPeer(port) as peer:
        _, body = peer.associate(context(1, CT, jpeg, EXPLICIT, IMPLICIT), context(3, CT, IMPLICIT, jpeg))
        assert contexts_of(body) == {1: (0, jpeg), 3: (0, IMPLICIT)}


def test_row_9_what_else_is_negotiated(site):
    _, port = site
    role = item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\1\1")
    identity = item(0x58, b"\2\1" + struct.pack(">H", 4) + b"user" + struct.pack(">H", 6) + b"secret")
    with RawPeer(port) as peer:
        kind, body = peer.associate(extra=(item(0x53, struct.pack(">HH", 8, 8)), role))
        assert kind == 2
        assert item(0x53, struct.pack(">HH", 1, 1)) in body  # one operation at a time
        assert role[:-2] + b"\1\0" in body  # the peer is SCU and nothing else
        assert peer.echo() == 0
    with RawPeer(port) as peer:
        assert peer.associate(extra=(role, identity)) == (3, bytes([0, 1, 1, 1]))


def test_row_33_every_refusal_has_a_comment_and_an_event_with_address_and_titles(site):
    house, port = site
    wrong = {
        0xA900: (data_set(sop_instance="1.2.9"), {}),
        0xC000: (data_set(study=""), {}),
        0x0117: (data_set(), {"1000": "../../x"}),
        0x0122: (data_set(), {"0002": "1.2.840.10008.5.1.4.1.1.4"}),
    }
    comments = []
    with RawPeer(port) as peer:
        peer.associate()
        for status, (content, changes) in wrong.items():
            found = peer.store(content, **changes)
            assert found[0] == status
            comments.append(found[1])
    assert all(10 < len(comment) <= 64 for comment in comments)
    events = told(house, "instance_refused", len(wrong))
    assert [event.details["status"] for event in events] == [f"{status:04X}" for status in wrong]
    assert [event.details["why"] for event in events] == comments
    assert {(e.actor, e.address, e.details["called"]) for e in events} == {
        ("peer:MODALITY", "127.0.0.1", "CONSILIUM")
    }


def test_row_35_the_time_of_receipt_is_ours_and_the_study_date_the_senders(site):
    house, port = site
    plain = data_set()
    at = plain.index(b"\x08\0\x60\0CS")
    dated = plain[:at] + explicit(0x00080020, "DA", "20991231") + plain[at:]
    with RawPeer(port) as peer:
        peer.associate(context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT))
        assert peer.store(dated) == (0, "")
    (study,), (instance,) = house.rows("studies"), house.rows("instances")
    assert study.head["study_date"] == "20991231"
    assert instance.received_at == house.clock.now()
    assert instance.received_at.utcoffset().total_seconds() == 0
