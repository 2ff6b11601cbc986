from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given

from baas.documents.apply import Applied, apply_write
from baas.errors import AlreadyExists, ApiError, FailedPrecondition, InvalidArgument, NotFound
from baas.model.document import Document
from baas.model.ordering import compare, equal, identical
from baas.model.paths import DocumentName, FieldPath, parse_field_path
from baas.model.values import INT64_MAX, INT64_MIN, Fields, Timestamp, Value
from baas.model.write import FieldTransform, Precondition, TransformKind, Write, WriteKind
from tests.unit.model.strategies import DATABASE, maps, values

NAME = DocumentName(DATABASE, ("c", "d"))
BEFORE, NOW = Timestamp(1_000), Timestamp(2_000)
NAN = float("nan")
Kind = TransformKind


def stored(fields: Fields) -> Document:
    return Document(NAME, BEFORE, BEFORE, fields=fields)


def paths(*texts: str) -> tuple[FieldPath, ...]:
    return tuple(parse_field_path(text) for text in texts)


def update(fields: Fields, **options: Any) -> Write:
    return Write(WriteKind.UPDATE, NAME, fields, **options)


def apply(before: Fields | None, write: Write) -> Applied:
    return apply_write(None if before is None else stored(before), write, NOW)


def fields_after(before: Fields | None, write: Write) -> Fields:
    after = apply(before, write).after
    assert after is not None
    return after.fields


def transformed(current: Value, kind: TransformKind, operand: Value) -> tuple[Value, Value]:
    """The field and the transform's result, after one transform of a field that holds ``current``."""
    write = update({}, mask=(), transforms=(FieldTransform(("n",), kind, operand),))
    applied = apply({"n": current}, write)
    assert applied.after is not None
    return applied.after.fields["n"], applied.result.transform_results[0]


class TestUpdates:
    def test_without_a_mask_the_document_is_replaced(self) -> None:
        assert fields_after({"a": 1, "b": 2}, update({"c": 3})) == {"c": 3}

    def test_a_missing_document_is_created_at_the_commit_time(self) -> None:
        applied = apply(None, update({"a": 1}))
        assert applied.after == Document(NAME, NOW, NOW, fields={"a": 1})
        assert applied.changed

    def test_an_update_keeps_the_create_time(self) -> None:
        after = apply({"a": 1}, update({"a": 2})).after
        assert after is not None
        assert (after.create_time, after.update_time) == (BEFORE, NOW)

    @pytest.mark.parametrize(
        ("before", "fields", "mask", "after"),
        [
            ({"a": 1, "b": 2}, {"a": 9}, ["a"], {"a": 9, "b": 2}),
            ({"a": 1, "b": 2}, {}, ["a"], {"b": 2}),
            ({"a": {"b": 1, "c": 2}}, {"a": {"b": 9}}, ["a.b"], {"a": {"b": 9, "c": 2}}),
            ({"a": {"b": 1}}, {}, ["a.b"], {"a": {}}),
            ({"a": "text"}, {"a": {"b": 1}}, ["a.b"], {"a": {"b": 1}}),
            ({"a": "text"}, {}, ["a.b"], {"a": "text"}),
            ({"x": 1}, {}, ["a.b"], {"x": 1}),
            ({"x": 1}, {"a": 1, "ignored": 2}, ["a"], {"x": 1, "a": 1}),
            ({"a": {"b": 1}}, {"a": {"c": 1}}, ["a", "a.c"], {"a": {"c": 1}}),
            ({"x": 1}, {"a.b": 1}, ["`a.b`"], {"x": 1, "a.b": 1}),
        ],
    )
    def test_a_masked_path_is_set_when_given_and_removed_when_not(
        self, before: Fields, fields: Fields, mask: list[str], after: Fields
    ) -> None:
        assert fields_after(before, update(fields, mask=paths(*mask))) == after

    def test_an_empty_mask_creates_a_missing_document_and_touches_no_other(self) -> None:
        assert fields_after(None, update({}, mask=())) == {}
        assert not apply({"a": 1}, update({}, mask=())).changed

    def test_the_before_image_stays_as_it_was(self) -> None:
        before: Fields = {"a": {"b": [1]}}
        increment = FieldTransform(("a", "n"), Kind.INCREMENT, 1)
        apply(before, update({}, mask=paths("a.b"), transforms=(increment,)))
        assert before == {"a": {"b": [1]}}


class TestWritesWithoutEffect:
    def test_keep_the_update_time_and_count_as_unchanged(self) -> None:
        applied = apply({"a": 1, "b": 2}, update({"b": 2, "a": 1}))
        assert not applied.changed
        assert applied.result.update_time == BEFORE
        assert applied.after == stored({"a": 1, "b": 2})

    @pytest.mark.parametrize(("old", "new"), [(1, 1.0), (0.0, -0.0), (1, True), ([1], [1.0])])
    def test_another_type_or_sign_of_the_same_worth_is_an_effect(
        self, old: Value, new: Value
    ) -> None:
        assert apply({"a": old}, update({"a": new})).changed

    @given(maps())
    def test_writing_what_is_there_never_has_an_effect(self, fields: Fields) -> None:
        assert not apply(fields, update(dict(fields))).changed


class TestDeletesAndVerifies:
    def test_a_delete_has_neither_document_nor_update_time(self) -> None:
        applied = apply({"a": 1}, Write(WriteKind.DELETE, NAME))
        assert (applied.after, applied.result.update_time, applied.changed) == (None, None, True)

    def test_deleting_what_is_missing_succeeds_without_effect(self) -> None:
        assert not apply(None, Write(WriteKind.DELETE, NAME)).changed

    def test_a_verify_changes_nothing_and_tells_when_the_document_was_updated(self) -> None:
        applied = apply({"a": 1}, Write(WriteKind.VERIFY, NAME))
        assert applied.after == stored({"a": 1})
        assert (applied.result.update_time, applied.changed) == (BEFORE, False)

    def test_a_verify_of_a_missing_document_tells_the_time_of_the_commit(self) -> None:
        applied = apply(None, Write(WriteKind.VERIFY, NAME))
        assert (applied.after, applied.result.update_time, applied.changed) == (None, NOW, False)


class TestPreconditions:
    @pytest.mark.parametrize("kind", list(WriteKind))
    @pytest.mark.parametrize(
        ("before", "precondition", "error"),
        [
            (None, Precondition(exists=True), NotFound),
            (None, Precondition(update_time=BEFORE), FailedPrecondition),
            ({}, Precondition(exists=False), AlreadyExists),
            ({}, Precondition(update_time=Timestamp(BEFORE.micros - 1)), FailedPrecondition),
            ({}, Precondition(update_time=NOW), InvalidArgument),
        ],
    )
    def test_a_failed_one_refuses_every_kind_of_write(
        self,
        kind: WriteKind,
        before: Fields | None,
        precondition: Precondition,
        error: type[ApiError],
    ) -> None:
        with pytest.raises(error):
            apply(before, Write(kind, NAME, precondition=precondition))

    @pytest.mark.parametrize(
        ("before", "precondition"),
        [
            (None, Precondition(exists=False)),
            ({}, Precondition(exists=True)),
            ({}, Precondition(update_time=BEFORE)),
        ],
    )
    def test_a_fulfilled_one_lets_it_through(
        self, before: Fields | None, precondition: Precondition
    ) -> None:
        assert apply(before, update({"a": 1}, precondition=precondition)).changed

    def test_the_missing_document_is_named(self) -> None:
        with pytest.raises(NotFound, match=re.escape(f"No document to update: {NAME.name}")):
            apply(None, update({}, precondition=Precondition(exists=True)))


class TestTransforms:
    def test_request_time_is_the_commit_time(self) -> None:
        assert transformed(None, Kind.REQUEST_TIME, None) == (NOW, NOW)

    @pytest.mark.parametrize(
        ("current", "kind", "operand", "expected"),
        [
            (1, Kind.INCREMENT, 2, 3),
            (1, Kind.INCREMENT, 1.5, 2.5),
            (1.0, Kind.INCREMENT, 1, 2.0),
            ("text", Kind.INCREMENT, 5, 5),
            (INT64_MAX, Kind.INCREMENT, 1, INT64_MAX),
            (INT64_MIN, Kind.INCREMENT, -1, INT64_MIN),
            (True, Kind.INCREMENT, 1, 1),
            (3, Kind.MAXIMUM, 4.5, 4.5),
            (3, Kind.MAXIMUM, 3.0, 3),
            (3.0, Kind.MAXIMUM, 3, 3.0),
            (-0.0, Kind.MAXIMUM, 0, -0.0),
            (3, Kind.MINIMUM, 2.5, 2.5),
            (3, Kind.MINIMUM, 3.0, 3),
            (3, Kind.MAXIMUM, NAN, NAN),
            (NAN, Kind.MAXIMUM, 3, NAN),
            (3, Kind.MINIMUM, NAN, NAN),
            (NAN, Kind.MINIMUM, 3, NAN),
            (None, Kind.MINIMUM, 7, 7),
        ],
    )
    def test_numbers(
        self, current: Value, kind: TransformKind, operand: Value, expected: Value
    ) -> None:
        value, result = transformed(current, kind, operand)
        assert identical(value, expected)
        assert identical(result, expected)

    @pytest.mark.parametrize(
        ("current", "kind", "operand", "expected"),
        [
            ([1], Kind.APPEND_MISSING, [1.0, 2, 2, NAN, NAN, None], [1, 2, NAN, None]),
            ([1, 1], Kind.APPEND_MISSING, [1], [1, 1]),
            ("text", Kind.APPEND_MISSING, [1], [1]),
            ([1, 1.0, NAN, 2], Kind.REMOVE_ALL, [1, NAN], [2]),
            ("text", Kind.REMOVE_ALL, [1], []),
        ],
    )
    def test_arrays(
        self, current: Value, kind: TransformKind, operand: Value, expected: Value
    ) -> None:
        value, result = transformed(current, kind, operand)
        assert identical(value, expected)
        assert result is None

    def test_each_works_on_what_the_one_before_it_left(self) -> None:
        step = FieldTransform(("n",), Kind.INCREMENT, 1)
        applied = apply({}, update({"n": 1}, transforms=(step, step)))
        assert applied.result.transform_results == (2, 3)

    def test_a_nested_path_makes_the_maps_on_its_way(self) -> None:
        step = FieldTransform(("a", "b", "n"), Kind.INCREMENT, 1)
        assert fields_after({"a": "x"}, update({}, mask=(), transforms=(step,))) == {
            "a": {"b": {"n": 1}}
        }

    @pytest.mark.parametrize(
        ("kind", "operand"),
        [(Kind.INCREMENT, "1"), (Kind.MAXIMUM, True), (Kind.APPEND_MISSING, 1)],
    )
    def test_an_operand_of_the_wrong_kind_is_refused(
        self, kind: TransformKind, operand: Value
    ) -> None:
        with pytest.raises(InvalidArgument):
            transformed(1, kind, operand)

    @given(values(), values())
    def test_a_union_holds_an_element_once_and_a_removal_none(
        self, element: Value, other: Value
    ) -> None:
        united, _ = transformed([other], Kind.APPEND_MISSING, [element, element])
        assert isinstance(united, list)
        assert sum(equal(each, element) for each in united) == 1
        removed, _ = transformed(united, Kind.REMOVE_ALL, [element])
        assert isinstance(removed, list)
        assert all(compare(each, element) != 0 for each in removed)


class TestLimits:
    def test_a_document_over_one_mebibyte_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="exceeds the maximum allowed size"):
            apply(None, update({"a": "x" * 600_000, "b": "x" * 600_000}))

    def test_values_may_be_twenty_levels_deep_and_no_deeper(self) -> None:
        def nested(levels: int) -> Value:
            value: Value = 1
            for _ in range(levels):
                value = {"m": value}
            return value

        apply(None, update({"a": nested(20)}))
        with pytest.raises(InvalidArgument, match="Field a is nested too deeply"):
            apply(None, update({"a": nested(21)}))

    def test_a_transform_cannot_grow_a_document_beyond_the_limit(self) -> None:
        grow = FieldTransform(("a",), Kind.APPEND_MISSING, ["y" * 600_000])
        with pytest.raises(InvalidArgument, match="exceeds the maximum"):
            apply({"a": ["x" * 600_000]}, update({}, mask=(), transforms=(grow,)))

    def test_at_most_five_hundred_transforms(self) -> None:
        steps = (FieldTransform(("n",), Kind.INCREMENT, 1),) * 501
        with pytest.raises(InvalidArgument, match="500 transforms"):
            apply({}, update({}, mask=(), transforms=steps))
