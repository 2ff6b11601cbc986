"""Google's Firestore emulator and a Homefire server, asked the same over REST, and what is compared."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import local
from typing import Any

DATABASE = "projects/demo/databases/(default)"
DOCUMENTS = f"{DATABASE}/documents"
IDLE_SECONDS = 1.0
LANES = 4
"""Connections to each server at once: the emulator answers one request in some milliseconds."""

TIMES = ("readTime", "createTime", "updateTime", "commitTime")
"""Two servers have two clocks. An empty commit has no time at all in the emulator."""
EMPTY: tuple[Any, ...] = ({}, [])
"""Members that are empty are left out by proto3-JSON; Homefire writes ``"fields": {}`` and
``"documents": []``, which the same readers take."""
DROPPED = ("done", "skippedResults", "nextPageToken", "message")
"""``done``: hosted Firestore does not send it, the emulator does. ``skippedResults``: hosted Firestore
sends it, the emulator does not. Page tokens are opaque, messages are each server's own words."""


@dataclass(frozen=True, slots=True)
class Request:
    """One REST call below the documents of the database."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status, and the parsed body."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """The canonical code; OK for an answer that is no error."""
        if self.status == 200:
            return "OK"
        body = self.body[0] if isinstance(self.body, list) else self.body
        return str(body["error"]["status"]) if isinstance(body, dict) else "no envelope"

    def compared(self) -> Any:
        """What must be the same: status and canonical code of errors, everything else without times."""
        return plain(self.body) if self.status == 200 else (self.status, self.code)

    def documents(self) -> Any:
        """The documents of a query in order, or the error."""
        if self.status != 200:
            return self.compared()
        return [plain(each["document"]) for each in self.body if "document" in each]


def plain(value: Any) -> Any:
    """An answer without what two servers cannot have alike."""
    if isinstance(value, dict):
        if "geoPointValue" in value:  # proto3-JSON leaves zeros out
            return {"geoPointValue": {"latitude": 0, "longitude": 0} | value["geoPointValue"]}
        kept = {k: plain(v) for k, v in value.items() if k not in (*TIMES, *DROPPED)}
        return {k: v for k, v in kept.items() if v not in EMPTY or k.endswith("Value")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


class Server:
    """One of the two, as its owner."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._lane = local()
        self._connections: list[http.client.HTTPConnection] = []

    def ask(self, request: Request) -> Answer:
        connection = self._connection()
        body = None if request.body is None else json.dumps(request.body)
        headers = {"Content-Type": "application/json", "Authorization": "Bearer owner"}
        connection.request(request.method, f"/v1/{DOCUMENTS}{request.path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        try:
            return Answer(answer.status, json.loads(content) if content.strip() else {})
        except ValueError:  # the emulator's plain "Not Found"
            return Answer(answer.status, content.decode(errors="replace"))

    def _connection(self) -> http.client.HTTPConnection:
        """This thread's connection; one that was idle is opened anew, as the server may have closed it."""
        connection: http.client.HTTPConnection | None = getattr(self._lane, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self._lane.connection = connection
            self._connections.append(connection)
        elif time.monotonic() - self._lane.used > IDLE_SECONDS:
            connection.close()
        self._lane.used = time.monotonic()
        return connection

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


@dataclass(frozen=True, slots=True)
class Difference:
    """A request to which the two answered differently."""

    request: Request
    emulator: Any
    homefire: Any


class Pair:
    """Both servers."""

    def __init__(self, emulator: Server, homefire: Server) -> None:
        self.emulator = emulator
        self.homefire = homefire

    def ask(self, request: Request) -> tuple[Answer, Answer]:
        return self.emulator.ask(request), self.homefire.ask(request)

    def commit(self, writes: list[Any]) -> None:
        """Write the same to both; it must succeed."""
        answers = self.ask(Request("POST", ":commit", {"writes": writes}))
        assert [answer.status for answer in answers] == [200, 200], answers

    def differences(self, requests: Iterable[Request]) -> Iterator[Difference]:
        """Ask one after another, and tell where the answers differ."""
        for request in requests:
            theirs, ours = self.ask(request)
            if theirs.compared() != ours.compared():
                yield Difference(request, theirs.compared(), ours.compared())

    def query_differences(self, requests: Iterable[Request]) -> list[Difference]:
        """Ask queries that change nothing, several at a time, and compare their documents."""
        asked = list(requests)
        with ThreadPoolExecutor(LANES) as lanes:
            answers = list(lanes.map(self.ask, asked))
        return [
            Difference(request, theirs.documents(), ours.documents())
            for request, (theirs, ours) in zip(asked, answers, strict=True)
            if theirs.documents() != ours.documents()
        ]
