"""A compiled file of the rules language, and how it judges one request (protocol section 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rules import tree
from rules.checker import METHODS
from rules.closures import not_bool
from rules.compiler import ExpressionCompiler, FunctionTable, Mode
from rules.coverage import Coverage
from rules.decision import Decision, Outcome, Reason
from rules.dependencies import DependencyFinder, uses_of
from rules.errors import EvaluationError, EvaluationLimitError, Issue
from rules.explain import Recorder, outcome_of, reason_of
from rules.lookups import (
    MULTI_LIMIT,
    SINGLE_LIMIT,
    STORAGE_LIMIT,
    Document,
    LookupBudget,
    LookupSession,
    document_value,
)
from rules.matching import PathIndex
from rules.proof_cache import ProofCache
from rules.request import STORAGE, Auth, ListRequest, Lookups, Request, Resource
from rules.ruleset import Ruleset
from rules.runtime import MAX_EXPRESSIONS, Compiled, Runtime, Tracer
from rules.scopes import Program
from rules.source import Source
from rules.types import Value

_ALL_METHODS = ("get", "list", "create", "update", "delete")
_TOO_DEEP = "The rules call too deeply for this request."


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One `allow`. `run` None: always. `most`: the expressions that it can evaluate."""

    allow: tree.Allow
    run: Compiled | None
    most: int
    order: int
    reads: frozenset[str]


@dataclass(frozen=True, slots=True)
class Group:
    """The statements of one match block that name one method, and what they read and cost together."""

    statements: tuple[Statement, ...]
    reads: frozenset[str]
    uses: frozenset[str]
    most: int


class Code:
    """The closures of a program, indexed by service, method and path."""

    def __init__(self, program: Program, mode: Mode) -> None:
        self.indexes: dict[tuple[str, str], PathIndex[Group]] = {}
        self._version = program.file.version
        functions = FunctionTable(mode)
        finder = DependencyFinder()
        for block in program.blocks:
            made: dict[str, list[Statement]] = {}
            for allow in block.match.allows:
                statement = self._statement(
                    allow,
                    ExpressionCompiler(block.scope, functions, {}, mode),
                    finder.of_condition(allow.condition, block.scope),
                )
                for method in _expanded(allow.methods):
                    made.setdefault(method, []).append(statement)
            for method, statements in made.items():
                reads = frozenset().union(*(one.reads for one in statements))
                most = sum(one.most for one in statements)
                group = Group(tuple(statements), reads, uses_of(reads), most)
                self._index(block.service, method).add(block.path, group)

    def _statement(
        self, allow: tree.Allow, compiler: ExpressionCompiler, reads: frozenset[str]
    ) -> Statement:
        if allow.condition is None:
            return Statement(allow, None, 0, allow.span.start, reads)
        run, most = compiler.skippable(allow.condition)
        return Statement(allow, run, most, allow.span.start, reads)

    def find(
        self, service: str, method: str, root: tuple[str, ...], path: Sequence[str | None]
    ) -> Sequence[tuple[Group, tuple[Value, ...]]]:
        """The blocks that match a path, each with its captures."""
        index = self.indexes.get((service, method))
        return index.find_below(root, path) if index else ()

    def _index(self, service: str, method: str) -> PathIndex[Group]:
        return self.indexes.setdefault((service, method), PathIndex(self._version))


def _expanded(methods: Iterable[str]) -> list[str]:
    """`read` and `write` spelled out, each method once."""
    found = {one for method in methods for one in METHODS.get(method, ())}
    return [method for method in _ALL_METHODS if method in found]


class Candidates:
    """The statements that apply to a request, in source order, each with its captures.

    `most`: the expressions that all of them together can evaluate.
    """

    __slots__ = ("groups", "most", "runs", "uses")

    def __init__(self, found: Sequence[tuple[Group, tuple[Value, ...]]]) -> None:
        self.groups = [group for group, _ in found]
        # Statements in a row that share their captures: one run per match block, mostly just one.
        self.runs: list[tuple[tuple[Statement, ...], tuple[Value, ...]]]
        if len(found) == 1:
            group, captures = found[0]
            self.runs = [(group.statements, captures)]
            self.uses = group.uses
            self.most = group.most
            return
        self.most = sum(group.most for group in self.groups)
        singles = [((one,), captures) for group, captures in found for one in group.statements]
        singles.sort(key=_source_order)
        self.runs = [*singles]
        self.uses = _NOTHING.union(*(group.uses for group in self.groups))

    def merge(self, others: Iterable[Candidates]) -> Candidates:
        """Everything that any of these has, in source order."""
        merged = Candidates(())
        everything = [self, *others]
        singles = [
            ((one,), captures)
            for candidates in everything
            for statements, captures in candidates.runs
            for one in statements
        ]
        singles.sort(key=_source_order)
        merged.runs = [*singles]
        merged.groups = [group for candidates in everything for group in candidates.groups]
        merged.uses = _NOTHING.union(*(candidates.uses for candidates in everything))
        merged.most = sum(candidates.most for candidates in everything)
        return merged

    @property
    def reads(self) -> frozenset[str]:
        """What the statements read, in the words of `rules.dependencies`."""
        return _NOTHING.union(*(group.reads for group in self.groups))

    def statements(self) -> list[Statement]:
        return [one for statements, _ in self.runs for one in statements]


_NOTHING: frozenset[str] = frozenset()
_NO_DOCUMENTS: frozenset[Document] = frozenset()


def _source_order(run: tuple[tuple[Statement], tuple[Value, ...]]) -> int:
    return run[0][0].order


class MatchRuleset(Ruleset):
    """A ruleset in the rules language, for Cloud Firestore or Cloud Storage."""

    language = "rules"

    def __init__(self, source: Source, issues: tuple[Issue, ...], program: Program) -> None:
        super().__init__(source, issues)
        self._program = program
        # The others are compiled when first needed. Two threads may both do it; either result serves.
        self._code = {Mode.QUICK: Code(program, Mode.QUICK)}
        self._proofs = ProofCache()
        self._bodies: Mapping[tree.Call, tree.Expr] | None = None

    @property
    def version(self) -> int:
        """1 or 2."""
        return self._program.file.version

    @property
    def program(self) -> Program:
        return self._program

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(service.name for service in self._program.file.services))

    @property
    def conditions(self) -> list[tree.Expr]:
        program = self._program
        found = [let.value for info in program.functions for let in info.decl.lets]
        found += [info.decl.result for info in program.functions]
        return sorted([*found, *self.permissions], key=lambda node: node.span.start)

    @property
    def permissions(self) -> list[tree.Expr]:
        allows = [allow for block in self._program.blocks for allow in block.match.allows]
        return [allow.condition for allow in allows if allow.condition is not None]

    def candidates(
        self, find: Callable[[Code], Sequence[tuple[Group, tuple[Value, ...]]]], traced: bool
    ) -> Candidates:
        """The statements that apply, found by `find`, in code that does as much as it must."""
        if traced:
            return Candidates(find(self._code_of(Mode.TRACED)))
        quick = Candidates(find(self._code[Mode.QUICK]))
        if quick.most <= MAX_EXPRESSIONS:
            return quick
        return Candidates(find(self._code_of(Mode.COUNTED)))

    def _code_of(self, mode: Mode) -> Code:
        code = self._code.get(mode)
        if code is None:
            code = self._code[mode] = Code(self._program, mode)
        return code

    def evaluate(
        self,
        request: Request,
        lookups: Lookups,
        *,
        budget: LookupBudget | None = None,
        coverage: Coverage | None = None,
    ) -> Decision:
        session = LookupSession(lookups, request.service, request.database, _limit(request), budget)
        if request.service == STORAGE and request.method == "list" and self.version == 1:
            return Decision(False, "list", problem="Listing needs rules_version '2'.")

        return decide(self, _Evaluation(self, request), request.method, session, coverage)

    def prove(
        self,
        query: ListRequest,
        lookups: Lookups,
        *,
        budget: LookupBudget | None = None,
        coverage: Coverage | None = None,
    ) -> Decision:
        from rules.prover import Prover

        session = LookupSession(lookups, query.service, query.database, MULTI_LIMIT, budget)
        prover = Prover(self, query)
        explanation = _Explanation(self, prover, "list", session)
        if coverage is None:
            kept = self._proofs.find(query)
            if kept is not None:
                allowed, uses, problem = kept
                return Decision(allowed, "list", _NO_DOCUMENTS, uses, problem, explanation)
        allowed, problem, candidates = prover.judge(coverage, session)
        documents, uses = session.dependencies(), candidates.uses
        if coverage is None and not documents:
            self._proofs.keep(query, candidates.reads, (allowed, uses, problem))
        return Decision(allowed, "list", documents, uses, problem, explanation)

    def reasons(self, judge: Judge, method: str, recorder: Recorder) -> tuple[Reason, ...]:
        return tuple(self._reasons(judge.candidates.statements(), method, recorder))

    def _reasons(
        self, statements: Sequence[Statement], method: str, recorder: Recorder
    ) -> Iterable[Reason]:
        seen: set[Statement] = set()
        if self._bodies is None:
            self._bodies = _function_bodies(self._program)
        bodies = self._bodies
        for statement in statements:
            condition = statement.allow.condition
            ran = condition is None or recorder.ran(condition)
            if statement in seen or not ran:
                continue
            seen.add(statement)
            error = recorder.errors.get(condition) if condition is not None else None
            value = recorder.values.get(condition) if condition is not None else True
            if error is None and value is not True and value is not False:
                error = not_bool(value)
            outcome: Outcome = outcome_of(error, value)
            message = error.message if error else ""
            yield reason_of(
                self._source,
                method,
                statement.allow.span,
                condition,
                recorder,
                bodies,
                outcome,
                message,
            )
            if outcome == "true":
                return


class Judge(NamedTuple):
    """What running the statements came to."""

    allowed: bool
    problem: str | None
    candidates: Candidates


class Attempt(Protocol):
    """A judgement that can be made again, traced."""

    def judge(self, tracer: Tracer | None, session: LookupSession) -> Judge: ...


class _Evaluation:
    """The judgement of one request."""

    __slots__ = ("_request", "_ruleset")

    def __init__(self, ruleset: MatchRuleset, request: Request) -> None:
        self._ruleset = ruleset
        self._request = request

    def judge(self, tracer: Tracer | None, session: LookupSession) -> Judge:
        request = self._request
        root = root_path(request.service, request.database)
        candidates = self._ruleset.candidates(
            lambda code: code.find(request.service, request.method, root, request.path),
            tracer is not None,
        )
        allowed, problem = run_statements(candidates, runtime_for(request, session, tracer))
        return Judge(allowed, problem, candidates)


class _Explanation:
    """Runs an attempt again, traced and from what was read then, when somebody asks for reasons."""

    __slots__ = ("_attempt", "_method", "_reasons", "_ruleset", "_session")

    def __init__(
        self, ruleset: MatchRuleset, attempt: Attempt, method: str, session: LookupSession
    ) -> None:
        self._ruleset = ruleset
        self._attempt = attempt
        self._method = method
        self._session = session
        self._reasons: tuple[Reason, ...] | None = None

    def __call__(self) -> tuple[Reason, ...]:
        if self._reasons is None:
            recorder = Recorder()
            judge = self._attempt.judge(recorder, self._session.replay())
            self._reasons = self._ruleset.reasons(judge, self._method, recorder)
        return self._reasons


def decide(
    ruleset: MatchRuleset,
    attempt: Attempt,
    method: str,
    session: LookupSession,
    coverage: Coverage | None,
) -> Decision:
    """Run once for the verdict; the reasons come later, if at all."""
    allowed, problem, candidates = attempt.judge(coverage, session)
    explanation = _Explanation(ruleset, attempt, method, session)
    return Decision(allowed, method, session.dependencies(), candidates.uses, problem, explanation)


def run_statements(candidates: Candidates, runtime: Runtime) -> tuple[bool, str | None]:
    """True at the first statement that is true. An error is not true; only the limits end it all."""
    try:
        for statements, captures in candidates.runs:
            runtime.captures = captures
            for statement in statements:
                run = statement.run
                if run is None:
                    return True, None
                try:
                    if run(runtime) is True:
                        return True, None
                except EvaluationError:
                    continue
    except EvaluationLimitError as limit:
        return False, str(limit)
    except RecursionError:
        return False, _TOO_DEEP
    return False, None


def root_path(service: str, database: str) -> tuple[str, str, str]:
    return ("b", database, "o") if service == STORAGE else ("databases", database, "documents")


def _limit(request: Request) -> int:
    if request.service == STORAGE:
        return STORAGE_LIMIT
    return MULTI_LIMIT if request.method == "list" else SINGLE_LIMIT


def auth_value(auth: Auth | None) -> Value:
    return None if auth is None else auth.value


def resource_value(resource: Resource | None, service: str, database: str) -> Value:
    if resource is None:
        return None
    return resource.data if service == STORAGE else document_value(resource, database)


def runtime_for(request: Request, session: LookupSession, tracer: Tracer | None) -> Runtime:
    """The members of `request` and `resource` as section 3 has them."""
    service, database, method = request.service, request.database, request.method
    members: dict[str, Value] = {
        "auth": auth_value(request.auth),
        "method": method,
        "time": request.time,
    }
    if method in ("create", "update", "delete"):
        after = None if method == "delete" else request.new_resource
        members["resource"] = resource_value(after, service, database)
    path = (*root_path(service, database), *request.path)
    stored = resource_value(request.resource, service, database)
    return Runtime(members, path, stored, session, tracer)


def _function_bodies(program: Program) -> dict[tree.Call, tree.Expr]:
    """Which result expression stands behind each call of a user's function."""
    found: dict[tree.Call, tree.Expr] = {}
    places = [(info.decl.result, info.scope) for info in program.functions]
    places += [(let.value, info.scope) for info in program.functions for let in info.decl.lets]
    for block in program.blocks:
        places += [
            (a.condition, block.scope) for a in block.match.allows if a.condition is not None
        ]
    for root, scope in places:
        for node in tree.walk(root):
            if isinstance(node, tree.Call):
                info = scope.function(node.name)
                if info is not None:
                    found[node] = info.decl.result
    return found
