"""``homefire data export | import | check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baas.cli.offline import with_store
from baas.db.sqlite import SqliteDatabase
from baas.documents import integrity, transfer
from baas.documents.service import DocumentStore
from baas.model.paths import DatabaseId

app = typer.Typer(no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="The data folder.")]
Project = Annotated[str | None, typer.Option(help="The project.")]
Database = Annotated[str, typer.Option(help="The database.")]


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="The file to write, one document a line.")],
    data: Data = None,
    project: Project = None,
    database: Database = "(default)",
) -> None:
    """Write all documents into a file. An interrupted export is gone on with."""

    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> int:
        return await transfer.export_documents(store, target, file, _progress)

    count = with_store(data, project, database, work)
    typer.echo(f"exported {count} documents to {file}", err=True)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(exists=True, help="A file that export wrote.")],
    data: Data = None,
    project: Project = None,
    database: Database = "(default)",
) -> None:
    """Write all documents of a file into the database. An interrupted import is gone on with."""

    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> int:
        return await transfer.import_documents(store, target, file, _progress)

    count = with_store(data, project, database, work)
    typer.echo(f"imported {count} documents from {file}", err=True)


@app.command("check")
def check_command(
    data: Data = None,
    repair: Annotated[bool, typer.Option(help="Build broken indexes anew.")] = False,
) -> None:
    """Check that everything stored agrees with itself; exit 1 if not."""

    async def work(
        store: DocumentStore, database: SqliteDatabase, _: DatabaseId
    ) -> list[integrity.Problem]:
        problems = await database.read(integrity.check)
        if repair and any(problem.repairable for problem in problems):
            await database.write(integrity.repair)
            await store.indexes.finish()
            return await database.read(integrity.check)
        return problems

    problems = with_store(data, None, "(default)", work)
    for problem in problems:
        typer.echo(problem.what + (" (--repair mends it)" if problem.repairable else ""))
    typer.echo("nothing is wrong" if not problems else f"{len(problems)} problems", err=True)
    raise typer.Exit(1 if problems else 0)


def _progress(count: int) -> None:
    typer.echo(f"\r{count} documents", nl=False, err=True)
