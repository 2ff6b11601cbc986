from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.model.field_access import MISSING, delete_field, get_field, project, set_field
from baas.model.ordering import identical
from baas.model.paths import FieldPath
from baas.model.values import Fields, Value, Vector
from tests.unit.model.strategies import field_names, maps, values

FIELDS: Fields = {"a": {"b": 1, "c": None}, "l": [{"b": 1}], "v": Vector((1.0,))}
paths = st.lists(st.sampled_from(["a", "b", "c"]) | field_names(), min_size=1, max_size=3).map(
    tuple
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("a", "b"), 1),
        (("a", "c"), None),
        (("a", "x"), MISSING),
        (("a", "b", "c"), MISSING),
        (("l", "b"), MISSING),
        (("v", "value"), MISSING),
        (("x",), MISSING),
    ],
)
def test_a_path_goes_through_maps_only(path: FieldPath, expected: object) -> None:
    assert get_field(FIELDS, path) is expected or get_field(FIELDS, path) == expected


@given(maps(), paths, values(3))
def test_what_is_set_is_found_and_what_was_given_unchanged(
    fields: Fields, path: FieldPath, value: Value
) -> None:
    before = copy.deepcopy(fields)
    assert identical(get_field(set_field(fields, path, value), path), value)
    assert identical(fields, before)


@given(maps(), paths, values(3))
def test_what_is_deleted_is_missing_and_what_was_given_unchanged(
    fields: Fields, path: FieldPath, value: Value
) -> None:
    fields = set_field(fields, path, value)
    before = copy.deepcopy(fields)
    assert get_field(delete_field(fields, path), path) is MISSING
    assert identical(fields, before)


def test_a_projection_has_the_named_fields_and_no_others() -> None:
    assert project(FIELDS, [("a", "b"), ("x",), ("v",)]) == {"a": {"b": 1}, "v": Vector((1.0,))}
