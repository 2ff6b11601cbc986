"""Objects as rules and events see them: flat metadata in the words of ``rules`` §3 "Storage"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from baas.access.context import lazy_map
from baas.model.values import Timestamp
from baas.storage.model import ObjectSettings, Received, StoredObject, crc32c_text, md5_text


def resource_of(stored: StoredObject) -> Mapping[str, Any]:
    """``resource``: the object that is stored."""
    return lazy_map(
        {
            "name": stored.name,
            "bucket": stored.bucket,
            "generation": stored.generation,
            "metageneration": stored.metageneration,
            "size": stored.size,
            "timeCreated": Timestamp(stored.time_created),
            "updated": Timestamp(stored.updated),
            "etag": stored.etag,
            "crc32c": stored.crc32c_hash,
            **({} if stored.md5_hash is None else {"md5Hash": stored.md5_hash}),
            **_settings(stored.settings),
        }
    )


def new_resource_of(
    bucket: str, name: str, settings: ObjectSettings, received: Received
) -> Mapping[str, Any]:
    """``request.resource`` of an upload whose bytes are all here."""
    resource = _declared(bucket, name, settings)
    resource["size"] = received.size
    resource["crc32c"] = crc32c_text(received.crc32c)
    if received.md5 is not None:
        resource["md5Hash"] = md5_text(received.md5)
    return resource


def patched_resource_of(stored: StoredObject, settings: ObjectSettings) -> Mapping[str, Any]:
    """``request.resource`` of a metadata update: the bytes and their checksums stay."""
    resource = _declared(stored.bucket, stored.name, settings)
    resource["size"] = stored.size
    resource["crc32c"] = stored.crc32c_hash
    if stored.md5_hash is not None:
        resource["md5Hash"] = stored.md5_hash
    return resource


class DeclaredResource(Mapping[str, Any]):
    """``request.resource`` of an upload whose bytes are still to come.

    A rule may ask for what nobody knows yet (a checksum; the size, where it was not declared). Then its
    denial says nothing, which is what ``asked_unknown`` tells: the decision waits for the bytes.
    """

    def __init__(self, bucket: str, name: str, settings: ObjectSettings, size: int | None) -> None:
        self._known = _declared(bucket, name, settings)
        self._unknown = {"md5Hash", "crc32c"}
        if size is None:
            self._unknown.add("size")
        else:
            self._known["size"] = size
        self.asked_unknown = False

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return self._known[key]

    def __contains__(self, key: object) -> bool:
        self._note(key)
        return key in self._known

    def __iter__(self) -> Iterator[str]:
        self.asked_unknown = True
        return iter(self._known)

    def __len__(self) -> int:
        self.asked_unknown = True
        return len(self._known)

    def _note(self, key: object) -> None:
        if key in self._unknown:
            self.asked_unknown = True


def _declared(bucket: str, name: str, settings: ObjectSettings) -> dict[str, Any]:
    return {"name": name, "bucket": bucket, **_settings(settings)}


def _settings(settings: ObjectSettings) -> dict[str, Any]:
    return {**settings.values, "metadata": dict(settings.custom)}
