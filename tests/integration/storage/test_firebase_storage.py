"""Firebase Storage's REST API as the official clients call it, on each blob backend."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.integration.storage.conftest import Storage

BUCKET = "demo-project.appspot.com"
USER = {"Authorization": "Firebase user:ada"}
OWNER = {"Authorization": "Bearer owner"}


def object_url(name: str) -> str:
    return f"/v0/b/{BUCKET}/o/{quote(name, safe='')}"


async def put(
    storage: Storage, name: str, data: bytes, headers: dict[str, str] = USER, **metadata: Any
) -> Any:
    """Upload as the web SDK's ``uploadBytes`` does."""
    boundary = "00471108150815"
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"
        f"{json.dumps({'name': name, **metadata})}\r\n--{boundary}\r\n"
        f"Content-Type: {metadata.get('contentType', 'application/octet-stream')}\r\n\r\n"
    )
    return await storage.http.post(
        f"/v0/b/{BUCKET}/o",
        params={"name": name},
        headers={
            "X-Goog-Upload-Protocol": "multipart",
            "Content-Type": f"multipart/related; boundary={boundary}",
            **headers,
        },
        content=head.encode() + data + f"\r\n--{boundary}--".encode(),
    )


async def read(storage: Storage, name: str, **headers: str) -> Any:
    return await storage.http.get(
        object_url(name), params={"alt": "media"}, headers={**USER, **headers}
    )


def error_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["status"]


async def test_an_upload_answers_its_metadata(storage: Storage) -> None:
    response = await put(
        storage, "images/a.png", b"PNG", contentType="image/png", metadata={"by": "ada"}
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    token, generation = answer["downloadTokens"], answer["generation"]
    assert len(token) == 36
    assert int(generation) > 10**15
    assert {
        key: answer[key] for key in answer if key not in ("timeCreated", "updated", "etag")
    } == {
        "name": "images/a.png",
        "bucket": BUCKET,
        "generation": generation,
        "metageneration": "1",
        "contentType": "image/png",
        "storageClass": "STANDARD",
        "size": "3",
        "md5Hash": base64.b64encode(hashlib.md5(b"PNG").digest()).decode(),
        "crc32c": answer["crc32c"],
        "contentEncoding": "identity",
        "contentDisposition": "inline; filename*=utf-8''a.png",
        "downloadTokens": token,
        "metadata": {"by": "ada"},
    }


async def test_what_was_uploaded_comes_back(storage: Storage) -> None:
    data = bytes(range(256)) * 20_000
    await put(storage, "data.bin", data)
    assert (await read(storage, "data.bin")).content == data


async def test_bytes_that_look_like_the_delimiter_are_only_bytes(storage: Storage) -> None:
    data = b"\r\n--0047110815081\r\n--\r\n\r\n--00471108150816"[:-1]
    await put(storage, "tricky", data)
    assert (await read(storage, "tricky")).content == data


async def test_an_empty_object(storage: Storage) -> None:
    answer = (await put(storage, "empty", b"")).json()
    assert answer["size"] == "0"
    assert answer["md5Hash"] == base64.b64encode(hashlib.md5(b"").digest()).decode()
    assert (await read(storage, "empty")).content == b""


async def test_an_overwrite_replaces_the_object_and_drops_the_old_blob(storage: Storage) -> None:
    first = (await put(storage, "x", b"old")).json()
    second = (await put(storage, "x", b"new")).json()
    assert int(second["generation"]) > int(first["generation"])
    assert (await read(storage, "x")).content == b"new"
    assert len(await storage.blob_names()) == 1


async def test_a_download_token_stands_in_for_a_right(storage: Storage) -> None:
    token = (await put(storage, "x", b"data")).json()["downloadTokens"]
    storage.rules.allow = lambda **_: False
    by_token = await storage.http.get(object_url("x"), params={"alt": "media", "token": token})
    by_guess = await storage.http.get(object_url("x"), params={"alt": "media", "token": "guess"})
    assert by_token.content == b"data"
    assert error_of(by_guess) == (403, "PERMISSION_DENIED")


async def test_only_admins_make_and_revoke_tokens(storage: Storage) -> None:
    old = (await put(storage, "x", b"data")).json()["downloadTokens"]
    refused = await storage.http.post(
        object_url("x"), params={"create_token": "true"}, headers=USER
    )
    assert error_of(refused) == (403, "PERMISSION_DENIED")
    made = await storage.http.post(object_url("x"), params={"create_token": "true"}, headers=OWNER)
    assert made.json()["downloadTokens"].split(",")[0] == old
    await storage.http.post(object_url("x"), params={"delete_token": old}, headers=OWNER)
    storage.rules.allow = lambda **_: False
    revoked = await storage.http.get(object_url("x"), params={"alt": "media", "token": old})
    assert revoked.status_code == 403


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=2-99", b"23456789", "bytes 2-9/10"),
    ],
)
async def test_ranges(storage: Storage, header: str, expected: bytes, content_range: str) -> None:
    await put(storage, "x", b"0123456789")
    response = await read(storage, "x", Range=header)
    assert (response.status_code, response.content) == (206, expected)
    assert response.headers["content-range"] == content_range


async def test_a_range_after_the_end_cannot_be_satisfied(storage: Storage) -> None:
    await put(storage, "x", b"0123456789")
    response = await read(storage, "x", Range="bytes=10-")
    assert response.status_code == 416
    assert response.headers["content-range"] == "bytes */10"


async def test_conditional_requests(storage: Storage) -> None:
    await put(storage, "x", b"data")
    etag = (await read(storage, "x")).headers["etag"]
    assert (await read(storage, "x", **{"If-None-Match": etag})).status_code == 304
    assert (await read(storage, "x", **{"If-Match": '"other"'})).status_code == 412
    await put(storage, "x", b"data")
    assert (await read(storage, "x", **{"If-None-Match": etag})).status_code == 200


async def test_a_head_request_answers_the_headers_alone(storage: Storage) -> None:
    await put(storage, "x.txt", b"data", contentType="text/plain")
    response = await storage.http.head(object_url("x.txt"), params={"alt": "media"}, headers=USER)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "4"
    assert response.headers["content-type"] == "text/plain"


async def test_metadata_is_read_and_amended(storage: Storage) -> None:
    before = (await put(storage, "x", b"data", metadata={"a": "1", "b": "2"})).json()
    patched = await storage.http.patch(
        object_url("x"),
        headers=USER,
        json={"cacheControl": "public, max-age=60", "metadata": {"a": None, "c": "3"}},
    )
    after = (await storage.http.get(object_url("x"), headers=USER)).json()
    assert patched.json() == after
    assert after["metadata"] == {"b": "2", "c": "3"}
    assert after["cacheControl"] == "public, max-age=60"
    assert (after["generation"], after["metageneration"]) == (before["generation"], "2")
    assert (after["md5Hash"], after["size"]) == (before["md5Hash"], "4")


async def test_a_precondition_that_does_not_hold_changes_nothing(storage: Storage) -> None:
    await put(storage, "x", b"data")
    refused = await storage.http.patch(
        object_url("x"),
        params={"ifMetagenerationMatch": "7"},
        headers=USER,
        json={"cacheControl": "no-store"},
    )
    assert error_of(refused) == (412, "FAILED_PRECONDITION")
    assert "cacheControl" not in (await storage.http.get(object_url("x"), headers=USER)).json()


async def test_a_deleted_object_is_gone_with_its_blob(storage: Storage) -> None:
    await put(storage, "x", b"data")
    assert (await storage.http.delete(object_url("x"), headers=USER)).status_code == 204
    assert error_of(await storage.http.delete(object_url("x"), headers=USER)) == (404, "NOT_FOUND")
    assert error_of(await read(storage, "x")) == (404, "NOT_FOUND")
    assert await storage.blob_names() == set()


async def listing(storage: Storage, **params: str) -> Any:
    response = await storage.http.get(f"/v0/b/{BUCKET}/o", params=params, headers=USER)
    assert response.status_code == 200
    return response.json()


async def test_a_listing_rolls_folders_up(storage: Storage) -> None:
    for name in ("a.txt", "a/1", "a/2", "a/b/3", "z"):
        await put(storage, name, b"x")
    root = await listing(storage, prefix="", delimiter="/")
    assert root["prefixes"] == ["a/"]
    assert [item["name"] for item in root["items"]] == ["a.txt", "z"]
    folder = await listing(storage, prefix="a/", delimiter="/")
    assert folder["prefixes"] == ["a/b/"]
    assert [item["name"] for item in folder["items"]] == ["a/1", "a/2"]


async def test_a_listing_comes_in_pages(storage: Storage) -> None:
    for name in ("a/1", "b", "c/1", "c/2", "d"):
        await put(storage, name, b"x")
    seen: list[str] = []
    token = ""
    while True:
        page = await listing(storage, delimiter="/", maxResults="1", pageToken=token)
        seen += page["prefixes"] + [item["name"] for item in page["items"]]
        if "nextPageToken" not in page:
            break
        token = page["nextPageToken"]
    assert seen == ["a/", "b", "c/", "d"]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/passwd",
        "a//b",
        "ä/ö ü+&=?#%2F",
        "日本/🔥",
        "a\\b",
        "con",
        "trailing/",
        "x" * 1024,
        "%",
    ],
)
async def test_any_name_is_only_a_name(storage: Storage, name: str) -> None:
    assert (await put(storage, name, name.encode())).json()["name"] == name
    assert (await read(storage, name)).content == name.encode()


@pytest.mark.parametrize("name", [".", "..", "a\nb", "a\rb", "x" * 1025, "\0"])
async def test_names_that_are_none_are_refused(storage: Storage, name: str) -> None:
    assert error_of(await put(storage, name, b"x")) == (400, "INVALID_ARGUMENT")
    assert await storage.blob_names() == set()


async def test_a_denied_read_is_told_nothing_else(storage: Storage) -> None:
    await put(storage, "x", b"data")
    storage.rules.allow = lambda **_: False
    for name in ("x", "missing"):
        assert error_of(await read(storage, name)) == (403, "PERMISSION_DENIED")


async def test_every_door_asks_the_rules(storage: Storage) -> None:
    await put(storage, "x", b"data")
    storage.rules.allow = lambda **_: False
    answers = [
        await put(storage, "x", b"data"),
        await put(storage, "new", b"data"),
        await read(storage, "x"),
        await storage.http.get(object_url("x"), headers=USER),
        await storage.http.patch(object_url("x"), headers=USER, json={}),
        await storage.http.delete(object_url("x"), headers=USER),
        await storage.http.get(f"/v0/b/{BUCKET}/o", headers=USER),
    ]
    assert [error_of(answer) for answer in answers] == [(403, "PERMISSION_DENIED")] * len(answers)
    storage.rules.allow = lambda **_: True
    assert (await read(storage, "x")).content == b"data"


async def test_rules_see_size_and_type_and_a_refused_upload_leaves_nothing(
    storage: Storage,
) -> None:
    def allow(new: Any = None, **_: Any) -> bool:
        return new["size"] < 10 and new["contentType"].startswith("image/")

    storage.rules.allow = allow
    assert (await put(storage, "a", b"123456789", contentType="image/png")).status_code == 200
    assert (await put(storage, "b", b"1234567890", contentType="image/png")).status_code == 403
    assert (await put(storage, "c", b"1", contentType="text/plain")).status_code == 403
    assert len(await storage.blob_names()) == 1


async def test_rules_see_checksums_once_the_bytes_are_here(storage: Storage) -> None:
    wanted = base64.b64encode(hashlib.md5(b"good").digest()).decode()
    storage.rules.allow = lambda new=None, **_: new["md5Hash"] == wanted
    assert (await put(storage, "a", b"good")).status_code == 200
    assert (await put(storage, "b", b"evil")).status_code == 403
    assert len(await storage.blob_names()) == 1


async def test_an_upload_over_an_object_is_an_update(storage: Storage) -> None:
    storage.rules.allow = lambda method, **_: method == "create"
    assert (await put(storage, "x", b"1")).status_code == 200
    assert (await put(storage, "x", b"2")).status_code == 403


async def test_wrong_checksums_are_refused(storage: Storage) -> None:
    wrong = base64.b64encode(bytes(16)).decode()
    refused = await put(storage, "x", b"data", md5Hash=wrong)
    assert error_of(refused) == (400, "INVALID_ARGUMENT")
    assert error_of(await put(storage, "x", b"d", crc32c="AAAAAA==")) == (400, "INVALID_ARGUMENT")
    assert await storage.blob_names() == set()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"--00471108150815\r\n\r\n{}", b"--00471108150815--"]
)
async def test_a_broken_multipart_body_is_refused(storage: Storage, content: bytes) -> None:
    response = await storage.http.post(
        f"/v0/b/{BUCKET}/o?name=x",
        headers={
            "X-Goog-Upload-Protocol": "multipart",
            "Content-Type": "multipart/related; boundary=00471108150815",
        },
        content=content,
    )
    assert error_of(response) == (400, "INVALID_ARGUMENT")
    assert await storage.blob_names() == set()


@pytest.mark.parametrize(
    "metadata",
    [
        {"contentType": 7},
        {"cacheControl": "a\r\nX-Evil: 1"},
        {"metadata": {"a": ["nested"]}},
        {"metadata": []},
        {"metadata": {"a": "x" * 9000}},
    ],
)
async def test_metadata_of_wrong_shape_is_refused(
    storage: Storage, metadata: dict[str, Any]
) -> None:
    assert error_of(await put(storage, "x", b"data", **metadata)) == (400, "INVALID_ARGUMENT")


async def test_a_type_is_guessed_from_the_name_and_unknown_ones_are_only_bytes(
    storage: Storage,
) -> None:
    for name, expected in (("a.jpg", "image/jpeg"), ("b", "application/octet-stream")):
        response = await storage.http.post(
            f"/v0/b/{BUCKET}/o", params={"name": name}, content=b"x", headers=USER
        )
        assert response.json()["contentType"] == expected


@pytest.mark.parametrize("active", ["text/html", "image/svg+xml", "application/xhtml+xml"])
async def test_active_content_never_runs_as_a_page_of_ours(storage: Storage, active: str) -> None:
    await put(storage, "page", b"<script>", contentType=active)
    headers = (await read(storage, "page")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox;")
    assert headers["content-disposition"].startswith("attachment")


async def test_an_unknown_bucket_name_is_refused(storage: Storage) -> None:
    response = await storage.http.get("/v0/b/NO..BUCKET/o", headers=USER)
    assert error_of(response) == (400, "INVALID_ARGUMENT")


async def test_bad_credentials_are_refused(storage: Storage) -> None:
    refused = await put(storage, "x", b"data", headers={"Authorization": "Firebase forged"})
    assert error_of(refused) == (401, "UNAUTHENTICATED")


async def test_numbers_and_truth_values_are_kept_as_their_json(storage: Storage) -> None:
    answer = await put(storage, "x", b"", metadata={"a": 1, "b": True, "c": None, "d": "text"})
    assert answer.json()["metadata"] == {"a": "1", "b": "true", "c": "", "d": "text"}


async def test_an_object_is_shown_under_its_own_name_unless_said_otherwise(
    storage: Storage,
) -> None:
    first = await put(storage, "dir/ä.png", b"data")
    assert first.json()["contentDisposition"] == "inline; filename*=utf-8''%C3%A4.png"
    second = await put(storage, "dir/ä.png", b"data", contentDisposition="attachment")
    assert second.json()["contentDisposition"] == "attachment"
    headers = (await read(storage, "dir/ä.png")).headers
    assert headers["content-disposition"] == "attachment"


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
async def test_what_is_stored_in_gzip_is_decompressed_for_who_does_not_accept_it(
    storage: Storage, accepted: str
) -> None:
    text = b"many words, " * 100_000
    await put(storage, "x", gzip.compress(text), contentEncoding="gzip", contentType="text/plain")
    got = await read(storage, "x", **{"Accept-Encoding": accepted, "Range": "bytes=0-3"})
    assert (got.status_code, got.content) == (200, text)
    assert "content-encoding" not in got.headers
    assert got.headers["x-goog-stored-content-encoding"] == "gzip"


async def test_who_accepts_gzip_gets_the_stored_bytes_and_ranges_of_them(storage: Storage) -> None:
    packed = gzip.compress(b"text" * 1000)
    await put(storage, "x", packed, contentEncoding="gzip")
    request = storage.http.build_request(
        "GET",
        object_url("x"),
        params={"alt": "media"},
        headers={**USER, "Accept-Encoding": "gzip", "Range": "bytes=0-9"},
    )
    got = await storage.http.send(request, stream=True)
    raw = b"".join([piece async for piece in got.aiter_raw()])
    assert (got.status_code, raw) == (206, packed[:10])
    assert got.headers["content-encoding"] == "gzip"


async def test_no_transform_keeps_an_object_as_it_is_stored(storage: Storage) -> None:
    await put(
        storage, "x", gzip.compress(b"text"), contentEncoding="gzip", cacheControl="no-transform"
    )
    got = await read(storage, "x", **{"Accept-Encoding": "identity"})
    assert got.headers["content-encoding"] == "gzip"


async def test_an_object_that_only_says_that_it_is_in_gzip_is_no_short_answer(
    storage: Storage,
) -> None:
    """An answer that has begun can only break off: the client sees that, and no end."""
    await put(storage, "x", gzip.compress(b"text" * 100)[:-9], contentEncoding="gzip")
    with pytest.raises(httpx2.RemoteProtocolError):
        await read(storage, "x", **{"Accept-Encoding": "identity"})


async def test_readers_that_have_this_generation_are_told_so(storage: Storage) -> None:
    generation = (await put(storage, "x", b"data")).json()["generation"]
    for parameters in ({}, {"alt": "media"}):
        got = await storage.http.get(
            object_url("x"),
            params={**parameters, "ifGenerationNotMatch": generation},
            headers=USER,
        )
        assert (got.status_code, got.content) == (304, b"")


async def test_behind_a_proxy_an_upload_goes_on_at_the_public_address(storage: Storage) -> None:
    object.__setattr__(storage.service.options, "public_url", "https://files.example.com/")
    begun = await storage.http.post(
        f"/v0/b/{BUCKET}/o",
        params={"name": "x"},
        headers={"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start", **USER},
    )
    assert begun.headers["x-goog-upload-url"].startswith("https://files.example.com/v0/b/")
