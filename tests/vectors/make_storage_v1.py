"""Writes tests/vectors/storage_v1.json; run once per format version, never to make a failing test pass."""

import hashlib
import json
import sys
from pathlib import Path

from storage.case_key import CaseKey
from storage.format import FloeParameters, ObjectNames, key_context
from storage.keys.wrapping import wrap_key
from storage.segments import start_sealing
from storage.suites import FLOE_AES256_GCM_SHA384
from storage.values import seal_value

SEGMENT_BYTES = 96
PAYLOAD_BYTES = 64


def fixed_random(seed: str):
    state = {"counter": 0}

    def random(count: int) -> bytes:
        state["counter"] += 1
        return hashlib.shake_256(f"{seed}:{state['counter']}".encode()).digest(count)

    return random


def seal_object(
    plain: bytes, *, case_key: bytes, context: bytes, seed: str, segment_bytes: int = SEGMENT_BYTES
) -> bytes:
    parameters = FloeParameters(segment_bytes=segment_bytes)
    header, cipher = start_sealing(
        key=case_key, aad=context, parameters=parameters, random=fixed_random(seed)
    )
    out, position = parameters.prefix() + header, 0
    while True:
        piece = plain[position * parameters.payload_bytes :][: parameters.payload_bytes]
        final = len(piece) < parameters.payload_bytes
        buffer = memoryview(bytearray(segment_bytes))
        count = cipher.seal_into(position=position, final=final, plain=memoryview(piece), out=buffer)
        out += bytes(buffer[:count])
        position += 1
        if final:
            return out


def make() -> dict:
    case_key, kek = bytes(range(32)), bytes(range(32, 64))
    names = {"tenant": "karolinska", "holder": "case-0001", "kind": "original", "generation": 1}
    objects = []
    for name, size in (
        ("empty", 0),
        ("one byte", 1),
        ("one short of a payload", PAYLOAD_BYTES - 1),
        ("exactly one payload, so the final segment is empty", PAYLOAD_BYTES),
        ("one over a payload", PAYLOAD_BYTES + 1),
        ("three segments", 2 * PAYLOAD_BYTES + 7),
    ):
        plain = hashlib.shake_256(name.encode()).digest(size)
        object_id = hashlib.shake_256(b"id" + name.encode()).hexdigest(16)
        digester = CaseKey(case_key).digester()
        digester.update(memoryview(plain))
        objects.append(
            {
                "name": name,
                "object_id": object_id,
                "plain": plain.hex(),
                "sealed": seal_object(
                    plain,
                    case_key=case_key,
                    context=ObjectNames(**names, object_id=object_id).context(FLOE_AES256_GCM_SHA384),
                    seed=name,
                ).hex(),
                "digest": digester.digest().hex(),
            }
        )
    key_names = {
        "tenant": "karolinska",
        "holder": "case-0001",
        "purpose": "originals",
        "kek_id": "file-0011223344556677",
        "kek_version": 3,
    }
    context = b"case|patient_name|case-0001"
    return {
        "format": 1,
        "segment_bytes": SEGMENT_BYTES,
        "case_key": case_key.hex(),
        "object_names": names,
        "objects": objects,
        "wrapped_key": {
            **key_names,
            "kek": kek.hex(),
            "blob": wrap_key(kek, case_key, key_context(**key_names), random=fixed_random("wrap")).hex(),
        },
        "values": [
            {
                "context": context.hex(),
                "plain": plain.hex(),
                "blob": seal_value(
                    secret=case_key, value=plain, context=context, random=fixed_random("value")
                ).hex(),
            }
            for plain in (b"", "Åsa Öberg".encode())
        ],
        "derived": {"label": b"pseudonyms".hex(), "key": CaseKey(case_key).derive(b"pseudonyms", 48).hex()},
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make(), indent=1) + "\n")
