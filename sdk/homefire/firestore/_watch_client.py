"""One connection for all listeners of a database: kept, authenticated and resumed by itself.

A listener is live, or its connection is being made anew, or its error was raised: never silent.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from homefire._runtime import logger
from homefire.auth._id_token import expiry_of
from homefire.errors import FirebaseError, FirestoreError
from homefire.firestore._aggregator import (
    FilterMismatch,
    TargetEnded,
    TargetSnapshot,
    WatchAggregator,
    WatchEvent,
    WatchProtocolError,
)
from homefire.firestore._socket import Connector, Socket, SocketClosed, open_socket
from homefire.firestore._status import code_of_number, code_of_status
from homefire.firestore._view import OrderPair, ViewSnapshot

TokenFunction: TypeAlias = Callable[[bool], Awaitable[str | None]]
Offer: TypeAlias = Callable[[ViewSnapshot | FirestoreError], None]


@dataclass(frozen=True, slots=True)
class ListenTarget:
    """What is listened to: the target on the wire without its id, and the order of its documents."""

    wire: dict[str, Any]
    orders: Sequence[OrderPair] = ()
    single: bool = False


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Times in seconds."""

    first_backoff: float = 0.2
    max_backoff: float = 30.0
    linger: float = 5.0  # how long a connection outlives its last listener
    token_lead: float = 240.0  # how long before its end a token is replaced
    token_retry: float = 5.0


DEFAULT_SETTINGS = WatchSettings()

# Close codes after which the same would only happen again, and the error that listeners get.
_FINAL_CLOSE = {
    1002: "internal",
    1003: "internal",
    1007: "invalid-argument",
    1009: "invalid-argument",
    4400: "invalid-argument",
    4404: "not-found",
}
_LIMIT_CLOSE = 1008
_CREDENTIALS_CLOSE = 4401
_TRIES = 3
"""How often a refusal that may pass (credentials, limits) is met in a row before it is raised."""


@dataclass(slots=True)
class _Listener:
    target: ListenTarget
    offer: Offer


class _Session:
    """One connection: what is to be sent, and what the server said last before it closed."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.token_changed = asyncio.Event()
        self.error: dict[str, Any] = {}

    def send(self, frame: dict[str, Any]) -> None:
        """Have a frame sent."""
        self.outgoing.put_nowait(frame)


class WatchClient:
    """Listens to targets. Lives in one event loop: all methods are called there."""

    def __init__(
        self,
        url: Callable[[], str],
        token: TokenFunction,
        connect: Connector = open_socket,
        settings: WatchSettings = DEFAULT_SETTINGS,
    ) -> None:
        self._url = url
        self._token = token
        self._connect = connect
        self._settings = settings
        self._aggregator = WatchAggregator()
        self._listeners: dict[int, _Listener] = {}
        self._ids: dict[int, int] = {}  # a listener's key -> its target's id now
        self._last_id = 0
        self._session: _Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._refusals = 0
        self._force_refresh = False

    def add(self, target: ListenTarget, offer: Offer) -> int:
        """Listen; what happens is given to ``offer``. Returns the key to end it by."""
        key = target_id = self._new_id()
        self._ids[key] = target_id
        self._listeners[key] = _Listener(target, offer)
        self._aggregator.add_target(target_id, target.orders, single=target.single)
        if self._session is not None:
            self._send_target(self._session, key)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        return key

    def remove(self, key: int) -> None:
        """End a listener; it is told nothing more."""
        if self._listeners.pop(key, None) is None:
            return
        target_id = self._ids.pop(key)
        self._aggregator.remove_target(target_id)
        if self._session is not None:
            self._session.send({"removeTarget": target_id})
        if not self._listeners:
            loop = asyncio.get_running_loop()
            loop.call_later(self._settings.linger, self._stop_if_idle)

    def token_changed(self) -> None:
        """The signed-in user or their token is another one: tell the server."""
        if self._session is not None:
            self._session.token_changed.set()

    async def close(self) -> None:
        """End all listeners and the connection."""
        self._listeners.clear()
        self._ids.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _stop_if_idle(self) -> None:
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        try:
            while self._listeners:
                try:
                    await self._connect_once()
                except (SocketClosed, WatchProtocolError, FirebaseError) as error:
                    await self._after_failure(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("Listening has failed unexpectedly")
            self._fail_all(FirestoreError("internal", f"Listening has failed: {error!r}"))

    async def _connect_once(self) -> None:
        token = await self._token(self._force_refresh)
        self._force_refresh = False
        session = _Session(await self._connect(self._url()))
        try:
            await self._serve(session, token)
        except SocketClosed as closed:
            self._raise_if_final(closed, session.error)
            raise
        finally:
            if self._session is session:
                self._session = None
                self._dispatch(self._aggregator.disconnected())
            await session.socket.close()

    async def _serve(self, session: _Session, token: str | None) -> None:
        if token is not None:
            session.send({"authenticate": {"token": token}})
        for key in self._listeners:
            self._send_target(session, key)
        self._session = session
        jobs = [
            asyncio.create_task(job)
            for job in (
                self._receive(session),
                self._send(session),
                self._keep_authenticated(session, token),
            )
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _receive(self, session: _Session) -> None:
        while True:
            text = await session.socket.recv()
            try:
                message = json.loads(text)
            except ValueError as error:
                raise WatchProtocolError("a frame is not JSON") from error
            if not isinstance(message, dict):
                raise WatchProtocolError("a frame is not a JSON object")
            if isinstance(message.get("error"), dict):
                session.error = message["error"]
            elif "authenticated" in message:
                self._refusals = 0
            else:
                self._dispatch(self._aggregator.feed(message))

    @staticmethod
    async def _send(session: _Session) -> None:
        while True:
            frame = await session.outgoing.get()
            await session.socket.send(json.dumps(frame, separators=(",", ":"), ensure_ascii=False))

    async def _keep_authenticated(self, session: _Session, token: str | None) -> None:
        while True:
            await self._until_token_is_due(session, token)
            fresh = await self._patient_token()
            if fresh != token:
                token = fresh
                session.send({"authenticate": {"token": token}})

    async def _patient_token(self) -> str | None:
        while True:
            try:
                return await self._token(False)
            except FirebaseError as error:
                logger.warning("The token of the listeners cannot be renewed yet: %s", error)
                await asyncio.sleep(self._settings.token_retry)

    async def _until_token_is_due(self, session: _Session, token: str | None) -> None:
        expiry = None if token is None else expiry_of(token)
        left = None if expiry is None else expiry - time.time()
        # Whether a token is over that this machine's clock calls over, is for the server to judge.
        wait = max(left - self._settings.token_lead, left / 2) if left and left > 0 else None
        try:
            async with asyncio.timeout(wait):
                await session.token_changed.wait()
        except TimeoutError:
            return
        session.token_changed.clear()

    def _send_target(self, session: _Session, key: int) -> None:
        target_id = self._ids[key]
        frame: dict[str, Any] = {"targetId": target_id, **self._listeners[key].target.wire}
        token = self._aggregator.resume_token(target_id)
        if token is not None:
            frame["resumeToken"] = token
        session.send({"addTarget": frame})

    def _dispatch(self, events: list[WatchEvent]) -> None:
        keys = {target_id: key for key, target_id in self._ids.items()} if events else {}
        for event in events:
            key = keys.get(event.target_id)
            if key is None:
                continue
            match event:
                case TargetSnapshot(view=view):
                    if not view.from_cache:
                        self._failures = self._refusals = 0
                    self._listeners[key].offer(view)
                case TargetEnded(code=code, message=message):
                    self._fail(key, FirestoreError(code_of_number(code), message))
                case FilterMismatch(target_id=target_id):
                    self._relisten(key, target_id)

    def _relisten(self, key: int, target_id: int) -> None:
        logger.info("A listener does not hold what the server has: it listens anew")
        self._ids[key] = self._new_id()
        self._aggregator.relisten(target_id, self._ids[key])
        if self._session is not None:
            self._session.send({"removeTarget": target_id})
            self._send_target(self._session, key)

    def _fail(self, key: int, error: FirestoreError) -> None:
        listener = self._listeners.pop(key)
        self._aggregator.remove_target(self._ids.pop(key))
        listener.offer(error)
        if not self._listeners:
            loop = asyncio.get_running_loop()
            loop.call_later(self._settings.linger, self._stop_if_idle)

    def _fail_all(self, error: FirestoreError) -> None:
        for key in list(self._listeners):
            self._fail(key, error)

    def _raise_if_final(self, closed: SocketClosed, said: dict[str, Any]) -> None:
        """Give up where trying again cannot help; the server's last words are the message."""
        message = str(said.get("message") or closed.reason or f"closed with code {closed.code}")
        if closed.code in _FINAL_CLOSE:
            code = code_of_status(said.get("status"), 0)
            code = code if code != "unknown" else _FINAL_CLOSE[closed.code]
            self._fail_all(FirestoreError(code, message))
        elif closed.code in (_CREDENTIALS_CLOSE, _LIMIT_CLOSE):
            self._refusals += 1
            self._force_refresh = closed.code == _CREDENTIALS_CLOSE
            if self._refusals >= _TRIES:
                self._refusals = 0
                code = "unauthenticated" if self._force_refresh else "resource-exhausted"
                self._fail_all(FirestoreError(code, message))

    async def _after_failure(self, error: Exception) -> None:
        if isinstance(error, SocketClosed) and error.http_status in (400, 401, 403, 404):
            code = code_of_status(None, error.http_status)
            self._fail_all(FirestoreError(code, f"The server refuses to listen: {error.reason}."))
        if not self._listeners:
            return
        backoff = self._settings.first_backoff * 2 ** min(self._failures, 20)
        delay = min(backoff, self._settings.max_backoff) * random.uniform(0.5, 1.0)
        self._failures += 1
        level = logger.warning if self._failures > 2 else logger.info
        level("Listeners reconnect in %.1f s: %s", delay, error)
        await asyncio.sleep(delay)
