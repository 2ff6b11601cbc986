"""Whatever is sent, the answer is a model or InvalidArgument, never another error."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from baas.errors import InvalidArgument
from baas.model.canonical import canonical_id, canonicalize
from baas.model.matching import compile_filter, compile_order, within_cursors
from baas.model.query import Query
from baas.wire import json_codec, proto, proto_codec
from tests.unit.model.strategies import DATABASE
from tests.unit.wire import messages
from tests.unit.wire.messages import JSON, ROOT

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a", "__name__", "__a__", "a.b", "`", ROOT, f"{ROOT}/c/d", "NaN", "AND"])
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["fields", "values", "fieldPath", "integerValue", "mapValue", "x", "op"]
            ),
            inner,
            max_size=2,
        )
    ),
    max_leaves=4,
)


def places(raw: Any) -> list[tuple[Any, Any]]:
    """Every container and key within a JSON value."""
    pairs: list[tuple[Any, Any]] = []
    keys = raw.keys() if isinstance(raw, dict) else range(len(raw)) if isinstance(raw, list) else ()
    for key in keys:
        pairs.append((raw, key))
        pairs.extend(places(raw[key]))
    return pairs


def spoiled(valid: st.SearchStrategy[JSON]) -> st.SearchStrategy[Any]:
    """A valid request with something else in one place."""

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        raw = copy.deepcopy(draw(valid))
        candidates = places(raw)
        if candidates:
            container, key = draw(st.sampled_from(candidates))
            container[key] = draw(junk)
        return raw

    return build()


def parse_to_the_end(raw: Any) -> None:
    query = canonicalize(json_codec.parse_query(ROOT, raw, strict=False))
    use(query)


def use(query: Query) -> None:
    canonical_id(query)
    compile_filter(query)
    compile_order(query)
    within_cursors(query)


CASES: list[tuple[st.SearchStrategy[JSON], Callable[[Any], Any]]] = [
    (messages.writes, json_codec.parse_write),
    (messages.commits, json_codec.parse_commit),
    (messages.queries, parse_to_the_end),
    (messages.aggregation_queries, lambda raw: json_codec.parse_aggregations(ROOT, raw)),
    (messages.listen_requests, json_codec.parse_listen_request),
    (messages.consistencies, json_codec.parse_consistency),
]


@pytest.mark.parametrize(("valid", "parse"), CASES)
@settings(max_examples=40)
@given(st.data())
def test_a_spoiled_request(
    valid: st.SearchStrategy[JSON], parse: Callable[[Any], Any], data: st.DataObject
) -> None:
    raw = data.draw(spoiled(valid))
    try:
        parse(raw)
    except InvalidArgument:
        pass


@pytest.mark.parametrize("parse", [parse for _, parse in CASES])
@given(junk)
def test_junk(parse: Callable[[Any], Any], raw: Any) -> None:
    try:
        parse(raw)
    except InvalidArgument:
        pass


@given(messages.queries, st.data())
def test_a_damaged_message(raw: JSON, data: st.DataObject) -> None:
    encoded = bytearray(json_format.ParseDict(raw, proto.StructuredQuery()).SerializeToString())
    for _ in range(2):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = proto.StructuredQuery.FromString(bytes(encoded))
        use(canonicalize(proto_codec.decode_query(ROOT, message)))
    except (DecodeError, InvalidArgument):
        pass


@given(messages.commits, st.data())
def test_a_damaged_commit(raw: JSON, data: st.DataObject) -> None:
    encoded = bytearray(json_format.ParseDict(raw, proto.CommitRequest()).SerializeToString())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        proto_codec.decode_commit(proto.CommitRequest.FromString(bytes(encoded)))
    except (DecodeError, InvalidArgument):
        pass


def test_errors_do_not_repeat_a_huge_input() -> None:
    name = "x" * 100_000
    for parse in (
        lambda: json_codec.parse_commit({name: 1}, DATABASE),
        lambda: json_codec.parse_write({"delete": f"{ROOT}/{name}"}),
        lambda: json_codec.parse_write({"update": {"name": f"{ROOT}/c/d", "fields": {name: 1}}}),
        lambda: json_codec.decode_value({name: 1}),
        lambda: json_codec.decode_value({"timestampValue": name}),
    ):
        with pytest.raises(InvalidArgument) as refused:
            parse()
        assert len(refused.value.message) < 1_000
