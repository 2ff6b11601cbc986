"""Listening: snapshots as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, overload

from homefire._runtime import Callback, invoke_logged, logger
from homefire.errors import FirestoreError
from homefire.firestore._converter import T
from homefire.firestore._database import DocumentReference, Query, Unsubscribe
from homefire.firestore._listen_host import Subscription
from homefire.firestore._mailbox import SubscriptionClosed
from homefire.firestore._snapshot import DocumentSnapshot, QuerySnapshot, SnapshotMetadata
from homefire.firestore._view import ViewSnapshot
from homefire.firestore._watch_client import ListenTarget


@overload
def on_snapshot(
    reference: DocumentReference[T],
    on_next: Callback[DocumentSnapshot[T]],
    on_error: Callback[FirestoreError] | None = None,
    *,
    include_metadata_changes: bool = False,
) -> Unsubscribe: ...


@overload
def on_snapshot(
    reference: Query[T],
    on_next: Callback[QuerySnapshot[T]],
    on_error: Callback[FirestoreError] | None = None,
    *,
    include_metadata_changes: bool = False,
) -> Unsubscribe: ...


def on_snapshot(
    reference: DocumentReference[Any] | Query[Any],
    on_next: Callback[Any],
    on_error: Callback[FirestoreError] | None = None,
    *,
    include_metadata_changes: bool = False,
) -> Unsubscribe:
    """Call back with each state of a document or a query; returns the function that ends it.

    The connection is kept and resumed by itself; meanwhile ``snapshot.metadata.from_cache`` is true, which
    is told too with ``include_metadata_changes``. What the server refuses ends the listener and goes to
    ``on_error``, or to the log without one. What a callback raises is logged. To a callback that is slow,
    states are told merged rather than late.
    """
    subscription = _subscribe(reference, include_metadata_changes)
    to_snapshot = _to_snapshot(reference)

    async def pump() -> None:
        try:
            while True:
                await invoke_logged(on_next, to_snapshot(await subscription.next()))
        except SubscriptionClosed:
            return
        except FirestoreError as error:
            if on_error is None:
                logger.error("A listener without an error callback has ended: %s", error)
            else:
                await invoke_logged(on_error, error)
        finally:
            subscription.close()

    reference.firestore._background.start(pump)
    return subscription.close


@overload
def snapshots(
    reference: DocumentReference[T], *, include_metadata_changes: bool = False
) -> AsyncGenerator[DocumentSnapshot[T], None]: ...


@overload
def snapshots(
    reference: Query[T], *, include_metadata_changes: bool = False
) -> AsyncGenerator[QuerySnapshot[T], None]: ...


async def snapshots(
    reference: DocumentReference[Any] | Query[Any], *, include_metadata_changes: bool = False
) -> AsyncGenerator[Any, None]:
    """Iterate over the states of a document or a query, without end; raises what the server refuses.

    States that come while the loop's body works are told merged once they are many.
    """
    subscription = _subscribe(reference, include_metadata_changes)
    to_snapshot = _to_snapshot(reference)
    try:
        while True:
            try:
                view = await subscription.next()
            except SubscriptionClosed:
                return
            yield to_snapshot(view)
    finally:
        subscription.close()


def _subscribe(
    reference: DocumentReference[Any] | Query[Any], include_metadata_changes: bool
) -> Subscription:
    reference.firestore._rest.check_open()
    if isinstance(reference, DocumentReference):
        target = ListenTarget({"documents": {"documents": [reference._name]}}, (), single=True)
    else:
        spec = reference._spec
        wire = {"query": {"parent": spec.parent, "structuredQuery": spec.wire()}}
        orders = tuple((order.path, order.descending) for order in spec.full_orders())
        target = ListenTarget(wire, orders)
    return reference.firestore._listeners.subscribe(target, include_metadata_changes)


def _to_snapshot(reference: DocumentReference[Any] | Query[Any]) -> Callable[[ViewSnapshot], Any]:
    def document(view: ViewSnapshot) -> DocumentSnapshot[Any]:
        assert isinstance(reference, DocumentReference)
        found = view.documents[0] if view.entries else None
        metadata = SnapshotMetadata(from_cache=view.from_cache)
        return DocumentSnapshot(reference, found, metadata)

    def result(view: ViewSnapshot) -> QuerySnapshot[Any]:
        assert isinstance(reference, Query)
        return QuerySnapshot(reference, view.documents, view)

    return document if isinstance(reference, DocumentReference) else result
