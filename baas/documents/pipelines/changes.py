"""The stages that write, ``update`` and ``delete``: from the rows of a pipeline to writes. Pure.

Source: Google's documentation of these stages, and what the official clients say and send. ``update`` writes
each row as the whole of its document; its argument are fields that are added to the rows first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from baas.documents.pipelines.rows import Row
from baas.documents.pipelines.stages import CHANGING, aliases
from baas.errors import InvalidArgument, NotFound, Unimplemented
from baas.model.paths import DatabaseId, DocumentName
from baas.model.pipeline import Pipeline, Stage
from baas.model.values import Fields, Reference
from baas.model.write import Precondition, Write, WriteKind
from baas.wire.json_values import decode_fields_object, encode_fields_object

_NAME = "__name__"
_EXISTS = Precondition(exists=True)


def split(pipeline: Pipeline) -> tuple[Pipeline, WriteKind | None]:
    """What computes the rows, and what is done with them; ``None`` if they are only read.

    Raises:
        InvalidArgument: the last stage writes and its arguments are not what it takes.
        Unimplemented: it has an option.
    """
    last = pipeline.stages[-1] if pipeline.stages else None
    if last is None or last.name not in CHANGING:
        return pipeline, None
    if last.options:
        raise Unimplemented(
            f"The option {min(last.options)[:100]!r} of the stage {last.name!r} is not offered."
        )
    before = pipeline.stages[:-1]
    if last.name == "delete":
        if last.args:
            raise InvalidArgument("delete takes no arguments.")
        return Pipeline(before), WriteKind.DELETE
    if len(last.args) > 1:
        raise InvalidArgument("update takes one map of fields and expressions.")
    if last.args and aliases(last, 0):
        before = (*before, Stage("add_fields", last.args))
    return Pipeline(before), WriteKind.UPDATE


def writes_of(
    database: DatabaseId,
    kind: WriteKind,
    rows: Iterable[Row],
    exists: Callable[[DocumentName], bool],
    *,
    atomic: bool,
    most: int,
) -> tuple[Write, ...]:
    """One write for each row, in order; each document is deleted once. Documents that do not exist are passed
    over, but by an update that is ``atomic``.

    Raises:
        InvalidArgument: a row stands for no document of the database, holds what a document cannot, or there
            are more than ``most`` writes.
        NotFound: see above.
    """
    writes: dict[object, Write] = {}
    for row in rows:
        name = _name_of(database, row)
        if (row.document is None or row.document.name != name) and not exists(name):
            if atomic and kind is WriteKind.UPDATE:
                raise NotFound(f"No document to update: {name.name}")
            continue
        if kind is WriteKind.DELETE:
            writes[name] = Write(kind, name)
        else:
            writes[len(writes)] = Write(kind, name, _stored(row.fields), precondition=_EXISTS)
        if len(writes) > most:
            raise InvalidArgument(
                f"At most {most} documents can be written by one pipeline: limit it, and repeat."
            )
    return tuple(writes.values())


def _name_of(database: DatabaseId, row: Row) -> DocumentName:
    named = row.fields.get(_NAME)
    if isinstance(named, Reference):
        name = DocumentName.parse(named.name)
    elif named is None and row.document is not None:
        name = row.document.name
    else:
        raise InvalidArgument("A row that is written needs the name of a document as its __name__.")
    if name.database != database:
        raise InvalidArgument(f"{name.name[:200]} is not in the database {database.name}.")
    return name


def _stored(fields: Fields) -> Fields:
    """The fields as a client could have written them: what is computed is checked as what is sent."""
    told = {name: value for name, value in fields.items() if name != _NAME}
    return decode_fields_object(encode_fields_object(told))
