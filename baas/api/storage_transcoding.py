"""Objects that are stored compressed, for clients that do not take them so: decompressed on the way, as Cloud
Storage does it."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, cast

from baas.errors import DataLoss
from baas.storage.model import StoredObject

_OUTPUT = 256 * 1024
"""Bytes that one step decompresses to at most: what is stored may grow a thousandfold."""
_GZIP = zlib.MAX_WBITS | 16


def must_decompress(stored: StoredObject, headers: Mapping[str, str]) -> bool:
    """Whether the object is stored in gzip, which this client does not accept.

    ``Cache-Control: no-transform`` on the object forbids it, as in Cloud Storage.
    """
    values = stored.settings.values
    if values.get("contentEncoding", "").strip().lower() != "gzip":
        return False
    if "no-transform" in values.get("cacheControl", "").lower():
        return False
    return not accepts_gzip(headers.get("accept-encoding", ""))


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an ``Accept-Encoding`` takes gzip (RFC 9110, section 12.5.3)."""
    found: dict[str, bool] = {}
    for item in accept_encoding.split(","):
        coding, _, parameters = item.partition(";")
        key, _, quality = parameters.partition("=")
        found[coding.strip().lower()] = not (key.strip().lower() == "q" and _is_zero(quality))
    return found.get("gzip", found.get("x-gzip", found.get("*", False)))


def _is_zero(quality: str) -> bool:
    try:
        return float(quality) == 0
    except ValueError:
        return False


async def decompressed(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The bytes that the chunks were compressed from.

    Raises:
        DataLoss: they are no gzip, or not all of it.
    """
    unzip = zlib.decompressobj(_GZIP)
    try:
        async for chunk in chunks:
            rest = chunk
            while rest:
                if unzip.eof:  # one gzip member after another is a valid file
                    unzip = zlib.decompressobj(_GZIP)
                try:
                    output = unzip.decompress(rest, _OUTPUT)
                except zlib.error as error:
                    raise DataLoss("The object says that it is in gzip, and is not.") from error
                if output:
                    yield output
                rest = unzip.unconsumed_tail or unzip.unused_data
        if not unzip.eof:
            raise DataLoss("The object says that it is in gzip, and ends too soon for that.")
    finally:
        await cast(Any, chunks).aclose()
