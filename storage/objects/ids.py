"""The one shape that an object's id may have, checked before it becomes part of any path."""

import re
import secrets

ID_PATTERN = re.compile(r"[0-9a-f]{32}")


def new_object_id() -> str:
    """128 random bits: nobody can guess one, and none is ever used twice."""
    return secrets.token_hex(16)


def checked_id(object_id: str) -> str:
    if not ID_PATTERN.fullmatch(object_id):
        raise ValueError("an object id is 32 lower-case hexadecimal digits")
    return object_id
