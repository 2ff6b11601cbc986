"""V4 signed URLs: those of the official client verify, and nothing else does."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as gcs
from google.oauth2 import service_account

from baas.errors import InvalidArgument, PermissionDenied
from baas.storage.signed_urls import SignedRequest, SigningKey, access_id_of, sign, verify

PRIVATE = rsa.generate_private_key(65537, 2048)
KEY = SigningKey(
    "p",
    public_key=PRIVATE.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ),
)
EMAIL = "tester@p.iam.gserviceaccount.com"


def signed_by_the_official_client(name: str, **kwargs: Any) -> str:
    pem = PRIVATE.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    info = {"client_email": EMAIL, "private_key": pem, "token_uri": "https://example.com/token"}
    signer = service_account.Credentials.from_service_account_info(info)  # type: ignore[no-untyped-call]
    client = gcs.Client(project="p", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    url: str = (
        client.bucket("bucket")
        .blob(name)
        .generate_signed_url(
            version="v4",
            expiration=dt.timedelta(minutes=5),
            credentials=signer,
            api_access_endpoint="http://localhost:8080",
            **kwargs,
        )
    )
    client.close()
    return url


def request(url: str, method: str = "GET", **headers: str) -> SignedRequest:
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    return SignedRequest(method, parts.path, query, {"host": "localhost:8080", **headers})


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("name", ["a", "folder/a b+c~d.txt", "ä/日本", "%2F?&="])
def test_the_official_clients_urls_verify(name: str) -> None:
    asked = request(signed_by_the_official_client(name))
    assert access_id_of(dict(asked.query)) == EMAIL
    verify(asked, [KEY], now())


def test_signed_headers_and_parameters_are_held_to() -> None:
    url = signed_by_the_official_client(
        "a",
        method="PUT",
        content_type="text/plain",
        headers={"x-goog-meta-by": "ada"},
        query_parameters={"userProject": "p"},
    )
    given = {"content-type": "text/plain", "x-goog-meta-by": "ada"}
    verify(request(url, "PUT", **given), [KEY], now())
    for refused in (
        request(url, "GET", **given),
        request(url, "PUT", **{**given, "x-goog-meta-by": "eve"}),
        request(url, "PUT", **{"content-type": "text/plain"}),
        request(url.replace("userProject=p", "userProject=q"), "PUT", **given),
        request(url + "&more=1", "PUT", **given),
    ):
        with pytest.raises(PermissionDenied):
            verify(refused, [KEY], now())


def test_a_host_may_be_signed_without_its_port() -> None:
    """So does the Node client, whatever the address."""
    path = sign("GET", "localhost", "b", "a", access_id="x", secret=b"one", now=now(), seconds=60)
    verify(request(f"http://localhost:8080{path}"), [SigningKey("p", secret=b"one")], now())


def test_a_url_ends_and_does_not_begin_before_its_time() -> None:
    asked = request(signed_by_the_official_client("a"))
    for when in (now() + dt.timedelta(minutes=6), now() - dt.timedelta(hours=1)):
        with pytest.raises(PermissionDenied):
            verify(asked, [KEY], when)


def test_another_key_does_not_do() -> None:
    url = "http://localhost:8080" + sign(
        "GET", "localhost:8080", "bucket", "a", access_id="x", secret=b"one", now=now(), seconds=60
    )
    verify(request(url), [SigningKey("p", secret=b"one")], now())
    for key in (SigningKey("p", secret=b"two"), KEY, SigningKey("p")):
        with pytest.raises(PermissionDenied):
            verify(request(url), [key], now())


def test_each_key_of_a_signer_signs() -> None:
    url = "http://localhost:8080" + sign(
        "GET", "localhost:8080", "bucket", "a", access_id="x", secret=b"old", now=now(), seconds=60
    )
    old, new = (SigningKey("p", secret=secret) for secret in (b"old", b"new"))
    assert verify(request(url), [old, new], now()) is old
    with pytest.raises(PermissionDenied):
        verify(request(url), [], now())


@pytest.mark.parametrize(
    "change",
    [
        ("X-Goog-Expires=300", "X-Goog-Expires=9999999"),
        ("X-Goog-Expires=300", "X-Goog-Expires=soon"),
        ("X-Goog-Date=", "X-Goog-Date=x"),
        ("X-Goog-Signature=", "X-Goog-Signature=zz"),
        ("X-Goog-SignedHeaders=host", "X-Goog-SignedHeaders=date"),
        ("goog4_request", "aws4_request"),
    ],
)
def test_malformed_urls_are_refused(change: tuple[str, str]) -> None:
    url = signed_by_the_official_client("a")
    assert change[0] in url
    with pytest.raises(InvalidArgument):
        verify(request(url.replace(*change)), [KEY], now())


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        verify(request(signed_by_the_official_client("a") + "&X-Goog-Expires=300"), [KEY], now())
