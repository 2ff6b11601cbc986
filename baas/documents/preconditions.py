"""What must hold of a document for a write to be made. Source: ``listen-and-write`` §4."""

from __future__ import annotations

from baas.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.write import Precondition


def check_precondition(
    name: DocumentName, before: Document | None, precondition: Precondition
) -> None:
    """Check a write's precondition against the document as it is.

    Raises:
        NotFound: the document must exist (``exists: true``) and does not.
        AlreadyExists: it must not exist, and does.
        FailedPrecondition: it was last updated later than expected, or does not exist. Hosted Firestore
            answers so, and transactions of the web SDK run again on this code but not on NOT_FOUND.
        InvalidArgument: it was last updated before the expected time, which no client was ever told.
    """
    if precondition.exists is False and before is not None:
        raise AlreadyExists(f"Document already exists: {name.name}")
    if precondition.exists and before is None:
        raise NotFound(f"No document to update: {name.name}")
    expected = precondition.update_time
    stored = None if before is None else before.update_time
    if expected is not None and stored is not None and expected > stored:
        raise InvalidArgument(
            f"Invalid base version ({expected.micros}), it is greater than the stored version "
            f"({stored.micros}) of {name.name}."
        )
    if expected is not None and expected != stored:
        raise FailedPrecondition(
            f"The stored version ({0 if stored is None else stored.micros}) of {name.name} does not "
            f"match the required base version ({expected.micros}): read it again and retry."
        )
