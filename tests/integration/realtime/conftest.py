"""A real server of the WebSocket surface on a free port, over SQLite, and a client for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from baas.access.authorize import Authorizer
from baas.access.principal import ANONYMOUS, OWNER, Principal, PrincipalKind
from baas.access.releases import Releases
from baas.api.websocket import WebSocketOptions, WebSocketSurface
from baas.api.websocket_frames import FrameSharingProtocol
from baas.db.sqlite import SqliteDatabase
from baas.documents.queries import query_reader
from baas.documents.service import DocumentStore
from baas.errors import Unauthenticated
from baas.realtime.options import RealtimeOptions
from baas.realtime.service import RealtimeService
from baas.realtime.source import StoreSource

DEADLINE = 20.0
ROOT = "projects/demo/databases/(default)/documents"


async def authenticate(token: str | None, project: str) -> Principal:
    """Tokens of the tests: ``owner``, ``user:<uid>``, ``brief:<uid>:<expiry>``; others are refused."""
    if token is None:
        return ANONYMOUS
    if token == "owner":
        return OWNER
    kind, _, rest = token.partition(":")
    uid, _, expiry = rest.partition(":")
    if kind not in ("user", "brief"):
        raise Unauthenticated("The token is no good.")
    claims = {"sub": uid, "user_id": uid}
    user = Principal(PrincipalKind.USER, uid, claims, project)
    return replace(user, expires_at=float(expiry)) if expiry else user


@dataclass
class Server:
    """What a test may look at."""

    port: int
    documents: DocumentStore
    realtime: RealtimeService
    surface: WebSocketSurface
    releases: Releases

    def url(self, project: str = "demo", database: str = "(default)") -> str:
        return f"ws://127.0.0.1:{self.port}/v1/projects/{project}/databases/{database}/listen"


Start = Callable[..., Awaitable[Server]]


@pytest_asyncio.fixture
async def start(database: SqliteDatabase) -> AsyncIterator[Start]:
    """Start a server: ``await start(rules=True, realtime=…, websocket=…, ws=…)``."""
    async with contextlib.AsyncExitStack() as stack:

        async def starter(
            *,
            open_without_rules: bool = True,
            realtime: RealtimeOptions | None = None,
            websocket: WebSocketOptions | None = None,
            ws: Any = FrameSharingProtocol,
            **settings: Any,
        ) -> Server:
            releases = Releases()
            authorizer = Authorizer(releases, open_without_rules=open_without_rules)
            documents = DocumentStore(database, authorizer)
            source = StoreSource(documents, documents.changes.subscribe, query_reader)
            service = RealtimeService(source, authorizer, realtime)
            stack.push_async_callback(service.close)
            releases.on_release(service.rules_released)
            surface = WebSocketSurface(documents, service, authenticate, websocket)
            port = await stack.enter_async_context(serving(surface, ws, settings))
            return Server(port, documents, service, surface, releases)

        yield starter


@contextlib.asynccontextmanager
async def serving(
    surface: WebSocketSurface, ws: Any, settings: dict[str, Any]
) -> AsyncIterator[int]:
    """Uvicorn on a free port."""
    config = uvicorn.Config(
        Starlette(routes=surface.routes()),
        host="127.0.0.1",
        port=0,
        ws=ws,
        lifespan="off",
        log_config=None,
        **settings,
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server._serve(None))
    while not server.started:
        assert not task.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        surface.close()
        server.should_exit = True
        await asyncio.wait_for(task, DEADLINE)


@pytest_asyncio.fixture
async def server(start: Start) -> Server:
    """A server with everything allowed."""
    return await start()


@dataclass
class Client:
    """A WebSocket client that applies what it is told."""

    socket: ClientConnection
    documents: dict[int, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        """The next frame."""
        async with asyncio.timeout(DEADLINE):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        self.frames.append(frame)
        self._apply(frame)
        return frame

    async def until(self, key: str) -> Any:
        """The body of the next frame of a kind."""
        while True:
            frame = await self.receive()
            if key in frame:
                return frame[key]

    async def snapshot(self) -> str:
        """Read up to the next global snapshot; answers its time."""
        while True:
            change = await self.until("targetChange")
            if "targetChangeType" not in change:
                return str(change["readTime"])

    async def until_documents(self, target_id: int, expected: set[str]) -> None:
        """Read snapshots until the target has exactly these documents."""
        while True:
            known = self.documents.get(target_id)
            if known is not None and {name.rsplit("/", 1)[1] for name in known} == expected:
                break
            await self.snapshot()

    async def listen(self, target_id: int, collection: str, **query: Any) -> None:
        structured = {"from": [{"collectionId": collection}], **query}
        target = {"query": {"parent": ROOT, "structuredQuery": structured}}
        await self.send({"addTarget": {"targetId": target_id, **target}})

    async def listen_to_document(self, target_id: int, path: str) -> None:
        names = [f"{ROOT}/{path}"]
        await self.send({"addTarget": {"targetId": target_id, "documents": {"documents": names}}})

    async def commit(self, request_id: int, *writes: dict[str, Any]) -> None:
        await self.send({"commit": {"requestId": request_id, "writes": list(writes)}})

    async def closed(self) -> tuple[int, list[dict[str, Any]]]:
        """The close code (0: cut off without one), and the frames before it."""
        frames = []
        try:
            while True:
                frames.append(await self.receive())
        except ConnectionClosed as closed:
            return (0 if closed.rcvd is None else closed.rcvd.code), frames

    def _apply(self, frame: dict[str, Any]) -> None:
        change = frame.get("documentChange")
        if change is not None:
            for target_id in change.get("targetIds", ()):
                document = change["document"]
                self.documents[target_id][document["name"]] = document["fields"]
        gone = change or frame.get("documentDelete") or frame.get("documentRemove")
        if gone is not None:
            name = gone["document"]["name"] if change is not None else gone["document"]
            for target_id in gone.get("removedTargetIds", ()):
                self.documents[target_id].pop(name, None)
        target = frame.get("targetChange", {})
        if target.get("targetChangeType") in ("ADD", "RESET"):
            self.documents[target["targetIds"][0]] = {}
        if "resumeToken" in target:
            for target_id in target.get("targetIds", self.documents):
                self.tokens[target_id] = target["resumeToken"]


def put(path: str, **fields: Any) -> dict[str, Any]:
    """A write that sets a document with integer and string fields."""
    encoded = {
        key: {"integerValue": str(value)} if isinstance(value, int) else {"stringValue": value}
        for key, value in fields.items()
    }
    return {"update": {"name": f"{ROOT}/{path}", "fields": encoded}}


def delete(path: str) -> dict[str, Any]:
    """A write that deletes a document."""
    return {"delete": f"{ROOT}/{path}"}


@contextlib.asynccontextmanager
async def connected(
    server: Server, token: str | None = None, **options: Any
) -> AsyncIterator[Client]:
    """A connection; ``token`` goes with the handshake."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = options.pop("url", server.url())
    options.setdefault("compression", None)
    async with connect(url, additional_headers=headers, **options) as socket:
        yield Client(socket)
