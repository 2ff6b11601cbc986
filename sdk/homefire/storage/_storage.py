"""The storage service of an app, and the places in its buckets."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from homefire._runtime import Background, sleep
from homefire._transport.messages import HttpRequest, HttpResponse, TransportError
from homefire._transport.net import normal_host
from homefire.app import FirebaseApp, FixedToken, TokenSource, get_app
from homefire.errors import StorageError
from homefire.storage._encoding import quoted
from homefire.storage._errors import error_of, network_error

ATTEMPTS = 4
BACKOFF = 0.1
"""Seconds before the second attempt at the most; doubles from one to the next."""

MAX_UPLOAD_RETRY_TIME = 600_000
"""Milliseconds, as in Firebase's SDKs."""

_DOWNLOAD_URL = re.compile(r"https?://[^/]+/v0/b/(?P<bucket>[^/]+)/o(?:/(?P<path>[^?#]*))?")


async def pause(attempt: int) -> None:
    """Wait after a failed attempt (the first is 1), longer from one to the next."""
    await sleep(random.uniform(0, BACKOFF * 2**attempt))


class Upload(Protocol):
    """An upload that goes on by itself."""

    def _shut(self) -> None:
        """End it at once."""


class FirebaseStorage:
    """The storage service of an app; had by :func:`get_storage`."""

    def __init__(self, app: FirebaseApp, bucket: str | None) -> None:
        self.app = app
        self._bucket = bucket
        self._host = app._options.host
        self._token_source: TokenSource | None = None
        self._background = Background()
        self._uploads: set[Upload] = set()
        self.max_upload_retry_time = MAX_UPLOAD_RETRY_TIME
        """Milliseconds for which ``upload_bytes_resumable`` tries again while nothing moves."""

    def __repr__(self) -> str:
        return f"FirebaseStorage(app={self.app.name!r}, bucket={self._bucket!r})"

    async def _call(
        self,
        method: str,
        url: str,
        what: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        attempts: int = ATTEMPTS,
    ) -> HttpResponse:
        """One request as the signed-in user, tried again where the server was out of reach.

        That does no harm to objects: each operation leaves the same behind when done twice. What the
        second time answers may differ from the first, so those who look at that ask for one attempt.
        """
        attempt = 1
        while True:
            try:
                response = await self._send(method, url, headers or {}, content)
                if response.ok:
                    return response
                error = error_of(response, what)
            except TransportError as failure:
                error = network_error(failure)
            if error.code != "storage/retry-limit-exceeded" or attempt >= attempts:
                raise error
            await pause(attempt)
            attempt += 1

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> HttpResponse:
        source = self._token_source or self.app._token_source
        token = None if source is None else await source.get_token()
        if token is not None:
            headers = {**headers, "Authorization": f"Firebase {token}"}
        return await self.app._transport.send(HttpRequest(method, url, headers, content))

    async def _close(self) -> None:
        for upload in list(self._uploads):
            upload._shut()
        await self._background.close()


class StorageReference:
    """A place in a bucket: an object, or a prefix of some, whether they exist or not."""

    def __init__(self, storage: FirebaseStorage, bucket: str, path: str) -> None:
        self.storage = storage
        self.bucket = bucket
        self.full_path = path

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, StorageReference)
            and self.storage is other.storage
            and (self.bucket, self.full_path) == (other.bucket, other.full_path)
        )

    def __hash__(self) -> int:
        return hash((self.bucket, self.full_path))

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.full_path}"

    def __repr__(self) -> str:
        return f"StorageReference({str(self)!r})"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.full_path.rsplit("/", 1)[-1]

    @property
    def root(self) -> StorageReference:
        """The bucket's root."""
        return StorageReference(self.storage, self.bucket, "")

    @property
    def parent(self) -> StorageReference | None:
        """One part of the path less; ``None`` at the root."""
        if not self.full_path:
            return None
        return StorageReference(self.storage, self.bucket, self.full_path.rpartition("/")[0])

    def _objects_url(self) -> str:
        return f"{self.storage._host}/v0/b/{quoted(self.bucket)}/o"

    def _object_url(self, operation: str) -> str:
        if not self.full_path:
            raise StorageError(
                "storage/invalid-root-operation",
                f"{operation}() cannot be done to a bucket's root: name an object with ref().",
            )
        return f"{self._objects_url()}/{quoted(self.full_path)}"


def get_storage(app: FirebaseApp | None = None, bucket_url: str | None = None) -> FirebaseStorage:
    """The storage of an app (the default one if none is given), and of a bucket (the configured one)."""
    app = app or get_app()
    bucket = app._options.storage_bucket if bucket_url is None else _bucket_of(bucket_url)
    return app._service("storage", bucket or "", lambda: FirebaseStorage(app, bucket))


def connect_storage_emulator(
    storage: FirebaseStorage, host: str, port: int, *, mock_user_token: str | None = None
) -> None:
    """Use another server for objects than the app's ``host``; call it before anything else."""
    try:
        storage._host = normal_host(f"{host}:{port}")
    except ValueError as error:
        raise StorageError("storage/invalid-argument", str(error)) from error
    if mock_user_token is not None:
        storage._token_source = FixedToken(mock_user_token)


def ref(
    storage_or_ref: FirebaseStorage | StorageReference, path_or_url: str | None = None
) -> StorageReference:
    """The place of a path, of a ``gs://`` URL or of a download URL; without one, the root."""
    if isinstance(storage_or_ref, StorageReference):
        return _child(storage_or_ref, path_or_url or "")
    if path_or_url and "://" in path_or_url:
        located = _from_url(storage_or_ref, path_or_url)
        if located is not None:
            return located
    if storage_or_ref._bucket is None:
        raise StorageError(
            "storage/no-default-bucket",
            "No bucket: put 'storage_bucket' into the app's configuration, or use a gs:// URL.",
        )
    return StorageReference(storage_or_ref, storage_or_ref._bucket, _normal(path_or_url or ""))


def _from_url(storage: FirebaseStorage, url: str) -> StorageReference | None:
    if url.startswith("gs://"):
        bucket, _, path = url.removeprefix("gs://").partition("/")
        if not bucket:
            raise StorageError("storage/invalid-url", f"{url!r} names no bucket.")
        return StorageReference(storage, bucket, _normal(path))
    if url.startswith(("http://", "https://")):
        match = _DOWNLOAD_URL.match(url)
        if match is None:
            raise StorageError("storage/invalid-url", f"{url!r} is no address of an object.")
        path = unquote(match["path"] or "")
        return StorageReference(storage, unquote(match["bucket"]), path)
    return None


def _child(parent: StorageReference, path: str) -> StorageReference:
    child = _normal(path)
    joined = "/".join(part for part in (parent.full_path, child) if part)
    return StorageReference(parent.storage, parent.bucket, joined)


def _normal(path: str) -> str:
    return "/".join(part for part in path.split("/") if part)


def _bucket_of(url: str) -> str:
    bucket, _, path = url.removeprefix("gs://").partition("/")
    if not bucket or path:
        raise StorageError("storage/invalid-url", f"A bucket is named gs://<bucket>, not {url!r}.")
    return bucket


def decode_resource(response: HttpResponse) -> dict[str, Any]:
    """The object resource in an answer."""
    try:
        resource = response.json()
    except TransportError as error:
        raise StorageError("storage/unknown", error.message) from error
    if not isinstance(resource, dict):
        raise StorageError("storage/unknown", "The server's answer is not a JSON object.")
    return resource
