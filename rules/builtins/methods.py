"""Methods by the type of their receiver."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence

from rules.builtins.casts import to_string
from rules.builtins.operators import list_contains, map_keys, string_size
from rules.builtins.signatures import Overload, choose
from rules.errors import EvaluationError, UnprovableError
from rules.regex import InvalidPattern, Pattern
from rules.types import (
    Abstract,
    Duration,
    LatLng,
    LazyMap,
    MapDiff,
    PartialMap,
    Path,
    Set,
    Timestamp,
    Value,
    is_map,
    type_name,
)
from rules.types.limits import check_items, check_text
from rules.types.values import EXACT_NAMES

_WHITESPACE = "".join(map(chr, range(0x21)))
_UPPER = {ord(c): c.upper() for c in "abcdefghijklmnopqrstuvwxyz"}
_LOWER = {ord(c): c.lower() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _pattern(text: str) -> Pattern:
    try:
        return Pattern(text)
    except InvalidPattern as error:
        raise EvaluationError(f"Invalid regular expression pattern. Pattern: {text}.") from error


def _on_text(run: Callable[[], Value]) -> Value:
    """RE2 takes well-formed text only; a lone surrogate is no text."""
    try:
        return run()
    except UnicodeError as error:
        raise EvaluationError("The string is not well-formed Unicode.") from error


def matches(text: str, pattern: Pattern) -> bool:
    return bool(_on_text(lambda: pattern.full_match(text)))


def _split(text: str, pattern: str) -> Value:
    return _on_text(lambda: _pattern(pattern).split(text))


def _replace(text: str, pattern: str, template: str) -> Value:
    check_text(len(text) + (len(text) + 1) * len(template))
    return _on_text(lambda: _pattern(pattern).replace(text, template))


def _utf8(text: str) -> Value:
    return _on_text(lambda: text.encode("utf-8"))


def _has_all(holder: Sequence[Value], wanted: Sequence[Value]) -> bool:
    return _every(wanted, lambda item: list_contains(holder, item))


def _has_only(holder: Sequence[Value], allowed: Sequence[Value]) -> bool:
    return _every(holder, lambda item: list_contains(allowed, item))


def _has_any(holder: Sequence[Value], wanted: Sequence[Value]) -> bool:
    return not _every(wanted, lambda item: not list_contains(holder, item))


def _every(items: Sequence[Value], test: Callable[[Value], bool]) -> bool:
    """All true; one certain false decides beside values that a query leaves open."""
    unsure: UnprovableError | None = None
    for item in items:
        try:
            if not test(item):
                return False
        except UnprovableError as error:
            unsure = error
    if unsure is not None:
        raise unsure
    return True


def _join(items: Sequence[Value], separator: str) -> str:
    parts = [to_string(item) for item in items]
    check_text(sum(map(len, parts)) + len(parts) * len(separator))
    return separator.join(parts)


def _concat(left: Sequence[Value], right: Sequence[Value]) -> list[Value]:
    check_items(len(left) + len(right))
    return [*left, *right]


def _hex(value: bytes) -> str:
    check_text(2 * len(value))
    return value.hex().upper()


def _base64(value: bytes) -> str:
    check_text(2 * len(value))
    return base64.urlsafe_b64encode(value).decode("ascii")


def _get(value: Mapping[str, Value], key: str, default: Value) -> Value:
    return value.get(key, default)


def _get_path(value: Value, keys: Sequence[Value], default: Value) -> Value:
    """The default whenever a step is missing or is no map."""
    for key in keys:
        if type(key) is not str:
            raise EvaluationError(f"Type error. Received: [{type_name(key)}] Expected: [string].")
        if type(value) is PartialMap:
            value = value.get(key)
        elif is_map(value) and key in value:
            value = value[key]
        elif type(value) is Abstract:
            raise UnprovableError(f"The query does not pin the property {key}.")
        else:
            return default
    return value


def _as_set(value: Value) -> Set:
    return value if type(value) is Set else Set(value)


def _set_has_all(one: Set, other: Value) -> bool:
    return _as_set(other).keys() <= one.keys()


def _set_has_any(one: Set, other: Value) -> bool:
    return bool(_as_set(other).keys() & one.keys())


def _set_has_only(one: Set, other: Value) -> bool:
    return one.keys() <= _as_set(other).keys()


def _one(run: Callable[..., Value], *types: str) -> tuple[Overload, ...]:
    return (Overload(types, run),)


METHODS: dict[str, dict[str, tuple[Overload, ...]]] = {
    "string": {
        "size": _one(string_size),
        "lower": _one(lambda s: s.translate(_LOWER)),
        "upper": _one(lambda s: s.translate(_UPPER)),
        "trim": _one(lambda s: s.strip(_WHITESPACE)),
        "matches": _one(lambda s, p: matches(s, _pattern(p)), "string"),
        "replace": _one(_replace, "string", "string"),
        "split": _one(_split, "string"),
        "toUtf8": _one(_utf8),
    },
    "bytes": {
        "size": _one(len),
        "toBase64": _one(_base64),
        "toHexString": _one(_hex),
    },
    "list": {
        "size": _one(len),
        "hasAll": _one(_has_all, "list"),
        "hasAny": _one(_has_any, "list"),
        "hasOnly": _one(_has_only, "list"),
        "concat": _one(_concat, "list"),
        "removeAll": _one(lambda a, b: [x for x in a if not list_contains(b, x)], "list"),
        "join": _one(_join, "string"),
        "toSet": _one(Set),
    },
    "map": {
        "size": _one(len),
        "keys": _one(map_keys),
        "values": _one(lambda m: list(m.values())),
        "get": (Overload(("string", "any"), _get), Overload(("list", "any"), _get_path)),
        "diff": _one(lambda a, b: _diff(a, b), "map"),
    },
    "set": {
        "size": _one(len),
        "hasAll": (Overload(("set",), _set_has_all), Overload(("list",), _set_has_all)),
        "hasAny": (Overload(("set",), _set_has_any), Overload(("list",), _set_has_any)),
        "hasOnly": (Overload(("set",), _set_has_only), Overload(("list",), _set_has_only)),
        "union": _one(Set.union, "set"),
        "intersection": _one(Set.intersection, "set"),
        "difference": _one(Set.difference, "set"),
    },
    "map_diff": {
        "addedKeys": _one(MapDiff.added_keys),
        "removedKeys": _one(MapDiff.removed_keys),
        "changedKeys": _one(MapDiff.changed_keys),
        "affectedKeys": _one(MapDiff.affected_keys),
        "unchangedKeys": _one(MapDiff.unchanged_keys),
    },
    "path": {"bind": _one(Path.bind, "map")},
    "duration": {
        "seconds": _one(lambda d: d.seconds),
        "nanos": _one(lambda d: d.nanos),
    },
    "timestamp": {
        "year": _one(lambda t: t.to_datetime().year),
        "month": _one(lambda t: t.to_datetime().month),
        "day": _one(lambda t: t.to_datetime().day),
        "hours": _one(lambda t: t.to_datetime().hour),
        "minutes": _one(lambda t: t.to_datetime().minute),
        "seconds": _one(lambda t: t.to_datetime().second),
        "nanos": _one(lambda t: t.nanos),
        "dayOfWeek": _one(lambda t: t.to_datetime().isoweekday()),
        "dayOfYear": _one(lambda t: t.to_datetime().timetuple().tm_yday),
        "date": _one(Timestamp.midnight),
        "time": _one(Timestamp.since_midnight),
        "toMillis": _one(lambda t: t.total_nanos // 1_000_000),
    },
    "latlng": {
        "latitude": _one(lambda p: p.latitude),
        "longitude": _one(lambda p: p.longitude),
        "distance": _one(LatLng.distance, "latlng"),
    },
}
_EXACT = {
    str: METHODS["string"],
    list: METHODS["list"],
    dict: METHODS["map"],
    LazyMap: METHODS["map"],
    Set: METHODS["set"],
    MapDiff: METHODS["map_diff"],
    Timestamp: METHODS["timestamp"],
    Duration: METHODS["duration"],
}


def _diff(left: Value, right: Value) -> MapDiff:
    if type(right) is PartialMap:
        raise UnprovableError("The query does not pin the whole map.")
    return MapDiff(left, right)


def call_method(receiver: Value, name: str, args: Sequence[Value]) -> Value:
    """`receiver.name(args)`. Raises EvaluationError for anything that has no value."""
    table = _EXACT.get(type(receiver))
    if table is None:
        if receiver is None:
            raise EvaluationError("Null value error.")
        if type(receiver) is Abstract or type(receiver) is PartialMap:
            return _call_open(receiver, name, args)
        table = METHODS.get(type_name(receiver), {})
    overloads = table.get(name)
    if overloads is None:
        raise EvaluationError(f"Function not found error: Name: [{name}].")
    if len(overloads) == 1:
        types, run = overloads[0]
        if not types:
            if not args:
                return run(receiver)
        elif len(types) == len(args) == 1 and EXACT_NAMES.get(type(args[0])) == types[0]:
            return run(receiver, args[0])
    kind = type_name(receiver)
    return choose(f"{kind}.{name}", overloads, args)(receiver, *args)


def _call_open(receiver: Abstract | PartialMap, name: str, args: Sequence[Value]) -> Value:
    """The few methods that say something of a value which a query pins in part."""
    if type(receiver) is PartialMap:
        if name == "keys" and not args:
            return receiver.keys()
        if name == "get" and len(args) == 2:
            keys = args[0] if type(args[0]) is list else [args[0]]
            return _get_path(receiver, keys, args[1])
    elif (
        type(receiver) is Abstract
        and receiver.kind == "list"
        and len(args) == 1
        and type(args[0]) is list
    ):
        if name == "hasAll":
            return _every(args[0], receiver.holds)
        if name == "hasAny":
            return _any_held(receiver, args[0])
    raise _unpinned(name)


def _any_held(receiver: Abstract, wanted: Sequence[Value]) -> bool:
    """True if the query says so of one of them; false is never known of an open list."""
    for item in wanted:
        try:
            return receiver.holds(item)
        except UnprovableError:
            continue
    raise _unpinned("hasAny")


def _unpinned(name: str) -> UnprovableError:
    return UnprovableError(f"The query does not pin the receiver of {name}().")
