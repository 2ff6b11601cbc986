"""Generated rulesets, and requests to judge by them, to compare whole servers by.

Left out is what is known and written down in docs/rules.md to differ: absent fields and unknown maps in list
rules, the document that a get() does not find, types of numbers that a query pins.
"""

from __future__ import annotations

import random
from typing import Any

USERS = ("u1", "u2", None)
IDS = ("x", "y", "u1")
DATABASE = "projects/p/databases/(default)"
ROOT = f"{DATABASE}/documents"
DOCUMENTS = tuple(
    [f"{name}/{one}" for name in ("a", "b") for one in IDS]
    + [f"a/{one}/s/{two}" for one in IDS for two in IDS[:2]]
)
COLLECTIONS = ("a", "b", "a/x/s", "a/u1/s")
FIELDS: dict[str, tuple[Any, ...]] = {
    "owner": ("u1", "u2", ""),
    "n": (0, 1, 5),
    "open": (True, False),
    "tags": (["u1"], ["u2", "k"], []),
    "m": ({"u1": 1}, {"u2": 2, "k": 1}, {}),
    "f": (0.5, None, 1.0),
}
PATTERNS = (
    ("/a/{id}", ("id",)),
    ("/b/{id}", ("id",)),
    ("/{any}/{id}", ("any", "id")),
    ("/a/{p}/s/{id}", ("p", "id")),
    ("/a/x", ()),
    ("/a/{rest=**}", ("rest",)),
    ("/{rest=**}", ("rest",)),
    ("/{rest=**}/s/{id}", ("rest", "id")),
    ("/a/{p}/{rest=**}", ("p", "rest")),
)
INNER = (("/s/{sid}", ("sid",)), ("/{sub}/{sid}", ("sub", "sid")), ("/{deep=**}", ("deep",)))


def wire(value: Any) -> dict[str, Any]:
    if value is None:
        return {"nullValue": None}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"integerValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [wire(item) for item in value]}}
    return {"mapValue": {"fields": {key: wire(item) for key, item in value.items()}}}


def literal(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"'{key}': {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


class RulesetGenerator:
    """Texts of rulesets, their functions called with whatever is at hand."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._functions: list[tuple[str, int]] = []
        self._names: tuple[str, ...] = ()
        self._methods: tuple[str, ...] = ()
        self.version = self._chance.choice("1222")

    def ruleset(self) -> str:
        self._functions = []
        functions = [self._function(number) for number in range(self._chance.randint(0, 3))]
        blocks = [self._block() for _ in range(self._chance.randint(1, 4))]
        return (
            f"rules_version = '{self.version}';\nservice cloud.firestore {{\n"
            "match /databases/{database}/documents {\n"
            + "\n".join([*functions, *blocks])
            + "\n} }\n"
        )

    def _function(self, number: int) -> str:
        name, parameters = f"f{number}", ("one", "two")[: self._chance.randint(0, 2)]
        self._methods, self._names = ("get",), parameters
        lets = []
        most = 2 if self.version == "2" else 0
        for each in ("v", "w")[: self._chance.randint(0, most)]:
            lets.append(f"let {each} = {self._value(1)};")
            self._names = (*self._names, each)
        body = f"{' '.join(lets)} return {self._condition(2)};"
        self._functions.append((name, len(parameters)))
        return f"function {name}({', '.join(parameters)}) {{ {body} }}"

    def _block(self) -> str:
        patterns = [one for one in PATTERNS if self.version == "2" or one[0].find("=**}/") < 0]
        path, names = self._chance.choice(patterns)
        inner = ""
        if "**" not in path and self._chance.random() < 0.3:
            below, more = self._chance.choice(INNER if path.startswith("/a") else INNER[:2])
            inner = f"\nmatch {below} {{\n{self._allows((*names, *more))}\n}}"
        return f"match {path} {{\n{self._allows(names)}{inner}\n}}"

    def _allows(self, names: tuple[str, ...]) -> str:
        lines = []
        for _ in range(self._chance.randint(1, 3)):
            methods = self._chance.choice(
                (("read",), ("get",), ("list",), ("list",), ("write",), ("create", "update"),
                 ("update",), ("delete",), ("create",), ("read", "write"))
            )  # fmt: skip
            self._methods, self._names = methods, names
            lines.append(f"allow {', '.join(methods)}: if {self._condition(3)};")
        return "\n".join(lines)

    def _condition(self, depth: int) -> str:
        if depth and self._chance.random() < 0.6:
            one, other = self._condition(depth - 1), self._condition(depth - 1)
            return self._chance.choice(
                (f"({one} && {other})", f"({one} || {other})", f"({one} || {other})", f"!({one})",
                 f"({one} ? {other} : {self._condition(0)})", f"({one}) == ({other})")
            )  # fmt: skip
        return self._chance.choice((self._test, self._test, self._of_caller, self._lookup))()

    def _test(self) -> str:
        one, other = self._value(1), self._value(1)
        field = self._chance.choice(tuple(FIELDS))
        known = literal(self._chance.choice(FIELDS[field]))
        forms = [
            f"{self._document()}.{field} == {known}",
            f"{self._document()}.{field} == {known}",
            f"{self._document()}.{field} != {known}",
            f"{self._document()}.n {self._chance.choice(('<', '<=', '>', '>='))} {self._number()}",
            f"{one} == {other}",
            f"{one} in {self._document()}.tags",
            f"{self._document()}.owner in ['u1', 'k']",
            f"{self._document()}.tags.hasAny(['u1', 'k'])",
            f"{self._document()}.{field} is {self._chance.choice(('string', 'bool', 'list', 'map'))}",
            self._chance.choice(("true", "true", "false", "1 / 0 == 1", "null")),
            *self._write_tests(),
            *self._query_tests(),
        ]
        return self._chance.choice(forms)

    def _document(self) -> str:
        writes = {"write", "create", "update"} & set(self._methods)
        return self._chance.choice(
            ("resource.data", "request.resource.data") if writes else ("resource.data",)
        )

    def _write_tests(self) -> list[str]:
        if not {"write", "create", "update"} & set(self._methods):
            return []
        return [
            "request.resource.data.diff(resource.data).affectedKeys().hasOnly(['n', 'f'])",
            "request.resource.data.keys().hasAll(['owner'])",
            "request.resource.data.keys().hasOnly(['owner', 'n', 'tags', 't'])",
            "request.resource.data.t == request.time",
            "request.resource.data.n == resource.data.n + 1",
            "!('f' in request.resource.data)",
            "request.resource.data.get('n', 0) < 5",
            "request.resource.data.m.size() > 0",
            "resource == null",
            "request.resource.id == resource.id",
            "request.resource.__name__ == request.path",
        ]

    def _query_tests(self) -> list[str]:
        if not {"read", "list"} & set(self._methods):
            return []
        return [
            "request.query.limit <= 5",
            "request.query.offset == 0",
            "request.query.orderBy.n == 'ASC'",
            "request.query.kind == 's'",
            "request.query.parent == null",
        ]

    def _of_caller(self) -> str:
        names = [f"{name} == request.auth.uid" for name in self._names if name != "rest"]
        return self._chance.choice(
            ("request.auth != null", "request.auth == null", "request.auth.uid == 'u1'",
             f"{self._document()}.owner == request.auth.uid",
             f"request.auth.uid in {self._document()}.tags",
             f"request.method == '{self._chance.choice(('get', 'list', 'create', 'update'))}'",
             *names)
        )  # fmt: skip

    def _lookup(self) -> str:
        place = self._chance.choice(
            ("a/x", "b/u1", "b/$(request.auth.uid)", "a/nowhere",
             f"a/$({self._document()}.owner)", *(f"b/$({name})" for name in self._names))
        )  # fmt: skip
        path = f"/databases/$(database)/documents/{place}"
        after = self._chance.random() < 0.4
        if self._chance.random() < 0.4:
            return f"exists{'After' if after else ''}({path})"
        field = self._chance.choice(("owner", "n", "open"))
        known = literal(self._chance.choice(FIELDS[field]))
        return f"get{'After' if after else ''}({path}).data.{field} == {known}"

    def _value(self, depth: int) -> str:
        field = self._chance.choice(tuple(FIELDS))
        forms = [
            f"{self._document()}.{field}",
            literal(self._chance.choice(FIELDS[field])),
            "request.auth.uid",
            *self._names,
        ]
        if depth:
            forms += [self._call() for _ in range(1) if self._functions]
        return self._chance.choice(forms)

    def _call(self) -> str:
        name, count = self._chance.choice(self._functions)
        return f"{name}({', '.join(self._value(0) for _ in range(count))})"

    def _number(self) -> int:
        return self._chance.choice((0, 1, 5))


class RequestGenerator:
    """Reads, commits and queries of a few documents."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def user(self) -> str | None:
        return self._chance.choice(USERS)

    def path(self) -> str:
        return self._chance.choice(DOCUMENTS)

    def fields(self) -> dict[str, Any]:
        return {
            name: wire(self._chance.choice(values))
            for name, values in FIELDS.items()
            if self._chance.random() < 0.7
        }

    def writes(self) -> list[dict[str, Any]]:
        return [self._write() for _ in range(self._chance.choice((1, 1, 1, 2, 3)))]

    def _write(self) -> dict[str, Any]:
        name = f"{ROOT}/{self.path()}"
        shape = self._chance.randrange(5)
        if shape == 0:
            write: dict[str, Any] = {"delete": name}
        else:
            write = {"update": {"name": name, "fields": self.fields()}}
        if shape in (2, 3):
            mask = self._chance.sample(("owner", "n", "tags", "m.u1", "f"), 2)
            write["updateMask"] = {"fieldPaths": mask}
        if shape in (3, 4) and self._chance.random() < 0.5:
            write["updateTransforms"] = [self._transform()]
        if self._chance.random() < 0.3:
            write["currentDocument"] = {"exists": self._chance.random() < 0.6}
        return write

    def _transform(self) -> dict[str, Any]:
        return self._chance.choice(
            ({"fieldPath": "t", "setToServerValue": "REQUEST_TIME"},
             {"fieldPath": "n", "increment": {"integerValue": "1"}},
             {"fieldPath": "tags", "appendMissingElements": {"values": [wire("u1")]}})
        )  # fmt: skip

    def query(self) -> tuple[str, dict[str, Any]]:
        """The parent's path and the structured query."""
        parent, _, collection = self._chance.choice(COLLECTIONS).rpartition("/")
        source: dict[str, Any] = {"collectionId": collection}
        if self._chance.random() < 0.25:
            parent, source = "", {"collectionId": "s", "allDescendants": True}
        query: dict[str, Any] = {"from": [source]}
        filters = [self._filter() for _ in range(self._chance.choice((0, 1, 1, 2)))]
        if len(filters) == 1:
            query["where"] = filters[0]
        elif filters:
            op = self._chance.choice(("AND", "AND", "OR"))
            query["where"] = {"compositeFilter": {"op": op, "filters": filters}}
        if self._chance.random() < 0.2:
            query["orderBy"] = [{"field": {"fieldPath": "n"}, "direction": "ASCENDING"}]
        if self._chance.random() < 0.5:
            query["limit"] = self._chance.choice((1, 5, 10))
        if self._chance.random() < 0.2:
            query["offset"] = 1
        return parent, query

    def _filter(self) -> dict[str, Any]:
        field = self._chance.choice(("owner", "owner", "n", "open", "tags", "m.u1", "f"))
        if field == "tags":
            return _filter(field, "ARRAY_CONTAINS", wire(self._chance.choice(("u1", "u2", "k"))))
        if field == "m.u1":
            return _filter(field, "EQUAL", wire(1))
        value = wire(self._chance.choice(FIELDS[field]))
        if value == {"nullValue": None}:
            return {"unaryFilter": {"field": {"fieldPath": field}, "op": "IS_NULL"}}
        if field == "n" and self._chance.random() < 0.5:
            ranges = ("LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL")
            return _filter(field, self._chance.choice(ranges), value)
        if self._chance.random() < 0.2:
            values = [value, wire(self._chance.choice(FIELDS["owner"]))]
            return _filter(field, "IN", {"arrayValue": {"values": values}})
        return _filter(field, self._chance.choice(("EQUAL", "EQUAL", "NOT_EQUAL")), value)


def _filter(field: str, op: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"fieldFilter": {"field": {"fieldPath": field}, "op": op, "value": value}}
