"""One write applied to one document, without any I/O. Source: ``listen-and-write`` §4."""

from __future__ import annotations

from dataclasses import dataclass

from baas.documents.preconditions import check_precondition
from baas.documents.transforms import apply_transforms
from baas.errors import InvalidArgument
from baas.model.document import Document
from baas.model.field_access import MISSING, delete_field, get_field, set_field
from baas.model.limits import MAX_TRANSFORMS, check_document
from baas.model.ordering import identical
from baas.model.values import Fields, Timestamp, Value
from baas.model.write import Write, WriteKind, WriteResult


@dataclass(frozen=True, slots=True)
class Applied:
    """The document after the write (``None``: it does not exist), and what the client is told.

    ``changed`` is false when nothing is to be stored and no listener to be told: then ``after`` is the
    before-image itself.
    """

    after: Document | None
    result: WriteResult
    changed: bool


def apply_write(before: Document | None, write: Write, now: Timestamp) -> Applied:
    """Apply ``write`` to the document as it is in the transaction; ``now`` is the commit time.

    A write that leaves the fields identical changes nothing, and its result has the old update time. A
    new document has ``now`` as both of its times; later updates keep the create time.

    Raises:
        NotFound, AlreadyExists, FailedPrecondition: the precondition does not hold.
        InvalidArgument: the write is malformed, or the document would be too large or too deep.
    """
    check_precondition(write.name, before, write.precondition)
    if write.kind is WriteKind.VERIFY:
        verified = now if before is None else before.update_time
        return Applied(before, WriteResult(verified), changed=False)
    if write.kind is WriteKind.DELETE:
        return Applied(None, WriteResult(), changed=before is not None)
    if len(write.transforms) > MAX_TRANSFORMS:
        raise InvalidArgument(f"A document may have at most {MAX_TRANSFORMS} transforms a commit.")
    fields = merged_fields(before.fields if before is not None else {}, write)
    results: tuple[Value, ...] = ()
    if write.transforms:
        fields, results = apply_transforms(fields, write.transforms, now)
    if before is not None and identical(before.fields, fields):
        return Applied(before, WriteResult(before.update_time, results), changed=False)
    check_document(write.name, fields)
    created = now if before is None else before.create_time
    after = Document(write.name, created, now, fields=fields)
    return Applied(after, WriteResult(now, results), changed=True)


def merged_fields(before: Fields, write: Write) -> Fields:
    """The fields after an update and before its transforms.

    Without a mask the write's fields replace all; with one, each path is set from them or removed.
    """
    if write.mask is None:
        return write.fields
    fields = before
    for path in write.mask:
        value = get_field(write.fields, path)
        if value is MISSING:
            fields = delete_field(fields, path)
        else:
            fields = set_field(fields, path, value)
    return fields
