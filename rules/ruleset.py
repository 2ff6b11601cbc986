"""What a compiled ruleset of either language offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from rules import tree
from rules.decision import Decision
from rules.errors import Issue
from rules.lookups import LookupBudget
from rules.request import ListRequest, Lookups, Request
from rules.source import Source

if TYPE_CHECKING:
    from rules.coverage import Coverage

Language = Literal["rules", "json"]


class Ruleset(ABC):
    """A compiled ruleset: immutable, and safe to use from several threads at once."""

    language: Language

    def __init__(self, source: Source, issues: tuple[Issue, ...]) -> None:
        self._source = source
        self.issues = issues

    @property
    def source(self) -> str:
        """The text it was compiled from."""
        return self._source.text

    @property
    def file_name(self) -> str:
        return self._source.file_name

    @property
    @abstractmethod
    def services(self) -> tuple[str, ...]:
        """The services that it has rules for, such as `cloud.firestore`, in source order."""

    @abstractmethod
    def evaluate(
        self,
        request: Request,
        lookups: Lookups,
        *,
        budget: LookupBudget | None = None,
        coverage: Coverage | None = None,
    ) -> Decision:
        """Judge one document read or write, or one storage operation.

        `budget`: shared by the evaluations of one commit or batch. Raises LookupNeeded as the host raised it.
        """

    @abstractmethod
    def prove(
        self,
        query: ListRequest,
        lookups: Lookups,
        *,
        budget: LookupBudget | None = None,
        coverage: Coverage | None = None,
    ) -> Decision:
        """Judge a query by its own constraints: allowed only if every document it could return is.

        Sound (protocol section 6): what cannot be proven is denied. Raises LookupNeeded as the host did.
        """

    @property
    @abstractmethod
    def conditions(self) -> list[tree.Expr]:
        """The roots of all expressions in source order, for coverage."""

    @property
    def permissions(self) -> list[tree.Expr]:
        """Those of them that grant: the conditions of statements, without functions and variables."""
        return self.conditions

    def visited_report(self, coverage: Coverage) -> list[dict[str, Any]]:
        """Each permission that was evaluated, with its values: the Rules API's `visitedExpressions`."""
        return coverage.visited(self._source, self.permissions)

    def coverage_report(self, coverage: Coverage) -> dict[str, Any]:
        """The Rules API's JSON of what was counted (protocol section 8)."""
        return coverage.report(self._source, self.conditions)

    def coverage_html(self, coverage: Coverage) -> str:
        """A page with the source and the values of each expression."""
        return coverage.html(self._source, self.conditions)

    def coverage_text(self, coverage: Coverage) -> str:
        """The source, each line with how often its expressions ran."""
        return coverage.annotate(self._source, self.conditions)

    def coverage_summary(self, coverage: Coverage) -> tuple[int, int]:
        """Expressions that ran at least once, and all there are."""
        return coverage.summary(self.conditions)
