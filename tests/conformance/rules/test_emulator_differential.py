"""The same expressions and queries, judged here and by Google's Firestore emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from rules import (
    FIRESTORE,
    Auth,
    Coverage,
    Duration,
    FieldFilter,
    LatLng,
    NoLookups,
    Path,
    Request,
    RulesCompileError,
    Set,
    Timestamp,
    compile_rules,
)
from tests.conformance.rules.emulator import Emulator, installed
from tests.conformance.rules.expressions import CORNERS, sample
from tests.conformance.rules.world import NOW, World, condition, where

FOLDER = installed()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="the Firestore emulator is not installed")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    assert FOLDER is not None
    process = Emulator(FOLDER)
    yield process
    process.close()


def many(texts: list[str]) -> str:
    """One ruleset with a match block for each condition."""
    blocks = "\n".join(f"match /t/e{i} {{ allow get: if {text}; }}" for i, text in enumerate(texts))
    return (
        "rules_version='2';\nservice cloud.firestore { match /databases/{database}/documents {\n"
        f"{blocks}\n}} }}"
    )


def ask(emulator: Emulator, texts: list[str]) -> list[str]:
    """T, F or E for each condition; "refused" where the emulator does not compile it."""
    if emulator.load(many(texts)):
        return [emulator.get(f"t/e{i}") for i in range(len(texts))]
    if len(texts) == 1:
        return ["refused"]
    half = len(texts) // 2
    return ask(emulator, texts[:half]) + ask(emulator, texts[half:])


def value_here(text: str) -> tuple[str, Any]:
    """("value", v), or ("error", message)."""
    ruleset = compile_rules(many([f"debug({text}) == 1"]))
    request = Request(FIRESTORE, "get", ("t", "e0"), NOW, auth=Auth("u1", {"sub": "u1"}))
    seen: dict[Any, Any] = {}
    failed: dict[Any, str] = {}

    class Tracer:
        def value(self, node: Any, value: Any) -> None:
            seen[node] = value

        def error(self, node: Any, error: Any) -> None:
            failed[node] = error.message

    ruleset.evaluate(request, NoLookups(), coverage=cast(Coverage, Tracer()))
    argument = ruleset.conditions[0].left.args[0]  # type: ignore[attr-defined]
    if argument in failed:
        return "error", failed[argument]
    return "value", seen[argument]


def literal(value: Any) -> str | None:
    """A value as an expression; None for what cannot be compared."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            return "(1.0 / 0)" if value > 0 else "(-1.0 / 0)"
        return f"float('{value!r}')"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        return f"'{escaped}'"
    if isinstance(value, list):
        items = [literal(item) for item in value]
        return None if None in items else f"[{','.join(map(str, items))}]"
    if isinstance(value, dict):
        entries = {key: literal(item) for key, item in value.items()}
        body = ",".join(f"{literal(key)}:{text}" for key, text in entries.items())
        return None if None in entries.values() else f"{{{body}}}"
    if isinstance(value, Set):
        inner = literal(list(value.values))
        return None if inner is None else f"{inner}.toSet()"
    if isinstance(value, Timestamp):
        millis, nanos = divmod(value.total_nanos, 1_000_000)
        return f"(timestamp.value({millis}) + duration.value({nanos},'ns'))"
    if isinstance(value, Duration):
        return f"(duration.value({value.seconds},'s') + duration.value({value.nanos},'ns'))"
    if isinstance(value, LatLng):
        return f"latlng.value({literal(value.latitude)},{literal(value.longitude)})"
    if isinstance(value, Path) and not value.is_template:
        return f"path('{value}')"
    return None


def claim(text: str) -> tuple[str, str] | None:
    """A condition about an expression, and how it must come out if both runtimes agree."""
    kind, value = value_here(text)
    if kind == "error":
        return f"debug({text}) == 1", "E"
    if isinstance(value, bytes):
        return f"({text}).toHexString() == '{value.hex().upper()}'", "T"
    if isinstance(value, Path) and value.is_template:
        return f"({text}) == ({text})", "F"
    if isinstance(value, float) and value != value:
        return f"math.isNaN({text})", "T"
    shown = literal(value)
    return None if shown is None else (f"({text}) == {shown}", "T")


def disagreements(emulator: Emulator, texts: list[str]) -> list[str]:
    claims = [made for text in texts if (made := claim(text)) is not None]
    assert len(claims) > 0.8 * len(texts)
    found: list[str] = []
    for start in range(0, len(claims), 150):
        part = claims[start : start + 150]
        answers = ask(emulator, [text for text, _ in part])
        for (text, expected), answer in zip(part, answers, strict=True):
            # The emulator breaks down (HTTP 500) on some calls whose types it finds wrong beforehand.
            if answer not in (expected, "refused") or (answer == "refused" and expected != "E"):
                found.append(f"{text}: emulator {answer}, here {expected}")
    return found


def test_corner_cases(emulator: Emulator) -> None:
    assert disagreements(emulator, list(CORNERS)) == []


def test_a_sample_of_all_operators_methods_and_functions(emulator: Emulator) -> None:
    assert disagreements(emulator, sample(300, seed=20)) == []


SOURCES = [
    ("a condition that ends in a double minus", "--5 == -5"),
    ("an exponent", "1e5 == 1.0"),
    ("an unspaced division", "1/2 == 0"),
    ("an unknown type name", "1 is bogus"),
    ("a bad pattern", "'a'.matches('(')"),
    ("an integer out of range", "9223372036854775808 > 0"),
    ("an unknown escape", "'\\d' == 'd'"),
    ("nothing", ""),
    ("an unknown variable", "nosuch == 1"),
    ("an unknown function", "nosuch() == 1"),
    ("a trailing comma", "[1,2,].size() == 2"),
    ("98 parentheses", "(" * 98 + "true" + ")" * 98),
]


@pytest.mark.parametrize(("what", "text"), SOURCES)
def test_both_compile_it_or_neither(emulator: Emulator, what: str, text: str) -> None:
    try:
        compile_rules(condition("get", text))
        here = True
    except RulesCompileError:
        here = False
    assert here is emulator.load(condition("get", text))


OWNER = "resource.data.owner == request.auth.uid"
# Where the emulator allows although documents may violate the rule, or cannot tell, we deny.
QUERIES: list[tuple[str, list[FieldFilter]]] = [
    ("true", []),
    (OWNER, []),
    (OWNER, [where("owner", "==", "u1")]),
    (OWNER, [where("owner", "==", "u2")]),
    (OWNER, [where("owner", "in", ["u1"])]),
    (OWNER, [where("owner", "in", ["u1", "u2"])]),
    (OWNER, [where("owner", "==", "u1"), where("n", "==", 1)]),
    ("resource.data.age >= 18", [where("age", ">=", 18)]),
    ("resource.data.age >= 18", [where("age", ">", 20)]),
    ("resource.data.age >= 18", [where("age", ">=", 10)]),
    ("resource.data.age >= 18", [where("age", "<", 30)]),
    ("resource.data.age >= 18", [where("age", "==", 30)]),
    ("request.auth.uid in resource.data.members", [where("members", "array-contains", "u1")]),
    ("request.auth.uid in resource.data.members", [where("members", "array-contains", "u2")]),
    ("request.auth.uid in resource.data.members", []),
    ("resource.data.status in ['a','b']", [where("status", "==", "a")]),
    ("resource.data.status in ['a','b']", [where("status", "in", ["a", "b"])]),
    ("resource.data.status in ['a','b']", [where("status", "in", ["a", "c"])]),
    ("resource.data.kind is string", [where("kind", "==", "a")]),
    ("resource.data.kind is string", []),
    ("resource.data.roles[request.auth.uid] == 'owner'", [where("roles.u1", "==", "owner")]),
    ("resource.data.status != 'x'", [where("status", "==", "a")]),
    ("resource.data.status != 'x'", []),
    ("d == 'one'", []),
    (f"resource == null || {OWNER}", []),
]
WIRE = {
    "==": "EQUAL",
    "<": "LESS_THAN",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
    "in": "IN",
    "array-contains": "ARRAY_CONTAINS",
}


def wire_value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [wire_value(item) for item in value]}}
    return {"integerValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def wire_query(filters: list[FieldFilter]) -> dict[str, Any]:
    parts = [
        {
            "fieldFilter": {
                "field": {"fieldPath": ".".join(one.field_path)},
                "op": WIRE[one.op],
                "value": wire_value(one.value),
            }
        }
        for one in filters
    ]
    query: dict[str, Any] = {"from": [{"collectionId": "c"}]}
    if len(parts) == 1:
        query["where"] = parts[0]
    elif parts:
        query["where"] = {"compositeFilter": {"op": "AND", "filters": parts}}
    return query


@pytest.mark.parametrize(("rule", "filters"), QUERIES)
def test_queries(emulator: Emulator, rule: str, filters: list[FieldFilter]) -> None:
    source = condition("list", rule)
    assert emulator.load(source)
    here = World(source, {}, "u1").query(*filters).allowed
    assert here is emulator.may_query(wire_query(filters))


def test_unsound_answers_of_the_emulator_are_not_copied(emulator: Emulator) -> None:
    """It judges a map of only the constrained fields, so it grants what documents may violate."""
    source = condition("list", "!('hidden' in resource.data)")
    assert emulator.load(source)
    assert emulator.may_query(wire_query([]))
    assert not World(source).query().allowed
