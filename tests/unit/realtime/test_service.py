"""What a service knows of a database before anything is in it, and what is left when listeners go."""

from __future__ import annotations

import asyncio

from baas.access.principal import OWNER
from baas.model.paths import DatabaseId
from baas.model.values import Timestamp
from baas.realtime.ports import NO_HISTORY
from baas.wire.resume_token import decode_resume_token
from tests.unit.realtime.harness import Setting, query


async def test_a_first_commit_during_the_read_of_the_empty_database_can_be_resumed_from() -> None:
    setting = Setting()
    store = setting.store
    history, store.epoch = store.epoch, NO_HISTORY
    goes_on = asyncio.Event()

    async def begin_history() -> None:
        if store.epoch == NO_HISTORY and store.reads == 2:  # after the one of the position
            store.epoch = history
            store.write({"notes/a": {}})
        elif store.epoch == history:
            await goes_on.wait()

    store.after_read = begin_history
    listener = setting.listener()
    await listener.listen(2, query("notes"))
    goes_on.set()
    await listener.hear()
    assert list(listener.documents(2)) == ["notes/a"]
    token = listener.client.targets[2].token
    assert token is not None
    assert decode_resume_token(token, history) == Timestamp(store.version)
    await setting.service.close()


async def test_databases_that_nobody_listens_to_any_more_are_forgotten() -> None:
    setting = Setting()
    for number in range(50):
        setting.service.open(DatabaseId(f"p{number}"), OWNER).close()
    assert setting.service.metrics().databases == 0
    await setting.service.close()


async def test_a_view_lasts_as_long_as_somebody_watches_it() -> None:
    setting = Setting()
    first, second = setting.listener(), setting.listener()
    for listener in (first, second):
        await listener.listen(2, query("notes"))
    assert setting.service.metrics().views == 1
    first.stream.close()
    setting.store.write({"notes/a": {}})
    await second.hear()
    assert list(second.documents(2)) == ["notes/a"]
    second.stream.close()
    assert setting.service.metrics().views == 0
    await setting.service.close()
