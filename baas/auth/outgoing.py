"""Calls to other servers: identity providers and blocking functions. Few, bounded, and off the event loop."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message
from typing import Any, Protocol
from urllib.parse import urlsplit

from baas.errors import Unavailable

MAX_ANSWER = 1_048_576


@dataclass(frozen=True, slots=True)
class Answer:
    """What another server said."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


class Outgoing(Protocol):
    """A way to call other servers."""

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 7.0,
    ) -> Answer:
        """Make one request; follows no redirects.

        Raises:
            Unavailable: no answer came, or too large a one.
        """


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        return None


class ThreadedOutgoing:
    """Calls on a few threads of its own."""

    def __init__(self, workers: int = 8) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="outgoing")
        self._opener = urllib.request.build_opener(_NoRedirects)

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 7.0,
    ) -> Answer:
        """See :class:`Outgoing`."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise Unavailable(f"{url!r} is no http(s) address.")
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._call, request, timeout_s)

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, request: urllib.request.Request, timeout_s: float) -> Answer:
        host = urlsplit(request.full_url).netloc
        try:
            try:
                response = self._opener.open(request, timeout=timeout_s)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                body = response.read(MAX_ANSWER + 1)
        except (OSError, ValueError) as error:
            raise Unavailable(f"{host} could not be reached.") from error
        if len(body) > MAX_ANSWER:
            raise Unavailable(f"The answer of {host} is too large.")
        return Answer(int(response.status or 0), body, dict(response.headers.items()))
