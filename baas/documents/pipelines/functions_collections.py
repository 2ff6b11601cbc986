"""Arrays and maps, and what arrays, strings, bytes, maps and vectors have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from baas.documents.pipelines.functions_logic import extreme
from baas.documents.pipelines.functions_numbers import within
from baas.documents.pipelines.registry import Function, aware, expect, integer, lazy, strict
from baas.documents.pipelines.rows import ABSENT, EvaluationError, Evaluator, Result, Row
from baas.model.key_encoding import encode_value
from baas.model.ordering import equal, sort_key
from baas.model.values import Value, Vector

MAX_ELEMENTS = 100_000
"""Elements of a computed array."""


def elements(value: Any) -> list[Any]:
    """The value, if it is an array."""
    checked: list[Any] = expect(value, list, "an array")
    return checked


def entries(value: Any) -> dict[str, Any]:
    """The value, if it is a map."""
    checked: dict[str, Any] = expect(value, dict, "a map")
    return checked


def _array(arguments: Sequence[Evaluator]) -> Evaluator:
    return lambda row: [_present(argument(row)) for argument in arguments]


def _present(value: Result) -> Value:
    return None if value is ABSENT else value


def _map(arguments: Sequence[Evaluator]) -> Evaluator:
    if len(arguments) % 2:
        raise EvaluationError("map takes keys and values in turn")

    def evaluate(row: Row) -> Result:
        made = {}
        for key, value in zip(arguments[::2], arguments[1::2], strict=True):
            computed = value(row)
            name = expect(key(row), str, "a key")
            if computed is not ABSENT:
                made[name] = computed
        return made

    return evaluate


def _contains(array: Any, element: Result) -> Result:
    if array is None or array is ABSENT:
        return None
    return element is not ABSENT and any(equal(each, element) for each in elements(array))


def _contains_all(array: Any, searched: Any) -> bool:
    present = {encode_value(each) for each in elements(array)}
    return all(encode_value(each) in present for each in elements(searched))


def _contains_any(array: Any, searched: Any) -> bool:
    present = {encode_value(each) for each in elements(array)}
    return any(encode_value(each) in present for each in elements(searched))


def _get(array: Any, index: Any) -> Result:
    if array is ABSENT:
        return cast(Result, array)
    if array is None or index is None or index is ABSENT:
        return None
    at, given = integer(index), elements(array)
    return cast(Result, given[at]) if -len(given) <= at < len(given) else ABSENT


def _end(last: bool) -> Callable[[Any], Result]:
    def body(array: Any) -> Result:
        if array is None or array is ABSENT:
            return None
        given = elements(array)
        return (given[-1] if last else given[0]) if given else ABSENT

    return body


def _count(value: Any) -> int:
    size = integer(value)
    if size < 0:
        raise EvaluationError("a number of elements must not be negative")
    return size


def _last_n(array: Any, size: Any) -> list[Any]:
    given, count = elements(array), _count(size)
    return given[max(0, len(given) - count) :]


def _slice(array: Any, offset: Any, length: Any = None) -> list[Any]:
    given, start = elements(array), integer(offset)
    start = max(0, len(given) + start) if start < 0 else start
    if length is None:
        return given[start:]
    if integer(length) < 0:
        raise EvaluationError("array_slice: the length must be non-negative")
    return given[start : start + length]


def _index_of(array: Any, searched: Result, which: Any = "first") -> Result:
    if array is None or array is ABSENT:
        return None
    found = _indexes(array, searched)
    if which not in ("first", "last"):
        raise EvaluationError("array_index_of searches for the first, or the last")
    return (found[0] if which == "first" else found[-1]) if found else -1


def _indexes(array: Any, searched: Result) -> list[int]:
    return [
        at
        for at, each in enumerate(elements(array))
        if searched is not ABSENT and equal(each, searched)
    ]


def _all_indexes(array: Any, searched: Result) -> Result:
    return None if array is None or array is ABSENT else _indexes(array, searched)


def _extremes(largest: bool) -> Callable[[Any, Any], list[Any]]:
    def body(array: Any, size: Any) -> list[Any]:
        present = [each for each in elements(array) if each is not None]
        return sorted(present, key=sort_key, reverse=largest)[: _count(size)]

    return body


def _concat(*arrays: Any) -> list[Any]:
    if sum(len(elements(array)) for array in arrays) > MAX_ELEMENTS:
        raise EvaluationError(f"an array would have more than {MAX_ELEMENTS} elements")
    return [each for array in arrays for each in array]


def total(values: Iterable[Any]) -> int | float:
    """The sum of the numbers among values; beyond 64 bits it goes on as a double."""
    whole, real, seen_real = 0, 0.0, False
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if isinstance(value, int):
            whole += value
        else:
            real, seen_real = real + value, True
    if seen_real:
        return real + whole
    try:
        return within(whole)
    except EvaluationError:
        return float(whole)


def _array_sum(array: Any) -> int | float:
    return total(elements(array))


def _over_elements(keep: bool) -> Callable[[Sequence[Evaluator]], Evaluator]:
    """``array_filter(array, name, condition)``, ``array_transform(array, name[, index], expression)``."""

    def build(arguments: Sequence[Evaluator]) -> Evaluator:
        source, *names, body = arguments

        def evaluate(row: Row) -> Result:
            array = source(row)
            if array is None or array is ABSENT:
                return None
            aliases = [expect(name(row), str, "a name") for name in names]
            made: list[Any] = []
            for at, each in enumerate(elements(array)):
                scope = dict(zip(aliases, (each, at), strict=False))
                value = body(row.with_variables(scope))
                if not keep:
                    made.append(_present(value))
                elif value is True:
                    made.append(each)
            return made

        return evaluate

    return build


def _map_get(given: Any, key: Any) -> Result:
    if given is ABSENT or given is None:
        return cast(Result, given)
    return _get_field(entries(given), key)


def _get_field(given: Any, key: Any) -> Result:
    """The field of a map; of anything else there is none."""
    if not isinstance(given, dict):
        return ABSENT
    return cast(Result, given.get(expect(key, str, "a key"), ABSENT))


def _map_set(given: Any, *pairs: Any) -> Result:
    if given is None or given is ABSENT:
        return None
    if len(pairs) % 2:
        raise EvaluationError("map_set takes keys and values in turn")
    made = dict(entries(given))
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if value is ABSENT:
            made.pop(expect(key, str, "a key"), None)
        else:
            made[expect(key, str, "a key")] = value
    return made


def _map_remove(given: Any, *keys: Any) -> dict[str, Any]:
    gone = {expect(key, str, "a key") for key in keys}
    return {name: value for name, value in entries(given).items() if name not in gone}


def _map_merge(*maps: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for each in maps:
        made |= entries(each)
    return made


def _length(value: Any) -> int:
    if isinstance(value, Vector):
        return len(value.components)
    return len(expect(value, (str, bytes, list, dict), "a string, array, map or vector"))


def _reverse(value: Any) -> Any:
    return expect(value, (str, bytes, list), "a string, bytes or an array")[::-1]


def _maximum_of(largest: bool) -> Callable[[Any], Result]:
    return lambda array: extreme(elements(array), largest)


FUNCTIONS: dict[str, Function] = {
    "array": lazy(_array, 0, None),
    "array_concat": strict(_concat, 1, None),
    "array_contains": aware(_contains, 2),
    "array_contains_all": strict(_contains_all, 2),
    "array_contains_any": strict(_contains_any, 2),
    "array_get": aware(_get, 2),
    "offset": aware(_get, 2),
    "array_first": aware(_end(False), 1),
    "array_last": aware(_end(True), 1),
    "array_first_n": strict(lambda array, size: elements(array)[: _count(size)], 2),
    "array_last_n": strict(_last_n, 2),
    "array_slice": strict(_slice, 2, 3),
    "array_index_of": aware(_index_of, 2, 3),
    "array_index_of_all": aware(_all_indexes, 2),
    "array_length": strict(lambda array: len(elements(array)), 1),
    "array_reverse": strict(lambda array: elements(array)[::-1], 1),
    "array_maximum": strict(_maximum_of(True), 1),
    "array_minimum": strict(_maximum_of(False), 1),
    "maximum_n": strict(_extremes(True), 2),
    "minimum_n": strict(_extremes(False), 2),
    "sum": strict(_array_sum, 1),
    "array_sum": strict(_array_sum, 1),
    "array_filter": lazy(_over_elements(True), 3),
    "array_transform": lazy(_over_elements(False), 3, 4),
    "map": lazy(_map, 0, None),
    "map_get": aware(_map_get, 2),
    "get_field": aware(_get_field, 2),
    "map_set": aware(_map_set, 3, None),
    "map_remove": strict(_map_remove, 2, None),
    "map_merge": strict(_map_merge, 1, None),
    "map_keys": strict(lambda given: sorted(entries(given)), 1),
    "map_values": strict(lambda given: [value for _, value in sorted(entries(given).items())], 1),
    "map_entries": strict(
        lambda given: [{"k": name, "v": value} for name, value in sorted(entries(given).items())], 1
    ),
    "length": strict(_length, 1),
    "reverse": strict(_reverse, 1),
}
