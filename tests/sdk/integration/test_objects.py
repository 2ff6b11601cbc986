"""Uploads and downloads against a real server."""

from __future__ import annotations

import asyncio
import io
import urllib.request

import pytest
from homefire.app import FirebaseApp
from homefire.errors import StorageError
from homefire.storage import (
    ListOptions,
    StorageReference,
    delete_object,
    get_bytes,
    get_download_url,
    get_metadata,
    get_storage,
    list,
    list_all,
    ref,
    update_metadata,
    upload_bytes,
    upload_string,
)


@pytest.fixture
def folder(app: FirebaseApp, unique: str) -> StorageReference:
    return ref(get_storage(app), unique)


async def test_what_is_uploaded_can_be_downloaded(folder: StorageReference) -> None:
    content = bytes(range(256)) * 100
    result = await upload_bytes(ref(folder, "a/b.bin"), content)
    assert (result.total_bytes, result.metadata.content_type) == (
        len(content),
        "application/octet-stream",
    )
    assert await get_bytes(result.ref) == content
    assert await get_bytes(result.ref, 10) == content[:10]


async def test_a_download_url_needs_no_sign_in(folder: StorageReference) -> None:
    image = ref(folder, "ünï cödé?.png")
    await upload_bytes(image, b"\x89PNG")

    def download(url: str) -> tuple[bytes, str]:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.read(), response.headers["Content-Type"]

    url = await get_download_url(image)
    assert await asyncio.to_thread(download, url) == (b"\x89PNG", "image/png")
    assert ref(image.storage, url) == image


async def test_an_empty_object(folder: StorageReference) -> None:
    empty = ref(folder, "empty.txt")
    assert (await upload_bytes(empty, b"")).total_bytes == 0
    assert await get_bytes(empty) == b""


async def test_an_open_file_is_uploaded(folder: StorageReference) -> None:
    result = await upload_bytes(ref(folder, "f.txt"), io.BytesIO(b"from a file"))
    assert await get_bytes(result.ref) == b"from a file"
    assert result.metadata.content_type == "text/plain"


@pytest.mark.parametrize(
    ("text", "string_format", "content"),
    [
        ("ü", "raw", "ü".encode()),
        ("+/8=", "base64", b"\xfb\xff"),
        ("-_8", "base64url", b"\xfb\xff"),
        ("data:text/html;base64,PGI-".replace("-", "+"), "data_url", b"<b>"),
        ("data:text/html,%3Cb%3E", "data_url", b"<b>"),
    ],
)
async def test_text_is_uploaded_in_all_its_forms(
    folder: StorageReference, text: str, string_format: str, content: bytes
) -> None:
    result = await upload_string(ref(folder, "s"), text, string_format)  # type: ignore[arg-type]
    assert await get_bytes(result.ref) == content
    if string_format == "data_url":
        assert result.metadata.content_type == "text/html"


async def test_metadata_is_kept_and_changed(folder: StorageReference) -> None:
    a = ref(folder, "a")
    await upload_bytes(
        a,
        b"x",
        {
            "content_type": "text/x-a",
            "cache_control": "max-age=60",
            "custom_metadata": {"k": "v", "gone": "soon"},
        },
    )
    before = await get_metadata(a)
    assert (before.content_type, before.cache_control) == ("text/x-a", "max-age=60")
    assert before.custom_metadata == {"k": "v", "gone": "soon"}
    assert (before.name, before.size, before.bucket) == ("a", 1, a.bucket)
    assert before.time_created is not None
    after = await update_metadata(
        a, {"content_language": "de", "cache_control": None, "custom_metadata": {"gone": None}}
    )
    assert (after.content_language, after.content_type) == ("de", "text/x-a")
    assert after.custom_metadata == {"k": "v"}
    assert int(after.metageneration) == int(before.metageneration) + 1
    assert after.generation == before.generation


async def test_delete(folder: StorageReference) -> None:
    a = ref(folder, "a")
    await upload_bytes(a, b"x")
    await delete_object(a)
    for gone in (delete_object(a), get_bytes(a), get_metadata(a), get_download_url(a)):
        with pytest.raises(StorageError) as caught:
            await gone
        assert caught.value.code == "storage/object-not-found"


async def test_listing(folder: StorageReference) -> None:
    for path in ("a", "b", "c", "sub/d", "sub/sub/e", "tub/f"):
        await upload_bytes(ref(folder, path), b"x")
    found = await list_all(folder)
    assert [item.name for item in found.items] == ["a", "b", "c"]
    assert [prefix.name for prefix in found.prefixes] == ["sub", "tub"]
    page = await list(folder, {"max_results": 2})
    assert page.next_page_token is not None
    seen = len(page.items) + len(page.prefixes)
    while page.next_page_token:
        page = await list(folder, ListOptions(max_results=2, page_token=page.next_page_token))
        seen += len(page.items) + len(page.prefixes)
    assert seen == 5
    assert await list_all(ref(folder, "none")) == await list_all(ref(folder, "none"))


async def test_a_root_is_no_object(app: FirebaseApp) -> None:
    with pytest.raises(StorageError) as caught:
        await upload_bytes(ref(get_storage(app)), b"x")
    assert caught.value.code == "storage/invalid-root-operation"


async def test_a_bucket_by_its_url(app: FirebaseApp, unique: str) -> None:
    storage = get_storage(app, "gs://other-bucket")
    result = await upload_bytes(ref(storage, unique), b"x")
    assert result.metadata.bucket == "other-bucket"
    assert await get_bytes(ref(get_storage(app), f"gs://other-bucket/{unique}")) == b"x"
