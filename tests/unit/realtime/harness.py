"""A stream with its client on a service over the memory store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from baas.access.principal import OWNER, Principal, PrincipalKind
from baas.model.canonical import canonicalize
from baas.model.query import FieldFilter, Operator, Order, Query
from baas.model.values import Value
from baas.model.watch import AddTarget, ListenResponse, RemoveTarget, Target
from baas.realtime.options import RealtimeOptions
from baas.realtime.ports import Rights
from baas.realtime.service import RealtimeService
from tests.unit.realtime.client import ListenClient, TargetView
from tests.unit.realtime.memory import DATABASE, AllowAll, MemoryStore, name, settle


def user(uid: str, expires_at: float | None = None) -> Principal:
    """A signed-in user."""
    return Principal(PrincipalKind.USER, uid, {"sub": uid}, "demo", expires_at)


def query(
    collection: str,
    *,
    limit: int | None = None,
    offset: int = 0,
    order: str | None = None,
    group: bool = False,
    **equal: Value,
) -> Query:
    """``query("notes", owner="ann", order="n", limit=2)``."""
    filters = tuple(FieldFilter((k,), Operator.EQUAL, v) for k, v in equal.items())
    assert len(filters) < 2
    return canonicalize(
        Query(
            DATABASE,
            (),
            collection,
            group,
            where=filters[0] if filters else None,
            order_by=(Order((order,)),) if order else (),
            limit=limit,
            offset=offset,
        )
    )


class Listener:
    """A client and its stream."""

    def __init__(self, service: RealtimeService, principal: Principal) -> None:
        self.stream = service.open(DATABASE, principal)
        self.client = ListenClient()
        self.heard: list[ListenResponse] = []

    async def listen(self, target_id: int, watched: Query | str, **options: Any) -> None:
        """Add a target: a query, or the path of one document; hears what comes unless ``deaf``."""
        deaf = options.pop("deaf", False)
        known: TargetView | None = options.pop("known", None)
        self.client.adding(target_id, known)
        if options.get("once"):
            self.client.once.add(target_id)
        target = Target(
            target_id,
            query=watched if isinstance(watched, Query) else None,
            documents=(name(watched),) if isinstance(watched, str) else (),
            resume_token=None if known is None else known.token,
            **options,
        )
        await self.stream.request(AddTarget(DATABASE, target))
        await settle()
        if not deaf:
            await self.hear()

    async def remove(self, target_id: int) -> None:
        """Remove a target."""
        self.client.removing(target_id)
        await self.stream.request(RemoveTarget(DATABASE, target_id))

    async def hear(self) -> list[ListenResponse]:
        """Take everything that comes; answers it."""
        heard: list[ListenResponse] = []
        await settle()
        while (batch := self.stream.take()) is not None:
            heard.extend(batch)
            self.client.apply_all([batch])
            await settle()
        self.heard.extend(heard)
        return heard

    def documents(self, target_id: int) -> dict[str, dict[str, Value]]:
        """What the client holds: fields by path."""
        view = self.client.targets[target_id]
        return {"/".join(k.segments): d.fields for k, d in view.settled.items()}

    def cause(self, target_id: int) -> str:
        """The status with which a target was ended."""
        cause = self.client.ended[target_id].cause
        assert cause is not None
        return cause.status


class Setting:
    """A store and a service on it."""

    def __init__(
        self,
        options: RealtimeOptions | None = None,
        rights: Rights | None = None,
        **clock: Callable[[], int],
    ) -> None:
        self.store = MemoryStore()
        self.service = RealtimeService(self.store, rights or AllowAll(), options, **clock)

    def listener(self, principal: Principal = OWNER) -> Listener:
        return Listener(self.service, principal)
