"""A stand-in for the Transit engine of Vault and OpenBao: its HTTP interface on loopback, with real AES-GCM; not Vault itself.

What it copies, after the API documentation and the source of both: tokens and AppRole, namespaces, the sealed state, key
versions with ``min_decryption_version``, ``min_encryption_version`` and ``min_available_version``, batches with an error for
each item, the sentences of the errors. What it lacks: policies, leases, audit devices, replication, every other engine.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


@dataclass
class TransitKey:
    type: str = "aes256-gcm96"
    versions: dict[int, bytes] = field(default_factory=lambda: {1: os.urandom(32)})
    min_decryption: int = 1
    min_encryption: int = 0
    min_available: int = 0

    @property
    def latest(self) -> int:
        return max(self.versions)


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status, self.errors = status, list(errors)


class Vault:
    """One server; tests turn its switches."""

    def __init__(self, *, namespace: str = "") -> None:
        self.namespace = namespace
        self.keys: dict[str, TransitKey] = {}
        self.tokens = {"root"}
        self.roles: dict[str, str] = {}
        self.is_sealed = self.is_gone = False
        self.status = 0
        self.body: bytes | None = None
        self.delay_s = 0.0
        self.asked: list[str] = []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.answer(self, {})

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                server.answer(self, json.loads(self.rfile.read(length) or b"{}"))

            do_PUT = do_POST  # noqa: N815 - the server's own spelling

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.is_gone = True  # connections that are open get no answer any more either
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: Any, body: dict[str, Any]) -> None:
        self.asked.append(f"{request.command} {request.path}")
        if self.delay_s:
            time.sleep(self.delay_s)
        if self.is_gone:
            request.close_connection = True
            return
        try:
            with self._lock:
                status, content = 200, self._answer(request, body)
        except Refusal as refusal:
            status, content = refusal.status, {"errors": refusal.errors}
        if isinstance(content, tuple):
            status, content = content
        if self.status:
            status, content = self.status, {"errors": ["internal error"]}
        if status == 200 and content is None:
            status = 204
        data = b"" if content is None else json.dumps(content).encode()
        data = data if self.body is None else self.body
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)
        except OSError:
            pass  # the caller has given up

    def _answer(self, request: Any, body: dict[str, Any]) -> Any:
        if self.is_sealed:
            raise Refusal(503, "Vault is sealed")
        if request.headers.get("X-Vault-Namespace", "").strip("/") != self.namespace:
            raise Refusal(404, "no handler for route")
        parts = request.path.removeprefix("/v1/").split("/")
        if request.path == "/v1/auth/approle/login":
            if self.roles.get(body.get("role_id", "")) != body.get("secret_id"):
                raise Refusal(400, "invalid role or secret ID")
            token = f"s.{os.urandom(8).hex()}"
            self.tokens.add(token)
            return {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}
        if request.headers.get("X-Vault-Token") not in self.tokens:
            raise Refusal(403, "permission denied")
        if parts[0] != "transit" or len(parts) < 3:
            raise Refusal(404, f"no handler for route {request.path!r}")
        verb, name, *rest = parts[1:]
        if verb == "keys":
            return self._key(request.command, name, rest[0] if rest else "", body)
        if name not in self.keys:
            raise Refusal(400, "encryption key not found")
        act = {"encrypt": self._encrypt, "decrypt": self._decrypt}[verb]
        if "batch_input" not in body:
            return {"data": act(self.keys[name], body)}
        results: list[dict[str, Any]] = []
        for item in body["batch_input"]:
            try:
                results.append(act(self.keys[name], item))
            except Refusal as refusal:
                results.append({"error": refusal.errors[0]})
        failed = any("error" in result for result in results)
        return (400 if failed else 200), {"data": {"batch_results": results}}

    def _key(self, method: str, name: str, what: str, body: dict[str, Any]) -> Any:
        key = self.keys.get(name)
        if key is None:
            raise Refusal(404)
        if method == "GET":
            return {
                "data": {
                    "name": name, "type": key.type, "latest_version": key.latest,
                    "min_decryption_version": key.min_decryption, "min_encryption_version": key.min_encryption,
                    "min_available_version": key.min_available,
                    "keys": {str(n): 1_700_000_000 for n in key.versions if n >= key.min_decryption},
                }
            }  # fmt: skip
        if what == "rotate":
            key.versions[key.latest + 1] = os.urandom(32)
        elif what == "config":
            lowest, floor = body.get("min_decryption_version"), body.get("min_encryption_version")
            if lowest is not None and lowest > key.latest:
                raise Refusal(
                    400, f"cannot set min decryption version of {lowest}, latest key version is {key.latest}"
                )
            if lowest is not None and lowest < key.min_available:
                raise Refusal(400, "min decryption version should not be less then min available version")
            key.min_decryption = key.min_decryption if lowest is None else lowest
            key.min_encryption = key.min_encryption if floor is None else floor
        elif what == "trim":
            first = body["min_available_version"]
            for wrong, words in (
                (first < key.min_available, "minimum available version cannot be decremented"),
                (
                    key.min_encryption == 0,
                    "minimum available version cannot be set when minimum encryption version is not set",
                ),
                (
                    first > key.min_encryption,
                    "minimum available version cannot be greater than minmum encryption version",
                ),
                (
                    first > key.min_decryption,
                    "minimum available version cannot be greater than minimum decryption version",
                ),
            ):
                if wrong:
                    raise Refusal(400, words)
            key.min_available = first
            key.versions = {n: secret for n, secret in key.versions.items() if n >= first}
        return None

    def _encrypt(self, key: TransitKey, item: dict[str, Any]) -> dict[str, Any]:
        number = (
            item.get("key_version") or key.latest
        )  # of the item: that of the whole request counts for no batch
        if number > key.latest:
            raise Refusal(400, "requested version for encryption is higher than the latest key version")
        if number < max(key.min_encryption, 1):
            raise Refusal(
                400, "requested version for encryption is less than the minimum encryption key version"
            )
        nonce = os.urandom(12)
        aad = base64.b64decode(item.get("associated_data", ""))
        sealed = nonce + AESGCM(key.versions[number]).encrypt(nonce, base64.b64decode(item["plaintext"]), aad)
        return {"ciphertext": f"vault:v{number}:{base64.b64encode(sealed).decode()}", "key_version": number}

    def _decrypt(self, key: TransitKey, item: dict[str, Any]) -> dict[str, Any]:
        found = re.fullmatch(r"vault:v(\d+):(.*)", item["ciphertext"], re.DOTALL)
        if found is None:
            raise Refusal(400, "invalid ciphertext: no prefix")
        number = int(found[1])
        if number > key.latest or number < 1:
            raise Refusal(400, "invalid ciphertext: version is too new")
        if number < key.min_decryption:
            raise Refusal(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            sealed = base64.b64decode(found[2])
            aad = base64.b64decode(item.get("associated_data", ""))
            plain = AESGCM(key.versions[number]).decrypt(sealed[:12], sealed[12:], aad)
        except (ValueError, InvalidTag):
            raise Refusal(400, "invalid ciphertext: unable to decrypt") from None
        return {"plaintext": base64.b64encode(plain).decode()}
