from __future__ import annotations

import pytest
from hypothesis import example, given

from baas.model.key_encoding import encode_value
from baas.model.key_reading import value_end
from baas.model.values import Reference, Value
from tests.unit.model.strategies import values


@given(values(), values())
@example(2**53, -(2**53))
@example(2**53 - 1, -(2**53) + 1)
@example(float("inf"), float("-inf"))
@example("\x00\x01", b"\x00\xff\x00\x01")
@example(Reference("projects/p/databases/d/documents/c/__id7__"), {"\x00": [[], {}]})
def test_a_value_in_a_key_ends_where_the_next_begins(first: Value, second: Value) -> None:
    one, two = encode_value(first), encode_value(second)
    key = b"before" + one + two + b"after"
    middle = value_end(key, len(b"before"))
    assert key[:middle] == b"before" + one
    assert key[middle : value_end(key, middle)] == two


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="0xff"):
        value_end(b"\xff\xff", 0)
