"""Password hashes of other systems, as ``firebase auth:import`` names them: checked, never made.

Kept beside our own as ``foreign:`` and a JSON object. Parameters and hashes are checked when they come in, as
Firebase bounds them, so that no import can make a sign-in cost more than this, nor fail. What is hashed,
and the codes of errors, are production Identity Toolkit's: HMACs take the password before the salt, SHA the
salt before the password, unless ``passwordHashOrder`` says otherwise; MD5 is the hexadecimal text of
``md5(salt + password)``, then ``rounds`` times of ``md5(it + password)``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

import bcrypt
from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from baas.auth.errors import AuthError

_PREFIX = "foreign:"
_DIGESTS = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
_PBKDF2 = {"PBKDF_SHA1": "sha1", "PBKDF2_SHA256": "sha256"}
_ARGON2 = {"ARGON2_D": Type.D, "ARGON2_I": Type.I, "ARGON2_ID": Type.ID}
_SCRYPT_MEMORY = 64 * 1024 * 1024
_BCRYPT = re.compile(rb"\$2[abxy]?\$(\d\d)\$[./A-Za-z0-9]{53}")
_BCRYPT_COSTS = range(4, 17)
_HASH_BYTES = 1_024
_PBKDF2_BYTES = 128

Parameters = dict[str, Any]


def is_foreign(encoded: str) -> bool:
    """Whether a stored hash is one of these."""
    return encoded.startswith(_PREFIX)


def read_parameters(request: Mapping[str, Any]) -> Parameters:
    """The hash parameters of an import request, checked.

    Raises:
        AuthError: INVALID_HASH_ALGORITHM, EMPTY_HASH_KEY, INVALID_HASH_ROUNDS, ...
    """
    algorithm = request.get("hashAlgorithm")
    found: Parameters = {"algorithm": algorithm}
    if algorithm == "SCRYPT":
        found["key"] = _signer_key(request)
        found["separator"] = _base64_text(request, "saltSeparator", "INVALID_HASH_SALT_SEPARATOR")
        found["rounds"] = _number(request, "rounds", "INVALID_HASH_ROUNDS", 1, 8)
        found["memory"] = _number(request, "memoryCost", "INVALID_HASH_MEMORY_COSTS", 1, 14)
    elif algorithm == "STANDARD_SCRYPT":
        _read_standard_scrypt(request, found)
    elif isinstance(algorithm, str) and algorithm.removeprefix("HMAC_") in _DIGESTS:
        order = request.get("passwordHashOrder")
        if algorithm.startswith("HMAC_"):
            found["key"] = _signer_key(request)
            found["salt_first"] = order == "SALT_AND_PASSWORD"
        else:
            found["rounds"] = _number(request, "rounds", "INVALID_HASH_ROUNDS", 0, 8_192, 0)
            found["salt_first"] = algorithm == "MD5" or order != "PASSWORD_AND_SALT"
    elif algorithm in _PBKDF2:
        found["rounds"] = _number(request, "rounds", "INVALID_HASH_ROUNDS", 1, 120_000)
    elif algorithm == "ARGON2":
        _read_argon2(request, found)
    elif algorithm != "BCRYPT":
        raise AuthError("INVALID_HASH_ALGORITHM")
    return found


def encode(parameters: Parameters, password_hash: bytes, salt: bytes) -> str:
    """What is stored for one account.

    Raises:
        AuthError: INVALID_PASSWORD_HASH: no password has such a hash, or it is longer than any is.
    """
    if not _can_be(parameters, password_hash, salt):
        raise AuthError("INVALID_PASSWORD_HASH")
    return _PREFIX + json.dumps(
        {
            **parameters,
            "hash": base64.b64encode(password_hash).decode(),
            "salt": base64.b64encode(salt).decode(),
        }
    )


def verify(password: str, encoded: str) -> bool:
    """Whether the password belongs to the foreign hash; compared in constant time."""
    stored = json.loads(encoded.removeprefix(_PREFIX))
    expected = base64.b64decode(stored["hash"])
    salt = base64.b64decode(stored["salt"])
    secret = password.encode()
    if stored["algorithm"] == "BCRYPT":
        # bcrypt has always read 72 bytes; the library refuses longer ones instead of cutting
        return hmac.compare_digest(bcrypt.hashpw(secret[:72], expected), expected)
    return hmac.compare_digest(_derive(stored, secret, salt, len(expected)), expected)


def _can_be(parameters: Parameters, password_hash: bytes, salt: bytes) -> bool:
    algorithm: str = parameters["algorithm"]
    if algorithm == "BCRYPT":
        form = _BCRYPT.fullmatch(password_hash)
        return form is not None and int(form[1]) in _BCRYPT_COSTS
    if algorithm == "ARGON2":
        return 4 <= len(password_hash) <= _HASH_BYTES and len(salt) >= 8
    longest = _PBKDF2_BYTES if algorithm in _PBKDF2 else _HASH_BYTES
    return 1 <= len(password_hash) <= longest


def _derive(stored: Parameters, secret: bytes, salt: bytes, length: int) -> bytes:
    algorithm: str = stored["algorithm"]
    if algorithm == "SCRYPT":
        return _firebase_scrypt(stored, secret, salt)
    if algorithm == "STANDARD_SCRYPT":
        return hashlib.scrypt(
            secret,
            salt=salt,
            n=stored["cost"],
            r=stored["block"],
            p=stored["parallel"],
            dklen=stored["length"],
            maxmem=2 * _SCRYPT_MEMORY,
        )
    if algorithm in _PBKDF2:
        return hashlib.pbkdf2_hmac(_PBKDF2[algorithm], secret, salt, stored["rounds"], length)
    if algorithm == "ARGON2":
        return hash_secret_raw(
            secret,
            salt,
            stored["iterations"],
            stored["memory"],
            stored["parallel"],
            length,
            _ARGON2[stored["type"]],
            stored["version"],
        )
    text = salt + secret if stored["salt_first"] else secret + salt
    if algorithm.startswith("HMAC_"):
        digest = _DIGESTS[algorithm.removeprefix("HMAC_")]
        return hmac.new(base64.b64decode(stored["key"]), text, digest).digest()
    if algorithm == "MD5":
        for _ in range(stored["rounds"]):
            text = hashlib.md5(text).digest() + secret
        return hashlib.md5(text).hexdigest().encode()
    for _ in range(max(1, stored["rounds"])):
        text = hashlib.new(_DIGESTS[algorithm], text).digest()
    return text


def _firebase_scrypt(stored: Parameters, secret: bytes, salt: bytes) -> bytes:
    """Firebase's own: scrypt makes an AES-256 key, which encrypts the project's signer key (CTR, zero IV)."""
    key = hashlib.scrypt(
        secret,
        salt=salt + base64.b64decode(stored["separator"]),
        n=1 << stored["memory"],
        r=stored["rounds"],
        p=1,
        dklen=32,
        maxmem=2 * _SCRYPT_MEMORY,
    )
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(base64.b64decode(stored["key"])) + encryptor.finalize()


def _read_standard_scrypt(request: Mapping[str, Any], found: Parameters) -> None:
    code = "INVALID_HASH_PARAMETER"
    cost = _number(request, "cpuMemCost", code, 2, 1 << 20)
    block = _number(request, "blockSize", code, 1, 64)
    if cost & (cost - 1) or 128 * cost * block > _SCRYPT_MEMORY:
        raise AuthError(code, "cpuMemCost must be a power of two, at most 64 MiB in all.")
    found["cost"], found["block"] = cost, block
    found["parallel"] = _number(request, "parallelization", code, 1, 16, 1)
    found["length"] = _number(request, "dkLen", code, 1, _HASH_BYTES, 64)


def _read_argon2(request: Mapping[str, Any], found: Parameters) -> None:
    given = request.get("argon2Parameters")
    if not isinstance(given, Mapping):
        given = {}
    found["memory"] = _number(given, "memoryCostKib", "INVALID_ARGON2_MEMORY_COST", 8, 32_768)
    found["iterations"] = _number(given, "iterations", "INVALID_ARGON2_ITERATIONS", 1, 16)
    found["parallel"] = _number(given, "parallelism", "INVALID_ARGON2_PARALLELISM", 1, 16)
    if found["memory"] < 8 * found["parallel"]:
        raise AuthError(
            "INVALID_ARGON2_MEMORY_COST", "memoryCostKib must be eight times parallelism."
        )
    if given.get("hashType") not in _ARGON2:
        raise AuthError("INVALID_ARGON2_HASH_TYPE")
    if given.get("associatedData"):
        raise AuthError("INVALID_ARGON2_ASSOCIATED_DATA", "associatedData is not supported.")
    found["type"] = given["hashType"]
    found["version"] = 0x10 if given.get("version") == "VERSION_10" else 0x13


def _number(
    request: Mapping[str, Any],
    name: str,
    code: str,
    low: int,
    high: int,
    default: int | None = None,
) -> int:
    value = request.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        raise AuthError(code, f"{name} must be from {low} to {high}.")
    return value


def _signer_key(request: Mapping[str, Any]) -> str:
    key = _base64_text(request, "signerKey", "INVALID_HASH_KEY")
    if not key:
        raise AuthError("EMPTY_HASH_KEY")
    return key


def _base64_text(request: Mapping[str, Any], name: str, code: str) -> str:
    value = request.get(name, "")
    if not isinstance(value, str):
        raise AuthError(code, f"{name} must be base64.")
    return base64.b64encode(decode_base64(value, code)).decode()


def decode_base64(text: str, code: str) -> bytes:
    """Bytes from base64 of either alphabet, padded or not.

    Raises:
        AuthError: ``code``.
    """
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AuthError(code) from error
