"""Blobs in MinIO, or any server that speaks S3's core calls.

The `minio` package is synchronous, so its calls run on a bounded pool of threads, each for one request or
one chunk: a slow client never holds a thread. A blob of unknown size is sent in parts; one that fits into
a part is sent whole. The multipart calls of the package are not part of its public face: the public
``put_object`` wants a blocking stream to pull from, and so a thread for as long as the client takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.datatypes import Part
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.response import BaseHTTPResponse

from baas.storage.blobs.base import (
    READ_SIZE,
    BlobInfo,
    BlobMissing,
    BlobsFull,
    BlobsUnavailable,
    direct_headers,
    is_name,
    new_name,
)
from baas.storage.blobs.s3_put import SignedPuts

T = TypeVar("T")

log = logging.getLogger(__name__)

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a part at least; S3 wants 5 MiB, and at most 10,000 parts."""

MAX_PUT = 5 * 1024**3
"""Bytes that S3 takes in one request."""
DEFAULT_REGION = "us-east-1"

_LIST_BATCH = 500
_MD5 = re.compile(r"[0-9a-f]{32}")
"""An entity tag that is the MD5 of what was sent in one request; others have a dash."""
_READ_ATTEMPTS = 5
_FULL_CODES = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded"}
_MISSING_CODES = {"NoSuchKey", "NoSuchObject"}
_CREDENTIAL_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


@dataclass(frozen=True, slots=True)
class MinioOptions:
    """Where the server is and how to talk to it."""

    endpoint: str
    """``host:port``."""
    bucket: str
    access_key: str
    secret_key: str
    secure: bool = True
    region: str | None = None
    public_endpoint: str | None = None
    """``host:port`` at which clients reach the server, for presigned addresses; ``None``: the same."""
    threads: int = 16
    timeout: float = 20.0

    @classmethod
    def from_url(
        cls, url: str, *, access_key: str | None = None, secret_key: str | None = None
    ) -> MinioOptions:
        """Read ``http(s)://[access:secret@]host[:port]/bucket[?region=…&public=host:port]``.

        Raises:
            ValueError: something is missing, and the message (which never shows the secret) says what.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an S3 storage URL looks like http://host:9000/bucket")
        bucket = parts.path.strip("/")
        if not bucket or "/" in bucket:
            raise ValueError("an S3 storage URL names one bucket: http://host:9000/bucket")
        access = unquote(parts.username) if parts.username else access_key
        secret = unquote(parts.password) if parts.password else secret_key
        if not access or not secret:
            raise ValueError("an S3 storage URL needs an access key and a secret key")
        query = parse_qs(parts.query)
        return cls(
            endpoint=parts.netloc.rpartition("@")[2],
            bucket=bucket,
            access_key=access,
            secret_key=secret,
            secure=parts.scheme == "https",
            region=query.get("region", [None])[0],
            public_endpoint=query.get("public", [None])[0],
        )

    def __repr__(self) -> str:
        return f"MinioOptions(endpoint={self.endpoint!r}, bucket={self.bucket!r})"


class MinioBlobs:
    """Blobs in one bucket; see :class:`baas.storage.blobs.base.BlobStore`."""

    def __init__(self, options: MinioOptions) -> None:
        self._options = options
        self._bucket = options.bucket
        self._pool = ThreadPoolExecutor(options.threads, thread_name_prefix="minio")
        self._http = urllib3.PoolManager(
            num_pools=4,
            maxsize=64,
            timeout=urllib3.Timeout(connect=5, read=options.timeout),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[502, 503, 504]),
        )
        self._client = self._make_client(options.endpoint)
        self._public = self._make_client(options.public_endpoint or options.endpoint)
        self._puts = self._make_puts(options.endpoint)
        self._public_puts = self._make_puts(options.public_endpoint or options.endpoint)
        self._keeps_what_is_there = False

    def _make_client(self, endpoint: str) -> Minio:
        return Minio(
            endpoint,
            access_key=self._options.access_key,
            secret_key=self._options.secret_key,
            secure=self._options.secure,
            region=self._options.region or DEFAULT_REGION,
            http_client=self._http,
        )

    def _make_puts(self, endpoint: str) -> SignedPuts:
        scheme = "https" if self._options.secure else "http"
        return SignedPuts(
            self._http,
            f"{scheme}://{endpoint}/{self._bucket}",
            self._options.region or DEFAULT_REGION,
            Credentials(self._options.access_key, self._options.secret_key),
        )

    async def start(self) -> None:
        """See :meth:`baas.storage.blobs.base.BlobStore.start`."""
        await self.run(self._prepare)

    def _prepare(self) -> None:
        if not self._client.bucket_exists(self._bucket):
            self._client.make_bucket(self._bucket, location=self._options.region)
            log.info("made the bucket %s at %s", self._bucket, self._options.endpoint)
        probe = f"probe-{new_name()}"
        self._puts.put(probe, [b"probe"])
        try:
            self._puts.put(probe, [b"other"], condition={"if-none-match": "*"})
        except S3Error as error:
            self._keeps_what_is_there = error.code == "PreconditionFailed"
        self._client.remove_object(self._bucket, probe)

    async def create(self) -> _MinioWriter:
        """See :meth:`baas.storage.blobs.base.BlobStore.create`."""
        return _MinioWriter(self, self._client, self._puts, self._bucket)

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See :meth:`baas.storage.blobs.base.BlobStore.read`. Goes on by itself where a connection broke."""
        if not is_name(name):
            raise BlobMissing(name)
        if end is not None and end <= start:
            return
        position, failures = start, 0
        while True:
            reader = _RangeReader(self._client, self._bucket, name, position, end)
            try:
                while chunk := await self.run(reader.next_chunk):
                    position += len(chunk)
                    failures = 0
                    yield chunk
                return
            except BlobsUnavailable as error:
                failures += 1
                if failures == _READ_ATTEMPTS:
                    raise
                log.warning("reading a blob broke at byte %d, going on: %s", position, error)
                await asyncio.sleep(0.2 * 2**failures)
            finally:
                reader.close()

    def held(self, name: str, start: int, end: int) -> bytes | None:
        """None: they are not here."""
        return None

    async def delete(self, name: str) -> None:
        """See :meth:`baas.storage.blobs.base.BlobStore.delete`."""
        with contextlib.suppress(BlobMissing):
            await self.run(lambda: self._client.remove_object(self._bucket, name))

    async def list(self) -> AsyncIterator[BlobInfo]:
        """See :meth:`baas.storage.blobs.base.BlobStore.list`."""
        infos = self._scan()
        while batch := await self.run(lambda: _take(infos)):
            for info in batch:
                yield info

    def _scan(self) -> Iterator[BlobInfo]:
        for item in self._client.list_objects(self._bucket, recursive=True):
            name = item.object_name or ""
            if is_name(name) and item.last_modified is not None:
                yield BlobInfo(name, item.size or 0, item.last_modified.timestamp())

    async def sweep_unfinished(self, older_than: float) -> int:
        """See :meth:`baas.storage.blobs.base.BlobStore.sweep_unfinished`.

        MinIO lists the unfinished uploads of one name only, and drops them all by itself after a day;
        other servers list all of them, and here they are dropped.
        """
        return await self.run(lambda: self._sweep(time.time() - older_than))

    def _sweep(self, before: float) -> int:
        count = 0
        listing = self._client._list_multipart_uploads(self._bucket)
        for upload in listing.uploads:
            started = upload.initiated_time
            if started is None or started.timestamp() >= before or not upload.object_name:
                continue
            self._client._abort_multipart_upload(
                self._bucket, upload.object_name, upload.upload_id or ""
            )
            count += 1
        return count

    async def presigned_url(
        self, name: str, lifetime: float, response_headers: dict[str, str]
    ) -> str | None:
        """See :meth:`baas.storage.blobs.base.BlobStore.presigned_url`. Made here, without a request."""
        overrides = {f"response-{key.lower()}": value for key, value in response_headers.items()}
        return self._public.presigned_get_object(
            self._bucket,
            name,
            expires=timedelta(seconds=lifetime),
            response_headers=dict(overrides),
        )

    async def presigned_put(self, name: str, size: int, crc32c: int, lifetime: float) -> str | None:
        """See :meth:`baas.storage.blobs.base.BlobStore.presigned_put`.

        Not where the server would let a blob be written over: its address could change it later.
        """
        if not self._keeps_what_is_there or not 0 < size <= MAX_PUT:
            return None
        headers = {"content-length": str(size), **direct_headers(crc32c)}
        return self._public_puts.presigned(name, headers, lifetime)

    async def stat(self, name: str) -> BlobInfo:
        """See :meth:`baas.storage.blobs.base.BlobStore.stat`."""
        found = await self.run(lambda: self._client.stat_object(self._bucket, name))
        etag = found.etag or ""
        md5 = bytes.fromhex(etag) if _MD5.fullmatch(etag) else None
        modified = found.last_modified.timestamp() if found.last_modified else 0.0
        return BlobInfo(name, found.size or 0, modified, md5)

    async def close(self) -> None:
        """See :meth:`baas.storage.blobs.base.BlobStore.close`."""
        await asyncio.to_thread(self._pool.shutdown)
        self._http.clear()

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function on the pool; errors of the package come in the interface's words."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, function)
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        code = error.code if isinstance(error, S3Error) else ""
        if code in _MISSING_CODES:
            return BlobMissing(str(error))
        where = f"The blob storage at {self._options.endpoint}"
        if code in _FULL_CODES:
            return BlobsFull(f"{where} is full; nothing was stored.")
        if code in _CREDENTIAL_CODES:
            return BlobsUnavailable(f"{where} refuses its credentials ({code}).")
        log.error("blob storage failed: %s: %s", type(error).__name__, error)
        if isinstance(error, S3Error | ServerError | InvalidResponseError):
            return BlobsUnavailable(f"{where} failed ({code or type(error).__name__}); try again.")
        return BlobsUnavailable(f"{where} does not answer; try again.")


class _RangeReader:
    """One GET of a range, read in chunks on whatever thread."""

    def __init__(self, client: Minio, bucket: str, name: str, start: int, end: int | None) -> None:
        self._open = functools.partial(
            client.get_object, bucket, name, offset=start, length=0 if end is None else end - start
        )
        self._left = None if end is None else end - start
        self._response: BaseHTTPResponse | None = None
        self._closed = False

    def next_chunk(self) -> bytes:
        """The next bytes; none at the end. Raises urllib3's errors, also for an end that came too soon."""
        if self._left == 0:
            return b""
        if self._response is None:
            try:
                self._response = self._open()
            except S3Error as error:
                if error.code == "InvalidRange":  # from the end of the blob on, there is nothing
                    return b""
                raise
            if self._closed:  # the reader was given up while this was opening
                self._response.close()
                return b""
        # urllib3 checks the length of the whole answer, so an early end raises
        chunk = self._response.read(READ_SIZE if self._left is None else min(READ_SIZE, self._left))
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Give the connection back, or close it where bytes are left on it."""
        self._closed = True
        if self._response is None:
            return
        if self._left == 0:
            self._response.drain_conn()
            self._response.release_conn()
        else:
            self._response.close()


class _MinioWriter:
    """A blob in the making: nothing is sent before a part is full; one part is on its way at a time."""

    def __init__(self, blobs: MinioBlobs, client: Minio, puts: SignedPuts, bucket: str) -> None:
        self.name = new_name()
        self._blobs = blobs
        self._client = client
        self._puts = puts
        self._bucket = bucket
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._upload_id: str | None = None
        self._parts: list[Part] = []
        self._sending: asyncio.Task[None] | None = None

    async def write(self, block: bytes) -> None:
        self._pieces.append(block)
        self._gathered += len(block)
        if self._gathered >= PART_SIZE:
            await self._sent()
            self._sending = asyncio.create_task(self._send(self._take()))

    def _take(self) -> list[bytes]:
        """The pieces that have gathered."""
        pieces, self._pieces, self._gathered = self._pieces, [], 0
        return pieces

    async def finish(self, rest: bytes = b"") -> None:
        if rest:
            self._pieces.append(rest)
        await self._sent()
        pieces = self._take()
        if not self._parts:
            await self._blobs.run(lambda: self._puts.put(self.name, pieces))
            return
        if pieces:
            await self._send(pieces)
        upload_id = self._upload_id or ""
        await self._blobs.run(
            lambda: self._client._complete_multipart_upload(
                self._bucket, self.name, upload_id, self._parts
            )
        )
        self._upload_id = None

    async def abort(self) -> None:
        self._take()
        if self._sending is not None:
            # a part that arrives after the abort would stay in the bucket for good
            with contextlib.suppress(BlobsUnavailable):
                await self._sent()
        if self._upload_id is None:
            return
        upload_id, self._upload_id = self._upload_id, None
        try:
            await self._blobs.run(
                lambda: self._client._abort_multipart_upload(self._bucket, self.name, upload_id)
            )
        except (BlobMissing, BlobsUnavailable) as error:
            log.warning("an unfinished blob could not be dropped: %s", error)

    async def _sent(self) -> None:
        """Wait for the part that is on its way; a cancelled caller does not cancel the part."""
        sending = self._sending
        if sending is not None:
            await asyncio.shield(sending)
            self._sending = None

    async def _send(self, pieces: list[bytes]) -> None:
        if self._upload_id is None:
            self._upload_id = await self._blobs.run(
                lambda: self._client._create_multipart_upload(self._bucket, self.name, {})
            )
        number = len(self._parts) + 1
        query = {"partNumber": str(number), "uploadId": self._upload_id}
        etag = await self._blobs.run(lambda: self._puts.put(self.name, pieces, query))
        self._parts.append(Part(number, etag))


def _take(infos: Iterator[BlobInfo]) -> list[BlobInfo]:
    return [info for _, info in zip(range(_LIST_BATCH), infos, strict=False)]
