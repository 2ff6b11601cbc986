"""Documents, queries and listeners: the twin of ``firebase/firestore``."""

from __future__ import annotations

from homefire.errors import FirestoreError
from homefire.firestore._aggregate_fields import AggregateField, average, count
from homefire.firestore._aggregate_fields import sum_ as sum
from homefire.firestore._aggregates import (
    AggregateQuerySnapshot,
    get_aggregate_from_server,
    get_count_from_server,
)
from homefire.firestore._batch import WriteBatch, write_batch
from homefire.firestore._constraints import (
    QueryConstraint,
    QueryFilterConstraint,
    and_,
    end_at,
    end_before,
    limit,
    limit_to_last,
    or_,
    order_by,
    start_after,
    start_at,
    where,
)
from homefire.firestore._converter import FirestoreDataConverter, SetOptions
from homefire.firestore._database import (
    CollectionReference,
    DocumentReference,
    Firestore,
    Query,
    collection,
    collection_group,
    connect_firestore_emulator,
    doc,
    get_firestore,
    query,
    query_equal,
    ref_equal,
    terminate,
)
from homefire.firestore._field_value import (
    FieldValue,
    array_remove,
    array_union,
    delete_field,
    increment,
    server_timestamp,
)
from homefire.firestore._listen import on_snapshot, snapshots
from homefire.firestore._operations import (
    add_doc,
    delete_doc,
    get_doc,
    get_docs,
    set_doc,
    update_doc,
)
from homefire.firestore._operations import get_doc as get_doc_from_server
from homefire.firestore._operations import get_docs as get_docs_from_server
from homefire.firestore._paths import FieldPath, document_id
from homefire.firestore._snapshot import (
    DocumentChange,
    DocumentSnapshot,
    QueryDocumentSnapshot,
    QuerySnapshot,
    SnapshotMetadata,
    snapshot_equal,
)
from homefire.firestore._transaction import Transaction, run_transaction
from homefire.firestore._values import GeoPoint, Timestamp, VectorValue, vector

__all__ = [
    "AggregateField",
    "AggregateQuerySnapshot",
    "CollectionReference",
    "DocumentChange",
    "DocumentReference",
    "DocumentSnapshot",
    "FieldPath",
    "FieldValue",
    "Firestore",
    "FirestoreDataConverter",
    "FirestoreError",
    "GeoPoint",
    "Query",
    "QueryConstraint",
    "QueryDocumentSnapshot",
    "QueryFilterConstraint",
    "QuerySnapshot",
    "SetOptions",
    "SnapshotMetadata",
    "Timestamp",
    "Transaction",
    "VectorValue",
    "WriteBatch",
    "add_doc",
    "and_",
    "array_remove",
    "array_union",
    "average",
    "collection",
    "collection_group",
    "connect_firestore_emulator",
    "count",
    "delete_doc",
    "delete_field",
    "doc",
    "document_id",
    "end_at",
    "end_before",
    "get_aggregate_from_server",
    "get_count_from_server",
    "get_doc",
    "get_doc_from_server",
    "get_docs",
    "get_docs_from_server",
    "get_firestore",
    "increment",
    "limit",
    "limit_to_last",
    "on_snapshot",
    "or_",
    "order_by",
    "query",
    "query_equal",
    "ref_equal",
    "run_transaction",
    "server_timestamp",
    "set_doc",
    "snapshot_equal",
    "snapshots",
    "start_after",
    "start_at",
    "sum",
    "terminate",
    "update_doc",
    "vector",
    "where",
    "write_batch",
]
