"""`rules.Timestamp`: a UTC instant between the years 1 and 9999, to the nanosecond."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rules.errors import EvaluationError
from rules.types.duration import NANOS_PER_SECOND, Duration

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_SECONDS = -62_135_596_800
_MAX_SECONDS = 253_402_300_799
_DAY_NANOS = 86_400 * NANOS_PER_SECOND


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """`total_nanos`: nanoseconds since 1970-01-01T00:00:00Z, negative before."""

    total_nanos: int

    @classmethod
    def from_micros(cls, micros: int) -> Timestamp:
        return cls(micros * 1000)

    @classmethod
    def from_seconds(cls, seconds: int, nanos: int = 0) -> Timestamp:
        return cls(seconds * NANOS_PER_SECOND + nanos)

    @classmethod
    def from_datetime(cls, when: datetime) -> Timestamp:
        """An aware datetime; a naive one is taken as UTC."""
        aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        return cls((aware - _EPOCH) // timedelta(microseconds=1) * 1000)

    @classmethod
    def parse(cls, text: str) -> Timestamp:
        """RFC 3339 with up to nine digits of a second. Raises ValueError."""
        head, dot, tail = text.partition(".")
        if not dot:
            return cls.from_datetime(datetime.fromisoformat(text))
        digits = ""
        while tail and tail[0].isdigit():
            digits, tail = digits + tail[0], tail[1:]
        whole = cls.from_datetime(datetime.fromisoformat(head + tail))
        if not digits or len(digits) > 9:
            raise ValueError(f"not an RFC 3339 time: {text}")
        return cls(whole.total_nanos + int(digits.ljust(9, "0")))

    @property
    def micros(self) -> int:
        return self.total_nanos // 1000

    @property
    def seconds(self) -> int:
        """Whole seconds since the epoch, rounded down."""
        return self.total_nanos // NANOS_PER_SECOND

    @property
    def nanos(self) -> int:
        """Nanoseconds within the second, 0..999999999."""
        return self.total_nanos % NANOS_PER_SECOND

    def to_datetime(self) -> datetime:
        """To the second; the remainder is in `nanos`."""
        return _EPOCH + timedelta(seconds=self.seconds)

    def plus(self, duration: Duration) -> Timestamp:
        return checked_timestamp(self.total_nanos + duration.total_nanos)

    def minus(self, duration: Duration) -> Timestamp:
        return checked_timestamp(self.total_nanos - duration.total_nanos)

    def midnight(self) -> Timestamp:
        return Timestamp(self.total_nanos - self.total_nanos % _DAY_NANOS)

    def since_midnight(self) -> Duration:
        return Duration(self.total_nanos % _DAY_NANOS)

    def __str__(self) -> str:
        text = self.to_datetime().strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
        fraction = f".{self.nanos:09d}".rstrip("0") if self.nanos else ""
        return f"{text}{fraction}Z"


def checked_timestamp(total_nanos: int) -> Timestamp:
    """A timestamp, or an evaluation error outside the years 1..9999."""
    if not _MIN_SECONDS <= total_nanos // NANOS_PER_SECOND <= _MAX_SECONDS:
        raise EvaluationError("Timestamp value is out of range.")
    return Timestamp(total_nanos)


def timestamp_of_date(year: int, month: int, day: int) -> Timestamp:
    """Midnight of a date; an impossible date is an evaluation error."""
    try:
        days = date(year, month, day).toordinal() - 719_163
    except (ValueError, OverflowError) as error:
        raise EvaluationError(f"Invalid date: {year}-{month}-{day}.") from error
    return Timestamp(days * _DAY_NANOS)
