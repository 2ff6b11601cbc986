"""Reading the members of proto3-JSON objects, with the refusals of Google's JSON surface.

``strict`` refuses unknown names (REST, as in production); otherwise they are ignored (streams, whose
clients may be newer than this server). Both ``camelCase`` and the proto's own ``snake_case`` names are taken,
null counts as absent, enums come as names or numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import orjson

from baas.errors import InvalidArgument
from baas.model.values import Timestamp
from baas.wire.json_values import decode_base64, decode_int64
from baas.wire.timestamps import parse_timestamp
from baas.wire.value_checks import BadField

E = TypeVar("E")
_SNAKE: Final = re.compile(r"_([a-z0-9])")
_INT32 = range(-(2**31), 2**31)


def load_json(body: bytes | str) -> object:
    """Parse a JSON text.

    Raises:
        InvalidArgument: not JSON, not UTF-8, with lone surrogates, or nested beyond reason.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"Invalid JSON payload received. {error}") from None


def camel_case(name: str) -> str:
    """The JSON name of a member that the proto calls so."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


class JsonObject:
    """The members of one JSON object that stands for a message."""

    __slots__ = ("_members", "_where", "strict")

    def __init__(self, raw: object, known: frozenset[str], where: str, *, strict: bool) -> None:
        """``where`` is the object's place in the request, empty for the whole.

        Raises:
            InvalidArgument: not an object, or (strict) an unknown name in it.
        """
        if type(raw) is not dict:
            raise InvalidArgument(f"Invalid JSON payload received. {_at(where)} must be an object.")
        self._where = where
        self.strict = strict
        self._members: dict[str, Any] = raw if raw.keys() <= known else self._renamed(raw, known)

    def _renamed(self, raw: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
        members = {}
        for name, value in raw.items():
            camel = camel_case(name)
            if camel in known:
                members[camel] = value
            elif self.strict:
                place = f" at '{self._where}'" if self._where else ""
                raise InvalidArgument(
                    f'Invalid JSON payload received. Unknown name "{name[:100]}"{place}: '
                    "Cannot find field."
                )
        return members

    def place(self, name: str) -> str:
        """A member's place in the request."""
        return f"{self._where}.{name}" if self._where else name

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self._members.get(name) is not None

    def get(self, name: str) -> Any:
        """The raw member, or ``None``."""
        return self._members.get(name)

    def one_of(self, *names: str) -> str | None:
        """Which member of a oneof is there.

        Raises:
            InvalidArgument: more than one is.
        """
        present = [name for name in names if self.has(name)]
        if len(present) > 1:
            raise InvalidArgument(
                f"Invalid JSON payload received. {_at(self._where)} may have only one of "
                f"{', '.join(present)}."
            )
        return present[0] if present else None

    def child(self, name: str, known: frozenset[str]) -> JsonObject:
        """A member that is an object."""
        return JsonObject(self.get(name), known, self.place(name), strict=self.strict)

    def text(self, name: str) -> str:
        """A string; absent: empty."""
        raw = self.get(name)
        if raw is None:
            return ""
        if type(raw) is not str:
            raise self._expected(name, "a string")
        return raw

    def flag(self, name: str) -> bool:
        """A boolean; absent: false."""
        raw = self.get(name)
        if raw is None:
            return False
        if type(raw) is not bool:
            raise self._expected(name, "a boolean")
        return raw

    def int32(self, name: str) -> int | None:
        """An int32, or a wrapper object ``{"value": n}`` as some clients send."""
        raw = self.get(name)
        if type(raw) is dict and raw.keys() == {"value"}:
            raw = raw["value"]
        if raw is None:
            return None
        number = self._int64(name, raw)
        if number not in _INT32:
            raise self._expected(name, "an integer of 32 bits")
        return number

    def int64(self, name: str) -> int | None:
        """An int64, or a wrapper object."""
        raw = self.get(name)
        if type(raw) is dict and raw.keys() == {"value"}:
            raw = raw["value"]
        return None if raw is None else self._int64(name, raw)

    def octets(self, name: str) -> bytes | None:
        """Bytes in base64; empty counts as absent."""
        raw = self.get(name)
        if raw is None:
            return None
        try:
            return decode_base64(raw) or None
        except BadField:
            raise self._expected(name, "base64") from None

    def timestamp(self, name: str) -> Timestamp | None:
        """A timestamp."""
        raw = self.get(name)
        if raw is None:
            return None
        if type(raw) is not str:
            raise self._expected(name, "a timestamp")
        return parse_timestamp(raw)

    def items(self, name: str) -> list[Any]:
        """A repeated member; absent: empty."""
        raw = self.get(name)
        if raw is None:
            return []
        if type(raw) is not list:
            raise self._expected(name, "an array")
        return raw

    def texts(self, name: str) -> list[str]:
        """A repeated string."""
        raw = self.items(name)
        if any(type(each) is not str for each in raw):
            raise self._expected(name, "an array of strings")
        return raw

    def labels(self, name: str) -> dict[str, str]:
        """A map of strings to strings."""
        raw = self.get(name)
        if raw is None:
            return {}
        if type(raw) is not dict or any(type(value) is not str for value in raw.values()):
            raise self._expected(name, "an object of strings")
        return raw

    def enum(self, name: str, members: Mapping[str, E], numbers: Mapping[int, str]) -> E | None:
        """An enum's member by name or number; absent, or zero where that has no meaning: ``None``."""
        raw = self.get(name)
        if type(raw) is int:
            if raw == 0 and 0 not in numbers:
                return None
            raw = numbers.get(raw)
        if raw is None and not self.has(name):
            return None
        if type(raw) is str:
            if raw in members:
                return members[raw]
            if raw.endswith("_UNSPECIFIED"):
                return None
        raise self._expected(name, f"one of {', '.join(members)}")

    def _int64(self, name: str, raw: object) -> int:
        try:
            return decode_int64(raw)
        except BadField:
            raise self._expected(name, "an integer") from None

    def _expected(self, name: str, what: str) -> InvalidArgument:
        return InvalidArgument(f"Invalid value at '{self.place(name)}': {what} is expected.")


def _at(where: str) -> str:
    return f"'{where}'" if where else "The body"
