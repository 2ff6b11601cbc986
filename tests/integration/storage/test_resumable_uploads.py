"""Resumable uploads as the official clients make them, and what they survive."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from baas.api import storage_rest
from baas.storage.errors import ClientGone
from baas.storage.resumable import ResumableUploads
from baas.storage.service import StorageService
from tests.integration.storage.conftest import Storage
from tests.integration.storage.raw_http import RawRequest
from tests.integration.storage.support import authenticate, served
from tests.integration.storage.test_firebase_storage import BUCKET, USER, error_of, read

KIB = 1024


async def start(
    storage: Storage, name: str, size: int | None, metadata: dict[str, Any] | None = None
) -> Any:
    declared = {} if size is None else {"X-Goog-Upload-Header-Content-Length": str(size)}
    return await storage.http.post(
        f"/v0/b/{BUCKET}/o",
        params={"name": name},
        headers={
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Type": "image/png",
            **declared,
            **USER,
        },
        json={"name": name, **(metadata or {})},
    )


async def begun(storage: Storage, name: str, size: int | None, **metadata: Any) -> str:
    response = await start(storage, name, size, metadata)
    assert response.headers["x-goog-upload-status"] == "active"
    url: str = response.headers["x-goog-upload-url"]
    return url


async def send(storage: Storage, url: str, command: str, offset: int, data: bytes = b"") -> Any:
    headers = {"X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(offset)}
    return await storage.http.post(url, headers={**headers, **USER}, content=data)


async def query(storage: Storage, url: str) -> tuple[str, int]:
    response = await storage.http.post(url, headers={"X-Goog-Upload-Command": "query"})
    headers = response.headers
    return headers["x-goog-upload-status"], int(headers["x-goog-upload-size-received"])


async def received(storage: Storage, url: str) -> int:
    """What is here once the server has noticed that a connection broke."""
    async with asyncio.timeout(10):
        while storage.service.uploads_running:
            await asyncio.sleep(0.01)
    return (await query(storage, url))[1]


async def test_chunks_become_an_object(storage: Storage) -> None:
    data = os.urandom(1000 * KIB)
    url = await begun(storage, "x.png", len(data), metadata={"by": "ada"})
    first = await send(storage, url, "upload", 0, data[: 256 * KIB])
    assert first.headers["x-goog-upload-status"] == "active"
    assert await query(storage, url) == ("active", 256 * KIB)
    await send(storage, url, "upload", 256 * KIB, data[256 * KIB : 768 * KIB])
    last = await send(storage, url, "upload, finalize", 768 * KIB, data[768 * KIB :])
    assert last.headers["x-goog-upload-status"] == "final"
    assert last.json()["size"] == str(len(data))
    assert last.json()["contentType"] == "image/png"
    assert last.json()["metadata"] == {"by": "ada"}
    assert last.json()["md5Hash"] == base64.b64encode(hashlib.md5(data).digest()).decode()
    assert (await read(storage, "x.png")).content == data
    ranged = await read(storage, "x.png", Range=f"bytes={200 * KIB}-{800 * KIB}")
    assert ranged.content == data[200 * KIB : 800 * KIB + 1]


async def test_nothing_is_readable_before_the_end(storage: Storage) -> None:
    url = await begun(storage, "x", 10)
    await send(storage, url, "upload", 0, b"01234")
    assert (await read(storage, "x")).status_code == 404


async def test_finishing_twice_answers_the_same(storage: Storage) -> None:
    url = await begun(storage, "x", 4)
    first = await send(storage, url, "upload, finalize", 0, b"data")
    again = await send(storage, url, "upload, finalize", 0, b"data")
    assert again.headers["x-goog-upload-status"] == "final"
    assert again.json()["generation"] == first.json()["generation"]
    assert await query(storage, url) == ("final", 4)


async def test_an_empty_object_by_finalize_alone(storage: Storage) -> None:
    url = await begun(storage, "x", 0)
    assert (await send(storage, url, "finalize", 0)).json()["size"] == "0"
    assert (await read(storage, "x")).content == b""


async def test_a_chunk_at_the_wrong_place_is_refused_and_told_where_to_go_on(
    storage: Storage,
) -> None:
    url = await begun(storage, "x", 10)
    await send(storage, url, "upload", 0, b"0123")
    for offset in (0, 5):
        refused = await send(storage, url, "upload", offset, b"zz")
        assert error_of(refused) == (409, "FAILED_PRECONDITION")
        assert refused.headers["x-goog-upload-size-received"] == "4"
    await send(storage, url, "upload, finalize", 4, b"456789")
    assert (await read(storage, "x")).content == b"0123456789"


async def test_more_bytes_than_declared_are_refused(storage: Storage) -> None:
    url = await begun(storage, "x", 4)
    refused = await send(storage, url, "upload, finalize", 0, b"01234")
    assert error_of(refused) == (400, "INVALID_ARGUMENT")
    assert (await read(storage, "x")).status_code == 404
    await send(storage, url, "upload, finalize", 0, b"0123")
    assert (await read(storage, "x")).content == b"0123"


async def test_fewer_bytes_than_declared_do_not_finish(storage: Storage) -> None:
    url = await begun(storage, "x", 4)
    refused = await send(storage, url, "upload, finalize", 0, b"012")
    assert error_of(refused) == (400, "INVALID_ARGUMENT")
    assert await query(storage, url) == ("active", 3)


async def test_a_wrong_checksum_does_not_finish(storage: Storage) -> None:
    url = await begun(storage, "x", 4, md5Hash=base64.b64encode(bytes(16)).decode())
    refused = await send(storage, url, "upload, finalize", 0, b"data")
    assert error_of(refused) == (400, "INVALID_ARGUMENT")
    assert (await read(storage, "x")).status_code == 404


async def test_a_cancelled_upload_is_gone_with_its_bytes(storage: Storage) -> None:
    url = await begun(storage, "x", 10)
    await send(storage, url, "upload", 0, b"0123")
    cancelled = await send(storage, url, "cancel", 0)
    assert cancelled.status_code == 200
    refused = await send(storage, url, "upload, finalize", 4, b"456789")
    assert refused.status_code == 400
    asked = await storage.http.post(url, headers={"X-Goog-Upload-Command": "query"})
    assert (asked.status_code, asked.headers["x-goog-upload-status"]) == (200, "cancelled")
    assert (await send(storage, url, "cancel", 0)).status_code == 200
    assert await storage.blob_names() == set()


async def test_an_unknown_upload_is_not_found(storage: Storage) -> None:
    url = f"/v0/b/{BUCKET}/o?name=x&upload_id=guess"
    assert error_of(await send(storage, url, "upload", 0, b"x")) == (404, "NOT_FOUND")


async def test_rules_are_asked_at_the_start_and_at_the_end(storage: Storage) -> None:
    storage.rules.allow = lambda new=None, **_: new["size"] < 5
    assert (await start(storage, "x", 5)).status_code == 403
    url = await begun(storage, "x", 4)
    storage.rules.allow = lambda **_: False
    refused = await send(storage, url, "upload, finalize", 0, b"data")
    assert error_of(refused) == (403, "PERMISSION_DENIED")
    storage.rules.allow = lambda **_: True
    assert (await read(storage, "x")).status_code == 404


async def test_it_goes_on_in_the_name_of_who_began(storage: Storage) -> None:
    storage.rules.allow = lambda principal, **_: principal.uid == "ada"
    url = await begun(storage, "x", 4)
    headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    assert (await storage.http.post(url, headers=headers, content=b"data")).status_code == 200


async def test_of_two_clients_with_one_chunk_one_wins(storage: Storage) -> None:
    url = await begun(storage, "x", 8)
    answers = await asyncio.gather(*(send(storage, url, "upload", 0, b"0123") for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    await send(storage, url, "upload, finalize", 4, b"4567")
    assert (await read(storage, "x")).content == b"01234567"
    assert len(await storage.blob_names()) == 2


async def test_what_came_before_a_connection_broke_is_kept(storage: Storage) -> None:
    async def breaking(piece: bytes) -> AsyncIterator[bytes]:
        yield piece
        raise ClientGone

    data = os.urandom(300 * KIB)
    url = await begun(storage, "x", len(data))
    (upload_id,) = parse_qs(urlsplit(url).query)["upload_id"]
    uploads = ResumableUploads(storage.service)
    position = 0
    for size in (1, 70 * KIB, 130 * KIB):
        piece = data[position : position + size]
        with pytest.raises(ClientGone):
            await uploads.append(upload_id, position, breaking(piece), finalize=True)
        position += size
        assert await query(storage, url) == ("active", position)
    last = await send(storage, url, "upload, finalize", position, data[position:])
    assert last.json()["md5Hash"] == base64.b64encode(hashlib.md5(data).digest()).decode()
    assert (await read(storage, "x")).content == data


async def test_connections_that_break_anywhere_end_in_the_same_object(storage: Storage) -> None:
    data = os.urandom(300 * KIB)
    url = await begun(storage, "x", len(data))
    at = urlsplit(url)
    position = 0
    for size in (1, 70 * KIB, 130 * KIB):
        headers = {
            "X-Goog-Upload-Command": "upload, finalize",
            "X-Goog-Upload-Offset": str(position),
            "Content-Length": str(len(data) - position),
        }
        request = await RawRequest.begin(storage.url, "POST", f"{at.path}?{at.query}", headers)
        await request.send(data[position : position + size])
        await request.hang_up()
        before, position = position, await received(storage, url)
        assert before <= position < len(data)
        assert (await read(storage, "x")).status_code == 404
    while (
        last := await send(storage, url, "upload, finalize", position, data[position:])
    ).status_code == 409:  # a broken connection's bytes came in late
        position = int(last.headers["x-goog-upload-size-received"])
    assert last.json()["md5Hash"] == base64.b64encode(hashlib.md5(data).digest()).decode()
    assert (await read(storage, "x")).content == data


async def test_an_upload_goes_on_after_a_restart_of_the_server(storage: Storage) -> None:
    data = os.urandom(600 * KIB)
    url = await begun(storage, "x", len(data))
    await send(storage, url, "upload", 0, data[: 256 * KIB])
    restarted = StorageService(
        storage.service.database, storage.blobs, storage.rules, storage.service.options
    )
    async with served(storage_rest.routes(restarted, authenticate)) as base:
        at = urlsplit(url)
        there = f"{base}{at.path}?{at.query}"
        assert await query(storage, there) == ("active", 256 * KIB)
        last = await send(storage, there, "upload, finalize", 256 * KIB, data[256 * KIB :])
        assert last.json()["md5Hash"] == base64.b64encode(hashlib.md5(data).digest()).decode()
    await restarted.close()
    assert (await read(storage, "x")).content == data


async def test_a_great_many_chunks_are_made_one_blob(storage: Storage) -> None:
    url = await begun(storage, "x", None)
    for offset in range(70):
        await send(storage, url, "upload", offset, b"%d" % (offset % 10))
    assert (await send(storage, url, "finalize", 70)).json()["size"] == "70"
    assert (await read(storage, "x")).content == b"0123456789" * 7
    assert len(await storage.blob_names()) == 1


@pytest.mark.parametrize("command", ["", "dance", "start, upload"])
async def test_unknown_commands_are_refused(storage: Storage, command: str) -> None:
    url = await begun(storage, "x", 4)
    assert error_of(await send(storage, url, command, 0)) == (400, "INVALID_ARGUMENT")


async def test_a_finished_upload_cannot_be_cancelled(storage: Storage) -> None:
    url = await begun(storage, "x", 4)
    await send(storage, url, "upload, finalize", 0, b"data")
    assert (await send(storage, url, "cancel", 0)).status_code == 400
    assert (await read(storage, "x")).content == b"data"


async def test_a_put_goes_on_as_a_post_does(storage: Storage) -> None:
    url = await begun(storage, "x", 4)
    headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    assert (await storage.http.put(url, headers=headers, content=b"data")).status_code == 200


async def test_a_denied_upload_is_told_to_be_final(storage: Storage) -> None:
    storage.rules.allow = lambda **_: False
    denied = await start(storage, "x", 4)
    assert (denied.status_code, denied.headers["x-goog-upload-status"]) == (403, "final")


async def test_a_connection_that_breaks_at_any_byte_of_a_chunk_ends_in_the_same_object(
    storage: Storage,
) -> None:
    data = os.urandom(40)

    for cut in range(len(data)):
        url = await begun(storage, f"cut-{cut}", len(data))
        at = urlsplit(url)
        request = await RawRequest.begin(
            storage.url,
            "POST",
            f"{at.path}?{at.query}",
            {
                "X-Goog-Upload-Command": "upload, finalize",
                "X-Goog-Upload-Offset": "0",
                "Content-Length": str(len(data)),
            },
        )
        await request.send(data[:cut])
        await request.hang_up()
        assert (await read(storage, f"cut-{cut}")).status_code == 404
        size = await received(storage, url)
        while (
            answer := await send(storage, url, "upload, finalize", size, data[size:])
        ).status_code == 409:  # what came before the end of the connection, came in late
            size = int(answer.headers["x-goog-upload-size-received"])
        assert answer.status_code == 200
        assert (await read(storage, f"cut-{cut}")).content == data
