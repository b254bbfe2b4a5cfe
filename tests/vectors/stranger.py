"""Opens our formats from the pages in docs/spec alone: standard library plus one-shot AES-GCM, nothing of `storage`."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha384).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def fields(*values) -> bytes:
    out = b""
    for value in values:
        field = value.to_bytes(8, "big") if isinstance(value, int) else value
        field = field.encode() if isinstance(field, str) else field
        out += len(field).to_bytes(4, "big") + field
    return out


def open_object(sealed: bytes, *, case_key, tenant, holder, object_id, kind, generation) -> bytes:
    assert sealed[:8] == b"CSEAL\x00\x01\x01"
    aad = fields(b"consilium-object", 1, 1, tenant, holder, object_id, kind, generation)
    return open_floe(sealed[8:], key=case_key, aad=aad)


def open_floe(floe: bytes, *, key: bytes, aad: bytes, rotation_bits: int = 20) -> bytes:
    params, iv, tag, body = floe[:10], floe[10:42], floe[42:74], floe[74:]
    segment = int.from_bytes(params[2:6], "big")
    assert params[:2] == b"\x00\x00"
    assert params[6:] == (32).to_bytes(4, "big")
    assert expand(key, params + iv + b"HEADER_TAG:" + aad, 32) == tag
    message_key = expand(key, params + iv + b"MESSAGE_KEY:" + aad, 48)
    out = b""
    for position, start in enumerate(range(0, len(body), segment)):
        piece = body[start : start + segment]
        final = start + len(piece) == len(body)
        assert int.from_bytes(piece[:4], "big") == (len(piece) if final else 0xFFFFFFFF)
        first = (position >> rotation_bits) << rotation_bits
        dek = expand(message_key, params + iv + b"DEK:" + first.to_bytes(8, "big") + aad, 32)
        out += AESGCM(dek).decrypt(piece[4:16], piece[16:], position.to_bytes(8, "big") + bytes([final]))
    return out


def digest(plain: bytes, *, case_key: bytes) -> bytes:
    keys = expand(case_key, fields(b"consilium-digest", 1), 64)
    gmac = AESGCM(keys[:32]).encrypt(bytes(12), b"", plain)
    return hmac.new(keys[32:], gmac + len(plain).to_bytes(8, "big"), hashlib.sha256).digest()


def unwrap(blob: bytes, *, kek, tenant, holder, purpose, kek_id, kek_version) -> bytes:
    assert blob[0] == 1
    aad = fields(b"consilium-key", 1, tenant, holder, purpose, kek_id, kek_version)
    return AESGCM(kek).decrypt(blob[1:13], blob[13:], aad)


def open_value(blob: bytes, *, case_key: bytes, context: bytes) -> bytes:
    assert blob[0] == 1
    salt, commitment, rest = blob[1:25], blob[25:57], blob[57:]
    okm = expand(case_key, fields(b"consilium-value", 1, salt, context), 76)
    assert okm[44:] == commitment
    return AESGCM(okm[:32]).decrypt(okm[32:44], rest, context)


def derive(label: bytes, length: int, *, case_key: bytes) -> bytes:
    return expand(case_key, fields(b"consilium-derive", 1, label), length)
