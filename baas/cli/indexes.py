"""``homefire indexes list | pin | unpin | drop | declare | explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baas.access.principal import OWNER
from baas.cli.offline import with_store
from baas.db.sqlite import SqliteDatabase
from baas.documents.index_wishes import parse_declared
from baas.documents.indexes import Index
from baas.documents.results import ExplainMetrics
from baas.documents.service import DocumentStore
from baas.documents.ttl import TtlPolicy
from baas.errors import InvalidArgument
from baas.model.paths import DatabaseId
from baas.wire.json_reader import load_json
from baas.wire.json_requests import parse_run_query
from baas.wire.requests import ExplainOptions

app = typer.Typer(no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="The data folder.")]
Project = Annotated[str | None, typer.Option(help="The project.")]
Database = Annotated[str, typer.Option(help="The database.")]
Number = Annotated[int, typer.Argument(help="The index's number, as `list` tells it.")]


@app.command("list")
def list_command(
    data: Data = None, project: Project = None, database: Database = "(default)"
) -> None:
    """List the indexes, and what asked for each."""

    async def work(
        store: DocumentStore, _: SqliteDatabase, target: DatabaseId
    ) -> tuple[Index, ...]:
        return await store.indexes.list(target)

    for index in with_store(data, project, database, work):
        pinned = ", pinned" if index.pinned else ""
        typer.echo(
            f"{index.id}\t{index.definition}\t{index.state.value}{pinned}\t{index.requested_by}"
        )


@app.command()
def pin(
    number: Number, data: Data = None, project: Project = None, database: Database = "(default)"
) -> None:
    """Protect an index from being dropped."""
    _set_pinned(number, data, project, database, pinned=True)


@app.command()
def unpin(
    number: Number, data: Data = None, project: Project = None, database: Database = "(default)"
) -> None:
    """No longer protect an index."""
    _set_pinned(number, data, project, database, pinned=False)


@app.command()
def drop(
    number: Number, data: Data = None, project: Project = None, database: Database = "(default)"
) -> None:
    """Drop an index. A query that needs it later brings it back."""

    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> None:
        await store.indexes.drop(target, number)
        await store.indexes.finish()

    with_store(data, project, database, work)


@app.command()
def declare(
    file: Annotated[Path, typer.Argument(exists=True, help="A firestore.indexes.json.")],
    data: Data = None,
    project: Project = None,
    database: Database = "(default)",
) -> None:
    """Build and pin the indexes that a firestore.indexes.json declares, and set its expiry policies."""

    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> int:
        try:
            declared = parse_declared(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{file} is not UTF-8: {error}") from None
        for definition in declared.indexes:
            await store.indexes.request(target, definition, file.name, pinned=True)
        for collection_id, field in declared.ttl_fields:
            await store.expiry.declare(target, TtlPolicy(collection_id, field))
        await store.indexes.finish()
        return len(declared.indexes)

    count = with_store(data, project, database, work, make=True)
    typer.echo(f"{count} indexes are there and pinned", err=True)


def _set_pinned(
    number: int, data: Path | None, project: str | None, database: str, *, pinned: bool
) -> None:
    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> None:
        await store.indexes.pin(target, number, pinned=pinned)

    with_store(data, project, database, work)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(exists=True, help="The body of a runQuery request.")],
    data: Data = None,
    project: Project = None,
    database: Database = "(default)",
    parent: Annotated[str, typer.Option(help="The path of the parent document.")] = "",
) -> None:
    """Run a query and tell its plan and what it examined."""

    async def work(
        store: DocumentStore, _: SqliteDatabase, target: DatabaseId
    ) -> ExplainMetrics | None:
        below = f"{target.name}/documents{'/' if parent else ''}{parent}"
        request = parse_run_query(load_json(file.read_bytes()), below)
        options = ExplainOptions(analyze=True)
        return (await store.run_query(request.query, OWNER, explain=options)).explain

    metrics = with_store(data, project, database, work)
    if metrics is not None:
        for used in metrics.indexes_used:
            typer.echo(f"{used['query_scope']}: {used['properties']}")
        typer.echo(f"results: {metrics.results_returned}")
        for stat, value in metrics.debug_stats.items():
            typer.echo(f"{stat}: {value}")
