"""Documents cut down to the fields that were asked for."""

from __future__ import annotations

from collections.abc import Iterable

from baas.model.document import Document
from baas.model.field_access import project
from baas.model.paths import DOCUMENT_ID, FieldPath


def projected(documents: Iterable[Document], paths: tuple[FieldPath, ...] | None) -> list[Document]:
    """The documents with only the fields at ``paths``; whole ones for ``None``."""
    if paths is None:
        return list(documents)
    fields = tuple(path for path in paths if path != DOCUMENT_ID)
    return [
        Document(
            document.name,
            document.create_time,
            document.update_time,
            fields=project(document.fields, fields) if fields else {},
        )
        for document in documents
    ]
