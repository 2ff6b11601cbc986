"""What the host hands in: who asks, for what, and the documents before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from rules.types import Timestamp, Value

FIRESTORE = "cloud.firestore"
STORAGE = "firebase.storage"

Method = Literal["get", "list", "create", "update", "delete"]
FilterOp = Literal[
    "==", "!=", "<", "<=", ">", ">=", "in", "not-in", "array-contains", "array-contains-any",
    "is-null", "is-nan", "is-not-null", "is-not-nan",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Auth:
    """The signed-in user: `uid` and every claim of the ID token. JSON integers as int, others as float."""

    uid: str
    token: Mapping[str, Value] = field(default_factory=dict)
    value: Mapping[str, Value] = field(init=False, repr=False, compare=False)
    """`request.auth`, made once for all requests of this user."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", {"uid": self.uid, "token": self.token})


class Resource(NamedTuple):
    """A document, or a stored object's metadata.

    Firestore: `data` are the fields, `path` the segments below `documents`. Storage: `data` is the flat
    metadata map and `path` may stay empty. `data` may decode lazily: any Mapping will do.
    """

    data: Mapping[str, Value]
    path: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.path[-1] if self.path else ""


class Request(NamedTuple):
    """One document read or written, or one storage operation.

    `database` is the database id (storage: the bucket); `path` the segments below `documents` (storage: of
    the object's name, or of the prefix for list). `resource` is the before-image, `new_resource` the
    after-image with transforms applied, None for a delete. `update_mask`: the field paths that a masked
    update touches, None for anything else; only the JSON dialect looks at it.
    """

    service: str
    method: Method
    path: tuple[str, ...]
    time: Timestamp
    database: str = "(default)"
    auth: Auth | None = None
    resource: Resource | None = None
    new_resource: Resource | None = None
    update_mask: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """One comparison. `field_path` is `("__name__",)` for the document name, whose values are `Path`s."""

    field_path: tuple[str, ...]
    op: FilterOp
    value: Value = None


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Filter, ...]


Filter = FieldFilter | And | Or


class ListRequest(NamedTuple):
    """A query, listen, count or aggregation, to be proven from its own constraints.

    `parent`: segments of the parent document below `documents`, empty at the root. `all_descendants`: a
    collection-group query. `collection` None with `all_descendants`: every collection. `order_by`: the
    orders that were asked for, each a field path and "ASC" or "DESC".
    """

    parent: tuple[str, ...]
    collection: str | None
    time: Timestamp
    service: str = FIRESTORE
    database: str = "(default)"
    auth: Auth | None = None
    filters: Filter | None = None
    limit: int | None = None
    offset: int = 0
    order_by: tuple[tuple[tuple[str, ...], str], ...] = ()
    all_descendants: bool = False


class Lookups(Protocol):
    """How the host answers. Any method may raise `LookupNeeded`, which leaves the engine untouched.

    Paths are the segments below `documents`. `get` and `has_documents` see the state before the request,
    `get_after` and `has_documents_after` the state as if the whole commit succeeded.
    """

    def get(self, database: str, path: tuple[str, ...]) -> Resource | None: ...

    def get_after(self, database: str, path: tuple[str, ...]) -> Resource | None: ...

    def has_documents(self, database: str, collection: tuple[str, ...]) -> bool: ...

    def has_documents_after(self, database: str, collection: tuple[str, ...]) -> bool: ...


class NoLookups:
    """A host without documents: every one is missing."""

    def get(self, database: str, path: tuple[str, ...]) -> Resource | None:
        return None

    def get_after(self, database: str, path: tuple[str, ...]) -> Resource | None:
        return None

    def has_documents(self, database: str, collection: tuple[str, ...]) -> bool:
        return False

    def has_documents_after(self, database: str, collection: tuple[str, ...]) -> bool:
        return False
