from __future__ import annotations

from collections.abc import Callable

import pytest

from baas.errors import InvalidArgument
from baas.model.limits import check_document, check_field_name, document_size, value_size
from baas.model.paths import DocumentName
from baas.model.values import GeoPoint, Reference, Timestamp, Value, Vector
from tests.unit.model.strategies import DATABASE


def test_the_size_of_a_document_is_what_firestore_publishes_for_its_example() -> None:
    name = DocumentName(DATABASE, ("users", "jeff", "tasks", "my_task_id"))
    fields: dict[str, Value] = {
        "type": "Personal",
        "done": False,
        "priority": 1,
        "description": "Learn Cloud Firestore",
    }
    assert document_size(name, fields) == 147


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, 1),
        (True, 1),
        (7, 8),
        (1.5, 8),
        (Timestamp(0), 8),
        ("é", 3),
        (b"abc", 3),
        (GeoPoint(0.0, 0.0), 16),
        (Reference("projects/p/databases/(default)/documents/c/d"), 20),
        ([1, None], 9),
        ({"ab": 1}, 11),
        (Vector((1.0, 2.0)), 9 + 11 + 6 + 16),
    ],
)
def test_values_count(value: Value, size: int) -> None:
    assert value_size(value) == size


def test_a_document_may_have_exactly_one_mebibyte() -> None:
    name = DocumentName(DATABASE, ("c", "d"))
    half = "x" * 500_000
    room = 1_048_576 - document_size(name, {"a": half, "b": ""})
    check_document(name, {"a": half, "b": "x" * room})
    with pytest.raises(InvalidArgument, match="exceeds the maximum allowed size"):
        check_document(name, {"a": half, "b": "x" * (room + 1)})


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda value: value,
        lambda value: [1, value],
        lambda value: {"long": value},
        lambda value: [{"long": value}],
    ],
)
@pytest.mark.parametrize("unit", ["x", "é", b"\x00"])
def test_one_value_may_have_1048487_bytes_wherever_it_lies(
    wrapped: Callable[[Value], Value], unit: str | bytes
) -> None:
    name = DocumentName(DATABASE, ("c", "d"))
    size = len(unit.encode() if isinstance(unit, str) else unit)
    most = 1_048_487 // size
    check_document(name, {"long": wrapped(unit * most)})
    with pytest.raises(InvalidArgument, match=r'property "long" is longer than 1048487 bytes'):
        check_document(name, {"long": wrapped(unit * (most + 1))})


@pytest.mark.parametrize("outer", ["-" * 749, "é" * 374 + "e"])
@pytest.mark.parametrize("wrapped", [lambda value: value, lambda value: [value]])
def test_the_path_of_a_nested_field_may_have_1500_bytes(
    wrapped: Callable[[Value], Value], outer: str
) -> None:
    name = DocumentName(DATABASE, ("c", "d"))
    check_document(name, {outer: wrapped({"i" * 750: 1})})
    with pytest.raises(InvalidArgument, match="invalid nested entity"):
        check_document(name, {outer: wrapped({"i" * 751: 1})})


@pytest.mark.parametrize("name", ["a", "_", "__", "___", "__a", "a__", "é" * 750, "a.b", "0"])
def test_allowed_field_names(name: str) -> None:
    check_field_name(name)


@pytest.mark.parametrize("name", ["", "__a__", "____", "__\n__", "a" * 1_501, "é" * 751])
def test_refused_field_names(name: str) -> None:
    with pytest.raises(InvalidArgument):
        check_field_name(name)
