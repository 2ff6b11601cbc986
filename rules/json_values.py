"""Values written as JSON, for test suites and `explain`.

Plain JSON means itself: an integer is an int, a number with a point a float. What JSON lacks is an object
with one key: `{"@timestamp": "2026-01-01T00:00:00Z"}`, `{"@duration": "1.5s"}`, `{"@bytes": "<base64>"}`,
`{"@path": "/databases/(default)/documents/a/b"}`, `{"@latlng": [lat, lng]}`, `{"@float": 1}` (also "NaN").
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from rules.types import Duration, LatLng, Path, Timestamp, Value


class SuiteError(ValueError):
    """A test suite or request that is not in the documented form; the message says where."""


def _duration(text: Any) -> Duration:
    if not isinstance(text, str) or not text.endswith("s"):
        raise SuiteError('"@duration" is seconds with an s, such as "1.5s".')
    return Duration(int(Decimal(text[:-1]).scaleb(9)))


def _latlng(pair: Any) -> LatLng:
    latitude, longitude = pair
    return LatLng(float(latitude), float(longitude))


_WRAPPERS: dict[str, Callable[[Any], Value]] = {
    "@timestamp": Timestamp.parse,
    "@duration": _duration,
    "@bytes": lambda text: base64.b64decode(text, validate=True),
    "@path": Path.parse,
    "@latlng": _latlng,
    "@float": float,
}


def value_from_json(node: Any) -> Value:
    """Raises SuiteError for a wrapper that does not hold what it says."""
    if isinstance(node, dict):
        if len(node) == 1:
            (key,) = node
            if key in _WRAPPERS:
                return _unwrap(key, node[key])
        return {key: value_from_json(item) for key, item in node.items()}
    if isinstance(node, list):
        return [value_from_json(item) for item in node]
    return node


def _unwrap(key: str, content: Any) -> Value:
    try:
        return _WRAPPERS[key](content)
    except (ValueError, TypeError, InvalidOperation, binascii.Error) as error:
        raise SuiteError(f"{key}: {error}") from error


def map_from_json(node: Any, where: str) -> dict[str, Value]:
    if not isinstance(node, dict):
        raise SuiteError(f"{where} must be an object.")
    return {str(key): value_from_json(item) for key, item in node.items()}
