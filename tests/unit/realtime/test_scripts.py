"""Orderings of listen, write, read, close and resume, as data: ``scripts.json``.

Messages are written as ``CHANGE notes/a +2 -4`` (the document is now in target 2 and no longer in 4),
``DELETE`` and ``REMOVED`` likewise, ``FILTER 2 =3``, ``ADD 2``, ``REMOVE 2 <cause>``, ``CURRENT 2``,
``RESET 2``, and ``SNAPSHOT`` for the global one.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baas.access.principal import OWNER
from baas.model.query import Query
from baas.model.watch import (
    DocumentChange,
    DocumentDelete,
    DocumentRemove,
    ExistenceFilter,
    ListenResponse,
    TargetChange,
    TargetChangeType,
)
from baas.realtime.options import RealtimeOptions
from baas.realtime.service import RealtimeService
from tests.unit.realtime.harness import Listener, Setting, query
from tests.unit.realtime.memory import AllowAll

SCRIPTS = json.loads((Path(__file__).parent / "scripts.json").read_text())


class Script:
    """Runs one script."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.setting = Setting(RealtimeOptions(**options))
        self.store = self.setting.store
        self.gate = asyncio.Event()
        self.gate.set()
        self.store.before_read = self._wait
        self.listener = self.setting.listener()
        self.known = self.listener.client.targets

    async def _wait(self) -> None:
        await self.gate.wait()

    async def step(self, step: dict[str, Any]) -> None:
        if "write" in step:
            self.store.write(step["write"], publish="feed" not in step)
        elif "listen" in step:
            await self._listen(step)
        elif "remove" in step:
            await self.listener.remove(step["remove"])
        elif "expect" in step:
            await self._expect(step)
        else:
            await self._control(step)

    async def _listen(self, step: dict[str, Any]) -> None:
        watched: Query | str = step.get("document", "")
        if "query" in step:
            asked = dict(step["query"])
            limit = asked.pop("limit", None)
            watched = replace(query(asked.pop("collection"), **asked), limit=limit)
        options: dict[str, Any] = {
            key: step[key] for key in ("once", "expected_count") if key in step
        }
        if step.get("resume"):
            options["known"] = self.known[step["listen"]]
        await self.listener.listen(step["listen"], watched, deaf=True, **options)

    async def _control(self, step: dict[str, Any]) -> None:
        if "reads" in step:
            self.gate.set() if step["reads"] == "go" else self.gate.clear()
        elif "feed" in step:
            self.store.publish()
        elif "advance" in step:
            self.listener.stream.advance()
        elif "prune" in step:
            self.store.prune(self.store.version)
        elif "new_history" in step:
            self.store.epoch = b"epoch--2"
        elif "disconnect" in step:
            self.known = self.listener.client.targets
            self.listener.stream.close()
            self.listener = self.setting.listener()
        else:
            assert "restart" in step
            await self.setting.service.close()
            self.setting.service = RealtimeService(
                self.store, AllowAll(), self.setting.service.options
            )
            self.listener = Listener(self.setting.service, OWNER)

    async def _expect(self, step: dict[str, Any]) -> None:
        await self.listener.hear()
        heard = [render(response) for response in self.listener.heard]
        self.listener.heard.clear()
        if step.get("unordered"):
            assert sorted(heard) == sorted(step["expect"])
        else:
            assert heard == step["expect"]


def render(response: ListenResponse) -> str:
    """A message as the scripts write it."""
    if isinstance(response, TargetChange):
        if response.kind is TargetChangeType.NO_CHANGE:
            return "SNAPSHOT"
        words = [response.kind.name, *map(str, response.target_ids)]
        return " ".join(words + ([response.cause.status] if response.cause else []))
    if isinstance(response, ExistenceFilter):
        return f"FILTER {response.target_id} ={response.count}"
    left = [f"-{target_id}" for target_id in response.removed_target_ids]
    if isinstance(response, DocumentChange):
        entered = [f"+{target_id}" for target_id in sorted(response.target_ids)]
        path = "/".join(response.document.name.segments)
        return " ".join(["CHANGE", path, *entered, *left])
    assert isinstance(response, DocumentDelete | DocumentRemove)
    kind = "DELETE" if isinstance(response, DocumentDelete) else "REMOVED"
    return " ".join([kind, "/".join(response.name.segments), *left])


@pytest.mark.parametrize("script", SCRIPTS, ids=[script["name"] for script in SCRIPTS])
async def test_script(script: dict[str, Any]) -> None:
    running = Script(script.get("options", {}))
    for step in script["steps"]:
        await running.step(step)
    await running.setting.service.close()
