"""Master keys in a PKCS#11 token (a hardware security module, or SoftHSM): each version is an AES key that never leaves it.

A version is one secret key object with the label of the key and the version as its id (four bytes, big-endian):
``CKA_SENSITIVE``, not ``CKA_EXTRACTABLE``. Wrapping is ``CKM_AES_GCM`` with a random IV of 96 bits and the associated
data; the bytes are those of ``docs/spec/wrapped-key.md``.

One session and one lock per process: modules are started without locks of their own, and a key is asked for once in five
minutes. A child that was forked starts the module anew, as the standard wants it. A call into the module cannot be given up:
where a token hangs, its caller hangs with it, and every other one is told after ``LOCK_S``.

References
----------
PKCS #11 Cryptographic Token Interface Base Specification 3.0 (OASIS), 5.4 (C_Initialize), 5.10; RFC 7512 (the URI).
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.exceptions import PKCS11Error

from storage.errors import KeyFileError, KeyRefusedError, KeyServiceError, StoreKeyError
from storage.keys import secret_files
from storage.keys.port import KekRef, Rewrapping
from storage.keys.secret_files import read_secret
from storage.keys.wrapping import (
    KEK_BYTES,
    NONCE_BYTES,
    WRAP_VERSION,
    refuse_kept,
    self_test,
    split_blob,
    unknown,
)

CURRENT_S = 0.5
LOCK_S = 30.0
BEGIN_TRIES = 10
ID_BYTES = 4
T = TypeVar("T")

# What says that these bytes do not open. Some modules say «general error» for a wrong tag: then a self-test decides.
_NOT_ITS_BYTES = (
    pkcs11.exceptions.EncryptedDataInvalid,
    pkcs11.exceptions.EncryptedDataLenRange,
    pkcs11.exceptions.DataInvalid,
    pkcs11.exceptions.DataLenRange,
)
_LOCKS: dict[int, threading.Lock] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAccess:
    """Which token and key, by which module, and where its PIN lies; beside `guarded` lies the lock of whoever makes a version."""

    module: Path
    token: str
    key: str
    pin_file: Path
    guarded: Path | None = None


class KeyTwinError(KeyServiceError):
    """Two keys in the token are one version; nobody guesses which of them wrapped, so no key is used; find out, then remove the other."""


class Pkcs11Keys:
    """A `KeyProvider` over the keys of one label in one token."""

    def __init__(self, access: TokenAccess) -> None:
        self._access = access
        self._kek_id = f"pkcs11-{access.token}/{access.key}"
        self._session: tuple[int, Any] | None = None
        self._known: tuple[float, dict[int, Any]] = (0.0, {})
        self._in_session(lambda session: session)

    def current(self) -> KekRef:
        return self._ref(max(self._all()))

    def versions(self) -> tuple[KekRef, ...]:
        return tuple(self._ref(number) for number in sorted(self._all(is_fresh=True)))

    def begin(self) -> None:
        """Make the first version where there is none; for a new home only.

        Two processes of one home wait for each other. Those of two computers, which no lock keeps apart, each take their own
        key back where they find another beside it, and look again after a random pause.
        """
        for is_last in (False,) * BEGIN_TRIES + (True,):
            try:
                with self._alone():
                    if not self._in_session(self._look):
                        self._make(1)
            except KeyTwinError:
                if is_last:
                    raise
                time.sleep(secrets.randbelow(200) / 1000)
            else:
                return

    def wrap(self, plain: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)

        def encrypt(session: Any) -> bytes:
            return bytes(self._key(session, kek).encrypt(plain, **_gcm(nonce, aad)))

        return bytes((WRAP_VERSION,)) + nonce + self._in_session(encrypt)

    def unwrap(self, blob: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        nonce, sealed = split_blob(blob)

        def decrypt(session: Any) -> bytes:
            key = self._key(session, kek)
            try:
                return bytes(key.decrypt(sealed, **_gcm(nonce, aad)))
            except _NOT_ITS_BYTES:
                raise KeyRefusedError from None
            except (pkcs11.exceptions.GeneralError, pkcs11.exceptions.FunctionFailed):
                if self._is_sound(key):
                    raise KeyRefusedError from None
                raise

        return self._in_session(decrypt)

    def rewrap(self, items: Sequence[Rewrapping], *, old: KekRef, new: KekRef) -> list[bytes]:
        return [
            self.wrap(self.unwrap(item.blob, kek=old, aad=item.aad_old), kek=new, aad=item.aad_new)
            for item in items
        ]

    def rotate(self) -> KekRef:
        with self._alone():
            return self._make(max(self._all(is_fresh=True)) + 1)

    def destroy(self, kek: KekRef) -> None:
        if not refuse_kept(kek, self.versions()):
            return

        def destroy(session: Any) -> None:
            with session.token.open(rw=True) as writing:
                for number, key in self._look(writing).items():
                    if number == kek.kek_version:
                        key.destroy()

        self._in_session(destroy)
        self._all(is_fresh=True)

    def probe(self) -> None:
        self._all(is_fresh=True)
        self_test(self)

    def _make(self, number: int) -> KekRef:
        """Make a version for who is `_alone`; whoever finds another of the same number afterwards takes its own back."""

        def generate(session: Any) -> None:
            with session.token.open(rw=True) as writing:
                made = writing.generate_key(
                    KeyType.AES,
                    KEK_BYTES * 8,
                    label=self._access.key,
                    id=number.to_bytes(ID_BYTES, "big"),
                    store=True,
                    capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                    template={
                        Attribute.SENSITIVE: True,
                        Attribute.EXTRACTABLE: False,
                        Attribute.PRIVATE: True,
                    },
                )
                if [found for found, _ in self._objects(writing)].count(number) > 1:
                    made.destroy()
                    raise KeyTwinError(f"version {number} was made by somebody else at this moment")

        self._in_session(generate)
        self._all(is_fresh=True)
        return self._ref(number)

    def _all(self, *, is_fresh: bool = False) -> dict[int, Any]:
        until, found = self._known
        if is_fresh or time.monotonic() >= until or not self._is_ours():
            found = self._in_session(self._remember)
        if not found:
            raise KeyServiceError(
                f"the token {self._access.token} holds no AES key labelled {self._access.key}; bring it back from"
                " the token's backup"
            )
        return found

    def _remember(self, session: Any) -> dict[int, Any]:
        found = self._look(session)
        self._known = (time.monotonic() + CURRENT_S, found)
        return found

    def _look(self, session: Any) -> dict[int, Any]:
        """Return the key objects by version; two of one version are nobody's guess."""
        found: dict[int, Any] = {}
        for number, key in self._objects(session):
            if number in found:
                raise KeyTwinError(f"the token holds two keys {self._access.key} of version {number}")
            found[number] = key
        return found

    def _objects(self, session: Any) -> list[tuple[int, Any]]:
        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self._access.key,
        }
        keys = []
        for key in list(session.get_objects(wanted)):
            with suppress(
                pkcs11.exceptions.ObjectHandleInvalid
            ):  # taken back between being listed and being read
                keys.append((int.from_bytes(key[Attribute.ID], "big"), key))
        return keys

    @contextmanager
    def _alone(self) -> Iterator[None]:
        guarded = self._access.guarded
        with secret_files.lock(guarded) if guarded is not None else nullcontext():
            yield

    def _key(self, session: Any, kek: KekRef) -> Any:
        """Return the key object; what is not known is looked for once more."""
        known = self._known[1]
        if kek.kek_id == self._kek_id and kek.kek_version not in known:
            known = self._remember(session)
        if kek.kek_id != self._kek_id or kek.kek_version not in known:
            raise unknown(kek)
        return known[kek.kek_version]

    @staticmethod
    def _is_sound(key: Any) -> bool:
        nonce = os.urandom(NONCE_BYTES)
        plain = bytes(KEK_BYTES)
        return bool(key.decrypt(key.encrypt(plain, **_gcm(nonce, b"")), **_gcm(nonce, b"")) == plain)

    def _in_session(self, act: Callable[[Any], T]) -> T:
        """Act under the process's lock; a session that the token has lost is opened anew, once."""
        with _locked(self._access.token):
            for is_last in (False, True):
                try:
                    return act(self._opened())
                except StoreKeyError:
                    raise
                except (PKCS11Error, RuntimeError) as error:
                    self._forget_session()
                    if is_last:
                        raise KeyServiceError(
                            f"the token {self._access.token} does not do it: {type(error).__name__}; look at the"
                            " token, its PIN and its module"
                        ) from error
        raise AssertionError("unreachable")

    def _is_ours(self) -> bool:
        return self._session is not None and self._session[0] == os.getpid()

    def _opened(self) -> Any:
        if self._session is not None and self._session[0] == os.getpid():
            return self._session[1]
        module = _module(self._access.module)
        if self._session is not None:  # a child: handles are its parent's
            self._session, self._known = None, (0.0, {})
        pin = read_secret(self._access.pin_file, what="the PIN file").decode("utf-8", "replace")
        try:
            token = module.get_token(token_label=self._access.token)
        except pkcs11.exceptions.NoSuchToken:
            raise KeyServiceError(
                f"there is no token labelled {self._access.token}; plug it in, or correct CONSILIUM_KEYS"
            ) from None
        try:
            session = token.open(user_pin=pin)
        except (
            pkcs11.exceptions.UserAlreadyLoggedIn
        ):  # by another key of the same token: the login is the process's
            session = token.open()
        except (pkcs11.exceptions.PinIncorrect, pkcs11.exceptions.PinLocked) as error:
            raise KeyServiceError(  # never tried a second time: tokens lock themselves
                f"the token refuses the PIN ({type(error).__name__}); correct {self._access.pin_file}"
            ) from None
        self._session = (os.getpid(), session)
        return session

    def _forget_session(self) -> None:
        held, self._session, self._known = self._session, None, (0.0, {})
        if held is not None and held[0] == os.getpid():
            try:
                held[1].close()
            except (PKCS11Error, RuntimeError):
                _STALE.add(str(self._access.module))  # the module lost its slots: it is started anew

    def _ref(self, number: int) -> KekRef:
        return KekRef(kek_id=self._kek_id, kek_version=number)


_STARTED: dict[str, int] = {}
_STALE: set[str] = set()


def _module(path: Path) -> Any:
    """Return the module, started by this process."""
    name, pid = str(path), os.getpid()
    try:
        module = pkcs11.lib(name)
        if _STARTED.get(name, pid) != pid or name in _STALE:
            module.reinitialize()
    except (PKCS11Error, RuntimeError, OSError) as error:
        raise KeyFileError(
            f"the module {path} cannot be started ({type(error).__name__}); correct module-path in CONSILIUM_KEYS"
        ) from error
    _STARTED[name] = pid
    _STALE.discard(name)
    return module


@contextmanager
def _locked(token: str) -> Iterator[None]:
    """Hold the one lock for all modules of this process; a fork may leave the parent's held for ever."""
    lock = _LOCKS.setdefault(os.getpid(), threading.Lock())
    if not lock.acquire(timeout=LOCK_S):
        raise KeyServiceError(
            f"the token {token} has not answered another call for {LOCK_S:.0f} s; look at the token"
        )
    try:
        yield
    finally:
        lock.release()


def _gcm(nonce: bytes, aad: bytes) -> dict[str, Any]:
    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": pkcs11.GCMParams(nonce, aad, 128)}
