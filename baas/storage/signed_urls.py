"""V4 signed URLs: an address that says who lets whoever has it do one thing with one object, until when.

The scheme is Cloud Storage's (algorithms ``GOOG4-RSA-SHA256`` and ``GOOG4-HMAC-SHA256``). Pure: keys are
handed in, and so is the time.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from baas.errors import InvalidArgument, PermissionDenied

RSA, HMAC = "GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256"
MAX_SECONDS = 7 * 24 * 3600

_SKEW = dt.timedelta(minutes=15)
_SCOPE = re.compile(r"(.+)/(\d{8})/([A-Za-z0-9-]+)/storage/goog4_request")

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What an access id's signatures are checked by: an RSA public key (PEM), or an HMAC secret."""

    project: str
    role: str = "viewer"
    """Of the service account: a viewer's URLs let nobody write."""
    public_key: bytes | None = None
    secret: bytes | None = None


class SigningKeys(Protocol):
    """Who may sign URLs."""

    async def find(self, access_id: str) -> Sequence[SigningKey]:
        """The keys of a service account's address, or the one of an HMAC key's id."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it was signed: ``path`` is percent-encoded, as it stands in the address."""

    method: str
    path: str
    query: Pairs
    headers: Mapping[str, str]


def is_signed(query: Mapping[str, str]) -> bool:
    """Whether an address claims to be signed."""
    return "X-Goog-Signature" in query and "X-Goog-Algorithm" in query


def access_id_of(query: Mapping[str, str]) -> str:
    """Who is said to have signed.

    Raises:
        InvalidArgument: the credential is malformed.
    """
    return _scope_of(query)[0]


def _scope_of(query: Mapping[str, str]) -> tuple[str, str, str]:
    match = _SCOPE.fullmatch(query.get("X-Goog-Credential", ""))
    if match is None:
        raise InvalidArgument("X-Goog-Credential is ACCESS_ID/DATE/REGION/storage/goog4_request.")
    access_id, date, region = match.groups()
    return access_id, date, region


def verify(request: SignedRequest, keys: Sequence[SigningKey], now: dt.datetime) -> SigningKey:
    """Check a signed URL; answers which of its signer's keys signed it.

    Raises:
        InvalidArgument: it is malformed.
        PermissionDenied: it is not valid yet, or any more, or no key of these made the signature.
    """
    query = dict(request.query)
    if len(query) != len(request.query):
        raise InvalidArgument("A signed URL has each parameter once.")
    _check_time(query, now)
    try:
        signature = bytes.fromhex(query["X-Goog-Signature"])
    except ValueError:
        raise InvalidArgument("X-Goog-Signature is hexadecimal.") from None
    for signed in _as_it_may_be_signed(request):
        text = _string_to_sign(signed, query)
        for key in keys:
            if _is_signed_with(key, query, signature, text):
                return key
    raise PermissionDenied("The URL's signature is not valid for this request.")


def _as_it_may_be_signed(request: SignedRequest) -> Iterator[SignedRequest]:
    """The request, and the same without the port in its host, which is how the Node client signs it."""
    yield request
    host, colon, port = request.headers.get("host", "").rpartition(":")
    if colon and port.isdigit():
        yield dataclasses.replace(request, headers={**request.headers, "host": host})


def _is_signed_with(
    key: SigningKey, query: Mapping[str, str], signature: bytes, text: bytes
) -> bool:
    algorithm = query["X-Goog-Algorithm"]
    if algorithm == RSA and key.public_key is not None:
        return _rsa_valid(key.public_key, signature, text)
    if algorithm == HMAC and key.secret is not None:
        _, date, region = _scope_of(query)
        made = _hmac_signature(key.secret, date, region, text)
        return hmac.compare_digest(made, signature)
    return False


def _check_time(query: Mapping[str, str], now: dt.datetime) -> None:
    try:
        signed = dt.datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        seconds = int(query["X-Goog-Expires"])
    except (KeyError, ValueError):
        raise InvalidArgument("A signed URL has X-Goog-Date and X-Goog-Expires.") from None
    if not 0 < seconds <= MAX_SECONDS:
        raise InvalidArgument(f"X-Goog-Expires is 1 to {MAX_SECONDS} seconds.")
    if _scope_of(query)[1] != f"{signed:%Y%m%d}":
        raise InvalidArgument("The dates of X-Goog-Credential and X-Goog-Date differ.")
    if now < signed - _SKEW:
        raise PermissionDenied("The signed URL is not valid yet.")
    if now >= signed + dt.timedelta(seconds=seconds):
        raise PermissionDenied("The signed URL has expired.")


def _string_to_sign(request: SignedRequest, query: Mapping[str, str]) -> bytes:
    signed_headers = query.get("X-Goog-SignedHeaders", "")
    names = signed_headers.split(";")
    if "host" not in names or names != sorted(set(names)):
        raise InvalidArgument("X-Goog-SignedHeaders is a sorted list that has 'host'.")
    lines = []
    for name in names:
        if name not in request.headers:
            raise PermissionDenied(f"The header {name} was signed and is missing.")
        lines.append(f"{name}:{' '.join(request.headers[name].split())}\n")
    canonical_query = "&".join(
        f"{_escape(key)}={_escape(value)}"
        for key, value in sorted(request.query, key=lambda pair: (_escape(pair[0]), pair[1]))
        if key != "X-Goog-Signature"
    )
    payload = request.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    canonical = "\n".join(
        (request.method, request.path, canonical_query, "".join(lines), signed_headers, payload)
    )
    scope = query["X-Goog-Credential"].split("/", query["X-Goog-Credential"].count("/") - 3)[-1]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join((query["X-Goog-Algorithm"], query["X-Goog-Date"], scope, digest)).encode()


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")


def _rsa_valid(public_key: bytes, signature: bytes, text: bytes) -> bool:
    key = serialization.load_pem_public_key(public_key)
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _hmac_signature(secret: bytes, date: str, region: str, text: bytes) -> bytes:
    key = b"GOOG4" + secret
    for part in (date, region, "storage", "goog4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text, "sha256")


def sign(
    method: str,
    host: str,
    bucket: str,
    name: str,
    *,
    access_id: str,
    secret: bytes,
    now: dt.datetime,
    seconds: int,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> str:
    """The path and query of a URL signed with an HMAC secret; put the scheme and ``host`` before it.

    ``headers`` are those that the client must send along.

    Raises:
        InvalidArgument: the time is not 1 second to 7 days.
    """
    date = f"{now:%Y%m%dT%H%M%SZ}"
    signed = {"host": host, **{key.lower(): value for key, value in (headers or {}).items()}}
    parameters = {
        **(query or {}),
        "X-Goog-Algorithm": HMAC,
        "X-Goog-Credential": f"{access_id}/{date[:8]}/auto/storage/goog4_request",
        "X-Goog-Date": date,
        "X-Goog-Expires": str(seconds),
        "X-Goog-SignedHeaders": ";".join(sorted(signed)),
    }
    path = f"/{quote(bucket, safe='')}/{quote(name, safe='/~')}"
    _check_time(parameters, now)
    text = _string_to_sign(
        SignedRequest(method, path, list(parameters.items()), signed), parameters
    )
    signature = _hmac_signature(secret, date[:8], "auto", text).hex()
    canonical = "&".join(f"{_escape(key)}={_escape(value)}" for key, value in parameters.items())
    return f"{path}?{canonical}&X-Goog-Signature={signature}"
