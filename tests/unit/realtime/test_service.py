"""What is left when listeners go."""

from __future__ import annotations

from baas.access.principal import OWNER
from baas.model.paths import DatabaseId
from tests.unit.realtime.harness import Setting, query


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
