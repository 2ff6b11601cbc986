"""What ``set_doc``, ``update_doc`` and their kin send: writes on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from homefire.errors import FirestoreError
from homefire.firestore._codec import WireValue, encode_map, encode_value, unsupported
from homefire.firestore._field_value import FieldValue
from homefire.firestore._paths import FieldPath, to_field_path

Segments: TypeAlias = tuple[str, ...]
WireWrite: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class _Parsed:
    """Data taken apart: paths that hold values, paths to delete, and transforms."""

    leaves: list[Segments] = field(default_factory=list)
    deletes: list[Segments] = field(default_factory=list)
    transforms: list[tuple[Segments, dict[str, Any]]] = field(default_factory=list)

    def map(self, values: Mapping[Any, object], path: Segments) -> dict[str, WireValue]:
        """Encode a map's plain values; note the rest."""
        fields: dict[str, WireValue] = {}
        for key, value in values.items():
            # Encoding an empty entry checks the key and the depth by the same rules as everywhere.
            encode_map({key: None}, ".".join(path), len(path))
            encoded = self.value(value, (*path, key))
            if encoded is not None:
                fields[key] = encoded
        return fields

    def value(self, value: object, path: Segments) -> WireValue | None:
        """Encode one value; ``None`` for those that the server computes."""
        if isinstance(value, FieldValue):
            self._sentinel(value, path)
            return None
        if isinstance(value, Mapping):
            if not value:
                self.leaves.append(path)
            return {"mapValue": {"fields": self.map(value, path)}}
        self.leaves.append(path)
        return encode_value(value, ".".join(path), len(path) - 1)

    def _sentinel(self, value: FieldValue, path: Segments) -> None:
        if value.name == "delete_field":
            self.deletes.append(path)
        else:
            self.transforms.append((path, _transform(value, ".".join(path))))


def set_write(
    name: str,
    data: Mapping[str, Any],
    *,
    merge: bool = False,
    merge_fields: Sequence[str | FieldPath] | None = None,
) -> WireWrite:
    """Replace a document, or merge into it what is given, or only ``merge_fields`` of it."""
    parsed = _Parsed()
    fields = parsed.map(_checked(data), ())
    if merge and merge_fields is not None:
        raise FirestoreError("invalid-argument", "Give merge or merge_fields, not both.")
    if merge_fields is not None:
        mask = _chosen(parsed, [to_field_path(path).segments for path in merge_fields])
        transforms = [item for item in parsed.transforms if _covered(item[0], merge_fields)]
        return _update(name, fields, transforms, mask=mask)
    if merge:
        return _update(name, fields, parsed.transforms, mask=[*parsed.leaves, *parsed.deletes])
    if parsed.deletes:
        raise unsupported(
            "delete_field() here: it is for update_doc(), and for set_doc() with merge",
            ".".join(parsed.deletes[0]),
        )
    return _update(name, fields, parsed.transforms, mask=None)


def create_write(name: str, data: Mapping[str, Any]) -> WireWrite:
    """Make a document that must not exist yet."""
    return {**set_write(name, data), "currentDocument": {"exists": False}}


def update_write(name: str, changes: Iterable[tuple[str | FieldPath, object]]) -> WireWrite:
    """Set fields of a document that must exist."""
    parsed = _Parsed()
    fields: dict[str, WireValue] = {}
    mask: list[Segments] = []
    for path, value in changes:
        segments = to_field_path(path).segments
        _check_apart(segments, [*mask, *(item[0] for item in parsed.transforms)])
        nested = _Parsed(transforms=parsed.transforms)
        encoded = nested.value(value, segments)
        if nested.deletes and nested.deletes != [segments]:
            raise unsupported(
                "delete_field() inside a map: in update_doc() it stands at the path itself",
                ".".join(nested.deletes[0]),
            )
        if encoded is not None:
            _put(fields, segments, encoded)
        if encoded is not None or nested.deletes:
            mask.append(segments)
    write = _update(name, fields, parsed.transforms, mask=mask)
    return {**write, "currentDocument": {"exists": True}}


def update_pairs(
    field_or_data: Mapping[str, Any] | Mapping[FieldPath, Any] | str | FieldPath,
    rest: Sequence[object],
) -> list[tuple[str | FieldPath, object]]:
    """The two ways to call ``update_doc``, as one: a mapping, or paths and values by turns."""
    if isinstance(field_or_data, Mapping):
        if rest:
            raise FirestoreError("invalid-argument", "A mapping is the only argument of an update.")
        return list(field_or_data.items())
    if len(rest) % 2 == 0:
        raise FirestoreError("invalid-argument", "Each field of an update needs a value.")
    flat = [field_or_data, *rest]
    return [(_as_path(flat[i]), flat[i + 1]) for i in range(0, len(flat), 2)]


def delete_write(name: str) -> WireWrite:
    """Remove a document, if it is there."""
    return {"delete": name}


def _update(
    name: str,
    fields: dict[str, WireValue],
    transforms: list[tuple[Segments, dict[str, Any]]],
    *,
    mask: Iterable[Segments] | None,
) -> WireWrite:
    write: WireWrite = {"update": {"name": name, "fields": fields}}
    if mask is not None:
        paths = sorted({FieldPath(*segments).canonical for segments in mask})
        write["updateMask"] = {"fieldPaths": paths}
    if transforms:
        write["updateTransforms"] = [
            {"fieldPath": FieldPath(*segments).canonical, **transform}
            for segments, transform in transforms
        ]
    return write


def _transform(value: FieldValue, where: str) -> dict[str, Any]:
    operand = value.operand
    if value.name == "server_timestamp":
        return {"setToServerValue": "REQUEST_TIME"}
    if value.name == "increment":
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise unsupported(f"an increment by {operand!r} (it takes a number)", where)
        return {"increment": encode_value(operand, where)}
    assert isinstance(operand, tuple)
    values = encode_value(list(operand), where)["arrayValue"]
    kind = "appendMissingElements" if value.name == "array_union" else "removeAllFromArray"
    return {kind: values}


def _chosen(parsed: _Parsed, chosen: list[Segments]) -> list[Segments]:
    """The mask of ``merge_fields``: each must be in the data; computed fields are no part of it."""
    computed = {segments for segments, _ in parsed.transforms}
    known = [*parsed.leaves, *parsed.deletes, *computed]
    for path in chosen:
        if not any(segments[: len(path)] == path for segments in known):
            raise FirestoreError(
                "invalid-argument",
                f"The field {'.'.join(path)} of merge_fields is missing from the data.",
            )
    return [path for path in chosen if path not in computed]


def _covered(segments: Segments, merge_fields: Sequence[str | FieldPath]) -> bool:
    chosen = (to_field_path(path).segments for path in merge_fields)
    return any(segments[: len(path)] == path for path in chosen)


def _check_apart(path: Segments, others: Iterable[Segments]) -> None:
    for other in others:
        shorter = min(len(path), len(other))
        if path[:shorter] == other[:shorter]:
            raise FirestoreError(
                "invalid-argument",
                f"An update cannot set both {'.'.join(other)} and {'.'.join(path)}.",
            )


def _put(fields: dict[str, WireValue], path: Segments, value: WireValue) -> None:
    for segment in path[:-1]:
        inner = fields.setdefault(segment, {"mapValue": {"fields": {}}})
        fields = inner["mapValue"]["fields"]
    fields[path[-1]] = value


def _checked(data: object) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise FirestoreError(
            "invalid-argument", f"A document's data is a dict, not {type(data).__name__}."
        )
    return data


def _as_path(value: object) -> str | FieldPath:
    if isinstance(value, str | FieldPath):
        return value
    raise FirestoreError("invalid-argument", f"A field is named by a string, not by {value!r}.")
