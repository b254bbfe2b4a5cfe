"""Which answer of a server means what: only a plain «no such key» may ever say that an object is gone."""

import http.client

import pytest
from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import ProtocolError, ReadTimeoutError
from urllib3.response import HTTPResponse

from storage import (
    BYTES_LOST,
    ObjectBusyError,
    ObjectMissingError,
    StoreDeniedError,
    StoreFullError,
    StoreOutageError,
)
from storage.objects.retrying import patiently
from storage.objects.s3_errors import S3RefusalError, refusal_of, while_reading, while_writing

XML = '<?xml version="1.0"?>\n<Error>\n <Code>{}</Code><Resource>x</Resource></Error>'


def named(code, status):
    return S3Error(HTTPResponse(status=status), code, "told", "/bucket/key", "1", "2")


@pytest.mark.parametrize(
    ("error", "reading", "writing"),
    [
        (named("NoSuchKey", 404), ObjectMissingError, StoreOutageError),
        (named("NoSuchBucket", 404), StoreDeniedError, StoreDeniedError),
        (named("NoSuchUpload", 404), ObjectBusyError, StoreOutageError),
        (named("AccessDenied", 403), StoreDeniedError, StoreDeniedError),
        (named("SignatureDoesNotMatch", 403), StoreDeniedError, StoreDeniedError),
        (named("SomethingNew", 403), StoreDeniedError, StoreDeniedError),
        (named("QuotaExceeded", 403), ObjectBusyError, StoreFullError),
        (named("SomethingNew", 507), ObjectBusyError, StoreFullError),
        (named("SlowDown", 503), ObjectBusyError, StoreOutageError),
        (named("InternalError", 500), ObjectBusyError, StoreOutageError),
        (named("SomethingNew", 404), ObjectBusyError, StoreOutageError),
        (InvalidResponseError(404, "text/html", "<h1>Not found</h1>"), ObjectBusyError, StoreOutageError),
        (
            InvalidResponseError(404, "text/xml", XML.format("NoSuchKey")),
            ObjectMissingError,
            StoreOutageError,
        ),
        (
            InvalidResponseError(404, "text/xml", XML.format("NoSuchBucket")),
            StoreDeniedError,
            StoreDeniedError,
        ),
        (InvalidResponseError(403, "text/html", None), StoreDeniedError, StoreDeniedError),
        (InvalidResponseError(507, "text/plain", ""), ObjectBusyError, StoreFullError),
        (InvalidResponseError(502, "text/html", "<h1>Bad gateway</h1>"), ObjectBusyError, StoreOutageError),
        (ServerError("x", 503), ObjectBusyError, StoreOutageError),
        (ProtocolError("cut"), ObjectBusyError, StoreOutageError),
        (ReadTimeoutError(None, "/", "slow"), ObjectBusyError, StoreOutageError),
        (ConnectionRefusedError(), ObjectBusyError, StoreOutageError),
        (http.client.BadStatusLine("x"), ObjectBusyError, StoreOutageError),
        (ValueError("no number"), ObjectBusyError, StoreOutageError),
    ],
    ids=repr,
)
def test_an_answer_means_what_it_may_mean(error, reading, writing):
    read, written = while_reading(refusal_of(error), "x"), while_writing(refusal_of(error), "x")
    assert (type(read), type(written)) == (reading, writing)
    assert isinstance(read, BYTES_LOST) == (reading is ObjectMissingError)


def test_a_foreign_body_is_never_quoted():
    error = InvalidResponseError(500, "text/html", "body with the name of a patient")
    assert "patient" not in str(while_writing(refusal_of(error), "x"))


def test_only_outages_are_tried_again_and_not_for_ever(monkeypatch):
    monkeypatch.setattr("storage.objects.retrying.FIRST_WAIT_S", 0.001)
    for kind, expected in (
        ("outage", 4),
        ("again", 4),
        ("denied", 1),
        ("missing", 1),
        ("taken", 1),
        ("full", 1),
    ):
        calls = []

        def ask(kind=kind, calls=calls):
            calls.append(kind)
            raise S3RefusalError(kind, "told")

        with pytest.raises(S3RefusalError):
            patiently(ask)
        assert len(calls) == expected, kind
