"""Maps of the host, opened and converted only as far as a rule looks into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rules.types.path import Path

_PLAIN = frozenset({str, bool, int, float, bytes, type(None)})


class LazyMap(Mapping[str, Any]):
    """A map whose values are converted when they are asked for.

    `open`: gives the fields, called at the first look. `convert`: makes a value of the language of anything
    that is not a string, bool, int, float, bytes or null already.
    """

    __slots__ = ("_convert", "_converted", "_fields", "_open")

    def __init__(
        self, open: Callable[[], Mapping[str, Any]], convert: Callable[[Any], Any]
    ) -> None:
        self._open = open
        self._convert = convert
        self._fields: Mapping[str, Any] | None = None
        self._converted: dict[str, Any] = {}

    @property
    def fields(self) -> Mapping[str, Any]:
        """The host's own fields."""
        fields = self._fields
        if fields is None:
            fields = self._fields = self._open()
        return fields

    def __getitem__(self, key: str) -> Any:
        fields = self._fields
        if fields is None:
            fields = self.fields
        value = fields[key]
        if type(value) in _PLAIN:
            return value
        converted = self._converted
        if key not in converted:
            converted[key] = self._convert(value)
        return converted[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, key: object) -> bool:
        return key in self.fields


class DocumentMap(Mapping[str, Any]):
    """A document as rules see it: `data`, `id` and `__name__`, whose path is made when it is asked for."""

    __slots__ = ("_database", "_path", "data")

    def __init__(self, data: Mapping[str, Any], database: str, path: tuple[str, ...]) -> None:
        self.data = data
        self._database = database
        self._path = path

    def __getitem__(self, key: str) -> Any:
        if key == "data":
            return self.data
        if key == "id":
            return self._path[-1] if self._path else ""
        if key == "__name__":
            return Path.of_document(self._database, self._path)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("data", "id", "__name__"))

    def __len__(self) -> int:
        return 3
