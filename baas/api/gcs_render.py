"""Buckets and objects in the words of the Cloud Storage JSON API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from baas.api.storage_times import rfc3339
from baas.storage.buckets import Bucket
from baas.storage.model import StoredObject

TOKENS_KEY = "firebaseStorageDownloadTokens"
"""Where the Admin SDKs find and set an object's download tokens: a key of its custom metadata."""


def object_resource(stored: StoredObject, base: str) -> dict[str, Any]:
    """An object; ``base`` is the server's address, for links."""
    where = f"b/{quote(stored.bucket)}/o/{quote(stored.name, safe='')}"
    custom = dict(stored.settings.custom)
    if stored.tokens:
        custom[TOKENS_KEY] = ",".join(stored.tokens)
    answer: dict[str, Any] = {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{stored.generation}",
        "selfLink": f"{base}/storage/v1/{where}",
        "mediaLink": f"{base}/download/storage/v1/{where}?generation={stored.generation}&alt=media",
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "storageClass": "STANDARD",
        "size": str(stored.size),
        "md5Hash": stored.md5_hash,
        "crc32c": stored.crc32c_hash,
        "etag": stored.etag,
        "timeCreated": rfc3339(stored.time_created),
        "updated": rfc3339(stored.updated),
        "timeStorageClassUpdated": rfc3339(stored.time_created),
        "componentCount": stored.component_count,
        **stored.settings.values,
        "metadata": custom or None,
    }
    return {key: value for key, value in answer.items() if value is not None}


def bucket_resource(bucket: Bucket, base: str) -> dict[str, Any]:
    """A bucket."""
    return {
        "location": "US",
        "locationType": "multi-region",
        "storageClass": "STANDARD",
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
        **bucket.settings,
        "kind": "storage#bucket",
        "id": bucket.name,
        "selfLink": f"{base}/storage/v1/b/{quote(bucket.name)}",
        "projectNumber": "0",
        "name": bucket.name,
        "timeCreated": rfc3339(bucket.time_created),
        "updated": rfc3339(bucket.updated),
        "metageneration": str(bucket.metageneration),
        "etag": f"v{bucket.metageneration}",
    }
