"""Listen and Write over model types: what every transport of theirs relies on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import pytest

from baas.access.principal import ANONYMOUS, Principal, PrincipalKind
from baas.api import streams as module
from baas.api.streams import Streams
from baas.errors import (
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from baas.model.paths import DatabaseId, DocumentName
from baas.model.values import Timestamp
from baas.model.watch import (
    AddTarget,
    ListenRequest,
    ListenResponse,
    RemoveTarget,
    Target,
    TargetChange,
    TargetChangeType,
)
from baas.model.write import Commit, CommitResult, Write, WriteKind, WriteResult
from baas.wire.requests import WriteStreamRequest

DATABASE = DatabaseId("p")
OTHER = DatabaseId("other")


class Commits:
    """Accepts writes to all documents but ``denied``, one at a time."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.running = 0

    async def commit(self, commit: Commit, principal: Principal) -> CommitResult:
        assert self.running == 0, "batches of one stream run one after another"
        self.running += 1
        await asyncio.sleep(0)
        self.running -= 1
        names = [write.name.id for write in commit.writes]
        if "denied" in names:
            raise PermissionDenied("Missing or insufficient permissions.")
        self.done += names
        time = Timestamp(len(self.done))
        return CommitResult(time, tuple(WriteResult(time) for _ in names))


class Watch:
    """Answers each request with ADD or REMOVE."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Iterable[ListenResponse] | None] = asyncio.Queue()
        self.closed = False

    async def request(self, request: ListenRequest) -> None:
        if isinstance(request, AddTarget):
            kind, target_id = TargetChangeType.ADD, request.target.target_id
        else:
            kind, target_id = TargetChangeType.REMOVE, request.target_id
        self.queue.put_nowait((TargetChange(kind, (target_id,)),))

    async def __aiter__(self) -> AsyncIterator[Iterable[ListenResponse]]:
        while (batch := await self.queue.get()) is not None:
            yield batch

    def close(self) -> None:
        self.closed = True
        self.queue.put_nowait(None)


class Watches:
    def __init__(self) -> None:
        self.opened: list[tuple[DatabaseId, Principal, Watch]] = []

    def open(self, database: DatabaseId, principal: Principal) -> Watch:
        watch = Watch()
        self.opened.append((database, principal, watch))
        return watch


class Authenticator:
    def __init__(self, expires_at: float | None = None) -> None:
        self.expires_at = expires_at

    async def principal(self, authorization: str | None, project: str) -> Principal:
        if authorization is None:
            return ANONYMOUS
        if authorization == "Bearer bad":
            raise Unauthenticated("Unknown token.")
        return Principal(PrincipalKind.USER, uid=authorization, expires_at=self.expires_at)


class Setting:
    def __init__(self, expires_at: float | None = None) -> None:
        self.commits, self.watches = Commits(), Watches()
        self.streams = Streams(self.commits, self.watches, Authenticator(expires_at))


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def given(*items: Any, then: asyncio.Event | None = None) -> AsyncIterator[Any]:
    """Requests; the client's half ends after them, or when ``then`` is set."""
    for item in items:
        yield item
    if then is not None:
        await then.wait()


def add(target_id: int, database: DatabaseId = DATABASE) -> AddTarget:
    return AddTarget(database, Target(target_id, documents=(document("a"),)))


def document(identifier: str) -> DocumentName:
    return DocumentName(DATABASE, ("c", identifier))


def writes(*identifiers: str) -> WriteStreamRequest:
    return WriteStreamRequest(
        None,
        writes=tuple(Write(WriteKind.DELETE, document(identifier)) for identifier in identifiers),
    )


OPEN = WriteStreamRequest(DATABASE)


async def collect(stream: Any) -> list[Any]:
    async with asyncio.timeout(5):
        return [item async for item in stream]


async def test_listen_acts_as_the_caller_of_the_first_message(setting: Setting) -> None:
    async with aclosing(setting.streams.listen("Bearer u", given(add(2), add(4)))) as stream:
        first = await anext(stream)
    assert [change.target_ids for change in first] == [(2,)]
    [(database, principal, _)] = setting.watches.opened
    assert (database, principal.uid) == (DATABASE, "Bearer u")


async def test_listen_ends_when_the_client_ends_its_half(setting: Setting) -> None:
    requests = given(add(2), RemoveTarget(DATABASE, 2))
    batches = await collect(setting.streams.listen(None, requests))
    kinds = [change.kind for batch in batches for change in batch]
    assert kinds == [TargetChangeType.ADD, TargetChangeType.REMOVE]
    assert setting.watches.opened[0][2].closed


async def test_listen_without_a_message_ends_quietly(setting: Setting) -> None:
    assert await collect(setting.streams.listen(None, given())) == []


async def test_listen_stays_with_its_database(setting: Setting) -> None:
    with pytest.raises(InvalidArgument):
        await collect(setting.streams.listen(None, given(add(2), add(4, OTHER))))


async def test_malformed_message_ends_the_stream_with_its_status(setting: Setting) -> None:
    async def requests() -> AsyncIterator[ListenRequest]:
        yield add(2)
        raise InvalidArgument("malformed")

    with pytest.raises(InvalidArgument, match="malformed"):
        await collect(setting.streams.listen(None, requests()))


async def test_leaving_a_listen_stream_closes_its_watch(setting: Setting) -> None:
    forever = asyncio.Event()
    async with aclosing(setting.streams.listen(None, given(add(2), then=forever))) as stream:
        await anext(stream)
    assert setting.watches.opened[0][2].closed


async def test_bad_credentials_end_both_streams_before_any_answer(setting: Setting) -> None:
    with pytest.raises(Unauthenticated):
        await collect(setting.streams.listen("Bearer bad", given(add(2))))
    with pytest.raises(Unauthenticated):
        await collect(setting.streams.write("Bearer bad", given(OPEN)))
    assert setting.watches.opened == []


async def test_stopping_server_ends_streams_with_unavailable(setting: Setting) -> None:
    forever = asyncio.Event()
    listening = setting.streams.listen(None, given(add(2), then=forever))
    writing = setting.streams.write(None, given(OPEN, then=forever))
    await anext(listening)
    await anext(writing)
    setting.streams.close()
    for stream in (listening, writing, setting.streams.listen(None, given(add(2)))):
        with pytest.raises(Unavailable):
            await collect(stream)


async def test_streams_of_a_user_whose_account_is_disabled_end_and_no_others(
    setting: Setting,
) -> None:
    forever = asyncio.Event()
    ann, bob = (
        setting.streams.write(who, given(OPEN, then=forever))
        for who in ("Bearer ann", "Bearer bob")
    )
    listening = setting.streams.listen("Bearer ann", given(add(2), then=forever))
    for stream in (ann, bob, listening):
        await anext(stream)
    setting.streams.end_user(DATABASE.project, "Bearer ann", Unauthenticated("Disabled."))
    for stream in (ann, listening):
        with pytest.raises(Unauthenticated):
            await collect(stream)
    forever.set()
    assert await collect(bob) == []


async def test_streams_end_some_time_after_their_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXPIRY_GRACE", 0.05)
    setting, forever = Setting(expires_at=time.time()), asyncio.Event()
    with pytest.raises(Unauthenticated):
        await collect(setting.streams.listen("Bearer u", given(add(2), then=forever)))
    with pytest.raises(Unauthenticated):
        await collect(setting.streams.write("Bearer u", given(OPEN, then=forever)))


async def test_write_stream_answers_each_batch_in_order(setting: Setting) -> None:
    requests = given(OPEN, writes("a"), writes("b", "c"), WriteStreamRequest(None))
    hello, first, second, farewell = await collect(setting.streams.write(None, requests))
    assert hello.stream_id
    assert hello.stream_token
    assert hello.result is None
    assert len(first.result.write_results) == 1
    assert len(second.result.write_results) == 2
    assert farewell.result is None
    assert farewell.stream_token
    assert setting.commits.done == ["a", "b", "c"]


async def test_failed_batch_stops_those_behind_it(setting: Setting) -> None:
    requests = given(OPEN, writes("a"), writes("denied"), writes("b"))
    stream = setting.streams.write(None, requests)
    assert (await anext(stream)).result is None
    assert (await anext(stream)).result is not None
    with pytest.raises(PermissionDenied):
        await anext(stream)
    assert setting.commits.done == ["a"]


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (WriteStreamRequest(None), InvalidArgument),
        (WriteStreamRequest(DATABASE, writes=writes("a").writes), InvalidArgument),
        (WriteStreamRequest(DATABASE, stream_id="old"), FailedPrecondition),
    ],
    ids=["no database", "writes in the handshake", "resumed"],
)
async def test_write_handshake_is_checked(
    setting: Setting, first: WriteStreamRequest, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await collect(setting.streams.write(None, given(first)))
    assert setting.commits.done == []


async def test_write_stream_stays_with_its_database(setting: Setting) -> None:
    requests = given(OPEN, WriteStreamRequest(OTHER, writes=writes("a").writes))
    with pytest.raises(InvalidArgument):
        await collect(setting.streams.write(None, requests))
    assert setting.commits.done == []
