"""PUT requests to a server that speaks S3, for bodies in several pieces.

The `minio` package hashes every body with SHA-256 to sign it, and wants it in one piece. Here the body stays
what it is, signed as unsigned payload, and a signed CRC-32C goes along, which the server checks against what
arrived: that protects the bytes at a twentieth of the price.
"""

from __future__ import annotations

import base64
import datetime as dt
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
        self, name: str, pieces: Sequence[bytes], query: Mapping[str, str] | None = None
    ) -> str:
        """Send the pieces as one body; answers the entity tag.

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
                "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
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
