"""Lifecycle rules of a bucket, in Cloud Storage's JSON: which objects and uploads have had their time. Pure.

Understood are the actions ``Delete`` and ``AbortIncompleteMultipartUpload`` and the conditions ``age``
(days), ``createdBefore`` (a date), ``matchesPrefix`` and ``matchesSuffix``; all of a rule must hold.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baas.errors import InvalidArgument

DELETE, ABORT = "Delete", "AbortIncompleteMultipartUpload"

_DAY_MICROS = 24 * 3600 * 1_000_000
_MAX_RULES = 100
_MAX_AFFIXES = 1000


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """One rule; a condition that is absent holds always. Times are microseconds since the epoch."""

    action: str
    age_days: int | None
    created_before: int | None
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]

    def created_until(self, now: int) -> int:
        """What was created after this time is too young for this rule."""
        bounds = [now]
        if self.age_days is not None:
            bounds.append(now - self.age_days * _DAY_MICROS)
        if self.created_before is not None:
            bounds.append(self.created_before - 1)
        return min(bounds)

    def names(self, name: str) -> bool:
        """Whether the name is one that the rule is about."""
        return (not self.prefixes or name.startswith(self.prefixes)) and (
            not self.suffixes or name.endswith(self.suffixes)
        )


def read_lifecycle(lifecycle: Any) -> list[LifecycleRule]:
    """The rules of a bucket's ``lifecycle``.

    Raises:
        InvalidArgument: it is not of that shape, or has what is not understood: a rule that did something
            else than it says would delete the wrong things.
    """
    if lifecycle is None:
        return []
    rules = lifecycle.get("rule", []) if isinstance(lifecycle, dict) else None
    if not isinstance(rules, list) or len(rules) > _MAX_RULES:
        raise InvalidArgument(f"'lifecycle' is {{'rule': [...]}}, with at most {_MAX_RULES} rules.")
    return [_rule(rule) for rule in rules]


def _rule(rule: Any) -> LifecycleRule:
    action = rule.get("action") if isinstance(rule, dict) else None
    condition = rule.get("condition") if isinstance(rule, dict) else None
    kind = action.get("type") if isinstance(action, dict) else None
    if kind not in (DELETE, ABORT):
        raise InvalidArgument(f"A lifecycle rule's action is '{DELETE}' or '{ABORT}'.")
    if not isinstance(condition, dict) or not condition:
        raise InvalidArgument("A lifecycle rule has a condition.")
    known = {"age", "createdBefore", "matchesPrefix", "matchesSuffix"}
    if unknown := sorted(set(condition) - known):
        raise InvalidArgument(f"The lifecycle condition '{unknown[0]}' is not supported.")
    return LifecycleRule(
        kind,
        _age(condition.get("age")),
        _date(condition.get("createdBefore")),
        _affixes("matchesPrefix", condition),
        _affixes("matchesSuffix", condition),
    )


def _age(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100_000:
        raise InvalidArgument("The lifecycle condition 'age' is a number of days.")
    return value


def _date(value: Any) -> int | None:
    if value is None:
        return None
    try:
        date = dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidArgument("'createdBefore' is a date like 2026-01-31.") from None
    midnight = dt.datetime.combine(date, dt.time(), dt.UTC)
    return int(midnight.timestamp()) * 1_000_000


def _affixes(key: str, condition: Mapping[str, Any]) -> tuple[str, ...]:
    value = condition.get(key)
    if value is None:
        return ()
    plain = isinstance(value, Sequence) and not isinstance(value, str)
    if not plain or len(value) > _MAX_AFFIXES or not all(isinstance(item, str) for item in value):
        raise InvalidArgument(f"The lifecycle condition '{key}' is a list of strings.")
    return tuple(value)
