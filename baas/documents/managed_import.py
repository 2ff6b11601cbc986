"""Importing what Firestore's managed export wrote, so that data can come from Firebase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from baas.access.principal import OWNER
from baas.documents.import_mark import Done, ImportMark
from baas.documents.service import DocumentStore
from baas.documents.transfer import PAGE, Progress
from baas.errors import InvalidArgument
from baas.model.paths import DatabaseId, DocumentName
from baas.model.write import Commit, Write, WriteKind
from baas.wire.managed_export import decode_entity, read_records

_METADATA = "*.overall_export_metadata"


def is_managed_export(path: Path) -> bool:
    """Whether a path is the folder of a managed export."""
    return path.is_dir() and _metadata(path) is not None


def _metadata(folder: Path) -> str | None:
    """The name of the file that describes the export; it has the export's time in it."""
    return min((path.name for path in folder.glob(_METADATA)), default=None)


async def import_managed_export(
    store: DocumentStore, database: DatabaseId, folder: Path, progress: Progress = lambda _: None
) -> int:
    """Write all documents of an export into a database, over those of the same names; answers how many.

    How far it has come is in a file beside the folder, ``<name>.progress``, gone when it is done.

    Raises:
        InvalidArgument: the folder is not an export, or a record of it is not a document.
        DataLoss: a file of it is damaged.
    """
    metadata = _metadata(folder)
    if metadata is None:
        raise InvalidArgument(f"{folder} has no {_METADATA}: it is not a managed export.")
    mark = ImportMark(store, database, folder, metadata)
    done = (await mark.read()).documents
    count = 0
    batch: list[Write] = []
    for record in _records(folder):
        count += 1
        if count <= done:
            continue
        segments, fields = decode_entity(record, database)
        batch.append(Write(WriteKind.UPDATE, DocumentName(database, segments), fields))
        if len(batch) == PAGE:
            await _commit(store, database, batch)
            await mark.note(Done(documents=count))
            progress(count)
    await _commit(store, database, batch)
    progress(count)
    mark.remove()
    return count


async def _commit(store: DocumentStore, database: DatabaseId, batch: list[Write]) -> None:
    if batch:
        await store.commit(Commit(database, tuple(batch)), OWNER)
        batch.clear()


def _records(folder: Path) -> Iterator[bytes]:
    """The records of every ``output-N`` file, in an order that is the same each time."""
    for path in sorted(folder.rglob("output-*"), key=_place):
        with path.open("rb") as file:
            yield from read_records(file)


def _place(path: Path) -> tuple[str, int, str]:
    number = path.name.removeprefix("output-")
    return str(path.parent), int(number) if number.isdigit() else 0, path.name
