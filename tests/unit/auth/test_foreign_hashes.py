"""Known answers that others published: RFCs, test vectors of the reference code, Firebase's own example.

Those made with ``password123`` were imported into production Identity Toolkit, which then took the password.
"""

import base64
from typing import Any

import pytest

from baas.auth import foreign_hashes
from baas.auth.errors import AuthError

SALT = b"salt-value-01"
SIGNER_KEY = base64.b64encode(b"fireemu-test-signer-key-not-a-secret-0123456789").decode()


def argon2(kind: str, parallelism: int, **more: str) -> dict[str, Any]:
    parameters = {"memoryCostKib": 256, "iterations": 2, "parallelism": parallelism}
    return {
        "hashAlgorithm": "ARGON2",
        "argon2Parameters": {"hashType": kind, **parameters, **more},
    }


PUBLISHED: dict[str, tuple[dict[str, Any], tuple[str, bytes, str]]] = {
    "RFC 6070": (
        {"hashAlgorithm": "PBKDF_SHA1", "rounds": 4096},
        ("password", b"salt", "4b007901b765489abead49d926f721d065a429c1"),
    ),
    "RFC 7914, section 11": (
        {"hashAlgorithm": "PBKDF2_SHA256", "rounds": 1},
        (
            "passwd",
            b"salt",
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
            "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
        ),
    ),
    "RFC 7914, section 12": (
        {
            "hashAlgorithm": "STANDARD_SCRYPT",
            "cpuMemCost": 1024,
            "blockSize": 8,
            "parallelization": 16,
            "dkLen": 64,
        },
        (
            "password",
            b"NaCl",
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
        ),
    ),
    "RFC 2202": (
        {"hashAlgorithm": "HMAC_SHA1", "signerKey": base64.b64encode(b"Jefe").decode()},
        ("what do ya want ", b"for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ),
    "RFC 4231": (
        {
            "hashAlgorithm": "HMAC_SHA256",
            "signerKey": base64.b64encode(b"Jefe").decode(),
            "passwordHashOrder": "SALT_AND_PASSWORD",
        },
        (
            "for nothing?",
            b"what do ya want ",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ),
    "FIPS 180": (
        {"hashAlgorithm": "SHA256", "rounds": 1},
        ("bc", b"a", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ),
    "Argon2id, version 19": (
        argon2("ARGON2_ID", 1),
        (
            "password",
            b"somesalt",
            "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe",
        ),
    ),
    "Argon2id, two lanes": (
        argon2("ARGON2_ID", 2),
        (
            "password",
            b"somesalt",
            "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037",
        ),
    ),
    "Argon2i, version 16": (
        argon2("ARGON2_I", 1, version="VERSION_10"),
        (
            "password",
            b"somesalt",
            "fd4dd83d762c49bdeaf57c47bdcd0c2f1babf863fdeb490df63ede9975fccf06",
        ),
    ),
    "bcrypt": (
        {"hashAlgorithm": "BCRYPT"},
        ("U*U", b"", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".hex()),
    ),
}

PRODUCTION: list[tuple[dict[str, Any], str]] = [
    (
        {"hashAlgorithm": "HMAC_MD5", "signerKey": SIGNER_KEY},
        "QtUxMKEzmP6zJlwzAtMDpw==",
    ),
    (
        {
            "hashAlgorithm": "HMAC_MD5",
            "signerKey": SIGNER_KEY,
            "passwordHashOrder": "SALT_AND_PASSWORD",
        },
        "bK8V+ubgAu+W22poiuKsjQ==",
    ),
    (
        {"hashAlgorithm": "HMAC_SHA512", "signerKey": SIGNER_KEY},
        "k0GYi4OwNw31kJfwJsvnvxPuGFHgZeWaDaO0f46gIl+fJgm+s73V51oSiFnDU+khFMUnYyqn46ItS+fYGzxEUg==",
    ),
    ({"hashAlgorithm": "MD5"}, "NTVjZGM2NWFmNjgyMjNiMDI3YzY5NTI3OGExOGM3Mzg="),
    (
        {"hashAlgorithm": "MD5", "rounds": 2, "passwordHashOrder": "PASSWORD_AND_SALT"},
        "YjU2MzU3NjUwMzg2OTc1MDk4ODI3ZTllNzJkZjJkMTM=",
    ),
    ({"hashAlgorithm": "SHA1", "rounds": 2}, "+YsnGyLcSSqd7nPHgOEKTemsRhk="),
    (
        {"hashAlgorithm": "SHA1", "rounds": 1, "passwordHashOrder": "PASSWORD_AND_SALT"},
        "mPKMKYJQKWJjExqk3q7Df3+DvIc=",
    ),
    (
        {"hashAlgorithm": "PBKDF_SHA1", "rounds": "1000"},
        "IWZWjqgZ+tNB9FhoHHHtNRWdU5L2jhiSmB6JzvsSYmvTkenQR4JvJetZejxwE6Q5G855Y4PqB78ctR1Zl/y9Bw==",
    ),
]


def check(request_: dict[str, Any], password: str, made: bytes, salt: bytes) -> None:
    encoded = foreign_hashes.encode(foreign_hashes.read_parameters(request_), made, salt)
    assert foreign_hashes.is_foreign(encoded)
    assert foreign_hashes.verify(password, encoded)
    assert not foreign_hashes.verify("another", encoded)


@pytest.mark.parametrize("source", PUBLISHED)
def test_published_vectors_verify(source: str) -> None:
    request_, (password, salt, made) = PUBLISHED[source]
    check(request_, password, bytes.fromhex(made), salt)


@pytest.mark.parametrize(("request_", "made"), PRODUCTION, ids=lambda c: str(c)[:60])
def test_what_production_took_verifies(request_: dict[str, Any], made: str) -> None:
    check(request_, "password123", base64.b64decode(made), SALT)


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
        ({"hashAlgorithm": "PBKDF2_SHA256", "rounds": 120_001}, "INVALID_HASH_ROUNDS"),
        ({"hashAlgorithm": "PBKDF2_SHA256", "rounds": 0}, "INVALID_HASH_ROUNDS"),
        ({"hashAlgorithm": "PBKDF2_SHA256"}, "INVALID_HASH_ROUNDS"),
        ({"hashAlgorithm": "HMAC_SHA1"}, "EMPTY_HASH_KEY"),
        ({"hashAlgorithm": "SCRYPT", "rounds": 8, "memoryCost": 14}, "EMPTY_HASH_KEY"),
        (
            {"hashAlgorithm": "SCRYPT", "signerKey": "YQ==", "rounds": 8, "memoryCost": 15},
            "INVALID_HASH_MEMORY_COSTS",
        ),
        (
            {"hashAlgorithm": "SCRYPT", "signerKey": "YQ==", "rounds": 9, "memoryCost": 14},
            "INVALID_HASH_ROUNDS",
        ),
        (
            {"hashAlgorithm": "STANDARD_SCRYPT", "cpuMemCost": 1 << 20, "blockSize": 8},
            "INVALID_HASH_PARAMETER",
        ),
        ({"hashAlgorithm": "STANDARD_SCRYPT"}, "INVALID_HASH_PARAMETER"),
        ({"hashAlgorithm": "ARGON2"}, "INVALID_ARGON2_MEMORY_COST"),
        (
            {"hashAlgorithm": "ARGON2", "argon2Parameters": {"memoryCostKib": 32_769}},
            "INVALID_ARGON2_MEMORY_COST",
        ),
        (
            {
                "hashAlgorithm": "ARGON2",
                "argon2Parameters": {"memoryCostKib": 64, "iterations": 17},
            },
            "INVALID_ARGON2_ITERATIONS",
        ),
        (argon2("ARGON2_ID", 0), "INVALID_ARGON2_PARALLELISM"),
        (argon2("HASH_TYPE_UNSPECIFIED", 1), "INVALID_ARGON2_HASH_TYPE"),
        (argon2("ARGON2_ID", 1, associatedData="YQ=="), "INVALID_ARGON2_ASSOCIATED_DATA"),
    ],
)
def test_parameters_out_of_bounds_are_refused(request_: dict[str, Any], code: str) -> None:
    with pytest.raises(AuthError) as refused:
        foreign_hashes.read_parameters(request_)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("request_", "made", "salt"),
    [
        ({"hashAlgorithm": "PBKDF2_SHA256", "rounds": 1}, b"", SALT),
        ({"hashAlgorithm": "PBKDF2_SHA256", "rounds": 120_000}, bytes(129), SALT),
        ({"hashAlgorithm": "BCRYPT"}, b"no bcrypt", b""),
        ({"hashAlgorithm": "BCRYPT"}, b"$2b$31$" + b"C" * 53, b""),
        (argon2("ARGON2_ID", 1), bytes(3), SALT),
        (argon2("ARGON2_ID", 1), bytes(32), b"short"),
        ({"hashAlgorithm": "SHA256", "rounds": 1}, bytes(1_025), SALT),
    ],
)
def test_a_hash_that_would_fail_or_stall_a_sign_in_is_refused(
    request_: dict[str, Any], made: bytes, salt: bytes
) -> None:
    parameters = foreign_hashes.read_parameters(request_)
    with pytest.raises(AuthError, match="INVALID_PASSWORD_HASH"):
        foreign_hashes.encode(parameters, made, salt)
