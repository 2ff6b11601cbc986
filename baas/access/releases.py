"""Which ruleset is in force, for each project and service.

A release is atomic: requests that began keep the ruleset they have, later ones get the new one. A
source that does not compile changes nothing. Rulesets compile once and are shared between threads.

Release names are those of the Firebase Rules API: ``cloud.firestore``, ``firebase.storage``, and the same
with ``/<database>`` or ``/<bucket>`` for one of them. A project's own release goes before the server's
default, a database's or bucket's own before the service's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import rules

FIRESTORE = "cloud.firestore"
STORAGE = "firebase.storage"
SERVICES = (FIRESTORE, STORAGE)


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


def service_of(name: str) -> str | None:
    """The service of a release's name; ``None`` if it is not one."""
    service, _, resource = name.partition("/")
    if service not in SERVICES or (resource == "" and name != service) or "/" in resource:
        return None
    return service


class Releases:
    """The live rulesets."""

    def __init__(self) -> None:
        self._live: dict[tuple[str | None, str], Release] = {}
        self._listeners: list[ReleaseListener] = []

    def live(self, project: str, service: str, resource: str) -> Release | None:
        """The release that decides about a database or bucket; ``None``: nobody ever gave one."""
        live = self._live
        own = live.get((project, f"{service}/{resource}")) or live.get((project, service))
        return own or live.get((None, service))

    def release(self, project: str | None, name: str, release: Release) -> None:
        """Put a ruleset in force, for one project or (``None``) as the default of all."""
        self._live[project, name] = release
        self._tell(project, name)

    def withdraw(self, project: str, name: str | None = None) -> None:
        """Take back a project's release of this name, or all it has: the defaults decide again."""
        for key in tuple(self._live):
            if key[0] == project and name in (None, key[1]):
                del self._live[key]
                self._tell(project, key[1])

    def on_release(self, listener: ReleaseListener) -> None:
        """Call back with (project or ``None`` for all, service) after each release."""
        self._listeners.append(listener)

    def _tell(self, project: str | None, name: str) -> None:
        service = name.partition("/")[0]
        for listener in self._listeners:
            listener(project, service)
