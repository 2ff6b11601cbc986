"""Free functions and the namespaces `duration timestamp latlng hashing math`. Lookups are the compiler's."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Sequence

import google_crc32c

from rules.builtins.casts import to_float, to_int, to_path, to_string
from rules.builtins.signatures import Overload, choose
from rules.errors import EvaluationError
from rules.types import Duration, Timestamp, Value
from rules.types.duration import UNIT_NANOS, checked_duration
from rules.types.latlng import checked_latlng
from rules.types.timestamp import checked_timestamp, timestamp_of_date

LOOKUP_FUNCTIONS = frozenset({"get", "exists", "getAfter", "existsAfter"})


def _duration(amount: int, unit: str) -> Duration:
    nanos = UNIT_NANOS.get(unit)
    if nanos is None:
        raise EvaluationError(f"Invalid duration unit: {unit}. Use w, d, h, m, s, ms or ns.")
    return checked_duration(amount * nanos)


def _duration_time(hours: int, minutes: int, seconds: int, nanos: int) -> Duration:
    return checked_duration((hours * 3600 + minutes * 60 + seconds) * 1_000_000_000 + nanos)


def _timestamp_text(text: str) -> Timestamp:
    try:
        return checked_timestamp(Timestamp.parse(text).total_nanos)
    except (ValueError, OverflowError) as error:
        raise EvaluationError(f"Timestamp is not valid: {text}.") from error


def _bytes(value: str | bytes) -> bytes:
    try:
        return value.encode("utf-8") if isinstance(value, str) else value
    except UnicodeError as error:
        raise EvaluationError("The string is not well-formed Unicode.") from error


def _md5(value: str | bytes) -> bytes:
    return hashlib.md5(_bytes(value), usedforsecurity=False).digest()


def _sha256(value: str | bytes) -> bytes:
    return hashlib.sha256(_bytes(value)).digest()


def _crc32(value: str | bytes) -> bytes:
    return zlib.crc32(_bytes(value)).to_bytes(4, "little")


def _crc32c(value: str | bytes) -> bytes:
    return int(google_crc32c.value(_bytes(value))).to_bytes(4, "little")


def _whole(value: float, toward: float) -> float:
    """`floor` or `ceil` of a float, which stays a float and keeps infinities."""
    if math.isinf(value) or value != value:
        return value
    return float(math.floor(value) if toward < 0 else math.ceil(value))


def _round(value: float) -> int:
    """Half up; a float that is not finite or has no fraction is cast as `int()` does."""
    if not math.isfinite(value) or abs(value) >= 2**52:
        return to_int(value)
    below = math.floor(value)
    return below + 1 if value - below >= 0.5 else below


def _abs_int(value: int) -> int:
    wrapped = abs(value)
    return value if wrapped > 2**63 - 1 else wrapped


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        odd = exponent == math.floor(exponent) and exponent % 2 == 1
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _numeric(run: Callable[[float], Value]) -> tuple[Overload, ...]:
    return (Overload(("int",), lambda x: run(float(x))), Overload(("float",), run))


def _texts(run: Callable[..., Value]) -> tuple[Overload, ...]:
    return (Overload(("bytes",), run), Overload(("string",), run))


_NUMBER_PAIRS = tuple((a, b) for a in ("int", "float") for b in ("int", "float"))

NAMESPACE_FUNCTIONS: dict[tuple[str, str], tuple[Overload, ...]] = {
    ("duration", "value"): (Overload(("int", "string"), _duration),),
    ("duration", "time"): (Overload(("int", "int", "int", "int"), _duration_time),),
    ("duration", "abs"): (Overload(("duration",), lambda d: Duration(abs(d.total_nanos))),),
    ("timestamp", "date"): (Overload(("int", "int", "int"), timestamp_of_date),),
    ("timestamp", "value"): (
        Overload(("int",), lambda millis: checked_timestamp(millis * 1_000_000)),
        Overload(("string",), _timestamp_text),
    ),
    ("latlng", "value"): tuple(
        Overload(pair, lambda a, b: checked_latlng(float(a), float(b))) for pair in _NUMBER_PAIRS
    ),
    ("hashing", "md5"): _texts(_md5),
    ("hashing", "sha256"): _texts(_sha256),
    ("hashing", "crc32"): _texts(_crc32),
    ("hashing", "crc32c"): _texts(_crc32c),
    ("math", "abs"): (Overload(("int",), _abs_int), Overload(("float",), abs)),
    ("math", "ceil"): _numeric(lambda x: _whole(x, 1)),
    ("math", "floor"): _numeric(lambda x: _whole(x, -1)),
    ("math", "round"): (Overload(("int",), lambda x: x), Overload(("float",), _round)),
    ("math", "pow"): tuple(
        Overload(pair, lambda a, b: _power(float(a), float(b))) for pair in _NUMBER_PAIRS
    ),
    ("math", "sqrt"): _numeric(_root),
    ("math", "isNaN"): _numeric(lambda x: x != x),
    ("firestore", "get"): (Overload(("path",), lambda p: p),),
    ("firestore", "exists"): (Overload(("path",), lambda p: p),),
}

FREE_FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "string": (Overload(("any",), to_string),),
    "int": (Overload(("any",), to_int),),
    "float": (Overload(("any",), to_float),),
    "path": (Overload(("any",), to_path),),
    "debug": (Overload(("any",), lambda x: x),),
    **{name: (Overload(("path",), lambda p: p),) for name in LOOKUP_FUNCTIONS},
}


def call_function(label: str, overloads: tuple[Overload, ...], args: Sequence[Value]) -> Value:
    """A free or namespace function by its overloads."""
    if len(overloads) == 1 and overloads[0].types == ("any",) and len(args) == 1:
        return overloads[0].run(args[0])
    return choose(label, overloads, args)(*args)
