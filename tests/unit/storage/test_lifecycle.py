"""Lifecycle rules."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import InvalidArgument
from baas.storage.lifecycle import read_lifecycle

DAY = 24 * 3600 * 1_000_000
NOW = 1_700_000_000 * 1_000_000


def rule(condition: dict[str, Any], action: str = "Delete") -> Any:
    (found,) = read_lifecycle({"rule": [{"action": {"type": action}, "condition": condition}]})
    return found


def test_age_is_in_days() -> None:
    assert rule({"age": 3}).created_until(NOW) == NOW - 3 * DAY


def test_created_before_is_the_beginning_of_that_day() -> None:
    assert rule({"createdBefore": "1970-01-02"}).created_until(NOW) == DAY - 1


def test_all_conditions_hold_together() -> None:
    found = rule({"matchesPrefix": ["tmp/", "log/"], "matchesSuffix": [".txt"]})
    names = ["tmp/a.txt", "log/b.txt", "tmp/a.png", "c.txt"]
    assert [found.names(name) for name in names] == [True, True, False, False]


@pytest.mark.parametrize(
    "lifecycle",
    [
        [],
        {"rule": {}},
        {"rule": [{}]},
        {"rule": [{"action": {"type": "Delete"}, "condition": {}}]},
        {"rule": [{"action": {"type": "SetStorageClass"}, "condition": {"age": 1}}]},
        {"rule": [{"action": {"type": "Delete"}, "condition": {"age": "1"}}]},
        {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 1, "isLive": False}}]},
        {"rule": [{"action": {"type": "Delete"}, "condition": {"createdBefore": "soon"}}]},
        {"rule": [{"action": {"type": "Delete"}, "condition": {"matchesPrefix": "x"}}]},
    ],
)
def test_what_is_not_understood_is_refused_rather_than_guessed(lifecycle: Any) -> None:
    with pytest.raises(InvalidArgument):
        read_lifecycle(lifecycle)
