"""``homefire doctor``: does everything that is kept agree with itself?"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from baas import server
from baas.access.authorize import Authorizer
from baas.access.releases import Releases
from baas.access.storage_rights import StorageRights
from baas.cli.offline import with_database
from baas.cli.serve import settings_from
from baas.data_folder import DataFolder
from baas.db.sqlite import SqliteDatabase
from baas.documents import integrity
from baas.documents.service import DocumentStore
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.settings import Settings
from baas.storage.buckets import Buckets
from baas.storage.housekeeping import DoctorReport, Housekeeping
from baas.storage.options import StorageOptions
from baas.storage.service import StorageService

FIXED_SQLITE = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""The first releases, of each line, in which two connections that checkpoint cannot corrupt the file."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def doctor(
        data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
        config: Annotated[Path | None, typer.Option(help="A settings file.")] = None,
        repair: Annotated[bool, typer.Option(help="Build broken indexes anew.")] = False,
    ) -> None:
        """Check documents, indexes and stored objects of a stopped server; exit 1 if something is wrong."""
        settings = settings_from({"data": data}, [], config)
        typer.echo(sqlite_report(sqlite3.sqlite_version_info))

        async def examine(database: SqliteDatabase) -> list[str]:
            wrong = await _documents(database, repair)
            return wrong + storage_problems(await _storage(settings, database))

        wrong = with_database(settings, examine)
        for line in wrong:
            typer.echo(line)
        typer.echo("nothing is wrong" if not wrong else f"{len(wrong)} problems", err=True)
        raise typer.Exit(1 if wrong else 0)


def sqlite_report(version: tuple[int, ...]) -> str:
    """Which SQLite is linked, and what to know of it."""
    text = ".".join(str(part) for part in version)
    line = next((fixed for fixed in FIXED_SQLITE if version[:2] == fixed[:2]), None)
    if version >= FIXED_SQLITE[0] or (line is not None and version >= line):
        return f"SQLite {text}"
    return (
        f"SQLite {text}: releases before 3.51.3 (3.50.7, 3.44.6) can corrupt a file when two "
        "connections checkpoint at once. Homefire lets only one connection checkpoint, so its own use "
        "is safe; do not open the file with other tools while it serves."
    )


def storage_problems(report: DoctorReport) -> list[str]:
    """What is lost or cut short; garbage is not wrong, the server sweeps it."""
    return [f"storage: the bytes of {each} are missing" for each in report.missing] + [
        f"storage: {each} has another size than it should" for each in report.wrong_size
    ]


async def _documents(database: SqliteDatabase, repair: bool) -> list[str]:
    problems = await database.read(integrity.check)
    if repair and any(problem.repairable for problem in problems):
        await database.write(integrity.repair)
        await DocumentStore(database, Authorizer(Releases())).indexes.finish()
        problems = await database.read(integrity.check)
    return [
        problem.what + (" (--repair mends it)" if problem.repairable else "")
        for problem in problems
    ]


async def _storage(settings: Settings, database: SqliteDatabase) -> DoctorReport:
    async def no_documents(_name: DocumentName) -> Document | None:
        return None

    options = StorageOptions(project=settings.project)
    blobs = server.blob_store(settings, DataFolder(settings.data))
    await blobs.start()
    try:
        buckets = Buckets(database, options)
        rights = StorageRights(Authorizer(Releases()), buckets.project_of, no_documents)
        service = StorageService(database, blobs, rights, options)
        report = await Housekeeping(service).examine()
        await service.close()
        return report
    finally:
        await blobs.close()
