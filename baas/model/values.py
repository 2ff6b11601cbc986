"""The values that a document can hold.

Python's own types stand for Firestore's wherever one fits exactly; the rest are small frozen classes:

=============  =====================================================================
null           ``None``
boolean        ``bool``
integer        ``int`` (64 bits signed; the wire codecs refuse others)
double         ``float`` (NaN, infinities and -0.0 included), kept apart from ``int``
timestamp      :class:`Timestamp` (microseconds)
string         ``str`` (no lone surrogates)
bytes          ``bytes``
reference      :class:`Reference` (the full resource name of a document)
geopoint       :class:`GeoPoint`
array          ``list``
vector         :class:`Vector`
map            ``dict`` with ``str`` keys
=============  =====================================================================

Values are treated as immutable once built: whoever changes one makes a new one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time: microseconds since the Unix epoch, years 1 to 9999."""

    micros: int

    MIN_MICROS: ClassVar[int] = -62_135_596_800_000_000
    MAX_MICROS: ClassVar[int] = 253_402_300_799_999_999

    def to_datetime(self) -> dt.datetime:
        """The same instant as an aware UTC ``datetime``."""
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=self.micros)


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """Degrees: latitude in [-90, 90], longitude in [-180, 180]."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Reference:
    """A document's full resource name, ``projects/P/databases/D/documents/c/d``."""

    name: str


@dataclass(frozen=True, slots=True)
class Vector:
    """An embedding: a type of its own for order and equality (wire: a map with ``__type__``)."""

    components: tuple[float, ...]


Value: TypeAlias = (
    None
    | bool
    | int
    | float
    | str
    | bytes
    | Timestamp
    | GeoPoint
    | Reference
    | Vector
    | list[Any]
    | dict[str, Any]
)
Fields: TypeAlias = dict[str, Value]
