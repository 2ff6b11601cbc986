"""The URL that names an S3 server."""

from __future__ import annotations

import pytest

from baas.storage.blobs.minio import MinioOptions


def test_a_url_says_everything() -> None:
    options = MinioOptions.from_url(
        "https://key:se%2Fcret@minio:9000/files?region=eu&public=files.example.com"
    )
    assert (options.endpoint, options.bucket, options.secure) == ("minio:9000", "files", True)
    assert (options.access_key, options.secret_key) == ("key", "se/cret")
    assert (options.region, options.public_endpoint) == ("eu", "files.example.com")


def test_credentials_may_come_from_elsewhere() -> None:
    options = MinioOptions.from_url("http://minio/files", access_key="a", secret_key="b")
    assert (options.access_key, options.secret_key, options.secure) == ("a", "b", False)


@pytest.mark.parametrize(
    "url", ["file:///x", "http:///b", "http://a:b@host", "http://a:b@host/x/y", "http://host/b"]
)
def test_what_is_missing_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="storage URL"):
        MinioOptions.from_url(url)


def test_the_secret_is_never_shown() -> None:
    assert "hush" not in repr(MinioOptions.from_url("http://key:hush@minio/files"))
