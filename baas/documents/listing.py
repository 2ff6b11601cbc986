"""Lists by pages: documents of a collection, collections of a document, cursors that split a query.

A page token holds where the page ended and a mark of what was asked, so that it cannot be used for another
list. Source: ``listen-and-write`` §5.
"""

from __future__ import annotations

import heapq
import itertools
import zlib
from collections.abc import Iterator

from baas.documents.catalogue import CollectionEntry
from baas.documents.reader import Reader
from baas.documents.records import Row
from baas.documents.results import ListedDocument
from baas.documents.scan import Scan
from baas.errors import InvalidArgument
from baas.model.canonical import canonicalize
from baas.model.key_encoding import encode_path, encode_path_prefix, prefix_end, successor
from baas.model.matching import compile_order
from baas.model.paths import (
    DOCUMENT_ID,
    DatabaseId,
    DocumentName,
    parse_field_path,
)
from baas.model.query import Cursor, Direction, Order, Query
from baas.model.values import Reference
from baas.wire.resume_token import decode_page_token, encode_page_token

MAX_POSITION = 12_000
PATH_END = encode_path(())
"""What ends the key of a path, and is not there where the path goes on."""


def parse_order_by(text: str) -> tuple[Order, ...]:
    """The orders of a list request: ``"a, b.c desc"``.

    Raises:
        InvalidArgument: malformed.
    """
    orders = []
    for part in text.split(",") if text.strip() else []:
        words = part.split()
        if not 1 <= len(words) <= 2 or (len(words) == 2 and words[1].lower() not in _DIRECTIONS):
            raise InvalidArgument(
                f"orderBy {text[:200]!r} is not valid: a list of fields, each with 'asc' or 'desc'."
            )
        direction = _DIRECTIONS[words[1].lower()] if len(words) == 2 else Direction.ASCENDING
        orders.append(Order(parse_field_path(words[0]), direction))
    return tuple(orders)


_DIRECTIONS = {"asc": Direction.ASCENDING, "desc": Direction.DESCENDING}


def page_size(asked: int, default: int, most: int) -> int:
    """How many entries a page has.

    Raises:
        InvalidArgument: a negative number was asked for.
    """
    if asked < 0:
        raise InvalidArgument("pageSize must not be negative.")
    return min(asked or default, most)


def page_token(mark: str, position: bytes) -> str:
    """A token for what follows a position.

    Raises:
        InvalidArgument: the position is too large to be handed out.
    """
    if len(position) > MAX_POSITION:
        raise InvalidArgument(
            "The ordered values are too large to page by: order by other fields, or by __name__."
        )
    return encode_page_token(_check(mark) + position)


def position_of(mark: str, token: str) -> bytes | None:
    """The position in a token; ``None`` for no token.

    Raises:
        InvalidArgument: not a token for this list.
    """
    if not token:
        return None
    raw = decode_page_token(token)
    if raw[:4] != _check(mark):
        raise InvalidArgument("The page token belongs to another request.")
    return raw[4:]


def _check(mark: str) -> bytes:
    return zlib.crc32(mark.encode()).to_bytes(4, "big")


# Documents


def list_query(
    database: DatabaseId, parent: tuple[str, ...], collection_id: str, order_by: str
) -> Query:
    """The canonical query that lists a collection."""
    orders = parse_order_by(order_by)
    return canonicalize(Query(database, parent, collection_id, order_by=orders))


def list_page(
    reader: Reader, query: Query, after: bytes | None, size: int, show_missing: bool
) -> tuple[list[ListedDocument], bytes | None]:
    """One page after a position, and the position where it ends if there is more."""
    key = compile_order(query)
    scan = Scan(reader, query, size + 1, after=after)
    listed = (
        (key(document), ListedDocument(document.name, document)) for document in scan.documents()
    )
    entries: Iterator[tuple[bytes, ListedDocument]] = listed
    if show_missing:
        entries = _with_missing(listed, _missing(reader, query, after))
    page = list(itertools.islice(entries, size + 1))
    position = page[size - 1][0] if len(page) > size else None
    return [entry for _, entry in page[:size]], position


def _with_missing(
    present: Iterator[tuple[bytes, ListedDocument]], missing: Iterator[tuple[bytes, ListedDocument]]
) -> Iterator[tuple[bytes, ListedDocument]]:
    """Both in order; a parent that exists is told once, as the document that it is."""
    merged = heapq.merge(present, missing, key=lambda entry: entry[0])
    return (next(group) for _, group in itertools.groupby(merged, key=lambda entry: entry[0]))


def _missing(
    reader: Reader, query: Query, after: bytes | None
) -> Iterator[tuple[bytes, ListedDocument]]:
    """Every document of the collection that has something below it, whether it exists or not."""
    collection = (*query.parent, query.collection_id)
    for document_id in _children(reader, collection, after):
        name = DocumentName(query.database, (*collection, document_id))
        yield encode_path(name.segments), ListedDocument(name, None)


def _children(reader: Reader, path: tuple[str, ...], after: bytes | None) -> Iterator[str]:
    """The next segments of all paths of collections with documents below ``path``, in order.

    Each segment costs one look-up and is then jumped over, however much there is below it.
    """
    if reader.entry is None:
        return
    prefix = encode_path_prefix(path)
    end = prefix_end(prefix)
    low = successor(prefix) if after is None else prefix_end(after.removesuffix(PATH_END))
    while low is not None:
        reader.tx.check()
        row = _next_collection(reader, reader.entry.key, low, end)
        if row is None:
            return
        entry = CollectionEntry(row[0], tuple(row[1].split("/")), row[2])
        if _has_documents(reader, entry):
            child = entry.segments[len(path)]
            yield child
            low = prefix_end(encode_path_prefix((*path, child)))
        else:
            low = successor(entry.prefix)


def _next_collection(
    reader: Reader, database_key: int, low: bytes, end: bytes | None
) -> Row | None:
    if end is None:  # below the root: to the end of the database
        return reader.tx.one(
            "SELECT id, path, path_key FROM collections WHERE database_id = ? AND path_key >= ?"
            " ORDER BY path_key LIMIT 1",
            (database_key, low),
        )
    return reader.tx.one(
        "SELECT id, path, path_key FROM collections WHERE database_id = ? AND path_key >= ?"
        " AND path_key < ? ORDER BY path_key LIMIT 1",
        (database_key, low, end),
    )


def _has_documents(reader: Reader, entry: CollectionEntry) -> bool:
    query = Query(
        reader.database, entry.segments[:-1], entry.segments[-1], order_by=(Order(DOCUMENT_ID),)
    )
    return next(Scan(reader, query, 1).documents(), None) is not None


# Collections


def list_collections(
    reader: Reader, parent: tuple[str, ...], after: bytes | None, size: int
) -> tuple[list[str], bytes | None]:
    """Ids of the collections directly below a document, or the root, that hold anything."""
    low = None if after is None else encode_path((*parent, after.decode()))
    page = list(itertools.islice(_children(reader, parent, low), size + 1))
    position = page[size - 1].encode() if len(page) > size else None
    return page[:size], position


# Partitions


def check_partition_query(query: Query) -> None:
    """Check that a canonical query can be split.

    Raises:
        InvalidArgument: not an unfiltered collection group query by ``__name__``.
    """
    by_name = query.order_by == (Order(DOCUMENT_ID),)
    plain = query.where is None and query.start_at is None and query.end_at is None
    unlimited = query.limit is None and not query.offset and query.find_nearest is None
    if not (query.all_descendants and by_name and plain and unlimited):
        raise InvalidArgument(
            "Only a collection group query ordered by __name__ ascending, without filters, cursors "
            "and limits, can be partitioned."
        )


def partitions(reader: Reader, query: Query, count: int) -> list[Cursor]:
    """At most ``count`` cursors that cut the query's results into parts of about the same size."""
    if count <= 0:
        raise InvalidArgument("partitionCount must be greater than zero.")
    names = [document.name for document in Scan(reader, query).documents()]
    parts = min(count + 1, len(names))
    return [
        Cursor((Reference(names[len(names) * part // parts].name),), before=True)
        for part in range(1, parts)
    ]
