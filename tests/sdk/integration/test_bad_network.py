"""A listener behind a network that breaks anywhere ends up with what the server has."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio
from homefire.firestore import (
    Query,
    QuerySnapshot,
    collection,
    delete_doc,
    doc,
    get_docs,
    get_firestore,
    limit,
    on_snapshot,
    order_by,
    query,
    set_doc,
)

from tests.sdk.breaker import Breaker
from tests.sdk.conftest import MakeApp, Server

DEADLINE = 30.0
ROUNDS = 8


@pytest_asyncio.fixture
async def breaker(open_server: Server) -> AsyncIterator[Breaker]:
    made = Breaker(open_server.host)
    yield made
    await made.stop()


async def test_listeners_converge(
    open_server: Server, make_app: MakeApp, breaker: Breaker, unique: str
) -> None:
    chance = random.Random(20)
    writer = collection(get_firestore(make_app(open_server.host)), unique)
    reader = collection(get_firestore(make_app(await breaker.start())), unique)
    follow_all = Follower(reader)
    follow_some = Follower(query(reader, order_by("n"), limit(3)))
    for serial in range(ROUNDS):
        breaker.left = breaker.left or chance.randint(1, 900)
        for _ in range(chance.randint(3, 10)):
            target = doc(writer, chance.choice("abcdefgh"))
            if chance.random() < 0.3:
                await delete_doc(target)
            else:
                await set_doc(target, {"n": chance.randint(0, 5), "serial": serial})
        truth = {item.id: item.data() for item in await get_docs(writer)}
        some = [item.id for item in await get_docs(query(writer, order_by("n"), limit(3)))]
        await follow_all.until(lambda state, truth=truth: state == truth)
        await follow_some.until(lambda state, some=some: list(state) == some)
    assert breaker.broken >= 3


class Follower:
    """Holds a query's documents by applying the changes alone."""

    def __init__(self, question: Query) -> None:
        self._list: list[tuple[str, dict[str, Any]]] = []
        self._news = asyncio.Event()
        on_snapshot(question, self._take, self._fail)

    def _take(self, snapshot: QuerySnapshot) -> None:
        for change in snapshot.doc_changes():
            if change.old_index >= 0:
                assert self._list.pop(change.old_index)[0] == change.doc.id
            if change.new_index >= 0:
                self._list.insert(change.new_index, (change.doc.id, change.doc.data()))
        assert self._list == [(item.id, item.data()) for item in snapshot]
        self._news.set()

    def _fail(self, error: Exception) -> None:
        raise AssertionError("a bad network ended the listener") from error

    async def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Wait until the documents are as they should be."""
        async with asyncio.timeout(DEADLINE):
            while not holds(dict(self._list)):
                self._news.clear()
                await self._news.wait()
