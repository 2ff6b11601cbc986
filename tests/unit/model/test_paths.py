from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import InvalidArgument
from baas.model.paths import (
    DatabaseId,
    DocumentName,
    FieldPath,
    check_segment,
    format_field_path,
    numeric_id,
    parse_field_path,
)
from tests.unit.model.strategies import document_names, field_names

ROOT = "projects/p/databases/(default)/documents"


@given(document_names())
def test_a_document_name_is_parsed_from_its_own_form(name: DocumentName) -> None:
    assert DocumentName.parse(name.name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "c/d",
        ROOT,
        f"{ROOT}/c",
        f"{ROOT}/c/",
        f"{ROOT}//d",
        f"{ROOT}/c/.",
        f"{ROOT}/c/..",
        f"{ROOT}/c/__x__",
        f"{ROOT}/c/\ud800",
        f"{ROOT}/c/{'x' * 1_501}",
        f"{ROOT}/{'/'.join(['c', 'd'] * 101)}",
        f"{ROOT}/{'/'.join(['x' * 1_500] * 6)}",
        "projects/p/databases/d!/documents/c/d",
        "projects//databases/d/documents/c/d",
        "projects/p/databases/(default)/collections/c/d",
    ],
)
def test_refused_document_names(name: str) -> None:
    with pytest.raises(InvalidArgument):
        DocumentName.parse(name)


@pytest.mark.parametrize(
    "name", ["projects/p", "p/d", "projects/p/databases/", "projects/p/databases/d/x"]
)
def test_refused_database_names(name: str) -> None:
    with pytest.raises(InvalidArgument):
        DatabaseId.parse(name)


@pytest.mark.parametrize(
    ("segment", "number"),
    [
        ("__id7__", 7),
        ("__id-9223372036854775808__", -(2**63)),
        ("__id9223372036854775808__", None),
        ("__id07__", None),
        ("__id-0__", None),
        ("__id__", None),
        ("id7", None),
    ],
)
def test_numeric_ids_are_int64_in_their_plain_form(segment: str, number: int | None) -> None:
    assert numeric_id(segment) == number


def test_the_length_of_an_id_is_told_in_bytes() -> None:
    assert check_segment("é") == 2


@given(st.lists(field_names(), min_size=1, max_size=3).map(tuple))
def test_a_field_path_is_parsed_from_its_own_form(path: FieldPath) -> None:
    assert parse_field_path(format_field_path(path)) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a._b1", ("a", "_b1")),
        ("m.`\\`odd\\``", ("m", "`odd`")),
        ("`a.b`.`\\\\`", ("a.b", "\\")),
        ("`\\x`", ("x",)),
    ],
)
def test_quoted_segments(text: str, path: FieldPath) -> None:
    assert parse_field_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "1a", "a-b", "``", "`a", "`a`b", "é", "a" * 1_501],
)
def test_refused_field_paths(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_field_path(text)
