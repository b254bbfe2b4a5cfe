"""Command sets, held against pynetdicom's."""

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode as pynetdicom_decode

from dicom_node import command
from dicom_node.errors import ProtocolViolation

CT = "1.2.840.10008.5.1.4.1.1.2"


def encoded(message, primitive):
    message.primitive_to_message(primitive)
    pieces = [
        data[1:]
        for p in message.encode_msg(1, 16384)
        for _, data in p.presentation_data_value_list
        if data[0] & 1
    ]
    return b"".join(pieces)


def store_request(uid="1.2.3.4.5", message_id=9):
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = message_id, 2
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = CT, uid
    primitive.DataSet = BytesIO(b"\0\0")
    return encoded(C_STORE_RQ(), primitive)


def test_a_request_of_pynetdicom_is_read():
    request = command.decode(store_request())
    assert request.number(command.COMMAND_FIELD) == command.C_STORE_RQ
    assert request.number(command.MESSAGE_ID) == 9
    assert request.text(command.AFFECTED_SOP_CLASS_UID) == CT
    assert request.text(command.AFFECTED_SOP_INSTANCE_UID) == "1.2.3.4.5"
    assert request.has_data_set


@pytest.mark.parametrize("comment", ["", "even", "odd"])
@pytest.mark.parametrize("uid", ["1.2.3.4.5", "1.2.3.4.56"])
def test_a_store_response_is_byte_for_byte_that_of_pynetdicom(comment, uid):
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = 9
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = CT, uid
    primitive.Status = 0xA700
    if comment:
        primitive.ErrorComment = comment
    ours = command.response(command.decode(store_request(uid)), status=0xA700, comment=comment)
    assert ours == encoded(C_STORE_RSP(), primitive)


def test_an_echo_response_is_byte_for_byte_that_of_pynetdicom():
    primitive = C_ECHO()
    primitive.MessageIDBeingRespondedTo, primitive.Status = 3, 0
    primitive.AffectedSOPClassUID = "1.2.840.10008.1.1"
    request = command.encode({0x0002: "1.2.840.10008.1.1", 0x0100: 0x30, 0x0110: 3, 0x0800: 0x0101})
    assert command.response(command.decode(request), status=0) == encoded(C_ECHO_RSP(), primitive)


def test_the_answer_to_an_n_service_names_the_requested_instance_as_affected():
    request = command.decode(
        command.encode({0x0003: "1.2", 0x0100: 0x0110, 0x0110: 1, 0x0800: 0x0101, 0x1001: "1.2.9"})
    )
    answer = pynetdicom_decode(BytesIO(command.response(request, status=0x0211)), True, True)
    assert answer.AffectedSOPInstanceUID == "1.2.9"
    assert answer.CommandField == 0x8110


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(ProtocolViolation):
        command.decode(data).text(command.AFFECTED_SOP_CLASS_UID)


@given(st.binary(max_size=60), st.integers(0, 120))
def test_a_damaged_request_is_read_or_refused(noise, at):
    whole = store_request()
    try:
        request = command.decode(whole[:at] + noise + whole[at + len(noise) :])
        request.number(command.MESSAGE_ID)
    except ProtocolViolation:
        pass
