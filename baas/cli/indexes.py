"""``homefire indexes list | pin | unpin | drop | declare | explain``.

With ``--url`` they ask a running server; without it they work on the folder of a stopped one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from baas.access.principal import OWNER
from baas.cli.offline import with_store
from baas.cli.remote import Key, Remote, fail
from baas.db.sqlite import SqliteDatabase
from baas.documents.index_wishes import parse_declared
from baas.documents.indexes import Index
from baas.documents.results import ExplainMetrics
from baas.documents.service import DocumentStore
from baas.model.paths import DatabaseId
from baas.wire.json_reader import load_json
from baas.wire.json_requests import parse_run_query
from baas.wire.requests import ExplainOptions

app = typer.Typer(no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="The data folder of a stopped server.")]
Project = Annotated[str | None, typer.Option(help="The project.")]
Database = Annotated[str, typer.Option(help="The database.")]
Number = Annotated[int, typer.Argument(help="The index's number, as `list` tells it.")]
Url = Annotated[
    str | None, typer.Option(envvar="HOMEFIRE_URL", help="Address of a running server.")
]
File = Annotated[Path, typer.Argument(exists=True, help="A firestore.indexes.json.")]
Asked = Annotated[Path, typer.Argument(exists=True, help="The body of a runQuery request.")]
DEFAULT = "(default)"


@app.command("list")
def list_command(
    data: Data = None,
    project: Project = None,
    database: Database = DEFAULT,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the indexes, and what asked for each."""

    async def work(
        store: DocumentStore, _: SqliteDatabase, target: DatabaseId
    ) -> tuple[Index, ...]:
        return await store.indexes.list(target)

    if url is not None:
        answer = _call(Remote(url, key, project), "GET", "", database)
        for shown in answer["indexes"]:
            _tell(**shown)
        return
    for index in with_store(data, project, database, work):
        _tell(index.id, str(index.definition), index.state.value, index.pinned, index.requested_by)


@app.command()
def pin(
    number: Number,
    data: Data = None,
    project: Project = None,
    database: Database = DEFAULT,
    url: Url = None,
    key: Key = None,
) -> None:
    """Protect an index from being dropped."""
    if url is not None:
        _call(Remote(url, key, project), "POST", f"/{number}:pin", database)
    else:
        _set_pinned(number, data, project, database, pinned=True)


@app.command()
def unpin(
    number: Number,
    data: Data = None,
    project: Project = None,
    database: Database = DEFAULT,
    url: Url = None,
    key: Key = None,
) -> None:
    """No longer protect an index."""
    if url is not None:
        _call(Remote(url, key, project), "POST", f"/{number}:unpin", database)
    else:
        _set_pinned(number, data, project, database, pinned=False)


@app.command()
def drop(
    number: Number,
    data: Data = None,
    project: Project = None,
    database: Database = DEFAULT,
    url: Url = None,
    key: Key = None,
) -> None:
    """Drop an index. A query that needs it later brings it back."""

    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> None:
        await store.indexes.drop(target, number)
        await store.indexes.finish()

    if url is not None:
        _call(Remote(url, key, project), "DELETE", f"/{number}", database)
    else:
        with_store(data, project, database, work)


@app.command()
def declare(
    file: File,
    data: Data = None,
    project: Project = None,
    database: Database = DEFAULT,
    url: Url = None,
    key: Key = None,
) -> None:
    """Build and pin the indexes that a firestore.indexes.json declares, and set its expiry policies."""

    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        fail(f"{file} is not UTF-8: {error}")

    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> int:
        declared = parse_declared(text)
        await store.declare_indexes(target, declared, file.name)
        await store.indexes.finish()
        return len(declared.indexes)

    if url is not None:
        body = {"name": file.name, "content": text}
        count = _call(Remote(url, key, project), "POST", ":declare", database, body)["declared"]
        typer.echo(f"{count} indexes are pinned, and built in the background", err=True)
        return
    count = with_store(data, project, database, work, make=True)
    typer.echo(f"{count} indexes are there and pinned", err=True)


@app.command()
def explain(
    file: Asked,
    data: Data = None,
    project: Project = None,
    database: Database = DEFAULT,
    parent: Annotated[str, typer.Option(help="The path of the parent document.")] = "",
    url: Url = None,
    key: Key = None,
) -> None:
    """Run a query and tell its plan and what it examined."""
    below = f"/documents{'/' if parent else ''}{parent}"

    async def work(
        store: DocumentStore, _: SqliteDatabase, target: DatabaseId
    ) -> ExplainMetrics | None:
        request = parse_run_query(load_json(file.read_bytes()), f"{target.name}{below}")
        options = ExplainOptions(analyze=True)
        return (await store.run_query(request.query, OWNER, explain=options)).explain

    if url is not None:
        remote = Remote(url, key, project)
        asked = load_json(file.read_bytes())
        body = {**(asked if isinstance(asked, dict) else {}), "explainOptions": {"analyze": True}}
        name = f"projects/{remote.project}/databases/{database}{below}"
        told = remote.call("POST", f"/v1/{quote(name)}:runQuery", body)[-1]["explainMetrics"]
        stats = told["executionStats"]
        _tell_plan(
            told["planSummary"]["indexesUsed"], stats["resultsReturned"], stats["debugStats"]
        )
        return
    metrics = with_store(data, project, database, work)
    if metrics is not None:
        _tell_plan(metrics.indexes_used, metrics.results_returned, metrics.debug_stats)


def _set_pinned(
    number: int, data: Path | None, project: str | None, database: str, *, pinned: bool
) -> None:
    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> None:
        await store.indexes.pin(target, number, pinned=pinned)

    with_store(data, project, database, work)


def _call(remote: Remote, method: str, path: str, database: str, body: Any = None) -> Any:
    place = f"/v1/projects/{remote.project}/indexes{path}?database={quote(database)}"
    return remote.call(method, place, body)


def _tell(number: int, fields: str, state: str, pinned: bool, requestedBy: str) -> None:
    typer.echo(f"{number}\t{fields}\t{state}{', pinned' if pinned else ''}\t{requestedBy}")


def _tell_plan(
    used: Iterable[Mapping[str, Any]], results: object, figures: Mapping[str, Any]
) -> None:
    for index in used:
        typer.echo(f"{index['query_scope']}: {index['properties']}")
    typer.echo(f"results: {results}")
    for figure, value in figures.items():
        typer.echo(f"{figure}: {value}")
