"""Targets whose client leaves the choice of the id to the server (``Target.target_id`` 0)."""

from __future__ import annotations

from baas.access.principal import OWNER
from baas.model.watch import AddTarget, ListenResponse, Target, TargetChange, TargetChangeType
from baas.realtime.service import WatchStream
from tests.unit.realtime.harness import Setting, query
from tests.unit.realtime.memory import DATABASE, settle


async def _ask(stream: WatchStream, target_id: int) -> None:
    await stream.request(AddTarget(DATABASE, Target(target_id, query("notes"))))
    await settle()


def _changes(stream: WatchStream, kind: TargetChangeType) -> list[tuple[int, ...]]:
    heard: list[ListenResponse] = []
    while (batch := stream.take()) is not None:
        heard.extend(batch)
    return [
        each.target_ids for each in heard if isinstance(each, TargetChange) and each.kind is kind
    ]


async def test_the_server_chooses_ids_that_are_free_and_tells_them() -> None:
    setting = Setting()
    stream = setting.service.open(DATABASE, OWNER)
    for asked in (1, 0, 0):
        await _ask(stream, asked)
    assert _changes(stream, TargetChangeType.ADD) == [(1,), (2,), (3,)]
    await setting.service.close()


async def test_a_chosen_id_after_one_of_the_servers_is_refused_and_the_others_go_on() -> None:
    setting = Setting()
    stream = setting.service.open(DATABASE, OWNER)
    await _ask(stream, 0)
    await _ask(stream, 9)
    assert _changes(stream, TargetChangeType.REMOVE) == [(9,)]
    assert stream.failure is None
    assert list(stream.state.targets) == [1]
    await setting.service.close()
