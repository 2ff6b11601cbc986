"""Many clients, random queries and writes, disconnects, restarts, slow readers, late notifications.

At every snapshot that a client is told, what it holds is compared with what the naive model answers at
that version.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from baas.access.principal import ANONYMOUS
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.query import Query
from baas.model.watch import AddTarget, RemoveTarget, Target
from baas.realtime.options import RealtimeOptions
from baas.realtime.service import RealtimeService, WatchStream
from tests.unit.realtime.client import ListenClient, TargetView
from tests.unit.realtime.memory import DATABASE, AllowAll, MemoryStore, settle
from tests.unit.realtime.random_queries import (
    random_fields,
    random_names,
    random_path,
    random_query,
)

Watched = Query | tuple[DocumentName, ...]


class SimulatedClient:
    """A client with a few targets, which may lose its stream and come back with its tokens."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.watched: dict[int, Watched] = {}
        self.known: dict[int, TargetView] = {}
        self.model = ListenClient()
        self.stream: WatchStream | None = None
        self.checked = 0
        self.last_snapshot = 0

    async def connect(self) -> None:
        self.model = ListenClient()
        self.model.on_snapshot = self.check
        self.stream = self.world.service.open(DATABASE, ANONYMOUS)
        for target_id in self.watched:
            await self._add(target_id, self.known.get(target_id))

    def disconnect(self) -> None:
        if self.stream is None:
            return
        for target_id, view in self.model.targets.items():
            if view.token is not None:
                self.known[target_id] = view
        self.stream.close()
        self.stream = None

    async def add(self) -> None:
        target_id = self.rng.choice([i for i in range(1, 9) if i not in self.watched] or [0])
        if self.stream is None or not target_id:
            return
        rng = self.rng
        self.watched[target_id] = random_names(rng) if rng.random() < 0.3 else random_query(rng)
        await self._add(target_id, None)

    async def remove(self) -> None:
        if self.stream is None or not self.watched:
            return
        target_id = self.rng.choice(list(self.watched))
        del self.watched[target_id]
        self.known.pop(target_id, None)
        self.model.removing(target_id)
        await self.stream.request(RemoveTarget(DATABASE, target_id))

    async def _add(self, target_id: int, known: TargetView | None) -> None:
        assert self.stream is not None
        resumes = known is not None and known.token is not None and self.rng.random() < 0.9
        self.model.adding(target_id, known if resumes else None)
        watched = self.watched[target_id]
        target = Target(
            target_id,
            query=watched if isinstance(watched, Query) else None,
            documents=() if isinstance(watched, Query) else watched,
            resume_token=known.token if known is not None and resumes else None,
            expected_count=len(known.settled) if known is not None and resumes else None,
        )
        await self.stream.request(AddTarget(DATABASE, target))

    def read(self, batches: int) -> int:
        """Take at most so many batches; answers how many there were."""
        for taken in range(batches):
            batch = None if self.stream is None else self.stream.take()
            if batch is None:
                return taken
            self.model.apply_all([batch])
        return batches

    def check(self, version: int) -> None:
        self.checked += 1
        assert version >= self.last_snapshot
        self.last_snapshot = version
        for target_id, view in self.model.targets.items():
            expected = self.world.expected(self.watched_then(target_id), version)
            assert view.documents == expected, f"target {target_id} at {version}"

    def watched_then(self, target_id: int) -> Watched:
        return self.all_watched[target_id]

    @property
    def all_watched(self) -> dict[int, Watched]:
        # a target that was removed may be told of until its REMOVE comes
        self._ever = {**getattr(self, "_ever", {}), **self.watched}
        return self._ever


class World:
    """One store, one service, a few clients."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.store = MemoryStore()
        self.store.before_read = self.store.after_read = self._dawdle
        self.options = RealtimeOptions(
            look_ahead=self.rng.choice((0, 1, 3)),
            kept_documents=self.rng.choice((0, 2, 100)),
            merge_bytes=self.rng.choice((0, 500, 100_000)),
            reset_bytes=self.rng.choice((1_500, 100_000)),
            batch_bytes=self.rng.choice((1, 500, 100_000)),
            replayed_changes=self.rng.choice((3, 1_000)),
            streams_per_turn=2,
        )
        self.service = RealtimeService(self.store, AllowAll(), self.options)
        self.clients = [SimulatedClient(self) for _ in range(4)]

    async def _dawdle(self) -> None:
        for _ in range(self.rng.randrange(6)):
            await asyncio.sleep(0)

    def expected(self, watched: Watched, version: int) -> dict[DocumentName, Document]:
        at = max(known for known in self.store.states if known <= version)
        state = self.store.states[at]
        if isinstance(watched, Query):
            found = self.store.answer(watched, at)
        else:
            found = [state[each] for each in watched if each in state]
        return {document.name: document for document in found}

    async def restart(self) -> None:
        for client in self.clients:
            client.disconnect()
        await self.service.close()
        self.store.publish()
        self.service = RealtimeService(self.store, AllowAll(), self.options)

    async def step(self) -> None:
        rng, client = self.rng, self.rng.choice(self.clients)
        action = rng.random()
        if client.stream is None and action > 0.5:
            await client.connect()
        elif action < 0.4:
            self.write()
        elif action < 0.5:
            self.store.publish(min(len(self.store.unpublished), rng.randrange(3)))
        elif action < 0.6:
            await client.add()
        elif action < 0.64:
            await client.remove()
        elif action < 0.85:
            client.read(rng.choice((1, 2, 100)))
        elif action < 0.9:
            client.disconnect()
        elif action < 0.91:
            await self.restart()
        elif action < 0.92:
            self.store.prune(self.store.version - rng.randrange(50))
        else:
            await self._dawdle()

    def write(self) -> None:
        rng = self.rng
        changes = {
            random_path(rng): random_fields(rng) if rng.random() < 0.7 else None
            for _ in range(rng.choice((1, 1, 1, 2, 4)))
        }
        self.store.write(changes, publish=rng.random() < 0.7)

    async def finish(self) -> None:
        """Let everything arrive; every client must end with the final answer."""
        self.store.publish()
        for client in self.clients:
            if client.stream is None:
                await client.connect()
        for _ in range(200):
            await settle()
            if sum(client.read(100) for client in self.clients) == 0:
                break
        for client in self.clients:
            assert not client.model.ended
            assert set(client.model.targets) == set(client.watched)
            for target_id, view in client.model.targets.items():
                assert view.current
                final = self.expected(client.watched[target_id], self.store.version)
                assert view.settled == final, f"target {target_id} in the end"


@pytest.mark.parametrize("seed", range(40))
async def test_clients_hold_what_the_query_means_at_every_version_they_are_told(seed: int) -> None:
    world = World(seed)
    for _ in range(250):
        await world.step()
    await world.finish()
    await world.service.close()
    assert sum(client.checked for client in world.clients) > 0
