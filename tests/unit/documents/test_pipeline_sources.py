"""What a pipeline's opening conditions tell the database: never less than they let through."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from baas.documents.pipelines.expressions import Compiler
from baas.documents.pipelines.rows import EvaluationError, Row
from baas.documents.pipelines.sources import opening_query
from baas.model.document import Document
from baas.model.matching import matches
from baas.model.paths import DatabaseId, DocumentName
from baas.model.pipeline import Call, Constant, Expression, FieldReference, Stage
from baas.model.query import CompositeFilter, FieldFilter, Operator, Query
from baas.model.values import Reference, Timestamp

DATABASE = DatabaseId("demo")
COLLECTION = Query(DATABASE, (), "c")
NAME = DocumentName(DATABASE, ("c", "d"))

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.5, -0.0, math.nan, math.inf]),
    st.sampled_from(["", "a", "b"]),
    st.just(Reference(NAME.name)),
    st.just(Timestamp(1)),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({"k": 1}))
FIELDS = st.sampled_from(["a", "b", "a.k", "__name__", "__create_time__"]).map(
    lambda text: FieldReference(tuple(text.split(".")), text)
)
COMPARISONS = (
    *("equal", "not_equal", "less_than", "less_than_or_equal", "greater_than"),
    *("greater_than_or_equal", "array_contains", "array_contains_any"),
    *("equal_any", "not_equal_any"),
)
LEAVES = st.one_of(
    st.builds(
        lambda name, args: Call(name, tuple(args)),
        st.sampled_from(COMPARISONS),
        st.one_of(st.tuples(FIELDS, VALUES.map(Constant)), st.tuples(VALUES.map(Constant), FIELDS)),
    ),
    FIELDS.map(lambda field: Call("exists", (field,))),
)
CONDITIONS: st.SearchStrategy[Expression] = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda name, args: Call(name, tuple(args)),
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        )
        | inner.map(lambda condition: Call("not", (condition,)))
    ),
    max_leaves=5,
)
DOCUMENTS = st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2).map(
    lambda fields: Document(NAME, Timestamp(1), Timestamp(2), fields=fields)
)


def holds(condition: Expression, document: Document) -> bool:
    def no_sub_pipelines(_pipeline: Any) -> Any:
        raise AssertionError("no pipeline within these expressions")

    evaluate = Compiler(Timestamp(0), no_sub_pipelines).compile(condition)
    try:
        return evaluate(Row(document.fields, document, {})) is True
    except EvaluationError:
        return False


@given(CONDITIONS, DOCUMENTS)
def test_the_query_means_every_document_that_the_conditions_let_through(
    condition: Expression, document: Document
) -> None:
    query = opening_query(COLLECTION, [Stage("where", (condition,))], limited=False)
    if holds(condition, document):
        assert matches(query, document)


def where(condition: Expression) -> Stage:
    return Stage("where", (condition,))


A = FieldReference(("a",), "a")
IS_ONE = Call("equal", (A, Constant(1)))


def test_opening_conditions_become_filters() -> None:
    other = Call("greater_than", (Constant(5), FieldReference(("b",), "b")))
    query = opening_query(COLLECTION, [where(IS_ONE), where(other)], limited=False)
    assert query.where == CompositeFilter(
        "AND",
        (FieldFilter(("a",), Operator.EQUAL, 1), FieldFilter(("b",), Operator.LESS_THAN, 5)),
    )


def test_conditions_after_another_stage_do_not() -> None:
    stages = [Stage("limit", (Constant(3),)), where(IS_ONE)]
    assert opening_query(COLLECTION, stages, limited=False).where is None


def test_the_limit_narrows_only_what_the_caller_can_see() -> None:
    stages = [where(IS_ONE), Stage("limit", (Constant(3),))]
    assert opening_query(COLLECTION, stages, limited=True).limit == 3
    assert opening_query(COLLECTION, stages, limited=False).limit is None
