"""Which ruleset is live, for each project and service.

A release is atomic: requests that began keep the ruleset they have, later ones get the new one. A
source that does not compile changes nothing. Rulesets compile once and are shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import rules

FIRESTORE = "cloud.firestore"
STORAGE = "firebase.storage"


@dataclass(frozen=True, slots=True)
class Release:
    """A ruleset in force. ``coverage``: where its evaluations are counted, for test tools."""

    ruleset: rules.Ruleset
    coverage: rules.Coverage | None = None

    def evaluate(
        self,
        request: rules.Request,
        lookups: rules.Lookups,
        budget: rules.LookupBudget | None = None,
    ) -> rules.Decision:
        """Judge one request."""
        return self.ruleset.evaluate(request, lookups, budget=budget, coverage=self.coverage)

    def prove(self, query: rules.ListRequest, lookups: rules.Lookups) -> rules.Decision:
        """Judge a query by its own constraints."""
        return self.ruleset.prove(query, lookups, coverage=self.coverage)


ReleaseListener = Callable[[str | None, str], None]


class Releases:
    """The live rulesets. A project without a release of its own has the server's default one."""

    def __init__(self) -> None:
        self._live: dict[tuple[str | None, str], Release] = {}
        self._listeners: list[ReleaseListener] = []

    def live(self, project: str, service: str) -> Release | None:
        """The release that decides for a project now; ``None``: nobody ever gave one."""
        return self._live.get((project, service)) or self._live.get((None, service))

    def release(self, project: str | None, service: str, release: Release) -> None:
        """Make a ruleset live, for one project or (``None``) as the default of all."""
        self._live[project, service] = release
        self._tell(project, service)

    def withdraw(self, project: str) -> None:
        """Forget a project's own releases: the server's default ones decide again."""
        for service in (FIRESTORE, STORAGE):
            if self._live.pop((project, service), None) is not None:
                self._tell(project, service)

    def on_release(self, listener: ReleaseListener) -> None:
        """Call back with (project or ``None`` for all, service) after each release."""
        self._listeners.append(listener)

    def _tell(self, project: str | None, service: str) -> None:
        for listener in self._listeners:
            listener(project, service)
