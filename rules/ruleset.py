"""What a compiled ruleset of either language offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

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
