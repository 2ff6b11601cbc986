"""Known answers: Firebase's own published example for its scrypt, and other libraries for the rest."""

import base64
import hashlib
import hmac
from typing import Any

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret_raw

from baas.auth import foreign_hashes
from baas.auth.errors import AuthError

SECRET, SALT = b"user1password", b"salt-salt-salt-1"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


CASES: list[tuple[dict[str, Any], bytes]] = [
    (
        {"hashAlgorithm": "HMAC_SHA256", "signerKey": b64(b"key")},
        hmac.new(b"key", SALT + SECRET, "sha256").digest(),
    ),
    (
        {
            "hashAlgorithm": "HMAC_MD5",
            "signerKey": b64(b"key"),
            "passwordHashOrder": "PASSWORD_AND_SALT",
        },
        hmac.new(b"key", SECRET + SALT, "md5").digest(),
    ),
    (
        {"hashAlgorithm": "SHA512", "rounds": 2},
        hashlib.sha512(hashlib.sha512(SALT + SECRET).digest()).digest(),
    ),
    ({"hashAlgorithm": "MD5", "rounds": 0}, hashlib.md5(SALT + SECRET).digest()),
    (
        {"hashAlgorithm": "PBKDF2_SHA256", "rounds": "1000"},
        hashlib.pbkdf2_hmac("sha256", SECRET, SALT, 1000, 32),
    ),
    (
        {"hashAlgorithm": "PBKDF_SHA1", "rounds": 10},
        hashlib.pbkdf2_hmac("sha1", SECRET, SALT, 10, 20),
    ),
    (
        {
            "hashAlgorithm": "STANDARD_SCRYPT",
            "cpuMemCost": 1024,
            "parallelization": 2,
            "blockSize": 8,
            "dkLen": 64,
        },
        hashlib.scrypt(SECRET, salt=SALT, n=1024, r=8, p=2, dklen=64),
    ),
    ({"hashAlgorithm": "BCRYPT"}, bcrypt.hashpw(SECRET, bcrypt.gensalt(4))),
    (
        {
            "hashAlgorithm": "ARGON2",
            "argon2Parameters": {
                "hashType": "ARGON2_ID",
                "parallelism": 1,
                "iterations": 1,
                "memoryCostKib": 64,
            },
        },
        hash_secret_raw(SECRET, SALT, 1, 64, 1, 32, Type.ID),
    ),
]


@pytest.mark.parametrize(("request_", "made"), CASES, ids=lambda c: str(c)[:40])
def test_a_foreign_hash_verifies_its_password_only(request_: dict[str, Any], made: bytes) -> None:
    encoded = foreign_hashes.encode(foreign_hashes.read_parameters(request_), made, SALT)
    assert foreign_hashes.is_foreign(encoded)
    assert foreign_hashes.verify(SECRET.decode(), encoded)
    assert not foreign_hashes.verify("another", encoded)


def test_firebases_scrypt() -> None:
    """The example of https://github.com/firebase/scrypt's README."""
    parameters = foreign_hashes.read_parameters(
        {
            "hashAlgorithm": "SCRYPT",
            "signerKey": "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZ"
            "JzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
            "saltSeparator": "Bw==",
            "rounds": 8,
            "memoryCost": 14,
        }
    )
    made = base64.b64decode(
        "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
    )
    encoded = foreign_hashes.encode(parameters, made, base64.b64decode("42xEC+ixf3L2lw=="))
    assert foreign_hashes.verify("user1password", encoded)
    assert not foreign_hashes.verify("user2password", encoded)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"hashAlgorithm": "ROT13"}, "INVALID_HASH_ALGORITHM"),
        ({}, "INVALID_HASH_ALGORITHM"),
        ({"hashAlgorithm": "SHA256", "rounds": 8193}, "INVALID_HASH_ROUNDS"),
        ({"hashAlgorithm": "PBKDF2_SHA256", "rounds": 10_000_000}, "INVALID_HASH_ROUNDS"),
        ({"hashAlgorithm": "HMAC_SHA1"}, "INVALID_HASH_KEY"),
        (
            {"hashAlgorithm": "SCRYPT", "signerKey": "YQ==", "rounds": 8, "memoryCost": 15},
            "INVALID_HASH_MEMORY_COST",
        ),
        (
            {"hashAlgorithm": "STANDARD_SCRYPT", "cpuMemCost": 1 << 20, "blockSize": 8},
            "INVALID_HASH_MEMORY_COST",
        ),
        ({"hashAlgorithm": "ARGON2"}, "INVALID_HASH_PARAMETERS"),
    ],
)
def test_parameters_out_of_bounds_are_refused(request_: dict[str, Any], code: str) -> None:
    with pytest.raises(AuthError, match=code):
        foreign_hashes.read_parameters(request_)
