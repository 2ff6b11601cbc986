"""Sealing what the database must keep but must not tell: AES-256-GCM with a key from outside of it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES, _NONCE_BYTES = 4, 12
_FILE_NAME = "secret.key"


class SecretBoxError(Exception):
    """A key is unusable, or sealed bytes cannot be opened with the keys at hand."""


class SecretBox:
    """Seals with the first key, opens with any of them.

    Sealed bytes: version (1), key id (4), nonce (12), ciphertext and tag. ``purpose`` is bound in: bytes
    sealed for one purpose do not open for another.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise SecretBoxError(f"A secret key must be {KEY_BYTES} bytes.")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._first = _key_id(keys[0])

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, plain, purpose.encode())
        return _VERSION + self._first + nonce + sealed

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt.

        Raises:
            SecretBoxError: sealed with a key that is not here, for another purpose, or tampered with.
        """
        start = 1 + _ID_BYTES
        cipher = self._ciphers.get(sealed[1:start])
        if sealed[:1] != _VERSION or cipher is None:
            raise SecretBoxError(
                "The database was sealed with another secret key: restore the secret.key file of the "
                "data folder, or set HOMEFIRE_SECRET_KEY to the key that was used."
            )
        nonce = sealed[start : start + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[start + _NONCE_BYTES :], purpose.encode())
        except InvalidTag as error:
            raise SecretBoxError("Sealed bytes do not open: they were changed.") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether the bytes are sealed with the first key."""
        return sealed[1 : 1 + _ID_BYTES] == self._first


def new_key() -> str:
    """A fresh key in the form that the file and ``HOMEFIRE_SECRET_KEY`` hold: base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def parse_keys(text: str) -> list[bytes]:
    """Keys in base64, separated by white space or commas; the first one seals.

    Raises:
        SecretBoxError: one is not 32 bytes in base64.
    """
    keys = []
    for word in text.replace(",", " ").split():
        try:
            key = base64.b64decode(word, validate=True)
        except binascii.Error as error:
            raise SecretBoxError("A secret key must be 32 bytes in base64.") from error
        if len(key) != KEY_BYTES:
            raise SecretBoxError("A secret key must be 32 bytes in base64.")
        keys.append(key)
    return keys


def load_secret_box(data: Path, configured: str | None = None) -> SecretBox:
    """The box of a server: from ``HOMEFIRE_SECRET_KEY`` if given, else from ``secret.key`` in its folder.

    The file is made on the first run, readable by its owner only.

    Raises:
        SecretBoxError: the key is unusable.
    """
    if configured:
        return SecretBox(parse_keys(configured))
    path = data / _FILE_NAME
    if not path.exists():
        write_keys(path, [new_key()])
    return SecretBox(parse_keys(path.read_text("ascii")))


def rotate_key_file(data: Path) -> None:
    """Put a fresh key in front of those in the file; what is sealed is sealed anew by ``reseal``."""
    path = data / _FILE_NAME
    older = path.read_text("ascii").split() if path.exists() else []
    write_keys(path, [new_key(), *older])


def drop_old_keys(data: Path) -> None:
    """Keep only the first key of the file."""
    path = data / _FILE_NAME
    write_keys(path, path.read_text("ascii").split()[:1])


def write_keys(path: Path, keys: Sequence[str]) -> None:
    """Write the file durably, in one step: a crash leaves the old one or the new one."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"homefire secret key id" + key).digest()[:_ID_BYTES]
