"""Random conditions, filters and values, for properties that hold of all of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rules import And, FieldFilter, Or, Timestamp

NOW = Timestamp.from_seconds(1000)
FIELDS = ("a", "b", "m.x", "m")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 1.0, 2.5, -0.0, 2**53, 2**53 + 1, float(2**53), float("nan"),
    float("inf"), "", "a", "b", "u1", "\ufb00", "\U0001f600", b"a",
    NOW, Timestamp.from_seconds(900), [], [1], [1.0], ["a"], ["a", "u1"], [[1]], [float("nan")],
    {}, {"x": 1}, {"x": 1.0}, {"x": "a"}, {"x": None},
)  # fmt: skip
LITERALS = (
    "null", "true", "false", "0", "1", "2", "1.0", "2.5", "9007199254740992", "9007199254740993",
    "''", "'a'", "'b'", "'\\ufb00'", "'😀'", "request.auth.uid", "request.time",
    "request.time - duration.value(100, 's')", "[]", "[1]", "[1.0]", "['a']", "['a', 'u1']",
    "{}", "{'x': 1}", "{'x': 1.0}", "{'x': 'a'}", "'a'.toUtf8()", "d", "resource.id", "/a/b",
)  # fmt: skip
TYPES = ("int", "float", "number", "string", "list", "map", "bool", "timestamp", "bytes", "path")

values = st.sampled_from(VALUES)
fields = st.sampled_from(FIELDS)


@st.composite
def operands(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression of any type, mostly about the document."""
    shape = draw(st.integers(0, 13 if depth else 3))
    if shape <= 2:
        return f"resource.data.{draw(fields)}"
    if shape == 3:
        return f"({draw(st.sampled_from(LITERALS))})"
    one = draw(operands(depth - 1))
    other = draw(operands(depth - 1))
    return [
        f"resource.data.get('{draw(fields)}', {other})",
        f"resource.data.get(['m', 'x'], {other})",
        f"[{one}, {other}]",
        f"{{'x': {one}}}",
        f"({one} {draw(st.sampled_from('+-*/%'))} {other})",
        f"{one}.size()",
        f"{one}[0]",
        f"({draw(conditions(depth - 1))} ? {one} : {other})",
        f"pass({one})",
        draw(
            st.sampled_from(
                (
                    f"{one}.keys()",
                    f"{one}.toSet()",
                    f"{one}.values()",
                    f"-{one}",
                    f"string({one})",
                    f"int({one})",
                    f"{one}.diff({other}).affectedKeys()",
                    f"{one}.concat({other})",
                    f"{one}.removeAll({other})",
                    f"{one}.join(',')",
                    "resource.data",
                    "resource",
                )
            )
        ),
    ][shape - 4]


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    shape = draw(st.integers(0, 12 if depth else 6))
    if shape <= 6:
        one, other = draw(operands(max(0, depth - 1))), draw(operands(max(0, depth - 1)))
        key = draw(fields)
        return [
            f"{one} == {other}",
            f"{one} != {other}",
            f"{one} {draw(st.sampled_from(('<', '<=', '>', '>=')))} {other}",
            f"{one} in {other}",
            f"({one} is {draw(st.sampled_from(TYPES))})",
            f"'{key.partition('.')[0]}' in resource.data",
            f"{one}.{draw(st.sampled_from(('hasAny', 'hasAll', 'hasOnly')))}({other})",
        ][shape]
    one, other = draw(conditions(depth - 1)), draw(conditions(depth - 1))
    return [
        f"({one} && {other})",
        f"({one} || {other})",
        f"!({one})",
        f"!({one})",
        f"({one} ? {other} : {draw(conditions(depth - 1))})",
        f"({one}) == ({other})",
    ][shape - 7]


@st.composite
def filters(draw: st.DrawFn, depth: int = 2) -> Any:
    if depth and draw(st.integers(0, 2)) == 0:
        parts = tuple(draw(st.lists(filters(depth - 1), min_size=1, max_size=3)))
        return And(parts) if draw(st.booleans()) else Or(parts)
    path = tuple(draw(fields).split("."))
    op = draw(
        st.sampled_from(
            ("==", "==", "!=", "<", "<=", ">", ">=", "in", "not-in", "array-contains",
             "array-contains-any", "is-null", "is-nan", "is-not-null", "is-not-nan")
        )
    )  # fmt: skip
    if op in ("in", "not-in", "array-contains-any"):
        return FieldFilter(path, op, draw(st.lists(values, min_size=1, max_size=3)))
    return FieldFilter(path, op, None if op.startswith("is-") else draw(values))
