"""What a client asks to be changed, and what it is told afterwards.

Source: ``listen-and-write`` §3 and §4; ``google.firestore.v1.Write``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from baas.model.paths import DatabaseId, DocumentName, FieldPath
from baas.model.values import Fields, Timestamp, Value


class WriteKind(enum.Enum):
    """The operation of a write."""

    UPDATE = "update"
    DELETE = "delete"
    VERIFY = "verify"


class TransformKind(enum.Enum):
    """What a field transform computes at commit."""

    REQUEST_TIME = "setToServerValue"
    INCREMENT = "increment"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    APPEND_MISSING = "appendMissingElements"
    REMOVE_ALL = "removeAllFromArray"


@dataclass(frozen=True, slots=True)
class FieldTransform:
    """One transform; ``operand`` is a number for increment, maximum (any value there) and minimum,
    a list for the two array transforms, ``None`` for REQUEST_TIME."""

    field_path: FieldPath
    kind: TransformKind
    operand: Value = None


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must hold of the document for the write to be made. Empty: nothing."""

    exists: bool | None = None
    update_time: Timestamp | None = None

    def __bool__(self) -> bool:
        return self.exists is not None or self.update_time is not None


@dataclass(frozen=True, slots=True)
class Write:
    """One change to one document.

    ``mask`` is ``None`` when absent (replace the whole document); a present mask, even an empty one,
    merges: each of its paths is set from ``fields`` or removed. Transforms apply after it, in order.
    """

    kind: WriteKind
    name: DocumentName
    fields: Fields = field(default_factory=dict)
    mask: tuple[FieldPath, ...] | None = None
    transforms: tuple[FieldTransform, ...] = ()
    precondition: Precondition = Precondition()


@dataclass(frozen=True, slots=True)
class Commit:
    """Writes that happen together, in order, or not at all."""

    database: DatabaseId
    writes: tuple[Write, ...]
    transaction: bytes | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """``update_time`` is that of the document as the whole commit leaves it: absent if there is none, the old
    one after a verify or a write without effect. After the verify of a missing document it is the commit's.
    """

    update_time: Timestamp | None = None
    transform_results: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitResult:
    """One result a write, in order, and the time at which all of them became visible."""

    commit_time: Timestamp
    write_results: tuple[WriteResult, ...]
