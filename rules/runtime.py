"""The state of one evaluation, which every compiled closure takes as its only argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rules.errors import EvaluationError
from rules.types import Abstract, Path, Value

if TYPE_CHECKING:
    from rules import tree
    from rules.lookups import LookupSession

MAX_EXPRESSIONS = 1000
"""Evaluated expressions in one request, over all its allow statements (protocol section 4)."""

LIMIT_MESSAGE = (
    "Unable to evaluate the expression as the maximum of 1000 expressions to evaluate "
    "has been reached."
)

Compiled = Callable[["Runtime"], Any]


class Code(NamedTuple):
    """A compiled expression. `cost`: the expressions that entering it evaluates; what may be skipped is
    counted where it is entered. `most`: all that it can evaluate.
    """

    run: Compiled
    cost: int
    most: int


class Tracer(Protocol):
    """Told of every value that an instrumented expression had."""

    def value(self, node: tree.Expr, value: Value) -> None: ...

    def error(self, node: tree.Expr, error: EvaluationError) -> None: ...


class Runtime:
    """`left`: expressions that may still run. `captures`, `locals`: of the code that runs now.

    `request` holds the members of `request` but for `path` and those that are absent; `resource` is the
    map of the document, None when missing.
    """

    __slots__ = ("_path", "captures", "left", "locals", "lookups", "request", "resource", "tracer")

    def __init__(
        self,
        request: dict[str, Value],
        path: tuple[str, ...] | Abstract,
        resource: Value,
        lookups: LookupSession,
        tracer: Tracer | None = None,
    ) -> None:
        self.left = MAX_EXPRESSIONS
        self._path = path
        self.request = request
        self.resource = resource
        self.lookups = lookups
        self.tracer = tracer
        self.captures: tuple[Value, ...] = ()
        self.locals: list[Any] = []

    @property
    def path(self) -> Value:
        """`request.path`: few rules read it."""
        return Path(self._path) if type(self._path) is tuple else self._path

    def whole_request(self) -> dict[str, Value]:
        """`request` as one map."""
        return {**self.request, "path": self.path}


class Thunk:
    """An argument or `let` that is evaluated when first read, once, where it was written."""

    __slots__ = ("error", "frame", "run")

    def __init__(self, run: Compiled, frame: list[Any]) -> None:
        self.run = run
        self.frame = frame
        self.error: EvaluationError | None = None

    def force(self, rt: Runtime) -> Value:
        if self.error is not None:
            raise self.error
        saved, rt.locals = rt.locals, self.frame
        try:
            return self.run(rt)
        except EvaluationError as error:
            self.error = error
            raise
        finally:
            rt.locals = saved
