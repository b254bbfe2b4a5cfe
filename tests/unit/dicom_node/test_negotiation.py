"""The decision about an association, without any socket."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC

from dicom_node import negotiation
from dicom_node.ae import IMPLEMENTATION_CLASS_UID, Limits, is_uid
from dicom_node.association_request import read_request
from dicom_node.errors import ProtocolViolation
from dicom_node.receiver import Admitted
from tests.unit.dicom_node.peers import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    associate_rq,
    context,
    contexts_of,
    item,
)

ALL = Admitted(may_store=True, may_echo=True)
J2K = "1.2.840.10008.1.2.4.90"
PRIVATE = "1.3.12.2.1107.5.9.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
JPIP = "1.2.840.10008.1.2.4.94"


def request_of(*contexts, **how):
    return read_request(associate_rq(*contexts, **how)[6:], max_items=8192)


def answers(*contexts, peer=ALL, **how):
    request = request_of(*contexts, **how)
    encoded = negotiation.encode_accept(request, negotiation.accept(request, peer), Limits())
    assert struct.unpack_from(">BxI", encoded) == (2, len(encoded) - 6)
    return contexts_of(encoded[6:])


def user_items(request, peer=ALL):
    answer = A_ASSOCIATE_AC()
    answer.decode(negotiation.encode_accept(request, negotiation.accept(request, peer), Limits()))
    return answer.user_information


def test_the_senders_first_choice_that_we_know_is_accepted():
    found = answers(
        context(1, CT, J2K, EXPLICIT, IMPLICIT),
        context(3, CT, IMPLICIT, J2K),
        context(5, CT, "1.2.3.4", EXPLICIT),
    )
    assert found == {1: (0, J2K), 3: (0, IMPLICIT), 5: (0, EXPLICIT)}


def test_unknown_abstract_is_3_and_no_common_transfer_is_4():
    found = answers(
        context(1, FIND, IMPLICIT), context(3, CT, JPIP), context(5, CT, "1.2.3"), context(7, CT, IMPLICIT)
    )
    assert {number: result for number, (result, _) in found.items()} == {1: 3, 3: 4, 5: 4, 7: 0}


@pytest.mark.parametrize(
    ("peer", "results"),
    [
        (Admitted(may_store=True, may_echo=True), (0, 0, 0)),
        (Admitted(may_store=False, may_echo=True), (1, 0, 1)),
        (Admitted(may_store=True, may_echo=False), (0, 1, 0)),
        (Admitted(may_store=True, may_echo=True, private_sop_classes=False), (0, 0, 3)),
        (Admitted(may_store=True, may_echo=True, sop_classes=frozenset({PRIVATE})), (1, 0, 0)),
    ],
)
def test_what_a_peer_may_do_decides_its_contexts(peer, results):
    found = answers(
        context(1, CT, IMPLICIT), context(3, VERIFICATION, IMPLICIT), context(5, PRIVATE, EXPLICIT), peer=peer
    )
    assert tuple(found[n][0] for n in (1, 3, 5)) == results


def test_128_contexts_are_answered_one_by_one():
    proposed = [context(2 * n + 1, CT, f"1.2.840.10008.1.2.4.{50 + n}", EXPLICIT) for n in range(128)]
    found = answers(*proposed)
    assert len(found) == 128
    assert all(result == 0 for result, _ in found.values())


def test_the_reserved_fields_come_back_as_they_were_sent():
    request = request_of(calling="ODD  NAME", called=" X")
    assert (
        negotiation.encode_accept(request, negotiation.accept(request, ALL), Limits())[10:74]
        == request.echoed
    )


@pytest.mark.parametrize(
    ("how", "triple"),
    [
        ({"version": 2}, (1, 2, 2)),
        ({"application": "1.2.3"}, (1, 1, 2)),
        ({"calling": " "}, (1, 1, 3)),
        ({"called": ""}, (1, 1, 7)),
        ({"calling": "A\\B"}, (1, 1, 3)),
        ({"called": "B\x07"}, (1, 1, 7)),
    ],
)
def test_a_malformed_request_is_rejected_with_its_exact_reason(how, triple):
    refused = negotiation.well_formed(request_of(**how), Limits())
    assert (refused.result, refused.source, refused.reason) == triple


def test_protocol_version_is_a_bit_field():
    assert negotiation.well_formed(request_of(version=3), Limits()) is None


@pytest.mark.parametrize(
    "contexts",
    [
        (context(2, CT, IMPLICIT),),
        (context(1, CT, IMPLICIT), context(1, VERIFICATION, IMPLICIT)),
        (context(1, CT),),
        (item(0x20, b"\1\0\0"),),
        (item(0x20, b"\1\0\0\0" + item(0x40, IMPLICIT.encode())),),
    ],
)
def test_contexts_that_make_no_sense_are_a_violation(contexts):
    with pytest.raises(ProtocolViolation):
        request_of(*contexts)


def test_a_flood_of_items_is_cut_short():
    with pytest.raises(ProtocolViolation, match="too many"):
        request_of(context(1, CT, *["1"] * 12000))


def test_unknown_items_are_passed_over():
    request = request_of(item(0x99, b"later"), context(1, CT, IMPLICIT), extra=[item(0x5F, b"later")])
    assert len(request.contexts) == 1


def test_asynchronous_operations_are_answered_with_one():
    window = user_items(request_of(extra=[item(0x53, struct.pack(">HH", 8, 8))])).async_ops_window
    assert (window.max_operations_invoked, window.max_operations_performed) == (1, 1)
    assert user_items(request_of()).async_ops_window is None


def role(uid, scu, scp):
    return item(0x54, struct.pack(">H", len(uid)) + uid.encode() + bytes([scu, scp]))


def test_we_are_scp_only_and_say_so():
    request = request_of(extra=[role(CT, 1, 1)])
    answered = user_items(request).role_selection
    assert [(str(uid), r.scu, r.scp) for uid, r in answered.items()] == [(CT, 1, 0)]


def test_a_requestor_that_wants_to_be_scp_only_gets_no_context():
    assert answers(context(1, CT, IMPLICIT), extra=[role(CT, 0, 1)])[1][0] == 1


def identity(primary=b"user", secondary=b"secret"):
    body = (
        bytes([2, 1])
        + struct.pack(">H", len(primary))
        + primary
        + struct.pack(">H", len(secondary))
        + secondary
    )
    return item(0x58, body)


def test_user_identity_is_neither_kept_nor_answered():
    request = request_of(extra=[identity()])
    assert request.identity_type == 2
    assert "secret" not in repr(request)
    assert user_items(request).user_identity is None
    assert negotiation.well_formed(request, Limits(user_identity="ignore")) is None


def test_user_identity_is_refused_unless_the_operator_says_otherwise():
    """N8."""
    refused = negotiation.well_formed(request_of(extra=[identity()]), Limits())
    assert (refused.result, refused.source, refused.reason) == (1, 1, 1)


def test_a_long_user_identity_is_a_violation():
    with pytest.raises(ProtocolViolation):
        request_of(extra=[identity(b"x" * 5000)])


def common_extended(uid, service):
    body = (
        struct.pack(">H", len(uid))
        + uid.encode()
        + struct.pack(">H", len(service))
        + service.encode()
        + b"\0\0"
    )
    return item(0x57, body)


def test_a_class_declared_as_storage_by_its_sender_is_taken():
    later = "1.2.840.10008.5.1.4.77.7"
    assert answers(context(1, later, IMPLICIT))[1][0] == 3
    assert (
        answers(context(1, later, IMPLICIT), extra=[common_extended(later, "1.2.840.10008.4.2")])[1][0] == 0
    )
    assert answers(context(1, FIND, IMPLICIT), extra=[common_extended(FIND, "1.2.840.10008.4.2")])[1][0] == 3


def test_odd_implementation_names_do_not_matter():
    request = request_of(extra=[item(0x52, b"not a uid at all"), item(0x55, "Gerät ä".encode("latin-1"))])
    assert request.implementation_uid == "not a uid at all"


def test_our_implementation_uid_is_a_uuid_derived_one():
    assert is_uid(IMPLEMENTATION_CLASS_UID)
    assert 0 < int(IMPLEMENTATION_CLASS_UID.removeprefix("2.25.")) < 2**128


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_request_is_read_or_refused(noise):
    body = associate_rq()[6:]
    for at in (0, 68, 90, len(body) // 2):
        try:
            request = read_request(body[:at] + noise + body[at:], max_items=500)
            negotiation.well_formed(request, Limits())
            negotiation.encode_accept(request, negotiation.accept(request, ALL), Limits())
        except ProtocolViolation:
            pass
