"""An object's metadata: what may be set, and what the server tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

from homefire.errors import StorageError
from homefire.storage._encoding import content_type_of


class SettableMetadata(TypedDict, total=False):
    """What may be set with an upload or ``update_metadata``. ``None`` removes a value."""

    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    content_type: str | None
    custom_metadata: Mapping[str, str | None] | None


_WIRE = {
    "cache_control": "cacheControl",
    "content_disposition": "contentDisposition",
    "content_encoding": "contentEncoding",
    "content_language": "contentLanguage",
    "content_type": "contentType",
    "custom_metadata": "metadata",
}


@dataclass(frozen=True, slots=True)
class FullMetadata:
    """All that is known of an object. ``size`` is in bytes; times are aware, in UTC."""

    bucket: str
    full_path: str
    generation: str
    metageneration: str
    size: int
    time_created: datetime | None
    updated: datetime | None
    md5_hash: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    content_type: str | None = None
    custom_metadata: Mapping[str, str] = field(default_factory=dict)
    download_tokens: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.full_path.rsplit("/", 1)[-1]


def to_wire(metadata: SettableMetadata | None) -> dict[str, Any]:
    """Settable metadata as an object resource; raises ``storage/invalid-argument``."""
    wire: dict[str, Any] = {}
    for key, value in (metadata or {}).items():
        if key not in _WIRE:
            raise StorageError("storage/invalid-argument", f"{key!r} cannot be set as metadata.")
        wire[_WIRE[key]] = dict(value) if isinstance(value, Mapping) else value
    return wire


def upload_resource(path: str, metadata: SettableMetadata | None) -> dict[str, Any]:
    """The object resource of an upload; without a content type the name's extension decides."""
    resource = {"name": path, **to_wire(metadata)}
    if not resource.get("contentType"):
        resource["contentType"] = content_type_of(path)
    return resource


def from_wire(resource: Mapping[str, Any]) -> FullMetadata:
    """An object resource as metadata."""
    tokens = str(resource.get("downloadTokens") or "")
    return FullMetadata(
        bucket=str(resource.get("bucket", "")),
        full_path=str(resource.get("name", "")),
        generation=str(resource.get("generation", "")),
        metageneration=str(resource.get("metageneration", "")),
        size=int(resource.get("size") or 0),
        time_created=_time(resource.get("timeCreated")),
        updated=_time(resource.get("updated")),
        md5_hash=resource.get("md5Hash"),
        cache_control=resource.get("cacheControl"),
        content_disposition=resource.get("contentDisposition"),
        content_encoding=resource.get("contentEncoding"),
        content_language=resource.get("contentLanguage"),
        content_type=resource.get("contentType"),
        custom_metadata=dict(resource.get("metadata") or {}),
        download_tokens=tuple(token for token in tokens.split(",") if token),
    )


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
