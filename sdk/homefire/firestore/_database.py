"""A database of an app, and the documents and collections in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, overload

from homefire._runtime import Background
from homefire._transport.net import normal_host
from homefire.app import FirebaseApp, FixedToken, get_app
from homefire.errors import FirestoreError
from homefire.firestore._constraints import QueryConstraint
from homefire.firestore._converter import Converter, M, T, checked
from homefire.firestore._listen_host import ListenHost
from homefire.firestore._paths import auto_id, split_path
from homefire.firestore._query_builder import extend
from homefire.firestore._query_spec import QuerySpec
from homefire.firestore._rest import RestClient
from homefire.firestore._values import ReferenceValue

DEFAULT_DATABASE = "(default)"

Unsubscribe: TypeAlias = Callable[[], None]


class Firestore:
    """A database; had by :func:`get_firestore`."""

    def __init__(self, app: FirebaseApp, database_id: str) -> None:
        self.app = app
        self.database_id = database_id
        self._name = f"projects/{app._options.project_id}/databases/{database_id}"
        self._rest = RestClient(app, self._name)
        self._background = Background()
        self._listeners = ListenHost(self._listen_url, self._rest.token)
        app._token_observers.append(self._listeners.token_changed)

    def __repr__(self) -> str:
        return f"Firestore(app={self.app.name!r}, database_id={self.database_id!r})"

    @property
    def _documents(self) -> str:
        return f"{self._name}/documents"

    def _listen_url(self) -> str:
        host = self._rest.host
        return f"ws{host.removeprefix('http')}/v1/{self._name}/listen"

    def _reference(
        self, name: str, converter: Converter[Any] | None = None
    ) -> DocumentReference[Any]:
        """A document of this or another database, by its full name."""
        return DocumentReference(self, name, converter)

    async def _close(self) -> None:
        self._rest.closed = True
        observers = self.app._token_observers
        if self._listeners.token_changed in observers:
            observers.remove(self._listeners.token_changed)
        await self._listeners.close()
        await self._background.close()


class Query(Generic[T]):
    """A question for documents; narrowed by :func:`query`."""

    def __init__(
        self, firestore: Firestore, spec: QuerySpec, converter: Converter[Any] | None = None
    ) -> None:
        self.firestore = firestore
        self._spec = spec
        self._converter = converter

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Query)
            and self.firestore is other.firestore
            and self._spec == other._spec
            and self._converter == other._converter
        )

    def __hash__(self) -> int:
        return hash((self._spec.parent, self._spec.collection_id))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._spec.collection_id!r})"

    @overload
    def with_converter(self, converter: Converter[M]) -> Query[M]: ...

    @overload
    def with_converter(self, converter: None) -> Query: ...

    def with_converter(self, converter: Converter[Any] | None) -> Query[Any]:
        """The same query, read and written in an app's own type; ``None``: in mappings again."""
        made = checked(converter) if converter is not None else None
        return Query(self.firestore, self._spec, made)


class CollectionReference(Query[T]):
    """A collection, by its path; as a query it is all of its documents."""

    def __init__(
        self,
        firestore: Firestore,
        segments: tuple[str, ...],
        converter: Converter[Any] | None = None,
    ) -> None:
        if len(segments) % 2 == 0:
            raise FirestoreError(
                "invalid-argument",
                f"A collection's path has an odd number of segments, not {'/'.join(segments)!r}.",
            )
        parent = "/".join((firestore._documents, *segments[:-1]))
        super().__init__(firestore, QuerySpec(parent, segments[-1]), converter)
        self._segments = segments

    @property
    def id(self) -> str:
        """The last segment of the path."""
        return self._segments[-1]

    @property
    def path(self) -> str:
        """The path from the database's root."""
        return "/".join(self._segments)

    @property
    def parent(self) -> DocumentReference | None:
        """The document that the collection lies in, if any."""
        if len(self._segments) == 1:
            return None
        return self.firestore._reference(self._spec.parent)

    @overload
    def with_converter(self, converter: Converter[M]) -> CollectionReference[M]: ...

    @overload
    def with_converter(self, converter: None) -> CollectionReference: ...

    def with_converter(self, converter: Converter[Any] | None) -> CollectionReference[Any]:
        """The same collection, read and written in an app's own type; ``None``: in mappings again."""
        made = checked(converter) if converter is not None else None
        return CollectionReference(self.firestore, self._segments, made)


class DocumentReference(ReferenceValue, Generic[T]):
    """A document, by its path, whether it exists or not."""

    __slots__ = ("_converter", "firestore")

    def __init__(
        self, firestore: Firestore, name: str, converter: Converter[Any] | None = None
    ) -> None:
        super().__init__(name)
        self.firestore = firestore
        self._converter = converter

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DocumentReference)
            and self.firestore is other.firestore
            and self._name == other._name
            and self._converter == other._converter
        )

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"DocumentReference({self.path!r})"

    @property
    def id(self) -> str:
        """The last segment of the path."""
        return self._name.rsplit("/", 1)[1]

    @property
    def path(self) -> str:
        """The path from the database's root."""
        return self._name.split("/documents/", 1)[1]

    @property
    def parent(self) -> CollectionReference[T]:
        """The collection that the document lies in."""
        segments = tuple(self.path.split("/")[:-1])
        return CollectionReference(self.firestore, segments, self._converter)

    @overload
    def with_converter(self, converter: Converter[M]) -> DocumentReference[M]: ...

    @overload
    def with_converter(self, converter: None) -> DocumentReference: ...

    def with_converter(self, converter: Converter[Any] | None) -> DocumentReference[Any]:
        """The same document, read and written in an app's own type; ``None``: in mappings again."""
        made = checked(converter) if converter is not None else None
        return DocumentReference(self.firestore, self._name, made)


def get_firestore(app: FirebaseApp | None = None, database_id: str = DEFAULT_DATABASE) -> Firestore:
    """A database of an app; of the default app, and its default database, if none is given."""
    app = app or get_app()
    if not database_id or "/" in database_id:
        raise FirestoreError("invalid-argument", f"Not a database's id: {database_id!r}.")
    return app._service("firestore", database_id, lambda: Firestore(app, database_id))


def connect_firestore_emulator(
    firestore: Firestore, host: str, port: int, *, mock_user_token: str | None = None
) -> None:
    """Use another server for documents than the app's ``host``; call it before anything else.

    ``mock_user_token`` is shown in place of the signed-in user's token, for tests.
    """
    try:
        firestore._rest.host = normal_host(f"{host}:{port}")
    except ValueError as error:
        raise FirestoreError("invalid-argument", str(error)) from error
    if mock_user_token is not None:
        firestore._rest.token_source = FixedToken(mock_user_token)


async def terminate(firestore: Firestore) -> None:
    """End all listeners of a database and close its connection; this object is of no more use."""
    firestore.app._forget(firestore)
    await firestore._close()


def collection(
    parent: Firestore | CollectionReference[Any] | DocumentReference[Any],
    path: str,
    *path_segments: str,
) -> CollectionReference:
    """The collection at a path below a database, a document, or (``path/to/doc/c``) a collection."""
    segments = split_path(path, *path_segments)
    if isinstance(parent, Firestore):
        return CollectionReference(parent, segments)
    return CollectionReference(parent.firestore, (*parent.path.split("/"), *segments))


def collection_group(firestore: Firestore, collection_id: str) -> Query:
    """All collections of that id, wherever they lie."""
    if not collection_id or "/" in collection_id:
        raise FirestoreError(
            "invalid-argument", f"A collection group is named by a plain id, not {collection_id!r}."
        )
    return Query(firestore, QuerySpec(firestore._documents, collection_id, all_descendants=True))


@overload
def doc(
    parent: CollectionReference[T], path: str | None = None, *path_segments: str
) -> DocumentReference[T]: ...


@overload
def doc(
    parent: Firestore | DocumentReference[Any], path: str, *path_segments: str
) -> DocumentReference: ...


def doc(
    parent: Firestore | CollectionReference[Any] | DocumentReference[Any],
    path: str | None = None,
    *path_segments: str,
) -> DocumentReference[Any]:
    """The document at a path; in a collection without a path, one with a new id."""
    if path is None:
        if not isinstance(parent, CollectionReference):
            raise FirestoreError("invalid-argument", "doc() needs a path here.")
        path = auto_id()
    segments = split_path(path, *path_segments)
    firestore = parent if isinstance(parent, Firestore) else parent.firestore
    if not isinstance(parent, Firestore):
        segments = (*parent.path.split("/"), *segments)
    if len(segments) % 2:
        raise FirestoreError(
            "invalid-argument",
            f"A document's path has an even number of segments, not {'/'.join(segments)!r}.",
        )
    converter = parent._converter if isinstance(parent, CollectionReference) else None
    return firestore._reference("/".join((firestore._documents, *segments)), converter)


def query(base: Query[T], *constraints: QueryConstraint) -> Query[T]:
    """The query narrowed, ordered or limited further."""
    return Query(base.firestore, extend(base._spec, constraints), base._converter)


def ref_equal(
    left: DocumentReference[Any] | CollectionReference[Any],
    right: DocumentReference[Any] | CollectionReference[Any],
) -> bool:
    """Whether two references mean the same place, with the same converter."""
    return left == right


def query_equal(left: Query[Any], right: Query[Any]) -> bool:
    """Whether two queries ask the same."""
    return left == right
