"""Which writes of one document a single commit may hold.

Source: recorded from Google's emulator, all pairs of writes; the web SDK's transactions depend on it
(``INVALID_ARGUMENT`` ends them, other codes would have them run again).
"""

from __future__ import annotations

from collections.abc import Sequence

from baas.errors import InvalidArgument
from baas.model.paths import DocumentName
from baas.model.values import Timestamp
from baas.model.write import Write, WriteKind


def check_repeated_writes(writes: Sequence[Write]) -> None:
    """Refuse writes that can never be made after the earlier ones of the same document, whatever is stored.

    The preconditions of a later write are about what the earlier ones leave, except for ``update_time``,
    which names the version before the commit for all of them.

    Raises:
        InvalidArgument: there are some, or a document is verified and named by another write, too.
    """
    if len(writes) < 2:
        return
    earlier: dict[DocumentName, tuple[Write, Timestamp | None]] = {}
    for write in writes:
        before = earlier.get(write.name)
        base = write.precondition.update_time
        if before is not None:
            _check_pair(*before, write)
            base = before[1]
        earlier[write.name] = (write, base)


def _check_pair(before: Write, base: Timestamp | None, write: Write) -> None:
    if WriteKind.VERIFY in (before.kind, write.kind):
        raise InvalidArgument(
            "The same document cannot be verified more than once, or verified and written, in a "
            "single request."
        )
    gone = before.kind is WriteKind.DELETE
    exists, updated = write.precondition.exists, write.precondition.update_time
    must_be_there = exists or (updated is not None and write.kind is WriteKind.UPDATE)
    if must_be_there if gone else exists is False:
        raise InvalidArgument(
            f"Cannot {_verb(before)} then {_verb(write)} an entity in the same request."
        )
    if updated is not None and updated != base:
        raise InvalidArgument(
            "Cannot collapse mutations with different version preconditions: all writes of "
            "one document must name the same updateTime, the first one included."
        )


def _verb(write: Write) -> str:
    if write.kind is WriteKind.DELETE:
        return "delete"
    if not write.precondition:
        return "upsert"
    return "insert" if write.precondition.exists is False else "update"
