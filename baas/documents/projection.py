"""Documents cut down to the fields that were asked for."""

from __future__ import annotations

from collections.abc import Iterable

from baas.model.document import Document
from baas.model.field_access import project
from baas.model.paths import DOCUMENT_ID, parse_field_path
from baas.model.query import Query


def projected(documents: Iterable[Document], query: Query) -> list[Document]:
    """The documents with only the fields that the query selects; a distance that it computed stays."""
    if query.select is None:
        return list(documents)
    paths = [path for path in query.select if path != DOCUMENT_ID]
    nearest = query.find_nearest
    if nearest is not None and nearest.distance_result_field is not None:
        paths.append(parse_field_path(nearest.distance_result_field))
    return [
        Document(
            document.name,
            document.create_time,
            document.update_time,
            fields=project(document.fields, paths) if paths else {},
        )
        for document in documents
    ]
