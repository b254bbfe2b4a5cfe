"""Which provider of master keys an address names, by its scheme; nothing is wrapped here.

``file:/path`` · ``vault+https://host:8200/transit/KEY?token-file=/path`` · ``pkcs11:token=…;object=…?module-path=…&pin-source=…``
(RFC 7512). Key services are optional extras and loaded only where they are named.
"""

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from storage.keys.file import FileKeys, create_key_file
from storage.keys.port import KeyProvider
from storage.keys.secret_files import Passphrase

FILE, PKCS11, VAULT = "file:", "pkcs11:", "vault+"
_VAULT_OPTIONS = ("token-file", "role-id", "secret-id-file", "ca-file", "namespace", "timeout-s")


def open_keys(
    address: str,
    *,
    passphrase: Passphrase | None = None,
    credentials: Path | None = None,
    may_begin: bool = False,
    folder: Path | None = None,
) -> KeyProvider:
    """Open the master keys that an address names.

    Parameters
    ----------
    credentials
        The folder of systemd's credentials, where a Vault token ``consilium-vault-token`` or a PIN
        ``consilium-pkcs11-pin`` may lie if the address names no file.
    may_begin
        Nothing was ever sealed here, so a file or token without a key is given its first one. In a key service the
        operator makes the key.
    folder
        Where the processes of one home keep each other from making a version of a token's key at the same time.

    Raises
    ------
    ValueError
        The address cannot be read; the message says what is wrong with it.
    StoreKeyError
        The keys cannot be used.
    """
    if address.startswith(FILE):
        path = Path(address.removeprefix(FILE))
        if may_begin and not path.exists():
            create_key_file(path, passphrase=passphrase)
        return FileKeys(path, passphrase)
    if address.startswith(VAULT):
        return _vault(address, credentials)
    if address.startswith(PKCS11):
        return _pkcs11(address, credentials, may_begin=may_begin, folder=folder)
    raise ValueError(
        "write file:/absolute/path, vault+https://host:8200/transit/KEY or pkcs11:token=…;object=…"
    )


def _vault(address: str, credentials: Path | None) -> KeyProvider:
    try:
        from storage.keys.vault import TIMEOUT_S, VaultAccess, VaultKeys, is_private_address
    except ImportError as error:
        raise ValueError("the extra for Vault is not installed: pip install 'consilium[vault]'") from error
    parts = urlsplit(address.removeprefix(VAULT))
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    mount, _, key = parts.path.strip("/").rpartition("/")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not mount or not key:
        raise ValueError("write vault+https://host:8200/transit/KEY")
    if parts.username or parts.password:
        raise ValueError("a secret does not belong into an address; write token-file=/path")
    if unknown := sorted(set(options) - set(_VAULT_OPTIONS)):
        raise ValueError(f"{', '.join(unknown)}: the options are {', '.join(_VAULT_OPTIONS)}")
    base = f"{parts.scheme}://{parts.netloc}"
    if not is_private_address(base):
        raise ValueError("keys go over TLS, except to this computer: write vault+https://…")
    token = _secret(options.get("token-file"), credentials, "consilium-vault-token")
    try:
        timeout_s = float(options.get("timeout-s", TIMEOUT_S))
    except ValueError:
        timeout_s = 0.0
    if not 0 < timeout_s <= 60:
        raise ValueError("timeout-s is a number of seconds, 60 at most")
    return VaultKeys(
        VaultAccess(
            address=base,
            mount=mount,
            key=key,
            token_file=None if "role-id" in options else token,
            role_id=options.get("role-id", ""),
            secret_id_file=_path(options.get("secret-id-file")),
            ca_file=_path(options.get("ca-file")),
            namespace=options.get("namespace", ""),
            timeout_s=timeout_s,
        )
    )


def _pkcs11(address: str, credentials: Path | None, *, may_begin: bool, folder: Path | None) -> KeyProvider:
    try:
        from storage.keys.pkcs11 import Pkcs11Keys, TokenAccess
    except ImportError as error:
        raise ValueError("the extra for PKCS#11 is not installed: pip install 'consilium[pkcs11]'") from error
    path, _, query = address.removeprefix(PKCS11).partition("?")
    pieces = [piece.partition("=") for piece in (*path.split(";"), *query.split("&")) if piece]
    named = {name: unquote(value) for name, _, value in pieces}
    known = {"token", "object", "module-path", "pin-source", "type"}
    if unknown := sorted(set(named) - known):
        raise ValueError(f"{', '.join(unknown)}: only {', '.join(sorted(known))} are used here (RFC 7512)")
    pin = _secret(named.get("pin-source", "").removeprefix(FILE), credentials, "consilium-pkcs11-pin")
    if pin is None or not all(named.get(name) for name in ("token", "object", "module-path")):
        raise ValueError(
            "write pkcs11:token=LABEL;object=LABEL?module-path=/path/to/module.so&pin-source=file:/path"
        )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = Pkcs11Keys(
        TokenAccess(
            module=Path(named["module-path"]),
            token=named["token"],
            key=named["object"],
            pin_file=pin,
            guarded=folder / "token" if folder is not None else None,
        )
    )
    if may_begin:
        keys.begin()
    return keys


def _secret(given: str | None, credentials: Path | None, name: str) -> Path | None:
    if given:
        return Path(given)
    usual = credentials / name if credentials else None
    return usual if usual is not None and usual.exists() else None


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None
