"""What strangers send: each answers the documented error in Google's envelope, and changes nothing."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jose import jwt

from tests.support.server import Client

TITLE = {"title": {"stringValue": "Hello"}}


def error_of(answer: Any) -> tuple[int, str]:
    """Status code and canonical status, of an answer in Google's envelope."""
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    assert error["message"]
    return answer.status_code, error["status"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"writes": [}',
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"writes": {}}',
        b'{"writes": [{"update": 5}]}',
        b'{"writes": [{"update": {"name": "x", "fields": {}}}]}',
        b'{"writes": [{"remove": "x"}]}',
        b'{"unknown": 1}',
        b'{"writes": [{"delete": "projects/homefire/databases/(default)/documents/posts"}]}',
        b'{"writes": [{"delete": "projects/homefire/databases/(default)/documents/posts/."}]}',
        b'{"writes": [{"delete": "projects/other/databases/(default)/documents/posts/p"}]}',
        b'{"writes":[' + b"[" * 100_000,
    ],
)
def test_a_malformed_commit_is_an_invalid_argument(ada: Client, body: bytes) -> None:
    answer = ada.http.post(f"{ada.documents}:commit", content=body)
    assert error_of(answer) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "value",
    [
        {"integerValue": "nine"},
        {"integerValue": str(2**63)},
        {"doubleValue": "ten"},
        {"booleanValue": "true"},
        {"timestampValue": "yesterday"},
        {"timestampValue": "0000-01-01T00:00:00Z"},
        {"bytesValue": "***"},
        {"stringValue": 5},
        {"referenceValue": "posts/p"},
        {"geoPointValue": {"latitude": 91, "longitude": 0}},
        {"arrayValue": {"values": [{"arrayValue": {}}]}},
        {"mapValue": {"fields": []}},
        {"noSuchValue": 1},
        {"stringValue": "a", "integerValue": "1"},
        {},
        "bare",
    ],
)
def test_a_value_of_a_wrong_form_is_refused_and_nothing_is_written(ada: Client, value: Any) -> None:
    answer = ada.create("posts", "never", v=value)
    assert error_of(answer) == (400, "INVALID_ARGUMENT")
    assert ada.get("posts/never").status_code == 404


@pytest.mark.parametrize(
    ("collection", "document_id"),
    [
        ("posts", "x" * 1_501),
        ("posts", "__reserved__"),
        ("posts", ".."),
        ("__reserved__", "p"),
        ("p" * 1_501, "p"),
    ],
)
def test_a_name_that_is_not_allowed_is_refused(
    ada: Client, collection: str, document_id: str
) -> None:
    answer = ada.create(collection, document_id, **TITLE)
    assert error_of(answer) == (400, "INVALID_ARGUMENT")


def test_a_body_over_the_limit_of_the_api_is_refused(ada: Client) -> None:
    big = {"stringValue": "x" * (11 * 1024 * 1024)}
    answer = ada.create("posts", "big", v=big)
    assert error_of(answer) == (400, "INVALID_ARGUMENT")


def test_a_document_over_one_mebibyte_is_refused(ada: Client) -> None:
    answer = ada.create("posts", "big", v={"stringValue": "x" * (1024 * 1024)})
    assert error_of(answer) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/homefire/databases/(default)",
        "/v1/projects/homefire/databases/(default)/indexes",
        "/v1/projects/homefire/nothing",
        "/nothing",
        "/v0/b",
    ],
)
def test_an_unknown_path_is_not_found(anonymous: Client, path: str) -> None:
    answer = anonymous.http.get(f"{anonymous.address}{path}")
    assert error_of(answer) == (404, "NOT_FOUND")


def test_a_wrong_method_is_told(anonymous: Client) -> None:
    answer = anonymous.http.put(f"{anonymous.address}/v1/accounts:signUp")
    assert answer.status_code == 405
    assert answer.json()["error"]["status"] == "UNIMPLEMENTED"


def forged(claims: dict[str, Any], key: str | None, kid: str | None = None) -> str:
    """A token of these claims: signed with a key of our own, or not at all."""
    if key is None:
        parts = [{"alg": "none", "typ": "JWT"}, claims]
        encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
        return b".".join([*encoded, b""]).decode()
    return str(jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid} if kid else None))


@pytest.fixture(scope="module")
def strange_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def claims_of(ada: Client, **changed: Any) -> dict[str, Any]:
    """The claims of Ada's own token, changed."""
    token = ada.http.headers["authorization"].removeprefix("Bearer ")
    return {**jwt.get_unverified_claims(token), **changed}


def test_an_unsigned_token_is_refused(ada: Client) -> None:
    with Client(ada.address, token=forged(claims_of(ada), None)) as attacker:
        assert error_of(attacker.get("posts/p")) == (401, "UNAUTHENTICATED")


def test_a_token_of_a_strange_key_is_refused(ada: Client, strange_key: str) -> None:
    token = ada.http.headers["authorization"].removeprefix("Bearer ")
    kid = jwt.get_unverified_header(token)["kid"]
    with Client(ada.address, token=forged(claims_of(ada), strange_key, kid)) as attacker:
        assert error_of(attacker.get("posts/p")) == (401, "UNAUTHENTICATED")


def test_an_expired_token_is_refused(ada: Client, strange_key: str) -> None:
    past = int(time.time()) - 86_400
    expired = forged(claims_of(ada, iat=past, exp=past + 60), strange_key)
    with Client(ada.address, token=expired) as attacker:
        assert error_of(attacker.get("posts/p")) == (401, "UNAUTHENTICATED")


def test_a_token_of_another_project_is_refused(ada: Client) -> None:
    token = ada.http.headers["authorization"].removeprefix("Bearer ")
    with Client(ada.address, project="other", token=token) as attacker:
        assert error_of(attacker.get("posts/p")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("token", ["x", "a.b.c", "owner", "..", "é.é.é"])
def test_a_token_that_is_none_is_refused(ada: Client, token: str) -> None:
    answer = ada.http.get(
        f"{ada.documents}/posts/p", headers={"authorization": f"Bearer {token}".encode()}
    )
    assert error_of(answer) == (401, "UNAUTHENTICATED")


def test_a_project_that_is_not_served_is_not_found(anonymous: Client) -> None:
    with Client(anonymous.address, project="somebody-elses") as client:
        assert error_of(client.get("posts/p")) == (404, "NOT_FOUND")


def test_a_missing_token_is_a_signed_out_caller(anonymous: Client) -> None:
    assert error_of(anonymous.create("posts", "p", **TITLE)) == (403, "PERMISSION_DENIED")


def test_a_path_that_climbs_is_only_an_objects_name(ada: Client) -> None:
    """No file is ever reached by a name: this one is judged by the rules and denied."""
    name = "..%2F..%2F..%2Fetc%2Fpasswd"
    answer = ada.http.get(f"{ada.address}/v0/b/homefire.appspot.com/o/{name}?alt=media")
    assert answer.status_code == 403


def test_the_emulators_calls_are_absent_in_production(anonymous: Client) -> None:
    answer = anonymous.http.delete(
        f"{anonymous.address}/emulator/v1/projects/homefire/databases/(default)/documents"
    )
    assert error_of(answer) == (404, "NOT_FOUND")
