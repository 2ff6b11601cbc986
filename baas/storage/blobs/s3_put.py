"""PUT requests to a server that speaks S3: for bodies in several pieces, and for others to make.

The `minio` package hashes every body with SHA-256 to sign it, and wants it in one piece. Here the body stays
what it is, signed as unsigned payload, and a signed CRC-32C goes along, which the server checks against what
arrived: that protects the bytes at a twentieth of the price.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

import google_crc32c
import urllib3
from minio.credentials.credentials import Credentials
from minio.error import S3Error
from minio.signer import sign_v4_s3

from baas.storage.blobs.base import BlobsUnavailable

_UNSIGNED = "UNSIGNED-PAYLOAD"
_TIME = "%Y%m%dT%H%M%SZ"


class SignedPuts:
    """PUTs into one bucket. Calls block: they are for a pool's threads."""

    def __init__(
        self,
        http: urllib3.PoolManager,
        base: str,
        region: str,
        credentials: Credentials,
    ) -> None:
        self._http = http
        self._base = base
        self._region = region
        self._credentials = credentials

    def put(
        self,
        name: str,
        pieces: Sequence[bytes],
        query: Mapping[str, str] | None = None,
        condition: Mapping[str, str] | None = None,
    ) -> str:
        """Send the pieces as one body, with these headers as a condition; answers the entity tag.

        Raises:
            S3Error: the server refuses. BlobsUnavailable: the checksum that it answers is another.
            urllib3's errors.
        """
        path = f"{self._base}/{quote(name)}"
        url = f"{path}?{urlencode(query)}" if query else path
        checksum = _crc32c(pieces)
        now = dt.datetime.now(dt.UTC)
        signed = sign_v4_s3(
            method="PUT",
            url=urlsplit(url),
            region=self._region,
            headers={
                "Host": urlsplit(url).netloc,
                "Content-Type": "application/octet-stream",
                "x-amz-checksum-crc32c": checksum,
                "x-amz-content-sha256": _UNSIGNED,
                "x-amz-date": now.strftime(_TIME),
                **(condition or {}),
            },
            credentials=self._credentials,
            content_sha256=_UNSIGNED,
            date=now,
        )
        headers = {key: value for key, value in signed.items() if isinstance(value, str)}
        headers["Content-Length"] = str(sum(map(len, pieces)))
        response = self._http.request("PUT", url, body=list(pieces), headers=headers)
        if response.status != 200:
            raise _refusal(response)
        if response.headers.get("x-amz-checksum-crc32c", checksum) != checksum:
            raise BlobsUnavailable(
                "The blob storage received other bytes than were sent; try again."
            )
        return response.headers["etag"].strip('"')

    def presigned(self, name: str, headers: Mapping[str, str], lifetime: float) -> str:
        """An address at which anybody can PUT this, with exactly these headers (in lower case)."""
        url = urlsplit(f"{self._base}/{quote(name)}")
        signed = {**headers, "host": url.netloc}
        date = f"{dt.datetime.now(dt.UTC):{_TIME}}"
        scope = f"{date[:8]}/{self._region}/s3/aws4_request"
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self._credentials.access_key}/{scope}",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(int(lifetime)),
            "X-Amz-SignedHeaders": ";".join(sorted(signed)),
        }
        text = urlencode(query, quote_via=quote, safe="")
        lines = "".join(f"{key}:{signed[key]}\n" for key in sorted(signed))
        request = f"PUT\n{url.path}\n{text}\n{lines}\n{query['X-Amz-SignedHeaders']}\n{_UNSIGNED}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
        key = f"AWS4{self._credentials.secret_key}".encode()
        for part in (*scope.split("/"), to_sign):
            key = hmac.digest(key, part.encode(), "sha256")
        return f"{url.geturl()}?{text}&X-Amz-Signature={key.hex()}"


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    try:
        return S3Error.fromxml(response)
    except (ElementTree.ParseError, ValueError):  # something on the way answered, not the server
        return BlobsUnavailable(
            f"The blob storage answered with status {response.status}; try again."
        )


def _crc32c(pieces: Sequence[bytes]) -> str:
    value = 0
    for piece in pieces:
        value = google_crc32c.extend(value, piece)
    return base64.b64encode(value.to_bytes(4, "big")).decode()
