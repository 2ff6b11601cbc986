"""Runs test suites in the shape of Firebase's `projects:test`, with stored documents beside mocks.

    {"documents": {"users/u1": {"role": "admin"}},
     "testCases": [{"name": "…", "expectation": "ALLOW",
                    "request": {"method": "get", "path": "/databases/(default)/documents/a/b",
                                "auth": {"uid": "u1", "token": {}}}}]}

Beyond Firebase's form (protocol section 8): `name`, `documents` (for the suite and for one case, by path
below `documents`), and queries: a `list` whose path is a collection is proven, with
`"query": {"where": [{"field", "op", "value"}], "orderBy": {…}, "limit", "offset", "collectionGroup"}`.
Values are as in `json_values`. Semantics are the real ones: `request.auth` is null when it is not given,
the time is now, and a document that is neither mocked nor stored is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import unquote

from rules.coverage import Coverage
from rules.decision import Decision
from rules.json_values import SuiteError, map_from_json, value_from_json
from rules.request import (
    FIRESTORE,
    STORAGE,
    And,
    Auth,
    FieldFilter,
    Filter,
    FilterOp,
    ListRequest,
    Or,
    Request,
    Resource,
)
from rules.ruleset import Ruleset
from rules.types import Path, Timestamp, Value

Expectation = Literal["ALLOW", "DENY"]
_METHODS = ("get", "list", "create", "update", "delete")
DocumentPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one case went. `reports`: what `expressionReportLevel` asked for, by its member's name."""

    __test__ = False

    name: str
    expectation: Expectation
    decision: Decision
    reports: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.decision.allowed is (self.expectation == "ALLOW")

    def debug_messages(self, file_name: str) -> list[str]:
        """Errors as the Rules API words them, then what was expected."""
        messages = [
            f"Error: {file_name} line [{reason.expression_line}], "
            f"column [{reason.expression_column}]. {reason.message}"
            for reason in self.decision.reasons
            if reason.outcome in ("error", "unknown")
        ]
        if not self.passed:
            got = "ALLOW" if self.decision.allowed else "DENY"
            messages.append(f"Expected {self.expectation}, got {got}:{self.decision.message_dev()}")
        return messages

    def to_json(self, file_name: str) -> dict[str, Any]:
        made: dict[str, Any] = {"state": "SUCCESS" if self.passed else "FAILURE"}
        messages = self.debug_messages(file_name)
        if messages:
            made["debugMessages"] = messages
        for reason in self.decision.reasons:
            if reason.outcome == "error":
                made["errorPosition"] = {
                    "fileName": file_name,
                    "line": reason.expression_line,
                    "column": reason.expression_column,
                }
                break
        return {**made, **self.reports}


class SuiteDocuments:
    """Lookups that answer from mocks, then from stored documents."""

    def __init__(
        self,
        stored: Mapping[DocumentPath, Mapping[str, Value]],
        after: Mapping[DocumentPath, Mapping[str, Value]],
        mocks: Iterable[Any] = (),
    ) -> None:
        self._stored = stored
        self._after = after
        self._mocks = [_mock(node) for node in mocks]

    def _mocked(self, functions: tuple[str, ...], database: str, path: DocumentPath) -> Any:
        name = str(Path.of_document(database, path))
        for function, wanted, result in self._mocks:
            if function in functions and wanted in (None, name):
                return result
        return None

    def _find(
        self,
        functions: tuple[str, ...],
        state: Mapping[DocumentPath, Mapping[str, Value]],
        database: str,
        path: DocumentPath,
    ) -> Resource | None:
        mocked = self._mocked(functions, database, path)
        if mocked is not None:
            return _mocked_resource(mocked, path)
        return Resource(state[path], path) if path in state else None

    def get(self, database: str, path: DocumentPath) -> Resource | None:
        names = ("get", "exists", "firestore.get", "firestore.exists")
        return self._find(names, self._stored, database, path)

    def get_after(self, database: str, path: DocumentPath) -> Resource | None:
        return self._find(("getAfter", "existsAfter"), self._after, database, path)

    def has_documents(self, database: str, collection: DocumentPath) -> bool:
        return any(path[:-1] == collection for path in self._stored)

    def has_documents_after(self, database: str, collection: DocumentPath) -> bool:
        return any(path[:-1] == collection for path in self._after)


def _mock(node: Any) -> tuple[str, str | None, Any]:
    """Function name, the path it answers for (None: any), and the result."""
    mock = _object(node, "A function mock")
    args = mock.get("args") or [{"anyValue": {}}]
    first = _object(args[0], "A mock's argument")
    wanted = first.get("exactValue")
    if wanted is not None and not isinstance(wanted, str):
        raise SuiteError("The exactValue of a lookup's argument is a path.")
    return str(mock.get("function")), wanted, _object(mock.get("result", {}), "A mock's result")


def _mocked_resource(result: Mapping[str, Any], path: DocumentPath) -> Resource | None:
    value = result.get("value")
    if value is None or value is False:
        return None
    if value is True:
        return Resource({}, path)
    return Resource(map_from_json(_object(value, "A mock's value").get("data", {}), "data"), path)


def _object(node: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(node, dict):
        raise SuiteError(f"{what} must be an object.")
    return node


def run_suite(
    ruleset: Ruleset, suite: Any, now: Timestamp, coverage: Coverage | None = None
) -> list[TestResult]:
    """Run every case of a suite: its `testSuite` object, or an object around one.

    Raises SuiteError for a suite that is not in the form above.
    """
    outer = _object(suite, "A suite")
    inner = _object(outer.get("testSuite", outer), "testSuite")
    cases = inner.get("testCases")
    if not isinstance(cases, list) or not cases:
        raise SuiteError('A suite needs a list "testCases" that is not empty.')
    shared = _documents(outer.get("documents", inner.get("documents", {})))
    return [
        run_case(ruleset, case, now, shared, coverage, f"case {number}")
        for number, case in enumerate(cases, 1)
    ]


def run_case(
    ruleset: Ruleset,
    node: Any,
    now: Timestamp,
    stored: Mapping[DocumentPath, Mapping[str, Value]] | None = None,
    coverage: Coverage | None = None,
    default_name: str = "case",
) -> TestResult:
    """Run one case over `stored` documents."""
    case = _object(node, "A test case")
    name = str(case.get("name", default_name))
    expectation = case.get("expectation")
    if expectation not in ("ALLOW", "DENY"):
        raise SuiteError(f'{name}: expectation must be "ALLOW" or "DENY".')
    try:
        decision = judge_case(ruleset, case, now, stored, coverage)
        reports = _reports(ruleset, case, now, stored)
    except SuiteError as error:
        raise SuiteError(f"{name}: {error}") from error
    return TestResult(name, expectation, decision, reports)


def _reports(
    ruleset: Ruleset,
    case: Mapping[str, Any],
    now: Timestamp,
    stored: Mapping[DocumentPath, Mapping[str, Value]] | None,
) -> dict[str, Any]:
    """The values of expressions: of conditions that were evaluated, or ("FULL") of all their parts, too."""
    level = case.get("expressionReportLevel", "NONE")
    if level == "NONE":
        return {}
    if level not in ("VISITED", "FULL"):
        raise SuiteError("expressionReportLevel must be NONE, VISITED or FULL.")
    seen = Coverage()
    judge_case(ruleset, case, now, stored, seen)
    reports = {"visitedExpressions": ruleset.visited_report(seen)}
    if level == "FULL":
        reports["expressionReports"] = ruleset.coverage_report(seen)["report"]
    return reports


def judge_case(
    ruleset: Ruleset,
    case: Mapping[str, Any],
    now: Timestamp,
    stored: Mapping[DocumentPath, Mapping[str, Value]] | None = None,
    coverage: Coverage | None = None,
) -> Decision:
    """Judge the `request` of a case, whatever is expected of it."""
    before = {**(stored or {}), **_documents(case.get("documents", {}))}
    request = _object(case.get("request"), "request")
    service, database, path = _name(request.get("path"), case.get("pathEncoding") == "URL_ENCODED")
    method = request.get("method")
    if method not in _METHODS:
        raise SuiteError(f"request.method must be one of {', '.join(_METHODS)}.")
    auth = _auth(request.get("auth"))
    time = _time(request.get("time"), now)
    mocks = case.get("functionMocks", [])
    if method == "list" and service == FIRESTORE and len(path) % 2 == 1:
        query = _query(request.get("query", {}), database, path, auth, time)
        return ruleset.prove(query, SuiteDocuments(before, before, mocks), coverage=coverage)
    old = _resource(case.get("resource"), service, path)
    if old is None and service == FIRESTORE and path in before:
        old = Resource(before[path], path)
    new = None if method == "delete" else _resource(request.get("resource"), service, path)
    after = dict(before)
    if service == FIRESTORE and method in ("create", "update", "delete"):
        after.pop(path, None)
        if new is not None:
            after[path] = new.data
    concrete = Request(
        service, method, path, time, database=database, auth=auth, resource=old, new_resource=new
    )
    return ruleset.evaluate(concrete, SuiteDocuments(before, after, mocks), coverage=coverage)


def _documents(node: Any) -> dict[DocumentPath, dict[str, Value]]:
    found: dict[DocumentPath, dict[str, Value]] = {}
    for name, data in _object(node, "documents").items():
        path = tuple(part for part in str(name).split("/") if part)
        if len(path) >= 5 and path[0] == "databases" and path[2] == "documents":
            path = path[3:]
        if not path or len(path) % 2:
            raise SuiteError(f"documents: {name!r} is not the path of a document.")
        found[path] = map_from_json(data, f"documents[{name!r}]")
    return found


def _name(node: Any, encoded: bool) -> tuple[str, str, DocumentPath]:
    """Service, database or bucket, and the path below."""
    if not isinstance(node, str):
        raise SuiteError("request.path must be a string.")
    parts = [unquote(part) if encoded else part for part in node.split("/") if part]
    if len(parts) >= 3 and parts[0] == "databases" and parts[2] == "documents":
        return FIRESTORE, parts[1], tuple(parts[3:])
    if len(parts) >= 3 and parts[0] == "b" and parts[2] == "o":
        return STORAGE, parts[1], tuple(parts[3:])
    raise SuiteError(
        "request.path begins with /databases/<database>/documents or /b/<bucket>/o, "
        f"not as {node!r} does."
    )


def _auth(node: Any) -> Auth | None:
    if node is None:
        return None
    auth = _object(node, "request.auth")
    uid = auth.get("uid")
    if not isinstance(uid, str):
        raise SuiteError("request.auth.uid must be a string.")
    return Auth(uid, map_from_json(auth.get("token", {}), "request.auth.token"))


def _time(node: Any, now: Timestamp) -> Timestamp:
    if node is None:
        return now
    try:
        if isinstance(node, str):
            return Timestamp.parse(node)
    except ValueError as error:
        raise SuiteError(f"request.time must be an RFC 3339 time: {error}") from error
    raise SuiteError("request.time must be an RFC 3339 time: text like 2026-01-01T00:00:00Z.")


def _resource(node: Any, service: str, path: DocumentPath) -> Resource | None:
    if node is None:
        return None
    content = _object(node, "resource")
    if service == STORAGE:
        return Resource(map_from_json(content, "resource"), path)
    return Resource(map_from_json(content.get("data", {}), "resource.data"), path)


def _query(
    node: Any, database: str, path: DocumentPath, auth: Auth | None, time: Timestamp
) -> ListRequest:
    query = _object(node, "request.query")
    order_by = _object(query.get("orderBy") or {}, "request.query.orderBy")
    where = query.get("where", [])
    if not isinstance(where, list):
        raise SuiteError("request.query.where must be a list of filters.")
    return ListRequest(
        path[:-1],
        path[-1],
        time,
        database=database,
        auth=auth,
        filters=And(tuple(_filter(one, 0) for one in where)) if where else None,
        limit=query.get("limit"),
        offset=query.get("offset", 0),
        order_by=tuple((_field_path(str(key)), str(way)) for key, way in order_by.items()),
        all_descendants=query.get("collectionGroup", False) is True,
    )


_OPERATORS: frozenset[str] = frozenset(get_args(FilterOp))


def _filter(node: Any, depth: int) -> Filter:
    one = _object(node, "A filter")
    for key, make in (("and", And), ("or", Or)):
        parts = one.get(key)
        if isinstance(parts, list) and depth < 20:
            return make(tuple(_filter(part, depth + 1) for part in parts))
    field, op = one.get("field"), one.get("op")
    if not isinstance(field, str) or op not in _OPERATORS:
        raise SuiteError(
            f'A filter is {{"field", "op", "value"}} with op one of {sorted(_OPERATORS)}.'
        )
    return FieldFilter(_field_path(field), op, value_from_json(one.get("value")))


def _field_path(text: str) -> tuple[str, ...]:
    return tuple(text.split("."))
