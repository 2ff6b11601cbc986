"""Reading what clients say of an object: JSON in, :class:`ObjectSettings` out, or the documented error."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
from collections.abc import Mapping
from typing import Any

from baas.errors import InvalidArgument
from baas.storage.model import SETTINGS, Hashes, ObjectSettings
from baas.storage.options import StorageOptions

_MAX_VALUE = 1024
_types = mimetypes.MimeTypes()  # the built-in table, alike on every machine
for _suffix, _type in {
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".md": "text/markdown",
}.items():
    _types.add_type(_type, _suffix)


def read_settings(
    resource: Mapping[str, Any],
    name: str,
    options: StorageOptions,
    fallback_type: str | None = None,
    *,
    guess: bool = True,
) -> ObjectSettings:
    """Settings of a new object; a content type that is not given is guessed from the name, if asked.

    Raises:
        InvalidArgument: a value is not a string, too long, or would break a header.
    """
    values = {
        key: header_value(key, resource[key]) for key in SETTINGS if resource.get(key) is not None
    }
    values = {key: value for key, value in values.items() if value}
    if "contentType" not in values and (fallback_type or guess):
        values["contentType"] = fallback_type or guess_type(name)
    custom = resource.get("metadata")
    return ObjectSettings(values, {} if custom is None else read_custom(custom, options))


def patch_settings(
    old: ObjectSettings, patch: Mapping[str, Any], options: StorageOptions
) -> ObjectSettings:
    """Settings after a PATCH: given keys are set, null removes, and so it is within the custom metadata.

    Raises:
        InvalidArgument: as in :func:`read_settings`.
    """
    values = dict(old.values)
    for key in SETTINGS:
        if key in patch:
            value = patch[key]
            if value is None or value == "":
                values.pop(key, None)
            else:
                values[key] = header_value(key, value)
    custom: Mapping[str, str] = old.custom
    if "metadata" in patch:
        change = patch["metadata"]
        if change is None:
            custom = {}
        elif not isinstance(change, dict):
            raise InvalidArgument("'metadata' is a map of strings to strings.")
        else:
            merged = {**old.custom, **change}
            kept = {key: value for key, value in merged.items() if value is not None}
            custom = read_custom(kept, options)
    return ObjectSettings(values, custom)


def header_value(key: str, value: Any) -> str:
    """A setting that will be sent as a header."""
    if not isinstance(value, str):
        raise InvalidArgument(f"'{key}' is a string.")
    if len(value) > _MAX_VALUE:
        raise InvalidArgument(f"'{key}' has at most {_MAX_VALUE} characters.")
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):
        raise InvalidArgument(f"'{key}' has no control characters.")
    _check_unicode(key, value)
    return value


def read_custom(custom: Any, options: StorageOptions) -> dict[str, str]:
    """Custom metadata: strings by strings, within the limit. Numbers and truth values are taken for their
    JSON, and null for the empty string, as Cloud Storage does."""
    if not isinstance(custom, dict):
        raise InvalidArgument("'metadata' is a map of strings to strings.")
    texts = {key: _text(key, value) for key, value in custom.items()}
    size = 0
    for key, value in texts.items():
        size += len(_check_unicode("metadata", key)) + len(_check_unicode("metadata", value))
    if size > options.max_custom_metadata_bytes:
        raise InvalidArgument(
            f"Custom metadata has at most {options.max_custom_metadata_bytes} bytes; here are {size}."
        )
    return texts


def _text(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise InvalidArgument(f"The custom metadata '{key}' is not a string.")


def read_hashes(resource: Mapping[str, Any]) -> Hashes:
    """Declared checksums, ``md5Hash`` and ``crc32c`` in base64.

    Raises:
        InvalidArgument: one is not such a checksum.
    """
    md5, crc = resource.get("md5Hash"), resource.get("crc32c")
    return Hashes(
        md5=None if md5 is None else read_digest("md5Hash", md5, 16),
        crc32c=None if crc is None else int.from_bytes(read_digest("crc32c", crc, 4), "big"),
    )


def read_digest(key: str, value: Any, length: int) -> bytes:
    """A checksum in base64, of so many bytes."""
    try:
        digest = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != length:
        raise InvalidArgument(f"'{key}' is a checksum of {length} bytes in base64.")
    return digest


def guess_type(name: str) -> str:
    """A content type by the name's ending."""
    guessed, encoding = _types.guess_type(name.rpartition("/")[2], strict=False)
    return guessed if guessed and encoding is None else "application/octet-stream"


def _check_unicode(key: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"'{key}' is not valid Unicode.") from None
