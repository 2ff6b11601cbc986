"""`rules.Duration`: a length of time to the nanosecond."""

from __future__ import annotations

from dataclasses import dataclass

from rules.errors import EvaluationError

NANOS_PER_SECOND = 1_000_000_000
MAX_SECONDS = 315_576_000_000
"""About ten thousand years, the limit of google.protobuf.Duration."""

UNIT_NANOS = {
    "w": 604_800 * NANOS_PER_SECOND,
    "d": 86_400 * NANOS_PER_SECOND,
    "h": 3_600 * NANOS_PER_SECOND,
    "m": 60 * NANOS_PER_SECOND,
    "s": NANOS_PER_SECOND,
    "ms": 1_000_000,
    "ns": 1,
}


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """`total_nanos`: signed nanoseconds."""

    total_nanos: int

    @property
    def seconds(self) -> int:
        """Whole seconds, truncated toward zero."""
        whole = abs(self.total_nanos) // NANOS_PER_SECOND
        return whole if self.total_nanos >= 0 else -whole

    @property
    def nanos(self) -> int:
        """What is left beside the seconds, with the sign of the duration."""
        return self.total_nanos - self.seconds * NANOS_PER_SECOND

    def __str__(self) -> str:
        sign = "-" if self.total_nanos < 0 else ""
        fraction = f".{abs(self.nanos):09d}".rstrip("0") if self.nanos else ""
        return f"{sign}{abs(self.seconds)}{fraction}s"


def checked_duration(total_nanos: int) -> Duration:
    if abs(total_nanos) > MAX_SECONDS * NANOS_PER_SECOND:
        raise EvaluationError("Duration value is out of range.")
    return Duration(total_nanos)
