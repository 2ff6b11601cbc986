"""Which ruleset is live, for each project and service.

A release is atomic: requests that began keep the ruleset they have, later ones get the new one. A
source that does not compile changes nothing. Rulesets compile once and are shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable

import rules

FIRESTORE = "cloud.firestore"
STORAGE = "firebase.storage"

ReleaseListener = Callable[[str | None, str], None]


class Releases:
    """The live rulesets. A project without a release of its own has the server's default one."""

    def __init__(self) -> None:
        self._live: dict[tuple[str | None, str], rules.Ruleset] = {}
        self._listeners: list[ReleaseListener] = []

    def live(self, project: str, service: str) -> rules.Ruleset | None:
        """The ruleset that decides for a project now; ``None``: nobody ever gave one."""
        return self._live.get((project, service)) or self._live.get((None, service))

    def release(self, project: str | None, service: str, ruleset: rules.Ruleset) -> None:
        """Make a ruleset live, for one project or (``None``) as the default of all."""
        self._live[project, service] = ruleset
        for listener in self._listeners:
            listener(project, service)

    def on_release(self, listener: ReleaseListener) -> None:
        """Call back with (project or ``None`` for all, service) after each release."""
        self._listeners.append(listener)
