"""The values of Firestore that Python has no type of its own for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from homefire.errors import FirestoreError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class GeoPoint:
    """A place in degrees: latitude in [-90, 90], longitude in [-180, 180]."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        for name, value, bound in (
            ("latitude", self.latitude, 90),
            ("longitude", self.longitude, 180),
        ):
            if not (math.isfinite(value) and -bound <= value <= bound):
                raise FirestoreError(
                    "invalid-argument",
                    f"A {name} is a number from -{bound} to {bound}, not {value}.",
                )


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time as Firebase's SDKs write it; on reading, times are aware ``datetime`` values.

    The server keeps microseconds.
    """

    seconds: int
    nanoseconds: int = 0

    def __post_init__(self) -> None:
        if not -62_135_596_800 <= self.seconds < 253_402_300_800:
            raise FirestoreError("invalid-argument", "A timestamp is of the years 1 to 9999.")
        if not 0 <= self.nanoseconds < 1_000_000_000:
            raise FirestoreError("invalid-argument", "Nanoseconds are less than a second's worth.")

    @classmethod
    def now(cls) -> Timestamp:
        """The present."""
        return cls.from_date(datetime.now(UTC))

    @classmethod
    def from_date(cls, date: datetime) -> Timestamp:
        """The same instant; the ``datetime`` must be aware."""
        micros = (aware(date) - _EPOCH) // timedelta(microseconds=1)
        return cls(micros // 1_000_000, micros % 1_000_000 * 1000)

    def to_date(self) -> datetime:
        """The same instant in UTC, to the microsecond."""
        return _EPOCH + timedelta(seconds=self.seconds, microseconds=self.nanoseconds // 1000)

    def to_millis(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self.seconds * 1000 + self.nanoseconds // 1_000_000


@dataclass(frozen=True, slots=True)
class VectorValue:
    """An embedding; made by :func:`vector`."""

    values: tuple[float, ...]

    def to_array(self) -> list[float]:
        """The components as a list."""
        return list(self.values)


def vector(values: Iterable[float] = ()) -> VectorValue:
    """A vector of numbers."""
    return VectorValue(tuple(float(value) for value in values))


class ReferenceValue:
    """A document's full name, ``projects/P/databases/D/documents/c/d``, as a value."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name


def aware(date: datetime) -> datetime:
    """The time in UTC; raises ``invalid-argument`` for one without a time zone, for it names no instant."""
    if date.tzinfo is None or date.utcoffset() is None:
        raise FirestoreError(
            "invalid-argument",
            "A datetime needs a time zone to be stored: use datetime.now(timezone.utc).",
        )
    return date.astimezone(UTC)
