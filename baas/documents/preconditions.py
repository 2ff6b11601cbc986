"""What must hold of a document for a write to be made. Source: ``listen-and-write`` §4."""

from __future__ import annotations

from baas.errors import AlreadyExists, FailedPrecondition, NotFound
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.write import Precondition


def check_precondition(
    name: DocumentName, before: Document | None, precondition: Precondition
) -> None:
    """Check a write's precondition against the document as it is.

    Raises:
        NotFound: the document must exist (``exists: true``, or any ``updateTime``) and does not.
        AlreadyExists: it must not exist, and does.
        FailedPrecondition: it was last updated at another time.
    """
    if precondition.exists is False and before is not None:
        raise AlreadyExists(f"Document already exists: {name.name}")
    if before is None:
        if precondition.exists or precondition.update_time is not None:
            raise NotFound(f"No document to update: {name.name}")
        return
    expected = precondition.update_time
    if expected is not None and expected != before.update_time:
        raise FailedPrecondition(
            f"The stored version ({before.update_time.micros}) of {name.name} does not match the "
            f"required base version ({expected.micros}): read it again and retry."
        )
