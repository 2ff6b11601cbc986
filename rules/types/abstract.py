"""What a query tells of a document that nobody has read yet (protocol section 6).

Every abstract value stands for something that *is there* in every document the query can return;
reading what may be missing is an `UnprovableError` at once. So an operator that works on concrete
values only, and fails on these, stays sound: a failure never grants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.errors import UnprovableError

if TYPE_CHECKING:
    from rules.types.values import Value

_EXACT_FLOAT = 2**53
_ORDERED = frozenset({"number", "string", "bytes", "timestamp"})
_BEFORE_SURROGATES = "\ud7ff"


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range in the store's order."""

    value: Value
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Abstract:
    """A value of which only this is known.

    `kind`: the type it has ("number" covers int and float), None if open. `low`, `high`: its range within
    that kind. `excluded`: values it does not equal. `contains`: values that this list holds.
    `is_nan_free`: a number known not to be NaN.
    """

    kind: str | None = None
    low: Bound | None = None
    high: Bound | None = None
    excluded: tuple[Value, ...] = ()
    contains: tuple[Value, ...] = ()
    is_nan_free: bool = False

    @property
    def exact(self) -> Value | None:
        """The number that this one equals, when the query pins it but not whether it is int or float."""
        if self.low is not None and self.high is not None and self.low.value == self.high.value:
            return self.low.value
        return None

    def equals(self, other: Value) -> bool | None:
        """Three-valued `==`; None when the query leaves it open."""
        if type(other) is Abstract:
            return self._equals_abstract(other)
        kind = _kind_of(other)
        if self.kind is not None and kind is not None and kind != self.kind:
            return False
        if kind is None:
            return None
        if any(_same_scalar(value, other) for value in self.excluded):
            return False
        if not _comparable(kind, other):
            return None
        if self.exact is not None and kind == "number" and _comparable(kind, self.exact):
            return bool(self.exact == other)
        below = self.low is not None and _below(other, self.low)
        above = self.high is not None and _above(other, self.high)
        return False if below or above else None

    def _equals_abstract(self, other: Abstract) -> bool | None:
        if self.kind is not None and other.kind is not None and self.kind != other.kind:
            return False
        return None

    def compare(self, op: str, other: Value) -> bool:
        """`self op other` for `< <= > >=` against a constant. Raises UnprovableError when open."""
        kind = _kind_of(other)
        if kind not in _ORDERED or kind != self.kind or not _comparable(kind, other):
            raise UnprovableError("The query does not pin the compared value.")
        verdict = self._above_all(op, other) if op[0] == ">" else self._below_all(op, other)
        if verdict is None:
            raise UnprovableError("The query does not pin the compared value.")
        return verdict

    def _above_all(self, op: str, other: Value) -> bool | None:
        strict = op == ">"
        low = self.low
        if (
            low is not None
            and _comparable(self.kind, low.value)
            and (low.value > other or (low.value == other and not (strict and low.inclusive)))
        ):
            return True
        high = self.high
        if (
            high is not None
            and _comparable(self.kind, high.value)
            and (high.value < other or (high.value == other and (strict or not high.inclusive)))
        ):
            return False
        return None

    def _below_all(self, op: str, other: Value) -> bool | None:
        strict = op == "<"
        high = self.high
        if (
            high is not None
            and _comparable(self.kind, high.value)
            and not self._may_be_nan()
            and (high.value < other or (high.value == other and not (strict and high.inclusive)))
        ):
            return True
        low = self.low
        if (
            low is not None
            and _comparable(self.kind, low.value)
            and (low.value > other or (low.value == other and (strict or not low.inclusive)))
        ):
            return False
        return None

    def _may_be_nan(self) -> bool:
        return self.kind == "number" and not self.is_nan_free

    def holds(self, value: Value) -> bool:
        """`value in self` for a list. Raises UnprovableError unless the query says so."""
        from rules.types.equality import equal_inside

        for held in self.contains:
            try:
                if equal_inside(value, held):
                    return True
            except UnprovableError:
                continue
        raise UnprovableError("The query does not tell whether the list holds the value.")

    def is_type(self, name: str) -> bool:
        """`self is name`. Raises UnprovableError when open."""
        if self.kind is None or (self.kind == "number" and name in ("int", "float")):
            raise UnprovableError("The query does not pin the type of the value.")
        return self.kind == name


@dataclass(frozen=True, slots=True)
class PartialMap:
    """A map of which the query pins some children; the rest is open. `children` are present for certain."""

    children: Mapping[str, Value] = field(default_factory=dict)

    def get(self, key: str) -> Value:
        try:
            return self.children[key]
        except KeyError:
            raise UnprovableError(f"Property {key} is undefined on object.") from None

    def has(self, key: str) -> bool:
        if key in self.children:
            return True
        raise UnprovableError(f"The query does not tell whether {key} is present.")

    def keys(self) -> Abstract:
        return Abstract(kind="list", contains=tuple(self.children))


def _kind_of(value: Value) -> str | None:
    from rules.types.values import type_name

    name = type_name(value)
    if name in ("int", "float"):
        return "number"
    return None if name == "constraint" else name


def _comparable(kind: str | None, value: Value) -> bool:
    """Whether the store's order and the language's order surely agree around this constant.

    Numbers beyond 2**53 are rounded by the language but not by the store; strings beyond the
    surrogates sort by UTF-16 units here and by code points there.
    """
    if kind == "number":
        return bool(math.isfinite(value) and abs(value) <= _EXACT_FLOAT)
    if kind == "string":
        return bool(not value or max(value) <= _BEFORE_SURROGATES)
    return kind in ("bytes", "timestamp", "bool")


def _same_scalar(left: Any, right: Any) -> bool:
    if isinstance(left, (Mapping, Sequence)) and not isinstance(left, (str, bytes)):
        return False
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    both_numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    if both_numbers and not (_comparable("number", left) and _comparable("number", right)):
        return False
    return (both_numbers or type(left) is type(right)) and bool(left == right)


def _below(value: Any, low: Bound) -> bool:
    return bool(value < low.value or (value == low.value and not low.inclusive))


def _above(value: Any, high: Bound) -> bool:
    return bool(value > high.value or (value == high.value and not high.inclusive))
