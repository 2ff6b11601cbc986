"""Timestamps. Units, granularities and parts are named as the clients name them, zones as IANA does."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from baas.documents.pipelines.functions_numbers import number, within
from baas.documents.pipelines.functions_strings import text
from baas.documents.pipelines.registry import Function, expect, integer, strict
from baas.documents.pipelines.rows import EvaluationError
from baas.model.values import Timestamp

_UNITS: Final = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
}
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_OFFSET: Final = re.compile(r"([+-])(\d{1,2})(?::?(\d{2}))?")


def _timestamp(micros: int) -> Timestamp:
    if not Timestamp.MIN_MICROS <= micros <= Timestamp.MAX_MICROS:
        raise EvaluationError("the timestamp lies outside of the years 1 to 9999")
    return Timestamp(micros)


def _time(value: Any) -> Timestamp:
    checked: Timestamp = expect(value, Timestamp, "a timestamp")
    return checked


def _unit(name: Any) -> int:
    unit = _UNITS.get(text(name).lower())
    if unit is None:
        raise EvaluationError(f"{name[:50]!r} is not a unit of time: one of {', '.join(_UNITS)} is")
    return unit


def _to_unix(unit: int) -> Callable[[Any], int]:
    return lambda value: _time(value).micros // unit


def _from_unix(unit: int) -> Callable[[Any], Timestamp]:
    return lambda value: _timestamp(integer(value) * unit)


def _shifted(sign: int) -> Callable[[Any, Any, Any], Timestamp]:
    def body(value: Any, unit: Any, amount: Any) -> Timestamp:
        given = number(amount)
        if given - given != 0:
            raise EvaluationError("an amount of time must be finite")
        return _timestamp(_time(value).micros + sign * int(Fraction(given) * _unit(unit)))

    return body


def _diff(end: Any, start: Any, unit: Any) -> int:
    """Whole units from start to end."""
    micros = _time(end).micros - _time(start).micros
    whole = abs(micros) // _unit(unit)
    return within(whole if micros >= 0 else -whole)


def _zone(name: Any) -> dt.tzinfo:
    zone = text(name)
    offset = _OFFSET.fullmatch(zone)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        if minutes < 24 * 60:
            return dt.timezone(dt.timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"{zone[:50]!r} is not a time zone") from None


def _local(value: Any, zone: Any) -> dt.datetime:
    try:
        return _time(value).to_datetime().astimezone(_zone(zone))
    except OverflowError:
        raise EvaluationError("the timestamp lies outside of the years 1 to 9999") from None


def _first_weekday(name: str) -> int | None:
    """The weekday (Monday 0) with which a kind of week begins; plain weeks begin on Sunday."""
    if name == "week":
        return 6
    if name == "isoweek":
        return 0
    day = name.removeprefix("week(").removesuffix(")")
    return _DAYS.index(day) if name == f"week({day})" and day in _DAYS else None


def _truncate(value: Any, granularity: Any, zone: Any = "UTC") -> Timestamp:
    local, name = _local(value, zone), text(granularity).lower()
    start = _start_of(local, name)
    if start is None:
        raise EvaluationError(f"{name[:50]!r} is not a granularity of time")
    try:
        utc = start.astimezone(dt.UTC)
    except OverflowError:
        raise EvaluationError("the timestamp lies outside of the years 1 to 9999") from None
    elapsed = utc - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return _timestamp(elapsed // dt.timedelta(microseconds=1))


def _start_of(local: dt.datetime, name: str) -> dt.datetime | None:
    if name == "microsecond":
        return local
    if name == "millisecond":
        return local.replace(microsecond=local.microsecond // 1_000 * 1_000)
    second = local.replace(microsecond=0)
    if name == "second":
        return second
    minute = second.replace(second=0)
    if name == "minute":
        return minute
    if name == "hour":
        return minute.replace(minute=0)
    return _start_of_days(minute.replace(hour=0, minute=0), name)


def _start_of_days(day: dt.datetime, name: str) -> dt.datetime | None:
    first = _first_weekday(name)
    try:
        if first is not None:
            return day - dt.timedelta(days=(day.weekday() - first) % 7)
        if name == "isoyear":
            start = dt.date.fromisocalendar(day.isocalendar().year, 1, 1)
            return day.replace(year=start.year, month=start.month, day=start.day)
    except (OverflowError, ValueError):
        raise EvaluationError("the timestamp lies outside of the years 1 to 9999") from None
    starts: dict[str, Callable[[], dt.datetime]] = {
        "day": lambda: day,
        "month": lambda: day.replace(day=1),
        "quarter": lambda: day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "year": lambda: day.replace(month=1, day=1),
    }
    return starts[name]() if name in starts else None


def _extract(value: Any, part: Any, zone: Any = "UTC") -> int:
    local, name = _local(value, zone), text(part).lower()
    first = _first_weekday(name)
    if name == "isoweek":
        return local.isocalendar().week
    if first is not None:
        # weeks are counted from the year's first day of that name; the days before it are in week 0
        return (local.timetuple().tm_yday - 1 + 7 - (local.weekday() - first) % 7) // 7
    parts: dict[str, Callable[[], int]] = {
        "microsecond": lambda: local.microsecond,
        "millisecond": lambda: local.microsecond // 1_000,
        "second": lambda: local.second,
        "minute": lambda: local.minute,
        "hour": lambda: local.hour,
        "day": lambda: local.day,
        "dayofweek": lambda: local.isoweekday() % 7 + 1,
        "dayofyear": lambda: local.timetuple().tm_yday,
        "month": lambda: local.month,
        "quarter": lambda: (local.month - 1) // 3 + 1,
        "year": lambda: local.year,
        "isoyear": lambda: local.isocalendar().year,
    }
    if name not in parts:
        raise EvaluationError(f"{name[:50]!r} is not a part of a timestamp")
    return parts[name]()


FUNCTIONS: dict[str, Function] = {
    "timestamp_to_unix_micros": strict(_to_unix(1), 1),
    "timestamp_to_unix_millis": strict(_to_unix(1_000), 1),
    "timestamp_to_unix_seconds": strict(_to_unix(1_000_000), 1),
    "unix_micros_to_timestamp": strict(_from_unix(1), 1),
    "unix_millis_to_timestamp": strict(_from_unix(1_000), 1),
    "unix_seconds_to_timestamp": strict(_from_unix(1_000_000), 1),
    "timestamp_add": strict(_shifted(1), 3),
    "timestamp_subtract": strict(_shifted(-1), 3),
    "timestamp_diff": strict(_diff, 3),
    "timestamp_trunc": strict(_truncate, 2, 3),
    "timestamp_extract": strict(_extract, 2, 3),
}
