"""The address of a Firestore v1 REST call, taken apart.

``/v1/projects/P/databases/D[/documents[/segments…]][:verb]``. Segments are split on ``/`` first and
percent-decoded afterwards, so that an encoded slash never makes a segment; the verb follows the last ``:``.
Source: ``listen-and-write`` §7 "Names" and §8.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from baas.errors import InvalidArgument, NotFound
from baas.model.paths import DatabaseId, check_segments

VERBS = frozenset(
    (
        "batchGet",
        "batchWrite",
        "beginTransaction",
        "commit",
        "executePipeline",
        "listCollectionIds",
        "partitionQuery",
        "rollback",
        "runAggregationQuery",
        "runQuery",
    )
)


@dataclass(frozen=True, slots=True)
class Address:
    """``segments`` lie below ``documents``; ``verb`` is empty for plain methods."""

    database: DatabaseId
    segments: tuple[str, ...]
    verb: str


def parse_address(raw_path: bytes) -> Address:
    """Take an undecoded path apart.

    Raises:
        NotFound: there is no such method.
        InvalidArgument: an id in it is not allowed.
    """
    parts = raw_path.split(b"/")
    if len(parts) < 7 or parts[2] != b"projects" or parts[4] != b"databases":
        raise NotFound("There is no such method; see the Firestore v1 REST reference.")
    last, colon, verb = parts[-1].rpartition(b":")
    name = verb.decode("ascii", "replace")
    if colon and name in VERBS:
        parts[-1] = last
    else:
        name = ""
    if parts[6] != b"documents":
        raise NotFound("There is no such method; see the Firestore v1 REST reference.")
    database = _database(parts[3], parts[5])
    return Address(database, check_segments(tuple(_decode(part) for part in parts[7:])), name)


@functools.lru_cache(maxsize=256)  # nearly all calls are to a few databases
def _database(project: bytes, database: bytes) -> DatabaseId:
    return DatabaseId.of(_decode(project), _decode(database))


def _decode(part: bytes) -> str:
    try:
        if b"%" not in part:
            return part.decode()
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise InvalidArgument("A path segment is not valid UTF-8.") from None
