"""Sources and requests made to hurt: refused or judged, in bounded time, never a crash."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import RulesCompileError, compile_rules
from tests.conformance.rules.world import World, condition

WORDS = st.sampled_from(
    (
        "rules_version", "=", "'2'", ";", "service", "cloud", ".", "firestore", "{", "}", "match",
        "/a/{b}", "/{c=**}", "allow", "read", ",", "write", ":", "if", "true", "null", "(", ")", "[",
        "]", "&&", "||", "!", "==", "<", "in", "is", "int", "+", "-", "*", "/", "%", "?", "function",
        "f", "return", "let", "x", "request", "resource", ".auth", ".data", "'text'", '"t"', "1", "2.5",
        "9223372036854775807", "/path/$(", "$(x)", "//", "/*", "*/", "\\", "'", '"', "get", "exists",
        "matches", "'('", '{"rules":', '".read":', '"auth != null"', '".write":', '"$x":', "\n", "\0",
        "é", "😀",
    )
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_any_words_compile_or_are_refused(source: str) -> None:
    try:
        compile_rules(source)
    except RulesCompileError as error:
        refused = error
    else:
        return
    assert refused.issues
    assert refused.render()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_condition_compiles_or_is_refused(text: str) -> None:
    try:
        ruleset = compile_rules(condition("get", text))
    except RulesCompileError:
        return
    World(ruleset).get()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_json_rule_compiles_or_is_refused(text: str) -> None:
    try:
        ruleset = compile_rules(json.dumps({"rules": {".read": text}}))
    except RulesCompileError:
        return
    World(ruleset).get()


DEEP = [
    "(" * 5000 + "true" + ")" * 5000,
    "!" * 5000 + "true",
    "-" + " -" * 5000 + "1 == 1",
    "[" * 5000 + "]" * 5000 + " == []",
    "{'a':" * 5000 + "1" + "}" * 5000 + " == {}",
    "a" + ".a" * 5000 + " == 1",
    "a" + "[0]" * 5000 + " == 1",
    "f(" * 5000 + "1" + ")" * 5000,
    "1" + " + 1" * 5000 + " > 0",
    "true ? true : " * 5000 + "true",
    "/a/$(" * 5000 + "1" + ")" * 5000 + " == 1",
    "1 || 1 && 1 in 1 == 1 < 1 + 1 * (" * 200 + "1" + ")" * 200,
]


@pytest.mark.parametrize("text", DEEP)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(RulesCompileError):
        compile_rules(condition("get", text))


def test_a_long_chain_is_not_deep() -> None:
    assert World(condition("get", " || ".join(["false"] * 400 + ["true"]))).get().allowed


def test_a_very_long_chain_ends_at_the_limit() -> None:
    decision = World(condition("get", " && ".join(["true"] * 20_000))).get()
    assert not decision.allowed
    assert "maximum of 1000 expressions" in decision.message_dev()


def test_a_source_of_256_kib_is_refused() -> None:
    source = condition("get", "true")
    with pytest.raises(RulesCompileError, match="fewer than 262144"):
        compile_rules(source + " " * 262_144)


def test_deep_match_blocks_are_refused() -> None:
    body = "match /a/{b} {" * 3000 + "}" * 3000
    with pytest.raises(RulesCompileError):
        compile_rules(f"service cloud.firestore {{ {body} }}")


def test_functions_that_double_the_work_end_at_the_limit() -> None:
    """Twenty levels of two calls each would be a million evaluations."""
    functions = "".join(
        f"function f{i}() {{ return f{i + 1}() && f{i + 1}(); }} " for i in range(19)
    )
    source = (
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents { "
        f"{functions} function f19() {{ return true; }} match /c/{{d}} {{ allow get: if f0(); }} }} }}"
    )
    started = time.monotonic()
    assert not World(source).get().allowed
    assert time.monotonic() - started < 1


GROWTH = [
    ("'xxxxxxxxxxxxxxxx'", "+".join(["x"] * 40), "x.size() > 0"),
    ("[1]", "x.concat(x).concat(x).concat(x)", "x.size() > 0"),
    ("[1]", "[x, x, x, x]", "x == y"),
    ("[1]", "{'a': x, 'b': x, 'c': x}", "x == y"),
    ("[1]", "[x, x, x, x]", "x.toSet() == y.toSet()"),
    (
        "['x']",
        "[x.join('xxxxxx'), x.join('y'), x.join('z')]",
        "x.size() > 0 && x.join('').size() < 0",
    ),
    ("'x'", "x.replace('x', 'xxxxxxxx')", "x.size() > 0"),
    ("'x'", "(x + x).toUtf8().toHexString()", "x.size() > 0"),
    ("/a/b", "/$(x)/$(x)/$(x)", "x == x"),
]


@pytest.mark.parametrize(("start", "step", "last"), GROWTH)
def test_values_that_grow_with_every_call_end_in_time(start: str, step: str, last: str) -> None:
    """Each of twenty functions hands on more than it got; two copies are then compared."""
    other = step.replace("x", "y") if "y" in last else "y"
    functions = "".join(
        f"function f{i}(x, y) {{ return f{i + 1}({step}, {other}); }} " for i in range(19)
    )
    source = (
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents { "
        f"{functions} function f19(x, y) {{ return {last}; }} "
        f"match /c/{{d}} {{ allow get: if f0({start}, {start}); }} }} }}"
    )
    started = time.monotonic()
    decision = World(source).get()
    assert not decision.allowed
    assert decision.message_dev()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('(a+)+')", {}),
        ("resource.data.s.matches('(.*)*x')", {"s": "a" * 100_000}),
        ("resource.data.s.matches(resource.data.p)", {"s": "a", "p": "((a{1,100}){1,100}){1,100}"}),
        ("resource.data.s.matches(resource.data.p)", {"s": "a", "p": "(" * 10_000}),
        ("resource.data.s.matches('.*')", {"s": "\ud800"}),
        ("resource.data.s.split('').size() == 1", {"s": "\udc00"}),
    ],
)
def test_regular_expressions_are_linear(text: str, data: dict[str, Any]) -> None:
    started = time.monotonic()
    assert not World(condition("get", text), {"c/d": data}).get().allowed
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("name", ["__class__", "__dict__", "keys", "items", "__getitem__", "get"])
def test_no_text_reaches_python_objects(name: str) -> None:
    for root in ("resource.data", "request", "request.time", "'a'", "[1]", "request.path"):
        assert not World(condition("get", f"{root}.{name} != 1"), {"c/d": {"a": 1}}).get().allowed


def test_deep_json_is_refused() -> None:
    with pytest.raises(RulesCompileError, match="Parse error"):
        compile_rules('{"rules":' + '{"a":' * 5000)


def test_a_deeply_nested_document_is_judged() -> None:
    value: Any = 1
    for _ in range(150):
        value = {"a": value}
    rule = "request.resource.data.diff(resource.data).affectedKeys().size() == 0"
    world = World(condition("update", rule), {"c/d": {"v": value}})
    assert world.update({"v": value}).allowed
