"""Reads a mail (EML): its subject, its day and its words; the persons of its head are not read.

References
----------
RFC 5322 (header), RFC 2045 and 2046 (parts).
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage, MIMEPart
from email.utils import parsedate_to_datetime

from anonymizer.documents.blocks import Script
from anonymizer.documents.plain import decoded
from anonymizer.documents.values import NotCleanable
from anonymizer.documents.web_page import read_web_page

_MOST_PARTS = 60
_MOST_NESTED = 12
_SIGNED = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
ReadPart = Callable[[bytes], Script | None]


def read_mail(content: bytes, read_part: ReadPart) -> Script:
    """The blocks of a mail. ``read_part`` reads an attached file; None refuses it, and with it the mail.

    Raises `NotCleanable`.
    """
    try:
        message = email.message_from_bytes(content, policy=email.policy.default)
        return _message(message, read_part)
    except NotCleanable:
        raise
    except (
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        IndexError,
        KeyError,
        RecursionError,
    ) as error:
        raise NotCleanable("unreadable") from error


def _message(message: EmailMessage, read_part: ReadPart) -> Script:
    script = Script()
    script.add(str(message.get("Subject") or ""), "heading", level=1)
    day = message.get("Date")
    if day:
        script.add(_day(str(day)))
    body = message.get_body(preferencelist=("plain", "html"))
    if body is not None:
        script.extend(_words(body))
    for number, part in enumerate(message.walk()):
        if number > _MOST_PARTS:
            raise NotCleanable("too_long")
        if _depth_of(message, part) > _MOST_NESTED:
            raise NotCleanable("too_deep")
        kind = part.get_content_type()
        if part.is_multipart() or part is body or kind in _SIGNED:
            if kind == "message/rfc822" and part is not message:
                raise NotCleanable("mail_attachments")
            continue
        if kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
            if body is None or part.get_content_type() == body.get_content_type():
                script.extend(_words(part))
            continue  # the same words in another form
        read = read_part(part.get_payload(decode=True) or b"")  # type: ignore[arg-type]  # decoded: bytes
        if read is None:
            raise NotCleanable("mail_attachments")
        script.extend(read)
    return script


def _depth_of(message: EmailMessage, part: MIMEPart) -> int:
    """How deep a part lies; the boundaries of a true mail nest little."""
    depth = 0
    level: list[MIMEPart] = [message]
    while level and depth <= _MOST_NESTED:
        if any(one is part for one in level):
            return depth
        level = [below for one in level if one.is_multipart() for below in one.iter_parts()]
        depth += 1
    return depth


def _day(text: str) -> str:
    try:
        return parsedate_to_datetime(text).date().isoformat()
    except (ValueError, TypeError, IndexError):
        return ""


def _words(part: MIMEPart) -> Script:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return Script()
    if part.get_content_type() == "text/html":
        return read_web_page(raw)
    charset = part.get_content_charset() or ""
    try:
        text = raw.decode(charset) if charset else ""
    except (LookupError, UnicodeDecodeError):
        text = ""
    if not text:
        read = decoded(raw)
        text = read.text if read else ""
    script = Script()
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        script.add(paragraph)
    return script
