"""The answer of the engine, with its reasons made only when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rules.lookups import Document

Outcome = Literal["true", "false", "error", "unknown"]
MESSAGE_PRODUCTION = "Missing or insufficient permissions."
NO_STATEMENTS = "No matching allow statements"


@dataclass(frozen=True, slots=True)
class Reason:
    """One statement that was tried. Lines and columns are 1-based.

    `line`, `column`: the statement. `expression`, `expression_line`, `expression_column`: the
    sub-expression that decided, with `value` its rendering. `message`: for an error, what went wrong.
    """

    method: str
    line: int
    column: int
    outcome: Outcome
    message: str
    expression: str
    expression_line: int
    expression_column: int
    value: str

    def items(self) -> list[str]:
        """In the official emulator's words."""
        place = f"for '{self.method}' @ L{self.line}"
        if self.outcome in ("true", "false"):
            return [f"{self.outcome} {place}"]
        where = f"evaluation error at L{self.expression_line}:{self.expression_column} {place}"
        return [where, f"{self.message} {place}"]


class Decision(NamedTuple):
    """Whether a request is allowed. Ask `allowed`: the decision itself is always truthy.

    `lookups`: the documents (database, path) whose change may change the verdict. `uses`: what the
    applicable statements read at all, out of "auth", "time", "resource", "new_resource", "query", "path"
    and "lookups"; a verdict holds for every request alike in these. `problem`: what ended it all, if a
    limit did.
    """

    allowed: bool
    method: str
    lookups: frozenset[Document] = frozenset()
    uses: frozenset[str] = frozenset()
    problem: str | None = None
    explanation: Callable[[], tuple[Reason, ...]] = tuple

    @property
    def uses_time(self) -> bool:
        """Whether the same request may be judged otherwise later."""
        return "time" in self.uses

    @property
    def auth_only(self) -> bool:
        """Whether nothing but who asks can change the verdict."""
        return self.uses <= {"auth"}

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Each statement tried, in source order. Computed when read, from what was looked up before."""
        return self.explanation()

    @property
    def message_production(self) -> str:
        """Tells a client nothing."""
        return MESSAGE_PRODUCTION

    def message_dev(self) -> str:
        """What was tried and why it did not grant; for developers, never for clients in production."""
        if self.problem is not None:
            return f"\n{self.problem}"
        items = [item for reason in self.reasons for item in reason.items()]
        return "\n" + (", ".join(items) if items else NO_STATEMENTS)
