"""Looks for every known identifier and every original UID in what leaves: bytes, decoded text, deflated streams, names."""

from typing import Any

from tests.corpus.judge import Pair
from tests.corpus.people import dense, folded
from tests.corpus.reading import ENCODINGS, Read, holds

CODED = {"CS", "UI", "UR", "OB", "OW", "UN"}
SHORT = 4


def _patterns(secret: str) -> set[bytes]:
    found = set()
    for form in (secret, folded(secret), secret.upper(), secret.replace(" ", ""), secret.replace("-", "")):
        for encoding in ENCODINGS:
            try:
                found.add(form.encode(encoding).lower())
            except UnicodeEncodeError:
                continue
    return {p for p in found if len(p) >= SHORT}


def patterns(secrets: list[str]) -> list[tuple[str, set[bytes]]]:
    return [(s, _patterns(s)) for s in secrets if len(s) > SHORT]


def leaks(pair: Pair, key: dict[str, Any], bytes_of: list[tuple[str, set[bytes]]]) -> list[str]:
    """Where a known identifier is still read: places, `bytes`, `deflated` or `file name`; never what."""
    read = pair.after
    if read is None:
        return []
    found = [f"file name: {pair.output}" for s in key["secrets"] if len(s) > SHORT and holds(pair.output, s)]
    found += _decoded(read, key["secrets"])
    for name, content in (("bytes", read.content.lower()), ("deflated", read.deflated.lower())):
        found += [name for secret, forms in bytes_of if any(f in content for f in forms)]
        found += [f"{name}: original UID" for u in key["uids"] if u.encode() in content]
    return list(dict.fromkeys(found))


def _decoded(read: Read, secrets: list[str]) -> list[str]:
    found = []
    folded_secrets = [(s, folded(s), dense(folded(s)), sum(c.isdigit() for c in s)) for s in secrets]
    for place, vr, text in read.texts:
        plain = folded(text)
        tight = dense(plain)
        for secret, low, close, digits in folded_secrets:
            if len(secret) <= SHORT:
                hit = vr not in CODED and low in plain and holds(text, secret)
            elif digits >= 6 and digits * 2 > len(close):
                hit = close in tight
            else:
                hit = low in plain
            if hit:
                found.append(place)
                break
    return found
