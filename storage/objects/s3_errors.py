"""What an S3 server or the way to it may answer, in the few words that the store acts on; it decides nothing itself."""

import http.client
import re
from typing import Literal
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, SSLError

from storage.errors import (
    ObjectBusyError,
    ObjectMissingError,
    StorageError,
    StoreDeniedError,
    StoreFullError,
    StoreOutageError,
)

Kind = Literal["missing", "taken", "full", "denied", "beyond", "again", "outage"]

FOREIGN = (MinioException, HTTPError, http.client.HTTPException, OSError, ParseError, ValueError)
"""All that the client raises. `ValueError` is what its parsers make of an answer that is none."""

# Codes of S3, of Ceph's gateway and of others that speak it; what is not here is told by its status.
CODES: dict[str, Kind] = {
    "NoSuchKey": "missing",
    "PreconditionFailed": "taken",
    "ConditionalRequestConflict": "again",
    "InvalidRange": "beyond",
    "QuotaExceeded": "full",
    "InsufficientCapacity": "full",
    "InsufficientStorage": "full",
    "XMinioStorageFull": "full",
    "NoSuchBucket": "denied",  # a bucket that is missing says nothing of the objects that were in it
    "AccessDenied": "denied",
    "AllAccessDisabled": "denied",
    "AccountProblem": "denied",
    "AuthorizationHeaderMalformed": "denied",
    "ExpiredToken": "denied",
    "InvalidAccessKeyId": "denied",
    "InvalidBucketName": "denied",
    "InvalidObjectState": "denied",  # moved to an archive by a rule of the bucket
    "MethodNotAllowed": "denied",
    "PermanentRedirect": "denied",
    "Redirect": "denied",
    "RequestTimeTooSkewed": "denied",
    "SignatureDoesNotMatch": "denied",
    "UserSuspended": "denied",
}
CODE_NAMED = re.compile(r"<Error>\s*<Code>(\w{1,60})</Code>")
STATUSES: dict[int, Kind] = {401: "denied", 403: "denied", 412: "taken", 416: "beyond", 507: "full"}


class S3RefusalError(Exception):
    """An S3 request was not answered as asked; the store translates this at its border, and it goes no further."""

    def __init__(self, kind: Kind, told: str) -> None:
        super().__init__(told)
        self.kind = kind
        self.told = told


def refusal_of(error: Exception) -> S3RefusalError:
    """Tell what an error of the client means; only codes and names are quoted, never a body or a header."""
    if isinstance(error, S3Error):
        status = error.response.status if error.response is not None else 0
        kind = CODES.get(error.code or "") or STATUSES.get(status, "outage")
        return S3RefusalError(kind, error.code or f"HTTP {status}")
    if isinstance(
        error, InvalidResponseError
    ):  # a proxy's page, or an error of S3 under another type than XML's
        status, named = error._code, CODE_NAMED.search(error._body or "")  # noqa: SLF001  # has no properties
        code = named[1] if named else ""
        return S3RefusalError(CODES.get(code) or STATUSES.get(status, "outage"), code or f"HTTP {status}")
    if isinstance(error, ServerError):
        return S3RefusalError(STATUSES.get(error.status_code, "outage"), f"HTTP {error.status_code}")
    if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return S3RefusalError("denied", "the server's certificate does not verify")
    return S3RefusalError("outage", type(error).__name__)


def while_reading(refusal: S3RefusalError, what: str) -> StorageError:
    """Return our error for a read: only a plain «no such key» says anything of the object."""
    if refusal.kind == "missing":
        return ObjectMissingError(what)
    if refusal.kind == "denied":
        return StoreDeniedError(f"{what}: {refusal.told}")
    return ObjectBusyError(f"{what}: {refusal.told}")


def while_writing(refusal: S3RefusalError, what: str) -> StorageError:
    """Return our error for a write or a removal; none of them ends writing by this process."""
    if refusal.kind == "full":
        return StoreFullError(f"{what}: {refusal.told}")
    if refusal.kind == "denied":
        return StoreDeniedError(f"{what}: {refusal.told}")
    return StoreOutageError(f"{what}: {refusal.told}")
