"""Byte ranges and conditional requests (RFC 9110, sections 13 and 14). Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from baas.storage.errors import PreconditionFailed, RangeNotSatisfiable

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII)
_MAX_DIGITS = 19


@dataclass(frozen=True, slots=True)
class ByteRange:
    """From ``start`` up to, not including, ``end``."""

    start: int
    end: int


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The range that is asked for; ``None``: everything. Several ranges, or nonsense, ask for everything.

    Raises:
        RangeNotSatisfiable: it begins after the end.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    first, last = match.groups()
    if len(first) > _MAX_DIGITS or len(last) > _MAX_DIGITS or not (first or last):
        return None
    if first:
        start, end = int(first), size if not last else min(int(last) + 1, size)
        if last and int(last) < int(first):
            return None
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise RangeNotSatisfiable("The range begins after the end of the object.", size)
    return ByteRange(start, end)


def not_modified(headers: Mapping[str, str], etag: str, updated_micros: int) -> bool:
    """Whether the client has this very state already (304).

    Raises:
        PreconditionFailed: ``If-Match`` or ``If-Unmodified-Since`` does not hold (412).
    """
    seconds = updated_micros // 1_000_000
    if "if-match" in headers:
        if not _names(headers["if-match"], etag):
            raise PreconditionFailed("The object's entity tag is another (If-Match).")
    elif (since := _date(headers.get("if-unmodified-since"))) is not None and seconds > since:
        raise PreconditionFailed("The object was changed since (If-Unmodified-Since).")
    if "if-none-match" in headers:
        return _names(headers["if-none-match"], etag)
    since = _date(headers.get("if-modified-since"))
    return since is not None and seconds <= since


def range_applies(if_range: str | None, etag: str, updated_micros: int) -> bool:
    """Whether ``If-Range`` lets a range be answered."""
    if if_range is None:
        return True
    if if_range.startswith('"'):
        return if_range == f'"{etag}"'
    return _date(if_range) == updated_micros // 1_000_000


def http_date(micros: int) -> str:
    """A time as HTTP writes it."""
    return _http_date(micros // 1_000_000)


@functools.lru_cache(maxsize=1024)  # what is read was often read before
def _http_date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def _names(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or f'"{etag}"' in tags


def _date(header: str | None) -> int | None:
    if header is None:
        return None
    try:
        parsed = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return int(parsed.timestamp())
