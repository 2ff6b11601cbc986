"""Byte ranges and conditional requests."""

from __future__ import annotations

import pytest

from baas.api.storage_ranges import ByteRange, http_date, not_modified, parse_range, range_applies
from baas.storage.errors import PreconditionFailed, RangeNotSatisfiable

NOW = 1_700_000_000_123_456


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=5-", ByteRange(5, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-30", ByteRange(0, 10)),
        ("bytes=2-100", ByteRange(2, 10)),
        ("bytes=4-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 30 + "-", None),
        ("bytes=a-b", None),
    ],
)
def test_ranges_of_ten_bytes(header: str | None, expected: ByteRange | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_ranges_outside_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 10)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"if-none-match": '"tag"'}, True),
        ({"if-none-match": 'W/"tag"'}, True),
        ({"if-none-match": '"a", "tag"'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"other"'}, False),
        ({"if-modified-since": http_date(NOW)}, True),
        ({"if-modified-since": http_date(NOW - 5_000_000)}, False),
        ({"if-modified-since": "yesterday"}, False),
        ({"if-none-match": '"other"', "if-modified-since": http_date(NOW)}, False),
        ({"if-match": '"tag"'}, False),
    ],
)
def test_not_modified(headers: dict[str, str], expected: bool) -> None:
    assert not_modified(headers, "tag", NOW) is expected


@pytest.mark.parametrize(
    "headers", [{"if-match": '"x"'}, {"if-unmodified-since": http_date(NOW - 5_000_000)}]
)
def test_conditions_that_fail(headers: dict[str, str]) -> None:
    with pytest.raises(PreconditionFailed):
        not_modified(headers, "tag", NOW)


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [(None, True), ('"tag"', True), ('"old"', False), (http_date(NOW), True), ("nonsense", False)],
)
def test_if_range(if_range: str | None, expected: bool) -> None:
    assert range_applies(if_range, "tag", NOW) is expected
