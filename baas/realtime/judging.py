"""The rights of a hub's targets: decided, decided again when in doubt, and revoked.

While the right to a target is in question the target is held: its stream tells nothing of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from baas.errors import ApiError
from baas.realtime.deltas import Key
from baas.realtime.rights import ALLOWED, Get, Judge, Verdict
from baas.realtime.targets import WatchTarget
from baas.realtime.tasks import Tasks
from baas.realtime.timeline import Timeline


class Judging:
    """Which targets are being judged, and on which documents the rights of the others depend."""

    def __init__(
        self,
        judge: Judge,
        timeline: Timeline,
        tasks: Tasks,
        at_hand: Callable[[WatchTarget], Get],
        allowed: Callable[[WatchTarget], None],
        refused: Callable[[WatchTarget, ApiError], None],
    ) -> None:
        """``at_hand`` gives the look-up into the documents that a target watches; ``allowed`` or
        ``refused`` is called with each decision."""
        self._judge = judge
        self._timeline = timeline
        self._tasks = tasks
        self._at_hand = at_hand
        self._allowed = allowed
        self._refused = refused
        self._dependents: dict[Key, dict[WatchTarget, None]] = {}

    def judge(self, target: WatchTarget) -> None:
        """Decide (again) whether the caller may watch the target; until then it is held."""
        target.doubts += 1
        if target.judging or target.dead:
            return
        owner = target.owner
        owner.state.hold(target)
        verdict = ALLOWED
        if not owner.principal.bypasses_rules:
            asked = self._judge.at_once(owner.principal, target.watched, self._at_hand(target))
            if asked is None:
                target.judging = True
                self._tasks.spawn(self._judge_in_unit(target))
                return
            verdict = asked
        self._conclude(target, verdict)

    def judge_all(self, targets: Iterable[WatchTarget]) -> None:
        """The rules, or who the caller is, changed."""
        for target in tuple(targets):
            known = target.watched.query is not None or target.started
            if known or target.judging:
                self.judge(target)

    def dependents(self, key: Key) -> Iterable[WatchTarget]:
        """The targets whose right depends on a document or collection."""
        return self._dependents.get(key, ())

    def forget(self, target: WatchTarget) -> None:
        """The target's right does not matter any more, or is decided anew."""
        for key in target.dependencies:
            targets = self._dependents.get(key)
            if targets is not None:
                targets.pop(target, None)
                if not targets:
                    del self._dependents[key]
        target.dependencies = frozenset()

    async def _judge_in_unit(self, target: WatchTarget) -> None:
        owner = target.owner
        own = frozenset(name.segments for name in target.watched.names)
        verdict = ALLOWED
        while not target.dead:
            doubts, principal = target.doubts, owner.principal
            if principal.bypasses_rules:
                verdict = ALLOWED
                break
            try:
                verdict, _ = await self._timeline.read(
                    functools.partial(self._judge.in_unit, principal, target.watched)
                )
            except ApiError as error:
                verdict = Verdict(error, frozenset(), -1)
            looked_at = verdict.dependencies | own
            changed = self._timeline.changed_since(looked_at, verdict.version)
            if doubts == target.doubts and not changed:
                break
        target.judging = False
        if not target.dead:
            self._conclude(target, verdict)

    def _conclude(self, target: WatchTarget, verdict: Verdict) -> None:
        target.owner.state.release(target)
        if verdict.refusal is not None:
            self._refused(target, verdict.refusal)
            return
        self.forget(target)
        target.dependencies = verdict.dependencies
        for key in verdict.dependencies:
            self._dependents.setdefault(key, {})[target] = None
        self._allowed(target)
