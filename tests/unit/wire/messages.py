"""Requests as proto3-JSON, generated; and models brought into a form that can be compared."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from hypothesis import strategies as st

from baas.model.paths import format_field_path
from baas.model.values import Timestamp
from baas.wire.json_codec import (
    encode_base64,
    encode_fields_object,
    encode_value,
    format_timestamp,
)
from tests.unit.model.strategies import (
    DATABASE,
    document_names,
    documents,
    doubles,
    field_names,
    integers,
    maps,
    timestamps,
    values,
    vectors,
)

ROOT = f"{DATABASE.name}/documents"
JSON = dict[str, Any]


def comparable(model: Any) -> Any:
    """The model as plain nested data: NaN equal to itself, 1 and 1.0 and True different."""
    if dataclasses.is_dataclass(model) and not isinstance(model, type):
        parts = [(f.name, comparable(getattr(model, f.name))) for f in dataclasses.fields(model)]
        return (type(model).__name__, *parts)
    if isinstance(model, dict):
        return {key: comparable(value) for key, value in model.items()}
    if isinstance(model, list | tuple):
        return [comparable(each) for each in model]
    if isinstance(model, enum.Enum):
        return str(model)
    return (type(model).__name__, repr(model))


def optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[JSON]:
    """An object in which each of the members may be missing."""
    return st.fixed_dictionaries({}, optional=members)


moments = timestamps().map(format_timestamp)
names = document_names().map(lambda name: name.name)
paths = st.lists(field_names(), min_size=1, max_size=2).map(
    lambda path: format_field_path(tuple(path))
)
tokens = st.binary(min_size=1, max_size=6).map(encode_base64)
json_values = values(5).map(encode_value)
fields = maps(5).map(encode_fields_object)
masks = st.fixed_dictionaries({"fieldPaths": st.lists(paths, max_size=3)})
preconditions = st.one_of(
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"updateTime": moments}),
)
numbers = (integers() | doubles()).map(encode_value)
elements = (st.lists(values(3).filter(lambda value: type(value) is not list), max_size=3)).map(
    lambda chosen: {"values": [encode_value(each) for each in chosen]}
)
transforms = paths.flatmap(
    lambda path: st.one_of(
        st.just({"fieldPath": path, "setToServerValue": "REQUEST_TIME"}),
        *(
            st.fixed_dictionaries({"fieldPath": st.just(path), kind: numbers})
            for kind in ("increment", "maximum", "minimum")
        ),
        *(
            st.fixed_dictionaries({"fieldPath": st.just(path), kind: elements})
            for kind in ("appendMissingElements", "removeAllFromArray")
        ),
    )
)
updates = st.builds(
    lambda name, data, rest: {"update": {"name": name, "fields": data}, **rest},
    names,
    fields,
    optional(
        updateMask=masks,
        updateTransforms=st.lists(transforms, max_size=2),
        currentDocument=preconditions,
    ),
)
writes: st.SearchStrategy[JSON] = st.one_of(
    updates,
    st.builds(
        lambda name, rest: {"delete": name, **rest}, names, optional(currentDocument=preconditions)
    ),
    st.fixed_dictionaries({"verify": names, "currentDocument": preconditions}),
    st.fixed_dictionaries(
        {
            "transform": st.fixed_dictionaries(
                {"document": names, "fieldTransforms": st.lists(transforms, min_size=1, max_size=2)}
            )
        }
    ),
)
commits = st.builds(
    lambda each, rest: {"database": DATABASE.name, "writes": each, **rest},
    st.lists(writes, max_size=3),
    optional(transaction=tokens),
)

field_reference = paths.map(lambda path: {"fieldPath": path})
array_value = st.lists(
    values(3).filter(lambda value: type(value) is not list), min_size=1, max_size=3
)
field_filters = st.one_of(
    st.builds(
        lambda field, op, value: {"fieldFilter": {"field": field, "op": op, "value": value}},
        field_reference,
        st.sampled_from(
            ["LESS_THAN", "EQUAL", "NOT_EQUAL", "ARRAY_CONTAINS", "GREATER_THAN_OR_EQUAL"]
        ),
        json_values,
    ),
    st.builds(
        lambda field, op, value: {
            "fieldFilter": {"field": field, "op": op, "value": encode_value(value)}
        },
        field_reference,
        st.sampled_from(["IN", "NOT_IN", "ARRAY_CONTAINS_ANY"]),
        array_value,
    ),
    st.builds(
        lambda field, op: {"unaryFilter": {"field": field, "op": op}},
        field_reference,
        st.sampled_from(["IS_NAN", "IS_NULL", "IS_NOT_NAN", "IS_NOT_NULL"]),
    ),
)
filters: st.SearchStrategy[JSON] = st.recursive(
    field_filters,
    lambda inner: st.builds(
        lambda op, parts: {"compositeFilter": {"op": op, "filters": parts}},
        st.sampled_from(["AND", "OR"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=3,
)
cursors = st.builds(
    lambda positions, rest: {"values": positions, **rest},
    st.lists(json_values, max_size=2),
    optional(before=st.booleans()),
)
queries = optional(
    **{
        "from": st.lists(
            optional(collectionId=st.sampled_from(["c", "d"]), allDescendants=st.booleans()),
            max_size=1,
        ),
        "select": optional(fields=st.lists(field_reference, max_size=2)),
        "where": filters,
        "orderBy": st.lists(
            st.builds(
                lambda field, rest: {"field": field, **rest},
                field_reference,
                optional(direction=st.sampled_from(["ASCENDING", "DESCENDING"])),
            ),
            max_size=2,
        ),
        "startAt": cursors,
        "endAt": cursors,
        "offset": st.integers(-1, 5),
        "limit": st.integers(-1, 5),
        "findNearest": st.builds(
            lambda field, vector, measure, limit, rest: {
                "vectorField": field,
                "queryVector": encode_value(vector),
                "distanceMeasure": measure,
                "limit": limit,
                **rest,
            },
            field_reference,
            vectors(),
            st.sampled_from(["EUCLIDEAN", "COSINE", "DOT_PRODUCT"]),
            st.integers(0, 10),
            optional(
                distanceResultField=st.just("d"),
                distanceThreshold=st.floats(allow_nan=False, allow_infinity=False),
            ),
        ),
    }
)
transaction_options = st.one_of(
    st.fixed_dictionaries({"readOnly": optional(readTime=moments)}),
    st.fixed_dictionaries({"readWrite": optional(retryTransaction=tokens)}),
    st.just({}),
)
consistencies = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"transaction": tokens}),
    st.fixed_dictionaries({"newTransaction": transaction_options}),
    st.fixed_dictionaries({"readTime": moments}),
)
aggregation_queries = st.fixed_dictionaries(
    {
        "structuredQuery": queries,
        "aggregations": st.lists(
            st.one_of(
                st.fixed_dictionaries({"count": optional(upTo=st.integers(1, 9).map(str))}),
                st.fixed_dictionaries({"sum": st.fixed_dictionaries({"field": field_reference})}),
                st.fixed_dictionaries({"avg": st.fixed_dictionaries({"field": field_reference})}),
            ),
            min_size=1,
            max_size=3,
        ),
    }
)
targets = st.builds(
    lambda kind, resume, rest: {**kind, **resume, **rest},
    st.one_of(
        st.fixed_dictionaries(
            {"query": st.fixed_dictionaries({"parent": st.just(ROOT), "structuredQuery": queries})}
        ),
        st.fixed_dictionaries(
            {
                "documents": st.fixed_dictionaries(
                    {"documents": st.lists(names, min_size=1, max_size=2)}
                )
            }
        ),
    ),
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"resumeToken": tokens}),
        st.fixed_dictionaries({"readTime": moments}),
    ),
    optional(targetId=st.integers(1, 99), expectedCount=st.integers(0, 9), once=st.booleans()),
)
listen_requests = st.one_of(
    st.builds(
        lambda target, rest: {"database": DATABASE.name, "addTarget": target, **rest},
        targets,
        optional(labels=st.just({"goog-listen-tags": "limbo-document"})),
    ),
    st.builds(
        lambda target_id: {"database": DATABASE.name, "removeTarget": target_id},
        st.integers(1, 99),
    ),
)

times = st.integers(1, 10**15).map(Timestamp)
stored_documents = documents()
