"""Objects, what is said of them, and conditions on them. Pure."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from baas.storage.errors import NotModified, PreconditionFailed

SETTINGS = (
    "contentType",
    "contentEncoding",
    "contentDisposition",
    "contentLanguage",
    "cacheControl",
)
"""What a client says of an object beside custom metadata, in the words of every API."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A blob, as a part of an object."""

    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """What a client may say of an object, when it uploads or later.

    ``values`` holds those of :data:`SETTINGS` that are set; ``custom`` the custom metadata.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The content type; ``application/octet-stream`` where nothing is known."""
        return self.values.get("contentType", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One generation of an object. Times are microseconds since the epoch; ``crc32c`` is a number."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    size: int
    md5: bytes | None
    crc32c: int
    settings: ObjectSettings
    tokens: tuple[str, ...]
    owner: str
    time_created: int
    updated: int
    component_count: int | None = None
    id: int = 0
    """The key of its row."""

    @property
    def md5_hash(self) -> str | None:
        """MD5 in base64, as the APIs show it."""
        return None if self.md5 is None else md5_text(self.md5)

    @property
    def crc32c_hash(self) -> str:
        """CRC-32C in base64 of its big-endian bytes, as the APIs show it."""
        return crc32c_text(self.crc32c)

    @property
    def etag(self) -> str:
        """Changes with the bytes and with the metadata."""
        raw = f"{self.generation}/{self.metageneration}".encode()
        return base64.b64encode(raw).decode()


def crc32c_text(value: int) -> str:
    """A CRC-32C as the APIs show it."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def md5_text(digest: bytes) -> str:
    """An MD5 as the APIs show it."""
    return base64.b64encode(digest).decode()


_NOT_HELD = "At least one of the pre-conditions you specified did not hold."


@dataclass(frozen=True, slots=True)
class Preconditions:
    """Conditions on the object as it is; 0 as a generation stands for *there is none*."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def check(self, existing: StoredObject | None, *, reading: bool = False) -> None:
        """Raises:
        PreconditionFailed: one does not hold. NotModified: a reader has this state already.
        """
        generation = existing.generation if existing else 0
        metageneration = existing.metageneration if existing else 0
        if not (
            _equals(self.generation_match, generation)
            and _equals(self.metageneration_match, metageneration)
        ):
            raise PreconditionFailed(_NOT_HELD)
        if not (
            _differs(self.generation_not_match, generation)
            and _differs(self.metageneration_not_match, metageneration)
        ):
            raise NotModified(_NOT_HELD) if reading else PreconditionFailed(_NOT_HELD)

    def as_json(self) -> dict[str, int]:
        """Those that are set."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}


def _equals(wanted: int | None, found: int) -> bool:
    return wanted is None or wanted == found


def _differs(unwanted: int | None, found: int) -> bool:
    return unwanted is None or unwanted != found


@dataclass(frozen=True, slots=True)
class Hashes:
    """Checksums that a client declared, to be held against the computed ones."""

    md5: bytes | None = None
    crc32c: int | None = None


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a client declares of an upload before its bytes come.

    ``size`` is exact where the client said it, and then enforced; ``size_estimates`` are what it may be
    where the wire form leaves a doubt. ``None`` as ``tokens``: make one.
    """

    bucket: str
    name: str
    settings: ObjectSettings
    size: int | None = None
    size_estimates: tuple[int, ...] = ()
    hashes: Hashes = Hashes()
    preconditions: Preconditions = Preconditions()
    tokens: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that are durable and not yet an object."""

    segments: tuple[Segment, ...]
    size: int
    md5: bytes | None
    crc32c: int
    component_count: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing, items and prefixes together in order of their UTF-8 bytes."""

    items: tuple[StoredObject, ...]
    prefixes: tuple[str, ...]
    next_page_token: str | None
