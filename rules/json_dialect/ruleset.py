"""Judges requests by the JSON dialect: cascade, validation, and queries as reads of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rules import tree
from rules.coverage import Coverage
from rules.decision import Decision, Reason
from rules.errors import EvaluationError, Issue
from rules.explain import Recorder, outcome_of, reason_of
from rules.json_dialect.compiler import JsonCode, JsonRuntime, compile_expression
from rules.json_dialect.nodes import Rule, RuleNode
from rules.json_dialect.queries import query_value
from rules.json_dialect.snapshots import View, children_of, scalar, value_exists
from rules.lookups import MULTI_LIMIT, SINGLE_LIMIT, LookupBudget, LookupSession
from rules.query import disjuncts
from rules.request import FIRESTORE, Auth, ListRequest, Lookups, Request, Resource
from rules.ruleset import Ruleset
from rules.runtime import Tracer
from rules.source import Source
from rules.types import Value, is_list, is_map

_USES = {
    "auth": "auth",
    "now": "time",
    "data": "resource",
    "root": "resource",
    "newData": "new_resource",
    "query": "query",
}
_TOO_DEEP = "The document is nested too deeply for its rules."


@dataclass(frozen=True, slots=True)
class Place:
    """A rule node met on the way to a path, with the wildcards bound so far."""

    node: RuleNode
    path: tuple[str, ...]
    variables: Mapping[str, str]


def walk_down(root: RuleNode, path: Sequence[str]) -> list[Place]:
    """The nodes from the root toward a path, as far as there are any."""
    node: RuleNode | None = root
    variables: dict[str, str] = {}
    found: list[Place] = [Place(root, (), {})]
    for i, name in enumerate(path):
        node = found[-1].node.step(name)
        if node is None:
            break
        if name not in found[-1].node.children and found[-1].node.variable:
            variables = {**variables, found[-1].node.variable: name}
        found.append(Place(node, tuple(path[: i + 1]), variables))
    return found


class Judge:
    """Runs the rules of one request in order and remembers which it tried."""

    def __init__(self, code: Mapping[Rule, JsonCode], runtime: JsonRuntime) -> None:
        self._code = code
        self._runtime = runtime
        self.tried: list[Rule] = []

    def passes(self, place: Place, kind: str) -> bool | None:
        """The verdict of a node's rule, None where it has none. An error is false."""
        rule = place.node.rules.get(kind)
        if rule is None:
            return None
        self.tried.append(rule)
        runtime = self._runtime
        runtime.owner = place.path
        runtime.variables = place.variables
        try:
            return self._code[rule](runtime) is True
        except EvaluationError:
            return False

    def any_passes(self, places: Iterable[Place], kind: str) -> bool:
        return any(self.passes(place, kind) for place in places)


Attempt = Callable[[Tracer | None, LookupSession], tuple[bool, str | None, list[Rule]]]


class JsonRuleset(Ruleset):
    """A ruleset in the Realtime Database's dialect. It knows documents only, not storage objects."""

    language = "json"

    def __init__(self, source: Source, issues: tuple[Issue, ...], root: RuleNode) -> None:
        super().__init__(source, issues)
        self._root = root
        self._rules = root.all_rules()
        self._code = {rule: compile_expression(rule.condition, False) for rule in self._rules}
        self._traced: dict[Rule, JsonCode] | None = None
        self._uses = {rule: _uses_of(rule) for rule in self._rules}

    @property
    def services(self) -> tuple[str, ...]:
        return ("cloud.firestore",)

    @property
    def conditions(self) -> list[tree.Expr]:
        return [rule.condition for rule in self._rules]

    def _code_for(self, tracer: Tracer | None) -> Mapping[Rule, JsonCode]:
        if tracer is None:
            return self._code
        if self._traced is None:
            self._traced = {rule: compile_expression(rule.condition, True) for rule in self._rules}
        return self._traced

    def evaluate(
        self,
        request: Request,
        lookups: Lookups,
        *,
        budget: LookupBudget | None = None,
        coverage: Coverage | None = None,
    ) -> Decision:
        if request.service != FIRESTORE:
            return Decision(
                False, request.method, problem="The JSON dialect does not cover storage."
            )
        session = LookupSession(lookups, FIRESTORE, request.database, SINGLE_LIMIT, budget)

        def attempt(
            tracer: Tracer | None, session: LookupSession
        ) -> tuple[bool, str | None, list[Rule]]:
            return self._judge(request, session, tracer)

        return self._decide(attempt, request.method, session, coverage)

    def prove(
        self,
        query: ListRequest,
        lookups: Lookups,
        *,
        budget: LookupBudget | None = None,
        coverage: Coverage | None = None,
    ) -> Decision:
        session = LookupSession(lookups, query.service, query.database, MULTI_LIMIT, budget)

        def attempt(
            tracer: Tracer | None, session: LookupSession
        ) -> tuple[bool, str | None, list[Rule]]:
            return self._judge_query(query, session, tracer)

        if query.service != FIRESTORE:
            return Decision(False, "list", problem="The JSON dialect does not cover storage.")
        return self._decide(attempt, "list", session, coverage)

    def _decide(
        self, attempt: Attempt, method: str, session: LookupSession, coverage: Coverage | None
    ) -> Decision:
        allowed, problem, tried = attempt(coverage, session)

        def explain() -> tuple[Reason, ...]:
            recorder = Recorder()
            _, _, again = attempt(recorder, session.replay())
            return tuple(self._reason(rule, method, recorder) for rule in again)

        uses = frozenset().union(*(self._uses[rule] for rule in tried))
        return Decision(
            allowed, method, session.dependencies(), uses, problem=problem, explanation=explain
        )

    def _reason(self, rule: Rule, method: str, recorder: Recorder) -> Reason:
        error = recorder.errors.get(rule.condition)
        outcome = outcome_of(error, recorder.values.get(rule.condition))
        message = error.message if error else ""
        return reason_of(
            self._source, method, rule.span, rule.condition, recorder, {}, outcome, message
        )

    # --- one document

    def _judge(
        self, request: Request, session: LookupSession, tracer: Tracer | None
    ) -> tuple[bool, str | None, list[Rule]]:
        writing = request.method in ("create", "update", "delete")
        before = View(session, False, request.path, request.resource)
        after = View(session, True, request.path, request.new_resource) if writing else None
        now = float(request.time.total_nanos // 1_000_000)
        runtime = JsonRuntime(
            _auth_value(request.auth), now, before, after, query_value(None), tracer
        )
        judge = Judge(self._code_for(tracer), runtime)
        places = walk_down(self._root, request.path)
        try:
            if not writing:
                return judge.any_passes(places, ".read"), None, judge.tried
            allowed = self._may_write(request, judge, places) and self._is_valid(
                request, judge, places
            )
        except RecursionError:
            return False, _TOO_DEEP, judge.tried
        return allowed, None, judge.tried

    def _may_write(self, request: Request, judge: Judge, places: list[Place]) -> bool:
        """`.write` on the way to the document; else, for a masked update, on the way to every field."""
        if judge.any_passes(places, ".write"):
            return True
        if request.method != "update" or not request.update_mask:
            return False
        depth = len(request.path)
        if len(places) <= depth:
            return False
        for field_path in request.update_mask:
            deeper = walk_down(self._root, (*request.path, *field_path))[depth + 1 :]
            if not judge.any_passes(deeper, ".write"):
                return False
        return True

    def _is_valid(self, request: Request, judge: Judge, places: list[Place]) -> bool:
        """Every `.validate` on the way and on what the write leaves behind. Deleting validates nothing."""
        after = request.new_resource
        if request.method == "delete" or after is None:
            return True
        if not all(judge.passes(place, ".validate") is not False for place in places):
            return False
        if len(places) <= len(request.path):
            return True
        here = places[-1]
        if request.update_mask is None:
            return self._children_valid(judge, here, after.data)
        return all(
            self._field_valid(judge, request.path, after, field_path)
            for field_path in request.update_mask
        )

    def _field_valid(
        self, judge: Judge, path: tuple[str, ...], after: Resource, field_path: tuple[str, ...]
    ) -> bool:
        """The maps on the way to a touched field, the field, and all below it."""
        value: Value = after.data
        places = walk_down(self._root, (*path, *field_path))[len(path) + 1 :]
        for name, place in zip(field_path, places, strict=False):
            value = children_of(value).get(name) if is_map(value) else None
            if not value_exists(value):
                return True
            if judge.passes(place, ".validate") is False:
                return False
        if len(places) < len(field_path):
            return True
        return self._children_valid(judge, places[-1], value)

    def _children_valid(self, judge: Judge, place: Place, value: Value) -> bool:
        """`.validate` of everything that exists below a place."""
        todo: list[tuple[Place, Value]] = [(place, value)]
        while todo:
            here, content = todo.pop()
            node = here.node
            if not (node.children or node.wildcard) or not _has_fields(content):
                continue
            children = children_of(content)
            for name in children:
                below = node.step(name)
                if below is None or not value_exists(children[name]):
                    continue
                variables = here.variables
                if name not in node.children and node.variable:
                    variables = {**variables, node.variable: name}
                child = Place(below, (*here.path, name), variables)
                if judge.passes(child, ".validate") is False:
                    return False
                todo.append((child, children[name]))
        return True

    # --- queries

    def _judge_query(
        self, query: ListRequest, session: LookupSession, tracer: Tracer | None
    ) -> tuple[bool, str | None, list[Rule]]:
        parts = disjuncts(query.filters)
        if parts is None:
            return False, "The query has too many disjuncts to be judged.", []
        pinned = [part.pinned_documents() for part in parts]
        if parts and all(documents is not None for documents in pinned):
            tried: list[Rule] = []
            for path in (path for documents in pinned for path in documents or ()):
                stored = session.read_pinned(path)
                allowed, rules = self._read(query, path, stored, session, tracer)
                tried.extend(rules)
                if not allowed:
                    return False, None, tried
            return True, None, tried
        allowed, tried = self._read(query, _collection_path(query), None, session, tracer)
        return allowed, None, tried

    def _read(
        self,
        query: ListRequest,
        path: tuple[str, ...],
        stored: Resource | None,
        session: LookupSession,
        tracer: Tracer | None,
    ) -> tuple[bool, list[Rule]]:
        before = View(session, False, path, stored)
        now = float(query.time.total_nanos // 1_000_000)
        members = query_value(query)
        runtime = JsonRuntime(_auth_value(query.auth), now, before, None, members, tracer)
        judge = Judge(self._code_for(tracer), runtime)
        return judge.any_passes(walk_down(self._root, path), ".read"), judge.tried


def _collection_path(query: ListRequest) -> tuple[str, ...]:
    """A collection group, or every collection, is a read of all that lies below the parent."""
    if query.all_descendants or query.collection is None:
        return query.parent
    return (*query.parent, query.collection)


def _has_fields(value: Value) -> bool:
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return False
    return is_map(value) or (hasattr(value, "__len__") and is_list(value))


def _auth_value(auth: Auth | None) -> Value:
    if auth is None:
        return None
    details = auth.token.get("firebase")
    provider = details.get("sign_in_provider") if isinstance(details, Mapping) else None
    return {**auth.value, "provider": scalar(provider)}


def _uses_of(rule: Rule) -> frozenset[str]:
    found: set[str] = set()
    for node in tree.walk(rule.condition):
        if isinstance(node, tree.Name):
            found.add("path" if node.name.startswith("$") else _USES.get(node.name, "auth"))
            if node.name in ("root", "data", "newData"):
                found.add("lookups")
    return frozenset(found)
