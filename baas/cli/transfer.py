"""``homefire export | import``: all documents of a database, as a file of typed values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baas.cli.offline import with_store
from baas.db.sqlite import SqliteDatabase
from baas.documents import managed_import, transfer
from baas.documents.service import DocumentStore
from baas.model.paths import DatabaseId

Data = Annotated[Path | None, typer.Option(help="The data folder.")]
Project = Annotated[str | None, typer.Option(help="The project.")]
Database = Annotated[str, typer.Option(help="The database.")]


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


def import_command(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A file that export wrote, or the folder of a managed export of Firestore.",
        ),
    ],
    data: Data = None,
    project: Project = None,
    database: Database = "(default)",
) -> None:
    """Write all documents of a file into the database. An interrupted import is gone on with."""

    async def work(store: DocumentStore, _: SqliteDatabase, target: DatabaseId) -> int:
        if managed_import.is_managed_export(file):
            return await managed_import.import_managed_export(store, target, file, _progress)
        return await transfer.import_documents(store, target, file, _progress)

    count = with_store(data, project, database, work, make=True)
    typer.echo(f"imported {count} documents from {file}", err=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("export")(export_command)
    app.command("import")(import_command)


def _progress(count: int) -> None:
    typer.echo(f"\r{count} documents", nl=False, err=True)
